//! Measures a training step, or the three matrix products, on synthetic data of a given shape.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use crate::config::{
    Activation, BatchSize, Config, Coupling, Data, Every, Init, Interval, OnNan, Precision, Select,
    Source, Task, Train, Trunk,
};
use crate::data::{Dataset, Parts, Schema};
use crate::device::{Gpu, Session};
use crate::fault::{Exit, Fault};
use crate::kernels::Kernel;
use crate::kernels::params::Step;
use crate::measure::gemm::adam;
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
    /// Features of a row.
    pub inputs: usize,
    /// Widths of the trunk.
    pub trunk: Vec<usize>,
    /// Classes of each head.
    pub classes: Vec<usize>,
    /// Rows of a step.
    pub batch: usize,
    /// Rows of the resident data set.
    pub rows: usize,
    /// Coupling kind between all pairs; `None` = none.
    pub coupling: Option<String>,
    /// Steps measured, in [`REPEATS`] runs.
    pub steps: usize,
    /// How tiles are chosen.
    pub tune: Mode,
    /// What products are computed with.
    pub precision: Precision,
}

/// Memory of a device, in bytes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct DeviceBytes {
    /// By the program, as `explain` prints it.
    pub estimated: u64,
    /// What wgpu's allocator has handed out after the measured steps, everything on the device
    /// included; `None` where nobody counts.
    pub allocated: Option<u64>,
}

/// What `bench step` prints.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Adapter name, or `reference`.
    pub adapter: String,
    /// Driver and version.
    pub driver: String,
    /// Wall time of a step, the device idle at the end of each run.
    pub ms_per_step: Times,
    /// Launches of a step.
    pub dispatches_per_step: usize,
    /// Operations of the products that are executed.
    pub flop_per_step: u64,
    /// Of the median.
    pub gflop_per_s: f64,
    /// Steps measured.
    pub steps: usize,
    /// Steps recorded into one submission.
    pub steps_per_submission: usize,
    /// Microseconds of the host to record a step and hand it over, median of the submissions
    /// measured; `None` on the reference.
    pub encode_us_per_step: Option<f64>,
    /// Those of handing it over alone. Some drivers that run on the CPU return when the work is
    /// done.
    pub submit_us_per_step: Option<f64>,
    /// The same for one dispatch.
    pub encode_us_per_dispatch: Option<f64>,
    /// Share of the time of dispatches that goes to products, by the profile; `None` on the
    /// reference.
    pub product_share: Option<f64>,
    /// Seconds from the start of opening the machine to the end of the first step, kernels compiled
    /// and data uploaded in between. The synthetic data are made before. What the process had
    /// compiled already is not compiled again.
    pub first_step_seconds: f64,
    /// Bytes that the program takes on a device, as estimated.
    pub buffer_bytes: u64,
    /// Tiles of the products, and where the choice comes from.
    pub tuned: Vec<Choice>,
    /// Why products are not computed with what was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// The same beside what the device says.
    pub device_bytes: DeviceBytes,
    /// Times of the dispatches in steps after the measured ones; `None` on the reference.
    #[serde(skip)]
    pub profile: Option<Profile>,
}

