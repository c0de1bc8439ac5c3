//! The page of a search: axes, colours, pictures of odd searches, what it says.

use std::fs;

use tandem::fault::{Exit, exit_of};
use tandem::report::draw::axis::{Axis, fitted, squeezed};
use tandem::report::draw::ink::{GRADES, variables};
use tandem::report::draw::scale::Scale;
use tandem::report::page::{Page, search};
use tandem::report::search::{FrontFacts, SearchFacts, SearchedKey, TrialFacts, write_page};

use crate::common::xml::elements;

/// A number from 0 to 1 that depends on two others.
fn mixed(a: usize, b: usize) -> f64 {
    (((a + 1) * 7919 + (b + 3) * 104_729) % 1009) as f64 / 1009.0
}

/// The value of the key `key` in a trial: rates, choices, numbers with a 0 beside them, texts.
fn value(trial: usize, key: usize) -> Option<String> {
    let u = mixed(trial, key);
    Some(match key % 4 {
        0 => format!("{:.4e}", 10f64.powf(-4.0 + 3.0 * u)),
        1 => ["[16]", "[64]", "[32, 32]"][(3.0 * u) as usize].to_owned(),
        2 if u < 0.2 => "0".to_owned(),
        2 => format!("{:.4}", 0.01 + 10.0 * u),
        _ if u < 0.3 => return None,
        _ => ["\"one\"", "\"<u>&\"", "true"][(3.0 * u) as usize].to_owned(),
    })
}

/// A search of so many trials and keys; every third trial is whole.
fn made(trials: usize, keys: usize) -> SearchFacts {
    let key = |key: usize| SearchedKey {
        key: match key {
            0 => "optimizer.learning_rate".to_owned(),
            3 => "<script>alert(1)</script>\u{ffff}".to_owned(),
            _ => format!("task.a_task_whose_name_is_long_{key}.\"quoted & more\".weight"),
        },
        log: key.is_multiple_of(2),
    };
    let trial = |number: usize| TrialFacts {
        number,
        name: match number {
            1 => Some("defaults".to_owned()),
            2 => Some("λ = 0".to_owned()),
            _ => None,
        },
        rung: if number.is_multiple_of(3) { 2 } else { 0 },
        share: if number.is_multiple_of(3) { 1.0 } else { 1.0 / 9.0 },
        steps: 16,
        figure: Some(0.5 + 0.4 * mixed(number, 77)),
        values: (0..keys).map(|key| value(number, key)).collect(),
        failed: None,
    };
    let trials: Vec<TrialFacts> = (1..=trials).map(trial).collect();
    let far = |trial: &&TrialFacts| (trial.rung, trial.figure.unwrap());
    let best = trials.iter().max_by(|a, b| far(a).partial_cmp(&far(b)).unwrap());
    SearchFacts {
        title: "a <search>".to_owned(),
        objective: "auc of y1".to_owned(),
        higher_is_better: true,
        best: best.map_or(0, |trial| trial.number),
        importance: (0..keys).map(|at| (key(at).key, mixed(at, 1) / keys as f64)).collect(),
        keys: (0..keys).map(key).collect(),
        front: None,
        tables: vec![("on the <test> part".to_owned(), "task  auc\ny1    0.9 < 1\n".to_owned())],
        sentences: vec!["the best settings & those <as they stand>".to_owned()],
        trials,
    }
}

fn fail(trial: &mut TrialFacts) {
    trial.figure = None;
    trial.failed = Some("step 3: the loss is <NaN>".to_owned());
}

/// Makes the page, and looks at what every page has to keep.
#[track_caller]
fn page(facts: &SearchFacts) -> Page {
    let page = search(facts);
    for picture in &page.pictures {
        let svg = picture.document();
        let found = elements(&svg).unwrap_or_else(|e| panic!("{e}\n{svg}"));
        assert_eq!(&found[..3], ["svg", "title", "desc"]);
        for bad in ["NaN", "inf\"", "href", "<script", "url(", "\u{ffff}"] {
            assert!(!svg.contains(bad), "{bad} in {}", picture.title);
        }
        let [width, height] = picture.size;
        assert!(width <= 2080 && (120..1600).contains(&height), "{width} × {height}");
        assert!(!picture.about.is_empty());
    }
    for bad in ["<script", "<u>&", "<search>", "<test>", "https://", "src="] {
        assert!(!page.html.contains(bad), "{bad}");
    }
    assert_eq!(page.html.matches("<svg").count(), page.pictures.len());
    page
}

fn picture<'p>(page: &'p Page, title: &str) -> &'p str {
    let found = page.pictures.iter().find(|picture| picture.title == title);
    &found.unwrap_or_else(|| panic!("no picture {title}")).elements
}

