//! Measures a training step, or the three matrix products, on synthetic data of a given shape.

use std::time::Instant;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::data::upload;
use super::learning_rate::Course;
use super::machine::Machine;
use super::precision::precise;
use super::profile::Profile;
use super::train::Plan;
use super::tune::{Choice, Mode, tuned};
use crate::config::{
    Activation, BatchSize, Config, Coupling, Data, Every, Init, Interval, OnNan, Optimizer,
    OptimizerKind, Precision, Schedule, Select, Source, Task, Train, Trunk,
};
use crate::data::{Dataset, Parts, Schema};
use crate::device::{Gpu, Session};
use crate::fault::{Exit, Fault};
use crate::kernels::Kernel;
use crate::kernels::params::Step;
use crate::kernels::tuning::{Class, Tuning};
use crate::model::layout::Layout;
use crate::model::network::{Head, Network, Trunk as NetworkTrunk};
use crate::objective::Objective;
use crate::plan::PartShape;
use crate::rng::{Purpose, below, normal, uniform};
use crate::schedule::{Buffer, Encoded, Engine, Program, SLOTS, Slice};
use crate::step::{Built, Request, build};

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

/// Runs that the median is taken of.
pub const REPEATS: usize = 5;

/// Smallest, median and largest of the runs, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// Smallest.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Times {
    fn of(mut samples: Vec<f64>) -> Times {
        samples.sort_by(f64::total_cmp);
        Times {
            min: samples[0],
            median: samples[samples.len() / 2],
            max: samples[samples.len() - 1],
        }
    }
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
        optimizer: Optimizer {
            kind: OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 },
            learning_rate: 1e-3,
            weight_decay: 0.0,
            decay_biases: true,
            clip_norm: 0.0,
            schedule: Schedule::Constant,
            warmup_steps: 0,
        },
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

/// One product: time, speed, largest absolute error against f64.
#[derive(Clone, Debug, Serialize)]
pub struct ProductReport {
    /// Median wall time of one product.
    pub ms: f64,
    /// 2 m n k over it.
    pub gflop_per_s: f64,
    /// Over all elements.
    pub max_error: f64,
}

/// What `bench gemm` prints.
#[derive(Clone, Debug, Serialize)]
pub struct GemmReport {
    /// Adapter name.
    pub adapter: String,
    /// Driver and version.
    pub driver: String,
    /// A·B
    pub nn: ProductReport,
    /// A·Bᵀ
    pub nt: ProductReport,
    /// Aᵀ·B
    pub tn: ProductReport,
}

/// Measures the three products [m, n] with inner length k, each by the dense kernel that training
/// uses for it.
pub fn gemm(m: usize, n: usize, k: usize, gpu: &Gpu, tuning: &Tuning) -> Result<GemmReport> {
    Ok(GemmReport {
        adapter: gpu.entry.name.clone(),
        driver: gpu.entry.driver.clone(),
        nn: backward_input([m, n, k], gpu, tuning)?,
        nt: forward([m, n, k], gpu, tuning)?,
        tn: backward_weight([m, n, k], gpu, tuning)?,
    })
}

/// Microseconds of a product [m, n] with inner length k by the kernel that a tuning has for it: the
/// best of a few, compiled before.
pub(super) fn product_micros(
    kernel: &Kernel,
    [m, n, k]: [usize; 3],
    gpu: &Gpu,
    tuning: &Tuning,
) -> Result<f64> {
    let (inputs, trunk, rows) = match kernel.name {
        "dense_forward" => (k, vec![n], m),
        "dense_backward_input" => (1, vec![n, k], m),
        _ => (n, vec![m], k),
    };
    let mut p = Single::new(gpu, tuning, inputs, &trunk, rows, kernel)?;
    let step = one_step(m.max(k));
    p.timed(&step, 1)?;
    let samples = (0..REPEATS).map(|_| p.timed(&step, 2)).collect::<Result<Vec<f64>>>()?;
    Ok(1e3 * Times::of(samples).min)
}

/// x [m, k] · wᵀ, w [n, k], with a bias of zero: the output of a hidden layer.
fn forward([m, n, k]: [usize; 3], gpu: &Gpu, tuning: &Tuning) -> Result<ProductReport> {
    let mut p = Single::new(gpu, tuning, k, &[n], m, &crate::kernels::dense_forward)?;
    let b = p.built.buffers.clone();
    let x = p.fill(b.activations[0], 0, m * k, 1)?;
    let w = p.fill(b.parameters, p.weights(0), n * k, 2)?;
    p.measure([m, n, k], Slice { buffer: b.activations[1], first: 0, len: m * n }, |i, j, t| {
        x[i * k + t] * w[j * k + t]
    })
}

