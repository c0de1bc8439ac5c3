//! NaN and both infinities are put everywhere where they can come from, at some step. They are
//! caught at that step, parameters and moments stay as they were before it, bit by bit, and the
//! message says what is known.

use std::sync::Arc;

use crate::common::{cpu, device, gpu};
use anyhow::Result;
use tandem::data::split::order::epoch_order;
use tandem::data::{Dataset, Features, UNLABELLED};
use tandem::device::Session;
use tandem::fault::{Exit, Fault};
use tandem::kernels::Kernel;
use tandem::kernels::params::Step;
use tandem::model::arena::Numbers;
use tandem::run::checkpoint::Snapshot;
use tandem::run::data::upload;
use tandem::run::machine::Machine;
use tandem::run::train::learning_rate::Course;
use tandem::run::train::{Ended, Observer, Options, Plan, not_finite, train};
use tandem::schedule::Engine;

const WIDTH: usize = 5;
const BATCH: usize = 40;
const CLASSES: [usize; 4] = [3, 3, 1, 1];
/// The step in which the bad value appears.
const AT: usize = 4;

/// Two tasks of classes, coupled in both ways, one of numbers and one of counts, with towers and
/// with a trunk whose activation hides negative values.
const TABLES: &str = "
[trunk]
layers = [8]
dropout = 0.1
[task.a]
layers = [6]
[task.b]
layers = [6]
[task.r]
type = \"regression\"
[task.n]
type = \"count\"
[[coupling]]
kind = \"soft_sharing\"
strength = 0.1
[[coupling]]
kind = \"agreement\"
strength = 0.1
[optimizer]
learning_rate = 1e-3
[train]
epochs = 1
batch_size = 40
";

const VALUES: [f32; 3] = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];

fn machines() -> [Machine; 3] {
    [device(), cpu(2), Machine::Reference]
}

/// A plan over healthy rows, except for what `spoil` does to a row in the batch of step [`AT`].
fn plan(rest: &str, spoil: impl FnOnce(&mut Dataset, usize)) -> Plan {
    let tables = format!("{TABLES}{rest}\n");
    let mut data = crate::common::labelled(&tables, 3, 10 * BATCH, WIDTH, &CLASSES, 0.1);
    data.weights = Some(vec![1.0; data.rows]);
    let row = epoch_order(data.rows, 0, 0)[(AT - 1) * BATCH + 7] as usize;
    data.labels
        .iter_mut()
        .for_each(|labels| labels[row] = if labels[row] == UNLABELLED { 0 } else { labels[row] });
    spoil(&mut data, row);
    crate::common::plan_of(&tables, data, None, &CLASSES)
}

#[derive(Default)]
struct Last(Option<Arc<Snapshot>>);

impl Observer for Last {
    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.0 = Some(Arc::clone(snapshot));
        Ok(())
    }
}

fn run(plan: &Plan, machine: &Machine, resume: Option<Snapshot>) -> (Ended, Snapshot) {
    let mut last = Last::default();
    let outcome =
        train(plan, machine.clone(), Options { resume, ..Options::default() }, &mut last).unwrap();
    (outcome.ended, (*last.0.unwrap()).clone())
}

/// The bits of parameters and moments; compared as numbers, NaN would not equal itself.
fn bits(snapshot: &Snapshot) -> Vec<u64> {
    let of = |numbers: &Numbers| -> Vec<u64> {
        match numbers {
            Numbers::F32(n) => n.iter().map(|x| u64::from(x.to_bits())).collect(),
            Numbers::F64(n) => n.iter().map(|x| x.to_bits()).collect(),
        }
    };
    std::iter::once(&snapshot.parameters).chain(&snapshot.moments).flat_map(of).collect()
}

/// The state after the step before [`AT`].
fn before(machine: &Machine) -> Snapshot {
    let (ended, snapshot) =
        run(&plan(&format!("max_steps = {}", AT - 1), |_, _| ()), machine, None);
    assert!(matches!(ended, Ended::Finished) && snapshot.steps == AT as u64 - 1);
    snapshot
}

