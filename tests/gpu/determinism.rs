//! Equal runs give equal bits on the device, however many steps a submission has; and the device
//! agrees with the float64 reference in every step, up to rounding.

use std::path::Path;
use std::sync::OnceLock;

use crate::common::{ARCHITECTURES, device, gpu};
use anyhow::Result;
use tandem::data::split::order::epoch_order;
use tandem::data::{Parts, Schema};
use tandem::device::Session;
use tandem::kernels::params::Step;
use tandem::kernels::tuning::Tuning;
use tandem::model::file::save;
use tandem::run::apply::evaluate::evaluate;
use tandem::run::data::upload;
use tandem::run::machine::Machine;
use tandem::run::train::learning_rate::{Course, evaluation_step};
use tandem::run::train::point::Point;
use tandem::run::train::{Ended, Observer, Options, Outcome, Plan, train};
use tandem::schedule::{Engine, Slice, StepResult};

/// Features of a row.
const WIDTH: usize = 7;
/// Classes of the two tasks, `a` and `b`.
const CLASSES: [usize; 2] = [4, 4];

/// A configuration with everything that draws random numbers or sums over many: dropout, towers,
/// both couplings, a short last batch.
const TABLES: &str = "
[trunk]
layers = [16]
dropout = 0.2
[task.a]
layers = [6]
dropout = 0.1
weight = 1.5
[task.b]
layers = [6]
[[coupling]]
kind = \"soft_sharing\"
strength = 0.05
[[coupling]]
kind = \"agreement\"
strength = 0.3
[optimizer]
learning_rate = 1e-2
clip_norm = 1.0
[train]
epochs = 2
batch_size = 48
log_every = \"1s\"
";

/// A plan with a training, a validation and a test part.
fn plan(tables: &str) -> Plan {
    let config = crate::common::config(tables);
    let names = ["0", "1", "2", "3"];
    let tasks: Vec<(&str, &[&str])> =
        config.tasks.iter().map(|t| (t.name.as_str(), &names[..])).collect();
    let schema = Schema::for_arrays(WIDTH, &tasks);
    let part = |seed: u64, rows: usize| crate::common::synthetic(seed, rows, WIDTH, &CLASSES);
    let parts = Parts::new(schema, part(1, 400), Some(part(2, 90)), Some(part(3, 70))).unwrap();
    Plan::new(config, parts).unwrap()
}

/// Keeps the points of a run, without the seconds, which differ from run to run.
#[derive(Default)]
struct Points(Vec<Point>);

impl Observer for Points {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.0.push(Point { seconds: 0.0, ..point.clone() });
        Ok(())
    }
}

fn run(
    plan: &Plan,
    machine: Machine,
    steps_per_submission: Option<usize>,
) -> (Outcome, Vec<Point>) {
    let mut points = Points::default();
    let outcome =
        train(plan, machine, Options { steps_per_submission, ..Options::default() }, &mut points)
            .unwrap();
    assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
    (outcome, points.0)
}

/// The run that the others are compared with.
fn first() -> &'static (Outcome, Vec<Point>) {
    static FIRST: OnceLock<(Outcome, Vec<Point>)> = OnceLock::new();
    FIRST.get_or_init(|| run(&plan(TABLES), device(), None))
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn assert_same(found: &(Outcome, Vec<Point>), expected: &(Outcome, Vec<Point>)) {
    assert_eq!(found.1, expected.1);
    assert!(bits(&found.0.last) == bits(&expected.0.last), "the last parameters differ");
    assert!(bits(&found.0.best) == bits(&expected.0.best), "the best parameters differ");
    assert_eq!((found.0.best_epoch, found.0.steps), (expected.0.best_epoch, expected.0.steps));
}

#[test]
fn a_run_repeats_to_the_bit() {
    assert_same(&run(&plan(TABLES), device(), None), first());
}

#[test]
fn one_step_a_submission_changes_nothing() {
    assert_same(&run(&plan(TABLES), device(), Some(1)), first());
}

#[test]
fn sixty_four_steps_a_submission_change_nothing() {
    assert_same(&run(&plan(TABLES), device(), Some(64)), first());
}

