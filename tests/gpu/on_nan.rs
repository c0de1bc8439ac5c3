//! What `train.on_nan` does: the step with a value that is not finite changes nothing, and the run
//! stops, goes on without that step, or goes back to the last checkpoint.

use std::sync::Arc;

use crate::common::device;
use anyhow::Result;
use tandem::data::split::order::epoch_order;
use tandem::data::{Dataset, Features};
use tandem::fault::Fault;
use tandem::run::checkpoint::Snapshot;
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Ended, Observer, Options, Outcome, Plan, train};

const WIDTH: usize = 5;
const CLASSES: [usize; 2] = [3, 3];
const BATCH: usize = 40;
const STEPS: usize = 20;

fn tables(on_nan: &str, rest: &str) -> String {
    format!(
        "[trunk]\nlayers = [8]\ndropout = 0.1\n[task.a]\n[task.b]\n[[coupling]]\nkind = \
         \"soft_sharing\"\nstrength = 0.1\n[optimizer]\nlearning_rate = 1e-2\n[train]\nepochs = \
         1\nbatch_size = {BATCH}\nlog_every = \"1s\"\non_nan = \"{on_nan}\"\n{rest}\n"
    )
}

/// Rows in which those of the given steps of the first epoch, counted from 1, have a feature that
/// is NaN.
fn poisoned(steps: &[usize]) -> Dataset {
    let mut data = crate::common::synthetic(1, STEPS * BATCH, WIDTH, &CLASSES);
    let order = epoch_order(data.rows, 0, 0);
    if let Features::F32(values) = &mut data.features {
        steps
            .iter()
            .for_each(|step| values[order[(step - 1) * BATCH + 7] as usize * WIDTH + 2] = f32::NAN);
    }
    data
}

/// Everything that a run reports.
#[derive(Default)]
struct Tape {
    points: Vec<Point>,
    snapshots: Vec<Arc<Snapshot>>,
    troubles: Vec<String>,
}

impl Observer for Tape {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.points.push(point.clone());
        Ok(())
    }

    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.snapshots.push(Arc::clone(snapshot));
        Ok(())
    }

    fn trouble(&mut self, fault: &Fault, done: &str) {
        self.troubles.push(format!("{}: {done}", fault.message));
    }

    fn cut_back(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.points.truncate(snapshot.points as usize);
        Ok(())
    }
}

fn run(
    plan: &Plan,
    machine: Machine,
    resume: Option<Snapshot>,
    at_once: Option<usize>,
) -> (Outcome, Tape) {
    let mut tape = Tape::default();
    let outcome = train(
        plan,
        machine,
        Options { resume, steps_per_submission: at_once, ..Options::default() },
        &mut tape,
    )
    .unwrap();
    (outcome, tape)
}

fn plan(on_nan: &str, rest: &str, data: Dataset) -> Plan {
    crate::common::plan(&tables(on_nan, rest), data, &CLASSES)
}

/// Whether parameters and moments are equal.
fn same(a: &Snapshot, b: &Snapshot) -> bool {
    a.parameters == b.parameters && a.moments == b.moments
}

#[test]
fn stop_leaves_parameters_and_moments_of_the_step_before() {
    for machine in [device(), Machine::Reference] {
        for at_once in [Some(1), Some(64), None] {
            let (outcome, tape) =
                run(&plan("stop", "", poisoned(&[9])), machine.clone(), None, at_once);
            let Ended::NotFinite(fault) = &outcome.ended else { panic!("{:?}", outcome.ended) };
            let row = epoch_order(STEPS * BATCH, 0, 0)[8 * BATCH];
            for piece in [
                "step 9: ",
                "pre-activation of trunk.0",
                "learning rate 1e-2",
                "gradient norm not finite",
                &format!("rows {row}, "),
            ] {
                assert!(fault.message.contains(piece), "\"{}\" lacks \"{piece}\"", fault.message);
            }
            assert!(
                fault.hint.as_deref().is_some_and(|hint| hint.contains("is NaN")),
                "{:?}",
                fault.hint
            );
            let (_, before) =
                run(&plan("stop", "max_steps = 8", poisoned(&[])), machine.clone(), None, None);
            let (last, expected) =
                (tape.snapshots.last().unwrap(), before.snapshots.last().unwrap());
            assert_eq!((last.steps, outcome.steps), (8, 8));
            assert!(same(last, expected), "moments or parameters changed");
        }
    }
}

