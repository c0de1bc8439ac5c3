//! Limits of adapters: the smallest limits that WebGPU guarantees, bindings that are smaller than a
//! batch or a data set, and a device that is lost.

use std::sync::mpsc::channel;
use std::time::Duration;

use crate::common::{gpu, open};
use anyhow::Result;
use tandem::config::Precision;
use tandem::data::Dataset;
use tandem::data::split::order::epoch_order;
use tandem::device::adapter::Wish;
use tandem::device::{Gpu, Session};
use tandem::fault::{Exit, exit_of, hint_of};
use tandem::kernels::params::Step;
use tandem::kernels::tuning::Tuning;
use tandem::measure::step::{DeviceBytes, StepShape, step};
use tandem::measure::tune::Mode;
use tandem::run::apply::evaluate::evaluate;
use tandem::run::data::upload;
use tandem::run::machine::Machine;
use tandem::run::train::learning_rate::Course;
use tandem::run::train::point::Point;
use tandem::run::train::{Ended, Observer, Options, Plan, Silent, train};
use tandem::schedule::{Clock, Engine, Timings};
use tandem::step::Built;

const WIDTH: usize = 7;
const CLASSES: [usize; 2] = [3, 3];

const TABLES: &str = "
[trunk]
layers = [12]
dropout = 0.25
[task.a]
weight = 0.7
[task.b]
[[coupling]]
kind = \"agreement\"
strength = 0.4
[[coupling]]
kind = \"soft_sharing\"
strength = 0.1
[optimizer]
learning_rate = 1e-2
clip_norm = 1.0
[train]
epochs = 2
batch_size = 48
";

