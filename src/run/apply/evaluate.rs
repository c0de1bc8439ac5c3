//! A network as it stands, on one part of the data: its losses, and its logits.

use anyhow::Result;

use crate::data::Dataset;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::run::data::upload_rows;
use crate::run::train::learning_rate::evaluation_step;
use crate::schedule::{Engine, MetricKind, Slice};
use crate::step::Built;

/// What one part showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// L with weights and couplings; `None` where no task that weighs anything has a loss.
    pub loss: Option<f64>,
    /// L_i of each task, without its weight: over all labelled cells of the part, by their weights.
    /// `None` for a task of which no cell weighs anything.
    pub losses: Vec<Option<f64>>,
    /// L(T_i, T_j) of each pair, without λ.
    pub couplings: Vec<f64>,
    /// Per task [rows, outputs].
    pub logits: Vec<Vec<f32>>,
}

/// Runs the evaluation steps of a part that lies on the engine, one after the other. `number` is
/// what they are called where a value is not finite.
pub fn evaluate(
    engine: &mut dyn Engine,
    built: &Built,
    network: &Network,
    objective: &Objective,
    part: usize,
    number: u64,
) -> Result<Measured> {
    run(
        engine,
        built,
        (network, objective),
        part,
        number,
        built.parts[part].shape.rows,
        &mut |_, first, _| Ok(first),
    )
}

/// The same for a part of which the engine has room for a batch at a time: each is brought there
/// before its step.
pub fn evaluate_streamed(
    engine: &mut dyn Engine,
    built: &Built,
    network: &Network,
    objective: &Objective,
    part: usize,
    number: u64,
    data: &Dataset,
) -> Result<Measured> {
    let mut bring = |engine: &mut dyn Engine, first: usize, count: usize| {
        let rows: Vec<u32> = (first as u32..(first + count) as u32).collect();
        upload_rows(engine, &built.parts[part], data, &rows, 0, built.counting)?;
        Ok(0)
    };
    run(engine, built, (network, objective), part, number, data.rows, &mut bring)
}

/// Makes rows ready, given the first and their number; says where they lie.
type Bring<'a> = &'a mut dyn FnMut(&mut dyn Engine, usize, usize) -> Result<usize>;

fn run(
    engine: &mut dyn Engine,
    built: &Built,
    (network, objective): (&Network, &Objective),
    part: usize,
    number: u64,
    rows: usize,
    bring: Bring,
) -> Result<Measured> {
    let mut sums = Sums::new(network, objective);
    let reserved = |(_, outputs): &(usize, usize)| Vec::with_capacity(rows * outputs);
    let mut logits: Vec<Vec<f32>> = built.logits.iter().map(reserved).collect();
    for first in (0..rows).step_by(built.evaluate_rows) {
        let count = built.evaluate_rows.min(rows - first);
        let place = bring(engine, first, count)?;
        engine.submit(built.evaluate[part], &[evaluation_step(number, place, count, 0)])?;
        for result in engine.collect(true)? {
            sums.add(&built.program.metrics, &result.metrics, count as f64);
        }
        for (all, (offset, outputs)) in logits.iter_mut().zip(&built.logits) {
            all.extend(engine.download(Slice {
                buffer: built.buffers.logits,
                first: *offset,
                len: count * outputs,
            })?);
        }
    }
    let (losses, couplings) = sums.means();
    Ok(Measured { loss: objective.total(&losses, &couplings), losses, couplings, logits })
}

/// Sums over evaluation steps: of losses by the weights of labelled cells, of couplings by rows.
struct Sums {
    cells: Vec<usize>,
    losses: Vec<f64>,
    weights: Vec<f64>,
    couplings: Vec<f64>,
    rows: f64,
}

impl Sums {
    fn new(network: &Network, objective: &Objective) -> Sums {
        let (tasks, pairs) = (network.tasks.len(), objective.pairs.len());
        let cells = network.tasks.iter().map(|head| head.cells()).collect();
        Sums {
            cells,
            losses: vec![0.0; tasks],
            weights: vec![0.0; tasks],
            couplings: vec![0.0; pairs],
            rows: 0.0,
        }
    }

    fn add(&mut self, kinds: &[MetricKind], values: &[f64], rows: f64) {
        let mut weights: Vec<f64> = self.cells.iter().map(|cells| *cells as f64 * rows).collect();
        for (kind, value) in kinds.iter().zip(values) {
            if let MetricKind::Weight(task) = kind {
                weights[*task] = *value;
            }
        }
        for (kind, value) in kinds.iter().zip(values) {
            match kind {
                MetricKind::Loss(task) => self.losses[*task] += weights[*task] * value,
                MetricKind::Coupling(pair) => self.couplings[*pair] += rows * value,
                _ => {}
            }
        }
        self.weights.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        self.rows += rows;
    }

    fn means(&self) -> (Vec<Option<f64>>, Vec<f64>) {
        let loss = |(sum, weight): (&f64, &f64)| (*weight > 0.0).then(|| sum / weight);
        (
            self.losses.iter().zip(&self.weights).map(loss).collect(),
            self.couplings.iter().map(|sum| sum / self.rows).collect(),
        )
    }
}
