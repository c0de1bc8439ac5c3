//! How texts are interpreted: blanks, numbers, dates, yes and no, equal values in different
//! spellings. It is the same in training, in `init`, in `inspect` and where a model is applied.

use std::collections::BTreeMap;

use crate::common::program::Room;
use serde_json::Value;
use tandem::config::read::from_text;
use tandem::data::load::door::{load, load_with};
use tandem::data::value::alike::{spellings, truth};
use tandem::data::value::blanks::{is_blank, is_blank_between};
use tandem::data::value::dates::{Date, DateOrder};
use tandem::data::value::notation::Notation;
use tandem::data::{Column, Dataset, Encoding, Features, Input, Parts, UNLABELLED};

/// Reads a table of these lines with a configuration.
fn parts(lines: &str, config: &str) -> Parts {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("d.csv"), lines).unwrap();
    let text = format!("[data]\ntrain = \"d.csv\"\nsplit = [1.0, 0.0, 0.0]\n{config}");
    let config = from_text(&text, "c.toml", dir.path(), &[]).unwrap();
    load(&config.data, &config.tasks).unwrap_or_else(|e| panic!("{e:#}"))
}

fn columns(parts: &Parts) -> BTreeMap<&str, &Column> {
    let Input::Columns { columns } = &parts.schema.input else { panic!() };
    columns.iter().map(|column| (column.name.as_str(), column)).collect()
}

fn said(parts: &Parts, piece: &str) {
    assert!(
        parts.notices.iter().any(|n| n.contains(piece)),
        "no {piece:?} in {:#?}",
        parts.notices
    );
}

fn floats(data: &Dataset) -> Vec<f32> {
    match &data.features {
        Features::F32(values) => values.clone(),
        Features::Cells { values: words, .. } => words.iter().map(|w| f32::from_bits(*w)).collect(),
        _ => unreachable!(),
    }
}

/// A hundred rows of a number and its double.
fn rows(number: impl Fn(usize) -> String) -> String {
    (0..100).map(|i| format!("{},{}\n", number(i), 2 * i)).collect()
}

const REGRESSION: &str = "[task.y]\ntype = \"regression\"\n";

/// Numbers are read as pandas reads them with `thousands` and `decimal`, and refused where pandas
/// refuses them.
#[test]
fn numbers_are_read_in_three_notations() {
    let cases: [(&str, [Option<f64>; 3]); 20] = [
        ("1234.5", [Some(1234.5), Some(1234.5), None]),
        ("-1e-3", [Some(-0.001), Some(-0.001), Some(-0.001)]),
        ("12", [Some(12.0); 3]),
        ("6,579.67", [None, Some(6579.67), None]),
        ("6.579,67", [None, None, Some(6579.67)]),
        ("6579,67", [None, None, Some(6579.67)]),
        ("6,579", [None, Some(6579.0), Some(6.579)]),
        ("6.579", [Some(6.579), Some(6.579), Some(6579.0)]),
        ("-0,79", [None, None, Some(-0.79)]),
        ("1 234 567,5", [None, None, Some(1_234_567.5)]),
        ("1\u{a0}234", [None, Some(1234.0), Some(1234.0)]),
        ("1'234.50", [None, Some(1234.5), None]),
        ("−3", [None, Some(-3.0), Some(-3.0)]),
        (",5", [None, None, Some(0.5)]),
        ("1,23,456", [None, None, None]),
        ("12,34.5", [None, None, None]),
        ("1,234,56", [None, None, None]),
        ("--1", [None; 3]),
        ("1.2.3", [None; 3]),
        ("12 kg", [None; 3]),
    ];
    for (text, expected) in cases {
        assert_eq!(Notation::ALL.map(|notation| notation.read(text)), expected, "{text}");
    }
}

