//! Undefined metrics are absent: blank in tables and CSV, null in JSON, never zero and never the
//! best.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::common::program::{Ran, Room};
use serde_json::Value;
use tandem::rng::{Purpose, normal};

/// Two tasks that depend on two numbers.
const NET: &str = "
[data]
train = \"tr.csv\"
valid = \"va.csv\"
split = [1.0, 0.0, 0.0]
[trunk]
layers = [8]
[task.a]
type = \"binary\"
[task.b]
type = \"regression\"
[optimizer]
learning_rate = 1e-2
[train]
epochs = 4
batch_size = 32
";

/// A table with the features u and v, the yes or no a and the number b; `keep` says which labels
/// stay, `w` is the weight of the row.
fn table(first: u64, rows: u64, keep: impl Fn(u64) -> [bool; 2], w: impl Fn(u64) -> f64) -> String {
    let mut text = "u,v,w,a,b\n".to_owned();
    for row in first..first + rows {
        let [u, v] = [0, 1].map(|stream| normal(3, Purpose::Synthetic, stream, row));
        let [a, b] = keep(row - first);
        let a = if a { if u > v { "yes" } else { "no" } } else { "" };
        let b = if b { format!("{:.4}", u + 0.5 * v) } else { String::new() };
        let _ = writeln!(text, "{u:.4},{v:.4},{},{a},{b}", w(row - first));
    }
    text
}

/// A room with 120 training rows and 40 validation rows; `train` and `valid` say which labels they
/// have.
fn room(net: &str, train: [bool; 2], valid: [bool; 2], weight: impl Fn(u64) -> f64) -> Room {
    let room = Room::new(net);
    room.write("tr.csv", table(0, 120, |_| train, |_| 1.0));
    room.write("va.csv", table(500, 40, |_| valid, weight));
    room
}

