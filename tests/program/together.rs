//! Folds together: predictions of each row by the network that was not trained on it, joint
//! predictions of all folds, and a run of folds that is interrupted and goes on.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::program::{Ran, Room, signal, wait};
use serde_json::Value;
use tandem::rng::{Purpose, below, normal};

/// All types of tasks.
const ALL: &str = "
[data]
train = \"rows.csv\"
[trunk]
layers = [6]
dropout = 0.1
[task.colour]
[task.sold]
type = \"binary\"
[task.marks]
type = \"multilabel\"
target = [\"new\", \"big\"]
[task.price]
type = \"regression\"
[task.visits]
type = \"count\"
[optimizer]
learning_rate = 1e-2
[train]
epochs = 4
batch_size = 32
";

/// A table with `rows` rows; every seventh has no colour, and some colours need quotes.
fn table(rows: u64) -> String {
    let line = |row: u64| {
        let x = normal(1, Purpose::Synthetic, 1, row);
        let of = |n: u64, stream: u64| below(n, 1, Purpose::Synthetic, stream, row);
        let colour = if row % 7 == 3 {
            ""
        } else {
            ["red", "\"blue, \"\"dark\"\"\"", "\"-green\nlight\""][of(3, 2) as usize]
        };
        let (sold, price) = (if x > 0.3 { "yes" } else { "no" }, 900.0 + 2.0 * x);
        format!(
            "{x:.3},{},{colour},{sold},{},{},{price:.2},{}\n",
            of(5, 6),
            u64::from(x > 1.0),
            of(2, 3),
            of(6, 4)
        )
    };
    "x,z,colour,sold,new,big,price,visits\n".to_owned() + &(0..rows).map(line).collect::<String>()
}

fn room(net: &str, rows: u64) -> Room {
    let room = Room::new(net);
    room.write("rows.csv", table(rows));
    room
}

/// The records of a CSV file, as (column, cell) pairs.
fn records(room: &Room, name: &str) -> Vec<Vec<(String, String)>> {
    let mut reader = csv::Reader::from_path(room.path(name)).unwrap();
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let record = |record: csv::StringRecord| {
        names.iter().cloned().zip(record.iter().map(str::to_owned)).collect()
    };
    reader.records().map(|found| record(found.unwrap())).collect()
}

fn cell<'r>(record: &'r [(String, String)], name: &str) -> &'r str {
    &record
        .iter()
        .find(|(column, _)| column == name)
        .unwrap_or_else(|| panic!("no {name} in {record:?}"))
        .1
}

/// The columns with predictions.
const NUMBERS: [&str; 9] = [
    "colour:red",
    "colour:-green\nlight",
    "colour:blue, \"dark\"",
    "sold:yes",
    "sold:no",
    "marks:new",
    "marks:big",
    "price:predicted",
    "visits:predicted",
];

fn predicted(room: &Room, model: &str, out: &str) -> Vec<Vec<(String, String)>> {
    room.on_reference(&["predict", model, "--data", "rows.csv", "--out", out]).expect(0);
    records(room, out)
}

#[test]
fn every_row_is_predicted_once_by_the_fold_that_did_not_know_it() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "3"]).expect(0);
    let rows = records(&room, "run/folds.csv");
    let input = records(&room, "rows.csv");
    let folds: Vec<_> = (1..=3)
        .map(|fold| predicted(&room, &format!("run/fold-{fold}"), &format!("p{fold}.csv")))
        .collect();
    assert_eq!(rows.len(), 120);
    let mut sizes = [0; 3];
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(cell(row, "row"), number.to_string());
        let fold: usize = cell(row, "fold").parse().unwrap();
        sizes[fold - 1] += 1;
        for label in ["colour", "sold", "new", "big", "price", "visits"] {
            assert_eq!(cell(row, label), cell(&input[number], label), "{label} of row {number}");
        }
        for name in NUMBERS.iter().chain(&["colour:predicted", "sold:predicted"]) {
            assert_eq!(
                cell(row, name),
                cell(&folds[fold - 1][number], name),
                "{name} of row {number}"
            );
        }
    }
    assert_eq!(sizes, [40; 3]);
    // The rows of a fold are those that the fold's configuration tests on.
    let tested = |fold: usize| {
        room.points(&format!("run/fold-{fold}")).into_iter().any(|line| line.contains("\"test\""))
    };
    assert!((1..=3).all(tested));
}

