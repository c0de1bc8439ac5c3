//! Losses of every type of task, with blanks and row weights.
//!
//! The float64 step is compared with differences of formulas from the textbook, which share no code
//! with schedule or engine (as in `gradients.rs`), and with numbers of PyTorch. Then come
//! properties that hold for any numbers: a row without a label does not count for that task, a row
//! of weight 2 counts as two rows, and an evaluation in pieces equals one evaluation, also on the
//! device.

use std::collections::BTreeMap;

use crate::common::{Bench, EVERY_CLASSES, EVERY_LOSS, gpu, labelled, plan_of, row_weights, whole};
use anyhow::Result;
use tandem::config::{ClassWeights, Config, Loss, PositiveWeight, Task, TaskKind};
use tandem::data::split::order::epoch_order;
use tandem::data::{Dataset, Features, UNLABELLED};
use tandem::device::Session;
use tandem::kernels::tuning::Tuning;
use tandem::rng::{Purpose, permutation};
use tandem::run::apply::evaluate::{Measured, evaluate};
use tandem::run::data::upload;
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Ended, Observer, Options, Plan, train};
use tandem::schedule::{Engine, MetricKind};

const BOUND: f64 = 1e-7;
/// The distance between the points of a difference quotient.
const DISTANCE: f64 = 1e-4;
/// Numbers stay farther than this from the kinks of the losses.
const MARGIN: f64 = 3e-3;
const WIDTH: usize = 4;

// The independent formula: one trunk layer with tanh, heads without towers.

/// Parameters by their names in `model.safetensors`: a weight is a list of rows, a bias has one
/// row.
type Parameters = BTreeMap<String, Vec<Vec<f64>>>;

/// The rows of a batch, as the formula takes them.
struct Formula<'a> {
    config: &'a Config,
    classes: &'a [usize],
    x: Vec<Vec<f64>>,
    /// One vector per label column.
    labels: Vec<Vec<u32>>,
    weights: Vec<f64>,
    /// For each label column, the number of training rows of each class.
    counts: Vec<Vec<u64>>,
    /// For each label column, the mean by which its loss is divided, or 1.
    means: Vec<f64>,
}

/// The results of the formula.
#[derive(Debug, Default)]
struct Said {
    total: f64,
    losses: Vec<f64>,
    couplings: Vec<f64>,
    hits: Vec<f64>,
    labelled: Vec<f64>,
    /// The distance from the nearest kink.
    margin: f64,
}

/// The loss of a label, its weight in the mean, whether it is predicted correctly, and its distance
/// from the nearest kink.
struct OfLabel {
    loss: f64,
    counts: f64,
    hit: bool,
    margin: f64,
}

impl<'a> Formula<'a> {
    fn new(plan: &'a Plan, rows: &[usize]) -> Formula<'a> {
        let data = &plan.parts.train;
        Formula {
            config: &plan.config,
            classes: classes_of(plan),
            x: rows.iter().map(|&r| data.row(r).into_iter().map(f64::from).collect()).collect(),
            labels: data
                .labels
                .iter()
                .map(|column| rows.iter().map(|&r| column[r]).collect())
                .collect(),
            weights: rows
                .iter()
                .map(|&r| data.weights.as_ref().map_or(1.0, |w| f64::from(w[r])))
                .collect(),
            counts: plan
                .parts
                .schema
                .targets
                .iter()
                .flat_map(|target| target.counts.clone())
                .collect(),
            means: plan
                .parts
                .schema
                .targets
                .iter()
                .flat_map(|t| vec![t.mean.unwrap_or(1.0); t.columns.len()])
                .collect(),
        }
    }

    fn evaluate(&self, p: &Parameters) -> Said {
        let mut said = Said { margin: f64::INFINITY, ..Said::default() };
        let hidden: Vec<Vec<f64>> = self
            .x
            .iter()
            .map(|x| dense(p, "trunk.0", x).into_iter().map(f64::tanh).collect())
            .collect();
        let logits = |task: &Task| {
            hidden.iter().map(|h| dense(p, &format!("task.{}.0", task.name), h)).collect::<Vec<_>>()
        };
        let z: Vec<Vec<Vec<f64>>> = self.config.tasks.iter().map(logits).collect();
        let mut column = 0;
        for (task, z) in self.config.tasks.iter().zip(&z) {
            let (mut sum, mut count, mut hits, mut labelled) = (0.0, 0.0, 0, 0);
            for k in 0..task.targets.len() {
                for row in (0..z.len()).filter(|row| self.labels[column + k][*row] != UNLABELLED) {
                    let of = of_label(
                        task,
                        &self.counts[column + k],
                        &z[row],
                        k,
                        self.labels[column + k][row],
                    );
                    sum += self.weights[row] * of.loss / self.means[column + k];
                    count += self.weights[row] * of.counts;
                    hits += u32::from(of.hit);
                    labelled += 1;
                    said.margin = said.margin.min(of.margin);
                }
            }
            column += task.targets.len();
            said.losses.push(if count > 0.0 { sum / count } else { 0.0 });
            said.total += task.weight * said.losses[said.losses.len() - 1];
            said.hits.push(f64::from(hits));
            said.labelled.push(f64::from(labelled));
        }
        for coupling in &self.config.couplings {
            assert_eq!(coupling.kind, "agreement");
            for (a, b) in self.pairs() {
                let rows = z[a]
                    .iter()
                    .zip(&z[b])
                    .map(|(a, b)| jensen_shannon(&distribution(a), &distribution(b)));
                said.couplings.push(rows.sum::<f64>() / z[a].len() as f64);
                said.total += coupling.strength * said.couplings[said.couplings.len() - 1];
            }
        }
        said
    }

    /// All pairs of tasks with equally many classes.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let all =
            (0..self.classes.len()).flat_map(|a| (a + 1..self.classes.len()).map(move |b| (a, b)));
        all.filter(|&(a, b)| self.classes[a] == self.classes[b] && self.classes[a] > 1).collect()
    }
}