/// Measures a training step: gather, forward, backward, coupling, update, metrics.
pub fn step(shape: &StepShape, machine: Machine) -> Result<StepReport> {
    let plan = synthetic_plan(shape)?;
    let (opened, (adapter, driver)) = (machine.open_seconds(), names(&machine));
    let (by_unit, fallback) = precise(&machine, machine.tuning(), shape.precision)?;
    let (tuning, tuned) = match by_unit.unit {
        Some(_) => (by_unit, Vec::new()),
        None => tuned(&machine, &plan.layout, shape.batch, u64::MAX, shape.tune)?,
    };
    let start = Instant::now();
    let built = plan.build(&tuning)?;
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
    let profile = runner.profile(ms_per_step.median)?;
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

/// Milliseconds a step with kernels as they are, and with kernels that take every value for finite,
/// measured in turn: so many pairs.
#[doc(hidden)]
pub fn with_and_without_checks(
    shape: &StepShape,
    gpu: &Gpu,
    pairs: usize,
) -> Result<Vec<[f64; 2]>> {
    let plan = synthetic_plan(shape)?;
    let built = plan.build(&gpu.tuning())?;
    let unchecked = |kernel: &Kernel| {
        let text = kernel.module();
        let text = text.replace("return any(exponents == vec4(0x7f800000u));", "return false;");
        text.replace("return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;", "return true;")
    };
    let mut sessions = [
        Session::new(gpu.clone(), built.program.clone())?,
        Session::with_sources(
            gpu.trusting(gpu.tuning().trusted),
            built.program.clone(),
            unchecked,
        )?,
    ];
    let mut done = [0, 0];
    let mut pairs = vec![[0.0; 2]; pairs + 1];
    for session in &mut sessions {
        upload_synthetic(shape, &plan, &built, session)?;
    }
    for (i, pair) in pairs.iter_mut().enumerate() {
        for which in [i % 2, 1 - i % 2] {
            let engine: &mut dyn Engine = &mut sessions[which];
            let mut runner = Runner {
                plan: &plan,
                built: &built,
                engine,
                done: done[which],
                per_submission: SLOTS.min(shape.steps),
            };
            pair[which] = runner.timed(shape.steps)?;
            done[which] = runner.done;
        }
    }
    // The first pair warms up.
    Ok(pairs.split_off(1))
}

fn upload_synthetic(
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

/// Fails where a machine has no room for the network of a shape, whatever the rows; computes
/// nothing.
pub fn check(shape: &StepShape, machine: &Machine) -> Result<()> {
    let one_row = StepShape { rows: 1, batch: 1, ..shape.clone() };
    synthetic_plan(&one_row)?.build(&machine.tuning()).map(drop)
}

fn names(machine: &Machine) -> (String, String) {
    match machine {
        Machine::Device(gpu) => (gpu.entry.name.clone(), gpu.entry.driver.clone()),
        Machine::Reference => ("reference".into(), "float64 on the CPU".into()),
    }
}

/// Microseconds of a step, the median of all submissions.
fn per_step(encoded: &[Encoded], seconds: impl Fn(&Encoded) -> f64) -> Option<f64> {
    let samples: Vec<f64> = encoded.iter().map(|e| 1e6 * seconds(e) / e.steps as f64).collect();
    (!samples.is_empty()).then(|| Times::of(samples).median)
}

struct Runner<'a> {
    plan: &'a Plan,
    built: &'a Built,
    engine: &'a mut dyn Engine,
    done: u64,
    per_submission: usize,
}

impl Runner<'_> {
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

    /// Warms up, sets the steps of a submission so that one takes about 0.1 s, and forgets what the
    /// host spent until then.
    fn calibrate(&mut self) -> Result<()> {
        self.run(1)?;
        let each = self.timed(3)? / 1e3;
        self.per_submission = ((0.1 / each) as usize).clamp(1, SLOTS);
        self.run(self.per_submission * 2)?;
        self.engine.take_encoded();
        Ok(())
    }

    fn timed(&mut self, steps: usize) -> Result<f64> {
        let start = Instant::now();
        self.run(steps)?;
        Ok(1e3 * start.elapsed().as_secs_f64() / steps as f64)
    }

    /// Profiles some steps, about a tenth of a second of them.
    fn profile(&mut self, ms: f64) -> Result<Option<Profile>> {
        self.engine.start_profile()?;
        if self.engine.profile().is_none() {
            return Ok(None);
        }
        self.run(((100.0 / ms) as usize).clamp(5, 200))?;
        Ok(Profile::of(self.engine, self.built.train.unwrap_or(0)))
    }
}

fn synthetic_plan(shape: &StepShape) -> Result<Plan> {
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
        architecture: crate::config::Architecture::Shared,
        trunk: Trunk {
            layers: shape.trunk.clone(),
            activation: Activation::Relu,
            dropout: 0.0,
            init: Init::Auto,
            freeze: false,
        },
        tasks: tasks.iter().map(|name| Task::multiclass(name)).collect(),
        couplings: shape.coupling.iter().map(coupling).collect(),
        optimizer: adam(),
        train: Train {
            epochs: 1,
            max_steps: None,
            max_time: None,
            batch_size: BatchSize::Rows(shape.batch),
            seed: 0,
            patience: 0,
            select: Select::Mean,
            evaluate_every: Every::Epochs(1),
            evaluate: Vec::new(),
            log_every: Every::Epochs(1),
            checkpoint_every: Interval::Every(Every::Epochs(1)),
            keep: 1,
            on_nan: OnNan::Stop,
            accumulate: 1,
            precision: Precision::F32,
        },
    }
}
