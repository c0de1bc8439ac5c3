//! Measures a training step on synthetic data of a given shape.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::config::{
    Activation, Architecture, Augment, Balance, BatchSize, Config, Coupling, Data, Init, Optimizer,
    Precision, Select, Source, Task, Tracking, Train, Trunk,
};
use crate::data::{Dataset, Parts, Schema};
use crate::fault::{Exit, Fault};
use crate::kernels::params::Step;
use crate::measure::precision::precise;
use crate::measure::profile::Profile;
use crate::measure::times::{REPEATS, Times};
use crate::measure::tune::{Choice, Mode, tuned};
use crate::rng::{Purpose, below, uniform};
use crate::run::data::upload;
use crate::run::machine::Machine;
use crate::run::train::Plan;
use crate::run::train::learning_rate::Course;
use crate::schedule::{Encoded, Engine, SLOTS};
use crate::step::Built;

/// The shape of a synthetic training step.
#[derive(Clone, Debug)]
pub struct StepShape {
    /// Number of features of a row.
    pub inputs: usize,
    /// Widths of the layers of the trunk.
    pub trunk: Vec<usize>,
    /// Number of classes of each head.
    pub classes: Vec<usize>,
    /// Rows of a step.
    pub batch: usize,
    /// Rows of the data set.
    pub rows: usize,
    /// How the layers are shared between the tasks.
    pub architecture: Architecture,
    /// How the tasks are balanced.
    pub balance: Balance,
    /// The kind of coupling between all pairs of tasks, if any.
    pub coupling: Option<String>,
    /// Number of measured steps, in [`REPEATS`] runs.
    pub steps: usize,
    /// How tiles are chosen.
    pub tune: Mode,
    /// The precision of products.
    pub precision: Precision,
}

/// Memory on a device, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeviceBytes {
    /// The memory of the program by its own estimate, as `explain` prints it.
    pub estimated: u64,
    /// The memory that wgpu's allocator has handed out after the measured steps, for everything on
    /// the device; `None` where it does not count.
    pub allocated: Option<u64>,
}

/// The report that `bench step` prints.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Name of the adapter, `cpu` or `reference`.
    pub adapter: String,
    /// Driver with its version.
    pub driver: String,
    /// Wall time per step; the device is idle at the end of each run.
    pub ms_per_step: Times,
    /// Number of dispatches of a step.
    pub dispatches_per_step: usize,
    /// Floating-point operations of the products that are executed.
    pub flop_per_step: u64,
    /// Speed at the median time.
    pub gflop_per_s: f64,
    /// Number of measured steps.
    pub steps: usize,
    /// Number of steps in a submission.
    pub steps_per_submission: usize,
    /// Microseconds in which the host records a step and submits it, the median over the measured
    /// submissions; `None` without an adapter.
    pub encode_us_per_step: Option<f64>,
    /// Microseconds in which the host submits a step. Some drivers that run on the CPU return only
    /// when the work is done.
    pub submit_us_per_step: Option<f64>,
    /// Microseconds in which the host records and submits a dispatch.
    pub encode_us_per_dispatch: Option<f64>,
    /// Share of products in the time of all dispatches, by the profile; `None` on the reference.
    pub product_share: Option<f64>,
    /// Seconds from the start of opening the machine to the end of the first step, compilation of
    /// kernels and upload of data included, generation of the synthetic data excluded. Kernels that
    /// the process has compiled before are not compiled again.
    pub first_step_seconds: f64,
    /// Bytes that the program takes on a device, by its own estimate.
    pub buffer_bytes: u64,
    /// The tiles of the products, with the origins of the choices.
    pub tuned: Vec<Choice>,
    /// Why products are not computed in the precision that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// The estimate beside the device's own count.
    pub device_bytes: DeviceBytes,
    /// Times of the dispatches, in further steps after the measured ones; `None` on the reference.
    #[serde(skip)]
    pub profile: Option<Profile>,
}

