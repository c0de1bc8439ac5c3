//! Scaling of numbers and of losses: blanks become the mean, numbers far outside are moved closer,
//! counts are learnt in units of their mean, and inputs that no training row has begin at zero.
//! Expected numbers are closed formulas, worked out by hand.

use crate::common::program::Room;
use serde_json::Value;
use tandem::config::Version;
use tandem::config::read::from_text;
use tandem::data::encode::seen::Seen;
use tandem::data::load::door::load;
use tandem::data::value::range::Range;
use tandem::data::{Column, Dataset, Encoding, Features, Input, Parts};
use tandem::rng::{Purpose, normal};
use tandem::run::train::Plan;

/// A run of one step over `train.csv`.
const SHORT: &str = "[trunk]\nlayers = [4]\n[train]\nmax_steps = 1\n";

fn room(table: &str) -> Room {
    let room = Room::new("");
    room.write("train.csv", table);
    room
}

/// The parts of a configuration, whose paths begin in the room.
fn parts(room: &Room, text: &str) -> Parts {
    let config = from_text(text, "net.toml", &room.path(""), &[]).unwrap();
    load(&config.data, &config.tasks).unwrap()
}

fn plan(room: &Room, text: &str) -> Plan {
    let config = from_text(text, "net.toml", &room.path(""), &[]).unwrap();
    let parts = load(&config.data, &config.tasks).unwrap();
    Plan::new(config, parts).unwrap()
}

fn column<'p>(parts: &'p Parts, name: &str) -> &'p Column {
    let Input::Columns { columns } = &parts.schema.input else { panic!("images") };
    columns.iter().find(|column| column.name == name).unwrap()
}

/// A column of predictions as numbers.
fn predicted(room: &Room, run: &str, data: &str, name: &str) -> Vec<f64> {
    let ran = room.on_reference(&["predict", run, "--data", data]).expect(0);
    let mut reader = csv::Reader::from_reader(ran.out.as_bytes());
    let at = reader
        .headers()
        .unwrap()
        .iter()
        .position(|header| header == name)
        .unwrap_or_else(|| panic!("no {name}: {}", ran.out));
    reader.records().map(|record| record.unwrap()[at].parse().unwrap()).collect()
}

// ---- blanks ----

/// 0, 1, 2, …, 9 and 90: mean 135 / 11, median 5, quartiles 2.5 and 7.5.
fn skewed() -> String {
    (0..10).chain([90]).fold("x,y\n".to_owned(), |text, x| text + &format!("{x},{}\n", x * 2))
}

#[test]
fn a_blank_number_is_the_mean_whatever_the_scale() {
    let mean = 135.0 / 11.0;
    let room = room(&skewed());
    room.write("new.csv", format!("x\n\"\"\n{mean:?}\n0\n"));
    for (scale, blank) in
        [("minmax", mean / 90.0), ("robust", (mean - 5.0) / 5.0), ("none", mean), ("standard", 0.0)]
    {
        for (version, blank) in [("0.2", blank), ("0.1", 0.0)] {
            let text = format!(
                "version = \"{version}\"\n[data]\ntrain = \"train.csv\"\nsplit = [1.0, 0.0, \
                 0.0]\n[feature.x]\nscale = \"{scale}\"\n[task.y]\ntype = \"regression\"\n{SHORT}"
            );
            let Encoding::Numeric { blank: found, .. } = column(&parts(&room, &text), "x").encoding
            else {
                panic!()
            };
            assert!(
                (found - blank).abs() < 1e-12,
                "{scale} of {version}: {found}, expected {blank}"
            );
            room.write("net.toml", &text);
            let out = format!("{scale}-{version}");
            room.train(&out, &[]).expect(0);
            let y = predicted(&room, &out, "new.csv", "y");
            let (of_mean, of_zero) = ((y[0] - y[1]).abs() < 1e-5, y[0] == y[2]);
            match (version, scale) {
                // Version 0.1.0 made a blank the smallest number, or the number 0.
                ("0.1", "minmax" | "none") => assert!(of_zero && !of_mean, "{scale}: {y:?}"),
                ("0.1", "robust") => assert!(!of_mean, "{scale}: {y:?}"),
                _ => assert!(of_mean && !of_zero, "{scale} of {version}: {y:?}"),
            }
        }
    }
}