/// Seconds since 1970 as `date -u -d … +%s` gives them.
#[test]
fn dates_are_read_in_three_orders_and_with_offsets() {
    let seconds = |text: &str, order| {
        Date::read_as(text, order)
            .map(|date: Date| date.days as f64 * 86_400.0 + date.seconds.unwrap_or(0.0))
    };
    use DateOrder::{Dmy, Mdy, Ymd};
    let cases = [
        ("2022-01-30 09:28:50+00:00", Ymd, 1_643_534_930.0),
        ("2022-01-30T09:28:50Z", Ymd, 1_643_534_930.0),
        ("2022-01-30T10:28:50+01:00", Ymd, 1_643_534_930.0),
        ("2022-01-29T23:28:50-1000", Ymd, 1_643_534_930.0),
        ("2022-01-01T00:30:00+02:00", Ymd, 1_640_989_800.0),
        ("2022-01-30 09:28:50.250 UTC", Ymd, 1_643_534_930.25),
        ("2022/1/30", Ymd, 1_643_500_800.0),
        ("01/30/2022", Mdy, 1_643_500_800.0),
        ("1/30/22 9:28 AM", Mdy, 1_643_534_880.0),
        ("1/30/2022 12:05 AM", Mdy, 1_643_501_100.0),
        ("1/30/2022 12:05:00 pm", Mdy, 1_643_544_300.0),
        ("30.01.2022 09:28", Dmy, 1_643_534_880.0),
        ("30/1/99", Dmy, 917_654_400.0),
        ("29.02.2024", Dmy, 1_709_164_800.0),
    ];
    for (text, order, expected) in cases {
        assert_eq!(seconds(text, order), Some(expected), "{text}");
    }
    let none = [
        ("29.02.2023", Dmy),
        ("30/01/2022", Mdy),
        ("2022-01-30T25:00", Ymd),
        ("2022-01-30T09:00+25:00", Ymd),
        ("13:00 PM", Mdy),
        ("1/30/2022 13:05 PM", Mdy),
        ("22-01-30", Ymd),
        ("2022-01/30", Ymd),
        ("2022-01-30-01", Ymd),
        ("é", Ymd),
        ("1/é/2022", Mdy),
        ("", Ymd),
    ];
    for (text, order) in none {
        assert_eq!(Date::read_as(text, order), None, "{text}");
    }
    let date = Date::read_as("2022-01-01T00:30:00+02:00", Ymd).unwrap();
    assert_eq!(
        (date.month, date.day, date.seconds, date.weekday()),
        (12, 31, Some(81_000.0), 4),
        "the Friday before, in UTC"
    );
}

#[test]
fn words_for_blank() {
    for text in ["", "NA", "N/A", "\\N", "#VALUE!", "?", "NaN", "null"] {
        assert!(is_blank(text) && is_blank_between(text), "{text}");
    }
    for text in ["None", "-", "--", "n/d", "missing", "Unknown"] {
        assert!(!is_blank(text) && is_blank_between(text), "{text}");
    }
    for text in ["0", "x", "inf", "nano", "north"] {
        assert!(!is_blank_between(text), "{text}");
    }
}

