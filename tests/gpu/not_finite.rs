//! A value that is not finite ends a run in exactly the step in which it appears, before it reaches
//! a parameter, and the message names its tensor.

use crate::common::device;
use anyhow::Result;
use tandem::data::split::order::epoch_order;
use tandem::data::{Dataset, Features, UNLABELLED};
use tandem::fault::{Exit, Fault};
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Ended, Observer, Options, Outcome, Plan, train};

const WIDTH: usize = 5;
const CLASSES: [usize; 2] = [3, 3];
const BATCH: usize = 40;
/// 65 steps per epoch: one more than a submission holds.
const ROWS: usize = 65 * BATCH;

/// ReLU turns NaN and −∞ into 0, so that later layers do not show them.
const TABLES: &str = "
[trunk]
layers = [8]
activation = \"relu\"
[task.a]
[task.b]
[optimizer]
learning_rate = 1e-2
[train]
epochs = 1
batch_size = 40
log_every = \"1s\"
";

fn reference() -> Machine {
    Machine::Reference
}

fn healthy() -> Dataset {
    crate::common::synthetic(1, ROWS, WIDTH, &CLASSES)
}

/// Healthy data, except for one feature of a row that step `step` (counted from 1) of the first
/// epoch takes.
fn poisoned(step: usize, value: f32) -> Dataset {
    let mut data = healthy();
    let row = epoch_order(ROWS, 0, 0)[(step - 1) * BATCH + 7] as usize;
    if let Features::F32(values) = &mut data.features {
        values[row * WIDTH + 2] = value;
    }
    data
}

fn plan(tables: &str, data: Dataset) -> Plan {
    crate::common::plan(tables, data, &CLASSES)
}

#[derive(Default)]
struct Points(Vec<Point>);

impl Observer for Points {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.0.push(point.clone());
        Ok(())
    }
}

