//! Warnings about several columns that together give a label away: sums and differences of labels,
//! sums and differences of features, the index that pandas writes. The tables are made by formulas,
//! so it is known what has to be found; for ordinary tables there must be no warning.

use crate::common::program::Room;
use tandem::config::read::from_text;
use tandem::data::load::door::load;
use tandem::rng::{Purpose, normal, uniform};

const ROWS: u64 = 300;

fn room(table: &str) -> Room {
    let room = Room::new("");
    room.write("train.csv", table);
    room
}

/// The notices about a table, under a configuration without its first lines.
fn notices(table: &str, tasks: &str) -> Vec<String> {
    let room = room(table);
    let text = format!("[data]\ntrain = \"train.csv\"\nsplit = [0.9, 0.1, 0.0]\n{tasks}");
    let config = from_text(&text, "net.toml", &room.path(""), &[]).unwrap();
    load(&config.data, &config.tasks)
        .unwrap()
        .notices
        .into_iter()
        .filter(|notice| !notice.contains("per unit of its mean"))
        .collect()
}

fn regression(name: &str) -> String {
    format!("[task.{name}]\ntype = \"regression\"\n")
}

/// Makes a cell from the random numbers of its row.
type Formula<'f> = &'f dyn Fn(&[f64]) -> String;

/// A table with a formula for each column.
fn table(columns: &[(&str, Formula)], seed: u64) -> String {
    let mut text = columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(",") + "\n";
    for row in 0..ROWS {
        let z: Vec<f64> =
            (0..6).map(|stream| normal(seed, Purpose::Synthetic, stream, row)).collect();
        text += &(columns.iter().map(|(_, of)| of(&z)).collect::<Vec<_>>().join(",") + "\n");
    }
    text
}

fn whole(x: f64) -> String {
    format!("{:.0}", x)
}

/// Rented bicycles: casual and registered riders, beside the sum of both.
#[test]
fn a_feature_that_is_the_sum_of_labels_is_reported_with_its_formula() {
    let casual = |z: &[f64]| (30.0 + 10.0 * z[0] + 5.0 * z[1]).max(0.0).round();
    let registered = |z: &[f64]| (120.0 + 40.0 * z[1] + 20.0 * z[2]).max(0.0).round();
    let text = table(
        &[
            ("temp", &|z| format!("{:.3}", z[0] + z[3])),
            ("bikers", &|z| whole(casual(z) + registered(z))),
            ("excess", &|z| whole(2.0 * registered(z) - casual(z) + 7.0)),
            ("half", &|z| format!("{:.1}", 0.5 * casual(z) + registered(z) + 40.0 * z[4])),
            ("casual", &|z| whole(casual(z))),
            ("registered", &|z| whole(registered(z))),
        ],
        1,
    );
    let expected = |formulas: [&str; 2]| {
        ["bikers", "excess"]
            .into_iter()
            .zip(formulas)
            .map(|(column, formula)| format!("column \"{column}\" is {formula}: is it known"))
            .collect::<Vec<_>>()
    };
    for kind in ["regression", "count"] {
        let found = notices(
            &text,
            &format!("[task.casual]\ntype = \"{kind}\"\n[task.registered]\ntype = \"{kind}\"\n"),
        );
        let expected = expected(["casual + registered", "2 registered - casual + 7"]);
        assert_eq!(found.len(), 2, "{found:?}");
        found.iter().zip(&expected).for_each(|(found, expected)| {
            assert!(found.starts_with(expected), "{found}, expected {expected}")
        });
    }
    let found = notices(
        &text,
        "[task.both]\ntype = \"regression\"\ntarget = [\"casual\", \"registered\"]\n",
    );
    assert!(
        found.len() == 2 && found[0].contains("bikers") && found[0].contains("casual + registered"),
        "{found:?}"
    );
    // Where one of the two is a feature, the other one is a difference of features.
    let found =
        notices(&text, "[feature.excess]\ntype = \"ignore\"\n[task.casual]\ntype = \"count\"\n");
    let expected = "columns \"bikers\", \"registered\" together determine a label, casual = \
                    bikers - registered: are all known";
    assert!(found.len() == 1 && found[0].starts_with(expected), "{found:?}");
}