/// A table that does not fit into memory is predicted in chunks, with the same result.
#[test]
fn predictions_of_folds_are_the_same_when_the_table_does_not_fit_into_memory() {
    let room = room(ALL, 300);
    room.train(
        "run",
        &["--k-fold", "2", "--data-cache", "off", "--set", "data.memory=30KB", "--epochs", "1"],
    )
    .expect(0);
    let rows = records(&room, "run/folds.csv");
    let numbers: Vec<usize> = rows.iter().map(|row| cell(row, "row").parse().unwrap()).collect();
    assert_eq!(numbers, (0..300).collect::<Vec<_>>());
    let folds: Vec<_> = (1..=2)
        .map(|fold| predicted(&room, &format!("run/fold-{fold}"), &format!("p{fold}.csv")))
        .collect();
    for (number, row) in rows.iter().enumerate() {
        let fold: usize = cell(row, "fold").parse().unwrap();
        assert_eq!(cell(row, "price:predicted"), cell(&folds[fold - 1][number], "price:predicted"));
    }
}

#[test]
fn folds_predict_the_mean_of_their_predictions() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "3"]).expect(0);
    let ran =
        room.on_reference(&["predict", "run", "--data", "rows.csv", "--out", "all.csv"]).expect(0);
    assert!(ran.err.contains("the models of 3 folds predict together"), "{ran:#?}");
    let all = records(&room, "all.csv");
    let folds: Vec<_> = (1..=3)
        .map(|fold| predicted(&room, &format!("run/fold-{fold}"), &format!("p{fold}.csv")))
        .collect();
    for (number, row) in all.iter().enumerate() {
        for name in NUMBERS {
            let each: Vec<f64> =
                folds.iter().map(|fold| cell(&fold[number], name).parse().unwrap()).collect();
            let (mean, found) =
                (each.iter().sum::<f64>() / 3.0, cell(row, name).parse::<f64>().unwrap());
            assert!(
                (found - mean).abs() <= 2e-6 * mean.abs(),
                "{name} of row {number}: {found}, expected {mean} of {each:?}"
            );
        }
        let share = |name: &str| cell(row, name).parse::<f64>().unwrap();
        let best = ["red", "-green\nlight", "blue, \"dark\""]
            .into_iter()
            .max_by(|a, b| share(&format!("colour:{a}")).total_cmp(&share(&format!("colour:{b}"))));
        assert_eq!(cell(row, "colour:predicted"), best.unwrap());
    }
    let thresholds: Vec<f64> = (1..=3)
        .map(|fold| threshold(&room, &format!("run/fold-{fold}/model/config.json")))
        .collect();
    let mean = thresholds.iter().sum::<f64>() / 3.0;
    for row in &all {
        let p: f64 = cell(row, "sold:yes").parse().unwrap();
        assert!(
            (p - mean).abs() < 1e-6 || (cell(row, "sold:predicted") == "yes") == (p > mean),
            "{p} {mean}"
        );
    }
}

fn threshold(room: &Room, path: &str) -> f64 {
    let config: Value = serde_json::from_str(&room.text(path)).unwrap();
    let task = config["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|task| task["name"] == "sold")
        .unwrap()
        .clone();
    task["threshold"].as_f64().unwrap_or(0.5)
}

#[test]
fn a_run_of_folds_is_not_one_model() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "2", "--epochs", "1"]).expect(0);
    for args in [
        &["evaluate", "run", "--data", "rows.csv"][..],
        &["inspect", "run"],
        &["train", "net.toml", "--init-from", "run"],
    ] {
        room.on_reference(args).refused(66, &["run: is a run of 2 folds", "run/fold-1"]);
    }
    room.on_reference(&["evaluate", "run/fold-1", "--data", "rows.csv"]).expect(0);
    fs::remove_dir_all(room.path("run/fold-2/model")).unwrap();
    room.on_reference(&["predict", "run", "--data", "rows.csv"])
        .refused(66, &["fold 2 of 2 has no model yet", "train --resume run"]);
}

