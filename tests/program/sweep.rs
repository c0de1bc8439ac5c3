//! `bench step --sweep`: the fitted line, the table, the pictures, the files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tandem::measure::chart::{Chart, rounded};
use tandem::measure::step::{DeviceBytes, StepReport};
use tandem::measure::sweep::{Axis, Marginal, Sweep, SweepPoint};
use tandem::measure::times::Times;

use crate::common::xml::elements;

/// A step that is small enough to be measured quickly.
const SMALL: [&str; 4] = ["--inputs", "4", "--steps", "5"];

fn bench_on(device: &str, room: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command
        .current_dir(room)
        .args(["bench", "step", "--device", device])
        .args(SMALL)
        .args(args)
        .stdin(Stdio::null());
    command.output().unwrap()
}

fn bench(room: &Path, args: &[&str]) -> Output {
    bench_on("reference", room, args)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs a sweep that succeeds and returns its stdout.
fn done(args: &[&str]) -> String {
    let room = tempfile::tempdir().unwrap();
    let output = bench(room.path(), args);
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&done(&[args, &["--json"]].concat())).unwrap()
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

// --- the line ---

fn assert_near(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-9 * (1.0 + expected.abs()),
        "{found}, expected {expected}"
    );
}

#[test]
fn the_fit_of_points_on_a_line_is_that_line() {
    for (slope, intercept) in [(0.25, 3.0), (0.0, 1.5), (-2.0, 100.0), (1e-6, 0.0)] {
        for values in [&[1.0, 2.0][..], &[32.0, 64.0, 128.0, 4096.0], &[1e6, 1e6 + 1.0, 1e6 + 2.0]]
        {
            let points: Vec<[f64; 2]> =
                values.iter().map(|x| [*x, intercept + slope * x]).collect();
            let line = Marginal::of(&points);
            assert!((line.ms_per_unit - slope).abs() < 1e-9, "{slope}: {line:?}");
            assert!((line.intercept_ms - intercept).abs() < 1e-3, "{intercept}: {line:?}");
        }
    }
}

/// Three points that are not on a line; by hand, the slope is (39 / 9) / (42 / 9).
#[test]
fn the_slope_is_fitted_by_least_squares() {
    let line = Marginal::of(&[[1.0, 1.0], [2.0, 3.0], [4.0, 4.0]]);
    assert_near(line.ms_per_unit, 13.0 / 14.0);
    assert_near(line.intercept_ms, 0.5);
}

fn point(value: usize, median: f64) -> SweepPoint {
    let report = StepReport {
        adapter: "a".into(),
        driver: "d".into(),
        ms_per_step: Times { min: 0.5 * median, median, max: 2.0 * median },
        dispatches_per_step: 10,
        flop_per_step: 1,
        gflop_per_s: 1.0,
        steps: 5,
        steps_per_submission: 1,
        buffer_bytes: 1,
        device_bytes: DeviceBytes { estimated: 1, allocated: None },
        encode_us_per_step: None,
        submit_us_per_step: None,
        encode_us_per_dispatch: None,
        product_share: None,
        first_step_seconds: 0.0,
        tuned: Vec::new(),
        fallback: None,
        profile: None,
    };
    SweepPoint { value, report }
}

#[test]
fn each_pair_of_neighbours_has_its_slope() {
    let points = vec![point(1, 2.0), point(3, 3.0), point(4, 1.0)];
    let sweep = Sweep {
        axis: Axis::Heads,
        points,
        marginal: Marginal { ms_per_unit: 0.0, intercept_ms: 0.0 },
    };
    assert_eq!(sweep.neighbours(), [0.5, -2.0]);
}

// --- what is measured, as JSON ---