#[test]
fn a_column_of_numbers_with_words_for_blank_is_one_of_numbers() {
    for (word, count) in [
        ("NA", 36),
        ("None", 36),
        ("#VALUE!", 20),
        ("\\N", 15),
        ("-", 50),
        ("?", 1),
        ("not tested", 30),
    ] {
        let lines = "x,y\n".to_owned()
            + &rows(|i| if i < count { word.to_owned() } else { format!("{}.5", 3 * i) });
        let found = parts(&lines, REGRESSION);
        let column = columns(&found)["x"];
        assert!(
            matches!(column.encoding, Encoding::Numeric { indicator: true, .. }),
            "{word}: {:?}",
            column.encoding
        );
        said(&found, &format!("is taken for blank in {count} cells of column \"x\""));
        // The result is the same as with empty cells.
        let blank = "x,y\n".to_owned()
            + &rows(|i| if i < count { String::new() } else { format!("{}.5", 3 * i) });
        assert_eq!(floats(&found.train), floats(&parts(&blank, REGRESSION).train), "{word}");
    }
    // Two texts that repeat are blanks; a third one is refused.
    let two = "x,y\n".to_owned()
        + &rows(|i| ["low".into(), "high".into(), format!("{i}")][i.min(20) / 10].clone());
    assert!(matches!(columns(&parts(&two, REGRESSION))["x"].encoding, Encoding::Numeric { .. }));
    let grades = "x,y\n".to_owned() + &rows(|i| ["1", "2", "3", "A", "B"][i % 5].to_owned());
    assert!(
        matches!(columns(&parts(&grades, REGRESSION))["x"].encoding, Encoding::Category { .. }),
        "codes"
    );
    // If the configuration names texts for blanks, only these are blank.
    let said =
        "x,y\n".to_owned() + &rows(|i| if i % 3 == 0 { "NA".to_owned() } else { format!("{i}") });
    let explicit = parts(&said, "missing = [\"\"]\n[task.y]\ntype = \"regression\"\n");
    assert!(matches!(columns(&explicit)["x"].encoding, Encoding::Category { .. }));
}

#[test]
fn a_slip_in_a_column_of_numbers_is_refused_with_its_line() {
    let room = Room::new("[data]\ntrain = \"d.csv\"\n[task.y]\ntype = \"regression\"\n");
    room.write(
        "d.csv",
        "x,y\n".to_owned() + &rows(|i| if i == 41 { "3O".to_owned() } else { format!("{i}") }),
    );
    room.on_reference(&["train", "net.toml"])
        .refused(65, &["d.csv:43: column \"x\": \"3O\" is not a number"]);
}

#[test]
fn words_for_blank_are_no_labels() {
    let label = |i: usize| ["NA", "lo", "hi"][i % 3];
    let lines =
        "x,k\n".to_owned() + &(0..60).map(|i| format!("{i},{}\n", label(i))).collect::<String>();
    let found = parts(&lines, "[task.k]\n");
    assert_eq!(found.schema.targets[0].classes, ["hi", "lo"]);
    assert_eq!(found.train.labels[0].iter().filter(|label| **label == UNLABELLED).count(), 20);
    said(&found, "\"NA\" is taken for blank in 20 cells of column \"k\"");
    // None is a class like others, and so is a text that the configuration names.
    let none = lines.replace("NA", "None");
    assert_eq!(parts(&none, "[task.k]\n").schema.targets[0].classes, ["None", "hi", "lo"]);
    let named = parts(
        &lines,
        "[task.k]\ntype = \"binary\"\ngroups = { a = [\"NA\"], b = [\"lo\", \"hi\"] }\n",
    );
    assert!(!named.train.labels[0].contains(&UNLABELLED));
}

#[test]
fn equal_values_in_different_spellings_are_one_class() {
    let label =
        |i: usize| [["0", "0", "0.0"], ["1", "1.0", "1"], ["2", "2", "2"]][i % 3][i / 3 % 3];
    let lines =
        "x,k\n".to_owned() + &(0..90).map(|i| format!("{i},{}\n", label(i))).collect::<String>();
    let found = parts(&lines, "[task.k]\n");
    assert_eq!(found.schema.targets[0].classes, ["0", "1", "2"]);
    assert_eq!(found.train.labels[0], (0..90).map(|i| i % 3).collect::<Vec<u32>>());
    said(&found, "labels of task k: \"1.0\" (10 rows) is \"1\" (20 rows) in other words");
    said(&found, "and so on for 1 more");
    let features =
        parts(&lines.replace("x,k", "k,x"), "[feature.x]\ntype = \"category\"\n[task.k]\n");
    let Encoding::Category { values, .. } = &columns(&features)["x"].encoding else { panic!() };
    assert_eq!(values[..], ["0", "1", "2"]);
    said(&features, "column \"x\": \"1.0\"");
    // Codes that begin with a zero are codes, and stay apart.
    let texts = ["01", "1", "1.0", "yes"].map(Into::into);
    assert_eq!(spellings(&texts, &[5, 3, 4, 1]), [0, 2, 2, 3]);
    let truths = ["yes", "Yes", "no", "0", "Y"].map(Into::into);
    assert_eq!(spellings(&truths, &[5, 3, 4, 1, 1]), [0, 0, 2, 2, 0]);
    // Words of several yes/no pairs are categories, and so are numbers that floats cannot
    // distinguish.
    for texts in [
        ["y", "n", "f", "t"],
        ["yes", "no", "-", "?"],
        ["1152921504606846977", "1152921504606846978", "1e3", "1000"],
    ] {
        assert_eq!(spellings(&texts.map(Into::into), &[1, 2, 3, 4]), [0, 1, 2, 3], "{texts:?}");
    }
    assert_eq!(
        ["ja", "nein", "1.0", "0", "off", "2", "-"].map(truth),
        [Some(true), Some(false), Some(true), Some(false), Some(false), None, None]
    );
}