/// The points of all lines of a colour of light paper.
fn lines(svg: &str, colour: &str) -> Vec<Vec<[f64; 2]>> {
    let of = |line: &str| {
        let points = line.split("points=\"").nth(1)?.split('"').next()?;
        let point = |text: &str| {
            let (x, y) = text.split_once(',').unwrap();
            [x.parse().unwrap(), y.parse().unwrap()]
        };
        Some(points.split_whitespace().map(point).collect())
    };
    svg.lines().filter(|line| line.contains(colour)).filter_map(of).collect()
}

/// Names of the rows of the last table of a page.
fn rows(page: &Page) -> Vec<&str> {
    let table = page.html.rsplit("<table>").next().unwrap();
    let rows = table.split("<th scope=\"row\">").skip(1);
    rows.map(|row| row.split("</th>").next().unwrap()).collect()
}

#[test]
fn a_page_has_all_that_a_search_has_found() {
    let mut facts = made(12, 4);
    fail(&mut facts.trials[4]);
    let page = page(&facts);
    let titles: Vec<&str> = page.pictures.iter().map(|picture| picture.title.as_str()).collect();
    assert_eq!(titles[..3], ["auc of y1 by trial", "All settings together", &facts.keys[0].key]);
    assert_eq!((titles.len(), titles[6]), (7, "Importance of keys"));
    for piece in [
        "the best settings &amp; those &lt;as they stand&gt;",
        "<h3>on the &lt;test&gt; part</h3>",
        "y1    0.9 &lt; 1",
        "&lt;script&gt;alert(1)&lt;/script&gt;\u{fffd}",
        "as it stands",
        "12 trials of 4 keys, of which 1 failed.",
        "step 3: the loss is &lt;NaN&gt;",
        "without effect in this trial",
    ] {
        assert!(page.html.contains(piece), "{piece}");
    }
    let course = picture(&page, "auc of y1 by trial");
    for text in ["defaults", "λ = 0", "best", "best so far", "failed", "higher is better"] {
        assert!(course.contains(text), "{text}: {course}");
    }
    let together = picture(&page, "All settings together");
    for text in ["(log)", "[32, 32]", "worst", "whole training", "–"] {
        assert!(together.contains(text), "{text}: {together}");
    }
}

#[test]
fn trials_are_sorted_by_how_far_and_how_good_and_failed_ones_are_last() {
    let mut facts = made(7, 1);
    for (trial, figure) in facts.trials.iter_mut().zip([0.5, 0.7, 0.6, 0.9, 0.6, 0.8, 0.1]) {
        trial.figure = Some(figure);
    }
    facts.best = 6;
    fail(&mut facts.trials[3]);
    let sorted = ["6, best", "3", "2, λ = 0", "5", "1, defaults", "7", "4"];
    assert_eq!(rows(&page(&facts)), sorted);
    // A figure of which a lower one is better, and one that is no number.
    facts.higher_is_better = false;
    facts.best = 3;
    facts.trials[6].figure = Some(f64::NAN);
    let sorted = ["3, best", "6", "1, defaults", "5", "2, λ = 0", "4", "7"];
    assert_eq!(rows(&page(&facts)), sorted);
}

#[test]
fn the_best_so_far_is_of_trials_that_were_trained_as_far_as_the_best() {
    let mut facts = made(9, 1);
    // Trials 3, 6 and 9 are whole.
    for (trial, figure) in
        facts.trials.iter_mut().zip([0.9, 0.9, 0.5, 0.9, 0.9, 0.7, 0.9, 0.9, 0.6])
    {
        trial.figure = Some(figure);
    }
    facts.best = 6;
    let page = page(&facts);
    let svg = picture(&page, "auc of y1 by trial");
    let line = &lines(svg, "#B84A00")[0];
    assert_eq!(line.len(), 4, "{line:?}");
    assert!(line[0][1] == line[1][1] && line[1][0] == line[2][0] && line[2][1] == line[3][1]);
    assert!(line[1][1] > line[2][1], "a higher figure is higher up: {line:?}");
    let wide = [line[1][0] - line[0][0], line[3][0] - line[2][0]];
    assert!((wide[0] - wide[1]).abs() < 2.0, "from 3 to 6 and from 6 to 9: {line:?}");
}

#[test]
fn pictures_hold_few_and_many_trials_and_keys() {
    for trials in [0, 1, 2, 8, 64, 1000] {
        for keys in [0, 1, 3, 20] {
            let facts = made(trials, keys);
            let page = page(&facts);
            let expected = match (trials, keys) {
                (0, 0) => 0,
                (_, 0) => 1,
                (0, _) => 1,
                _ => 3 + keys,
            };
            assert_eq!(page.pictures.len(), expected, "{trials} trials, {keys} keys");
            assert!(page.html.len() < 6_000_000, "{} bytes", page.html.len());
        }
    }
}

