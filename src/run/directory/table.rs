//! `metrics.csv`: one row per evaluation and per epoch, and a last one with the test figures of the
//! model that is kept. It has one column per split, task and metric, with the figures that
//! `metrics.jsonl` has.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use super::appended::Appended;
use super::events::Events;
use crate::data::Part;
use crate::data::write::csv;
use crate::model::architecture;
use crate::model::graph::GateNames;
use crate::model::layout::Layout;
use crate::model::network::{Head, Network};
use crate::objective::Objective;
use crate::plan::Sharing;
use crate::run::train::conflict::Conflict;
use crate::run::train::point::{GatePoint, Point, TaskPoint, of_training};

/// Columns that do not depend on the network.
const FIXED: [&str; 4] = ["epoch", "step", "learning_rate", "seconds"];

/// Columns that say where a row stands, not what was measured.
const OF_ROW: [&str; 3] = ["epoch", "step", "seconds"];

/// The file, with the row that is not written yet.
#[derive(Debug)]
pub(super) struct MetricsTable {
    file: Appended,
    columns: Vec<String>,
    row: Row,
    events: Option<Events>,
    /// Step of the last training point, or 0.
    trained: u64,
    /// The largest step of a row, or 0.
    told: u64,
}

/// The figures since the last row.
#[derive(Clone, Debug, Default)]
struct Row {
    /// Values of the columns of [`FIXED`]; `None` before the first point.
    fixed: Option<[Value; 4]>,
    /// Training points, each with the number of steps that it is a mean over.
    train: Vec<(f64, Vec<Cell>)>,
    /// Figures of the other parts.
    others: Vec<Cell>,
}

/// Name of a column and value.
type Cell = (String, Value);

impl MetricsTable {
    /// Opens the file. A new file gets its header.
    pub(super) fn open(
        path: PathBuf,
        network: &Network,
        objective: &Objective,
        parts: &[Part],
    ) -> Result<MetricsTable> {
        let file = Appended::open(path)?;
        let columns = columns(network, objective, parts);
        let mut table =
            MetricsTable { file, columns, row: Row::default(), events: None, trained: 0, told: 0 };
        if table.file.len()? == 0 {
            let header = record(&table.columns);
            table.file.write(&header)?;
        }
        Ok(table)
    }

    /// Writes the rows that follow to TensorBoard's file, too.
    pub(super) fn also(&mut self, events: Events) {
        self.events = Some(events);
    }

    /// Keeps a point for its row; `json` is its line in `metrics.jsonl`.
    pub(super) fn point(&mut self, json: &Value) -> Result<()> {
        let (split, step) =
            (json["split"].as_str().unwrap_or_default(), json["step"].as_u64().unwrap_or(0));
        let cells = cells(split, json);
        if split == Part::Train.name() {
            self.row.train.push((step.saturating_sub(self.trained) as f64, cells));
            self.trained = step;
        } else {
            self.row.others.extend(cells);
        }
        self.row.fixed = Some(FIXED.map(|key| json[key].clone()));
        Ok(())
    }

    /// Writes the whole table again, from these points.
    pub(super) fn replay(&mut self, points: &[Value]) -> Result<()> {
        (self.row, self.trained, self.told) = (Row::default(), 0, 0);
        self.events.as_mut().map_or(Ok(()), Events::clear)?;
        self.file.cut(0)?;
        let header = record(&self.columns);
        self.file.write(&header)?;
        for json in points {
            if self.row.is_over(json) {
                self.end_epoch()?;
            }
            self.point(json)?;
        }
        Ok(())
    }

    /// Writes the row, if there is a point for it.
    pub(super) fn end_epoch(&mut self) -> Result<()> {
        let row = std::mem::take(&mut self.row);
        let Some([_, step, _, seconds]) = &row.fixed else { return Ok(()) };
        let texts = row.texts(&self.columns);
        let step = step.as_u64().unwrap_or(0);
        // The learning rate of a step stands once in the file of events: the row of the model that
        // is kept is of an earlier step.
        let is_known =
            |name: &str| OF_ROW.contains(&name) || (name == FIXED[2] && step <= self.told);
        if let Some(events) = &mut self.events {
            let figures = self.columns.iter().zip(&texts).filter(|(name, _)| !is_known(name));
            let scalars =
                figures.filter_map(|(name, text)| Some((name.clone(), text.parse().ok()?)));
            events.scalars(step, seconds.as_f64().unwrap_or(0.0), scalars)?;
        }
        self.told = self.told.max(step);
        self.file.write(&record(&texts))
    }
}