/// Rows that are copied to the device when steps need them, in windows of one batch, of three
/// batches, and of more rows than there are.
#[test]
fn streamed_data_changes_nothing() {
    for batches in [1, 3, 100] {
        let plan = plan(TABLES);
        let row = 4 * (WIDTH + CLASSES.len() + 1) as u64;
        let mut points = Points::default();
        let options = Options { streamed: Some(48 * batches * row), ..Options::default() };
        let outcome = train(&plan, device(), options, &mut points).unwrap();
        assert_same(&(outcome, points.0), first());
    }
}

/// Every loss, with blanks, row weights and categories.
#[test]
fn every_loss_gives_equal_bits_however_it_is_submitted() {
    let tables = "[optimizer]\nlearning_rate = 1e-2\nclip_norm = 1.0\n[train]\nepochs = \
                  2\nbatch_size = 48\nlog_every = \"1s\"\n";
    let plan = crate::common::every_plan(tables, 400);
    let first = run(&plan, device(), Some(1));
    assert!(
        first.1.iter().any(|point| point.split == "valid")
            && first.1.iter().all(|point| point.loss.is_some_and(f64::is_finite))
    );
    assert_same(&run(&plan, device(), Some(64)), &first);
}

/// The tables of the runs above with another network.
fn with(architecture: &str) -> String {
    let tables = TABLES.replace("layers = [16]", "layers = [16, 9]\nactivation = \"silu\"");
    format!("[architecture]\n{architecture}\n{tables}")
}

#[test]
fn every_architecture_gives_equal_bits_however_it_is_submitted_or_streamed() {
    for architecture in ARCHITECTURES {
        let plan = plan(&with(architecture));
        let first = run(&plan, device(), Some(1));
        assert_same(&run(&plan, device(), Some(64)), &first);
        let mut points = Points::default();
        let row = 4 * (WIDTH + CLASSES.len() + 1) as u64;
        let options = Options { streamed: Some(3 * 48 * row), ..Options::default() };
        let outcome = train(&plan, device(), options, &mut points).unwrap();
        assert_same(&(outcome, points.0), &first);
    }
}

#[test]
fn ten_steps_of_every_architecture_follow_the_reference() {
    for architecture in ARCHITECTURES {
        let plan = plan(&format!("{}max_steps = 10\n", with(architecture)));
        let (found, expected) = (run(&plan, device(), None), run(&plan, Machine::Reference, None));
        let worst = largest_difference(&found.1, &expected.1);
        println!("{architecture}: {worst:e}");
        assert!(worst <= 1e-5, "{architecture}: a loss is {worst:e} away from the reference");
        let gates = |points: &[Point]| -> Vec<f64> {
            let gates = points.iter().flat_map(|point| &point.gates);
            gates.flat_map(|gate| gate.weights.iter().map(|(_, weight)| *weight)).collect()
        };
        let pairs: Vec<_> = gates(&found.1).into_iter().zip(gates(&expected.1)).collect();
        let furthest = pairs.iter().map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(furthest <= 1e-5, "{architecture}: a weight is {furthest:e} away");
    }
}

#[test]
fn another_seed_is_another_run() {
    let other = run(&plan(&format!("{TABLES}seed = 1\n")), device(), None);
    assert_ne!(bits(&other.0.last), bits(&first().0.last));
    assert_ne!(other.1, first().1);
}

/// With equal initial weights, runs of different seeds still differ: by the order of rows and by
/// dropout.
#[test]
fn the_seed_reaches_more_than_the_initial_weights() {
    let initial = plan(TABLES).initial().unwrap();
    let last = |seed: u64| {
        let plan = plan(&format!("{TABLES}seed = {seed}\n"));
        let options = Options { initial: Some(initial.clone()), ..Options::default() };
        bits(&train(&plan, device(), options, &mut Points::default()).unwrap().last)
    };
    assert_ne!(last(0), last(1));
}

#[test]
fn the_files_of_the_model_repeat_to_the_byte() {
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, outcome: &Outcome| {
        let plan = plan(TABLES);
        save(
            &root.path().join(name),
            &plan.network,
            &plan.layout,
            &plan.parts.schema,
            &outcome.best,
        )
        .unwrap();
    };
    write("a", &first().0);
    write("b", &run(&plan(TABLES), device(), Some(7)).0);
    let read = |directory: &str, file: &str| {
        std::fs::read(root.path().join(Path::new(directory)).join(file)).unwrap()
    };
    for file in ["model.safetensors", "config.json", "schema.json"] {
        assert!(read("a", file) == read("b", file), "{file}");
    }
}