#[test]
fn skip_leaves_single_steps_out() {
    for machine in [device(), Machine::Reference] {
        // By hand: healthy rows, and step numbers that jump over the bad steps.
        let healthy = plan("stop", "", poisoned(&[]));
        let until = |steps: usize| plan("stop", &format!("max_steps = {steps}"), poisoned(&[]));
        let skip = |tape: Tape| Snapshot {
            steps: tape.snapshots.last().unwrap().steps + 1,
            ..(**tape.snapshots.last().unwrap()).clone()
        };
        let first = skip(run(&until(3), machine.clone(), None, None).1);
        let second = skip(run(&until(10), machine.clone(), Some(first), None).1);
        let (_, expected) = run(&healthy, machine.clone(), Some(second), None);
        for at_once in [Some(1), Some(3), Some(64)] {
            let (outcome, tape) =
                run(&plan("skip", "", poisoned(&[4, 11])), machine.clone(), None, at_once);
            assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
            assert_eq!((outcome.steps, tape.troubles.len()), (STEPS as u64, 2));
            assert!(
                tape.troubles[0].contains("step 4: ")
                    && tape.troubles[1].contains("step 11: ")
                    && tape.troubles[1].ends_with("skipped")
            );
            let steps: Vec<u64> = tape.points.iter().map(|p| p.step).collect();
            assert_eq!(
                steps,
                (1..=STEPS as u64).filter(|s| ![4, 11].contains(s)).collect::<Vec<_>>()
            );
            assert!(
                same(tape.snapshots.last().unwrap(), expected.snapshots.last().unwrap()),
                "{at_once:?} steps a submission"
            );
        }
    }
}

#[test]
fn the_last_step_can_be_skipped() {
    let (outcome, tape) = run(&plan("skip", "", poisoned(&[19, 20])), device(), None, None);
    assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
    assert_eq!((outcome.steps, tape.troubles.len(), tape.points.last().unwrap().step), (20, 2, 18));
}

#[test]
fn ten_bad_steps_in_a_row_end_a_run_that_skips() {
    let nine: Vec<usize> = (5..14).collect();
    let (outcome, tape) = run(&plan("skip", "", poisoned(&nine)), device(), None, None);
    assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
    assert_eq!(tape.troubles.len(), 9);
    let ten: Vec<usize> = (5..15).collect();
    let (outcome, _) = run(&plan("skip", "", poisoned(&ten)), device(), None, None);
    let Ended::NotFinite(fault) = &outcome.ended else { panic!("{:?}", outcome.ended) };
    assert!(fault.message.starts_with("step 14: "), "{}", fault.message);
}

/// A regression on five features by plain gradient descent, which converges or not depending on the
/// learning rate only.
fn line(rate: f64, rest: &str) -> Plan {
    let tables = format!(
        "[trunk]\nlayers = []\n[task.r]\ntype = \"regression\"\n[optimizer]\nkind = \
         \"sgd\"\nlearning_rate = {rate:?}\nmomentum = 0.0\n[train]\nepochs = 60\nbatch_size = \
         {BATCH}\nlog_every = \"10s\"\non_nan = \"rollback\"\n{rest}\n"
    );
    let data = crate::common::labelled(&tables, 5, STEPS * BATCH, WIDTH, &[1], 0.0);
    crate::common::plan_of(&tables, data, None, &[1])
}

#[test]
fn rollback_halves_the_learning_rate_until_it_converges() {
    let (outcome, tape) = run(&line(2.5, "checkpoint_every = \"7s\""), device(), None, None);
    assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
    assert!((1..=3).contains(&tape.troubles.len()), "{:?}", tape.troubles);
    let rate = 2.5 / f64::from(1 << tape.troubles.len());
    assert_eq!(tape.points.last().unwrap().learning_rate, rate);
    assert!(tape.troubles.last().unwrap().contains("back to step "), "{:?}", tape.troubles);
    // Points after the checkpoint were removed: every tenth step is there once, in order.
    let steps: Vec<u64> = tape.points.iter().map(|p| p.step).collect();
    assert_eq!(steps, (1..=120).map(|n| 10 * n).collect::<Vec<u64>>());
    assert_eq!(tape.snapshots.last().unwrap().rollbacks, tape.troubles.len() as u64);
}

#[test]
fn three_rollbacks_that_do_not_help_are_enough() {
    let (outcome, tape) =
        run(&plan("rollback", "checkpoint_every = \"4s\"", poisoned(&[11])), device(), None, None);
    assert!(matches!(outcome.ended, Ended::NotFinite(_)), "{:?}", outcome.ended);
    assert_eq!((tape.troubles.len(), outcome.steps), (3, 10));
    assert!(
        tape.troubles[2].contains("back to step 8, the learning rate times 0.125"),
        "{:?}",
        tape.troubles
    );
}

/// A value in the validation part comes from no step, so no step is left out or named as its cause.
#[test]
fn a_bad_value_in_the_validation_part_is_not_blamed_on_a_step() {
    let mut valid = crate::common::synthetic(2, 30, WIDTH, &CLASSES);
    if let Features::F32(values) = &mut valid.features {
        values[4 * WIDTH] = f32::NAN;
    }
    for machine in [device(), Machine::Reference] {
        for on_nan in ["stop", "skip"] {
            let plan = crate::common::plan_of(
                &tables(on_nan, ""),
                poisoned(&[]),
                Some(valid.clone()),
                &CLASSES,
            );
            let (outcome, tape) = run(&plan, machine.clone(), None, None);
            let Ended::NotFinite(fault) = &outcome.ended else { panic!("{:?}", outcome.ended) };
            assert!(
                fault.message.starts_with("in validation after step 20: "),
                "{}",
                fault.message
            );
            assert_eq!((outcome.steps, tape.troubles.len()), (20, 0), "{:?}", tape.troubles);
        }
    }
}