/// A model that was trained on yes and no accepts other spellings.
#[test]
fn yes_and_no_between_files() {
    let dir = tempfile::tempdir().unwrap();
    let lines = |yes: &str, no: &str| {
        "f,x,t\n".to_owned()
            + &(0..40)
                .map(|i| format!("{},{i},{}\n", [yes, no][i % 2], [yes, no][i / 2 % 2]))
                .collect::<String>()
    };
    std::fs::write(dir.path().join("d.csv"), lines("yes", "no")).unwrap();
    let text = "[data]\ntrain = \"d.csv\"\nsplit = [1.0, 0.0, 0.0]\n[task.t]\ntype = \"binary\"\n";
    let config = from_text(text, "c.toml", dir.path(), &[]).unwrap();
    let parts = load(&config.data, &config.tasks).unwrap();
    for (yes, no) in [("Yes", "NO"), ("1", "0"), ("1.0", "0.0"), ("TRUE", "False"), ("y", "n")] {
        let other = dir.path().join("other.csv");
        std::fs::write(&other, lines(yes, no)).unwrap();
        let (read, _) = load_with(&parts.schema, &other.display().to_string(), true).unwrap();
        assert_eq!(
            (&read.labels, floats(&read)),
            (&parts.train.labels, floats(&parts.train)),
            "{yes}"
        );
    }
}

#[test]
fn decimal_commas_and_groups_are_numbers() {
    let de = |i: usize| format!("{},{:02};{},{}", 1000 + 37 * i, i % 100, -(i as i64 % 3), i % 10);
    let lines = "x;z;y\n".to_owned()
        + &(0..100).map(|i| format!("{};{}.0\n", de(i), 3000 + 111 * i)).collect::<String>();
    let found = parts(&lines, REGRESSION);
    let notation = |name: &str| match &columns(&found)[name].encoding {
        Encoding::Numeric { notation, .. } => *notation,
        other => panic!("{name}: {other:?}"),
    };
    assert_eq!([notation("x"), notation("z")], [Notation::Comma; 2]);
    said(&found, "column \"x\": numbers with a decimal comma (\"1000,00\" …)");
    let us = "x,y\n".to_owned()
        + &(0..100)
            .map(|i| format!("\"{},{:03}.50\",{i}\n", 1 + i, 7 * i % 1000))
            .collect::<String>();
    let found = parts(&us, REGRESSION);
    let plain = us.lines().map(|line| {
        line.replace("\",", "\u{1}").replace([',', '"'], "").replace('\u{1}', ",") + "\n"
    });
    let plain: String = plain.collect::<String>().replacen("xy", "x,y", 1);
    assert_eq!(floats(&found.train), floats(&parts(&plain, REGRESSION).train));
    said(&found, "numbers with groups of three digits");
    // A label.
    let label =
        "x;y\n".to_owned() + &(0..100).map(|i| format!("{};{},5\n", i, 2 * i)).collect::<String>();
    let (mean, scale) = (99.5, parts(&label, REGRESSION).schema.targets[0].scales[0]);
    assert!((scale.offset - mean).abs() < 1e-9, "{scale:?}");
}