#[test]
fn a_label_that_is_a_sum_of_features_is_reported_with_them() {
    let number = |x: f64| format!("{x:.4}");
    for (formula, of) in [
        ("a + b + c", &(|z: &[f64]| z[0] + z[1] + z[2]) as &dyn Fn(&[f64]) -> f64),
        ("a - b", &|z| z[0] - z[1]),
        ("2 a + c - 0.5 b + 3", &|z| 2.0 * z[0] - 0.5 * z[1] + z[2] + 3.0),
        ("-a - d + 10", &|z| 10.0 - z[0] - z[3]),
        ("a + b + c + d", &|z| z[0] + z[1] + z[2] + z[3]),
    ] {
        for blank in [0.0, 0.2] {
            let cell = |x: f64, seed: f64| {
                if (seed * 1e4).fract().abs() < blank { String::new() } else { number(x) }
            };
            let text = table(
                &[
                    ("a", &|z| cell(z[0], z[5])),
                    ("b", &|z| number(z[1])),
                    ("c", &|z| cell(z[2], z[4])),
                    ("d", &|z| number(z[3])),
                    ("e", &|z| number(z[4] + z[0])),
                    ("y", &|z| number(of(z))),
                ],
                2,
            );
            let found = notices(&text, &regression("y"));
            let pieces = ["together determine a label, y = ", &format!("= {formula}: ")];
            assert!(
                found.len() == 1 && pieces.iter().all(|piece| found[0].contains(piece)),
                "{formula}, {blank} blank: {found:?}"
            );
        }
    }
}

/// The number of tags of a row says nearly everything about the tags.
#[test]
fn a_count_of_several_yes_is_reported() {
    let yes = |x: f64| u8::from(x > 0.3);
    let tags = |z: &[f64]| yes(z[0]) + yes(z[1]) + yes(z[2]);
    let text = table(
        &[
            ("x", &|z| format!("{:.3}", z[0] + z[3])),
            ("tags", &|z| tags(z).to_string()),
            ("p", &|z| yes(z[0]).to_string()),
            ("q", &|z| yes(z[1]).to_string()),
            ("r", &|z| yes(z[2]).to_string()),
        ],
        3,
    );
    let found = notices(
        &text,
        "[feature.tags]\ntype = \"numeric\"\n[task.t]\ntype = \"multilabel\"\ntarget = [\"p\", \
         \"q\", \"r\"]\n",
    );
    assert!(
        found.len() == 1 && found[0].starts_with("column \"tags\" is p + q + r: "),
        "{found:?}"
    );
    // The other way round: the label is a number of yes, and the yes and no columns are features.
    let found = notices(&text, &regression("tags"));
    assert!(found.len() == 1 && found[0].contains("tags = p + q + r: "), "{found:?}");
}

/// What one column says by itself is reported once, with and without blanks.
#[test]
fn a_single_column_that_gives_a_label_away_is_reported_once() {
    let text = table(
        &[
            ("a", &|z| format!("{:.4}", z[0])),
            ("b", &|z| format!("{:.4}", z[1])),
            ("copy", &|z| {
                if z[5] > 1.0 { String::new() } else { format!("{:.4}", 3.0 - 2.0 * z[2]) }
            }),
            ("y", &|z| format!("{:.4}", z[2])),
        ],
        4,
    );
    let found = notices(&text, &regression("y"));
    assert!(
        found.len() == 1 && found[0].starts_with("column \"copy\" nearly determines task \"y\""),
        "{found:?}"
    );
}

/// Labels that determine each other are not a fault; nor are such features.
#[test]
fn relations_among_labels_or_among_features_are_not_reported() {
    let text = table(
        &[
            ("a", &|z| format!("{:.4}", z[0])),
            ("b", &|z| format!("{:.4}", z[1])),
            ("sum", &|z| format!("{:.4}", z[0] + z[1])),
            ("y", &|z| format!("{:.4}", z[0] + z[2])),
            ("twice", &|z| format!("{:.4}", 2.0 * z[0] + 2.0 * z[2])),
        ],
        5,
    );
    let found = notices(&text, &(regression("y") + &regression("twice")));
    assert!(found.is_empty(), "{found:?}");
}