// ---- numbers far outside ----

#[test]
fn numbers_far_outside_are_moved_closer_along_a_smooth_curve() {
    let range = Range { low: -1.0, high: 3.0, deviation: 2.0, clip: 2.0 };
    for (x, held) in [
        (-1.0, -1.0),
        (0.3, 0.3),
        (3.0, 3.0),
        // 4 beyond the end is 2 deviations, which become 2 · 2 / (2 + 2) = 1 deviation.
        (7.0, 5.0),
        (-5.0, -3.0),
        // 20 deviations become 2 · 20 / 22.
        (43.0, 3.0 + 2.0 * 40.0 / 22.0),
        (1e308, 7.0),
        (-1e308, -5.0),
    ] {
        assert!((range.held(x) - held).abs() < 1e-12, "{x}: {}, expected {held}", range.held(x));
    }
    // The slope is 1 at the end, the curve always rises, and stays within two deviations of the
    // end.
    assert!(((range.held(3.0 + 1e-6) - 3.0) / 1e-6 - 1.0).abs() < 1e-5);
    let beyond: Vec<f64> = (0..60).map(|i| range.held(3.0 + 1.3_f64.powi(i))).collect();
    assert!(beyond.windows(2).all(|pair| pair[0] < pair[1]) && beyond.iter().all(|x| *x < 7.0));
    assert_eq!(Range { clip: 0.0, ..range }.held(43.0), 43.0);
    assert_eq!(
        [2.9, 5.0, 5.1, -3.0, -3.1].map(|x| range.is_far(x)),
        [false, false, true, false, true]
    );
    assert_eq!(Range::of(&[4.0, 4.0], 2.0), None);
    assert_eq!(
        Range::of(&[1.0, 3.0], 0.5),
        Some(Range { low: 1.0, high: 3.0, deviation: 1.0, clip: 0.5 })
    );
}

/// A table of 80 rows: x from 0 to 79, mean 39.5, standard deviation √((80² − 1) / 12).
fn line() -> String {
    (0..80).fold("x,y\n".to_owned(), |text, x| text + &format!("{x},{}\n", 3 * x))
}

const LINE: &str = "[data]\ntrain = \"train.csv\"\nsplit = [1.0, 0.0, 0.0]\n[trunk]\nlayers = \
                    []\n[task.y]\ntype = \"regression\"\n[optimizer]\nlearning_rate = \
                    3e-2\n[train]\nepochs = 20\nbatch_size = 8\n";

