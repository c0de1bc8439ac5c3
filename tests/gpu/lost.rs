//! A device that is lost or drops work: the next look at the device notices it, the error says so,
//! and a run that goes on from the last checkpoint ends with the same bytes.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::Result;
use tandem::device::adapter::Wish;
use tandem::device::{Gpu, Session};
use tandem::fault::{Exit, Fault, exit_of, hint_of};
use tandem::kernels::params::Step;
use tandem::rng::{Purpose, below};
use tandem::run::checkpoint::Snapshot;
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Observer, Options, Plan, train, train_with_retries};
use tandem::schedule::Engine;

const CLASSES: [usize; 2] = [3, 3];
const TABLES: &str = "[trunk]\nlayers = [8]\ndropout = 0.1\n[task.a]\n[task.b]\n[train]\nepochs = \
                      3\nbatch_size = 30\nlog_every = \"3s\"\ncheckpoint_every = \"5s\"\n";

/// Each test has its own device: what one loses is its own.
fn open() -> Gpu {
    crate::common::open(&Wish::default())
}

fn plan() -> Plan {
    crate::common::plan(TABLES, crate::common::synthetic(1, 20 * 30, 5, &CLASSES), &CLASSES)
}

/// Destroys its device once, when `at` steps are done.
struct Destroyer {
    gpu: Gpu,
    at: u64,
    is_destroyed: bool,
    /// Calls of `progress` since then: submissions whose results came in after the loss.
    taken_after: u64,
    last: Option<Arc<Snapshot>>,
    points: Vec<Point>,
}

impl Destroyer {
    fn new(gpu: &Gpu, at: u64) -> Destroyer {
        Destroyer {
            gpu: gpu.clone(),
            at,
            is_destroyed: false,
            taken_after: 0,
            last: None,
            points: Vec::new(),
        }
    }
}

impl Observer for Destroyer {
    fn progress(&mut self, steps: u64, _: Option<f64>) {
        if self.is_destroyed {
            self.taken_after += 1;
        } else if steps >= self.at {
            self.gpu.destroy();
            self.is_destroyed = true;
        }
    }

    fn point(&mut self, point: &Point) -> Result<()> {
        self.points.push(Point { seconds: 0.0, ..point.clone() });
        Ok(())
    }

    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.last = Some(Arc::clone(snapshot));
        Ok(())
    }

    fn lost(&mut self, _: &anyhow::Error) -> Result<Option<Snapshot>> {
        self.points.truncate(self.last.as_ref().map_or(0, |s| s.points as usize));
        Ok(self.last.as_deref().cloned())
    }
}

#[test]
fn a_run_goes_on_after_its_device_was_lost() {
    let plan = plan();
    let mut watch = Destroyer::new(&open(), u64::MAX);
    let whole =
        train(&plan, Machine::Device(Box::new(watch.gpu.clone())), Options::default(), &mut watch)
            .unwrap();
    assert_eq!(whole.steps, 60);
    let points = watch.points;
    for round in 0..20 {
        let at = below(55, 7, Purpose::Synthetic, 0, round);
        let gpu = open();
        let mut watch = Destroyer::new(&gpu, at);
        let options =
            Options { steps_per_submission: Some(1 + round as usize % 7), ..Options::default() };
        let machine = Machine::Device(Box::new(gpu));
        if round % 2 == 0 {
            let again = train_with_retries(
                &plan,
                machine,
                options,
                1,
                &mut || Ok(Machine::Device(Box::new(open()))),
                &mut watch,
            )
            .unwrap();
            assert!(watch.is_destroyed, "the device was not lost at step {at}");
            assert!(
                again.last == whole.last,
                "differs after the loss at step {at}: {:?}",
                watch.last.map(|s| s.steps)
            );
            assert!(watch.points == points, "points differ after the loss at step {at}");
            continue;
        }
        let error = train(&plan, machine, options, &mut watch).unwrap_err();
        assert_eq!(exit_of(&error), Exit::Internal);
        assert!(format!("{error:#}").contains("lost") && hint_of(&error).is_some(), "{error:#}");
        assert!(watch.is_destroyed, "the device was not lost at step {at}");
        assert_eq!(watch.taken_after, 0, "the run went on after the loss at step {at}");
        let resume = watch.last.as_deref().cloned();
        let mut watch = Destroyer::new(&open(), u64::MAX);
        let options = Options { resume, ..Options::default() };
        let again = train(&plan, Machine::Device(Box::new(watch.gpu.clone())), options, &mut watch)
            .unwrap();
        assert!(again.last == whole.last, "differs after the loss at step {at}");
    }
}

/// There is no second try unless it was asked for, and none where a new device cannot help.
#[test]
fn without_retries_the_first_loss_ends_the_run() {
    let gpu = open();
    let mut watch = Destroyer::new(&gpu, 7);
    let mut opened = 0;
    let mut again = || {
        opened += 1;
        Ok(Machine::Device(Box::new(open())))
    };
    let error = train_with_retries(
        &plan(),
        Machine::Device(Box::new(gpu)),
        Options::default(),
        0,
        &mut again,
        &mut watch,
    )
    .unwrap_err();
    assert_eq!((exit_of(&error), opened), (Exit::Internal, 0));
}