/// The number of classes of each task; 1 for a task without classes.
fn classes_of(plan: &Plan) -> &'static [usize] {
    let classes =
        plan.network.tasks.iter().map(|head| head.classes.len().max(1)).collect::<Vec<_>>();
    Box::leak(classes.into_boxed_slice())
}

fn dense(p: &Parameters, name: &str, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (&p[&format!("{name}.weight")], &p[&format!("{name}.bias")][0]);
    weight
        .iter()
        .zip(bias)
        .map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
        .collect()
}

/// The probabilities of the classes. Where one logit stands for two classes, the logit of the first
/// class is 0.
fn distribution(z: &[f64]) -> Vec<f64> {
    let powers: Vec<f64> =
        if z.len() == 1 { vec![1.0, z[0].exp()] } else { z.iter().map(|z| z.exp()).collect() };
    powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect()
}

/// ½ Σ p ln(p / m) + ½ Σ q ln(q / m), m = (p + q) / 2
fn jensen_shannon(p: &[f64], q: &[f64]) -> f64 {
    p.iter()
        .zip(q)
        .map(|(p, q)| 0.5 * p * (2.0 * p / (p + q)).ln() + 0.5 * q * (2.0 * q / (p + q)).ln())
        .sum()
}

/// The loss of a label, by the textbook's formula.
fn of_label(task: &Task, rows: &[u64], z: &[f64], column: usize, word: u32) -> OfLabel {
    let smooth = |loss: f64| OfLabel { loss, counts: 1.0, hit: false, margin: f64::INFINITY };
    let y = f64::from(f32::from_bits(word));
    let e = z[column.min(z.len() - 1)] - y;
    match &task.loss {
        Loss::CrossEntropy { label_smoothing, focal_gamma, class_weights } => {
            let (p, classes, weight) =
                (distribution(z), z.len() as f64, |c: usize| class_weight(class_weights, rows, c));
            let target = |c: usize| {
                label_smoothing / classes
                    + if c == word as usize { 1.0 - label_smoothing } else { 0.0 }
            };
            let cross_entropy: f64 = (0..z.len()).map(|c| -weight(c) * target(c) * p[c].ln()).sum();
            let loss = (1.0 - p[word as usize]).powf(*focal_gamma) * cross_entropy;
            let hit = (0..z.len()).all(|c| z[c] <= z[word as usize]);
            OfLabel { counts: weight(word as usize), hit, ..smooth(loss) }
        }
        Loss::Logistic { focal_gamma, positive_weights: positive_weight } => {
            let p = 1.0 / (1.0 + (-z[column]).exp());
            let weight = match positive_weight {
                PositiveWeight::Given(weight) => *weight,
                PositiveWeight::Balanced => rows[0] as f64 / rows[1] as f64,
            };
            let loss = match word {
                1 => -weight * (1.0 - p).powf(*focal_gamma) * p.ln(),
                _ => -p.powf(*focal_gamma) * (1.0 - p).ln(),
            };
            OfLabel { hit: (p > 0.5) == (word == 1), ..smooth(loss) }
        }
        Loss::Squared => smooth(e * e),
        Loss::Absolute => OfLabel { margin: e.abs(), ..smooth(e.abs()) },
        Loss::Huber { delta } if e.abs() <= *delta => {
            OfLabel { margin: delta - e.abs(), ..smooth(0.5 * e * e) }
        }
        Loss::Huber { delta } => {
            OfLabel { margin: e.abs() - delta, ..smooth(delta * (e.abs() - 0.5 * delta)) }
        }
        Loss::Quantile { quantile } => {
            OfLabel { margin: e.abs(), ..smooth((-quantile * e).max((1.0 - quantile) * e)) }
        }
        Loss::Poisson { .. } => smooth(z[0].exp() - y * z[0]),
    }
}

fn class_weight(weights: &ClassWeights, rows: &[u64], class: usize) -> f64 {
    match weights {
        ClassWeights::None => 1.0,
        ClassWeights::Given(given) => given
            .iter()
            .find(|(name, _)| *name == class.to_string())
            .map_or(1.0, |(_, weight)| *weight),
        ClassWeights::Balanced => {
            rows.iter().sum::<u64>() as f64 / (rows.len() as f64 * rows[class] as f64)
        }
    }
}

// Comparing the step with the formula.

/// The values of an arena, by the names of the blocks.
fn named(plan: &Plan, arena: &[f64]) -> Parameters {
    let rows = |values: &[f64], width: usize| values.chunks(width).map(<[f64]>::to_vec).collect();
    let block = |b: &tandem::model::layout::Block| {
        (b.name.clone(), rows(&arena[b.offset..b.offset + b.len], *b.shape.last().unwrap()))
    };
    plan.layout.blocks.iter().map(block).collect()
}