fn run(
    plan: &Plan,
    machine: Machine,
    initial: Option<Vec<f32>>,
    steps_per_submission: Option<usize>,
) -> (Outcome, Vec<Point>) {
    let mut points = Points::default();
    let outcome = train(
        plan,
        machine,
        Options { initial, steps_per_submission, ..Options::default() },
        &mut points,
    )
    .unwrap();
    (outcome, points.0)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

/// The fault of a run that a value ended; asserts that its message contains all `pieces`.
fn fault(outcome: &Outcome, pieces: &[&str]) -> Fault {
    let Ended::NotFinite(fault) = &outcome.ended else {
        panic!("expected {pieces:?}, found {:?}", outcome.ended)
    };
    assert_eq!(fault.exit, Exit::NotFinite);
    assert_eq!(fault.exit as i32, 3);
    for piece in pieces {
        assert!(fault.message.contains(piece), "\"{}\" lacks \"{piece}\"", fault.message);
    }
    assert!(fault.hint.is_some() && !fault.message.contains('\n'));
    fault.clone()
}

/// Asserts that a NaN in step `step` is caught there, and that the parameters are those after the
/// step before.
fn caught_at(step: usize, machine: fn() -> Machine, steps_per_submission: Option<usize>) {
    let (outcome, points) =
        run(&plan(TABLES, poisoned(step, f32::NAN)), machine(), None, steps_per_submission);
    fault(&outcome, &[&format!("step {step}: "), "trunk", "pre-activation of trunk.0"]);
    assert_eq!(outcome.steps, step as u64 - 1);
    assert_eq!(
        points.iter().map(|p| p.step).collect::<Vec<_>>(),
        (1..step as u64).collect::<Vec<_>>()
    );
    assert!(points.iter().all(|p| p.loss.is_some_and(f64::is_finite)));

    let before = plan(&format!("{TABLES}max_steps = {}\n", step - 1), healthy());
    let (expected, _) = run(&before, machine(), None, None);
    assert!(matches!(expected.ended, Ended::Finished));
    assert!(
        bits(&outcome.last) == bits(&expected.last),
        "the parameters are not those before step {step}"
    );
}

#[test]
fn nan_in_a_feature_with_one_step_a_submission() {
    caught_at(4, device, Some(1));
}

#[test]
fn nan_in_a_feature_with_many_steps_a_submission() {
    caught_at(30, device, Some(64));
}

#[test]
fn nan_in_the_first_step_of_a_later_submission() {
    caught_at(65, device, Some(64));
}

#[test]
fn nan_in_a_feature_with_automatic_submissions() {
    caught_at(30, device, None);
}

#[test]
fn nan_in_a_feature_on_the_reference() {
    caught_at(4, reference, Some(1));
    caught_at(30, reference, Some(64));
}

/// Initial parameters with one value replaced.
fn replaced(plan: &Plan, block: &str, value: f32) -> Vec<f32> {
    let mut initial = plan.initial().unwrap();
    let block = plan.layout.blocks.iter().find(|b| b.name == block).unwrap();
    initial[block.offset + 1] = value;
    initial
}

/// Asserts that a parameter that is not finite is caught in step 1, and that nothing else was
/// changed.
fn bad_parameter(machine: fn() -> Machine, block: &str, value: f32, pieces: &[&str]) {
    let plan = plan(TABLES, healthy());
    let initial = replaced(&plan, block, value);
    let (outcome, points) = run(&plan, machine(), Some(initial.clone()), Some(64));
    fault(&outcome, pieces);
    assert_eq!((outcome.steps, points.len()), (0, 0));
    assert!(bits(&outcome.last) == bits(&initial), "{block}: a parameter changed");
}

/// NaN and −∞ before ReLU leave activations, losses and gradients finite. Only the pre-activations
/// show them.
fn behind_relu(machine: fn() -> Machine) {
    bad_parameter(
        machine,
        "trunk.0.weight",
        f32::NAN,
        &["step 1: ", "trunk: ", "pre-activation of trunk.0"],
    );
    bad_parameter(
        machine,
        "trunk.0.bias",
        f32::NAN,
        &["step 1: ", "trunk: ", "pre-activation of trunk.0"],
    );
    bad_parameter(
        machine,
        "trunk.0.bias",
        f32::NEG_INFINITY,
        &["step 1: ", "trunk: ", "pre-activation of trunk.0"],
    );
}

#[test]
fn nothing_hides_behind_relu() {
    behind_relu(device);
}

#[test]
fn nothing_hides_behind_relu_on_the_reference() {
    behind_relu(reference);
}

#[test]
fn the_task_of_a_bad_weight_is_named() {
    bad_parameter(device, "task.b.0.weight", f32::NAN, &["step 1: ", "task \"b\"", "task.b.0"]);
    bad_parameter(reference, "task.b.0.weight", f32::NAN, &["step 1: ", "task \"b\"", "task.b.0"]);
}

/// There is no hidden layer; task `a` has a weight so large that its gradient overflows while every
/// logit and loss is finite.
const OVERFLOW: &str = "
[trunk]
layers = []
[task.a]
weight = 4.0
[task.b]
[optimizer]
learning_rate = 1e-2
[train]
epochs = 3
batch_size = \"full\"
log_every = \"1s\"
";

#[test]
fn a_gradient_that_overflows() {
    let rows = 40;
    let data =
        Dataset::from_arrays(WIDTH, vec![3e38; rows * WIDTH], vec![vec![0; rows], vec![1; rows]])
            .unwrap();
    let plan = plan(OVERFLOW, data);
    // With zeros as weights all logits are 0, and |dw| of the label's class is 4 · ⅔ · 3e38.
    let initial = vec![0.0; plan.layout.len];
    let (outcome, points) = run(&plan, device(), Some(initial.clone()), Some(64));
    fault(
        &outcome,
        &[
            "step 1: ",
            "task \"a\"",
            "gradient of task.a.0",
            "gradient norm not finite (15 of its numbers, the first in task.a.0.weight)",
        ],
    );
    assert_eq!((outcome.steps, points.len()), (0, 0));
    assert_eq!(bits(&outcome.last), bits(&initial));
}

/// Without the large weight the same rows do not overflow: 2e38 is a finite number.
#[test]
fn a_gradient_that_does_not_quite_overflow() {
    let rows = 40;
    let data =
        Dataset::from_arrays(WIDTH, vec![3e38; rows * WIDTH], vec![vec![0; rows], vec![1; rows]])
            .unwrap();
    let tables =
        OVERFLOW.replace("weight = 4.0", "weight = 1.0").replace("epochs = 3", "epochs = 1");
    // One step of plain gradient descent, because Adam's second moment would be infinite.
    let tables = tables.replace("learning_rate = 1e-2", "kind = \"sgd\"\nlearning_rate = 1e-37");
    let plan = plan(&tables, data);
    let (outcome, _) = run(&plan, device(), Some(vec![0.0; plan.layout.len]), None);
    assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
}

/// Rows without labels, features of 0 and of 1e15, logits far from 0: they are unusual, but finite.
fn unusual(machine: fn() -> Machine) {
    let mut data = healthy();
    data.labels
        .iter_mut()
        .for_each(|labels| labels.iter_mut().step_by(3).for_each(|label| *label = UNLABELLED));
    if let Features::F32(values) = &mut data.features {
        values[..WIDTH * 50].fill(0.0);
        values[WIDTH * 60..WIDTH * 61].fill(1e15);
    }
    let plan = plan(TABLES, data);
    let (outcome, points) = run(&plan, machine(), None, None);
    assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
    assert_eq!((outcome.steps, points.len()), (65, 65));
}

#[test]
fn no_false_alarm() {
    unusual(device);
}

#[test]
fn no_false_alarm_on_the_reference() {
    unusual(reference);
}

/// A task of classes, one of numbers and one of counts.
const NUMBERS: &str = "
[trunk]
layers = [8]
activation = \"relu\"
[task.a]
[task.r]
type = \"regression\"
[task.n]
type = \"count\"
[optimizer]
learning_rate = 1e-3
[train]
epochs = 1
batch_size = 40
log_every = \"1s\"
";

/// A plan with [`NUMBERS`] over healthy data, except for what `spoil` does to the given row of the
/// 4th step.
fn numbers(spoil: fn(&mut Dataset, usize)) -> Plan {
    let mut data = crate::common::labelled(NUMBERS, 3, 10 * BATCH, WIDTH, &[3, 1, 1], 0.1);
    data.weights = Some(vec![1.0; data.rows]);
    let row = epoch_order(data.rows, 0, 0)[3 * BATCH + 7] as usize;
    data.labels
        .iter_mut()
        .for_each(|labels| labels[row] = if labels[row] == UNLABELLED { 0 } else { labels[row] });
    spoil(&mut data, row);
    crate::common::plan_of(NUMBERS, data, None, &[3, 1, 1])
}

/// Asserts that a bad label, which readers refuse but arrays may contain, is caught in its step.
fn bad_label(machine: fn() -> Machine, task: &str, spoil: fn(&mut Dataset, usize)) {
    let (outcome, points) = run(&numbers(spoil), machine(), None, Some(64));
    fault(&outcome, &["step 4: ", task]);
    assert_eq!((outcome.steps, points.len()), (3, 3));
    assert!(outcome.last.iter().all(|x| x.is_finite()));
}

#[test]
fn a_label_or_a_row_weight_that_is_not_finite() {
    for machine in [device, reference] {
        bad_label(machine, "task \"r\"", |data, row| data.labels[1][row] = f32::NAN.to_bits());
        bad_label(machine, "task \"r\"", |data, row| {
            data.labels[1][row] = f32::NEG_INFINITY.to_bits()
        });
        bad_label(machine, "task \"n\"", |data, row| data.labels[2][row] = f32::INFINITY.to_bits());
        bad_label(machine, "task \"a\"", |data, row| {
            data.weights.as_mut().unwrap()[row] = f32::NAN
        });
        bad_label(machine, "task \"a\"", |data, row| {
            data.weights.as_mut().unwrap()[row] = f32::INFINITY
        });
    }
}

/// A rate e^z that is larger than the largest f32.
#[test]
fn a_rate_that_overflows() {
    for machine in [device, reference] {
        let plan = numbers(|_, _| ());
        let mut initial = plan.initial().unwrap();
        let bias = plan.layout.blocks.iter().find(|b| b.name == "task.n.0.bias").unwrap().offset;
        initial[bias] = 1000.0;
        let (outcome, points) = run(&plan, machine(), Some(initial.clone()), Some(64));
        fault(&outcome, &["step 1: ", "task \"n\""]);
        assert_eq!((outcome.steps, points.len()), (0, 0));
        assert!(bits(&outcome.last) == bits(&initial), "a parameter changed");
    }
}
