//! A run that goes on from a checkpoint ends with the same bytes as a run without interruption.

use std::path::Path;

use crate::common::{ARCHITECTURES, Tape, cpu, device};
use tandem::data::Dataset;
use tandem::model::arena::Numbers;
use tandem::run::checkpoint::disk::Disk;
use tandem::run::checkpoint::{Context, Snapshot, list, load, write};
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Options, Outcome, Plan, train};

const WIDTH: usize = 7;
const CLASSES: [usize; 2] = [4, 4];
/// Batches of 48 rows: 12 full ones and a short one, so that 60 steps end in the middle of the
/// fifth epoch.
const ROWS: usize = 12 * 48 + 20;

/// Dropout, towers, both kinds of coupling, weight decay, a learning rate that changes, early
/// stopping.
const TABLES: &str = "
[trunk]
layers = [16]
dropout = 0.2
[task.a]
layers = [6]
dropout = 0.1
[task.b]
layers = [6]
[[coupling]]
kind = \"soft_sharing\"
strength = 0.05
[[coupling]]
kind = \"agreement\"
strength = 0.3
";

fn tables(optimizer: &str, train: &str) -> String {
    let shared = "epochs = 9\nmax_steps = 60\nbatch_size = 48\npatience = 8\nlog_every = \
                  \"7s\"\ncheckpoint_every = \"1s\"\nkeep = 100";
    format!(
        "{TABLES}[optimizer]\nlearning_rate = 1e-2\nschedule = \"cosine\"\nwarmup_steps = \
         5\n{optimizer}\n[train]\n{shared}\n{train}\n"
    )
}

fn data(seed: u64, rows: usize) -> Dataset {
    crate::common::synthetic(seed, rows, WIDTH, &CLASSES)
}

fn plan(optimizer: &str, train: &str) -> Plan {
    crate::common::plan_of(&tables(optimizer, train), data(1, ROWS), Some(data(2, 90)), &CLASSES)
}

fn run(
    plan: &Plan,
    machine: Machine,
    resume: Option<Snapshot>,
    at_once: Option<usize>,
) -> (Outcome, Tape) {
    let mut tape = Tape::default();
    let options = Options { resume, steps_per_submission: at_once, ..Options::default() };
    let outcome = train(plan, machine, options, &mut tape).unwrap();
    (outcome, tape)
}

fn context(plan: &Plan) -> Context {
    Context {
        network: plan.network.clone(),
        layout: plan.layout.clone(),
        schema: plan.parts.schema.clone(),
        config: tandem::config::write::to_toml(&plan.config),
        data: vec![("rows.csv".into(), "0123".into())],
        adapter: "test".into(),
        kernels: vec!["dense_forward".into()],
    }
}

/// The bits of all arenas.
fn bits(snapshot: &Snapshot) -> Vec<u64> {
    let of = |numbers: &Numbers| -> Vec<u64> {
        match numbers {
            Numbers::F32(n) => n.iter().map(|x| u64::from(x.to_bits())).collect(),
            Numbers::F64(n) => n.iter().map(|x| x.to_bits()).collect(),
        }
    };
    let state = snapshot.balance.iter().map(|(_, state)| state);
    std::iter::once(&snapshot.parameters)
        .chain(&snapshot.moments)
        .chain(state)
        .flat_map(of)
        .collect()
}