/// A run with unfinished folds does not predict.
#[test]
fn an_unfinished_run_of_folds_predicts_nothing() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "3", "--epochs", "1"]).expect(0);
    let summary: Value = serde_json::from_str(&room.text("run/folds.json")).unwrap();
    let asked = |fold: usize| {
        let ran = room.on_reference(&["predict", "run", "--data", "rows.csv"]);
        let ran = ran.refused(
            66,
            &[&format!("fold {fold} of 3 has not ended"), "tandem train --resume run"],
        );
        assert!(ran.out.is_empty(), "{ran:#?}");
    };
    // The third fold has models of its first epochs, but nothing says that it has ended.
    let tested = serde_json::json!([summary["tested"][0], summary["tested"][1], null]);
    room.write("run/folds.json", serde_json::json!({"folds": 3, "tested": tested}).to_string());
    asked(3);
    // The third fold has not begun.
    fs::remove_dir_all(room.path("run/fold-3")).unwrap();
    asked(3);
    // No fold has ended, and none has begun.
    fs::remove_file(room.path("run/folds.json")).unwrap();
    asked(1);
    (1..=2).for_each(|fold| fs::remove_dir_all(room.path(&format!("run/fold-{fold}"))).unwrap());
    asked(1);
}

#[test]
fn models_of_other_classes_do_not_predict_together() {
    let room = room(ALL, 120);
    for (fold, groups) in [
        (1, "{ a = [\"red\"], b = [\"-green\\nlight\", 'blue, \"dark\"'] }"),
        (2, "{ a = [\"red\"], c = [\"-green\\nlight\", 'blue, \"dark\"'] }"),
    ] {
        let key = format!("task.colour.groups={groups}");
        room.train(&format!("run/fold-{fold}"), &["--epochs", "1", "--set", &key]).expect(0);
    }
    let ran = room.on_reference(&["predict", "run", "--data", "rows.csv", "--out", "p.csv"]);
    ran.refused(
        65,
        &["task \"colour\" has not the type, columns and classes that it has in fold 1"],
    );
    assert!(!room.path("p.csv").exists());
}

/// The configuration that `init` writes has a task to stratify by, and can be used with folds.
#[test]
fn the_configuration_that_init_writes_can_be_used_with_folds() {
    let room = room(ALL, 300);
    room.run(&[
        "init",
        "--data",
        "rows.csv",
        "--target",
        "colour",
        "--target",
        "price",
        "--out",
        "made.toml",
    ])
    .expect(0);
    assert!(room.text("made.toml").contains("stratify"));
    let ran = room
        .on_reference(&["train", "made.toml", "--k-fold", "2", "--epochs", "1", "--out", "run"])
        .expect(0);
    assert!(ran.err.contains("the classes of task \"colour\" alike"), "{ran:#?}");
}

// --- what is not defined ---

/// The groups are the folds. In the third fold no row has a price, in the second one all prices are
/// equal.
#[test]
fn undefined_metrics_of_a_fold_are_absent_and_not_zero() {
    let net = "[data]\ntrain = \"rows.csv\"\ngroup = \"g\"\nsplit = [1.0, 0.0, \
               0.0]\n[trunk]\nlayers = [4]\n[task.y]\n[task.price]\ntype = \
               \"regression\"\n[train]\nepochs = 2\n";
    let room = Room::new(net);
    let line = |row: u64| {
        let price =
            ["1.0".to_owned(), (row % 5).to_string(), String::new()][(row % 3) as usize].clone();
        format!("{},{},{price},g{}\n", row % 11, row % 2, row % 3)
    };
    room.write("rows.csv", "x,y,price,g\n".to_owned() + &(0..90).map(line).collect::<String>());
    let ran = room.train("run", &["--k-fold", "3", "--json"]).expect(0);
    assert!(ran.err.contains("task \"price\": 1 of 3 folds have no label to test on"), "{ran:#?}");
    let found: Value = serde_json::from_str(&ran.out).unwrap();
    let of = |name: &str| found["tasks"]["price"][name].clone();
    let (loss, r2) = (of("loss"), of("r2"));
    let nulls = |value: &Value| {
        value["folds"].as_array().unwrap().iter().filter(|fold| fold.is_null()).count()
    };
    assert_eq!((nulls(&loss), &loss["over"]), (1, &2.into()), "{loss}");
    assert_eq!((nulls(&r2), &r2["over"], &r2["spread"]), (2, &1.into(), &Value::Null), "{r2}");
    assert!(loss["mean"].as_f64().unwrap() > 0.0 && r2["mean"].is_f64());
    let table = room.train("again", &["--k-fold", "3"]).expect(0).out;
    let line = table.lines().find(|line| line.starts_with("price    r2")).unwrap();
    assert_eq!(
        line.split_whitespace().count(),
        2 + 1 + 1 + 1,
        "mean, number of folds, one fold: {line}"
    );
    let rows = records(&room, "again/folds.csv");
    assert_eq!(rows.len(), 90);
    assert!(rows.iter().all(|row| !cell(row, "price:predicted").is_empty()));
}

