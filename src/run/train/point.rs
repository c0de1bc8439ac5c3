//! Points of a run, the lines of `metrics.jsonl`: made from the metrics of steps, written as JSON
//! and read back.

use serde_json::{Map, Value, json};

use crate::config::TaskKind;
use crate::model::network::{Head, Network};
use crate::objective::{Objective, losses};
use crate::run::train::conflict::Conflict;
use crate::run::train::sums::Sums;
use crate::schedule::{MetricKind, StepResult};

/// Loss and metrics of a task at a point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskPoint {
    /// Mean loss L_i, without its weight; `None` if no label has a positive weight.
    pub loss: Option<f64>,
    /// Number of labels: labelled rows, or labelled cells where a task has several columns.
    pub rows: u64,
    /// The metrics that are defined, by name; the primary one first.
    pub metrics: Vec<(&'static str, f64)>,
}

impl TaskPoint {
    /// A metric by name, or the loss.
    pub fn figure(&self, name: &str) -> Option<f64> {
        if name == "loss" { self.loss } else { self.metric(name) }
    }

    /// A metric by name.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }
}

/// The mean weights that a gate gives its terms.
#[derive(Clone, Debug, PartialEq)]
pub struct GatePoint {
    /// Name of the gate, e.g. `task.income.gate`.
    pub gate: String,
    /// Terms with their weights, e.g. `expert.0`.
    pub weights: Vec<(String, f64)>,
}

/// What is measured at a point.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// L with weights and couplings.
    pub loss: Option<f64>,
    /// The tasks, in their order.
    pub tasks: Vec<TaskPoint>,
    /// The values of the pairs.
    pub couplings: Vec<f64>,
    /// Mean entropy of the gates.
    pub gate_entropy: Option<f64>,
    /// Mean weights of the gates.
    pub gates: Vec<GatePoint>,
    /// Mean weights that a balancer gives the tasks, and couplings that it balances.
    pub weights: Vec<f64>,
    /// The largest residual of a balancer.
    pub residual: Option<f64>,
    /// The conflict of the tasks.
    pub conflict: Option<Conflict>,
}

/// One logged point.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Steps done.
    pub step: u64,
    /// Epochs begun; 1-based.
    pub epoch: u64,
    /// Name of the part: `train`, `valid` or `test`.
    pub split: String,
    /// L with weights and couplings; `None` if no task of positive weight has a loss.
    pub loss: Option<f64>,
    /// The tasks, in their order.
    pub tasks: Vec<TaskPoint>,
    /// L(T_i, T_j) of each pair, without λ, in the order of the objective.
    pub couplings: Vec<f64>,
    /// Mean entropy of the gates, without its factor, where they have one.
    pub gate_entropy: Option<f64>,
    /// Mean weights of the gates; training points have none.
    pub gates: Vec<GatePoint>,
    /// Mean weights that a balancer gives the tasks, in their order, and couplings that it
    /// balances; training points have them.
    pub weights: Vec<f64>,
    /// The largest residual of a balancer.
    pub residual: Option<f64>,
    /// The conflict of the tasks where it was observed, as `metrics.jsonl` has it.
    pub conflict: Option<Value>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds since the start of the run.
    pub seconds: f64,
}

/// The metric that stands for a task, with its name: the primary one, or the first that is defined.
pub fn headline(head: &Head, task: &TaskPoint) -> Option<(&'static str, f64)> {
    let primary = head.kind.metrics()[0];
    task.metrics.iter().find(|(name, _)| *name == primary).or(task.metrics.first()).copied()
}

/// A number with four decimals; an empty text if it is not defined.
pub fn shown(number: Option<f64>) -> String {
    number.map_or(String::new(), |number| format!("{number:.4}"))
}

/// Whether higher values of a metric are better.
pub fn higher_is_better(name: &str) -> bool {
    !matches!(name, "loss" | "log_loss" | "calibration_error" | "rmse" | "mae" | "deviance")
}