#[test]
fn a_sweep_is_one_json_document() {
    let small = ["--trunk", "5", "--classes", "3", "--batch", "8"];
    let one = json(&small);
    let all = json(&[&small[..], &["--sweep", "heads=1,2..8"]].concat());
    let sweep = &all["sweep"];
    assert_eq!(
        (keys(&all), keys(sweep)),
        (BTreeSet::from(["sweep"]), BTreeSet::from(["axis", "points", "marginal"]))
    );
    assert_eq!(keys(&sweep["marginal"]), BTreeSet::from(["ms_per_unit", "intercept_ms"]));
    assert_eq!(sweep["axis"], "heads");
    let points = sweep["points"].as_array().unwrap();
    let mut expected = keys(&one);
    expected.insert("value");
    points.iter().for_each(|p| assert_eq!(keys(p), expected));
    assert_eq!(
        points.iter().map(|p| p["value"].as_u64().unwrap()).collect::<Vec<_>>(),
        [1, 2, 4, 8]
    );
    let medians: Vec<[f64; 2]> = points
        .iter()
        .map(|p| [&p["value"], &p["ms_per_step"]["median"]].map(|v| v.as_f64().unwrap()))
        .collect();
    let line = Marginal::of(&medians);
    assert_eq!(sweep["marginal"]["ms_per_unit"], line.ms_per_unit);
    assert_eq!(sweep["marginal"]["intercept_ms"], line.intercept_ms);
}

/// The arguments of a program.
type Args = [&'static str];

/// Operations and buffers of each point equal those of a single measurement of its shape. All
/// points of a sweep use one data set.
#[test]
fn each_point_measures_the_shape_that_it_names() {
    let cases: [(&Args, &Args, [&Args; 2]); 3] = [
        (
            &["--trunk", "5", "--classes", "3,4"],
            &["--sweep", "batch=8,70", "--rows", "64"],
            [&["--batch", "8", "--rows", "70"], &["--batch", "70", "--rows", "70"]],
        ),
        (
            &["--batch", "8"],
            &["--sweep", "trunk=6,9", "--trunk", "3,4"],
            [&["--trunk", "6,6"], &["--trunk", "9,9"]],
        ),
        (
            &["--batch", "8"],
            &["--sweep", "heads=1,3", "--classes", "4,9"],
            [&["--classes", "4"], &["--classes", "4,4,4"]],
        ),
    ];
    for (fixed, swept, single) in cases {
        let found = json(&[fixed, swept].concat());
        for (point, args) in found["sweep"]["points"].as_array().unwrap().iter().zip(single) {
            let expected = json(&[fixed, args].concat());
            for key in ["flop_per_step", "buffer_bytes", "dispatches_per_step", "steps"] {
                assert_eq!(point[key], expected[key], "{swept:?} {args:?}: {key}");
            }
        }
    }
}

/// One open adapter serves all points.
#[test]
fn a_sweep_on_the_adapter() {
    let room = tempfile::tempdir().unwrap();
    let output = bench_on(
        "auto",
        room.path(),
        &["--trunk", "5", "--classes", "3,3", "--sweep", "batch=4..16", "--json"],
    );
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(
        (err.matches("adapter: ").count(), err.matches("\nbatch ").count()),
        (1, 3),
        "{err}"
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_ne!(found["sweep"]["points"][2]["adapter"], "reference", "{found:#}");
}

// --- what is printed ---

#[test]
fn each_point_has_a_line_in_the_table_and_a_dot_in_the_picture() {
    let out = done(&["--trunk", "5", "--classes", "3,3", "--sweep", "batch=2..64"]);
    assert!(!out.contains(['\x1b', '\r']), "{out}");
    let head =
        out.lines().position(|line| line.starts_with("batch ")).unwrap_or_else(|| panic!("{out}"));
    let rows: Vec<Vec<&str>> =
        out.lines().skip(head + 1).take(6).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows.iter().map(|row| row[0]).collect::<Vec<_>>(),
        ["2", "4", "8", "16", "32", "64"],
        "{out}"
    );
    assert_eq!(rows.iter().map(Vec::len).collect::<Vec<_>>(), [7, 8, 8, 8, 8, 8], "{out}");
    assert!(out.lines().nth(head + 7).is_some_and(
        |line| line.starts_with("least squares: ") && line.contains(" µs per additional row")
    ));
    assert_eq!(out.matches("least squares").count(), 1, "{out}");
    assert!((1..=6).contains(&places(&out, '●').len()), "{out}");
}

// --- the pictures ---

fn chart(points: &[[f64; 2]], line: [f64; 2]) -> Chart {
    let words = |text: &str| text.to_owned();
    Chart {
        title: words("T"),
        notes: vec![words("N")],
        x: words("rows"),
        y: words("ms"),
        points: points.to_vec(),
        line,
        fitted: words("F"),
    }
}

/// (line from the bottom of the plot, column) of every occurrence of a sign in the plot.
fn places(text: &str, sign: char) -> Vec<(usize, usize)> {
    let plot: Vec<&str> =
        text.lines().filter_map(|line| Some(line.split_once(['│', '┤'])?.1)).collect();
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (number, line) in plot.iter().rev().enumerate() {
        found.extend(
            line.chars()
                .enumerate()
                .filter(|(_, c)| *c == sign)
                .map(|(column, _)| (number, column)),
        );
    }
    found
}

#[test]
fn axes_are_logarithmic_beyond_a_factor_of_8() {
    assert!(!chart(&[[8.0, 1.0], [64.0, 2.0]], [0.0, 0.0]).is_log());
    assert!(chart(&[[8.0, 1.0], [65.0, 2.0]], [0.0, 0.0]).is_log());
}

#[test]
fn a_linear_picture_begins_at_zero() {
    let text = chart(&[[10.0, 2.0], [20.0, 4.0], [40.0, 8.0]], [0.0, 0.2]).text();
    let dots = places(&text, '●');
    assert_eq!(dots, [(4, 15), (7, 30), (14, 60)], "{text}");
    assert!(places(&text, '·').contains(&(0, 0)), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("0 ┤")) && text.contains("both axes from 0"),
        "{text}"
    );
    let labels: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains('└'))
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(labels, ["10", "20", "40"], "{text}");
}