/// Takes a checkpoint at every step of a whole run and writes it to files; goes on to the end from
/// each one that `wanted` names.
fn every_step(plan: &Plan, machine: &Machine, root: &Path, wanted: impl Fn(u64) -> bool) {
    let (outcome, whole) = run(plan, machine.clone(), None, Some(3));
    let (last, steps) = (whole.snapshots.last().unwrap(), plan.total_steps);
    assert_eq!((outcome.steps, last.steps), (steps, steps));
    for snapshot in &whole.snapshots {
        write(&Disk::default(), root, snapshot, &context(plan), 100).unwrap();
    }
    assert_eq!(list(root).len() as u64, steps, "a checkpoint a step");
    let ends = whole.snapshots.iter().filter(|s| s.steps % 13 == 0);
    assert!(
        ends.clone().count() as u64 == steps / 13 && ends.clone().all(|s| s.validated == s.steps),
        "the end of an epoch before its validation"
    );
    for (step, path) in list(root).into_iter().filter(|(step, _)| wanted(*step)) {
        let loaded = load(&path).unwrap();
        let taken = whole.snapshots.iter().rfind(|s| s.steps == step).unwrap();
        assert_eq!((loaded.snapshot.seconds, loaded.snapshot.steps), (taken.seconds, step));
        assert!(loaded.snapshot == **taken, "what was read at step {step} is not what was written");
        let before = loaded.snapshot.points as usize;
        // Any number of steps per submission.
        let (again, tape) =
            run(plan, machine.clone(), Some(loaded.snapshot), Some(1 + step as usize % 5));
        assert!(
            bits(tape.snapshots.last().unwrap()) == bits(last),
            "parameters or moments differ after a pause at step {step}"
        );
        let differs =
            |a: &[f32], b: &[f32]| a.iter().zip(b).any(|(a, b)| a.to_bits() != b.to_bits());
        assert!(
            !differs(&again.last, &outcome.last) && !differs(&again.best, &outcome.best),
            "models differ after step {step}"
        );
        assert_eq!((again.best_epoch, again.steps), (outcome.best_epoch, outcome.steps));
        let joined: Vec<Point> =
            whole.points[..before].iter().chain(&tape.points).cloned().collect();
        assert_eq!(joined, whole.points, "points differ after a pause at step {step}");
    }
}

#[test]
fn adam_goes_on_from_every_step() {
    let root = tempfile::tempdir().unwrap();
    every_step(
        &plan("kind = \"adam\"\nweight_decay = 0.01\nclip_norm = 1.0", ""),
        &device(),
        root.path(),
        |_| true,
    );
}

#[test]
fn adamw_goes_on_from_every_step() {
    let root = tempfile::tempdir().unwrap();
    every_step(&plan("kind = \"adamw\"\nweight_decay = 0.1", ""), &device(), root.path(), |_| true);
}

#[test]
fn sgd_goes_on_from_some_steps() {
    let root = tempfile::tempdir().unwrap();
    every_step(
        &plan("kind = \"sgd\"\nmomentum = 0.9\nnesterov = true", ""),
        &device(),
        root.path(),
        |step| step % 9 == 4,
    );
}

#[test]
fn every_architecture_goes_on_from_each_of_its_first_steps() {
    for architecture in ARCHITECTURES {
        let tables = tables("weight_decay = 0.01", "").replace("max_steps = 60", "max_steps = 27");
        let tables = tables.replace("layers = [16]", "layers = [16, 9]");
        let plan = crate::common::plan_of(
            &format!("[architecture]\n{architecture}\n{tables}"),
            data(1, ROWS),
            Some(data(2, 90)),
            &CLASSES,
        );
        let root = tempfile::tempdir().unwrap();
        every_step(&plan, &device(), root.path(), |step| step <= 20);
    }
}

#[test]
fn the_reference_goes_on_from_some_steps() {
    let root = tempfile::tempdir().unwrap();
    every_step(&plan("", ""), &Machine::Reference, root.path(), |step| step % 7 == 2);
}

#[test]
fn the_processor_goes_on_from_each_of_its_steps() {
    let root = tempfile::tempdir().unwrap();
    every_step(&plan("", ""), &cpu(2), root.path(), |_| true);
}

#[test]
fn a_finished_run_goes_on_with_more_epochs() {
    let constant = |epochs: u64| {
        let tables = tables("", "")
            .replace("schedule = \"cosine\"\nwarmup_steps = 5\n", "")
            .replace("max_steps = 60\n", "");
        crate::common::plan_of(
            &tables.replace("epochs = 9", &format!("epochs = {epochs}")),
            data(1, ROWS),
            Some(data(2, 90)),
            &CLASSES,
        )
    };
    let (_, short) = run(&constant(2), device(), None, None);
    let (longer, _) =
        run(&constant(4), device(), Some((**short.snapshots.last().unwrap()).clone()), None);
    let (whole, _) = run(&constant(4), device(), None, None);
    assert_eq!((longer.steps, whole.steps), (52, 52));
    assert_eq!(longer.last, whole.last);
    assert_eq!((longer.best, longer.best_epoch), (whole.best, whole.best_epoch));
}

