//! How the best model is selected, when parts are measured, and what the tables say about it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::common::program::{NET, Ran, Room};
use serde_json::Value;
use tandem::config::{Activation, TaskKind};
use tandem::model::loss::{Factor, Loss};
use tandem::model::network::Head;
use tandem::rng::{Purpose, below, normal};
use tandem::run::apply::baseline::{Baseline, TaskLabels, baseline, saturated};

// --- what a network that reads no input costs ---

fn head(kind: TaskKind, classes: usize, loss: Loss) -> Head {
    let has_columns = matches!(kind, TaskKind::Multilabel | TaskKind::Regression);
    let names: Vec<String> = (0..classes).map(|class| class.to_string()).collect();
    Head {
        name: "t".into(),
        kind,
        classes: if has_columns { Vec::new() } else { names.clone() },
        columns: if has_columns { names } else { Vec::new() },
        layers: Vec::new(),
        activation: Activation::Identity,
        dropout: 0.0,
        loss,
        threshold: None,
        top_k: None,
        pool: None,
    }
}

fn near(found: Option<Baseline>, expected: f64) {
    let found = found.unwrap();
    assert!((found.constant - expected).abs() < 1e-12, "{found:?}, expected {expected}");
}

const BLANK: u32 = u32::MAX;

fn words(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|y| y.to_bits()).collect()
}

/// The classes have the shares 3/6, 2/6 and 1/6 in the training part; three rows of the other part
/// have the weights 1, 2 and 0.5, one is blank.
#[test]
fn the_loss_of_class_shares_equals_its_formula() {
    let (train, valid) = (vec![vec![0, 0, 0, 1, 1, 2, BLANK]], vec![vec![0, 2, 1, BLANK]]);
    let weights = [1.0, 2.0, 0.5, 9.0];
    let (train, valid) = (
        TaskLabels { columns: &train, weights: None },
        TaskLabels { columns: &valid, weights: Some(&weights) },
    );
    let [a, b, c] = [0.5_f64, 1.0 / 3.0, 1.0 / 6.0].map(|share| -share.ln());
    let of = |label_smoothing: f64, focal_gamma: f64, class_weights: &[f64]| {
        let loss = Loss::CrossEntropy {
            label_smoothing,
            focal_gamma,
            class_weights: class_weights.to_vec(),
        };
        baseline(&head(TaskKind::Multiclass, 3, loss), train, valid)
    };
    near(of(0.0, 0.0, &[]), (a + 2.0 * c + 0.5 * b) / 3.5);
    // As in torch.nn.CrossEntropyLoss: class weights are divided by the sum of the labels' weights,
    // smoothing spreads over all classes.
    near(of(0.0, 0.0, &[1.0, 2.0, 4.0]), (a + 2.0 * 4.0 * c + 0.5 * 2.0 * b) / (1.0 + 8.0 + 1.0));
    let smooth = 0.3 / 3.0 * (a + b + c);
    near(of(0.3, 0.0, &[]), (0.7 * (a + 2.0 * c + 0.5 * b)) / 3.5 + smooth);
    let spread = 0.3 / 3.0 * (a + 2.0 * b + 4.0 * c);
    near(of(0.3, 0.0, &[1.0, 2.0, 4.0]), (0.7 * (a + 8.0 * c + b) + 3.5 * spread) / 10.0);
    // Lin et al., 2017: (1 − p)^2 times the cross-entropy.
    let focal = |share: f64, nll: f64| (1.0 - share).powi(2) * nll;
    near(
        of(0.0, 2.0, &[]),
        (focal(0.5, a) + 2.0 * focal(1.0 / 6.0, c) + 0.5 * focal(1.0 / 3.0, b)) / 3.5,
    );
}