/// Three ordinary tables: buildings, whose measures are related; rents, with much noise; a series
/// over time with trends.
#[test]
fn ordinary_tables_raise_no_alarm() {
    let buildings = table(
        &[
            ("compactness", &|z| format!("{:.2}", 0.75 + 0.1 * z[0])),
            ("surface", &|z| format!("{:.1}", 670.0 - 88.0 * z[0] + 4.0 * z[0] * z[0])),
            ("wall", &|z| format!("{:.1}", 318.0 + 43.0 * z[1])),
            ("roof", &|z| {
                format!(
                    "{:.1}",
                    (670.0 - 88.0 * z[0] + 4.0 * z[0] * z[0] - 318.0 - 43.0 * z[1]) / 2.0
                )
            }),
            ("glazing", &|z| {
                ["0", "0.1", "0.25", "0.4"][(z[2].abs() * 2.0) as usize % 4].to_owned()
            }),
            ("heating", &|z| {
                format!(
                    "{:.2}",
                    22.0 + 9.0 * z[0] + 2.0 * z[0] * z[1] + 20.0 * (z[2].abs() * 0.1) + 0.8 * z[3]
                )
            }),
            ("cooling", &|z| {
                format!(
                    "{:.2}",
                    24.0 + 8.0 * z[0] + 2.5 * z[0] * z[1] + 12.0 * (z[2].abs() * 0.1) + 1.5 * z[4]
                )
            }),
        ],
        6,
    );
    let rents = table(
        &[
            ("rooms", &|z| whole((3.0 + z[0]).clamp(1.0, 6.0))),
            ("area", &|z| format!("{:.0}", 70.0 + 20.0 * z[0] + 8.0 * z[1])),
            ("year", &|z| whole(1970.0 + 20.0 * z[2])),
            ("rent", &|z| {
                format!("{:.0}", 500.0 + 150.0 * z[0] + 80.0 * z[1] + 30.0 * z[2] + 60.0 * z[3])
            }),
            ("heated", &|z| u8::from(z[2] + z[4] > 0.0).to_string()),
        ],
        7,
    );
    let mut course = String::from("hour,load,lag,warmth,demand\n");
    for row in 0..ROWS {
        let (t, noise) = (row as f64, |stream| normal(8, Purpose::Synthetic, stream, row));
        let load = 100.0 + 0.1 * t + 20.0 * (t / 24.0 * std::f64::consts::TAU).sin();
        let warmth = 10.0 + 8.0 * (t / 24.0).sin() + noise(1);
        course += &format!(
            "{},{load:.2},{:.2},{warmth:.2},{:.2}\n",
            row % 24,
            load + 3.0 * noise(2),
            load - 0.5 * warmth + 4.0 * noise(3)
        );
    }
    for (name, text, tasks) in [
        ("buildings", &buildings, regression("heating") + &regression("cooling")),
        ("rents", &rents, regression("rent") + "[task.heated]\ntype = \"binary\"\n"),
        ("course", &course, regression("demand")),
    ] {
        let found = notices(text, &tasks);
        assert!(found.is_empty(), "{name}: {found:?}");
    }
}

/// With many columns and few rows, a sum of four columns says much by chance, but not nearly
/// everything.
#[test]
fn chance_raises_no_alarm() {
    for seed in 0..5 {
        let mut text = (0..80).map(|at| format!("x{at},")).collect::<String>() + "y\n";
        for row in 0..60 {
            (0..80).for_each(|at| {
                text += &format!("{:.3},", uniform(seed, Purpose::Synthetic, at, row))
            });
            text += &format!("{:.3}\n", uniform(seed, Purpose::Synthetic, 99, row));
        }
        let found = notices(&text, &regression("y"));
        assert!(found.is_empty(), "{found:?}");
    }
}

// ---- the index of pandas ----

/// A table with one more column in front; `of` gives its cell from the number of the row.
fn indexed(name: &str, of: impl Fn(u64) -> String) -> String {
    let row = |row: u64| {
        format!("{},{:.3},{}\n", of(row), normal(11, Purpose::Synthetic, 0, row), row % 2)
    };
    format!("{name},x,y\n{}", (0..60).map(row).collect::<String>())
}

