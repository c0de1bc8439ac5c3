//! Balancing as its users meet it: what a run says at its end, what its files have, what is
//! refused.

use crate::common::program::Room;
use serde_json::Value;
use std::collections::BTreeSet;
use tandem::rng::{Purpose, normal};

/// Two numbers from two features: the same one twice, or each its own.
fn room(net: &str) -> Room {
    let room = Room::new("");
    let mut table = String::from("x,y,same,own\n");
    for row in 0..320 {
        let z = [0, 1, 2].map(|stream| normal(5, Purpose::Synthetic, stream, row));
        table += &format!("{:.4},{:.4},{:.4},{:.4}\n", z[0], z[1], z[0] - z[1], z[0] + z[1] + z[2]);
    }
    room.write("train.csv", table);
    room.write("net.toml", format!("{DATA}{net}{REST}"));
    room
}

const DATA: &str = "[data]\ntrain = \"train.csv\"\nsplit = [0.8, 0.2, 0.0]\n";
const REST: &str = "
[trunk]
layers = [6, 4]
[train]
epochs = 8
batch_size = 32
log_every = \"16s\"
";

/// Two tasks with one target.
const ALIKE: &str = "
[balance]
observe = 1
[task.a]
type = \"regression\"
target = \"same\"
[task.b]
type = \"regression\"
target = \"same\"
";

/// Two tasks with targets of their own, the second one dominating.
const APART: &str = "
[balance]
observe = 1
[task.a]
type = \"regression\"
target = \"same\"
[task.b]
type = \"regression\"
target = \"own\"
weight = 1000.0
";

/// The line about conflict of a run.
fn conflict(room: &Room, run: &str, flags: &[&str]) -> String {
    let ran = room.train(run, flags).expect(0);
    let lines: Vec<&str> = ran.err.lines().filter(|line| line.contains("conflict: ")).collect();
    assert_eq!(lines.len(), 1, "{ran:#?}");
    assert!(room.text(&format!("{run}/train.log")).contains(lines[0]), "{lines:?}");
    lines[0].to_owned()
}

fn says(line: &str, pieces: &[&str]) {
    pieces.iter().for_each(|piece| assert!(line.contains(piece), "no \"{piece}\" in {line}"));
}

#[test]
fn a_run_ends_with_a_sentence_about_conflict() {
    let alike = room(ALIKE);
    let line = conflict(&alike, "alike", &[]);
    says(&line, &["alignment of the tasks' gradients 1.", "in 72 observed steps", "of a and b"]);
    says(&line, &["a balancer is unlikely to help"]);
    let apart = room(APART);
    let line = conflict(&apart, "apart", &[]);
    says(&line, &["alignment of the tasks' gradients 0.", "the gradient of b is ", "as that of a"]);
    says(&line, &["a balancer is likely to help: try balance.method = \"log\" or \"cagrad\""]);
    let few = ["--set", "balance.observe=4"];
    says(&conflict(&apart, "few", &few), &["fewer than 20 steps say nothing about a balancer"]);
    let upgrad = ["--set", "balance.method=upgrad"];
    says(
        &conflict(&apart, "upgrad", &upgrad),
        &["with upgrad the updates went downhill in the mean for every"],
    );
    let ran = apart.train("never", &["--set", "balance.observe=0"]).expect(0);
    assert!(!ran.err.contains("conflict: "), "{ran:#?}");
}