#[test]
fn the_loss_of_the_share_of_positives_equals_its_formula() {
    // The first column has a quarter of positives, the second one half.
    let train = vec![vec![1, 0, 0, 0, BLANK], vec![1, 0, BLANK, BLANK, BLANK]];
    let valid = vec![vec![1, 0, 0], vec![1, BLANK, 0]];
    let (train, valid) = (
        TaskLabels { columns: &train, weights: None },
        TaskLabels { columns: &valid, weights: None },
    );
    let loss = |focal_gamma: f64| Loss::Logistic { focal_gamma, positive_weights: vec![3.0, 1.0] };
    let (yes, no, half) = (-(0.25_f64).ln(), -(0.75_f64).ln(), 2_f64.ln());
    near(
        baseline(&head(TaskKind::Multilabel, 2, loss(0.0)), train, valid),
        (3.0 * yes + 2.0 * no + 2.0 * half) / 5.0,
    );
    let focal = (3.0 * 0.75 * yes + 2.0 * 0.25 * no + 2.0 * 0.5 * half) / 5.0;
    near(baseline(&head(TaskKind::Multilabel, 2, loss(1.0)), train, valid), focal);
    let one = TaskLabels { columns: &valid.columns[..1], weights: None };
    let of_one = baseline(
        &head(TaskKind::Binary, 2, loss(0.0)),
        TaskLabels { columns: &train.columns[..1], weights: None },
        one,
    );
    near(of_one, (3.0 * yes + 2.0 * no) / 3.0);
}

/// The training part's mean is 2, with weights; the other part has 1, 2.5 and 6.
#[test]
fn the_loss_of_the_mean_equals_its_formula() {
    let train = vec![words(&[1.0, 3.0, 9.0])];
    let valid = vec![words(&[1.0, 2.5, 6.0])];
    let (train, valid) = (
        TaskLabels { columns: &train, weights: Some(&[1.0, 1.0, 0.0]) },
        TaskLabels { columns: &valid, weights: None },
    );
    let of = |loss: Loss| baseline(&head(TaskKind::Regression, 1, loss), train, valid);
    near(of(Loss::Squared), (1.0 + 0.25 + 16.0) / 3.0);
    near(of(Loss::Absolute), (1.0 + 0.5 + 4.0) / 3.0);
    near(
        of(Loss::Huber { delta: 0.75 }),
        (0.75 * (1.0 - 0.375) + 0.125 + 0.75 * (4.0 - 0.375)) / 3.0,
    );
    // sklearn.metrics.mean_pinball_loss([1, 2.5, 6], [2, 2, 2], alpha=0.9)
    near(of(Loss::Quantile { quantile: 0.9 }), (0.1 + 0.45 + 3.6) / 3.0);
    let counts =
        baseline(&head(TaskKind::Count, 1, Loss::Poisson { factor: Factor(1.0) }), train, valid);
    // torch.nn.PoissonNLLLoss(log_input=True) at ln 2.
    near(counts, 2.0 - 2_f64.ln() * 9.5 / 3.0);
    // sklearn.metrics.mean_poisson_deviance([1, 2.5, 6], [2, 2, 2])
    let deviance =
        2.0 * (-(2_f64.ln()) + 1.0 + 2.5 * 1.25_f64.ln() - 0.5 + 6.0 * 3_f64.ln() - 4.0) / 3.0;
    assert!((2.0 * counts.unwrap().gain().unwrap() - deviance).abs() < 1e-12);
    // A loss in units of a mean is divided by the same factor, so the quotient does not change.
    let [plain, per_unit] = [1.0, 0.25].map(Factor).map(|factor| {
        baseline(&head(TaskKind::Count, 1, Loss::Poisson { factor }), train, valid).unwrap()
    });
    assert!(
        (per_unit.constant - 0.25 * plain.constant).abs() < 1e-12
            && (per_unit.saturated - 0.25 * plain.saturated).abs() < 1e-12
    );
}