/// Measures a training step: gather, forward, backward, coupling, update, metrics.
///
/// # Errors
/// A network that the machine has no room for; a device that is lost or out of memory; training
/// that diverged.
pub fn step(shape: &StepShape, machine: Machine) -> Result<StepReport> {
    let plan = synthetic_plan(shape)?;
    let (opened, (adapter, driver)) = (machine.open_seconds(), machine.names());
    let (by_unit, fallback) = precise(&machine, machine.tuning(), shape.precision)?;
    let (tuning, tuned) = match by_unit.unit {
        Some(_) => (by_unit, Vec::new()),
        None => tuned(&machine, &plan.layout, shape.batch, u64::MAX, shape.tune)?,
    };
    let start = Instant::now();
    let built = plan.build(&tuning)?;
    let is_reference = matches!(machine, Machine::Reference);
    let mut engine = machine.engine(built.program.clone())?;
    upload_synthetic(shape, &plan, &built, engine.as_mut())?;
    let mut runner =
        Runner { plan: &plan, built: &built, engine: engine.as_mut(), done: 0, per_submission: 1 };
    runner.run(1)?;
    let first_step_seconds = opened + start.elapsed().as_secs_f64();
    runner.calibrate()?;
    let steps = shape.steps.div_ceil(REPEATS).max(1);
    let ms_per_step = Times::of((0..REPEATS).map(|_| runner.timed(steps)).collect::<Result<_>>()?);
    let encoded = runner.engine.take_encoded();
    let encode_us_per_step = per_step(&encoded, |e| e.recording + e.submitting);
    let device_bytes =
        DeviceBytes { estimated: built.program.bytes(), allocated: runner.engine.allocated()? };
    let profile = if is_reference { None } else { runner.profile(ms_per_step.median)? };
    let steps_per_submission = runner.per_submission;
    let dispatches = &built.program.schedules[built.train.unwrap_or(0)].dispatches;
    let flop_per_step = dispatches.iter().map(|d| d.flop).sum::<u64>();
    Ok(StepReport {
        adapter,
        driver,
        ms_per_step,
        dispatches_per_step: dispatches.len(),
        flop_per_step,
        gflop_per_s: flop_per_step as f64 / ms_per_step.median / 1e6,
        steps: steps * REPEATS,
        steps_per_submission,
        encode_us_per_step,
        submit_us_per_step: per_step(&encoded, |e| e.submitting),
        encode_us_per_dispatch: encode_us_per_step.map(|us| us / dispatches.len() as f64),
        product_share: profile.as_ref().map(Profile::product_share),
        first_step_seconds,
        buffer_bytes: device_bytes.estimated,
        tuned,
        fallback,
        device_bytes,
        profile,
    })
}

/// Uploads the data, a random order and the initial parameters.
pub(super) fn upload_synthetic(
    shape: &StepShape,
    plan: &Plan,
    built: &Built,
    engine: &mut dyn Engine,
) -> Result<()> {
    upload(engine, &built.parts[0], &plan.parts.train, built.counting)?;
    let rows = shape.rows as u64;
    let order: Vec<u32> =
        (0..rows).map(|i| below(rows, 0, Purpose::Synthetic, 9, i) as u32).collect();
    engine.upload(built.buffers.order, 0, &order)?;
    engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&plan.initial()?))
}

/// Checks that a machine has room for the network of a shape; computes nothing.
///
/// # Errors
/// 69 if it has not, whatever the number of rows.
pub fn check(shape: &StepShape, machine: &Machine) -> Result<()> {
    let one_row = StepShape { rows: 1, batch: 1, ..shape.clone() };
    synthetic_plan(&one_row)?.build(&machine.tuning()).map(drop)
}

/// Microseconds per step, the median over all submissions.
fn per_step(encoded: &[Encoded], seconds: impl Fn(&Encoded) -> f64) -> Option<f64> {
    let samples: Vec<f64> = encoded.iter().map(|e| 1e6 * seconds(e) / e.steps as f64).collect();
    (!samples.is_empty()).then(|| Times::of(samples).median)
}

/// Runs steps of a program and measures them.
pub(super) struct Runner<'a> {
    pub(super) plan: &'a Plan,
    pub(super) built: &'a Built,
    pub(super) engine: &'a mut dyn Engine,
    /// Number of steps so far.
    pub(super) done: u64,
    pub(super) per_submission: usize,
}