#[test]
fn predictions_far_outside_do_not_run_away() {
    let room = room(&line());
    room.write("near.csv", "x\n0\n41.5\n79\n");
    let deviation = (6399.0_f64 / 12.0).sqrt();
    room.write(
        "far.csv",
        format!("x\n{:?}\n{:?}\n1e9\n", 79.0 + 2.0 * deviation, 79.0 + deviation),
    );
    room.write("wild.csv", "x\n1e300\n");
    for (run, more) in [
        ("held", "clip = 2"),
        ("more", "clip = 3.0"),
        ("off", "clip = 0"),
        ("no", "clip = false"),
        ("default", ""),
    ] {
        room.write("net.toml", format!("{LINE}[feature.x]\n{more}\n"));
        room.train(run, &[]).expect(0);
    }
    room.write("net.toml", format!("version = \"0.1\"\n{LINE}"));
    room.train("old", &[]).expect(0);
    // Training rows are within their range, so nothing that was trained differs.
    for run in ["more", "off", "no", "default", "old"] {
        assert_eq!(
            room.bytes("held/model/model.safetensors"),
            room.bytes(&format!("{run}/model/model.safetensors")),
            "{run}"
        );
        assert_eq!(
            predicted(&room, "held", "near.csv", "y"),
            predicted(&room, run, "near.csv", "y"),
            "{run}"
        );
    }
    // With one layer the prediction is linear in the network's input.
    let near = predicted(&room, "off", "near.csv", "y");
    let at = |x: f64| near[0] + (near[2] - near[0]) * x / 79.0;
    let expected = |c: f64| [2.0, 1.0].map(|d: f64| at(79.0 + deviation * c * d / (c + d)));
    for (run, c) in [("held", 2.0), ("default", 2.0), ("more", 3.0)] {
        let found = predicted(&room, run, "far.csv", "y");
        for (found, expected) in found.iter().zip(expected(c)) {
            assert!(
                (found - expected).abs() < 1e-4 * expected.abs(),
                "{run}: {found}, expected {expected}"
            );
        }
        assert!(found[2] < at(79.0 + c * deviation) + 1e-3, "{run}: {found:?}");
    }
    for run in ["off", "no", "old"] {
        let found = predicted(&room, run, "far.csv", "y");
        assert!(
            (found[0] / at(79.0 + 2.0 * deviation) - 1.0).abs() < 1e-5 && found[2] > 1e8,
            "{run}: {found:?}"
        );
    }
    // A number that no float can hold is refused, as always.
    for run in ["held", "off", "old"] {
        room.on_reference(&["predict", run, "--data", "wild.csv"])
            .refused(65, &["wild.csv:2", "too large for a 32-bit float"]);
    }
    let written = |run: &str| room.text(&format!("{run}/config.toml"));
    assert!(
        written("held").contains("clip = 2.0")
            && written("no").contains("clip = 0.0")
            && !written("old").contains("\nclip =")
    );
    assert!(!room.text("old/model/schema.json").contains("range"), "a model of 0.1.0 has no range");
}

#[test]
fn the_default_of_clip_depends_on_the_type() {
    let room = room(&line());
    let text = |more: &str| format!("{LINE}[feature.x]\n{more}\n");
    let config = |text: String| from_text(&text, "net.toml", &room.path(""), &[]);
    assert_eq!(config(text("type = \"numeric\"")).unwrap().data.features[0].clip, Some(2.0));
    assert_eq!(
        config(format!("version = \"0.1\"\n{}", text("type = \"numeric\""))).unwrap().data.features
            [0]
        .clip,
        None
    );
    assert_eq!(config(text("")).unwrap().data.features[0].clip(Version::V0_1), 0.0);
    let refused = |more: &str, piece: &str| {
        let found = config(text(more)).unwrap_err().to_string();
        assert!(found.contains("feature.x.clip") && found.contains(piece), "{more}: {found}");
    };
    refused("clip = -1", "0 or above");
    refused("clip = true", "or false");
    refused("clip = \"no\"", "0 or above");
    refused("type = \"category\"\nclip = 1", "numeric");
    room.write("net.toml", text("clip = 1").replace("[feature.x]", "[feature.c]"));
    room.write(
        "train.csv",
        line()
            .lines()
            .map(|line| format!("{line},{}\n", if line == "x,y" { "c" } else { &line[..1] }))
            .collect::<String>(),
    );
    room.write(
        "letters.csv",
        (0..80).fold("x,y,c\n".to_owned(), |text, x| {
            text + &format!("{x},{x},{}\n", ["a", "b", "c"][x % 3])
        }),
    );
    room.train("none", &["--set", "data.train=letters.csv"])
        .refused(78, &["feature.c.clip", "numeric"]);
}