/// f′(x) from four values around x.
fn difference(f: impl Fn(f64) -> f64) -> f64 {
    let h = DISTANCE;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

/// The numbers of a step, by kind of metric.
#[derive(Clone, Debug, Default, PartialEq)]
struct Shown {
    losses: Vec<f64>,
    hits: Vec<f64>,
    couplings: Vec<f64>,
    weights: Vec<f64>,
    labelled: Vec<f64>,
    /// Gradients by the names of the blocks.
    gradients: BTreeMap<String, Vec<f64>>,
}

impl Shown {
    fn new(plan: &Plan, kinds: &[MetricKind], metrics: &[f64], gradients: &[f64]) -> Shown {
        let mut shown = Shown::default();
        for (kind, value) in kinds.iter().zip(metrics) {
            match kind {
                MetricKind::Loss(_) => shown.losses.push(*value),
                MetricKind::Hits(_) => shown.hits.push(*value),
                MetricKind::Coupling(_) => shown.couplings.push(*value),
                MetricKind::Weight(_) => shown.weights.push(*value),
                MetricKind::Labelled(_) => shown.labelled.push(*value),
                MetricKind::GateEntropy(_)
                | MetricKind::GateWeight(..)
                | MetricKind::TaskWeight(_)
                | MetricKind::SolverResidual
                | MetricKind::SquaredNorm => {}
            }
        }
        let block = |b: &tandem::model::layout::Block| {
            (b.name.clone(), gradients[b.offset..b.offset + b.len].to_vec())
        };
        shown.gradients = plan.layout.blocks.iter().map(block).collect();
        shown
    }

    /// The gradients of all blocks whose name begins with `start`.
    fn gradient(&self, start: &str) -> Vec<f64> {
        let found: Vec<f64> = self
            .gradients
            .iter()
            .filter(|(name, _)| name.starts_with(start))
            .flat_map(|(_, g)| g.clone())
            .collect();
        assert!(!found.is_empty(), "no block starts with {start}");
        found
    }
}

/// Random parameters with which all numbers stay away from kinks.
fn parameters(bench: &Bench, seed: u64) -> Vec<f64> {
    let all: Vec<usize> = (0..bench.plan.parts.train.rows).collect();
    let formula = Formula::new(&bench.plan, &all);
    let drawn = (0..200).map(|i| bench.random_parameters(1000 * seed + i));
    let mut clear = drawn.filter(|p| formula.evaluate(&named(&bench.plan, p)).margin > MARGIN);
    clear.next().expect("no parameters keep away from kinks")
}

const FULL: &str = "\n[train]\nbatch_size = \"full\"\n";

/// Runs a step over all rows on the reference and compares losses with the formula and gradients
/// with differences of the formula. Returns the largest errors (loss, gradient).
fn check(tables: &str, data: Dataset, classes: &[usize], seed: u64) -> (f64, f64) {
    check_plan(plan_of(&format!("{tables}{FULL}"), data, None, classes), seed)
}

fn check_plan(plan: Plan, seed: u64) -> (f64, f64) {
    let data = &plan.parts.train;
    let blank = data.labels.iter().flatten().any(|label| *label == UNLABELLED);
    let all: Vec<usize> = (0..data.rows).collect();
    let mut bench = Bench::new(plan, &whole());
    let parameters = parameters(&bench, seed);
    bench.poison();
    let step = bench.step(0, 0, all.len());
    let metrics = bench.train(&parameters, &step);
    let shown = Shown::new(&bench.plan, &bench.built.program.metrics, &metrics, &bench.gradients());
    let formula = Formula::new(&bench.plan, &all);
    let here = named(&bench.plan, &parameters);
    let said = formula.evaluate(&here);
    let mut of_loss: f64 = 0.0;
    assert_eq!(
        (shown.losses.len(), shown.couplings.len()),
        (said.losses.len(), said.couplings.len())
    );
    for (found, expected) in
        shown.losses.iter().chain(&shown.couplings).zip(said.losses.iter().chain(&said.couplings))
    {
        of_loss = of_loss.max((found - expected).abs() / expected.abs().max(1e-3));
    }
    assert!(
        of_loss < 1e-10,
        "losses {:?}, by the formula {said:?}",
        (shown.losses, shown.couplings)
    );
    assert_eq!(shown.hits, said.hits);
    assert!(
        shown.labelled.is_empty() || shown.labelled == said.labelled,
        "{:?} labelled, {:?} there",
        shown.labelled,
        said.labelled
    );
    let mut of_gradient: f64 = 0.0;
    for (name, gradients) in &shown.gradients {
        let width = here[name][0].len();
        for (i, found) in gradients.iter().enumerate() {
            let expected = difference(|by| {
                let mut moved = here.clone();
                moved.get_mut(name).unwrap()[i / width][i % width] += by;
                formula.evaluate(&moved).total
            });
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(
                error < BOUND,
                "{name} [{i}]: gradient {found:e}, by differences {expected:e}, error {error:.1e}"
            );
            of_gradient = of_gradient.max(error);
        }
        assert!(
            blank || gradients.iter().any(|g| g.abs() > 1e-3),
            "{name}: no gradient above 1e-3"
        );
    }
    (of_loss, of_gradient)
}

/// Checks with all rows labelled, some blank, nearly all blank; with row weights and without.
fn check_with_blanks(tables: &str, classes: &[usize], seed: u64) {
    for blank in [0.0, 0.3, 0.95] {
        for weighted in [false, true] {
            let mut data = labelled(tables, seed, 64, WIDTH, classes, blank);
            data.weights = weighted.then(|| row_weights(seed, 64));
            let (loss, gradient) = check(tables, data, classes, seed);
            println!(
                "{blank:.2} blank, row weights {weighted}: loss {loss:.1e}, gradient \
                 {gradient:.1e}"
            );
        }
    }
}

/// The tables with one task of [`EVERY_LOSS`] only, and the task's number.
fn alone(task: &str) -> (String, usize) {
    let mut tables = EVERY_LOSS.split("[task.");
    let trunk = tables.next().unwrap();
    let (number, table) =
        tables.enumerate().find(|(_, table)| table.starts_with(&format!("{task}]"))).unwrap();
    (format!("{trunk}[task.{table}"), number)
}

fn check_alone(task: &str) {
    let (tables, number) = alone(task);
    check_with_blanks(&tables, &[EVERY_CLASSES[number]], 1 + number as u64);
}

#[test]
fn cross_entropy_of_classes() {
    check_alone("plain");
}

#[test]
fn class_weights() {
    check_alone("weights");
}

#[test]
fn label_smoothing() {
    check_alone("smooth");
}

#[test]
fn class_weights_with_label_smoothing() {
    check_alone("both");
}

#[test]
fn focal_loss_of_classes() {
    check_alone("focal");
}

#[test]
fn focal_loss_with_label_smoothing() {
    check_alone("all");
}

#[test]
fn binary() {
    check_alone("binary");
}

#[test]
fn binary_with_a_positive_weight() {
    check_alone("positive");
}

#[test]
fn binary_focal_loss() {
    check_alone("focus");
}

#[test]
fn multilabel() {
    check_alone("labels");
}

#[test]
fn squared() {
    check_alone("squared");
}

#[test]
fn absolute() {
    check_alone("absolute");
}

#[test]
fn huber() {
    check_alone("huber");
}

#[test]
fn quantile() {
    check_alone("quantile");
}

#[test]
fn poisson() {
    check_alone("count");
}

/// The means are powers of two, so that f32 holds their inverses exactly.
#[test]
fn poisson_per_unit_of_its_mean() {
    let (tables, number) = alone("count");
    for (mean, seed) in [(0.125, 41), (512.0, 42)] {
        let mut data = labelled(&tables, seed, 64, WIDTH, &[EVERY_CLASSES[number]], 0.3);
        data.weights = Some(row_weights(seed, 64));
        let plan = plan_of(&format!("{tables}{FULL}"), data, None, &[EVERY_CLASSES[number]]);
        let mut parts = plan.parts.clone();
        parts.schema.targets[0].mean = Some(mean);
        check_plan(Plan::new(plan.config, parts).unwrap(), seed);
    }
}

/// With three columns the factor ⅓ is rounded to f32 where all are labelled.
#[test]
fn three_columns() {
    let tables = "[trunk]\nlayers = [5]\nactivation = \"tanh\"\n[task.t]\ntype = \
                  \"regression\"\ntarget = [\"x\", \"y\", \"z\"]\n";
    let data = labelled(tables, 30, 64, WIDTH, &[1], 0.1);
    check(tables, data, &[1], 30);
}

/// The class weights come from the rows of the training part, column by column.
#[test]
fn balanced_weights() {
    let tables = "[trunk]\nlayers = [5]\nactivation = \"tanh\"\n[task.m]\nclass_weights = \
                  \"balanced\"\n[task.l]\ntype = \"multilabel\"\ntarget = [\"x\", \
                  \"y\"]\npositive_weight = \"balanced\"\n";
    let data = labelled(tables, 31, 64, WIDTH, &[4, 2], 0.3);
    let plan = plan_of(&format!("{tables}{FULL}"), data, None, &[4, 2]);
    let mut parts = plan.parts.clone();
    parts.schema.targets[0].counts = vec![vec![8, 16, 32, 8]];
    parts.schema.targets[1].counts = vec![vec![24, 8], vec![8, 32]];
    check_plan(Plan::new(plan.config, parts).unwrap(), 31);
}

const AGREEMENT: &str = "[[coupling]]\nkind = \"agreement\"\nstrength = 0.5\n";

/// All tasks at once, and agreement between every pair with equally many classes, on all rows
/// whether labelled or not.
#[test]
fn every_loss_with_agreement() {
    check_with_blanks(&format!("{EVERY_LOSS}{AGREEMENT}"), &EVERY_CLASSES, 20);
}

#[test]
fn agreement_needs_no_labels() {
    let tables = format!(
        "[trunk]\nlayers = [5]\nactivation = \"tanh\"\n[task.a]\ntype = \
         \"binary\"\n[task.b]\n[task.c]\ntype = \"binary\"\n{AGREEMENT}"
    );
    let data = labelled(&tables, 21, 64, WIDTH, &[2, 2, 2], 2.0);
    assert!(data.labels.iter().flatten().all(|label| *label == UNLABELLED));
    check(&tables, data.clone(), &[2, 2, 2], 21);
    let plan = plan_of(&format!("{tables}{FULL}"), data, None, &[2, 2, 2]);
    let shown = Bench::new(plan, &whole());
    let parameters = shown.random_parameters(21);
    let shown = on_reference(&shown.plan, &parameters);
    assert_eq!(shown.losses, [0.0; 3]);
    for task in ["a", "b", "c"] {
        assert!(norm(&shown.gradient(&format!("task.{task}."))) > 1e-3, "{task}: {shown:?}");
    }
}

// Comparing the step with PyTorch.

/// Loss and gradient with respect to the logits, of `torch.nn.functional` in float64.
#[test]
fn losses_of_pytorch() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch/losses.json");
    let cases: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let mut worst: f64 = 0.0;
    for case in cases.as_array().unwrap() {
        let error = error_of(case);
        println!("{}: {error:.1e}", case["name"]);
        worst = worst.max(error);
        assert!(error < 1e-10, "{}: {error:e}", case["name"]);
    }
    assert!(cases.as_array().unwrap().len() >= 16 && worst > 0.0);
}