/// With decimal commas, a comma is not a delimiter, with or without column names.
#[test]
fn a_decimal_comma_is_no_delimiter() {
    let room = Room::new("");
    for (lines, columns) in [
        ("6579,67;19600,95;0\n7664,74;23046,07;1\n", 3),
        ("1,5;2,5;3,5\n2,5;1,5;0,5\n", 3),
        ("1,5\n2,5\n", 2),
        ("1|2,5|3\n4|5,5|6\n", 3),
    ] {
        room.write("d.csv", lines.repeat(20));
        let seen: Value = serde_json::from_str(
            &room.run(&["inspect", "d.csv", "--no-header", "--json"]).expect(0).out,
        )
        .unwrap();
        assert_eq!(seen["columns"].as_array().unwrap().len(), columns, "{lines}");
    }
}

/// A table has one decimal separator: an ambiguous number follows the unambiguous ones.
#[test]
fn a_table_has_one_decimal_sign() {
    let notations = |lines: &str, config: &str| {
        let found = parts(lines, config);
        let of = |column: &Column| {
            if let Encoding::Numeric { notation, .. } = column.encoding {
                Some(notation)
            } else {
                None
            }
        };
        let all: Vec<Option<Notation>> =
            columns(&found).values().map(|column| of(column)).collect();
        (all, found.notices.join("\n"))
    };
    let lines = |a: &str, b: &str| {
        "a;b;y\n".to_owned()
            + &(0..50)
                .map(|i| format!("{}{a};{}{b};{i}\n", 1 + i % 9, 1 + i % 7))
                .collect::<String>()
    };
    let comma = Some(Notation::Comma);
    assert_eq!(notations(&lines(",5", ",123"), REGRESSION).0, [comma, comma]);
    assert_eq!(notations(&lines(",5", ".123"), REGRESSION).0, [comma, comma], "groups");
    assert_eq!(notations(&lines(",5", ".12"), REGRESSION).0, [comma, Some(Notation::Plain)]);
    // With semicolons between cells, a comma is the decimal separator; otherwise it separates
    // groups of digits. A notice says which.
    let (found, said) = notations(&lines("", ",123"), REGRESSION);
    assert_eq!(found, [Some(Notation::Plain), comma]);
    assert!(
        said.contains("a decimal point would fit every cell as well: data.decimal = \".\" says so"),
        "{said}"
    );
    let quoted = "a,y\n".to_owned()
        + &(0..50).map(|i| format!("\"{},123\",{i}\n", 1 + i % 9)).collect::<String>();
    let (found, said) = notations(&quoted, REGRESSION);
    assert_eq!(found, [Some(Notation::Grouped)]);
    assert!(
        said.contains("a decimal comma would fit every cell as well: data.decimal = \",\" says so"),
        "{said}"
    );
    assert_eq!(notations(&quoted, &format!("decimal = \",\"\n{REGRESSION}")).0, [comma]);
}