/// The rows of `metrics.csv`, each by column.
fn rows(room: &Room, run: &str) -> Vec<BTreeMap<String, String>> {
    let text = room.text(&format!("{run}/metrics.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let row = |r: csv::StringRecord| {
        header.iter().map(str::to_owned).zip(r.iter().map(str::to_owned)).collect()
    };
    reader.records().map(|r| row(r.unwrap())).collect()
}

fn points(room: &Room, run: &str) -> Vec<Value> {
    room.points(run).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:#?}"))
}

const BOTH: [bool; 2] = [true, true];

#[test]
fn a_task_without_labels_has_no_loss() {
    let room = room(NET, BOTH, [true, false], |_| 1.0);
    let ran = room
        .train("run", &[])
        .expect(0)
        .says(&["task \"b\" has no label in the validation part: it has no part in train.select"]);
    let line = ran.out.lines().find(|line| line.starts_with("b ")).unwrap().to_owned();
    assert!(!line.contains("0.0000"), "{line}");
    let points = points(&room, "run");
    let valid: Vec<&Value> = points.iter().filter(|point| point["split"] == "valid").collect();
    assert_eq!(valid.len(), 4);
    for point in valid {
        let task = point["tasks"]["b"].as_object().unwrap();
        assert!(task["loss"].is_null() && task.len() == 1, "{point}");
        // The combined loss is the loss of the other task, whose weight is 1.
        assert_eq!(point["loss"], point["tasks"]["a"]["loss"]);
    }
    for row in rows(&room, "run") {
        assert_eq!(row["valid/b/loss"], "");
        assert_ne!(row["valid/a/loss"], "");
    }
}

#[test]
fn batches_without_a_label_have_no_loss() {
    let room = room(NET, BOTH, BOTH, |_| 1.0);
    // Only two rows have a label for b, so most of the batches have none.
    room.write("tr.csv", table(0, 120, |row| [true, row == 7 || row == 9], |_| 1.0));
    room.train("run", &["--set", "train.log_every=1s", "--set", "train.batch_size=8"]).expect(0);
    let points = points(&room, "run");
    let train: Vec<&Value> = points.iter().filter(|point| point["split"] == "train").collect();
    let without = train.iter().filter(|point| point["tasks"]["b"]["loss"].is_null()).count();
    assert!(train.len() == 60 && without >= 60 - 8, "{without} of {}", train.len());
    assert!(train.iter().all(|point| point["tasks"]["b"]["loss"] != 0.0));
    // The row of an epoch is the mean over the points that have a loss.
    let first: Vec<f64> =
        train[..15].iter().filter_map(|point| point["tasks"]["b"]["loss"].as_f64()).collect();
    let mean = first.iter().sum::<f64>() / first.len() as f64;
    let found: f64 = rows(&room, "run")[0]["train/b/loss"].parse().unwrap();
    assert!((found - mean).abs() < 1e-12, "{found}, expected {mean}");
}

/// A batch whose labels all have the weight zero is not part of the mean loss.
#[test]
fn steps_without_weight_have_no_loss() {
    let net = NET
        .replace("valid = \"va.csv\"", "row_weight = \"w\"")
        .replace("batch_size = 32", "batch_size = 1");
    let room = room(&net, BOTH, BOTH, |_| 1.0);
    room.write("tr.csv", table(0, 40, |_| BOTH, |row| if row % 2 == 0 { 1.0 } else { 0.0 }));
    room.train("run", &["--set", "train.log_every=1s", "--set", "train.epochs=1"]).expect(0);
    let points = points(&room, "run");
    let losses: Vec<&Value> = points.iter().map(|point| &point["tasks"]["b"]["loss"]).collect();
    assert_eq!(losses.iter().filter(|loss| loss.is_null()).count(), 20);
    assert!(
        points.iter().all(|point| point["loss"].is_null() == point["tasks"]["b"]["loss"].is_null())
    );
    let known: Vec<f64> = losses.iter().filter_map(|loss| loss.as_f64()).collect();
    let found: f64 = rows(&room, "run")[0]["train/b/loss"].parse().unwrap();
    assert!((found - known.iter().sum::<f64>() / 20.0).abs() < 1e-12);
}

/// Labels of weight zero validate nothing: it is as without validation data, however the table is
/// given.
#[test]
fn a_validation_part_of_weight_zero_is_left_out() {
    let net = NET.replace("[trunk]", "row_weight = \"w\"\n[trunk]");
    let room = room(&net, BOTH, BOTH, |_| 0.0);
    for (run, memory) in [("run", &[][..]), ("disk", &["--set", "data.memory=30KB"])] {
        let ran = room.train(run, memory).expect(0);
        let ran = ran.says(&["every label of the validation part is in a row of weight zero: it \
                              is left out, and the last epoch is kept"]);
        assert!(ran.out.contains("epoch 4, the last one, which is kept"), "{ran:#?}");
        assert_eq!(
            room.bytes(&format!("{run}/model/model.safetensors")),
            room.bytes(&format!("{run}/last/model.safetensors"))
        );
        assert!(points(&room, run).iter().all(|point| point["split"] == "train"));
    }
}

/// One row with a weight above zero is enough.
#[test]
fn one_row_with_a_weight_is_enough_to_validate() {
    let net = NET.replace("[trunk]", "row_weight = \"w\"\n[trunk]");
    let room = room(&net, BOTH, BOTH, |row| if row == 5 { 2.0 } else { 0.0 });
    let ran = room.train("run", &[]).expect(0);
    assert!(!ran.err.contains("left out") && ran.out.contains("the kept one"), "{ran:#?}");
}

/// `evaluate` on data that has no label for a task, or only labels of weight zero.
#[test]
fn evaluate_says_what_it_leaves_out() {
    let net = NET.replace("[trunk]", "row_weight = \"w\"\n[trunk]");
    let room = room(&net, BOTH, BOTH, |_| 1.0);
    room.train("run", &[]).expect(0);
    room.write("some.csv", table(900, 30, |_| [true, false], |_| 1.0));
    let ran = room
        .on_reference(&["evaluate", "run", "--data", "some.csv", "--json"])
        .expect(0)
        .says(&["task b is left out"]);
    let found = json(&ran);
    assert!(
        found["tasks"].get("b").is_none() && found["loss"] == found["tasks"]["a"]["loss"],
        "{found}"
    );
    // b has labels in rows of weight zero only.
    room.write(
        "weightless.csv",
        table(900, 30, |row| [row < 20, row >= 20], |row| f64::from(u8::from(row < 20))),
    );
    let ran =
        room.on_reference(&["evaluate", "run", "--data", "weightless.csv", "--json"]).expect(0);
    let found = json(&ran.says(&["task b is left out: all its labels are in rows of weight zero"]));
    assert!(found["tasks"].get("b").is_none() && found["loss"].is_f64(), "{found}");
    room.write("nothing.csv", table(900, 30, |_| BOTH, |_| 0.0));
    room.on_reference(&["evaluate", "run", "--data", "nothing.csv"])
        .refused(65, &["every row that has a label has the weight zero"]);
}

/// With one class there is no AUC: the table does not show it, and the JSON has no key.
#[test]
fn a_metric_of_one_class_is_absent() {
    let room = room(NET, BOTH, BOTH, |_| 1.0);
    let one_class: String = table(500, 40, |_| BOTH, |_| 1.0)
        .lines()
        .filter(|line| !line.contains("yes"))
        .map(|line| format!("{line}\n"))
        .collect();
    room.write("va.csv", one_class);
    let ran = room.train("run", &[]).expect(0);
    assert!(!ran.out.contains("auc 0.0000"), "{ran:#?}");
    for point in points(&room, "run").iter().filter(|point| point["split"] == "valid") {
        assert!(
            point["tasks"]["a"].get("auc").is_none() && point["tasks"]["a"]["loss"].is_f64(),
            "{point}"
        );
    }
    assert!(rows(&room, "run").iter().all(|row| row["valid/a/auc"].is_empty()));
}