/// Nothing to gain, no number, no label: there is a notice, and never a division by zero.
#[test]
fn a_reference_loss_that_cannot_divide_is_reported() {
    let same = vec![words(&[2.0, 2.0])];
    let same = TaskLabels { columns: &same, weights: None };
    assert_eq!(
        baseline(&head(TaskKind::Regression, 1, Loss::Squared), same, same).unwrap().gain(),
        None
    );
    assert_eq!(
        baseline(&head(TaskKind::Count, 1, Loss::Poisson { factor: Factor(1.0) }), same, same)
            .unwrap()
            .gain(),
        None
    );
    let none = vec![words(&[0.0, 0.0])];
    let none = TaskLabels { columns: &none, weights: None };
    let counts = head(TaskKind::Count, 1, Loss::Poisson { factor: Factor(1.0) });
    assert_eq!(
        (saturated(none), baseline(&counts, none, none).unwrap().constant),
        (Some(0.0), 0.0)
    );
    assert_eq!(baseline(&counts, none, same).unwrap().gain(), None);
    let classes = head(TaskKind::Multiclass, 2, Loss::cross_entropy());
    let (first, both) = (vec![vec![0, 0]], vec![vec![0, 1]]);
    let [first, both] = [&first, &both].map(|columns| TaskLabels { columns, weights: None });
    assert_eq!(baseline(&classes, first, both).unwrap().gain(), None);
    assert_eq!(baseline(&classes, first, first).unwrap().gain(), None);
    let (blank, columns) = (vec![vec![BLANK, BLANK]], vec![vec![0, 1]]);
    assert_eq!(baseline(&classes, both, TaskLabels { columns: &blank, weights: None }), None);
    assert_eq!(
        baseline(&classes, both, TaskLabels { columns: &columns, weights: Some(&[0.0, 0.0]) }),
        None
    );
    assert_eq!(saturated(TaskLabels { columns: &columns, weights: Some(&[0.0, 0.0]) }), None);
}

// --- select ---

/// A class and a number that depend on two numbers, with noise, so that the losses rise again after
/// a while.
const TWO: &str = "
[data]
train = \"tr.csv\"
valid = \"va.csv\"
test = \"te.csv\"
[trunk]
layers = [24]
[task.sex]
type = \"binary\"
[task.rings]
type = \"regression\"
[optimizer]
learning_rate = 2e-2
[train]
epochs = 30
batch_size = 10
";

fn table(first: u64, rows: u64) -> String {
    let mut text = "u,v,kind,sex,rings,visits\n".to_owned();
    for row in first..first + rows {
        let [u, v, noise] = [0, 1, 2].map(|stream| normal(5, Purpose::Synthetic, stream, row));
        let kind = below(3, 5, Purpose::Synthetic, 9, row);
        let (sex, rings) = (if u + noise > 0.3 { "m" } else { "f" }, 10.0 + 3.0 * v + 4.0 * noise);
        let _ = writeln!(
            text,
            "{u:.4},{v:.4},k{kind},{sex},{rings:.4},{}",
            (300.0 + 90.0 * v).max(0.0).round()
        );
    }
    text
}

fn room(net: &str) -> Room {
    let room = Room::new(net);
    [("tr.csv", 0, 60), ("va.csv", 1000, 50), ("te.csv", 2000, 45)].into_iter().for_each(
        |(name, first, rows)| {
            room.write(name, table(first, rows));
        },
    );
    room
}

fn points(room: &Room, run: &str, split: &str) -> Vec<Value> {
    let all =
        room.points(run).into_iter().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    all.filter(|point| point["split"] == split).collect()
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:#?}"))
}

/// The epoch with the lowest value; the first one of equal ones.
fn lowest(points: &[Value], value: impl Fn(&Value) -> f64) -> u64 {
    let found = points.iter().reduce(|a, b| if value(b) < value(a) { b } else { a }).unwrap();
    found["epoch"].as_u64().unwrap()
}

fn loss(point: &Value, task: &str) -> f64 {
    point["tasks"][task]["loss"].as_f64().unwrap()
}

/// A column of a table.
fn column(text: &str, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let place = reader.headers().unwrap().iter().position(|column| column == name).unwrap();
    reader.records().map(|row| row.unwrap()[place].to_owned()).collect()
}

/// The losses of predicting the training part's class shares and mean on the validation part,
/// computed by hand from the cells.
fn costs(room: &Room) -> [f64; 2] {
    let [train, valid] = ["tr.csv", "va.csv"].map(|name| room.text(name));
    let share = |text: &str| {
        let cells = column(text, "sex");
        cells.iter().filter(|cell| *cell == "m").count() as f64 / cells.len() as f64
    };
    let (p, q) = (share(&train), share(&valid));
    let numbers = |text: &str| {
        column(text, "rings").iter().map(|cell| cell.parse().unwrap()).collect::<Vec<f64>>()
    };
    let (of_train, of_valid) = (numbers(&train), numbers(&valid));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let middle = mean(&of_train);
    let squares =
        |values: &[f64]| mean(&values.iter().map(|y| (y - middle).powi(2)).collect::<Vec<_>>());
    // TaskLabels are standardised by the training part.
    [-(q * p.ln() + (1.0 - q) * (1.0 - p).ln()), squares(&of_valid) / squares(&of_train)]
}