fn plan(tables: &str, rows: usize) -> Plan {
    crate::common::plan(tables, crate::common::synthetic(1, rows, WIDTH, &CLASSES), &CLASSES)
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

#[test]
fn the_default_limits_of_webgpu_are_enough_and_change_no_bit() {
    let least = open(&Wish { default_limits: true, ..Wish::default() });
    assert!(least.limits.max_storage_buffer_binding_size <= 128 << 20);
    let every_loss = crate::common::every_plan("[train]\nepochs = 2\nbatch_size = 48\n", 300);
    for plan in [plan(TABLES, 300), every_loss] {
        let last = |gpu: &Gpu| {
            let outcome = train(
                &plan,
                Machine::Device(Box::new(gpu.clone())),
                Options::default(),
                &mut Silent,
            )
            .unwrap();
            assert!(matches!(outcome.ended, Ended::Finished), "{:?}", outcome.ended);
            bits(&outcome.last)
        };
        assert!(last(&least) == last(gpu()), "parameters differ");
    }
}

/// A kernel of software adapters reads a binding as a texture, too, and that has a limit of its own.
#[test]
fn data_of_more_than_one_binding_finds_room() {
    let (width, rows) = (2048, 17_000);
    assert!(4 * width * rows > 128 << 20);
    let labels = vec![vec![0; rows]; 2];
    let train = Dataset::from_arrays(width, vec![0.5; width * rows], labels).unwrap();
    let plan = crate::common::plan(TABLES, train, &CLASSES);
    let machine = Machine::Device(Box::new(gpu().clone()));
    let built = plan.build(&machine.tuning()).unwrap();
    machine.engine(built.program).unwrap();
}

/// `explain` estimates the memory of a program before there is a device. The device's allocator
/// must report nearly the same.
#[test]
fn the_estimate_of_memory_is_what_is_allocated() {
    for (inputs, classes) in [(784, vec![10, 10]), (64, vec![10, 10, 10])] {
        let gpu = open(&Wish::default());
        let shape = StepShape {
            architecture: Default::default(),
            balance: Default::default(),
            inputs,
            trunk: vec![128, 128],
            classes,
            batch: 128,
            rows: 10_000,
            coupling: None,
            steps: 5,
            tune: Mode::Off,
            precision: Precision::F32,
        };
        let DeviceBytes { estimated, allocated } =
            step(&shape, Machine::Device(Box::new(gpu.clone()))).unwrap().device_bytes;
        let Some(allocated) = allocated else {
            return eprintln!("{} has no report", gpu.entry.backend);
        };
        let off = estimated.abs_diff(allocated) as f64 / allocated as f64;
        assert!(off < 0.05, "{inputs} inputs: {estimated} estimated, {allocated} allocated");
    }
}

/// A time stamp that the driver left out costs the figures of its step only, not those of all
/// steps.
#[test]
fn stamps_that_do_not_ascend_are_not_counted() {
    let mut timings = Timings::new(&[1, 2], Clock::Device);
    timings.add_stamps(1, &[10, 11, 13, 17, 20, 22, 22, 23], 0.5);
    assert_eq!(
        (&timings.seconds[1], timings.steps[1], timings.between[1]),
        (&vec![1.5, 2.5], 2, 2.5)
    );
    for broken in [[0, 2, 3, 4], [5, 0, 7, 8], [5, 6, 0, 8], [5, 6, 7, 0]] {
        timings.add_stamps(1, &broken, 0.5);
    }
    timings.add_stamps(1, &[5, 6, 0, 8, 10, 12, 12, 14], 0.5);
    assert_eq!(
        (&timings.seconds[1], timings.steps[1], timings.between[1]),
        (&vec![2.5, 3.5], 3, 2.5)
    );
    assert_eq!((&timings.seconds[0], timings.steps[0]), (&vec![0.0], 0));
}

/// The results of some steps: the metrics of each, the parameters, and the loss over all training
/// rows without dropout.
#[derive(Debug)]
struct Left {
    metrics: Vec<Vec<f64>>,
    parameters: Vec<f32>,
    loss: f64,
}

/// A session with data and initial parameters.
fn session(plan: &Plan, built: &Built) -> Session {
    let mut session = Session::new(gpu().clone(), built.program.clone()).unwrap();
    for (part, (_, data)) in built.parts.iter().zip(plan.named_parts()) {
        upload(&mut session, part, data, built.counting).unwrap();
    }
    session.upload(built.buffers.order, 0, &epoch_order(plan.parts.train.rows, 0, 0)).unwrap();
    session.upload(built.buffers.parameters, 0, &bits(&plan.initial().unwrap())).unwrap();
    session
}

fn table(plan: &Plan, steps: u64) -> Vec<Step> {
    let course = Course::new(&plan.config.optimizer, 0, plan.steps_per_epoch, plan.total_steps);
    (0..steps).map(|t| course.step(t, 0, plan.batch, t as usize)).collect()
}

/// Runs five steps of a program, then an evaluation of the training part.
fn five_steps(plan: &Plan, built: &Built) -> Left {
    let mut session = session(plan, built);
    session.submit(built.train.unwrap(), &table(plan, 5)).unwrap();
    let metrics = session.collect(true).unwrap().into_iter().map(|r| r.metrics).collect();
    let parameters = session.download(built.program.whole(built.buffers.parameters)).unwrap();
    let loss =
        evaluate(&mut session, built, &plan.network, &plan.objective, 0, 5).unwrap().loss.unwrap();
    Left { metrics, parameters, loss }
}

/// The number of dispatches of a training step whose kernel is one of these, or a variant of one.
fn dispatches(built: &Built, kernels: &[&str]) -> usize {
    built.program.schedules[built.train.unwrap()]
        .dispatches
        .iter()
        .filter(|d| kernels.contains(&d.kernel.twin))
        .count()
}

/// Each of these kernels computes the loss of all heads: alone, or together with the output layers.
const LOSSES: &[&str] = &["softmax_cross_entropy", "heads_cross_entropy"];

/// ‖a − b‖ / ‖b‖
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f64| x * x;
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
    (difference / b.iter().map(|b| square(f64::from(*b))).sum::<f64>()).sqrt()
}