/// Asserts that the run was ended by a value, and that the message says all that is known and the
/// hint what to do.
fn tells(ended: &Ended, what: &str, pieces: &[&str]) -> Fault {
    let Ended::NotFinite(fault) = ended else { panic!("{what}: {ended:?}") };
    assert_eq!(fault.exit, Exit::NotFinite);
    let first = epoch_order(10 * BATCH, 0, 0)[(AT - 1) * BATCH];
    let rows = format!("rows {first}, ");
    for piece in pieces.iter().chain(&[
        format!("step {AT}: ").as_str(),
        "learning rate 1e-3",
        "gradient norm ",
        &rows,
    ]) {
        assert!(fault.message.contains(piece), "{what}: \"{}\" lacks \"{piece}\"", fault.message);
    }
    assert!(
        fault
            .hint
            .as_deref()
            .is_some_and(|hint| hint.contains("learning_rate") && hint.contains("clip_norm")),
        "{:?}",
        fault.hint
    );
    fault.clone()
}

/// Asserts that a row with bad data is caught.
fn caught(
    machine: &Machine,
    expected: &[u64],
    tensor: &[&str],
    cause: &str,
    spoil: impl FnOnce(&mut Dataset, usize),
) {
    let plan = plan("", spoil);
    let (ended, found) = run(&plan, machine, None);
    let fault = tells(&ended, cause, tensor);
    assert_eq!(found.steps, AT as u64 - 1, "{cause}");
    assert!(bits(&found) == expected, "{cause}: parameters or moments are not those before");
    assert!(
        fault.hint.as_deref().is_some_and(|hint| hint.contains(cause)),
        "no \"{cause}\" in {:?}",
        fault.hint
    );
}

#[test]
fn features_labels_and_row_weights() {
    for machine in machines() {
        let expected = bits(&before(&machine));
        for value in VALUES {
            caught(
                &machine,
                &expected,
                &["pre-activation of trunk.0"],
                "input 2 of row ",
                |data, row| {
                    let Features::F32(values) = &mut data.features else { unreachable!() };
                    values[row * WIDTH + 2] = value;
                },
            );
            caught(
                &machine,
                &expected,
                &["task \"r\"", "loss"],
                "for task \"r\" is ",
                |data, row| data.labels[2][row] = value.to_bits(),
            );
            caught(
                &machine,
                &expected,
                &["task \"n\"", "loss"],
                "for task \"n\" is ",
                |data, row| data.labels[3][row] = value.to_bits(),
            );
            let weight =
                |data: &mut Dataset, row: usize| data.weights.as_mut().unwrap()[row] = value;
            caught(&machine, &expected, &["task \"a\""], "the weight of row ", weight);
        }
    }
}

/// A label that is a finite number, but far off, is named as the cause too. Its square is too large
/// only on a device, in f32.
#[test]
fn a_label_out_of_range() {
    let [machine, ..] = machines();
    let expected = bits(&before(&machine));
    caught(&machine, &expected, &["task \"r\""], "for task \"r\" is 3e38", |data, row| {
        data.labels[2][row] = 3e38_f32.to_bits()
    });
}

#[test]
fn every_tensor_of_parameters() {
    let plan = plan("", |_, _| ());
    for machine in machines() {
        let healthy = before(&machine);
        for block in &plan.layout.blocks {
            let tensor = format!("pre-activation of {}", block.name.rsplit_once('.').unwrap().0);
            for value in VALUES {
                let mut poisoned = healthy.clone();
                match &mut poisoned.parameters {
                    Numbers::F32(numbers) => numbers[block.offset + block.len - 1] = value,
                    Numbers::F64(numbers) => {
                        numbers[block.offset + block.len - 1] = f64::from(value)
                    }
                }
                let (ended, found) = run(&plan, &machine, Some(poisoned.clone()));
                let what = format!("{value} in {}", block.name);
                tells(&ended, &what, &[&tensor]);
                assert!(bits(&found) == bits(&poisoned), "{what}: parameters or moments changed");
            }
        }
    }
}