/// By default all tasks count equally, whatever their scale and their weight in training.
#[test]
fn the_relative_loss_selects_the_model() {
    let room = room(TWO);
    let ran = room.train("run", &["--set", "task.rings.weight=30.0", "--json"]).expect(0);
    assert!(room.text("run/config.toml").contains("select = \"relative_loss\""));
    let [of_sex, of_rings] = costs(&room);
    let valid = points(&room, "run", "valid");
    let expected = lowest(&valid, |p| loss(p, "sex") / of_sex + loss(p, "rings") / of_rings);
    assert_eq!(json(&ran)["best_epoch"], expected);
    // The combined loss would have selected another epoch, because it follows the task of weight
    // 30.
    let combined = lowest(&valid, |p| p["loss"].as_f64().unwrap());
    assert_ne!(expected, combined);
    let ran = room
        .train("loss", &["--set", "task.rings.weight=30.0", "--set", "train.select=loss", "--json"])
        .expect(0);
    assert_eq!(json(&ran)["best_epoch"], combined);
}

#[test]
fn single_losses_and_means_of_metrics_select_the_model() {
    let room = room(TWO);
    let picked = |run: &str, select: &str| {
        json(&room.train(run, &["--set", &format!("train.select={select}"), "--json"]).expect(0))
            ["best_epoch"]
            .clone()
    };
    let one = picked("one", "sex.loss");
    let valid = points(&room, "one", "valid");
    assert_eq!(one, lowest(&valid, |p| loss(p, "sex")));
    let sum = picked("sum", "{ \"sex.loss\" = 1.0, \"rings.r2\" = 0.5 }");
    assert_eq!(
        sum,
        lowest(&valid, |p| loss(p, "sex") - 0.5 * p["tasks"]["rings"]["r2"].as_f64().unwrap())
    );
    assert!(
        room.text("sum/config.toml")
            .contains("select = { \"sex.loss\" = 1.0, \"rings.r2\" = 0.5 }")
    );
}

/// A task of weight 0 does not influence the selection.
#[test]
fn tasks_of_weight_zero_do_not_select() {
    let room = room(TWO);
    for (run, select) in [("default", "relative_loss"), ("mean", "mean")] {
        let select = format!("train.select={select}");
        let ran = room
            .train(run, &["--set", "task.rings.weight=0.0", "--set", &select, "--json"])
            .expect(0);
        let valid = points(&room, run, "valid");
        let auc = |p: &Value| -p["tasks"]["sex"]["auc"].as_f64().unwrap();
        let expected =
            if run == "mean" { lowest(&valid, auc) } else { lowest(&valid, |p| loss(p, "sex")) };
        assert_eq!(json(&ran)["best_epoch"], expected, "{run}");
    }
}

#[test]
fn a_mean_of_metrics_without_bounds_is_refused() {
    let room = room(TWO);
    let mean = ["--set", "train.select=mean"];
    let ran = room.train("run", &mean);
    ran.refused(
        78,
        &[
            "train.select",
            "r2 of task \"rings\"",
            "one bad task would decide alone",
            "relative_loss",
        ],
    );
    let count =
        [&["--set", "task.rings.type=count", "--set", "task.rings.target=visits"][..], &mean]
            .concat();
    room.train("run", &count).refused(78, &["deviance of task \"rings\""]);
    // A run of the version before selects as that version did.
    room.write("old.toml", format!("version = \"0.1\"\n{TWO}"));
    let ran = room
        .on_reference(&["train", "old.toml", "--out", "old", "--epochs", "8", "--json"])
        .expect(0);
    assert!(room.text("old/config.toml").contains("select = \"mean\""));
    let valid = points(&room, "old", "valid");
    let of = |p: &Value| {
        p["tasks"]["sex"]["auc"].as_f64().unwrap() + p["tasks"]["rings"]["r2"].as_f64().unwrap()
    };
    assert_eq!(json(&ran)["best_epoch"], lowest(&valid, |p| -of(p)));
}