fn matrix(value: &serde_json::Value) -> Vec<Vec<f64>> {
    let row = |row: &serde_json::Value| {
        row.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    };
    value.as_array().unwrap().iter().map(row).collect()
}

/// The features are the logits, and the only layer is the identity.
fn error_of(case: &serde_json::Value) -> f64 {
    let (logits, labels, gradient) =
        (matrix(&case["logits"]), matrix(&case["labels"]), matrix(&case["gradient"]));
    let (rows, outputs) = (logits.len(), logits[0].len());
    let tables =
        format!("[trunk]\nlayers = []\n[task.t]\n{}{FULL}", case["task"].as_str().unwrap());
    let kind = crate::common::config(&tables).tasks[0].kind;
    let word = |y: f64| match kind {
        TaskKind::Regression | TaskKind::Count => (y as f32).to_bits(),
        _ if y < 0.0 => UNLABELLED,
        _ => y as u32,
    };
    let features = logits.iter().flatten().map(|z| *z as f32).collect();
    let words = (0..labels[0].len())
        .map(|column| labels.iter().map(|row| word(row[column])).collect())
        .collect();
    let classes = if kind == TaskKind::Binary { 2 } else { outputs };
    let data = Dataset::from_arrays(outputs, features, words).unwrap();
    let mut bench = Bench::new(plan_of(&tables, data, None, &[classes]), &whole());
    let mut identity = vec![0.0; bench.plan.layout.len];
    let weight = bench.plan.layout.blocks.iter().find(|b| !b.is_bias()).unwrap().offset;
    (0..outputs).for_each(|k| identity[weight + k * outputs + k] = 1.0);
    let step = bench.step(0, 0, rows);
    let loss = bench.train(&identity, &step)[0];
    let found = bench.engine.numbers(bench.built.program.whole(bench.built.buffers.logits_delta));
    let of_gradient = found
        .iter()
        .zip(gradient.iter().flatten())
        .map(|(found, expected)| (found - expected).abs() / expected.abs().max(0.1));
    let expected = case["loss"].as_f64().unwrap();
    of_gradient.fold((loss - expected).abs() / expected, f64::max)
}