/// delta [m, k] · w [k, n], with slopes of one: from the second hidden layer to the first.
fn backward_input([m, n, k]: [usize; 3], gpu: &Gpu, tuning: &Tuning) -> Result<ProductReport> {
    let mut p = Single::new(gpu, tuning, 1, &[n, k], m, &crate::kernels::dense_backward_input)?;
    let b = p.built.buffers.clone();
    p.session.upload(b.activations[1], 0, &vec![1f32.to_bits(); p.len(b.activations[1])])?;
    let delta = p.fill(b.deltas[0], 0, m * k, 1)?;
    let w = p.fill(b.parameters, p.weights(1), k * n, 2)?;
    let target = Slice { buffer: b.deltas[1], first: 0, len: m * n };
    p.measure([m, n, k], target, |i, j, t| delta[i * k + t] * w[t * n + j])
}

/// deltaᵀ, delta [k, m], · x [k, n]: the weights of a hidden layer (and, in the same dispatch,
/// those of a head of two classes).
fn backward_weight([m, n, k]: [usize; 3], gpu: &Gpu, tuning: &Tuning) -> Result<ProductReport> {
    let mut p = Single::new(gpu, tuning, n, &[m], k, &crate::kernels::dense_backward_weight)?;
    let b = p.built.buffers.clone();
    let delta = p.fill(b.deltas[1], 0, k * m, 1)?;
    let x = p.fill(b.activations[0], 0, k * n, 2)?;
    let target = Slice { buffer: b.gradients, first: p.weights(0), len: m * n };
    p.measure([m, n, k], target, |i, j, t| delta[t * m + i] * x[t * n + j])
}

/// The largest dispatch of a kernel in the step of a network, alone on a device.
struct Single {
    built: Built,
    program: Program,
    layout: Layout,
    session: Session,
}

impl Single {
    fn new(
        gpu: &Gpu,
        tuning: &Tuning,
        inputs: usize,
        trunk: &[usize],
        rows: usize,
        kernel: &Kernel,
    ) -> Result<Single> {
        let trunk =
            NetworkTrunk { layers: trunk.to_vec(), activation: Activation::Identity, dropout: 0.0 };
        let head = Head::multiclass("t", vec!["0".into(), "1".into()]);
        let network = Network {
            inputs,
            embeddings: Vec::new(),
            architecture: crate::config::Architecture::Shared,
            trunk,
            tasks: vec![head],
        };
        let layout = Layout::new(&network)?;
        let objective = Objective { weights: vec![1.0], pairs: Vec::new() };
        let tuning = Tuning { flop_per_dispatch: u64::MAX, ..tuning.clone() };
        let optimizer = synthetic_config(&StepShape::none(), &[]).optimizer;
        let request = Request {
            network: &network,
            layout: &layout,
            objective: &objective,
            optimizer: Some(&optimizer),
            tuning: &tuning,
            parts: &[PartShape { name: "train".into(), rows, bytes: None }],
            batch: rows,
            shuffled: false,
            spread: &[],
            labels: crate::step::LabelShape::default(),
        };
        let built = build(&request)?;
        let mut program = built.program.clone();
        program.schedules.truncate(1);
        let dispatches = &mut program.schedules[0].dispatches;
        dispatches.retain(|d| d.kernel.twin == kernel.name);
        dispatches.sort_by_key(|d| std::cmp::Reverse(d.flop));
        dispatches.truncate(1);
        ensure!(!dispatches.is_empty(), "the step lacks {}", kernel.name);
        let session = Session::new(gpu.clone(), program.clone())?;
        Ok(Single { built, program, layout, session })
    }

    fn len(&self, buffer: Buffer) -> usize {
        self.program.buffers[buffer.0].len
    }

    fn weights(&self, layer: usize) -> usize {
        self.layout.blocks[self.layout.layers[layer].weight].offset
    }

    fn fill(&mut self, buffer: Buffer, first: usize, len: usize, stream: u64) -> Result<Vec<f64>> {
        let values: Vec<f32> =
            (0..len).map(|i| normal(1, Purpose::Synthetic, stream, i as u64) as f32).collect();
        self.session.upload(buffer, first, bytemuck::cast_slice(&values))?;
        Ok(values.into_iter().map(f64::from).collect())
    }