/// Compares whole steps with steps in chunks of rows and segments of data, as on an adapter whose
/// bindings hold neither the batch nor the data set.
fn in_chunks(tables: &str) {
    let plan = plan(tables, 300);
    let small = Tuning { binding_bytes: 8 << 10, ..gpu().tuning() };
    let (whole, chunked) = (plan.build(&gpu().tuning()).unwrap(), plan.build(&small).unwrap());
    assert_eq!((dispatches(&whole, LOSSES), dispatches(&whole, &["gather_rows"])), (1, 1));
    assert!(dispatches(&chunked, LOSSES) > 2, "{} chunks", dispatches(&chunked, LOSSES));
    assert!(chunked.parts[0].segments.len() > 1, "{} segments", chunked.parts[0].segments.len());
    let largest = chunked.parts[0]
        .segments
        .iter()
        .map(|s| 4 * chunked.program.buffers[s.features.0].len)
        .max();
    assert!(largest <= Some(8 << 10), "{largest:?} bytes");

    let (found, expected) = (five_steps(&plan, &chunked), five_steps(&plan, &whole));
    assert_eq!(found.metrics.len(), 5);
    for (step, (found, expected)) in found.metrics.iter().zip(&expected.metrics).enumerate() {
        for (f, e) in found.iter().zip(expected) {
            assert!(
                (f - e).abs() <= 1e-5 * e.abs(),
                "step {}: {found:?}, in one chunk {expected:?}",
                step + 1
            );
        }
    }
    let parameters = distance(&found.parameters, &expected.parameters);
    println!("parameters {parameters:e}, loss {:e}", found.loss - expected.loss);
    assert!(parameters <= 1e-5, "the parameters are {parameters:e} away, relatively");
    assert!(
        (found.loss - expected.loss).abs() <= 1e-5 * expected.loss.abs(),
        "{} and {}",
        found.loss,
        expected.loss
    );
}

#[test]
fn a_full_batch_larger_than_a_binding() {
    in_chunks(&TABLES.replace("batch_size = 48", "batch_size = \"full\""));
}

/// The rows come in the order of the epoch, from all segments; dropout depends on their place in
/// the batch.
#[test]
fn a_shuffled_batch_larger_than_a_binding() {
    in_chunks(&TABLES.replace("batch_size = 48", "batch_size = 290"));
}

#[test]
fn a_network_larger_than_a_binding_is_refused() {
    let tuning = Tuning { binding_bytes: 1 << 10, ..crate::common::whole() };
    let error = plan(TABLES, 60).build(&tuning).unwrap_err();
    assert_eq!(exit_of(&error), Exit::Unavailable);
    assert!(error.to_string().contains("1024") && hint_of(&error).is_some(), "{error:#}");
}

/// The exit code with which `work` fails. The time-out only ends a hang.
fn fails_soon(work: impl FnOnce() -> Result<()> + Send + 'static) -> Exit {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(work().map_err(|e| (exit_of(&e), format!("{e:#}")))));
    let answer = receiver.recv_timeout(Duration::from_secs(30)).expect("it hangs or panicked");
    let (exit, message) = answer.expect_err("a lost device went unnoticed");
    println!("{message}");
    exit
}

#[test]
fn a_device_lost_before_training() {
    let exit = fails_soon(|| {
        let gpu = open(&Wish::default());
        gpu.destroy();
        train(&plan(TABLES, 300), Machine::Device(Box::new(gpu)), Options::default(), &mut Silent)
            .map(|_| ())
    });
    assert_eq!(exit, Exit::Internal);
}

#[test]
fn a_device_lost_between_submissions() {
    let exit = fails_soon(|| {
        let gpu = open(&Wish::default());
        let plan = plan(TABLES, 300);
        let built = plan.build(&gpu.tuning())?;
        let mut session = Session::new(gpu.clone(), built.program.clone())?;
        session.submit(built.train.unwrap(), &table(&plan, 3))?;
        gpu.destroy();
        session.submit(built.train.unwrap(), &table(&plan, 3))?;
        session.collect(true)?;
        session.download(built.program.whole(built.buffers.parameters)).map(|_| ())
    });
    assert_eq!(exit, Exit::Internal);
}

/// Destroys the device at the first point.
struct Destroyer(Gpu);

impl Observer for Destroyer {
    fn point(&mut self, _point: &Point) -> Result<()> {
        self.0.destroy();
        Ok(())
    }
}

#[test]
fn a_device_lost_during_training() {
    let exit = fails_soon(|| {
        let gpu = open(&Wish::default());
        let plan = plan(&format!("{TABLES}log_every = \"1s\"\n"), 300);
        train(
            &plan,
            Machine::Device(Box::new(gpu.clone())),
            Options::default(),
            &mut Destroyer(gpu),
        )
        .map(|_| ())
    });
    assert_eq!(exit, Exit::Internal);
}