/// A new device would not have more memory than the one before.
#[test]
fn refused_memory_is_not_tried_again() {
    let gpu = open();
    gpu.pretend_memory(1 << 10);
    let mut opened = 0;
    let mut again = || {
        opened += 1;
        Ok(Machine::Device(Box::new(open())))
    };
    let machine = Machine::Device(Box::new(gpu.clone()));
    let error = train_with_retries(
        &plan(),
        machine,
        Options::default(),
        3,
        &mut again,
        &mut Destroyer::new(&gpu, u64::MAX),
    )
    .unwrap_err();
    assert_eq!((exit_of(&error), opened), (Exit::Internal, 0), "{error:#}");
    assert!(format!("{error:#}").contains("out of memory"), "{error:#}");
}

/// If no new device opens, the error names the loss of the first one, with the exit code for which
/// the hint says how to go on.
#[test]
fn the_loss_is_reported_if_no_new_device_opens() {
    let gpu = open();
    let mut none = || Err(Fault::new(Exit::Unavailable, "no adapter").hint("install one").into());
    let machine = Machine::Device(Box::new(gpu.clone()));
    let error = train_with_retries(
        &plan(),
        machine,
        Options::default(),
        3,
        &mut none,
        &mut Destroyer::new(&gpu, 7),
    )
    .unwrap_err();
    assert_eq!((exit_of(&error), hint_of(&error)), (Exit::Internal, Some("install one")));
    let text = format!("{error:#}");
    assert!(
        text.contains("lost") && text.contains("no new device could be opened: no adapter"),
        "{text}"
    );
}

/// A kernel near the end of each step writes the step's stamp. Without it the step was not done,
/// whatever the driver says, and the submission with that step is an error.
#[test]
fn a_step_without_its_stamp_is_noticed() {
    let (plan, gpu) = (plan(), open());
    let built = plan.build(&gpu.tuning()).unwrap();
    let skips = |kernel: &tandem::kernels::Kernel| {
        let text = kernel.module();
        let stamps = text.contains("f32(step.number & 0xffffffu)");
        if stamps {
            text.replace("if (group.x == 0u) {", "if (group.x == 0u && step.number != 4u) {")
        } else {
            text
        }
    };
    for count in [1, 3] {
        let mut session = Session::with_sources(gpu.clone(), built.program.clone(), skips).unwrap();
        let mut error = None;
        for first in (0..6).step_by(count) {
            let step = |slot: usize| Step {
                number: (first + slot + 1) as u32,
                rows: 30,
                slot: slot as u32,
                ..Step::default()
            };
            let steps: Vec<Step> = (0..count).map(step).collect();
            session.submit(built.train.unwrap(), &steps).unwrap();
            if let Err(found) = session.collect(true) {
                assert!(steps.iter().any(|step| step.number == 4), "noticed after {first} steps");
                error = Some(found);
                break;
            }
        }
        let error = error.expect("the missing stamp went unnoticed");
        assert_eq!(exit_of(&error), Exit::Internal);
        assert!(format!("{error:#}").contains("step 4 came back without its stamp"), "{error:#}");
    }
}

/// A device that does not answer is given up when the watchdog says so, and the error says why.
/// From then on nothing waits for it.
#[test]
fn a_device_that_hangs_is_given_up() {
    let tables = "[trunk]\nlayers = [256, 256]\n[task.a]\n[task.b]\n[train]\nbatch_size = 4096\n";
    let plan =
        crate::common::plan(tables, crate::common::synthetic(1, 4096, 256, &CLASSES), &CLASSES);
    let gpu = open().watched_for(Duration::from_millis(300));
    let built = plan.build(&gpu.tuning()).unwrap();
    let train = built.train.unwrap();
    let mut session = Session::new(gpu, built.program.clone()).unwrap();
    let step = Step { number: 1, rows: 4096, ..Step::default() };
    let last = built.program.schedules[train]
        .dispatches
        .iter()
        .position(|d| d.kernel.name.starts_with("dense_backward_weight"))
        .unwrap();
    // 20,000 dispatches take minutes.
    is_given_up(session.launch(train, last, &step, 20_000));
    // Another device computes meanwhile.
    let mut watch = Destroyer::new(&open(), u64::MAX);
    let plan =
        crate::common::plan(TABLES, crate::common::synthetic(1, 20 * 30, 5, &CLASSES), &CLASSES);
    let machine = Machine::Device(Box::new(watch.gpu.clone()));
    assert_eq!(train_steps(&plan, machine, &mut watch), 60);
    // Nothing waits for the first device when it is dropped, although it is at work for minutes.
    // (The time-out only ends a hang.)
    let (sender, dropped) = channel();
    std::thread::spawn(move || {
        drop(session);
        sender.send(())
    });
    dropped.recv_timeout(Duration::from_secs(60)).expect("something waits for the device");
}

fn is_given_up(result: Result<()>) {
    let error = result.expect_err("the device had finished its work");
    assert_eq!(exit_of(&error), Exit::Internal);
    let text = format!("{error:#}");
    let seconds = text.split_once("no answer after ").and_then(|(_, rest)| rest.split_once(" s"));
    let seconds: u64 = seconds.unwrap_or_else(|| panic!("{text}")).0.parse().unwrap();
    assert!(seconds < 30, "not given up by this watchdog, but by the usual one of 60 s: {text}");
    assert!(hint_of(&error).is_some_and(|h| h.contains("the driver hangs")), "{text}");
}

fn train_steps(plan: &Plan, machine: Machine, watch: &mut Destroyer) -> u64 {
    train(plan, machine, Options::default(), watch).unwrap().steps
}