impl Sums {
    /// Adds a step. `cells` are the labels per row of each task; they count all where the metrics
    /// of the step do not say how many labels there were.
    pub fn add(&mut self, metrics: &[MetricKind], result: &StepResult, cells: &[usize]) {
        self.steps += 1;
        let mut labelled: Vec<f64> =
            cells.iter().map(|cells| *cells as f64 * f64::from(result.rows)).collect();
        let mut weights = labelled.clone();
        for (kind, value) in metrics.iter().zip(&result.metrics) {
            match kind {
                MetricKind::Loss(task) => self.losses[*task] += value,
                MetricKind::Hits(task) => self.hits[*task] += value,
                MetricKind::Coupling(pair) => self.couplings[*pair] += value,
                MetricKind::Labelled(task) => labelled[*task] = *value,
                MetricKind::Weight(task) => weights[*task] = *value,
                MetricKind::GateEntropy(_) => self.entropy += value,
                MetricKind::TaskWeight(task) => {
                    if self.weights.len() <= *task {
                        self.weights.resize(*task + 1, 0.0);
                    }
                    self.weights[*task] += value;
                }
                MetricKind::SolverResidual => {
                    self.residual = Some(self.residual.unwrap_or(0.0).max(*value));
                }
                MetricKind::SquaredNorm | MetricKind::GateWeight(..) => {}
            }
        }
        for (sum, (labelled, weight)) in
            self.labelled.iter_mut().zip(labelled.into_iter().zip(weights))
        {
            *sum = (sum.0 + labelled, sum.1 + u64::from(weight > 0.0));
        }
    }

    /// Means over the steps. L is the mean over all steps; the loss of a task is the mean over the
    /// steps with a label of positive weight for it.
    pub fn means(&self, objective: &Objective, network: &Network) -> Figures {
        let steps = self.steps as f64;
        let couplings: Vec<f64> = self.couplings.iter().map(|sum| sum / steps).collect();
        let losses = self
            .losses
            .iter()
            .zip(&self.labelled)
            .map(|(sum, (_, with_label))| (*with_label > 0).then_some(sum / steps));
        let losses: Vec<Option<f64>> = losses.collect();
        let task = |(i, head): (usize, &Head)| {
            let (labelled, with_label) = self.labelled[i];
            let is_known = with_label > 0 && labelled > 0.0;
            let loss = is_known.then(|| self.losses[i] / with_label as f64);
            let known =
                [("accuracy", is_known.then(|| self.hits[i] / labelled)), ("log_loss", loss)];
            let known = known.into_iter().filter(|(name, _)| of_training(head).contains(name));
            TaskPoint {
                loss,
                rows: labelled as u64,
                metrics: known.filter_map(|(name, value)| Some((name, value?))).collect(),
            }
        };
        let entropy = self.entropy / steps;
        Figures {
            loss: objective.total(&losses, &couplings, entropy),
            tasks: network.tasks.iter().enumerate().map(task).collect(),
            couplings,
            gate_entropy: (objective.entropy > 0.0).then_some(entropy),
            gates: Vec::new(),
            weights: self.weights.iter().map(|sum| sum / steps).collect(),
            residual: self.residual,
            conflict: self.conflict.clone(),
        }
    }
}

/// Names of the metrics that a training point has; a step computes them.
pub fn of_training(head: &Head) -> &'static [&'static str] {
    match (head.kind, losses::is_plain(head)) {
        (TaskKind::Multiclass | TaskKind::Tags, true) => &["accuracy", "log_loss"],
        (TaskKind::Regression | TaskKind::Count, _) => &[],
        _ => &["accuracy"],
    }
}