impl Row {
    /// Whether a point belongs to a later row: its epoch is later, or this row has an evaluation
    /// and its step is later.
    fn is_over(&self, json: &Value) -> bool {
        let Some([epoch, step, ..]) = &self.fixed else { return false };
        let is_later = |before: &Value, key: &str| json[key].as_u64() > before.as_u64();
        is_later(epoch, "epoch") || (!self.others.is_empty() && is_later(step, "step"))
    }

    /// One text per column; blank where nothing was measured or the value was not finite.
    fn texts(&self, columns: &[String]) -> Vec<String> {
        let fixed = FIXED
            .iter()
            .zip(self.fixed.iter().flatten())
            .map(|(name, value)| (name.to_string(), value.clone()));
        let all: Vec<Cell> = fixed.chain(self.means()).chain(self.others.iter().cloned()).collect();
        // The last value of a column counts: a part may be evaluated twice in an epoch.
        let text = |column: &String| {
            all.iter().rev().find(|(name, _)| name == column).filter(|(_, value)| !value.is_null())
        };
        columns
            .iter()
            .map(|column| text(column).map_or(String::new(), |(_, value)| value.to_string()))
            .collect()
    }

    /// Training figures: means over the steps of the points that have them. A point without any
    /// label has no figures. Where the combined loss of a point is not finite, a figure without a
    /// number was not finite either, and neither is its mean.
    fn means(&self) -> Vec<Cell> {
        let known: Vec<&(f64, Vec<Cell>)> = self
            .train
            .iter()
            .filter(|(_, cells)| !cells.iter().all(|(_, value)| value.is_null()))
            .collect();
        if let [(_, cells)] = known[..] {
            return cells.clone();
        }
        let mut names: Vec<&String> = Vec::new();
        let all = known.iter().flat_map(|(_, cells)| cells).map(|(name, _)| name);
        all.for_each(|name| {
            if !names.contains(&name) {
                names.push(name)
            }
        });
        let mean = |name: &String| {
            let (mut sum, mut steps) = (0.0, 0.0);
            for (n, cells) in &known {
                let is_finite = cells.first().is_some_and(|(_, combined)| !combined.is_null());
                let value = cells
                    .iter()
                    .find(|(known, _)| known == name)
                    .and_then(|(_, value)| value.as_f64());
                if let Some(value) = value.or((!is_finite).then_some(f64::NAN)) {
                    (sum, steps) = (sum + n * value, steps + n);
                }
            }
            Value::from(sum / steps)
        };
        names.iter().map(|name| ((*name).clone(), mean(name))).collect()
    }
}