/// An evaluation has two steps in flight and reads the logits of each step with its metrics: they
/// are the logits of each step on its own.
#[test]
fn an_evaluation_reads_the_logits_of_each_step() {
    let plan = plan(TABLES);
    let tuning = Tuning { binding_bytes: 8 << 10, ..gpu().tuning() };
    let built = plan.build(&tuning).unwrap();
    let mut session = Session::new(gpu().clone(), built.program.clone()).unwrap();
    upload(&mut session, &built.parts[0], &plan.parts.train, built.counting).unwrap();
    session.upload(built.buffers.parameters, 0, &bits(&plan.initial().unwrap())).unwrap();
    let measured = evaluate(&mut session, &built, &plan.network, &plan.objective, 0, 1).unwrap();

    let rows = plan.parts.train.rows;
    assert!(rows.div_ceil(built.evaluate_rows) > 3, "{} rows a step", built.evaluate_rows);
    assert!(!rows.is_multiple_of(built.evaluate_rows), "the last step is not shorter");
    let mut alone = vec![Vec::new(); CLASSES.len()];
    for first in (0..rows).step_by(built.evaluate_rows) {
        let count = built.evaluate_rows.min(rows - first);
        let step = evaluation_step(1, first, count, 0);
        session.submit(built.evaluate[0], &[step]).unwrap();
        assert!(session.collect(true).unwrap()[0].numbers.is_empty());
        for (all, (first, outputs)) in alone.iter_mut().zip(&built.logits) {
            let slice = Slice { buffer: built.buffers.logits, first: *first, len: count * outputs };
            all.extend(session.download(slice).unwrap());
        }
    }
    for (found, alone) in measured.logits.iter().zip(&alone) {
        assert_eq!(bits(found), bits(alone));
    }
}

/// Runs `count` steps over the first batch and returns their results and the parameters afterwards.
fn steps(plan: &Plan, tuning: &Tuning, count: u64) -> (Vec<StepResult>, Vec<u32>) {
    let built = plan.build(tuning).unwrap();
    let mut session = Session::new(gpu().clone(), built.program.clone()).unwrap();
    for (part, (_, data)) in built.parts.iter().zip(plan.named_parts()) {
        upload(&mut session, part, data, built.counting).unwrap();
    }
    session.upload(built.buffers.order, 0, &epoch_order(plan.parts.train.rows, 0, 0)).unwrap();
    session.upload(built.buffers.parameters, 0, &bits(&plan.initial().unwrap())).unwrap();
    let course = Course::new(&plan.config.optimizer, 0, plan.steps_per_epoch, plan.total_steps);
    let steps: Vec<Step> = (0..count).map(|t| course.step(t, 0, plan.batch, t as usize)).collect();
    session.submit(built.train.unwrap(), &steps).unwrap();
    let results = session.collect(true).unwrap();
    let parameters = session.words(built.program.whole(built.buffers.parameters)).unwrap();
    (results, parameters)
}

#[test]
fn batches_in_chunks_repeat_to_the_bit() {
    let plan = plan(&TABLES.replace("batch_size = 48", "batch_size = 300"));
    let tuning = Tuning { binding_bytes: 16 << 10, ..gpu().tuning() };
    let (results, parameters) = steps(&plan, &tuning, 5);
    assert_eq!(results.len(), 5);
    let program = plan.build(&tuning).unwrap().program;
    let losses = ["softmax_cross_entropy", "heads_cross_entropy"];
    assert!(
        program.schedules[0].dispatches.iter().filter(|d| losses.contains(&d.kernel.name)).count()
            > 1
    );
    assert_eq!((results, parameters), steps(&plan, &tuning, 5));
}