/// On logarithmic axes, doublings are at equal distances, and proportional values are on a straight
/// line.
#[test]
fn a_logarithmic_picture_has_doublings_at_equal_distances() {
    let points: Vec<[f64; 2]> =
        (0..8).map(|k| [f64::from(1 << k), 0.5 * f64::from(1 << k)]).collect();
    let text = chart(&points, [0.0, 0.5]).text();
    let dots = places(&text, '●');
    assert_eq!(dots.len(), 8, "{text}");
    for pair in dots.windows(2) {
        assert!(
            (1..=3).contains(&(pair[1].0 - pair[0].0))
                && (7..=9).contains(&(pair[1].1 - pair[0].1)),
            "{text}"
        );
    }
    assert!(text.contains("both axes logarithmic"), "{text}");
}

/// Values that differ by a tenth are not stretched to the height of the picture.
#[test]
fn flat_measurements_look_flat() {
    let text = chart(&[[1.0, 10.0], [10.0, 11.0], [100.0, 10.0]], [10.0, 0.0]).text();
    let heights: BTreeSet<usize> = places(&text, '●').into_iter().map(|(line, _)| line).collect();
    assert!(heights.iter().max().unwrap() - heights.iter().min().unwrap() <= 1, "{text}");
}

#[test]
fn labels_of_the_axes_do_not_overlap() {
    let points: Vec<[f64; 2]> = (1..=40).map(|k| [f64::from(1000 * k), 1.0]).collect();
    let text = chart(&points, [1.0, 0.0]).text();
    let labels = text.lines().skip_while(|line| !line.contains('└')).nth(1).unwrap();
    for label in labels.split_whitespace() {
        assert!(
            label.parse::<usize>().is_ok_and(|v| v % 1000 == 0 && v <= 40_000),
            "{label:?} in {labels:?}"
        );
    }
    assert!(labels.split_whitespace().count() > 3, "{labels}");
}

#[test]
fn numbers_keep_their_significant_digits() {
    let found = [12345.6, 0.000123456, -0.5, 0.0].map(|v| rounded(v, 3).to_string());
    assert_eq!(found, ["12300", "0.000123", "-0.5", "0"]);
}

// --- SVG ---