// --- values that a step computes: kernels that write a value in the step with a given number ---

/// Where a value is put: the kernel, the text after which the value exists, its variable, whether
/// this variable is the one to replace, and the name of the flag that must report it.
struct Place {
    kernel: &'static str,
    after: &'static str,
    variable: &'static str,
    condition: String,
    tensor: String,
}

fn is_coupled(block: &str) -> bool {
    ["task.a", "task.b"].iter().any(|head| block.starts_with(head))
}

fn places(plan: &Plan) -> Vec<Place> {
    let last = |name: &str| {
        plan.layout.blocks.iter().find(|b| b.name == name).map(|b| b.offset + b.len - 1).unwrap()
    };
    let gradient = |kernel, after, variable, block: &str| Place {
        kernel,
        after,
        variable,
        condition: format!("place == {}u", last(block)),
        // A coupling of weights tests a head as a whole.
        tensor: format!(
            "gradient of {}",
            block.rsplitn(if is_coupled(block) { 3 } else { 2 }, '.').last().unwrap()
        ),
    };
    let products = plan
        .layout
        .blocks
        .iter()
        .map(|b| gradient("dense_backward_weight", "var value = sum;", "value", &b.name));
    let shared = ["task.a.0.weight", "task.b.1.bias"]
        .map(|b| gradient("soft_sharing", "var sum = gradients[place] + value;", "sum", b));
    let value = |kernel, after, condition: &str| Place {
        kernel,
        after,
        variable: "value",
        condition: condition.into(),
        tensor: format!("{kernel} "),
    };
    let delta = |variable: &'static str, after, head: &str| Place {
        kernel: "agreement",
        after,
        variable,
        condition: "row == 5u && c == 1u".into(),
        tensor: format!("gradient of task.{head}"),
    };
    let mut all: Vec<Place> = products.chain(shared).collect();
    all.push(Place {
        variable: "whole",
        ..value("soft_sharing", "var whole = sums[0];", "group.x == 0u")
    });
    all.push(Place {
        variable: "mean",
        ..value("agreement", "var mean = mean_a + mean_b;", "row == 5u")
    });
    all.push(delta("da", "var da = scale * t.x * (t.z - mean_a);", "a"));
    all.push(delta("db", "var db = scale * t.y * (t.w - mean_b);", "b"));
    all
}

/// The text of a kernel, with a variable for each value that can be replaced.
fn with_variables(kernel: &Kernel) -> String {
    let mut text = kernel.module();
    let edits: &[(&str, &str)] = match kernel.name {
        "soft_sharing" => &[
            ("let sum = gradients[place] + value;", "var sum = gradients[place] + value;"),
            (
                "partials[pair.partials + group.x] = sums[0];",
                "var whole = sums[0];\npartials[pair.partials + group.x] = whole;",
            ),
        ],
        "agreement" => &[
            (
                "partials[pair.partials + row] = select(0.0, mean_a + mean_b, inside);",
                "var mean = mean_a + mean_b;\npartials[pair.partials + row] = select(0.0, mean, \
                 inside);",
            ),
            (
                "logits_delta[select(a + c, a, one_a)] += scale * t.x * (t.z - mean_a);",
                "var da = scale * t.x * (t.z - mean_a);\nlogits_delta[select(a + c, a, one_a)] += \
                 da;",
            ),
            (
                "logits_delta[select(b + c, b, one_b)] += scale * t.y * (t.w - mean_b);",
                "var db = scale * t.y * (t.w - mean_b);\nlogits_delta[select(b + c, b, one_b)] += \
                 db;",
            ),
        ],
        _ => &[],
    };
    for (from, to) in edits {
        assert!(text.contains(from), "{}: no \"{from}\"", kernel.name);
        text = text.replace(from, to);
    }
    text
}

/// The number of the step that puts a value at a place.
fn number(place: usize, value: usize) -> u32 {
    (100 + place * VALUES.len() + value) as u32
}

