//! Points of the course of a run: what `metrics.jsonl` holds, made from the rows that engines give back.

use serde_json::{Map, Value, json};

use crate::model::network::Network;
use crate::objective::Objective;
use crate::schedule::{MetricKind, StepResult};

/// What a task shows at a point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TaskPoint {
    /// Mean loss L_i, without its weight.
    pub loss: f64,
    /// Share of rows whose class was found.
    pub accuracy: f64,
    /// Rows that were looked at.
    pub rows: u64,
}

/// One logged point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Epochs begun; 1-based.
    pub epoch: u64,
    /// `train`, `valid`, `test`.
    pub split: String,
    /// L with weights and couplings.
    pub loss: f64,
    /// In task order.
    pub tasks: Vec<TaskPoint>,
    /// L(T_i, T_j) of each pair, without λ, in the order of the objective.
    pub couplings: Vec<f64>,
    /// Of the last step.
    pub learning_rate: f64,
    /// Since the start of the run.
    pub seconds: f64,
}

/// A task's metric by name; higher is better for all but losses.
pub fn metric(task: &TaskPoint, name: &str) -> Option<(f64, bool)> {
    match name {
        "accuracy" => Some((task.accuracy, true)),
        "log_loss" => Some((task.loss, false)),
        _ => None,
    }
}

/// Sums over steps.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    steps: u64,
    rows: u64,
    losses: Vec<f64>,
    hits: Vec<f64>,
    couplings: Vec<f64>,
}

impl Sums {
    /// Sums for a number of tasks and pairs.
    pub fn new(tasks: usize, pairs: usize) -> Sums {
        Sums { steps: 0, rows: 0, losses: vec![0.0; tasks], hits: vec![0.0; tasks], couplings: vec![0.0; pairs] }
    }

    /// Adds a step. `weight` is 1 for means over steps, the rows of the batch for means over rows.
    pub fn add(&mut self, metrics: &[MetricKind], result: &StepResult, weight: f64) {
        self.steps += 1;
        self.rows += u64::from(result.rows);
        for (kind, value) in metrics.iter().zip(&result.metrics) {
            match kind {
                MetricKind::Loss(task) => self.losses[*task] += weight * value,
                MetricKind::Hits(task) => self.hits[*task] += value,
                MetricKind::Coupling(pair) => self.couplings[*pair] += weight * value,
                MetricKind::SquaredNorm => {}
            }
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.steps == 0
    }

    /// Steps that were added.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Means over the steps (`by_rows` = false) or over the rows: (L, tasks, couplings).
    pub fn means(&self, objective: &Objective, by_rows: bool) -> (f64, Vec<TaskPoint>, Vec<f64>) {
        let weight = if by_rows { self.rows as f64 } else { self.steps as f64 };
        let losses: Vec<f64> = self.losses.iter().map(|l| l / weight).collect();
        let couplings: Vec<f64> = self.couplings.iter().map(|c| c / weight).collect();
        let rows = self.rows;
        let task = |(loss, hits): (&f64, &f64)| TaskPoint { loss: *loss, accuracy: hits / rows as f64, rows };
        (objective.total(&losses, &couplings), losses.iter().zip(&self.hits).map(task).collect(), couplings)
    }
}

impl Point {
    /// The object of `metrics.jsonl`.
    pub fn json(&self, network: &Network, objective: &Objective) -> Value {
        json!({
            "step": self.step, "epoch": self.epoch, "split": self.split, "loss": self.loss,
            "tasks": tasks_json(network, &self.tasks, false),
            "couplings": couplings_json(network, objective, &self.couplings),
            "learning_rate": self.learning_rate, "seconds": self.seconds,
        })
    }
}

/// Tasks by name, with their rows where `rows` is set.
pub fn tasks_json(network: &Network, tasks: &[TaskPoint], rows: bool) -> Value {
    let mut map = Map::new();
    for (head, task) in network.tasks.iter().zip(tasks) {
        let mut entry = Map::new();
        if rows {
            entry.insert("rows".into(), json!(task.rows));
        }
        entry.insert("loss".into(), json!(task.loss));
        entry.insert("accuracy".into(), json!(task.accuracy));
        entry.insert("log_loss".into(), json!(task.loss));
        map.insert(head.name.clone(), Value::Object(entry));
    }
    Value::Object(map)
}

/// Pairs with their values.
pub fn couplings_json(network: &Network, objective: &Objective, values: &[f64]) -> Value {
    let entry = |(pair, value): (&crate::objective::Pair, &f64)| {
        let names = [&network.tasks[pair.a].name, &network.tasks[pair.b].name];
        json!({"kind": pair.coupling.name(), "pair": names, "value": value})
    };
    Value::Array(objective.pairs.iter().zip(values).map(entry).collect())
}