#[test]
fn odd_figures_make_pictures_too() {
    let mut equal = made(20, 5);
    equal.trials.iter_mut().for_each(|trial| trial.figure = Some(0.0));
    page(&equal);
    let mut one = made(20, 5);
    one.trials.iter_mut().filter(|trial| trial.number != 12).for_each(fail);
    one.best = 12;
    assert!(page(&one).html.contains("of which 19 failed"));
    let mut none = made(3, 2);
    none.trials.iter_mut().for_each(fail);
    none.best = 0;
    assert!(page(&none).html.contains("No trial has a figure."));
    let mut steep = made(20, 5);
    steep.higher_is_better = false;
    let figures = [1e-300, 1e300, f64::INFINITY, -0.0, 5e-324, 1e17, 1e17 + 16.0];
    for (trial, figure) in steep.trials.iter_mut().zip(figures) {
        trial.figure = Some(figure);
    }
    page(&steep);
    // Facts that do not fit together.
    let mut torn = made(6, 3);
    torn.trials.iter_mut().for_each(|trial| trial.values.truncate(1));
    (torn.trials[0].share, torn.trials[1].share) = (f64::NAN, 7.0);
    torn.importance = vec![("x".to_owned(), f64::NAN), ("y".to_owned(), 2.0)];
    torn.best = 99;
    page(&torn);
}

#[test]
fn the_front_of_two_objectives_is_a_stair() {
    let mut facts = made(4, 1);
    let front = FrontFacts {
        names: vec!["auc".to_owned(), "seconds".to_owned()],
        higher_is_better: vec![true, false],
        points: vec![
            (1, vec![1.0, 1.0]),
            (2, vec![2.0, 2.0]),
            (3, vec![3.0, 4.0]),
            (4, vec![1.5, 3.0]),
        ],
        on_front: vec![1, 2, 3],
        hypervolume: 7.5,
        reference: vec![0.5, 5.0],
    };
    facts.front = Some(front.clone());
    let made_page = page(&facts);
    let svg = picture(&made_page, "auc and seconds");
    let line = &lines(svg, "#B84A00")[0];
    // (0.5, 1), (1, 1), (1, 2), (2, 2), (2, 4), (3, 4), (3, 5): at equal distances.
    let [x0, y0] = line[0];
    let unit = [(line[6][0] - x0) / 2.5, (line[6][1] - y0) / 4.0];
    assert!(unit[0] > 0.0 && unit[1] < 0.0, "to the right and up: {line:?}");
    let expected =
        [[0.5, 1.0], [1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 4.0], [3.0, 4.0], [3.0, 5.0]];
    for (found, [x, y]) in line.iter().zip(expected) {
        let near = [x0 + (x - 0.5) * unit[0], y0 + (y - 1.0) * unit[1]];
        let is_near = (0..2).all(|axis| (found[axis] - near[axis]).abs() <= 1.5);
        assert!(is_near, "{found:?} and {near:?}");
    }
    for text in ["reference", "lower is better", "on the front"] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(made_page.html.contains("the reference (0.5, 5) is 7.5"));
    // A reference that is far away is named alone; three objectives are a table alone.
    facts.front = Some(FrontFacts { reference: vec![-100.0, 100.0], ..front.clone() });
    assert!(page(&facts).html.contains("The reference lies outside the picture."));
    let names = ["a", "b", "<i>"].map(str::to_owned).to_vec();
    let points = vec![(1, vec![1.0, 1.0, 2.0]), (2, vec![1.0])];
    facts.front = Some(FrontFacts { names, points, ..front });
    let with_table = page(&facts);
    assert!(with_table.html.contains("<th scope=\"col\">&lt;i&gt;, lower is better</th>"));
    assert!(with_table.html.contains("it was not measured"));
    assert_eq!(with_table.pictures.len(), made_page.pictures.len() - 1);
}

#[test]
fn values_beside_a_scale_have_places_of_their_own() {
    let values = [None, Some("0"), Some("1e-4"), Some("0.1"), Some("0.0"), Some("\"auto\"")];
    let axis = Axis::of_values("k", true, &values);
    let border = axis.border().unwrap();
    let places: Vec<(f64, bool)> = values.map(|value| axis.spot(value).unwrap()).to_vec();
    for (at, is_own) in [(0, true), (1, true), (2, false), (3, false), (4, true), (5, true)] {
        assert_eq!((places[at].0 < border, places[at].1), (is_own, is_own), "{at}: {places:?}");
    }
    assert_eq!(places[1], places[4], "0 and 0.0 are one number");
    assert!(places[0].0 < places[1].0 && places[1].0 < places[5].0 && places[2].0 < places[3].0);
    let texts: Vec<String> = axis.ticks().into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, ["–", "0", "auto", "0.0001", "0.001", "0.01", "0.1"]);
    assert_eq!(axis.spot(Some("\"other\"")), None);
}

