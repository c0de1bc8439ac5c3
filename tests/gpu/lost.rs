//! A device that is lost, or drops work: the run fails soon and says so, and what was committed
//! goes on to the same bytes.

use std::sync::Arc;
use std::time::{Duration, Instant};

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

fn open() -> Gpu {
    Gpu::open(&Wish::default()).unwrap_or_else(|e| panic!("{e:#}: {:?}", hint_of(&e)))
}

fn plan() -> Plan {
    crate::common::plan(TABLES, crate::common::synthetic(1, 20 * 30, 5, &CLASSES), &CLASSES)
}

/// Destroys its device when so many steps are done, once.
struct Destroyer {
    gpu: Gpu,
    at: u64,
    destroyed: Option<Instant>,
    last: Option<Arc<Snapshot>>,
    points: Vec<Point>,
}

impl Destroyer {
    fn new(gpu: &Gpu, at: u64) -> Destroyer {
        Destroyer { gpu: gpu.clone(), at, destroyed: None, last: None, points: Vec::new() }
    }
}

impl Observer for Destroyer {
    fn progress(&mut self, steps: u64, _: Option<f64>) {
        if self.destroyed.is_none() && steps >= self.at {
            self.gpu.destroy();
            self.destroyed = Some(Instant::now());
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
            assert!(watch.destroyed.is_some(), "the device was not lost at step {at}");
            assert!(
                again.last == whole.last,
                "differs after the loss at step {at}: {:?}",
                watch.last.map(|s| s.steps)
            );
            assert!(watch.points == points, "points differ after the loss at step {at}");
            continue;
        }
        let error = train(&plan, machine, options, &mut watch).unwrap_err();
        let waited = watch.destroyed.unwrap().elapsed();
        assert_eq!(exit_of(&error), Exit::Internal);
        assert!(format!("{error:#}").contains("lost") && hint_of(&error).is_some(), "{error:#}");
        assert!(waited < Duration::from_secs(5), "recognised after {waited:?}");
        let resume = watch.last.as_deref().cloned();
        let mut watch = Destroyer::new(&open(), u64::MAX);
        let options = Options { resume, ..Options::default() };
        let again = train(&plan, Machine::Device(Box::new(watch.gpu.clone())), options, &mut watch)
            .unwrap();
        assert!(again.last == whole.last, "differs after the loss at step {at}");
    }
}

/// No second try unasked, and none for what a new device cannot help.
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

/// A new device has no more memory than the one before.
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

/// The loss is what ended the run, and has the exit code by which the way on is shown.
#[test]
fn where_no_new_device_opens_the_loss_is_told() {
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

/// The stamp of a step is written by its last kernel but one; without it the step was not done,
/// whatever the driver says.
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
            let begun = Instant::now();
            session.submit(built.train.unwrap(), &steps).unwrap();
            if let Err(found) = session.collect(true) {
                assert!(begun.elapsed() < Duration::from_secs(5));
                error = Some(found);
                break;
            }
        }
        let error = error.expect("the missing stamp went unnoticed");
        assert_eq!(exit_of(&error), Exit::Internal);
        assert!(format!("{error:#}").contains("step 4 came back without its stamp"), "{error:#}");
    }
}

/// A device that does not answer is given up after a while, told of, and left alone: nothing waits
/// for it in the end.
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
    // So often that it takes far longer than anyone waits.
    let begun = Instant::now();
    let error = session.run_dispatch(train, last, &step, 20_000).unwrap_err();
    let waited = begun.elapsed();
    assert_eq!(exit_of(&error), Exit::Internal);
    assert!(
        format!("{error:#}").contains("no answer after ")
            && hint_of(&error).is_some_and(|h| h.contains("the driver hangs")),
        "{error:#}"
    );
    assert!(waited < Duration::from_secs(5), "given up after {waited:?}");
    drop(session);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "something waited for it: {:?}",
        begun.elapsed()
    );
    // Another device computes meanwhile.
    let mut watch = Destroyer::new(&open(), u64::MAX);
    let plan =
        crate::common::plan(TABLES, crate::common::synthetic(1, 20 * 30, 5, &CLASSES), &CLASSES);
    let machine = Machine::Device(Box::new(watch.gpu.clone()));
    assert_eq!(train_steps(&plan, machine, &mut watch), 60);
}

fn train_steps(plan: &Plan, machine: Machine, watch: &mut Destroyer) -> u64 {
    train(plan, machine, Options::default(), watch).unwrap().steps
}