/// (name, tables): networks with dropout, towers, each coupling and each optimizer.
const TEN_STEPS: &[(&str, &str)] = &[
    ("adam, dropout, towers, both couplings", TABLES),
    (
        "adamw, gelu, no coupling",
        "[trunk]\nlayers = [12, 9]\nactivation = \"gelu\"\n[task.a]\nweight = \
         0.5\n[task.b]\nlayers = [5]\n[optimizer]\nkind = \"adamw\"\nlearning_rate = \
         3e-3\nweight_decay = 0.1\nschedule = \"cosine\"\n[train]\nepochs = 2\nbatch_size = \
         48\nlog_every = \"1s\"\n",
    ),
    (
        "sgd with nesterov, tanh, agreement",
        "[trunk]\nlayers = [20]\nactivation = \"tanh\"\ndropout = \
         0.3\n[task.a]\n[task.b]\n[[coupling]]\nkind = \"agreement\"\nstrength = \
         0.7\n[optimizer]\nkind = \"sgd\"\nlearning_rate = 5e-2\nmomentum = 0.9\nnesterov = \
         true\nweight_decay = 1e-3\nwarmup_steps = 4\n[train]\nepochs = 2\nbatch_size = \
         48\nlog_every = \"1s\"\n",
    ),
    (
        "plain sgd, no trunk, silu towers, soft sharing, full batch",
        "[trunk]\nlayers = []\nactivation = \"silu\"\n[task.a]\nlayers = [8]\n[task.b]\nlayers = \
         [8]\n[[coupling]]\nkind = \"soft_sharing\"\nstrength = 0.2\n[optimizer]\nkind = \
         \"sgd\"\nlearning_rate = 0.1\nclip_norm = 0.5\n[train]\nepochs = 10\nbatch_size = \
         \"full\"\nlog_every = \"1s\"\n",
    ),
];

/// |a − b| divided by the larger of |a| and |b|.
fn difference(a: f64, b: f64) -> f64 {
    (a - b).abs() / a.abs().max(b.abs()).max(f64::MIN_POSITIVE)
}

/// The largest relative difference of a loss, a coupling's value or a total, over all points of all
/// parts.
fn largest_difference(found: &[Point], expected: &[Point]) -> f64 {
    let numbers = |p: &Point| -> Vec<f64> {
        let tasks = p.tasks.iter().map(|t| t.loss.unwrap());
        tasks.chain(p.couplings.iter().copied()).chain(p.loss).collect()
    };
    let of_point = |(f, e): (&Point, &Point)| {
        assert_eq!((f.step, f.epoch, &f.split), (e.step, e.epoch, &e.split));
        numbers(f).into_iter().zip(numbers(e)).map(|(f, e)| difference(f, e)).fold(0.0, f64::max)
    };
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected).map(of_point).fold(0.0, f64::max)
}

#[test]
fn ten_steps_follow_the_reference() {
    for (name, tables) in TEN_STEPS {
        let plan = plan(&format!("{tables}max_steps = 10\n"));
        let (found, expected) = (run(&plan, device(), None), run(&plan, Machine::Reference, None));
        assert_eq!(expected.0.steps, 10, "{name}");
        let worst = largest_difference(&found.1, &expected.1);
        println!("{name}: {worst:e}");
        assert!(worst <= 1e-5, "{name}: a loss is {worst:e} away from the reference, relatively");
    }
}

/// Every loss, with blanks, row weights and categories, in training and validation.
#[test]
fn ten_steps_of_every_loss_follow_the_reference() {
    let plan = crate::common::every_plan(
        "[train]\nepochs = 5\nbatch_size = 48\nlog_every = \"1s\"\nmax_steps = 10\n",
        96,
    );
    let (found, expected) = (run(&plan, device(), None), run(&plan, Machine::Reference, None));
    assert!(expected.1.iter().any(|point| point.split == "valid"));
    let worst = largest_difference(&found.1, &expected.1);
    println!("{worst:e}");
    assert!(worst <= 1e-5, "a loss is {worst:e} away from the reference, relatively");
    for (found, expected) in
        found.1.iter().flat_map(|p| &p.tasks).zip(expected.1.iter().flat_map(|p| &p.tasks))
    {
        assert_eq!(found.rows, expected.rows);
    }
}

#[test]
fn the_reference_repeats_to_the_bit() {
    let tables = format!("{TABLES}max_steps = 10\n");
    assert_same(
        &run(&plan(&tables), Machine::Reference, Some(1)),
        &run(&plan(&tables), Machine::Reference, Some(64)),
    );
}