#[test]
fn choices_are_at_equal_distances() {
    let values = ["[64]", "[16]", "[32, 32]", "[16]"].map(Some);
    let axis = Axis::of_values("k", false, &values);
    let ticks = axis.ticks();
    let texts: Vec<&str> = ticks.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!((texts, axis.is_choice()), (vec!["[16]", "[64]", "[32, 32]"], true));
    assert!((ticks[1].0 - ticks[0].0 - (ticks[2].0 - ticks[1].0)).abs() < 1e-12);
    // Numbers that come again and again are choices, others are not.
    let again = ["32", "64", "512", "64", "32", "512", "32", "64", "512"].map(Some);
    assert!(Axis::of_values("k", false, &again).is_choice());
    assert!(!Axis::of_values("k", false, &again[..4]).is_choice());
    assert!(Axis::of_values("k", false, &[]).ticks().is_empty());
    let same = Axis::of_values("k", true, &[Some("0.01")]);
    assert!((same.spot(Some("1e-2")).unwrap().0 - 0.5).abs() < 1e-9);
}

#[test]
fn a_logarithmic_axis_has_ticks_however_short_it_is() {
    for [low, high] in [[1.0, 1.0], [1.1, 1.3], [3.0, 40.0], [1e-9, 1e9], [1e-129, 1e129]] {
        let scale = Scale::log([low, high, 0.0, -1.0].into_iter()).unwrap();
        let ticks = scale.ticks();
        assert!((2..16).contains(&ticks.len()), "{low} {high}: {ticks:?}");
        let places = [scale.place(low), scale.place(high)];
        assert!(places.iter().all(|place| (0.0..=1.0).contains(place)), "{places:?}");
    }
    assert!(Scale::log([0.0, -1.0, f64::NAN].into_iter()).is_none());
}

#[test]
fn long_texts_keep_their_ends() {
    assert_eq!(squeezed("optimizer.learning_rate", 11), "optim…_rate");
    assert_eq!((squeezed("ääää", 4).as_str(), squeezed("ääää", 3).as_str()), ("ääää", "ä…ä"));
    assert_eq!(fitted("0.0001", 75.0), "1e-4");
    assert_eq!(
        (fitted("12.5", 1.0).as_str(), fitted("[128, 64]", 75.0).as_str()),
        ("12.5", "[12…")
    );
}

/// Contrast of two colours by WCAG 2.
fn contrast(a: u32, b: u32) -> f64 {
    let light = |colour: u32| {
        let part = |shift: u32| {
            let x = f64::from((colour >> shift) & 255) / 255.0;
            if x <= 0.04045 { x / 12.92 } else { ((x + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(16) + 0.7152 * part(8) + 0.0722 * part(0) + 0.05
    };
    let [a, b] = [light(a), light(b)];
    a.max(b) / a.min(b)
}

#[test]
fn better_trials_stand_out_more_in_both_themes() {
    for is_dark in [false, true] {
        let all = variables(is_dark);
        let colour = |name: &str| {
            let at = all.find(&format!("--{name}:#")).unwrap() + name.len() + 4;
            u32::from_str_radix(&all[at..at + 6], 16).unwrap()
        };
        let of = |grade: usize| contrast(colour(&format!("r{grade}")), colour("paper"));
        let found: Vec<f64> = (0..GRADES).map(of).collect();
        assert!(found[0] >= 3.0 && found.is_sorted_by(|a, b| 1.1 * a < *b), "{found:?}");
    }
}

#[test]
fn a_page_is_written_as_a_whole_and_takes_the_place_of_an_older_one() {
    let room = tempfile::tempdir().unwrap();
    let many = made(8, 5);
    let path = write_page(room.path(), &many).unwrap();
    assert_eq!(path, room.path().join("report.html"));
    assert_eq!(fs::read_to_string(&path).unwrap(), search(&many).html);
    write_page(room.path(), &made(8, 1)).unwrap();
    let names = |path: &str| -> Vec<String> {
        let entries = fs::read_dir(room.path().join(path)).unwrap();
        let mut all: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        all.sort();
        all
    };
    assert_eq!(names(""), ["plots", "report.html"]);
    let plots = ["01-auc_of_y1_by_trial.svg", "02-All_settings_together.svg"];
    assert_eq!((names("plots").len(), &names("plots")[..2]), (4, &plots.map(str::to_owned)[..]));
    let error = write_page(&path, &many).unwrap_err();
    assert_eq!(exit_of(&error), Exit::CantCreate, "{error:#}");
}