// Properties that hold for any numbers, on both engines.

/// Runs a full step from some parameters.
type Run = fn(&Plan, &[f64]) -> Shown;

fn on_reference(plan: &Plan, parameters: &[f64]) -> Shown {
    let mut bench = Bench::new(again(plan), &whole());
    bench.poison();
    let step = bench.step(0, 0, plan.parts.train.rows);
    let metrics = bench.train(parameters, &step);
    Shown::new(plan, &bench.built.program.metrics, &metrics, &bench.gradients())
}

fn on_device(plan: &Plan, parameters: &[f64]) -> Shown {
    let built = plan.build(&gpu().tuning()).unwrap();
    let mut session = Session::new(gpu().clone(), built.program.clone()).unwrap();
    upload(&mut session, &built.parts[0], &plan.parts.train, built.counting).unwrap();
    let words: Vec<u32> = parameters.iter().map(|x| (*x as f32).to_bits()).collect();
    session.upload(built.buffers.parameters, 0, &words).unwrap();
    let step = tandem::run::train::learning_rate::Course::new(&plan.config.optimizer, 0, 1, 1)
        .step(0, 0, plan.parts.train.rows, 0);
    session.submit(built.train.unwrap(), &[step]).unwrap();
    let metrics = session.collect(true).unwrap().remove(0).metrics;
    let gradients = session.download(built.program.whole(built.buffers.gradients)).unwrap();
    Shown::new(
        plan,
        &built.program.metrics,
        &metrics,
        &gradients.into_iter().map(f64::from).collect::<Vec<_>>(),
    )
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// ‖a − b‖ / ‖b‖; 0 if both are 0.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let off = norm(&a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>());
    if off == 0.0 { 0.0 } else { off / norm(b) }
}

/// Takes some rows and some label columns of a data set.
fn some(data: &Dataset, rows: &[usize], columns: std::ops::Range<usize>) -> Dataset {
    let Features::F32(values) = &data.features else { unreachable!() };
    let features = rows.iter().flat_map(|&r| values[r * WIDTH..][..WIDTH].to_vec()).collect();
    let labels = data.labels[columns]
        .iter()
        .map(|column| rows.iter().map(|&r| column[r]).collect())
        .collect();
    let weights = data.weights.as_ref().map(|w| rows.iter().map(|&r| w[r]).collect());
    Dataset { weights, ..Dataset::from_arrays(WIDTH, features, labels).unwrap() }
}

/// The label columns of each task of a plan.
fn columns(plan: &Plan) -> Vec<std::ops::Range<usize>> {
    (0..plan.network.tasks.len())
        .map(|t| {
            plan.network.first_cell(t)..plan.network.first_cell(t) + plan.network.tasks[t].cells()
        })
        .collect()
}

/// Copies parameters to another plan, by name.
fn same_parameters(from: &Plan, parameters: &[f64], to: &Plan) -> Vec<f64> {
    let mut arena = vec![0.0; to.layout.len];
    for block in &to.layout.blocks {
        let source = from.layout.blocks.iter().find(|b| b.name == block.name).unwrap();
        arena[block.offset..block.offset + block.len]
            .copy_from_slice(&parameters[source.offset..source.offset + source.len]);
    }
    arena
}

