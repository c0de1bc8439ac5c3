//! Columns of texts: which words are known, how many of them a row may have, what is refused; and a
//! model of texts against a calculation outside of tandem.

use std::path::Path;

use serde_json::Value;
use tandem::config::read::from_text;
use tandem::data::load::door::load;
use tandem::data::{Encoding, Features, Input, NO_CODE, Parts};

use crate::common::program::Room;

const NET: &str = "
[data]
train = \"texts.csv\"
split = [1.0, 0.0, 0.0]
[feature.note]
type = \"text\"
[trunk]
layers = [4]
[task.mood]
[train]
epochs = 2
";

/// Texts in which `red` is in four, `green` and `blue` are in two each, twice in one of them, and
/// all other words are in one.
const TEXTS: &str = "note,mood\n\
                     Red green GREEN,good\n\
                     red-blue blue,bad\n\
                     \"a red, ünïque house\",good\n\
                     red,bad\n\
                     green blue tree,good\n\
                     42 times,bad\n";

fn parts(room: &Room, overrides: &[&str]) -> anyhow::Result<Parts> {
    let overrides: Vec<String> = overrides.iter().map(|o| o.to_string()).collect();
    let config = from_text(NET, "net.toml", &room.path(""), &overrides)?;
    load(&config.data, &config.tasks)
}

fn room() -> Room {
    let room = Room::new(NET);
    room.write("texts.csv", TEXTS);
    room
}

/// The known words of the only column, and its number of slots.
fn known(parts: &Parts) -> (Vec<String>, usize) {
    let Input::Columns { columns } = &parts.schema.input else { unreachable!() };
    let Encoding::Text { words, slots, buckets, .. } = &columns[0].encoding else { unreachable!() };
    assert!(words.is_empty() || words.len() == *buckets);
    (words.clone(), *slots)
}

#[test]
fn words_are_known_by_the_number_of_texts_that_have_them() {
    let room = room();
    let two = parts(&room, &["feature.note.min_count=2"]).unwrap();
    assert_eq!(known(&two).0, ["red", "blue", "green"]);
    let Features::Cells { values, slots } = &two.train.features else { unreachable!() };
    let row = |at: usize| -> Vec<u32> {
        let codes = values[at * slots..][..*slots].iter().copied();
        codes.filter(|code| *code != NO_CODE).collect()
    };
    // Each time that a known word occurs counts, and no other word does.
    assert_eq!([row(0), row(1), row(2)], [vec![0, 2, 2], vec![0, 1, 1], vec![0]]);
    assert_eq!(row(5), Vec::<u32>::new());
    let all = parts(&room, &["feature.note.min_count=1"]).unwrap();
    assert_eq!(
        known(&all).0,
        ["red", "blue", "green", "42", "a", "house", "times", "tree", "ünïque"]
    );
    let most = parts(&room, &["feature.note.min_count=1", "feature.note.max_values=2"]).unwrap();
    assert_eq!(known(&most).0, ["red", "blue"]);
    let error = parts(&room, &["feature.note.min_count=9"]).unwrap_err().to_string();
    assert!(error.contains("has no word that occurs in 9 texts of the training part"), "{error}");
}

#[test]
fn a_text_may_have_as_many_words_as_most_training_texts() {
    let room = Room::new(NET);
    let text = |words: usize| vec!["word"; words].join(" ");
    let lines = (0..300).map(|row| format!("{},{}\n", text(1 + row % 5), ["good", "bad"][row % 2]));
    let lines: String = lines.collect();
    // Four texts in 304 are longer than all others, so 99 of 100 have at most 70.
    let long: String = [70, 80, 90, 95].map(|words| format!("{},good\n", text(words))).concat();
    room.write("texts.csv", format!("note,mood\n{lines}{long}"));
    let found = parts(&room, &[]).unwrap();
    assert_eq!(known(&found).1, 70);
    let told = "column \"note\": 3 of 304 training texts have more than 70 words that count, of \
                which the first 70 are read (feature.note.slots)";
    assert!(found.notices.iter().any(|notice| notice == told), "{:?}", found.notices);
    let given = parts(&room, &["feature.note.slots=3"]).unwrap();
    assert_eq!(known(&given).1, 3);
    let hashed = parts(&room, &["feature.note.buckets=64"]).unwrap();
    assert_eq!(known(&hashed), (Vec::new(), 70));
    // tandem 0.1.0 hashed all words and read 32.
    let before = parts(&room, &["version=\"0.1\""]).unwrap();
    assert_eq!(known(&before), (Vec::new(), 32));
}

#[test]
fn texts_without_a_known_word_are_told() {
    let room = room();
    room.train("run", &["--set", "feature.note.min_count=2"]).expect(0);
    room.write("some.csv", "note\nbunt\nRed!\nlila\n");
    let found = room.on_reference(&["predict", "run", "--data", "some.csv"]).expect(0);
    found.says(&["2 of 3 texts have no word that training knows, such as \"bunt\", \"lila\""]);
    room.write("none.csv", "note\nbunt\n");
    let none = ["predict", "run", "--data", "none.csv"];
    room.on_reference(&none).refused(65, &["none of 1 cells holds a word that the model knows"]);
    room.on_reference(&[&none[..], &["--allow-unknown"]].concat()).expect(0);
}

#[test]
fn words_are_either_known_or_hashed() {
    let room = room();
    for (overrides, found) in [
        (&["feature.note.buckets=64", "feature.note.min_count=2"][..], "feature.note.min_count"),
        (&["feature.note.ngrams=3", "feature.note.max_values=9"], "feature.note.max_values"),
    ] {
        let error = parts(&room, overrides).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("{found}: has no effect, since words are hashed")),
            "{error}"
        );
    }
}

/// tests/fixtures/texts.py has the features and the network once more, in Python.
#[test]
fn a_model_of_texts_can_be_rebuilt_outside() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/texts");
    let text = std::fs::read_to_string(folder.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let room = Room::new(NET);
    for (model, expected) in expected.as_object().unwrap() {
        let model = folder.join(model).display().to_string();
        let data = folder.join("texts.csv").display().to_string();
        let printed = room.on_reference(&["predict", &model, "--data", &data]).expect(0).out;
        let mut lines = printed.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
        let mut seen = 0;
        for (column, values) in expected.as_object().unwrap() {
            // From the right: a text may have commas.
            let at = header.len() - header.iter().position(|name| name == column).unwrap();
            for (row, value) in rows.iter().zip(values.as_array().unwrap()) {
                let (found, expected): (f64, f64) =
                    (row[row.len() - at].parse().unwrap(), value.as_f64().unwrap());
                assert!((found - expected).abs() < 1e-5, "{model} {column}: {found} {expected}");
                seen += 1;
            }
        }
        assert_eq!(seen, rows.len() * 5, "five classes");
    }
}