#[test]
fn dates_of_other_orders_and_with_offsets_are_dates() {
    let encoding = |lines: &str| columns(&parts(lines, REGRESSION))["d"].encoding.clone();
    let lines = |date: &dyn Fn(usize) -> String| {
        "d,y\n".to_owned() + &(0..60).map(|i| format!("{},{i}\n", date(i))).collect::<String>()
    };
    let cases: [(&dyn Fn(usize) -> String, DateOrder); 4] = [
        (&|i| format!("2022-03-{:02} 09:28:{:02}+00:00", 1 + i % 28, i), DateOrder::Ymd),
        (&|i| format!("{:02}/{:02}/2022", 1 + i % 12, 1 + i % 28), DateOrder::Mdy),
        (&|i| format!("{:02}.{:02}.2022", 1 + i % 28, 1 + i % 12), DateOrder::Dmy),
        (&|i| format!("{:02}.{:02}.2022", 1 + i % 12, 1 + i % 12), DateOrder::Dmy),
    ];
    for (date, expected) in cases {
        let found = encoding(&lines(date));
        assert!(
            matches!(found, Encoding::Date { order, .. } if order == expected),
            "{}: {found:?}",
            date(0)
        );
    }
    let ahead = parts(&lines(&|i| format!("2022-03-{:02}T09:28:00+02:00", 1 + i % 28)), REGRESSION);
    said(&ahead, "column \"d\": times with an offset are taken in UTC");
    let doubt = parts(&lines(&|i| format!("{:02}/{:02}/2022", 1 + i % 12, 1 + i % 11)), REGRESSION);
    said(&doubt, "month/day/year");
    said(&doubt, "day.month.year would fit every cell as well: data.dates = \"dmy\" says so");
    // A key for numbers does not apply to dates.
    let day = |i: usize| format!("{:02}/{:02}/2022", 1 + i % 12, 1 + i % 11);
    let doubt = parts(&lines(&day), &format!("decimal = \".\"\n{REGRESSION}"));
    said(&doubt, "data.dates = \"dmy\" says so");
}

#[test]
fn a_mostly_numeric_column_names_the_cells_that_are_not() {
    let text = |i: usize| if i.is_multiple_of(5) { format!("{i} kg") } else { format!("{i}") };
    let lines = "x,z,y\n".to_owned()
        + &(0..100).map(|i| format!("{},{i},{i}\n", text(i))).collect::<String>();
    said(&parts(&lines, REGRESSION), "80 of 100 cells are numbers or dates, 20 are not: \"0 kg\"");
}