// --- going on ---

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to)
        } else {
            assert!(fs::copy(entry.path(), to).is_ok())
        }
    }
}

/// Asserts that two runs of folds left the same files.
fn same(room: &Room, run: &str, other: &str, folds: usize) {
    for fold in 1..=folds {
        room.same(&format!("{run}/fold-{fold}"), &format!("{other}/fold-{fold}"));
    }
    for file in ["folds.json", "folds.csv", "folds.toml"] {
        assert!(
            room.bytes(&format!("{run}/{file}")) == room.bytes(&format!("{other}/{file}")),
            "{file} of {run} and {other} differ"
        );
    }
    room.is_tidy(run);
}

/// The run ends in the middle of its second fold, which has a checkpoint per step. With one thread
/// the third fold has not begun; on the reference as many folds are under way as there are
/// processors.
#[test]
fn an_interrupted_run_goes_on_fold_by_fold() {
    let room = room(
        &ALL.replace("epochs = 4", "epochs = 300")
            .replace("batch_size = 32", "batch_size = 32\ncheckpoint_every = \"50e\""),
        120,
    );
    for (device, threads) in [("cpu", Some("1")), ("reference", None)] {
        let threads = threads.map(|n| ["--threads", n]);
        let flags = [&["--device", device][..], threads.as_ref().map_or(&[], |t| &t[..])].concat();
        let (whole, run) = (format!("whole-{device}"), format!("run-{device}"));
        let begin = ["train", "net.toml", "--k-fold", "3", "--progress", "none"];
        room.run(&[&begin[..], &flags, &["--out", &whole]].concat()).expect(0);
        let mut command = room.command(&[&begin[..], &flags, &["--out", &run]].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let begun = Instant::now();
        while room.last_step(&format!("{run}/fold-2")) < 60 {
            assert!(begun.elapsed() < Duration::from_secs(120), "no point in the second fold");
            assert!(child.try_wait().unwrap().is_none(), "it ended before it was stopped");
            std::thread::sleep(Duration::from_millis(2));
        }
        signal(&child, "-INT");
        wait(&mut child, Duration::from_secs(60)).unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap()).expect(130);
        assert!(ran.err.contains(&format!("go on with: tandem train --resume {run}")), "{ran:#?}");
        assert!(!room.path(&format!("{run}/folds.csv")).exists());
        if threads.is_some() {
            assert!(ran.err.contains("stopped by a signal in fold 2 of 3"), "{ran:#?}");
            assert!(!room.path(&format!("{run}/fold-3")).exists());
        }
        let go_on = [&["train", "--resume", &run][..], &flags].concat();
        let ran = room.run(&go_on).expect(0);
        assert!(ran.err.contains("going on after step"), "{ran:#?}");
        let is_kept = ran.err.contains("fold 1 of 3 has ended: it is kept");
        assert!(is_kept || threads.is_none(), "{ran:#?}");
        same(&room, &run, &whole, 3);
        // Now nothing is left to do, and nothing changes.
        let ran = room.run(&go_on).expect(0);
        assert!(ran.err.contains("fold 3 of 3 has ended: it is kept"), "{ran:#?}");
        same(&room, &run, &whole, 3);
    }
}