const NET: &str = "[data]\ntrain = \"train.csv\"\n[trunk]\nlayers = [3]\n[task.y]\ntype = \
                   \"binary\"\n[train]\nepochs = 1\n";

#[test]
fn the_index_of_pandas_is_no_feature() {
    let shuffled = |row: u64| (row * 7 % 60).to_string();
    let counted = |row: u64| row.to_string();
    for (name, of) in [
        ("Unnamed: 0", &counted as &dyn Fn(u64) -> String),
        ("", &counted),
        ("", &shuffled),
        ("index", &counted),
        ("__index_level_0__", &counted),
        ("level_0", &|row| (row + 1000).to_string()),
        // Two files, one after the other.
        ("index", &|row| (row % 30).to_string()),
        ("Unnamed: 0", &shuffled),
    ] {
        let room = room(&indexed(name, of));
        room.write("net.toml", NET);
        let column = if name.is_empty() { "Unnamed: 0" } else { name };
        let said = format!("column \"{column}\" numbers the rows, as pandas writes its index");
        room.train("run", &[]).expect(0).says(&[&said, "it is dropped"]);
        assert!(!room.text("run/model/schema.json").contains(column), "{name}");
        room.train("on-disk", &["--set", "data.memory=2000"]).expect(0).says(&[&said]);
        let init = room.run(&["init", "--data", "train.csv", "--target", "y"]).expect(0);
        assert!(init.out.contains(&format!("ignore = [\"{column}\"]")), "{name}: {}", init.out);
        room.on_reference(&["predict", "run", "--data", "train.csv"]).expect(0);
    }
}

#[test]
fn a_column_that_is_not_an_index_stays_a_feature() {
    for (name, of) in [
        ("index", &(|row: u64| (row * 7 % 60).to_string()) as &dyn Fn(u64) -> String),
        ("index", &|row| (row / 2).to_string()),
        ("Unnamed: 0", &|row| format!("{}.5", row)),
        ("Unnamed: 0", &|row| (row / 2).to_string()),
        ("step", &|row| row.to_string()),
    ] {
        let room = room(&indexed(name, of));
        room.write("net.toml", NET);
        let ran = room.train("run", &[]).expect(0);
        assert!(
            !ran.err.contains("pandas") && room.text("run/model/schema.json").contains(name),
            "{name}: {ran:#?}"
        );
    }
    // A user who names the column in the configuration keeps it, and tandem 0.1.0 took it for a
    // number.
    let room = room(&indexed("index", |row| row.to_string()));
    for (run, net) in [
        ("named", format!("{NET}[feature.index]\ntype = \"numeric\"\n")),
        ("old", format!("version = \"0.1\"\n{NET}")),
    ] {
        room.write("net.toml", net);
        assert!(!room.train(run, &[]).expect(0).err.contains("pandas"));
        assert!(room.text(&format!("{run}/model/schema.json")).contains("index"));
    }
}

#[test]
fn a_first_column_without_a_name_has_to_count_rows() {
    for (header, cell) in [("", "red"), ("", "1.5"), ("", "7")] {
        let room = room(&indexed(header, |_| cell.to_owned()));
        room.write("net.toml", NET);
        room.train("run", &[]).refused(65, &["column 1 of the header has no name", "index=False"]);
    }
    let room = room("a,,y\n1,1,0\n2,2,1\n3,3,0\n");
    room.write("net.toml", NET);
    room.train("run", &[]).refused(65, &["column 2 of the header has no name"]);
    let text: String =
        indexed("", |row| row.to_string()).lines().map(|line| line.to_owned() + ",\n").collect();
    room.write("train.csv", text);
    room.train("run", &[]).refused(65, &["column 4 of the header has no name"]);
    // A name that exists already is not used twice.
    let text = indexed("Unnamed: 0", |row| row.to_string());
    let twice: String = text
        .lines()
        .enumerate()
        .map(|(at, line)| {
            format!("{},{line}\n", if at == 0 { String::new() } else { (at - 1).to_string() })
        })
        .collect();
    room.write("train.csv", twice);
    room.train("twice", &[])
        .expect(0)
        .says(&["\"Unnamed: 0\" numbers the rows", "\"Unnamed: 0.1\" numbers the rows"]);
}