/// Without a label a metric does not exist, so it cannot select.
#[test]
fn selecting_by_something_that_does_not_exist_is_refused() {
    let room = room(TWO);
    let blank = |name: &str, row: &str| {
        let mut cells: Vec<&str> = row.split(',').collect();
        cells[if name == "sex" { 3 } else { 4 }] = if cells[0] == "u" { name } else { "" };
        cells.join(",") + "\n"
    };
    let whole = room.text("va.csv");
    room.write("va.csv", whole.lines().map(|row| blank("rings", row)).collect::<String>());
    for select in ["rings.rmse", "rings.loss", "{ \"sex.auc\" = 1.0, \"rings.r2\" = 1.0 }"] {
        let ran = room.train("run", &["--set", &format!("train.select={select}")]);
        ran.refused(
            78,
            &["train.select", "task \"rings\" has no label of any weight in the validation part"],
        );
    }
    assert!(!room.path("run").exists());
    room.train("other", &["--set", "train.select=sex.auc", "--epochs", "1"]).expect(0);
    // TaskLabels of one class have no AUC.
    room.write(
        "va.csv",
        whole
            .lines()
            .filter(|row| !row.contains(",m,"))
            .map(|row| format!("{row}\n"))
            .collect::<String>(),
    );
    let ran = room.train("run", &["--set", "train.select=sex.auc"]);
    ran.refused(
        78,
        &[
            "train.select",
            "auc of task \"sex\" is not defined by the labels of the validation part",
            "one class",
        ],
    );
    room.train("run", &["--set", "train.select=sex.average_precision", "--epochs", "1"])
        .refused(78, &["none is positive"]);
    room.train("again", &["--set", "train.select=sex.accuracy", "--epochs", "1"]).expect(0);
    // A task that has a label and one that has none.
    let ran = room.train("run", &["--set", "train.select=sex.colour"]);
    ran.refused(78, &["train.select", "sex.colour", "relative_loss"]);
}

/// F1 is defined only if a row is positive or predicted as positive: an epoch without it is never
/// the best, and a notice says so.
#[test]
fn a_metric_that_is_not_defined_is_never_best() {
    let net = TWO.replace("learning_rate = 2e-2", "learning_rate = 1e-9");
    let room = room(&net);
    let none = |name: &str| room.write(name, room.text(name).replace(",m,", ",f,"));
    none("va.csv");
    // One of sixty training rows is positive: every prediction stays a no, because of the
    // threshold.
    let ran = room.train("run", &["--set", "train.select=sex.f1", "--epochs", "3"]).expect(0);
    let valid = points(&room, "run", "valid");
    assert!(valid.iter().all(|p| p["tasks"]["sex"].get("f1").is_none()), "{valid:?}");
    let ran = ran.says(&[
        "train.select: sex.f1 is not defined after step 6",
        "sex.f1 was never defined: the model of the last step is kept",
    ]);
    assert_eq!(ran.err.matches("is not defined after").count(), 1);
    assert!(ran.out.contains("epoch 3, the last one, which is kept"), "{ran:#?}");
}

/// A score with other task weights is another score, if the weights are part of it.
#[test]
fn other_weights_forget_the_best_score() {
    let room = room(TWO);
    let heavier = ["--epochs", "6", "--set", "task.rings.weight=3.0"];
    room.train("loss", &["--epochs", "4", "--set", "train.select=loss"]).expect(0);
    room.resume("loss", &heavier)
        .expect(0)
        .says(&["the best score so far was by other weights and is forgotten"]);
    room.train("relative", &["--epochs", "4"]).expect(0);
    copy(&room.path("relative"), &room.path("zero"));
    let ran = room.resume("relative", &heavier).expect(0);
    assert!(!ran.err.contains("forgotten"), "{ran:#?}");
    let none = ["--epochs", "6", "--set", "task.rings.weight=0.0"];
    room.resume("zero", &none).expect(0).says(&["by other weights and is forgotten"]);
}

// --- parts that are measured in between ---

/// [`NET`] without early stopping, its parts measured every eight steps.
fn between() -> String {
    let net =
        NET.replace("patience = 11", "evaluate_every = \"8s\"\nevaluate = [\"valid\", \"test\"]");
    net.replace("checkpoint_every = \"5s\"", "checkpoint_every = \"4s\"\nkeep = 100")
        .replace("epochs = 12", "epochs = 4")
}

