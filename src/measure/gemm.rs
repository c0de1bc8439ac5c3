//! Times single products, and compares each of their elements with a sum in f64.

use crate::config::{Activation, Optimizer};
use crate::kernels::Kernel;
use crate::kernels::params::Step;
use crate::kernels::tuning::Tuning;
use crate::measure::times::{REPEATS, Times};
use crate::model::layout::Layout;
use crate::model::network::{Head, Network, Trunk as NetworkTrunk};
use crate::objective::Objective;
use crate::plan::PartShape;
use crate::rng::{Purpose, normal};
use crate::run::machine::Machine;
use crate::schedule::{Buffer, Engine, Program, Slice};
use crate::step::{Built, Request, build};
use anyhow::{Result, ensure};
use serde::Serialize;
use std::time::Instant;

/// Seconds that [`Single::best`] measures for, about.
const CEILING: f64 = 0.1;

/// The measurement of a product.
#[derive(Clone, Debug, Serialize)]
pub struct ProductReport {
    /// Median wall time of one product, in milliseconds.
    pub ms: f64,
    /// Speed: 2 m n k over that time.
    pub gflop_per_s: f64,
    /// Largest absolute error of an element, against f64.
    pub max_error: f64,
}

/// The report that `bench gemm` prints.
#[derive(Clone, Debug, Serialize)]
pub struct GemmReport {
    /// Name of the adapter.
    pub adapter: String,
    /// Driver with its version.
    pub driver: String,
    /// The product A·B.
    pub nn: ProductReport,
    /// The product A·Bᵀ.
    pub nt: ProductReport,
    /// The product Aᵀ·B.
    pub tn: ProductReport,
}

/// Measures the three products [m, n] with inner length k, each by the kernel that training uses
/// for it.
///
/// # Errors
/// A device that is lost or out of memory.
pub fn gemm(
    m: usize,
    n: usize,
    k: usize,
    machine: &Machine,
    tuning: &Tuning,
) -> Result<GemmReport> {
    let (adapter, driver) = machine.names();
    Ok(GemmReport {
        adapter,
        driver,
        nn: backward_input([m, n, k], machine, tuning)?,
        nt: forward([m, n, k], machine, tuning)?,
        tn: backward_weight([m, n, k], machine, tuning)?,
    })
}

/// Microseconds of a product [m, n] with inner length k by the kernel that a tuning has for it: the
/// shortest of some runs, after one that is not counted.
pub(crate) fn product_micros(
    kernel: &Kernel,
    [m, n, k]: [usize; 3],
    machine: &Machine,
    tuning: &Tuning,
) -> Result<f64> {
    let (inputs, trunk, rows) = match kernel.name {
        "dense_forward" => (k, vec![n], m),
        "dense_backward_input" => (1, vec![n, k], m),
        _ => (n, vec![m], k),
    };
    let mut p = Single::new(machine, tuning, inputs, &trunk, rows, kernel)?;
    let step = one_step(m.max(k));
    p.timed(&step, 1)?;
    let samples = (0..REPEATS).map(|_| p.timed(&step, 2)).collect::<Result<Vec<f64>>>()?;
    Ok(1e3 * Times::of(samples).min)
}

/// Measures x · wᵀ of x [m, k] and w [n, k], with a bias of zero: the output of a hidden layer.
fn forward([m, n, k]: [usize; 3], machine: &Machine, tuning: &Tuning) -> Result<ProductReport> {
    let mut p = Single::new(machine, tuning, k, &[n], m, &crate::kernels::dense_forward)?;
    let b = p.built.buffers.clone();
    let x = p.fill(b.activations[0], 0, m * k, 1)?;
    let w = p.fill(b.parameters, p.weights(0), n * k, 2)?;
    p.measure([m, n, k], Slice { buffer: b.activations[1], first: 0, len: m * n }, |i, j, t| {
        x[i * k + t] * w[j * k + t]
    })
}

/// Measures delta · w of delta [m, k] and w [k, n], with slopes of one: from the second hidden
/// layer to the first.
fn backward_input(
    [m, n, k]: [usize; 3],
    machine: &Machine,
    tuning: &Tuning,
) -> Result<ProductReport> {
    let mut p = Single::new(machine, tuning, 1, &[n, k], m, &crate::kernels::dense_backward_input)?;
    let b = p.built.buffers.clone();
    p.engine.upload(b.activations[1], 0, &vec![1f32.to_bits(); p.len(b.activations[1])])?;
    let delta = p.fill(b.deltas[0], 0, m * k, 1)?;
    let w = p.fill(b.parameters, p.weights(1), k * n, 2)?;
    let target = Slice { buffer: b.deltas[1], first: 0, len: m * n };
    p.measure([m, n, k], target, |i, j, t| delta[i * k + t] * w[t * n + j])
}