fn spoiled(places: &[Place], kernel: &Kernel) -> String {
    let mut text = with_variables(kernel);
    for (i, place) in places.iter().enumerate().filter(|(_, place)| place.kernel == kernel.name) {
        assert!(text.contains(place.after), "{}: no \"{}\"", kernel.name, place.after);
        for (v, value) in VALUES.iter().enumerate() {
            // Some compilers refuse a constant NaN; these bits are known at run time only.
            let (variable, bits) = (place.variable, value.to_bits());
            let condition = format!("step.number == {}u && {}", number(i, v), place.condition);
            let line = format!(
                "{}\nif ({condition}) {{ {variable} = bitcast<f32>({bits}u | (step.slot & \
                 0x10000u)); }}",
                place.after
            );
            text = text.replacen(place.after, &line, 1);
        }
    }
    text
}

/// A device in the middle of a run.
struct Device {
    plan: Plan,
    session: Session,
    schedule: usize,
    state: [tandem::schedule::Buffer; 3],
}

impl Device {
    fn new(plan: Plan, places: &[Place]) -> Device {
        // The kernels that all adapters have, so that there is one text per kernel.
        let built = plan.build(&crate::common::whole()).unwrap();
        let mut session = Session::with_sources(gpu().clone(), built.program.clone(), |kernel| {
            spoiled(places, kernel)
        })
        .unwrap();
        upload(&mut session, &built.parts[0], &plan.parts.train, built.counting).unwrap();
        session
            .upload(built.buffers.parameters, 0, bytemuck::cast_slice(&plan.initial().unwrap()))
            .unwrap();
        let order = epoch_order(plan.parts.train.rows, 0, 0);
        session.upload(built.buffers.order, 0, &order).unwrap();
        let state =
            [built.buffers.parameters, built.buffers.first_moment, built.buffers.second_moment];
        Device { plan, session, schedule: built.train.unwrap(), state }
    }

    /// Runs steps with these numbers and returns the state after them.
    fn steps(&mut self, numbers: &[u32]) -> Vec<Numbers> {
        let course = Course::new(
            &self.plan.config.optimizer,
            0,
            self.plan.steps_per_epoch,
            self.plan.total_steps,
        );
        let step = |(slot, &number): (usize, &u32)| Step {
            number,
            ..course.step(slot as u64, slot * BATCH, BATCH, slot)
        };
        let steps: Vec<Step> = numbers.iter().enumerate().map(step).collect();
        self.session.submit(self.schedule, &steps).unwrap();
        self.session.collect(true).unwrap();
        self.state.map(|buffer| self.session.save(buffer).unwrap()).into()
    }
}

/// Covers each gradient, each coupling's value and each coupling's gradient.
#[test]
fn values_that_a_step_computes() {
    let plan = plan("", |_, _| ());
    let places = places(&plan);
    let mut device = Device::new(plan, &places);
    let mut state = device.steps(&[1, 2, 3]);
    assert!(device.session.not_finite().is_none());
    for (i, place) in places.iter().enumerate() {
        for (v, value) in VALUES.iter().enumerate() {
            let what = format!("{value} by {}, {}", place.kernel, place.condition);
            // The next step is in the same submission, and healthy.
            let found = device.steps(&[number(i, v), 99]);
            assert!(found == state, "{what}: parameters or moments changed");
            let flags =
                device.session.not_finite().unwrap_or_else(|| panic!("{what} went unnoticed"));
            assert_eq!(flags.step, number(i, v), "{what}");
            let fault = not_finite(device.session.program(), &flags, 1e-3);
            assert!(
                fault.message.contains(&place.tensor),
                "{what}: \"{}\" lacks \"{}\"",
                fault.message,
                place.tensor
            );
            assert!(
                fault.message.contains(&format!("step {}: ", number(i, v))) && fault.hint.is_some(),
                "{}",
                fault.message
            );
            device.session.forgive().unwrap();
        }
        let next = device.steps(&[50]);
        assert!(
            next != state && device.session.not_finite().is_none(),
            "a step after forgiveness changed nothing"
        );
        state = next;
    }
}