#[test]
fn xml_that_is_not_well_formed_is_found() {
    for bad in [
        "",
        "<a>",
        "<a></b>",
        "<a><b></a></b>",
        "<a>&</a>",
        "<a b=\"<\"/>",
        "<a b=\"1\" b=\"2\"/>",
        "<a b=\"1\"c=\"2\"/>",
        "<a b=1/>",
        "<a/>x",
        "<a>\x07</a>",
        "x<a/>",
    ] {
        assert!(elements(bad).is_err(), "{bad:?} passes");
    }
    assert_eq!(elements("<a b=\"1\" c-d=\"&lt;\">x &amp; y<e/></a>\n").unwrap(), ["a", "e"]);
}

fn count(elements: &[String], name: &str) -> usize {
    elements.iter().filter(|e| *e == name).count()
}

#[test]
fn the_svg_is_well_formed_and_needs_nothing_else() {
    let steep: Vec<[f64; 2]> =
        (0..14).map(|k| [f64::from(1 << k), 0.01 + 0.3 * f64::from(1 << k)]).collect();
    for (points, line) in [
        (&steep[..], [0.01, 0.3]),
        (&steep[..3], [-50.0, 0.3]),
        (&[[1.0, 1e-5], [2.0, 1e-5]], [1e-5, 0.0]),
    ] {
        let svg = chart(points, line).svg();
        let elements = elements(&svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
        assert_eq!(
            (elements[0].as_str(), count(&elements, "circle"), count(&elements, "polyline")),
            ("svg", points.len(), 2),
            "{svg}"
        );
        for bad in ["NaN", "inf", "href", "script", "url("] {
            assert!(!svg.contains(bad), "{bad}: {svg}");
        }
        for word in [">rows", ">ms", ">T<", ">N<", "F</text>"] {
            assert!(svg.contains(word), "{word}: {svg}");
        }
    }
}

#[test]
fn the_svg_escapes_texts() {
    let nasty = "<script>\"&'\u{1b}[0m\u{0}\u{ffff}";
    let clean = chart(&[[1.0, 1.0], [2.0, 2.0]], [0.0, 1.0]);
    let words = nasty.to_owned();
    let dirty = Chart {
        title: words.clone(),
        notes: vec![words.clone()],
        x: words.clone(),
        y: words.clone(),
        fitted: words,
        ..clean.clone()
    };
    let (svg, expected) = (dirty.svg(), elements(&clean.svg()).unwrap());
    assert_eq!(elements(&svg).unwrap_or_else(|e| panic!("{e}\n{svg}")), expected);
    assert!(svg.contains("&lt;script&gt;&quot;&amp;'\u{fffd}[0m\u{fffd}\u{fffd}"), "{svg}");
}

// --- the file ---

#[test]
fn the_svg_is_written_beside_either_output() {
    let room = tempfile::tempdir().unwrap();
    for more in [&[][..], &["--json"]] {
        let output = bench(
            room.path(),
            &[&["--trunk", "5", "--sweep", "batch=2,4", "--svg", "s.svg"], more].concat(),
        );
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("s.svg") && !output.stdout.is_empty());
        let svg = fs::read_to_string(room.path().join("s.svg")).unwrap();
        assert_eq!(count(&elements(&svg).unwrap(), "circle"), 2);
        fs::remove_file(room.path().join("s.svg")).unwrap();
    }
}

/// A network that fits no adapter is refused before anything is measured, and no picture is begun.
#[test]
fn a_sweep_that_fails_leaves_files_alone() {
    let room = tempfile::tempdir().unwrap();
    fs::write(room.path().join("old.svg"), "old").unwrap();
    for file in ["old.svg", "new.svg"] {
        let output = bench(room.path(), &["--sweep", "trunk=2,60000", "--svg", file]);
        let err = text(&output.stderr);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(69), 0), "{err}");
        assert!(err.contains("error: trunk=60000: ") && !err.contains("trunk 2: "), "{err}");
    }
    assert_eq!(fs::read_to_string(room.path().join("old.svg")).unwrap(), "old");
    assert!(!room.path().join("new.svg").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_picture_on_a_full_disk_is_a_failed_write() {
    let room = tempfile::tempdir().unwrap();
    let output =
        bench(room.path(), &["--trunk", "5", "--sweep", "batch=2,4", "--svg", "/dev/full"]);
    assert_eq!(output.status.code(), Some(74), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("least squares"), "what was measured is lost");
}