impl Runner<'_> {
    /// Runs steps and waits for them.
    fn run(&mut self, steps: usize) -> Result<()> {
        let (rows, batch) = (self.plan.parts.train.rows, self.plan.batch);
        let course =
            Course::new(&self.plan.config.optimizer, 0, self.plan.steps_per_epoch, u64::MAX);
        let mut left = steps;
        while left > 0 {
            let count = left.min(self.per_submission);
            let first = |t: u64| (t as usize * batch) % (rows - batch + 1);
            let entries: Vec<Step> = (0..count)
                .map(|s| course.step(self.done + s as u64, first(self.done + s as u64), batch, s))
                .collect();
            self.engine.submit(self.built.train.unwrap_or(0), &entries)?;
            self.done += count as u64;
            left -= count;
            self.engine.collect(false)?;
        }
        self.engine.collect(true)?;
        ensure!(
            self.engine.not_finite().is_none(),
            Fault::new(Exit::NotFinite, "the synthetic training diverged")
        );
        Ok(())
    }

    /// Warms up, sets the number of steps of a submission so that one takes about 0.1 s, and
    /// forgets the times of the host until then.
    fn calibrate(&mut self) -> Result<()> {
        self.run(1)?;
        let each = self.timed(3)? / 1e3;
        self.per_submission = ((0.1 / each) as usize).clamp(1, SLOTS);
        self.run(self.per_submission * 2)?;
        self.engine.take_encoded();
        Ok(())
    }

    /// Milliseconds per step.
    pub(super) fn timed(&mut self, steps: usize) -> Result<f64> {
        let start = Instant::now();
        self.run(steps)?;
        Ok(1e3 * start.elapsed().as_secs_f64() / steps as f64)
    }

    /// Profiles the dispatches of some steps, for about 0.1 s; `ms` is the time of a step.
    fn profile(&mut self, ms: f64) -> Result<Option<Profile>> {
        self.engine.start_profile()?;
        if self.engine.profile().is_none() {
            return Ok(None);
        }
        self.run(((100.0 / ms) as usize).clamp(5, 200))?;
        Ok(Profile::of(self.engine, self.built.train.unwrap_or(0)))
    }
}

/// A run over random data.
pub(super) fn synthetic_plan(shape: &StepShape) -> Result<Plan> {
    let names: Vec<Vec<String>> =
        shape.classes.iter().map(|c| (0..*c).map(|i| i.to_string()).collect()).collect();
    let tasks: Vec<String> = (0..shape.classes.len()).map(|t| format!("t{t}")).collect();
    let words: Vec<Vec<&str>> =
        names.iter().map(|n| n.iter().map(String::as_str).collect()).collect();
    let targets: Vec<(&str, &[&str])> =
        tasks.iter().zip(&words).map(|(t, w)| (t.as_str(), w.as_slice())).collect();
    let values = (0..shape.rows * shape.inputs)
        .map(|i| uniform(0, Purpose::Synthetic, 1, i as u64) as f32)
        .collect();
    let label = |t: usize, i: usize| {
        below(shape.classes[t] as u64, 0, Purpose::Synthetic, 2 + t as u64, i as u64) as u32
    };
    let labels = (0..tasks.len()).map(|t| (0..shape.rows).map(|i| label(t, i)).collect()).collect();
    let data = Dataset::from_arrays(shape.inputs, values, labels)?;
    Plan::new(
        synthetic_config(shape, &tasks),
        Parts::new(Schema::for_arrays(shape.inputs, &targets), data, None, None)?,
    )
}

fn synthetic_config(shape: &StepShape, tasks: &[String]) -> Config {
    let coupling = |kind: &String| Coupling { kind: kind.clone(), strength: 0.01, pairs: None };
    Config {
        data: Data::new(Source::BuiltIn("synthetic".into())),
        augment: Augment::default(),
        architecture: shape.architecture.clone(),
        trunk: Trunk {
            layers: shape.trunk.clone(),
            activation: Activation::Relu,
            dropout: 0.0,
            init: Init::Auto,
            freeze: false,
        },
        tasks: tasks.iter().map(|name| Task::multiclass(name)).collect(),
        couplings: shape.coupling.iter().map(coupling).collect(),
        balance: shape.balance.clone(),
        optimizer: Optimizer::default(),
        train: Train {
            epochs: 1,
            batch_size: BatchSize::Rows(shape.batch),
            select: Select::Mean,
            ..Train::default()
        },
        tracking: Tracking::default(),
    }
}