/// The names of all columns: for each part the figures that a point can have, by the types of the
/// tasks.
fn columns(network: &Network, objective: &Objective, parts: &[Part]) -> Vec<String> {
    let names = |part: &Part, head: &Head| {
        if *part == Part::Train { of_training(head) } else { head.kind.metrics() }
    };
    let is_balanced = |part: Part| part == Part::Train && objective.solver().is_some();
    let has_residual = objective.balance.method.has_residual();
    let layers = if objective.balance.observe > 0 { shared_layers(network) } else { Vec::new() };
    let conflict = |part: Part| {
        let is_observed = part == Part::Train && objective.balance.observe > 0;
        let none = Conflict::new(objective.objectives(), layers.len());
        is_observed.then(|| none.json(&objective.names(network), &layers))
    };
    let json = |part: &Part| {
        let zeros = |head: &Head| {
            names(part, head)
                .iter()
                .filter(|name| has(head, name))
                .map(|name| (*name, 0.0))
                .collect()
        };
        let tasks = network
            .tasks
            .iter()
            .map(|head| TaskPoint { loss: Some(0.0), rows: 0, metrics: zeros(head) })
            .collect();
        let (split, couplings) = (part.name().to_owned(), vec![0.0; objective.pairs.len()]);
        Point {
            step: 0,
            epoch: 0,
            split,
            loss: Some(0.0),
            tasks,
            couplings,
            gate_entropy: (objective.entropy > 0.0).then_some(0.0),
            gates: if *part == Part::Train { Vec::new() } else { gates(network) },
            weights: if is_balanced(*part) {
                vec![0.0; objective.objectives()]
            } else {
                Vec::new()
            },
            residual: has_residual.then_some(0.0).filter(|_| is_balanced(*part)),
            conflict: conflict(*part),
            learning_rate: 0.0,
            seconds: 0.0,
        }
        .json(network, objective)
    };
    let mut columns: Vec<String> = FIXED.map(str::to_owned).into();
    for (name, _) in parts.iter().flat_map(|part| cells(part.name(), &json(part))) {
        // Two [[coupling]] tables may couple one pair in the same way: they share a column.
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    columns
}

/// The names of the shared layers whose gradients are observed.
fn shared_layers(network: &Network) -> Vec<String> {
    Layout::new(network)
        .map_or(Vec::new(), |layout| Sharing::of(&layout, network.tasks.len()).layers(&layout))
}

/// Whether a head has this metric of its type. `top_k` needs more than k classes.
fn has(head: &Head, metric: &str) -> bool {
    metric != "top_k" || head.top_k.is_some_and(|k| k < head.outputs())
}

/// The gates of a network, with weights of 0.
fn gates(network: &Network) -> Vec<GatePoint> {
    let names = architecture::graph(network).map_or(Vec::new(), |graph| graph.gate_names());
    let point = |gate: GateNames| GatePoint {
        gate: gate.gate,
        weights: gate.terms.into_iter().map(|term| (term, 0.0)).collect(),
    };
    names.into_iter().map(point).filter(|gate| !gate.weights.is_empty()).collect()
}

/// The cells of a point, in columns `SPLIT/loss`, `SPLIT/TASK/METRIC`, `SPLIT/KIND/TASK/TASK`,
/// `SPLIT/gate_entropy`, `SPLIT/GATE/TERM`, `SPLIT/TASK/weight` and `SPLIT/cosine/TASK/TASK`.
fn cells(split: &str, json: &Value) -> Vec<Cell> {
    let mut cells = vec![(format!("{split}/loss"), json["loss"].clone())];
    for (task, metrics) in json["tasks"].as_object().into_iter().flatten() {
        cells.extend(
            metrics
                .as_object()
                .into_iter()
                .flatten()
                .map(|(metric, value)| (format!("{split}/{task}/{metric}"), value.clone())),
        );
    }
    for coupling in json["couplings"].as_array().into_iter().flatten() {
        let name = [&coupling["kind"], &coupling["pair"][0], &coupling["pair"][1]]
            .map(|v| v.as_str().unwrap_or_default())
            .join("/");
        cells.push((format!("{split}/{name}"), coupling["value"].clone()));
    }
    if let Some(entropy) = json.get("gate_entropy") {
        cells.push((format!("{split}/gate_entropy"), entropy.clone()));
    }
    for (gate, weights) in json["gates"].as_object().into_iter().flatten() {
        let weights = weights.as_object().into_iter().flatten();
        cells.extend(weights.map(|(term, w)| (format!("{split}/{gate}/{term}"), w.clone())));
    }
    for (task, weight) in json["balance"]["weights"].as_object().into_iter().flatten() {
        cells.push((format!("{split}/{task}/weight"), weight.clone()));
    }
    if let Some(residual) = json["balance"].get("residual") {
        cells.push((format!("{split}/residual"), residual.clone()));
    }
    if let Some(conflict) = json.get("conflict") {
        cells.extend(conflict_cells(split, conflict));
    }
    cells
}

/// The cells of the conflict of the tasks.
fn conflict_cells(split: &str, conflict: &Value) -> Vec<Cell> {
    let of_all = ["mean_cosine", "alignment"];
    let mut cells: Vec<Cell> =
        of_all.map(|key| (format!("{split}/{key}"), conflict[key].clone())).into();
    for (task, figures) in conflict["tasks"].as_object().into_iter().flatten() {
        let figures = figures.as_object().into_iter().flatten();
        cells.extend(figures.map(|(key, x)| (format!("{split}/{task}/{key}"), x.clone())));
    }
    for pair in conflict["pairs"].as_array().into_iter().flatten() {
        let [a, b] = [0, 1].map(|i| pair["pair"][i].as_str().unwrap_or_default());
        cells.push((format!("{split}/cosine/{a}/{b}"), pair["cosine"].clone()));
        for (layer, cosine) in pair["layers"].as_object().into_iter().flatten() {
            cells.push((format!("{split}/cosine/{a}/{b}/{layer}"), cosine.clone()));
        }
    }
    cells
}

/// A line of CSV, with its end.
fn record(texts: &[String]) -> Vec<u8> {
    (csv::line(texts.iter().map(String::as_str), ',') + "\n").into_bytes()
}