impl Point {
    /// The object of `metrics.jsonl`.
    pub fn json(&self, network: &Network, objective: &Objective) -> Value {
        let mut json = json!({
            "step": self.step, "epoch": self.epoch, "split": self.split, "loss": self.loss,
            "tasks": tasks_json(network, &self.tasks, false),
            "couplings": couplings_json(network, objective, &self.couplings),
            "learning_rate": self.learning_rate, "seconds": self.seconds,
        });
        if let Some(entropy) = self.gate_entropy {
            json["gate_entropy"] = json!(entropy);
        }
        if !self.gates.is_empty() {
            json["gates"] = gates_json(&self.gates);
        }
        if !self.weights.is_empty() {
            let names = objective.names(network).into_iter().map(str::to_owned);
            let weights = names.zip(self.weights.iter().map(|weight| json!(weight)));
            json["balance"] = json!({"weights": weights.collect::<Map<String, Value>>()});
            if let Some(residual) = self.residual {
                json["balance"]["residual"] = json!(residual);
            }
        }
        if let Some(conflict) = &self.conflict {
            json["conflict"] = conflict.clone();
        }
        json
    }

    /// The point of an object of `metrics.jsonl`; `None` if it is not a point of this network.
    pub fn from_json(json: &Value, network: &Network) -> Option<Point> {
        let task = |head: &Head| {
            let entry = json["tasks"].get(&head.name)?.as_object()?;
            let value = |name: &'static str| Some((name, entry.get(name)?.as_f64()?));
            let metrics = head.kind.metrics().iter().filter_map(|name| value(name)).collect();
            Some(TaskPoint { loss: entry.get("loss")?.as_f64(), rows: 0, metrics })
        };
        let couplings = json["couplings"]
            .as_array()?
            .iter()
            .map(|c| c["value"].as_f64().unwrap_or(f64::NAN))
            .collect();
        let weights = |weights: &Map<String, Value>| {
            weights.iter().map(|(term, w)| (term.clone(), w.as_f64().unwrap_or(f64::NAN))).collect()
        };
        // In the order of the tasks, couplings behind them.
        let of_objectives = json["balance"]["weights"].as_object().map(|weights| weights.values());
        let gates = json["gates"].as_object().into_iter().flatten();
        let gates = gates.filter_map(|(gate, terms)| {
            Some(GatePoint { gate: gate.clone(), weights: weights(terms.as_object()?) })
        });
        Some(Point {
            step: json["step"].as_u64()?,
            epoch: json["epoch"].as_u64()?,
            split: json["split"].as_str()?.into(),
            loss: json["loss"].as_f64(),
            tasks: network.tasks.iter().map(task).collect::<Option<_>>()?,
            couplings,
            gate_entropy: json["gate_entropy"].as_f64(),
            gates: gates.collect(),
            weights: of_objectives.into_iter().flatten().filter_map(Value::as_f64).collect(),
            residual: json["balance"]["residual"].as_f64(),
            conflict: json.get("conflict").cloned(),
            learning_rate: json["learning_rate"].as_f64()?,
            seconds: json["seconds"].as_f64()?,
        })
    }
}

/// The tasks as a JSON object, by name; with their number of rows if `rows` is set.
pub fn tasks_json(network: &Network, tasks: &[TaskPoint], rows: bool) -> Value {
    let mut map = Map::new();
    for (head, task) in network.tasks.iter().zip(tasks) {
        let mut entry = Map::new();
        if rows {
            entry.insert("rows".into(), json!(task.rows));
        }
        entry.insert("loss".into(), json!(task.loss));
        entry.extend(task.metrics.iter().map(|(name, value)| (name.to_string(), json!(value))));
        map.insert(head.name.clone(), Value::Object(entry));
    }
    Value::Object(map)
}

/// The gates as a JSON object, by name.
pub fn gates_json(gates: &[GatePoint]) -> Value {
    let weights = |gate: &GatePoint| {
        gate.weights.iter().map(|(term, weight)| (term.clone(), json!(weight))).collect()
    };
    Value::Object(gates.iter().map(|g| (g.gate.clone(), Value::Object(weights(g)))).collect())
}

/// The coupled pairs as a JSON array, with their values.
pub fn couplings_json(network: &Network, objective: &Objective, values: &[f64]) -> Value {
    let entry = |(pair, value): (&crate::objective::Pair, &f64)| {
        let names = [&network.tasks[pair.a].name, &network.tasks[pair.b].name];
        json!({"kind": pair.coupling.name(), "pair": names, "value": value})
    };
    Value::Array(objective.pairs.iter().zip(values).map(entry).collect())
}