#[test]
fn numbers_far_outside_in_other_parts_are_reported() {
    let room = room(&line());
    // Three of 20 numbers are more than 23.1 beyond the upper end, one is below the lower end.
    room.write(
        "valid.csv",
        (0..16).fold("x,y\n200,1\n-30,1\n500,1\n99,1\n".to_owned(), |text, x| {
            text + &format!("{x},{x}\n")
        }),
    );
    room.write(
        "net.toml",
        LINE.replace("split = [1.0, 0.0, 0.0]", "valid = \"valid.csv\"\ntest = \"valid.csv\""),
    );
    let said = ["column \"x\": 3 of 20 numbers of the valid part and 3 of 20 numbers of the test \
                 part lie far outside of 0 to 79"];
    room.train("run", &[])
        .expect(0)
        .says(&said)
        .says(&["within 2 standard deviations of it (clip)"]);
    room.train("off", &["--set", "feature.x.clip=0"])
        .expect(0)
        .says(&said)
        .says(&["taken as they are (clip = 0)"]);
    let ran =
        room.train("on-disk", &["--set", "data.memory=2000"]).expect(0).says(&["far outside"]);
    assert!(ran.err.contains("3 of 20 numbers of the valid part"), "{ran:#?}");
    room.write("net.toml", LINE);
    let ran = room.train("none", &[]).expect(0);
    assert!(!ran.err.contains("far outside"), "{ran:#?}");
}

// ---- counts ----

/// Counts with the mean 40 beside a yes or no; `x` decides both. Rows with `w` = 3 count three
/// times.
fn counts() -> String {
    let mut text = String::from("x,u,visits,yes,w\n");
    for row in 0..120 {
        let [x, u] = [0, 1].map(|stream| normal(5, Purpose::Synthetic, stream, row));
        text += &format!(
            "{x:.4},{u:.4},{},{},{}\n",
            20 + 40 * (row % 2),
            u8::from(x > 0.0),
            1 + 2 * (row % 2)
        );
    }
    text
}

const COUNTS: &str = "[data]\ntrain = \"train.csv\"\nsplit = [1.0, 0.0, 0.0]\nignore = [\"w\", \
                      \"yes\"]\n[trunk]\nlayers = [4]\n[task.visits]\ntype = \
                      \"count\"\n[optimizer]\nlearning_rate = 1e-9\n[train]\nepochs = \
                      1\nbatch_size = 40\n";

/// The evaluation of a model on its training rows, as JSON; with `plain` its loss is not multiplied
/// by the factor.
fn evaluated(room: &Room, run: &str, plain: bool) -> Value {
    let (model, path) = (format!("{run}-copy"), |name: &str| room.path(name));
    std::fs::create_dir_all(path(&model)).unwrap();
    for file in ["model.safetensors", "schema.json", "config.json"] {
        std::fs::copy(path(&format!("{run}/model/{file}")), path(&format!("{model}/{file}")))
            .unwrap();
    }
    if plain {
        let config = room.text(&format!("{run}/model/config.json"));
        let mut config: Value = serde_json::from_str(&config).unwrap();
        head_of(&mut config)["loss"].as_object_mut().unwrap().remove("factor").expect("a factor");
        room.write(&format!("{model}/config.json"), config.to_string());
    }
    let out =
        room.on_reference(&["evaluate", &model, "--data", "train.csv", "--json"]).expect(0).out;
    serde_json::from_str(&out).unwrap()
}

/// The first task in the configuration of a model.
fn head_of(config: &mut Value) -> &mut Value {
    let network = if config.get("network").is_some() { &mut config["network"] } else { config };
    &mut network["tasks"][0]
}

/// The number with this name, anywhere in a JSON value.
fn number(value: &Value, name: &str) -> Option<f64> {
    match value {
        Value::Object(object) => {
            let here = object.get(name).and_then(Value::as_f64);
            here.or_else(|| object.values().find_map(|value| number(value, name)))
        }
        Value::Array(values) => values.iter().find_map(|value| number(value, name)),
        _ => None,
    }
}

/// The factor of the loss of the first task of a run.
fn factor(room: &Room, run: &str) -> f64 {
    let mut config: Value =
        serde_json::from_str(&room.text(&format!("{run}/model/config.json"))).unwrap();
    head_of(&mut config)["loss"].get("factor").map_or(1.0, |factor| factor.as_f64().unwrap())
}

/// The bias of the first output of a run.
fn bias(room: &Room, run: &str) -> f64 {
    let bytes = room.bytes(&format!("{run}/model/model.safetensors"));
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let bias = tensors.tensor("task.visits.0.bias").unwrap();
    f64::from(f32::from_le_bytes(bias.data()[..4].try_into().unwrap()))
}