fn again(plan: &Plan) -> Plan {
    Plan::new(plan.config.clone(), plan.parts.clone()).unwrap()
}

/// Random parameters that f32 holds exactly.
fn any_parameters(plan: &Plan, seed: u64) -> Vec<f64> {
    Bench::new(again(plan), &whole())
        .random_parameters(seed)
        .into_iter()
        .map(|x| f64::from(x as f32))
        .collect()
}

/// 80 rows; each task has labels on 32 of them, and where it has several columns some cells are
/// blank there too.
fn with_unlabelled_rows(tables: &str) -> Dataset {
    let full = labelled(tables, 40, 80, WIDTH, &EVERY_CLASSES, 0.0);
    let mut data = labelled(tables, 40, 80, WIDTH, &EVERY_CLASSES, 0.3);
    let plan = plan_of(&format!("{tables}{FULL}"), full.clone(), None, &EVERY_CLASSES);
    for (task, columns) in columns(&plan).into_iter().enumerate() {
        let order = permutation(80, 40, Purpose::Synthetic, 6000 + task as u64);
        let first = columns.start;
        for (place, &row) in order.iter().enumerate() {
            let row = row as usize;
            data.labels[first][row] = full.labels[first][row];
            if place >= 32 {
                columns.clone().for_each(|column| data.labels[column][row] = UNLABELLED);
            }
        }
    }
    data
}

/// In one step of all tasks, each task's loss and gradient equal those of its labelled rows alone,
/// and the trunk's gradient is their sum.
fn each_task_sees_its_rows_alone(run: Run, bound: f64) {
    let data = with_unlabelled_rows(EVERY_LOSS);
    let plan = plan_of(&format!("{EVERY_LOSS}{FULL}"), data.clone(), None, &EVERY_CLASSES);
    let parameters = any_parameters(&plan, 40);
    let together = run(&plan, &parameters);
    let (mut trunk, mut worst) = (vec![0.0; together.gradient("trunk.").len()], 0f64);
    for (task, columns) in columns(&plan).into_iter().enumerate() {
        let name = &plan.network.tasks[task].name;
        let is_labelled =
            |row: &usize| columns.clone().any(|column| data.labels[column][*row] != UNLABELLED);
        let rows: Vec<usize> = (0..data.rows).filter(is_labelled).collect();
        assert_eq!(rows.len(), 32, "{name}");
        let own = plan_of(
            &format!("{}{FULL}", alone(name).0),
            some(&data, &rows, columns.clone()),
            None,
            &[EVERY_CLASSES[task]],
        );
        let shown = run(&own, &same_parameters(&plan, &parameters, &own));
        let start = format!("task.{name}.");
        let gradient = distance(&together.gradient(&start), &shown.gradient(&start));
        let loss = (together.losses[task] - shown.losses[0]).abs() / shown.losses[0].abs();
        println!("{name}: loss {loss:.1e}, gradient {gradient:.1e}");
        assert!(loss <= bound && gradient <= bound, "{name}: loss {loss:e}, gradient {gradient:e}");
        worst = worst.max(loss).max(gradient);
        let labelled = columns
            .clone()
            .map(|c| data.labels[c].iter().filter(|label| **label != UNLABELLED).count())
            .sum::<usize>();
        assert_eq!(
            (together.hits[task], together.labelled[task]),
            (shown.hits[0], labelled as f64),
            "{name}: hits and labelled cells"
        );
        trunk.iter_mut().zip(shown.gradient("trunk.")).for_each(|(sum, g)| *sum += g);
    }
    let off = distance(&together.gradient("trunk."), &trunk);
    println!("trunk: {off:.1e}, worst of all {:.1e}", worst.max(off));
    assert!(off <= bound, "trunk: {off:e}");
}

#[test]
fn rows_without_a_label_do_not_count_on_the_reference() {
    each_task_sees_its_rows_alone(on_reference, 1e-12);
}

#[test]
fn rows_without_a_label_do_not_count_on_the_device() {
    each_task_sees_its_rows_alone(on_device, 1e-6);
}

/// [`EVERY_LOSS`] without one task.
fn without(task: &str) -> String {
    let (table, _) = alone(task);
    EVERY_LOSS.replace(&table[table.find("[task.").unwrap()..], "")
}

/// In a batch that is blank for one task, this task has no loss, and the gradients are those of a
/// program without it.
fn a_batch_without_labels_of_one_task(run: Run) {
    for name in ["all", "two", "positive", "labels", "huber", "count"] {
        let (_, task) = alone(name);
        let mut data = labelled(EVERY_LOSS, 41, 64, WIDTH, &EVERY_CLASSES, 0.3);
        let plan = plan_of(&format!("{EVERY_LOSS}{FULL}"), data.clone(), None, &EVERY_CLASSES);
        let own = columns(&plan)[task].clone();
        own.clone().for_each(|column| data.labels[column].fill(UNLABELLED));
        let plan = plan_of(&format!("{EVERY_LOSS}{FULL}"), data.clone(), None, &EVERY_CLASSES);
        let parameters = any_parameters(&plan, 41);
        let found = run(&plan, &parameters);

        data.labels.drain(own);
        let mut classes = EVERY_CLASSES.to_vec();
        classes.remove(task);
        let others = plan_of(&format!("{}{FULL}", without(name)), data, None, &classes);
        let mut expected = run(&others, &same_parameters(&plan, &parameters, &others));
        for values in [
            &mut expected.losses,
            &mut expected.hits,
            &mut expected.weights,
            &mut expected.labelled,
        ] {
            values.insert(task, 0.0);
        }
        let blocks =
            found.gradients.iter().filter(|(block, _)| block.starts_with(&format!("task.{name}.")));
        for (block, gradient) in blocks {
            assert!(gradient.iter().all(|g| *g == 0.0), "{block}: {gradient:?}");
            expected.gradients.insert(block.clone(), gradient.clone());
        }
        assert_eq!(found, expected, "{name}");
        assert!(norm(&found.gradient("trunk.")) > 1e-3);
    }
}

