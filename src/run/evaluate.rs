//! A network as it stands, on one part of the data: its losses, and its logits.

use anyhow::Result;

use super::learning_rate::evaluation_step;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::schedule::build::Built;
use crate::schedule::{Engine, MetricKind, Slice};

/// What one part showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// L with weights and couplings.
    pub loss: f64,
    /// L_i of each task, without its weight: over all labelled cells of the part, by their weights.
    pub losses: Vec<f64>,
    /// L(T_i, T_j) of each pair, without λ.
    pub couplings: Vec<f64>,
    /// Per task [rows, outputs].
    pub logits: Vec<Vec<f32>>,
}

/// Runs the evaluation steps of a part, one after the other. `number` is what they are called where a value is not finite.
pub fn evaluate(
    engine: &mut dyn Engine,
    built: &Built,
    network: &Network,
    objective: &Objective,
    part: usize,
    number: u64,
) -> Result<Measured> {
    let rows = built.parts[part].shape.rows;
    let mut sums = Sums::new(network, objective);
    let reserved = |(_, outputs): &(usize, usize)| Vec::with_capacity(rows * outputs);
    let mut logits: Vec<Vec<f32>> = built.logits.iter().map(reserved).collect();
    for first in (0..rows).step_by(built.evaluate_rows) {
        let count = built.evaluate_rows.min(rows - first);
        engine.submit(built.evaluate[part], &[evaluation_step(number, first, count, 0)])?;
        for result in engine.collect(true)? {
            sums.add(&built.program.metrics, &result.metrics, count as f64);
        }
        for (all, (offset, outputs)) in logits.iter_mut().zip(&built.logits) {
            all.extend(engine.download(Slice { buffer: built.buffers.logits, first: *offset, len: count * outputs })?);
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
        Sums { cells, losses: vec![0.0; tasks], weights: vec![0.0; tasks], couplings: vec![0.0; pairs], rows: 0.0 }
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

    fn means(&self) -> (Vec<f64>, Vec<f64>) {
        // A part without a label for a task has no loss of it.
        let loss = |(sum, weight): (&f64, &f64)| if *weight > 0.0 { sum / weight } else { 0.0 };
        (self.losses.iter().zip(&self.weights).map(loss).collect(), self.couplings.iter().map(|sum| sum / self.rows).collect())
    }
}