#[test]
fn a_coupling_may_join_in_the_middle_of_an_epoch() {
    let plan_with = |couplings: &str| {
        let tables = format!(
            "[trunk]\nlayers = [8]\n[task.a]\n[task.b]\n{couplings}[train]\nepochs = \
             2\nbatch_size = 48\nlog_every = \"1e\"\ncheckpoint_every = \"1s\"\n"
        );
        crate::common::plan_of(
            &tables,
            crate::common::synthetic(1, 240, WIDTH, &[3, 3]),
            None,
            &[3, 3],
        )
    };
    let coupling = |kind: &str| format!("[[coupling]]\nkind = \"{kind}\"\nstrength = 0.1\n");
    let one = plan_with(&coupling("soft_sharing"));
    let (_, whole) = run(&one, Machine::Reference, None, None);
    let third = whole.snapshots.iter().find(|snapshot| snapshot.steps == 3).unwrap();
    for (couplings, pairs) in
        [(String::new(), 0), (coupling("soft_sharing") + &coupling("agreement"), 2)]
    {
        let (outcome, tape) =
            run(&plan_with(&couplings), Machine::Reference, Some((**third).clone()), None);
        assert_eq!(outcome.steps, 10);
        assert!(
            tape.points.iter().all(|point| point.couplings.len() == pairs
                && point.couplings.iter().all(|x| x.is_finite()))
        );
    }
}

/// Methods with a state, and those whose steps differ from turn to turn.
const BALANCES: [&str; 12] = [
    "method = \"uncertainty\"\nobserve = 4",
    "method = \"dwa\"",
    "method = \"random\"",
    "method = \"imtl_l\"",
    "method = \"famo\"",
    "method = \"gradnorm\"\nobserve = 3",
    "method = \"excess_mtl\"\nlearning_rate = 0.5",
    "method = \"db_mtl\"\nobserve = 4",
    "method = \"gradvac\"",
    "method = \"gradvac\"\nspace = \"parameters\"\nevery = 3\nobserve = 5",
    "method = \"upgrad\"\nevery = 4",
    "method = \"graddrop\"",
];

#[test]
fn every_balancer_goes_on_from_each_of_its_first_steps() {
    for balance in BALANCES {
        let tables = tables("weight_decay = 0.01", "").replace("max_steps = 60", "max_steps = 27");
        let plan = crate::common::plan_of(
            &format!("[balance]\n{balance}\n{tables}"),
            data(1, ROWS),
            Some(data(2, 90)),
            &CLASSES,
        );
        let root = tempfile::tempdir().unwrap();
        every_step(&plan, &device(), root.path(), |step| step <= 20);
    }
}

#[test]
fn a_run_that_goes_on_with_another_balancer_begins_its_state_anew() {
    let with = |balance: &str| {
        let tables = tables("weight_decay = 0.01", "").replace("max_steps = 60", "max_steps = 27");
        let text = format!("[balance]\nmethod = \"{balance}\"\n{tables}");
        crate::common::plan_of(&text, data(1, ROWS), None, &CLASSES)
    };
    let (_, tape) = run(&with("uncertainty"), device(), None, Some(3));
    let half = tape.snapshots.iter().find(|s| s.steps == 9).unwrap();
    let (_, other) = run(&with("imtl_l"), device(), Some((**half).clone()), Some(3));
    let fresh = Snapshot { balance: None, ..(**half).clone() };
    let (_, anew) = run(&with("imtl_l"), device(), Some(fresh), Some(3));
    assert!(bits(other.snapshots.last().unwrap()) == bits(anew.snapshots.last().unwrap()));
}