#[test]
fn init_and_inspect_interpret_texts_as_training_does() {
    let room = Room::new("");
    let word = |i: usize| if i.is_multiple_of(3) { "None".to_owned() } else { format!("{},5", i) };
    room.write(
        "d.csv",
        "x;when;yes;ta;tb;y\n".to_owned()
            + &(0..90)
                .map(|i| {
                    format!(
                        "{};{:02}.{:02}.2021;{};{}.0;{};{i}\n",
                        word(i),
                        1 + i % 28,
                        1 + i % 12,
                        ["ja", "nein"][i % 2],
                        i % 2,
                        ["", "1.0", "0.0"][i % 3]
                    )
                })
                .collect::<String>(),
    );
    let seen: Value =
        serde_json::from_str(&room.run(&["inspect", "d.csv", "--json"]).expect(0).out).unwrap();
    let kinds: Vec<&str> =
        seen["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["numeric", "date", "binary", "numeric", "numeric", "numeric"]);
    assert_eq!(seen["columns"][0]["blank"], 30);
    let drafted = room
        .run(&["init", "--data", "d.csv", "--target", "y", "--target", "ta,tb", "--json"])
        .expect(0);
    let drafted: Value = serde_json::from_str(&drafted.out).unwrap();
    assert_eq!(drafted["tasks"][1]["type"], "multilabel");
    assert_eq!(drafted["tasks"][1]["labels"][0], serde_json::json!({"value": "ta", "rows": 45}));
    assert_eq!(drafted["tasks"][1]["labels"][1]["rows"], 30);
    let config = drafted["config"].as_str().unwrap();
    assert!(config.contains("missing = \"auto\"") && config.contains("\"None\""), "{config}");
    // The configuration decides otherwise.
    let given = [
        "init",
        "--data",
        "d.csv",
        "--target",
        "y",
        "--missing",
        "None",
        "--decimal",
        ",",
        "--delimiter",
        ";",
    ];
    let config = room.run(&given).expect(0).out;
    for line in ["missing = [\"\", \"None\"]", "decimal = \",\"", "delimiter = \";\""] {
        assert!(config.contains(line), "{line} in {config}");
    }
    let seen: Value = serde_json::from_str(
        &room.run(&["inspect", "d.csv", "--decimal", ".", "--json"]).expect(0).out,
    )
    .unwrap();
    assert_eq!(seen["columns"][0]["type"], "numeric");
    assert!(
        seen["notices"]
            .to_string()
            .contains("the decimal sign that is asked for does not fit its cells"),
        "{seen}"
    );
    room.run(&["inspect", "d.csv", "--missing", "-999"]).expect(0);
    room.run(&["inspect", "d.csv", "--delimiter", "ab"])
        .refused(2, &["--delimiter \"ab\": expected one character"]);
}

/// Numbers that are all different may be a real feature, whatever they count; `init` and training
/// agree on that.
#[test]
fn distinct_whole_numbers_stay_a_feature() {
    let room = Room::new("");
    for (name, is_id) in [
        ("year", false),
        ("amount_paid", false),
        ("number of visits", false),
        ("user_id", true),
        ("PassengerId", true),
    ] {
        let line = |i: usize| format!("{},{},{}\n", 1900 + i, i % 7, i * i);
        room.write("d.csv", format!("{name},x,y\n") + &(0..60).map(line).collect::<String>());
        let config = room.run(&["init", "--data", "d.csv", "--target", "y"]).expect(0).out;
        assert_eq!(config.contains(&format!("\nignore = [\"{name}\"]")), is_id, "{name}: {config}");
    }
}

/// If every number has a sign such as %, the message names it as the reason why the column is not
/// numeric.
#[test]
fn a_sign_at_every_number_is_named_as_the_reason() {
    let column = |cell: &dyn Fn(usize) -> String| {
        "x,z,y\n".to_owned()
            + &(0..80).map(|i| format!("{},{i},{i}\n", cell(i))).collect::<String>()
    };
    for (cell, sign) in
        [("$N.5", "\"$\" before it"), ("N.5%", "\"%\" after it"), ("N.5 kg", "\"kg\" after it")]
    {
        let found = parts(&column(&|i| cell.replace('N', &i.to_string())), REGRESSION);
        said(&found, &format!("every cell is a number with {sign}"));
    }
    let codes = parts(&column(&|i| format!("k{}", i % 9)), REGRESSION);
    assert!(
        !codes.notices.iter().any(|n| n.contains("every cell is a number")),
        "{:?}",
        codes.notices
    );
}

/// A key that does not fit a column only causes a notice.
#[test]
fn a_key_that_does_not_fit_a_column() {
    let lines = "a;b;d;y\n".to_owned()
        + &(0..60)
            .map(|i| format!("{i},5;{i}.25;2021-03-{:02};{i}\n", 1 + i % 28))
            .collect::<String>();
    let found = parts(&lines, &format!("decimal = \",\"\ndates = \"mdy\"\n{REGRESSION}"));
    let words: Vec<&str> = columns(&found).values().map(|column| column.encoding.word()).collect();
    assert_eq!(words, ["numeric", "numeric", "date"]);
    said(
        &found,
        "column \"b\": the decimal sign that is asked for does not fit its cells (\"0.25\" …): \
         they have a point",
    );
}

/// The notation of a column is detected from the whole file, so that all folds have the same.
#[test]
fn the_notation_of_a_column_is_detected_from_all_rows() {
    let day = |i: usize| {
        if i == 57 { "13/1/2020".to_owned() } else { format!("{}/{}/2020", 1 + i % 12, 1 + i % 11) }
    };
    let label = |i: usize| if i % 4 < 2 { "2" } else { ["1", "1.0", "1.0"][i % 3] };
    let lines = "d,k\n".to_owned()
        + &(0..60).map(|i| format!("{},{}\n", day(i), label(i))).collect::<String>();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("d.csv"), lines).unwrap();
    for seed in 0..6 {
        let text = format!(
            "[data]\ntrain = \"d.csv\"\nsplit = [0.5, 0.0, 0.5]\nsplit_seed = {seed}\n[task.k]\n"
        );
        let config = from_text(&text, "c.toml", dir.path(), &[]).unwrap();
        let parts = load(&config.data, &config.tasks).unwrap();
        assert!(matches!(
            columns(&parts)["d"].encoding,
            Encoding::Date { order: DateOrder::Dmy, .. }
        ));
        assert_eq!(parts.schema.targets[0].classes, ["1.0", "2"]);
    }
}