#[test]
fn a_batch_without_labels_of_one_task_on_the_reference() {
    a_batch_without_labels_of_one_task(on_reference);
}

#[test]
fn a_batch_without_labels_of_one_task_on_the_device() {
    a_batch_without_labels_of_one_task(on_device);
}

/// A row of weight 0 counts as if it were not there, a row of weight 2 as if it were there twice.
fn weights_are_numbers_of_rows(run: Run, bound: f64) {
    let data = labelled(EVERY_LOSS, 42, 60, WIDTH, &EVERY_CLASSES, 0.3);
    let weight = |row: usize| row % 3;
    let rows: Vec<usize> = (0..60).flat_map(|row| vec![row; weight(row)]).collect();
    let repeated = some(&data, &rows, 0..data.labels.len());
    let weighted =
        Dataset { weights: Some((0..60).map(|row| weight(row) as f32).collect()), ..data };
    let [weighted, repeated] = [weighted, repeated]
        .map(|data| plan_of(&format!("{EVERY_LOSS}{FULL}"), data, None, &EVERY_CLASSES));
    let parameters = any_parameters(&weighted, 42);
    let (found, expected) = (run(&weighted, &parameters), run(&repeated, &parameters));
    let mut worst = distance(&found.weights, &expected.weights);
    for (found, expected) in found.losses.iter().zip(&expected.losses) {
        worst = worst.max((found - expected).abs() / expected.abs());
    }
    for (name, gradient) in &found.gradients {
        let off = distance(gradient, &expected.gradients[name]);
        assert!(off <= bound, "{name}: {off:e}");
        worst = worst.max(off);
    }
    println!("worst {worst:.1e}");
    assert!(worst <= bound, "{worst:e}");
}

#[test]
fn weights_are_numbers_of_rows_on_the_reference() {
    weights_are_numbers_of_rows(on_reference, 1e-12);
}

#[test]
fn weights_are_numbers_of_rows_on_the_device() {
    weights_are_numbers_of_rows(on_device, 1e-6);
}

// Evaluations, and training points.

/// 200 rows with blanks and weights; one task has labels in the last rows only, one has none.
fn uneven() -> Plan {
    let mut data = labelled(EVERY_LOSS, 43, 200, WIDTH, &EVERY_CLASSES, 0.3);
    data.weights = Some(row_weights(43, 200));
    data.labels[1][..190].fill(UNLABELLED);
    data.labels[1][199] = 2;
    data.weights.as_mut().unwrap()[199] = 1.5;
    data.labels[7].fill(UNLABELLED);
    let tables =
        format!("{EVERY_LOSS}{AGREEMENT}[optimizer]\nkind = \"sgd\"\nlearning_rate = 1e-30\n");
    plan_of(
        &format!("{tables}[train]\nepochs = 1\nbatch_size = 8\nlog_every = \"1e\"\n"),
        data,
        None,
        &EVERY_CLASSES,
    )
}

/// A tuning whose evaluation takes 32 rows at once.
fn in_pieces(tuning: Tuning) -> Tuning {
    Tuning { flop_per_dispatch: 1, ..tuning }
}

fn evaluated(plan: &Plan, tuning: &Tuning, parameters: &[f64]) -> (usize, Measured) {
    let mut bench = Bench::new(again(plan), tuning);
    bench.engine.set_numbers(bench.built.buffers.parameters, 0, parameters);
    let measured =
        evaluate(&mut bench.engine, &bench.built, &plan.network, &plan.objective, 0, 1).unwrap();
    (bench.built.evaluate_rows, measured)
}

fn evaluated_on_device(plan: &Plan, parameters: &[f64]) -> Measured {
    let built = plan.build(&in_pieces(gpu().tuning())).unwrap();
    assert_eq!(built.evaluate_rows, 32);
    let mut session = Session::new(gpu().clone(), built.program.clone()).unwrap();
    upload(&mut session, &built.parts[0], &plan.parts.train, built.counting).unwrap();
    let words: Vec<u32> = parameters.iter().map(|x| (*x as f32).to_bits()).collect();
    session.upload(built.buffers.parameters, 0, &words).unwrap();
    evaluate(&mut session, &built, &plan.network, &plan.objective, 0, 1).unwrap()
}

fn assert_close(found: &Measured, losses: &[f64], couplings: &[f64], bound: f64) {
    let known = found.losses.iter().map(|loss| loss.as_ref().unwrap_or(&0.0));
    let pairs = known.zip(losses).chain(found.couplings.iter().zip(couplings));
    let worst = pairs.map(|(f, e)| (f - e).abs() / e.abs().max(1e-3)).fold(0.0, f64::max);
    println!("worst {worst:.1e}");
    assert!(worst <= bound, "{worst:e}: {:?} and {losses:?}", found.losses);
}