fn steps(points: &[Value]) -> Vec<u64> {
    points.iter().map(|p| p["step"].as_u64().unwrap()).collect()
}

#[test]
fn parts_are_measured_every_so_many_steps() {
    let room = Room::new(&between());
    let ran = room.train("run", &["--progress", "plain"]).expect(0);
    let expected: Vec<u64> = (1..=6).map(|n| 8 * n).chain([52]).collect();
    let [valid, test] = ["valid", "test"].map(|part| points(&room, "run", part));
    assert_eq!(steps(&valid), expected);
    // The last one is about the model that was kept.
    let (kept, during) = test.split_last().unwrap();
    assert_eq!(steps(during), expected);
    let same = during.iter().find(|point| point["step"] == kept["step"]).unwrap();
    // The reference keeps its weights in f64, models are f32.
    for task in ["a", "b"] {
        assert!((loss(same, task) - loss(kept, task)).abs() < 1e-6, "{same}, kept {kept}");
        assert_eq!(same["tasks"][task]["accuracy"], kept["tasks"][task]["accuracy"]);
    }
    let line = |place: &str| {
        ran.err
            .lines()
            .find(|line| line.starts_with(place))
            .unwrap_or_else(|| panic!("{place}: {ran:#?}"))
    };
    let shown =
        |part: &str, value: &Value| format!(" {part} {:.4}", value["loss"].as_f64().unwrap());
    assert!(
        line("step 16/52 epoch 2/4")
            .contains(&(shown("valid", &valid[1]) + &shown("test", &test[1])))
    );
    assert!(line("epoch 4/4").contains(&(shown("valid", &valid[6]) + &shown("test", &test[6]))));
    // One row per evaluation, one where an epoch ends without evaluation, and one for the model
    // that was kept.
    let table = room.text("run/metrics.csv");
    let rows = column(&table, "step");
    assert_eq!(
        rows,
        ["8", "13", "16", "24", "26", "32", "39", "40", "48", "52", &kept["step"].to_string()]
    );
    let tested = column(&table, "test/loss");
    assert!(tested[1].is_empty() && !tested[2].is_empty());
    assert_eq!(column(&table, "train/loss").last().unwrap(), "");
    assert_eq!(column(&table, "epoch").last().unwrap(), &kept["epoch"].to_string());
}

/// Evaluation in between changes nothing in training, and gives the same numbers at the ends of
/// epochs.
#[test]
fn evaluation_in_between_changes_no_bit_of_training() {
    let room = Room::new(NET);
    room.train("whole", &[]).expect(0);
    room.train("same", &["--set", "train.evaluate_every=13s"]).expect(0);
    room.same("same", "whole");
    room.train("often", &["--set", "train.evaluate_every=3s", "--set", "train.patience=0"])
        .expect(0);
    room.train("plain", &["--set", "train.patience=0"]).expect(0);
    assert_eq!(
        room.bytes("often/last/model.safetensors"),
        room.bytes("plain/last/model.safetensors")
    );
    room.train("rare", &["--set", "train.evaluate_every=5e", "--set", "train.patience=0"])
        .expect(0);
    assert_eq!(steps(&points(&room, "rare", "valid")), [65, 130, 156]);
    assert_eq!(
        room.bytes("rare/last/model.safetensors"),
        room.bytes("plain/last/model.safetensors")
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target)
        } else {
            fs::copy(entry.path(), target).map(|_| ()).unwrap()
        }
    }
}

/// A run goes on to the same bytes from every checkpoint: at an evaluated step, at the end of an
/// epoch without evaluation, or at neither.
#[test]
fn a_run_measured_in_between_goes_on_to_the_same_bytes() {
    let room = Room::new(&between());
    room.train("whole", &["--epochs", "3"]).expect(0);
    let all = room.checkpoints("whole");
    assert!([8, 12, 16, 28, 32].iter().all(|step| all.contains(step)), "{all:?}");
    for step in all.iter().filter(|step| **step < 39 && **step > 0) {
        let run = format!("from-{step}");
        copy(&room.path("whole"), &room.path(&run));
        let later = |name: &str| {
            name.strip_prefix("step-").is_some_and(|n| n.parse::<u64>().unwrap() > *step)
        };
        for entry in fs::read_dir(room.path(&format!("{run}/checkpoints"))).unwrap().flatten() {
            if later(&entry.file_name().to_string_lossy()) {
                fs::remove_dir_all(entry.path()).unwrap();
            }
        }
        room.resume(&run, &[]).expect(0).says(&[&format!("going on after step {step} (")]);
        room.same(&run, "whole");
    }
}