/// Two rows are a thousand times as far from the mean as the others.
#[test]
fn init_chooses_a_robust_loss_for_targets_with_outliers() {
    let room = Room::new("");
    let y = |i: usize, wild: usize| if i < wild { 1e6 } else { (i * 7 % 100) as f64 };
    for (wild, robust) in [(0, false), (2, true), (60, false)] {
        room.write(
            "d.csv",
            "x,y\n".to_owned()
                + &(0..300)
                    .map(|i| format!("{},{}\n", i * 31 % 17, y(i, wild)))
                    .collect::<String>(),
        );
        let config =
            room.run(&["init", "--data", "d.csv", "--target", "y:regression"]).expect(0).out;
        assert_eq!(
            config.contains("loss = \"huber\"") && config.contains("scale = \"robust\""),
            robust,
            "{wild}: {config}"
        );
        assert_eq!(
            config.contains("2 rows lie more than 20 interquartile ranges"),
            robust,
            "{config}"
        );
    }
}

/// Whole numbers whose name and range suggest codes are categories in the configuration that `init`
/// writes.
#[test]
fn init_knows_codes_by_name_and_range() {
    let room = Room::new("");
    let line =
        |i: usize| format!("{},{},{},{},{}\n", i % 24, 1 + i % 12, i % 50, i % 90, i * 7 % 13);
    room.write(
        "d.csv",
        "hr,mnth,hour_count,month,y\n".to_owned() + &(0..200).map(line).collect::<String>(),
    );
    let config = room.run(&["init", "--data", "d.csv", "--target", "y:regression"]).expect(0).out;
    assert!(
        !config.contains("[feature.hr]")
            && config.contains("hours of a day: type = \"category\" if each"),
        "{config}"
    );
    assert!(config.contains("[feature.mnth]\ntype = \"category\""), "{config}");
    assert!(
        !config.contains("[feature.hour_count]") && !config.contains("[feature.month]"),
        "beyond the range: {config}"
    );
}

/// A configuration of 0.1.0 is read as 0.1.0 read it.
#[test]
fn a_configuration_of_0_1_is_read_as_0_1_read_it() {
    let old = "[trunk]\nlayers = [4]\nactivation = \"relu\"\ninit = \"auto\"\n[task.y]\ntype = \
               \"regression\"\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.01\nweight_decay = \
               0.0\ndecay_biases = true\nclip_norm = 0.0\nschedule = \"constant\"\nwarmup_steps = \
               0\n[train]\nepochs = 1\nbatch_size = 8\nseed = 0\nlog_every = \
               \"1e\"\ncheckpoint_every = \"10m\"\nkeep = 2\non_nan = \"stop\"\n";
    let lines = "x,d,y\n".to_owned()
        + &(0..60)
            .map(|i| format!("{},{:02}/01/2022,{i}\n", ["NA", "1", "1.0", "2"][i % 4], 1 + i % 12))
            .collect::<String>();
    let found = parts(&lines, old);
    let values = |name: &str| match &columns(&found)[name].encoding {
        Encoding::Category { values, .. } => values.len(),
        other => panic!("{other:?}"),
    };
    assert_eq!((values("x"), values("d")), (4, 12));
    assert!(found.notices.is_empty(), "{:?}", found.notices);
    // With the current version it is read as today.
    let new = parts(
        &lines,
        &old.replacen("[trunk]", "[trunk]\ndropout = 0.0", 1).replace("keep = 2\n", ""),
    );
    assert!(matches!(columns(&new)["d"].encoding, Encoding::Date { order: DateOrder::Mdy, .. }));
}