/// A killed process may leave any of these states.
#[test]
fn a_killed_run_of_folds_goes_on_from_any_state() {
    let room = room(ALL, 120);
    room.train("whole", &["--k-fold", "3"]).expect(0);
    let summary: Value = serde_json::from_str(&room.text("whole/folds.json")).unwrap();
    let kept = |run: &str, folds: usize| {
        let tested: Vec<Value> = (0..3)
            .map(|fold| if fold < folds { summary["tested"][fold].clone() } else { Value::Null })
            .collect();
        room.write(
            &format!("{run}/folds.json"),
            serde_json::json!({"folds": 3, "tested": tested}).to_string(),
        );
        fs::remove_file(room.path(run).join("folds.csv")).unwrap();
    };
    let begin = |run: &str| copy(&room.path("whole"), &room.path(run));
    // The second fold had ended, but the summary did not say so; the third one was an empty
    // directory.
    begin("a");
    kept("a", 1);
    fs::remove_dir_all(room.path("a/fold-3")).unwrap();
    fs::create_dir(room.path("a/fold-3")).unwrap();
    room.write("a/fold-3/train.log", "adapter\n");
    // All folds had ended; only the predictions were missing.
    begin("b");
    kept("b", 3);
    // No fold had begun.
    begin("c");
    fs::remove_file(room.path("c/folds.json")).unwrap();
    fs::remove_file(room.path("c/folds.csv")).unwrap();
    (1..=3).for_each(|fold| fs::remove_dir_all(room.path(&format!("c/fold-{fold}"))).unwrap());
    for run in ["a", "b", "c"] {
        room.resume(run, &[]).expect(0);
        same(&room, run, "whole", 3);
    }
}

#[test]
fn settings_change_in_all_folds_or_in_none() {
    let room = room(ALL, 120);
    room.train("long", &["--k-fold", "2", "--epochs", "6"]).expect(0);
    room.train("run", &["--k-fold", "2"]).expect(0);
    room.resume("run", &["--set", "data.split_seed=4"])
        .refused(78, &["data.split_seed: the run has 0, now it is to be 4"]);
    room.resume("run", &["--set", "data.folds=3"]).refused(78, &["data.folds"]);
    room.resume("run", &["--epochs", "6"]).expect(0);
    for fold in 1..=2 {
        let last = |run: &str| room.bytes(&format!("{run}/fold-{fold}/last/model.safetensors"));
        assert!(last("run") == last("long"));
    }
    assert!(room.text("run/folds.toml").contains("epochs = 6"));
    assert!(room.bytes("run/folds.csv") == room.bytes("long/folds.csv"));
}

#[test]
fn folds_of_other_data_are_refused() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "2"]).expect(0);
    fs::remove_dir_all(room.path("run/fold-2")).unwrap();
    room.write("rows.csv", table(121));
    room.resume("run", &[]).refused(65, &["is not the data that the first fold was trained on"]);
}

/// With other data, a model might be tested on rows that it was trained on.
#[test]
fn a_finished_run_of_folds_refuses_other_data_and_keeps_its_files() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "2", "--epochs", "1"]).expect(0);
    let files = ["run/folds.csv", "run/folds.json", "run/folds.toml"];
    let before = files.map(|file| room.bytes(file));
    let rows = room.text("rows.csv");
    for other in [rows.replacen("yes", "no", 3), table(121)] {
        room.write("rows.csv", other);
        for more in [&[][..], &["--epochs", "2"]] {
            room.resume("run", more)
                .refused(65, &["rows.csv", "is not the data that the first fold was trained on"]);
            assert!(files.map(|file| room.bytes(file)) == before);
        }
    }
    // The same data at another path counts as the same.
    room.write("moved.csv", rows);
    let moved = format!("data.train={}", room.path("moved.csv").display());
    room.resume("run", &["--set", &moved]).expect(0);
    assert!(room.bytes("run/folds.csv") == before[0]);
}

/// New settings apply to all folds: once a run goes on with them, no fold counts as finished.
#[test]
fn with_new_settings_no_fold_counts_as_finished() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "2", "--epochs", "1"]).expect(0);
    let args = [
        "train",
        "--resume",
        "run",
        "--epochs",
        "1000000000",
        "--device",
        "reference",
        "--progress",
        "none",
    ];
    let mut child =
        room.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = Instant::now();
    while room.last_step("run/fold-1") < 20 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no point in the first fold");
        std::thread::sleep(Duration::from_millis(2));
    }
    signal(&child, "-INT");
    wait(&mut child, Duration::from_secs(60)).unwrap();
    Ran::of(child.wait_with_output().unwrap()).expect(130);
    room.on_reference(&["predict", "run", "--data", "rows.csv"])
        .refused(66, &["fold 1 of 2 has not ended"]);
}

#[test]
fn a_run_without_its_settings_says_how_to_go_on() {
    let room = room(ALL, 120);
    room.train("run", &["--k-fold", "2", "--epochs", "1"]).expect(0);
    fs::remove_file(room.path("run/folds.toml")).unwrap();
    room.resume("run", &[])
        .refused(66, &["is a run of folds without folds.toml", "train --resume run/fold-1"]);
}