#[test]
fn the_loss_of_a_count_is_divided_by_its_mean() {
    let room = room(&counts());
    room.write("net.toml", COUNTS);
    room.train("mean", &[])
        .expect(0)
        .says(&["the loss of task \"visits\" is per unit of its mean, 40 (scale_loss = false \
                 turns it off)"]);
    // Half of the rows weigh three times as much: (20 + 3 · 60) / 4.
    let weights = ["--set", "data.row_weight=w", "--set", "data.ignore=[\"yes\"]"];
    room.train("weighted", &weights).expect(0).says(&["per unit of its mean, 50 "]);
    room.train("on-disk", &[&weights[..], &["--set", "data.memory=4000"]].concat())
        .expect(0)
        .says(&["per unit of its mean, 50 "]);
    let off = ["--set", "task.visits.scale_loss=false"];
    let plain = room.train("off", &off).expect(0);
    assert!(!plain.err.contains("per unit"), "{plain:#?}");
    room.train("weighted-off", &[&weights[..], &off].concat()).expect(0);
    room.write("net.toml", format!("version = \"0.1\"\n{COUNTS}"));
    assert!(!room.train("old", &[]).expect(0).err.contains("per unit"));
    for (run, mean) in [("mean", 40.0), ("weighted", 50.0), ("on-disk", 50.0)] {
        assert!((factor(&room, run) - 1.0 / mean).abs() < 1e-15, "{run}: {}", factor(&room, run));
        // Nothing has been learnt yet: the rate begins at the mean, and without the factor at 1.
        assert!((bias(&room, run) - f64::ln(mean)).abs() < 1e-6, "{run}: {}", bias(&room, run));
        let (own, plain) = (evaluated(&room, run, false), evaluated(&room, run, true));
        let [a, b] =
            [&own, &plain].map(|found| number(found, "loss").unwrap_or_else(|| panic!("{found}")));
        assert!((a * mean / b - 1.0).abs() < 1e-6, "{run}: {a} · {mean} is not {b}");
        for metric in ["deviance", "rmse", "mae"] {
            assert_eq!(number(&own, metric).unwrap(), number(&plain, metric).unwrap(), "{metric}");
        }
    }
    for run in ["off", "weighted-off", "old"] {
        assert!(factor(&room, run) == 1.0 && bias(&room, run).abs() < 1e-6, "{run}");
    }
    assert!(
        !room.text("old/model/schema.json").contains("mean")
            && !room.text("off/model/config.json").contains("factor")
    );
    assert!(
        room.text("off/config.toml").contains("scale_loss = false")
            && room.text("mean/config.toml").contains("scale_loss = true")
    );
    room.write("net.toml", COUNTS.replace("\"count\"", "\"regression\"\nscale_loss = true"));
    room.train("wrong", &[]).refused(78, &["task.visits.scale_loss", "count"]);
    room.write(
        "train.csv",
        counts()
            .lines()
            .map(|line| line.replace(",20,", ",0,").replace(",60,", ",0,") + "\n")
            .collect::<String>(),
    );
    room.write("net.toml", COUNTS);
    room.train("zeros", &[]).expect(0).says(&[
        "task \"visits\" has no count above 0 in the training part, so its loss is not divided",
    ]);
}