#[test]
fn an_evaluation_in_pieces_equals_one_over_all_rows() {
    let plan = uneven();
    let parameters = any_parameters(&plan, 43);
    let said =
        Formula::new(&plan, &(0..200).collect::<Vec<_>>()).evaluate(&named(&plan, &parameters));
    let ((at_once, one), (rows, pieces)) = (
        evaluated(&plan, &whole(), &parameters),
        evaluated(&plan, &in_pieces(whole()), &parameters),
    );
    assert_eq!((at_once, rows), (200, 32));
    assert_close(&one, &said.losses, &said.couplings, 1e-7);
    assert_close(
        &pieces,
        &one.losses.iter().map(|loss| loss.unwrap_or(0.0)).collect::<Vec<_>>(),
        &one.couplings,
        1e-7,
    );
    // The losses are divided by the number of labels in float64, the couplings are multiplied by
    // the inverse number of rows in f32.
    assert_close(&Measured { couplings: Vec::new(), ..pieces.clone() }, &said.losses, &[], 1e-12);
    // The task has no label at all: its loss is undefined, not zero.
    let without: Vec<usize> =
        (0..one.losses.len()).filter(|task| one.losses[*task].is_none()).collect();
    assert_eq!(without, [7]);
    let total = pieces.loss.unwrap();
    assert!((total - said.total).abs() < 1e-7 * said.total, "{total} and {}", said.total);
    assert_close(&evaluated_on_device(&plan, &parameters), &said.losses, &said.couplings, 1e-5);
}

/// The losses of chunks of rows are divided by the labels of the whole batch, wherever they are.
#[test]
fn a_step_in_pieces_equals_a_step_over_all_rows() {
    let train = Dataset::clone(&uneven().parts.train);
    let plan = plan_of(&format!("{EVERY_LOSS}{AGREEMENT}{FULL}"), train, None, &EVERY_CLASSES);
    let parameters = any_parameters(&plan, 44);
    let expected = on_reference(&plan, &parameters);
    let small = Tuning { binding_bytes: 4 * plan.layout.len as u64, ..whole() };
    for tuning in [in_pieces(whole()), small] {
        let mut bench = Bench::new(again(&plan), &tuning);
        bench.poison();
        let step = bench.step(0, 0, 200);
        let metrics = bench.train(&parameters, &step);
        let found = Shown::new(&plan, &bench.built.program.metrics, &metrics, &bench.gradients());
        let dispatches = &bench.built.program.schedules[bench.built.train.unwrap()].dispatches;
        assert!(dispatches.iter().filter(|d| d.kernel.name == "pointwise_losses").count() > 2);
        assert_eq!((&found.hits, &found.labelled), (&expected.hits, &expected.labelled));
        for (found, expected) in
            [(&found.losses, &expected.losses), (&found.couplings, &expected.couplings)]
        {
            assert!(distance(found, expected) <= 1e-12, "{found:?}, in one piece {expected:?}");
        }
        for (name, gradient) in &found.gradients {
            let off = distance(gradient, &expected.gradients[name]);
            assert!(off <= 1e-12, "{name}: {off:e}");
        }
    }
}

#[derive(Default)]
struct Points(Vec<Point>);

impl Observer for Points {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.0.push(point.clone());
        Ok(())
    }
}

/// The loss of a training point is the mean over the steps that had a label. The parameters hardly
/// change, because the learning rate is close to 0.
#[test]
fn training_points_leave_out_steps_without_a_label() {
    let plan = uneven();
    let mut points = Points::default();
    let outcome = train(&plan, Machine::Reference, Options::default(), &mut points).unwrap();
    assert!(matches!(outcome.ended, Ended::Finished));
    let point = points.0.iter().find(|p| p.split == "train").unwrap();
    let parameters =
        named(&plan, &plan.initial().unwrap().into_iter().map(f64::from).collect::<Vec<_>>());
    let order = epoch_order(200, plan.config.train.seed, 0);
    for (task, columns) in columns(&plan).into_iter().enumerate() {
        let is_labelled = |row: &&u32| {
            columns.clone().any(|c| plan.parts.train.labels[c][**row as usize] != UNLABELLED)
        };
        let batches: Vec<&[u32]> =
            order.chunks(8).filter(|batch| batch.iter().any(|row| is_labelled(&row))).collect();
        let rows = |batch: &&[u32]| batch.iter().map(|row| *row as usize).collect::<Vec<_>>();
        let said: Vec<Said> = batches
            .iter()
            .map(|batch| Formula::new(&plan, &rows(batch)).evaluate(&parameters))
            .collect();
        let expected =
            said.iter().map(|said| said.losses[task]).sum::<f64>() / batches.len().max(1) as f64;
        let found = &point.tasks[task];
        let loss = found.loss.unwrap_or(0.0);
        assert_eq!(found.loss.is_none(), batches.is_empty(), "task {task}");
        assert!(
            (loss - expected).abs() <= 1e-7 * expected,
            "task {task}: {found:?}, expected {expected}"
        );
        let cells: usize = columns
            .map(|c| {
                plan.parts.train.labels[c].iter().filter(|label| **label != UNLABELLED).count()
            })
            .sum();
        assert_eq!(found.rows, cells as u64);
        let hits: f64 = said.iter().map(|said| said.hits[task]).sum();
        assert!(
            found
                .metric("accuracy")
                .is_none_or(|accuracy| (accuracy - hits / cells as f64).abs() < 1e-12),
            "task {task}: {hits} hits"
        );
        assert_eq!(found.metric("accuracy").is_some(), cells > 0 && task < 11, "task {task}");
        assert!(task != 1 || batches.len() < 5, "{} batches have a label", batches.len());
    }
    assert_eq!(
        (point.tasks[7].loss, point.tasks[7].rows, point.tasks[7].metrics.len()),
        (None, 0, 0)
    );
}