/// Measures deltaᵀ · x of delta [k, m] and x [k, n]: the weights of a hidden layer and, in the same
/// dispatch, of a head with two classes.
fn backward_weight(
    [m, n, k]: [usize; 3],
    machine: &Machine,
    tuning: &Tuning,
) -> Result<ProductReport> {
    let mut p = Single::new(machine, tuning, n, &[m], k, &crate::kernels::dense_backward_weight)?;
    let b = p.built.buffers.clone();
    let delta = p.fill(b.deltas[1], 0, k * m, 1)?;
    let x = p.fill(b.activations[0], 0, k * n, 2)?;
    let target = Slice { buffer: b.gradients, first: p.weights(0), len: m * n };
    p.measure([m, n, k], target, |i, j, t| delta[t * m + i] * x[t * n + j])
}

/// A single dispatch on a machine, with the buffers that it needs: the largest one of a kernel in
/// the training step of a network.
pub(crate) struct Single {
    built: Built,
    pub(crate) program: Program,
    pub(crate) layout: Layout,
    engine: Box<dyn Engine>,
}

impl Single {
    /// The largest dispatch of `kernel` in a step over `rows` rows of a network with these inputs,
    /// this trunk and one head of two classes.
    pub(crate) fn new(
        machine: &Machine,
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
        let objective = Objective::plain(&network);
        let tuning = Tuning { flop_per_dispatch: u64::MAX, ..tuning.clone() };
        let optimizer = Optimizer::default();
        let request = Request {
            network: &network,
            layout: &layout,
            objective: &objective,
            optimizer: Some(&optimizer),
            tuning: &tuning,
            parts: &[PartShape { name: "train".into(), rows, bytes: None, tokens: None }],
            batch: rows,
            shuffled: false,
            spread: &[],
            augmented: None,
            labels: crate::step::LabelShape::default(),
            shards: Default::default(),
        };
        let built = build(&request)?;
        let mut program = built.program.clone();
        program.schedules.truncate(1);
        let dispatches = &mut program.schedules[0].dispatches;
        dispatches.retain(|d| d.kernel.twin == kernel.name);
        dispatches.sort_by_key(|d| std::cmp::Reverse(d.flop));
        dispatches.truncate(1);
        ensure!(!dispatches.is_empty(), "the step lacks {}", kernel.name);
        let engine = machine.clone().engine(program.clone())?;
        Ok(Single { built, program, layout, engine })
    }

    /// Number of elements of a buffer.
    fn len(&self, buffer: Buffer) -> usize {
        self.program.buffers[buffer.0].len
    }

    /// First element of the weights of a layer.
    fn weights(&self, layer: usize) -> usize {
        self.layout.blocks[self.layout.layers[layer].weight].offset
    }

    /// Uploads `len` random numbers to a buffer, from the element `first` on, and returns them.
    fn fill(&mut self, buffer: Buffer, first: usize, len: usize, stream: u64) -> Result<Vec<f64>> {
        let values: Vec<f32> =
            (0..len).map(|i| normal(1, Purpose::Synthetic, stream, i as u64) as f32).collect();
        self.engine.upload(buffer, first, bytemuck::cast_slice(&values))?;
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
        self.engine.upload(target.buffer, target.first, &vec![f32::NAN.to_bits(); target.len])?;
        let step = one_step(m.max(k));
        self.engine.launch(0, 0, &step, 1)?;
        let found = self.engine.download(target)?;
        let mut max_error = 0f64;
        for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let expected: f64 = (0..k).map(|t| term(i, j, t)).sum();
            let error = (f64::from(found[i * n + j]) - expected).abs();
            max_error = if error.is_nan() { f64::INFINITY } else { max_error.max(error) };
        }
        let ms = Times::of(self.samples(&step, 0.1)?).median;
        Ok(ProductReport { ms, gflop_per_s: (2 * m * n * k) as f64 / ms / 1e6, max_error })
    }

    /// Milliseconds per launch in each of [`REPEATS`] submissions, which take about `seconds` each.
    fn samples(&mut self, step: &Step, seconds: f64) -> Result<Vec<f64>> {
        let times = ((1e3 * seconds / self.timed(step, 1)?) as usize).clamp(1, 1000);
        (0..REPEATS).map(|_| self.timed(step, times)).collect()
    }

    /// Milliseconds per launch in a submission of `times` launches.
    fn timed(&mut self, step: &Step, times: usize) -> Result<f64> {
        let start = Instant::now();
        self.engine.launch(0, 0, step, times)?;
        Ok(1e3 * start.elapsed().as_secs_f64() / times as f64)
    }

    /// The shortest milliseconds per launch, measured for [`CEILING`] seconds after a launch that
    /// is not counted.
    pub(crate) fn best(&mut self, rows: usize) -> Result<f64> {
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

/// A step over `rows` rows.
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