#[test]
fn the_files_of_a_run_have_weights_and_conflict() {
    let room = room(APART);
    let flags = [
        "--set",
        "balance.method=upgrad",
        "--set",
        "balance.observe=3",
        "--set",
        "train.log_every=1e",
    ];
    room.train("run", &flags).expect(0);
    let points: Vec<Value> = room
        .text("run/metrics.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|point| point["split"] == "train")
        .collect();
    assert_eq!(points.len(), 8);
    let table = room.text("run/metrics.csv");
    let header: Vec<&str> = table.lines().next().unwrap().split(',').collect();
    let column = |name: &str| {
        let place = header.iter().position(|column| *column == format!("train/{name}"));
        place.unwrap_or_else(|| panic!("no {name} in {header:?}"))
    };
    let step = header.iter().position(|name| *name == "step").unwrap();
    for point in &points {
        let wanted = point["step"].to_string();
        let lines = table.lines().map(|line| line.split(',').collect::<Vec<&str>>());
        let mut lines = lines.filter(|cells| cells[step] == wanted);
        let cells = lines.next().unwrap();
        let conflict = &point["conflict"];
        assert_eq!(conflict["steps"], 3);
        let norms = ["a", "b"].map(|task| conflict["tasks"][task]["norm"].as_f64().unwrap());
        assert!(norms[1] > 100.0 * norms[0], "{norms:?}");
        let cosine = conflict["pairs"][0]["cosine"].as_f64().unwrap();
        let mean = conflict["mean_cosine"].as_f64().unwrap();
        let alignment = conflict["alignment"].as_f64().unwrap();
        assert!((alignment - mean * 2f64.sqrt()).abs() < 1e-9, "{alignment} {mean}");
        let layers = conflict["pairs"][0]["layers"].as_object().unwrap();
        assert_eq!(
            layers.keys().collect::<BTreeSet<_>>(),
            ["trunk.0", "trunk.1"].map(String::from).iter().collect()
        );
        let weight = point["balance"]["weights"]["a"].as_f64().unwrap();
        assert!(weight >= 0.5, "{weight}");
        assert!(point["balance"]["residual"].as_f64().unwrap() < 1e-3, "{point}");
        for (name, value) in
            [("a/weight", weight), ("cosine/a/b", cosine), ("alignment", alignment)]
        {
            let cell: f64 = cells[column(name)].parse().unwrap();
            assert!((cell - value).abs() <= 1e-12 * value.abs(), "{name}: {cell} {value}");
        }
        let more = ["b/norm", "b/to_mean", "b/to_update", "residual", "cosine/a/b/trunk.1"];
        more.into_iter().for_each(|name| assert!(column(name) > 0));
    }
}

#[test]
fn what_cannot_be_balanced_is_refused() {
    let room = room(APART);
    let refused = |flags: &[&str], pieces: &[&str]| {
        let _ = room.train("refused", flags).refused(78, pieces);
    };
    let upgrad = ["--set", "balance.method=upgrad"];
    refused(
        &[&upgrad[..], &["--set", "architecture.kind=separate"]].concat(),
        &["balance.method: has no effect, since no layer that trains is shared by two tasks"],
    );
    refused(
        &["--set", "balance.method=log", "--set", "balance.every=2"],
        &["balance.every", "log"],
    );
    refused(
        &[&upgrad[..], &["--set", "balance.metric=adam"]].concat(),
        &["balance.metric", "parameters"],
    );
    refused(&["--set", "balance.method=upgrade"], &["balance.method", "upgrad"]);
}

/// Two tasks of the signs of one number, coupled in what they predict.
const COUPLED: &str = "
[balance]
method = \"upgrad\"
couplings = \"balanced\"
observe = 1
[task.a]
type = \"binary\"
target = \"sign\"
[task.b]
type = \"binary\"
target = \"sign\"
[[coupling]]
kind = \"agreement\"
strength = 0.5
";

fn coupled() -> Room {
    let room = room(COUPLED);
    let mut table = String::from("x,y,sign\n");
    for row in 0..320 {
        let z = [0, 1].map(|stream| normal(5, Purpose::Synthetic, stream, row));
        table += &format!("{:.4},{:.4},{}\n", z[0], z[1], u8::from(z[0] > z[1]));
    }
    room.write("train.csv", table);
    room
}

#[test]
fn couplings_that_are_balanced_are_told_beside_the_tasks() {
    let room = coupled();
    let ran = room.train("balanced", &[]).expect(0);
    assert!(ran.err.contains("conflict: "), "{ran:#?}");
    let text = room.text("balanced/metrics.jsonl");
    let points = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let points: Vec<Value> = points.filter(|point| point["split"] == "train").collect();
    let last = points.last().unwrap();
    let names = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&last["balance"]["weights"]), ["a", "b", "couplings"]);
    assert_eq!(names(&last["conflict"]["tasks"]), ["a", "b", "couplings"]);
    assert_eq!(last["conflict"]["pairs"].as_array().unwrap().len(), 3);
    let head = room.text("balanced/metrics.csv").lines().next().unwrap().to_owned();
    says(&head, &["train/couplings/weight", "train/cosine/a/couplings", "train/couplings/norm"]);
    let ran = room.resume("balanced", &["--epochs", "9"]).expect(0);
    says(&ran.err, &["conflict: ", "in 81 observed steps"]);
    let added = room.resume("balanced", &["--epochs", "10", "--set", "balance.couplings=added"]);
    let _ = added.refused(78, &["balance.couplings", "cannot change"]);
}

#[test]
fn couplings_that_cannot_be_balanced_are_refused() {
    let refused = |net: &str, flags: &[&str], pieces: &[&str]| {
        let room = coupled();
        room.write("net.toml", format!("{DATA}{net}{REST}"));
        let _ = room.train("refused", flags).refused(78, pieces);
    };
    let without = COUPLED.split_once("[[").unwrap().0;
    refused(without, &[], &["balance.couplings: has no effect", "no [[coupling]] acts on logits"]);
    let soft = COUPLED.replace("agreement", "soft_sharing");
    refused(&soft, &[], &["balance.couplings: has no effect"]);
    let named = COUPLED.replace("task.b", "task.couplings");
    refused(&named, &[], &["balance.couplings", "a task has this name", "rename"]);
    let by_loss = ["--set", "balance.normalize=loss"];
    refused(COUPLED, &by_loss, &["balance.couplings", "divided by losses"]);
    let log = ["--set", "balance.method=log"];
    refused(COUPLED, &log, &["balance.couplings", "log", "does not compare gradients"]);
}