/// Patience counts evaluations.
#[test]
fn patience_counts_evaluations() {
    let room = room(TWO);
    let settings = [
        "--set",
        "train.evaluate_every=2s",
        "--set",
        "train.patience=4",
        "--set",
        "train.epochs=100",
    ];
    let ran = json(&room.train("run", &[&settings[..], &["--json"]].concat()).expect(0));
    assert_eq!(ran["ended"], "early stopping");
    assert_eq!(ran["steps"].as_u64().unwrap(), ran["best_step"].as_u64().unwrap() + 4 * 2);
}

/// The test part never selects or stops anything, even if it is shown.
#[test]
fn the_test_part_never_selects() {
    let room = room(TWO);
    let more = ["--set", "train.patience=3", "--epochs", "100"];
    let one = json(&room.train("one", &[&more[..], &["--json"]].concat()).expect(0));
    let shown = ["--set", "train.evaluate=[\"valid\", \"test\"]"];
    let two = json(&room.train("two", &[&more[..], &shown, &["--json"]].concat()).expect(0));
    assert_eq!((&one["steps"], &one["best_step"]), (&two["steps"], &two["best_step"]));
    assert_eq!(
        room.bytes("one/model/model.safetensors"),
        room.bytes("two/model/model.safetensors")
    );
    // Without validation data the last step is kept.
    let net = TWO.replace("valid = \"va.csv\"", "split = [1.0, 0.0, 0.0]");
    room.write("net.toml", &net);
    let ran = room
        .train(
            "three",
            &[&["--set", "train.evaluate=[\"test\"]", "--set", "train.evaluate_every=50s"][..]]
                .concat(),
        )
        .expect(0);
    assert!(ran.out.contains("epoch 30, the last one, which is kept"), "{ran:#?}");
    assert_eq!(steps(&points(&room, "three", "test")), [50, 100, 150, 180, 180]);
}

#[test]
fn parts_that_are_not_there_are_refused() {
    let room = room(TWO);
    let refused = |net: &str, set: &[&str], pieces: &[&str]| {
        room.write("net.toml", net);
        let set: Vec<&str> = set.iter().flat_map(|set| ["--set", *set]).collect();
        room.train("run", &set).refused(78, pieces);
    };
    let none = TWO.replace("valid = \"va.csv\"\ntest = \"te.csv\"", "split = [1.0, 0.0, 0.0]");
    refused(
        &none,
        &["train.evaluate_every=2s"],
        &["train.evaluate_every: has no effect", "no validation data"],
    );
    refused(&none, &["train.evaluate=[\"test\"]"], &["train.evaluate", "no test data"]);
    refused(&none, &["train.evaluate=[\"valid\"]"], &["train.evaluate", "no validation data"]);
    refused(TWO, &["train.evaluate=[\"test\"]"], &["train.evaluate", "must have \"valid\""]);
    refused(TWO, &["train.evaluate=[]"], &["train.evaluate"]);
    refused(TWO, &["train.evaluate=[\"valid\", \"valid\"]"], &["stands twice"]);
    refused(TWO, &["train.evaluate=[\"train\"]"], &["train.evaluate", "known: valid, test"]);
    refused(TWO, &["train.evaluate_every=2"], &["train.evaluate_every"]);
    refused(TWO, &["train.select={ \"relative_loss\" = 1.0 }"], &["choices of their own"]);
}

// --- what is shown ---