/// A count in the hundreds beside a yes or no that is easy to learn: the yes or no is learnt as
/// well as without the count.
#[test]
fn a_large_count_does_not_dominate_another_task() {
    let mut text = String::from("x,u,visits,yes\n");
    for row in 0..240 {
        let [x, u, noise] = [0, 1, 2].map(|stream| normal(9, Purpose::Synthetic, stream, row));
        let visits = (300.0 * (0.5 * u + 0.3 * noise).exp()).round();
        text += &format!("{x:.4},{u:.4},{visits},{}\n", u8::from(x > 0.0));
    }
    let room = room(&text);
    let net = |more: &str| {
        format!(
            "[data]\ntrain = \"train.csv\"\nsplit = [0.5, 0.0, 0.5]\n[trunk]\nlayers = \
             [8]\n[task.visits]\ntype = \"count\"\n{more}\n[task.yes]\ntype = \
             \"binary\"\n[optimizer]\nclip_norm = 1.0\nlearning_rate = 3e-3\n[train]\nepochs = \
             30\nbatch_size = 16\n"
        )
    };
    let accuracy = |run: &str, more: &str| {
        room.write("net.toml", net(more));
        room.train(run, &[]).expect(0);
        let found =
            room.on_reference(&["evaluate", run, "--data", "train.csv", "--json"]).expect(0).out;
        let found: Value = serde_json::from_str(&found).unwrap();
        found.to_string()
    };
    let number = |text: &str| {
        let at = text.find("\"accuracy\":").unwrap_or_else(|| panic!("{text}")) + 11;
        text[at..].split([',', '}']).next().unwrap().parse::<f64>().unwrap()
    };
    let (scaled, plain) =
        (number(&accuracy("scaled", "")), number(&accuracy("plain", "scale_loss = false")));
    assert!(scaled >= 0.95 && plain < scaled, "{scaled} scaled, {plain} not");
}

// ---- inputs that no training row has ----

/// A table with: categories a, b, c, none of them rare; words; a category whose rare values share
/// an input; a category with vectors; a number.
fn unmet() -> String {
    let mut text = String::from("kind,note,rare,v,x,w,y\n");
    for row in 0..60u32 {
        let rare =
            if row < 3 { format!("once{row}") } else { ["p", "q"][row as usize % 2].to_owned() };
        let note = ["red fish", "blue fish", "old hat"][row as usize % 3];
        // The only rows with kind c, and with blanks in x, have the weight 0.
        let (kind, x, w) = if row >= 57 {
            ("c", String::new(), 0)
        } else {
            (["a", "b"][row as usize % 2], row.to_string(), 1)
        };
        text += &format!(
            "{kind},{note},{rare},v{},{x},{w},{}\n",
            row % 4,
            ["no", "yes", "may"][row as usize % 3]
        );
    }
    text
}

fn unmet_net(version: &str, data: &str, trunk: &str) -> String {
    format!(
        "version = \"{version}\"\n[data]\ntrain = \"train.csv\"\nsplit = [1.0, 0.0, \
         0.0]\nrow_weight = \"w\"\n{data}\n[feature.note]\ntype = \"text\"\nbuckets = 32\nembed = \
         0\n[feature.v]\ntype = \"category\"\nembed = 3\n[trunk]\n{trunk}\n[task.y]\nlayers = \
         [3]\n[train]\nepochs = 1\nbatch_size = 16\n"
    )
}

#[test]
fn inputs_that_no_training_row_has_begin_at_zero() {
    let room = room(&unmet());
    for (trunk, reader) in [("layers = [5]", "trunk.0"), ("layers = []", "task.y.0")] {
        let (old, new) =
            (plan(&room, &unmet_net("0.1", "", trunk)), plan(&room, &unmet_net("0.2", "", trunk)));
        let (before, now) = (old.initial().unwrap(), new.initial().unwrap());
        // Learned inputs come first: three of v. Then kind (a, b, c, others), note, rare (p, q,
        // others), x and whether it is blank.
        let Input::Columns { columns } = &new.parts.schema.input else { panic!() };
        let mut expected = vec![true; 3];
        for column in columns.iter().filter(|column| column.vectors() == 0) {
            match column.name.as_str() {
                "kind" => expected.extend([true, true, false, false]),
                "note" => expected.extend((0..32).map(|bucket| {
                    buckets(&["red fish", "blue fish", "old hat"]).contains(&bucket)
                })),
                "rare" => expected.extend([true, true, true]),
                "x" => expected.extend([true, false]),
                other => panic!("{other}"),
            }
        }
        let seen = Seen::of(&new.parts.schema.input, &new.parts.train).unwrap().unwrap();
        assert_eq!(seen.inputs, expected, "{trunk}");
        assert_eq!(seen.vectors, [vec![true, true, true, true, false]]);
        let block = new
            .layout
            .blocks
            .iter()
            .find(|block| block.name == format!("{reader}.weight"))
            .unwrap();
        for (at, (before, now)) in before.iter().zip(&now).enumerate() {
            let input = at
                .checked_sub(block.offset)
                .filter(|at| *at < block.len)
                .map(|at| at % block.shape[1]);
            match input.is_some_and(|input| !expected[input]) {
                true => assert!(*now == 0.0 && *before != 0.0, "input {input:?}"),
                false => assert_eq!(before.to_bits(), now.to_bits(), "place {at}"),
            }
        }
    }
}