#[test]
fn gradients_of_at_most_128_tasks_are_compared() {
    let heads: String = (0..129)
        .map(|t| format!("[task.t{t}]\ntype = \"regression\"\ntarget = \"same\"\n"))
        .collect();
    let room = room(&heads);
    let _ = room
        .train("many", &["--set", "balance.method=mgda"])
        .refused(78, &["balance.method: 129 tasks", "at most 128"]);
    room.train("log", &["--set", "balance.method=log", "--epochs", "1"]).expect(0);
}

/// A count whose loss falls below zero, beside a number.
fn counting() -> Room {
    let net = ALIKE.replace(
        "type = \"regression\"\ntarget = \"same\"\n[task.b]",
        "type = \"count\"\ntarget = \"many\"\n[task.b]",
    );
    let room = room(&net.replace("observe = 1", ""));
    let mut table = String::from("x,y,same,many\n");
    for row in 0..320 {
        let z = [0, 1].map(|stream| normal(5, Purpose::Synthetic, stream, row));
        table += &format!("{:.4},{:.4},{:.4},{}\n", z[0], z[1], z[0], 40 + row % 7);
    }
    room.write("train.csv", table);
    room
}

#[test]
fn a_loss_that_may_fall_below_zero_does_not_divide() {
    let room = counting();
    for normalize in ["loss", "loss_norm"] {
        let key = format!("balance.normalize={normalize}");
        let flags = ["--set", "balance.method=upgrad", "--set", &key];
        let pieces = ["balance.normalize: divides by losses", "the count \"a\"", "below zero"];
        let _ = room.train("refused", &flags).refused(78, &pieces);
    }
    let nash = ["--set", "balance.method=nash_mtl", "--set", "balance.normalize=norm"];
    let pieces = ["balance.normalize", "nash_mtl", "does not depend on the size of gradients"];
    let _ = room.train("refused", &nash).refused(78, &pieces);
}

#[test]
fn only_what_solves_step_by_step_has_a_residual() {
    let room = room(APART);
    for (method, is_there) in [("cagrad", true), ("imtl_g", false), ("pcgrad", false)] {
        let key = format!("balance.method={method}");
        room.train(method, &["--set", &key, "--epochs", "1"]).expect(0);
        let head = room.text(&format!("{method}/metrics.csv")).lines().next().unwrap().to_owned();
        assert_eq!(head.contains("residual"), is_there, "{method}: {head}");
        let points = room.text(&format!("{method}/metrics.jsonl"));
        assert_eq!(points.contains("residual"), is_there, "{method}");
    }
}

/// The loss of a count has no lower bound at zero, so its logarithm may not exist.
#[test]
fn a_loss_without_a_logarithm_names_method_and_task() {
    let room = counting();
    for method in ["log", "geometric", "famo", "db_mtl"] {
        let flags =
            ["--set", &format!("balance.method={method}"), "--set", "optimizer.learning_rate=0.1"];
        let ran = room.train(method, &flags);
        assert_eq!(ran.code, Some(3), "{ran:#?}");
        let what = format!("logarithm of the loss that {method} takes is not finite");
        let _ = ran.says(&[&what, "task \"a\"", "hint: a loss of 0 or below has no logarithm"]);
    }
}

#[test]
fn a_skipped_step_leaves_what_is_kept_of_gradients() {
    let net = ALIKE
        .replace(
            "type = \"regression\"\ntarget = \"same\"\n[task.b]",
            "type = \"count\"\ntarget = \"many\"\nscale_loss = false\n[task.b]",
        )
        .replace("observe = 1", "");
    let room = room(&net);
    let mut table = String::from("x,y,same,many\n");
    for row in 0..160 {
        let z = [0, 1].map(|stream| normal(3, Purpose::Synthetic, stream, row));
        table +=
            &format!("{:.4},{:.4},{:.4},{}\n", z[0], z[1], z[0], [3, 9, 14, 20][row as usize % 4]);
    }
    room.write("train.csv", table);
    let flags = |last: &str| {
        let set = [
            "balance.method=db_mtl",
            "optimizer.learning_rate=0.01",
            "train.on_nan=skip",
            "train.checkpoint_every=1s",
        ];
        let set = set.into_iter().flat_map(|set| ["--set".to_owned(), set.to_owned()]);
        set.chain(["--set".to_owned(), format!("train.max_steps={last}")]).collect::<Vec<_>>()
    };
    let train = |run: &str, last: &str| {
        let flags = flags(last);
        room.train(run, &flags.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let first = train("first", "60");
    let skipped = first.err.lines().find(|line| line.contains("the step is skipped"));
    let step = skipped.and_then(|line| line.split("step ").nth(1)?.split(':').next());
    let step: u64 = step.unwrap_or_else(|| panic!("{first:#?}")).parse().unwrap();
    assert!(step > 1, "{first:#?}");
    train("run", &step.to_string());
    let state = |step: u64| room.bytes(&format!("run/checkpoints/step-{step}/balance.bin"));
    assert!(state(step) == state(step - 1), "step {step} was skipped");
}