    /// Times the product [m, n] with inner length k and compares every element with the sum over t
    /// of `term(i, j, t)`.
    fn measure(
        &mut self,
        [m, n, k]: [usize; 3],
        target: Slice,
        term: impl Fn(usize, usize, usize) -> f64,
    ) -> Result<ProductReport> {
        self.session.upload(target.buffer, target.first, &vec![f32::NAN.to_bits(); target.len])?;
        let step = one_step(m.max(k));
        self.session.run_dispatch(0, 0, &step, 1)?;
        let found = self.session.download(target)?;
        let mut max_error = 0f64;
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let expected: f64 = (0..k).map(|t| term(i, j, t)).sum();
            let error = (f64::from(found[i * n + j]) - expected).abs();
            max_error = if error.is_nan() { f64::INFINITY } else { max_error.max(error) };
        }
        let ms = Times::of(self.samples(&step, 0.1)?).median;
        Ok(ProductReport { ms, gflop_per_s: (2 * m * n * k) as f64 / ms / 1e6, max_error })
    }

    /// Milliseconds of one launch in each of [`REPEATS`] submissions, each of about so many
    /// seconds.
    fn samples(&mut self, step: &Step, seconds: f64) -> Result<Vec<f64>> {
        let times = ((1e3 * seconds / self.timed(step, 1)?) as usize).clamp(1, 1000);
        (0..REPEATS).map(|_| self.timed(step, times)).collect()
    }

    fn timed(&mut self, step: &Step, times: usize) -> Result<f64> {
        let start = Instant::now();
        self.session.run_dispatch(0, 0, step, times)?;
        Ok(1e3 * start.elapsed().as_secs_f64() / times as f64)
    }

    /// Shortest milliseconds of one launch, looked for during [`CEILING`] after one that is not
    /// counted.
    fn best(&mut self, rows: usize) -> Result<f64> {
        let step = one_step(rows);
        self.timed(&step, 1)?;
        let start = Instant::now();
        let mut best = self.timed(&step, 1)?;
        while start.elapsed().as_secs_f64() < CEILING {
            best = best.min(self.timed(&step, (3.0 / best).clamp(1.0, 1000.0) as usize)?);
        }
        Ok(best)
    }
}

fn one_step(rows: usize) -> Step {
    Step {
        number: 1,
        rows: rows as u32,
        inverse_rows: 1.0,
        root_correction: 1.0,
        delta_scale: 1.0,
        inverse_scale: 1.0,
        ..Step::default()
    }
}

/// Seconds that each of the three measurements of [`Ceilings`] takes, about.
const CEILING: f64 = 0.1;

/// The best that an adapter was seen to do.
#[derive(Clone, Debug, Serialize)]
pub struct Ceilings {
    /// Of the faster of two square products.
    pub gflop_per_s: f64,
    /// That product.
    pub product: String,
    /// Of an update of many parameters: bytes that the dispatch states, over its time.
    pub gb_per_s: f64,
    /// That update.
    pub stream: String,
}

/// Measures the best GFLOP/s of a product and the best GB/s of a kernel that streams; the wall
/// clock of many launches in one submission.
pub fn ceilings(gpu: &Gpu) -> Result<Ceilings> {
    let (n, width) = match gpu.entry.class {
        Class::Discrete => (2048, 4096),
        Class::Integrated => (1024, 2048),
        _ if gpu.runs_direct() => (512, 1024),
        _ => (256, 512),
    };
    let input =
        Single::new(gpu, &gpu.tuning(), 1, &[n, n], n, &crate::kernels::dense_backward_input)?
            .best(n)?;
    let weight =
        Single::new(gpu, &gpu.tuning(), n, &[n], n, &crate::kernels::dense_backward_weight)?
            .best(n)?;
    let (form, ms) = if input < weight { ("A·B", input) } else { ("Aᵀ·B", weight) };
    let mut update = Single::new(gpu, &gpu.tuning(), width, &[width], 1, &crate::kernels::adam)?;
    let bytes = update.program.schedules[0].dispatches[0].bytes();
    Ok(Ceilings {
        gflop_per_s: 2.0 * (n as f64).powi(3) / ms / 1e6,
        product: format!("{form} of {n}×{n}×{n}"),
        gb_per_s: bytes as f64 / update.best(1)? / 1e6,
        stream: format!("adam over {} parameters", update.layout.parameters()),
    })
}

impl StepShape {
    fn none() -> StepShape {
        StepShape {
            inputs: 1,
            trunk: Vec::new(),
            classes: Vec::new(),
            batch: 1,
            rows: 1,
            coupling: None,
            steps: 1,
            tune: Mode::Off,
            precision: Precision::F32,
        }
    }
}