/// Rows on disk have the same inputs as rows in memory.
#[test]
fn inputs_that_no_training_row_has_are_the_same_on_disk() {
    let room = room(&unmet());
    let parts = parts(&room, &unmet_net("0.2", "memory = 3000", "layers = [5]"));
    let stored = parts.train.stored().expect("larger than the memory");
    let words = stored.fetch(0..parts.train.rows).unwrap();
    let in_memory = Dataset {
        features: Features::Cells { values: words, slots: stored.slots },
        ..(*parts.train).clone()
    };
    let (seen, expected) = (
        Seen::of(&parts.schema.input, &parts.train).unwrap(),
        Seen::of(&parts.schema.input, &in_memory).unwrap(),
    );
    assert!(
        seen == expected
            && seen.is_some_and(|seen| seen.inputs.contains(&false) && seen.inputs.contains(&true))
    );
}

/// The buckets of some words.
fn buckets(texts: &[&str]) -> Vec<u32> {
    let mut found = Vec::new();
    for text in texts {
        tandem::data::value::words::Hashing { buckets: 32, ngrams: 0 }.buckets(text, |bucket| {
            found.push(bucket);
            true
        });
    }
    found
}

/// An unknown value in a column adds nothing, so the prediction is the same as with zeros there,
/// for any seed.
#[test]
fn vectors_of_words_that_no_training_row_has_begin_at_zero() {
    let room = room(&unmet());
    let net = unmet_net("0.2", "", "layers = [5]").replace("embed = 0", "embed = 4");
    let plan = plan(&room, &net);
    let (initial, known) =
        (plan.initial().unwrap(), buckets(&["red fish", "blue fish", "old hat"]));
    let block = plan.layout.embeddings().iter().find(|block| block.name.contains("note")).unwrap();
    for (bucket, vector) in initial[block.offset..][..block.len].chunks(4).enumerate() {
        assert_eq!(
            vector.iter().all(|x| *x == 0.0),
            !known.contains(&(bucket as u32)),
            "bucket {bucket}"
        );
    }
}

/// A row of unknown values, after training with two seeds: the weights of its inputs are still
/// zeros, so the prediction comes from the other columns and the biases.
#[test]
fn inputs_that_were_never_trained_add_nothing() {
    let mut text = String::from("workclass,sex,y\n");
    for row in 0..60 {
        text += &format!(
            "{},{},{}\n",
            ["sales", "tech", "farm"][row % 3],
            ["Male", "Female"][row / 3 % 2],
            row % 3 * 10 + row / 3 % 2
        );
    }
    let room = room(&text);
    let net = "[data]\ntrain = \"train.csv\"\nsplit = [1.0, 0.0, 0.0]\n[feature.sex]\ntype = \
               \"category\"\n[trunk]\nlayers = [6]\n[task.y]\ntype = \
               \"regression\"\n[train]\nepochs = 4\nbatch_size = 8\n";
    room.write("net.toml", net);
    for seed in ["1", "2"] {
        room.train(seed, &["--set", &format!("train.seed={seed}")]).expect(0);
        let bytes = room.bytes(&format!("{seed}/model/model.safetensors"));
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let weights = tensors.tensor("trunk.0.weight").unwrap();
        let width = weights.shape()[1];
        let rows = weights
            .data()
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect::<Vec<_>>();
        // farm, sales, tech, others; Female, Male, others.
        for row in rows.chunks(width) {
            let zeros: Vec<bool> = row.iter().map(|x| *x == 0.0).collect();
            assert_eq!(zeros, [false, false, false, true, false, false, true], "{row:?}");
        }
    }
}
