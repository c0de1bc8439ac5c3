//! A network as it stands, on one part of the data: its losses, and its logits.

use anyhow::{Result, ensure};

use crate::data::Dataset;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::run::data::upload_rows;
use crate::run::train::learning_rate::evaluation_step;
use crate::schedule::{Engine, MetricKind, Slice, StepResult};
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
    let mut found = StepResults::new(built, network, objective, rows);
    for first in (0..rows).step_by(built.evaluate_rows) {
        let count = built.evaluate_rows.min(rows - first);
        let step = evaluation_step(number, bring(engine, first, count)?, count, 0);
        let logits = |(first, outputs): &(usize, usize)| Slice {
            buffer: built.buffers.logits,
            first: *first,
            len: count * outputs,
        };
        let slices: Vec<Slice> = built.logits.iter().map(logits).collect();
        engine.submit_reading(built.evaluate[part], &[step], &slices)?;
        // The engine works on this step while the next one is made ready.
        found.add(built, engine.collect(false)?)?;
    }
    found.add(built, engine.collect(true)?)?;
    let (losses, couplings) = found.sums.means();
    let loss = objective.total(&losses, &couplings);
    Ok(Measured { loss, losses, couplings, logits: found.logits })
}

/// The results of the steps of a part so far.
struct StepResults {
    sums: PartSums,
    /// Per task [rows, outputs].
    logits: Vec<Vec<f32>>,
}

impl StepResults {
    /// No results yet, with room for the logits of `rows` rows.
    fn new(built: &Built, network: &Network, objective: &Objective, rows: usize) -> StepResults {
        let reserved = |(_, outputs): &(usize, usize)| Vec::with_capacity(rows * outputs);
        StepResults {
            sums: PartSums::new(network, objective),
            logits: built.logits.iter().map(reserved).collect(),
        }
    }

    /// Adds results of evaluation steps, in the order of the steps.
    fn add(&mut self, built: &Built, results: Vec<StepResult>) -> Result<()> {
        for result in results {
            let rows = result.rows as usize;
            let expected: usize = built.logits.iter().map(|(_, outputs)| rows * outputs).sum();
            let read = result.numbers.len();
            ensure!(read == expected, "{read} logits of a step, expected {expected}");
            self.sums.add(&built.program.metrics, &result.metrics, f64::from(result.rows));
            let mut rest = result.numbers.as_slice();
            for (all, (_, outputs)) in self.logits.iter_mut().zip(&built.logits) {
                let (own, others) = rest.split_at(rows * outputs);
                all.extend_from_slice(own);
                rest = others;
            }
        }
        Ok(())
    }
}

/// Sums over evaluation steps: of losses by the weights of labelled cells, of couplings by rows.
struct PartSums {
    cells: Vec<usize>,
    losses: Vec<f64>,
    weights: Vec<f64>,
    couplings: Vec<f64>,
    rows: f64,
}

impl PartSums {
    fn new(network: &Network, objective: &Objective) -> PartSums {
        let (tasks, pairs) = (network.tasks.len(), objective.pairs.len());
        let cells = network.tasks.iter().map(|head| head.cells()).collect();
        PartSums {
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
