//! Evaluation of a network on one part of the data: losses and logits, without dropout.

use std::ops::Range;

use anyhow::{Result, ensure};

use crate::data::Dataset;
use crate::data::tokens::Tokens;
use crate::fault::{Exit, Fault};
use crate::model::graph::GateNames;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::run::data::upload_rows;
use crate::run::train::learning_rate::evaluation_step;
use crate::run::train::point::GatePoint;
use crate::schedule::{Engine, MetricKind, Slice, StepResult};
use crate::step::Built;

/// The results of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// L with weights and couplings; `None` if no task of positive weight has a loss.
    pub loss: Option<f64>,
    /// L_i of each task, without its weight: the weighted mean over all labels of the part. `None`
    /// for a task without a label of positive weight.
    pub losses: Vec<Option<f64>>,
    /// L(T_i, T_j) of each pair, without λ.
    pub couplings: Vec<f64>,
    /// Mean entropy of the gates, without its factor, where they have one.
    pub gate_entropy: Option<f64>,
    /// Mean weights of the gates.
    pub gates: Vec<GatePoint>,
    /// Logits per task, [rows, outputs].
    pub logits: Vec<Vec<f32>>,
}

/// Evaluates a part that lies on the engine. `number` is the step that a message names where a
/// value is not finite.
///
/// # Errors
/// Errors of the engine.
pub fn evaluate(
    engine: &mut dyn Engine,
    built: &Built,
    network: &Network,
    objective: &Objective,
    part: usize,
    number: u64,
) -> Result<Measured> {
    let shape = &built.parts[part].shape;
    let steps = steps(shape.tokens.as_deref(), shape.rows, built.evaluate_rows);
    run(engine, built, (network, objective), part, number, steps, &mut |_, first, _| Ok(first))
}

/// Evaluates a part of which the engine has room for some rows only: the rows of each step are
/// uploaded before it.
///
/// # Errors
/// Errors of the engine; 74 if rows on disk cannot be read.
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
        let places = 0..built.parts[part].shape.rows;
        if count > places.len().min(built.evaluate_rows) {
            let found = format!(
                "a sentence of {count} tokens, and {} is all that there is room for",
                places.len().min(built.evaluate_rows)
            );
            let hint = "cut long sentences by blank lines";
            return Err(Fault::new(Exit::Unavailable, found).hint(hint).into());
        }
        upload_rows(engine, &built.parts[part], data, &rows, places, built.counting)?;
        Ok(0)
    };
    let steps = steps(data.tokens.as_deref(), data.rows, built.evaluate_rows);
    run(engine, built, (network, objective), part, number, steps, &mut bring)
}

/// Makes rows ready, given the first and their number; returns the place of the first.
type Bring<'a> = &'a mut dyn FnMut(&mut dyn Engine, usize, usize) -> Result<usize>;

/// Runs the evaluation steps of a part. The logits of all tasks come back once per step, and the
/// engine works on one step while the next one is made ready.
fn run(
    engine: &mut dyn Engine,
    built: &Built,
    (network, objective): (&Network, &Objective),
    part: usize,
    number: u64,
    steps: Vec<Range<usize>>,
    bring: Bring,
) -> Result<Measured> {
    let rows = steps.last().map_or(0, |step| step.end);
    let mut found = StepResults::new(built, network, objective, rows);
    for places in steps {
        let (first, count) = (places.start, places.len());
        let step = evaluation_step(number, bring(engine, first, count)?, count, 0);
        let logits = |(first, outputs): &(usize, usize)| Slice {
            buffer: built.buffers.logits,
            first: *first,
            len: count * outputs,
        };
        let slices: Vec<Slice> = built.logits.iter().map(logits).collect();
        engine.submit_reading(built.evaluate[part], &[step], &slices)?;
        found.add(built, engine.collect(false)?)?;
    }
    found.add(built, engine.collect(true)?)?;
    let (losses, couplings) = found.sums.means();
    let entropy = found.sums.entropy / found.sums.rows;
    let loss = objective.total(&losses, &couplings, entropy);
    let gate_entropy = (objective.entropy > 0.0).then_some(entropy);
    let gates = found.sums.gates(&built.gates);
    Ok(Measured { loss, losses, couplings, gate_entropy, gates, logits: found.logits })
}

/// The rows of each step: at most so many, and whole sentences where rows are tokens.
fn steps(tokens: Option<&Tokens>, rows: usize, most: usize) -> Vec<Range<usize>> {
    let Some(tokens) = tokens else {
        return (0..rows).step_by(most).map(|first| first..rows.min(first + most)).collect();
    };
    let mut steps: Vec<Range<usize>> = Vec::new();
    for sentence in tokens.sentences() {
        match steps.last_mut().filter(|step| sentence.end - step.start <= most) {
            Some(step) => step.end = sentence.end,
            None => steps.push(sentence),
        }
    }
    steps
}

/// The results of the steps of a part so far.
struct StepResults {
    sums: PartSums,
    /// Logits per task, [rows, outputs].
    logits: Vec<Vec<f32>>,
}

impl StepResults {
    /// No results yet, with room for the logits of `rows` rows.
    fn new(built: &Built, network: &Network, objective: &Objective, rows: usize) -> StepResults {
        let reserved = |(_, outputs): &(usize, usize)| Vec::with_capacity(rows * outputs);
        StepResults {
            sums: PartSums::new(network, objective, &built.gates),
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

/// Sums over evaluation steps: of losses, weighted by the labels of the step, and of couplings,
/// weighted by its rows.
struct PartSums {
    /// Labels per row of each task.
    cells: Vec<usize>,
    losses: Vec<f64>,
    weights: Vec<f64>,
    couplings: Vec<f64>,
    entropy: f64,
    /// Weights of the terms of each gate.
    gates: Vec<Vec<f64>>,
    rows: f64,
}

impl PartSums {
    fn new(network: &Network, objective: &Objective, gates: &[GateNames]) -> PartSums {
        let (tasks, pairs) = (network.tasks.len(), objective.pairs.len());
        let cells = network.tasks.iter().map(|head| head.cells()).collect();
        PartSums {
            cells,
            losses: vec![0.0; tasks],
            weights: vec![0.0; tasks],
            couplings: vec![0.0; pairs],
            entropy: 0.0,
            gates: gates.iter().map(|gate| vec![0.0; gate.terms.len()]).collect(),
            rows: 0.0,
        }
    }

    /// Adds the metrics of a step.
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
                MetricKind::GateEntropy(_) => self.entropy += rows * value,
                MetricKind::GateWeight(gate, term) => self.gates[*gate][*term] += rows * value,
                _ => {}
            }
        }
        self.weights.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += weight);
        self.rows += rows;
    }

    /// The mean weights of the gates that have some.
    fn gates(&self, names: &[GateNames]) -> Vec<GatePoint> {
        let gates = names.iter().zip(&self.gates).filter(|(names, _)| !names.terms.is_empty());
        let weights = |(names, sums): (&GateNames, &Vec<f64>)| GatePoint {
            gate: names.gate.clone(),
            weights: names.terms.iter().cloned().zip(sums.iter().map(|w| w / self.rows)).collect(),
        };
        gates.map(weights).collect()
    }

    /// The means: L_i of each task, and the values of the pairs.
    fn means(&self) -> (Vec<Option<f64>>, Vec<f64>) {
        let loss = |(sum, weight): (&f64, &f64)| (*weight > 0.0).then(|| sum / weight);
        (
            self.losses.iter().zip(&self.weights).map(loss).collect(),
            self.couplings.iter().map(|sum| sum / self.rows).collect(),
        )
    }
}