/// All columns of the table are about the epoch that is kept, with the training part measured
/// without dropout: the numbers that `evaluate` prints.
#[test]
fn the_table_shows_the_kept_epoch() {
    let net = TWO.replace("layers = [24]", "layers = [24]\ndropout = 0.4");
    let room = room(&net);
    let ran = room.train("run", &[]).expect(0);
    let summary = json(&room.train("json", &["--json"]).expect(0));
    let epoch = summary["best_epoch"].as_u64().unwrap();
    assert!(epoch < 30, "the last epoch is the best one");
    assert!(
        ran.out.contains(&format!("table and model: epoch {epoch}, the kept one\n")),
        "{ran:#?}"
    );
    let words: BTreeMap<&str, Vec<&str>> = ran
        .out
        .lines()
        .filter_map(|line| {
            Some((line.split_whitespace().next()?, line.split_whitespace().skip(1).collect()))
        })
        .collect();
    for (column, (name, file)) in
        [("train", "tr.csv"), ("valid", "va.csv"), ("test", "te.csv")].into_iter().enumerate()
    {
        let said =
            json(&room.on_reference(&["evaluate", "run", "--data", file, "--json"]).expect(0));
        assert_eq!(
            (&summary[name]["epoch"], &summary[name]["step"]),
            (&Value::from(epoch), &Value::from(6 * epoch)),
            "{name}"
        );
        for task in ["sex", "rings"] {
            let (found, expected) = (loss(&summary[name], task), loss(&said, task));
            // The model was rounded to f32.
            assert!(
                (found - expected).abs() < 1e-5,
                "{name} {task}: {found}, evaluate says {expected}"
            );
            assert_eq!(words[task][3 * column], format!("{found:.4}"));
        }
    }
}

/// Numbers that were not measured on the kept model are labelled as means over steps.
#[test]
fn a_run_of_less_than_an_epoch_shows_means_of_its_steps() {
    let room = room(TWO);
    let ran = room.train("run", &["--max-steps", "4"]).expect(0);
    assert!(
        ran.out.contains("table and model: epoch 1, the kept one (train: means over its steps)"),
        "{ran:#?}"
    );
    let train = &points(&room, "run", "train")[0];
    assert!(ran.out.contains(&format!("{:.4}", loss(train, "sex"))), "{ran:#?}");
}

#[test]
fn lines_of_epochs_name_their_metrics() {
    let room = room(TWO);
    let ran = room.train("run", &["--epochs", "1", "--progress", "plain"]).expect(0);
    let valid = &points(&room, "run", "valid")[0];
    let figures = ["sex auc", "rings r2"].map(|words| {
        let (task, metric) = words.split_once(' ').unwrap();
        format!(" {words} {:.4}", valid["tasks"][task][metric].as_f64().unwrap())
    });
    let line = ran.err.lines().find(|line| line.starts_with("epoch 1/1 ")).unwrap();
    assert!(line.contains(&figures.concat()), "{line}, expected {figures:?}");
    assert!(room.text("run/train.log").contains(&figures.concat()));
}

/// A loss a hundred times as large as another dominates it; a notice names once the weight that
/// balances them.
#[test]
fn losses_that_are_far_apart_are_reported() {
    let net = TWO.replace("[task.rings]\n", "[task.rings]\nscale = \"none\"\n");
    let room = room(&net);
    let ran = room.train("run", &["--epochs", "2"]).expect(0);
    let told: Vec<&str> =
        ran.err.lines().filter(|line| line.contains("would level them")).collect();
    assert_eq!(told.len(), 1, "{ran:#?}");
    let first = &points(&room, "run", "train")[0];
    let times = loss(first, "rings") / loss(first, "sex");
    assert!(times > 100.0);
    let said: Vec<f64> = told[0]
        .split(|c: char| !(c.is_ascii_digit() || c == '.'))
        .filter_map(|word| word.parse().ok())
        .collect();
    let [shown, weight] = said[..] else { panic!("{told:?}") };
    assert!(
        told[0].starts_with("task rings: its loss is ")
            && told[0].contains(" times that of sex; weight = "),
        "{told:?}"
    );
    assert!(
        (shown / times - 1.0).abs() < 0.01 && (weight * times - 1.0).abs() < 0.05,
        "{told:?}, expected {times}"
    );
    let level = format!("task.rings.weight={weight}");
    let ran = room.train("level", &["--epochs", "2", "--set", &level]).expect(0);
    assert!(!ran.err.contains("would level them"), "{ran:#?}");
    // A task of weight 0 does not dominate another.
    let ran = room.train("zero", &["--epochs", "2", "--set", "task.rings.weight=0.0"]).expect(0);
    assert!(!ran.err.contains("would level them"), "{ran:#?}");
}
