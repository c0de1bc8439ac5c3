//! `metrics.csv`: one row per epoch, one column per split, task and metric, the same figures as in `metrics.jsonl`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use super::Appended;
use crate::data::Part;
use crate::model::network::{Head, Network};
use crate::objective::Objective;
use crate::run::point::{Point, TaskPoint, of_training};

/// Columns that do not depend on the network.
const FIXED: [&str; 4] = ["epoch", "step", "learning_rate", "seconds"];

/// The table with the row in the making.
#[derive(Debug)]
pub(super) struct Table {
    file: Appended,
    columns: Vec<String>,
    row: Row,
    /// The row that was written last, and the byte at which it begins.
    last: Option<(Row, u64)>,
    /// Step of the last training point.
    trained: u64,
}

/// Figures of an epoch.
#[derive(Clone, Debug, Default)]
struct Row {
    /// Those of [`FIXED`], once there is a point.
    fixed: Option<[Value; 4]>,
    /// Training points with the steps that they are means of.
    train: Vec<(f64, Vec<Cell>)>,
    /// What was measured on other parts.
    others: Vec<Cell>,
}

/// (column, value)
type Cell = (String, Value);

impl Table {
    /// Opens the file; a new one gets its header.
    pub(super) fn open(path: PathBuf, network: &Network, objective: &Objective, parts: &[Part]) -> Result<Table> {
        let file = Appended::open(path)?;
        let columns = columns(network, objective, parts);
        let mut table = Table { file, columns, row: Row::default(), last: None, trained: 0 };
        if table.file.len()? == 0 {
            let header = record(&table.columns)?;
            table.file.write(&header)?;
        }
        Ok(table)
    }

    /// Keeps a point, as it stands in `metrics.jsonl`, for its row.
    pub(super) fn point(&mut self, json: &Value) -> Result<()> {
        let (split, step) = (json["split"].as_str().unwrap_or_default(), json["step"].as_u64().unwrap_or(0));
        let cells = cells(split, json);
        if split == Part::Test.name() && self.row.fixed.is_none() {
            return self.amend(cells);
        }
        if split == Part::Train.name() {
            self.row.train.push((step.saturating_sub(self.trained) as f64, cells));
            self.trained = step;
        } else {
            self.row.others.extend(cells);
        }
        if split != Part::Test.name() {
            self.row.fixed = Some(FIXED.map(|key| json[key].clone()));
        }
        Ok(())
    }

    /// Writes the whole table anew from points, as if they were told now.
    pub(super) fn replay(&mut self, points: &[Value]) -> Result<()> {
        (self.row, self.last, self.trained) = (Row::default(), None, 0);
        self.file.cut(0)?;
        let header = record(&self.columns)?;
        self.file.write(&header)?;
        let mut epoch = 0;
        for json in points {
            let of_point = json["epoch"].as_u64().unwrap_or(0);
            if json["split"] != Part::Test.name() && of_point > epoch {
                self.end_epoch()?;
                epoch = of_point;
            }
            self.point(json)?;
        }
        Ok(())
    }

    /// Writes the row.
    pub(super) fn end_epoch(&mut self) -> Result<()> {
        let row = std::mem::take(&mut self.row);
        if row.fixed.is_some() { self.write(row) } else { Ok(()) }
    }

    fn write(&mut self, row: Row) -> Result<()> {
        let begin = self.file.len()?;
        self.file.write(&record(&row.texts(&self.columns))?)?;
        self.last = Some((row, begin));
        Ok(())
    }

    /// Writes the last row once more, with more in it. Before any row the cells wait for the first.
    fn amend(&mut self, cells: Vec<Cell>) -> Result<()> {
        let Some((mut row, begin)) = self.last.take() else {
            self.row.others.extend(cells);
            return Ok(());
        };
        row.others.extend(cells);
        self.file.cut(begin)?;
        self.write(row)
    }
}

impl Row {
    /// One text per column, blank where nothing was measured or the value was not finite.
    fn texts(&self, columns: &[String]) -> Vec<String> {
        let fixed = FIXED.iter().zip(self.fixed.iter().flatten()).map(|(name, value)| (name.to_string(), value.clone()));
        let all: Vec<Cell> = fixed.chain(self.means()).chain(self.others.iter().cloned()).collect();
        // The last one of a name counts: a part may be measured twice in an epoch.
        let text = |column: &String| all.iter().rev().find(|(name, _)| name == column).filter(|(_, value)| !value.is_null());
        columns.iter().map(|column| text(column).map_or(String::new(), |(_, value)| value.to_string())).collect()
    }

    /// Training figures: those of the one point, or means over the steps of several.
    fn means(&self) -> Vec<Cell> {
        let [first, _, ..] = self.train.as_slice() else { return self.train.iter().flat_map(|(_, cells)| cells.clone()).collect() };
        let steps: f64 = self.train.iter().map(|(steps, _)| steps).sum();
        let mean = |i: usize| self.train.iter().map(|(n, cells)| n * cells[i].1.as_f64().unwrap_or(f64::NAN)).sum::<f64>() / steps;
        first.1.iter().enumerate().map(|(i, (name, _))| (name.clone(), Value::from(mean(i)))).collect()
    }
}

/// The names of all columns: those of a point for each part, whatever a task of its type shows.
fn columns(network: &Network, objective: &Objective, parts: &[Part]) -> Vec<String> {
    let names = |part: &Part, head: &Head| if *part == Part::Train { of_training(head) } else { head.kind.metrics() };
    let json = |part: &Part| {
        let zeros = |head: &Head| names(part, head).iter().filter(|name| has(head, name)).map(|name| (*name, 0.0)).collect();
        let tasks = network.tasks.iter().map(|head| TaskPoint { loss: 0.0, rows: 0, metrics: zeros(head) }).collect();
        let (split, couplings) = (part.name().to_owned(), vec![0.0; objective.pairs.len()]);
        Point { step: 0, epoch: 0, split, loss: 0.0, tasks, couplings, learning_rate: 0.0, seconds: 0.0 }.json(network, objective)
    };
    let mut columns: Vec<String> = FIXED.map(str::to_owned).into();
    for (name, _) in parts.iter().flat_map(|part| cells(part.name(), &json(part))) {
        // Two tables may couple the same pair in the same way: one value, one column.
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    columns
}

/// Whether a head can have a metric of its type: the k largest of k classes say nothing.
fn has(head: &Head, metric: &str) -> bool {
    metric != "top_k" || head.top_k.is_some_and(|k| k < head.outputs())
}

/// `SPLIT/loss`, `SPLIT/TASK/METRIC` and `SPLIT/KIND/TASK/TASK` of a point.
fn cells(split: &str, json: &Value) -> Vec<Cell> {
    let mut cells = vec![(format!("{split}/loss"), json["loss"].clone())];
    for (task, metrics) in json["tasks"].as_object().into_iter().flatten() {
        cells.extend(metrics.as_object().into_iter().flatten().map(|(metric, value)| (format!("{split}/{task}/{metric}"), value.clone())));
    }
    for coupling in json["couplings"].as_array().into_iter().flatten() {
        let name = [&coupling["kind"], &coupling["pair"][0], &coupling["pair"][1]].map(|v| v.as_str().unwrap_or_default()).join("/");
        cells.push((format!("{split}/{name}"), coupling["value"].clone()));
    }
    cells
}

/// A line of CSV.
fn record(texts: &[String]) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(texts).context("a row of metrics.csv")?;
    writer.into_inner().context("a row of metrics.csv")
}
