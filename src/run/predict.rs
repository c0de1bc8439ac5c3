//! Predictions as a table: one row out per row in, same order, input columns kept, new columns named after the tasks.
//!
//! A task of classes has `NAME` (the class) and `NAME:CLASS` (its probability, for every class); one of several columns has `NAME:COLUMN` for
//! each, a probability (multilabel) or a number in the units of the data (regression), as has `NAME` of a single one; a count has its rate. With
//! logits also `NAME:logit:CLASS` or `NAME:logit:COLUMN`. Where the input has a column of that name, as labelled files do, the new one is
//! called `NAME:predicted`.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::measure::probability;
use crate::config::TaskKind;
use crate::data::parquet::write::Writer;
use crate::data::{Dataset, Scaling, Target};
use crate::model::file::Model;
use crate::model::network::Head;

/// Softmax of one row of logits, in f64.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|z| f64::from(z - peak).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// Index of the first largest.
fn best(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best })
}

/// What is predicted of one row for one task.
enum Prediction<'m> {
    /// The class, and the probability of each.
    Class(&'m str, Vec<f64>),
    /// A probability or a number for each column.
    Numbers(Vec<f64>),
}

/// A task of a model.
struct Predicted<'m> {
    head: &'m Head,
    target: &'m Target,
    logits: &'m [f32],
}

fn tasks<'m>(model: &'m Model, logits: &'m [Vec<f32>]) -> Vec<Predicted<'m>> {
    let heads = model.network.tasks.iter().zip(&model.schema.targets).zip(logits);
    heads.map(|((head, target), logits)| Predicted { head, target, logits }).collect()
}

impl<'m> Predicted<'m> {
    fn logits(&self, row: usize) -> &'m [f32] {
        let outputs = self.head.outputs();
        &self.logits[row * outputs..][..outputs]
    }

    fn of(&self, row: usize) -> Prediction<'m> {
        let z = self.logits(row);
        match self.head.kind {
            TaskKind::Multiclass => Prediction::Class(&self.head.classes[best(z)], softmax(z)),
            TaskKind::Binary => {
                let p = probability(z[0]);
                Prediction::Class(&self.head.classes[usize::from(p > self.head.threshold())], vec![probability(-z[0]), p])
            }
            TaskKind::Multilabel => Prediction::Numbers(z.iter().map(|z| probability(*z)).collect()),
            TaskKind::Regression => {
                let back = |(z, scale): (&f32, &Scaling)| {
                    let (z, unit) = (f64::from(*z), 1.0 / scale.factor);
                    rounded(z * unit + scale.offset, z * unit)
                };
                Prediction::Numbers(z.iter().zip(&self.target.scales).map(back).collect())
            }
            TaskKind::Count => {
                let count = f64::from(z[0]).exp();
                Prediction::Numbers(vec![rounded(count, count)])
            }
        }
    }

    /// Names of its numbers: classes, or columns where there are several.
    fn names(&self) -> &'m [String] {
        match self.head.kind {
            TaskKind::Multiclass | TaskKind::Binary => &self.head.classes,
            TaskKind::Multilabel => &self.head.columns,
            TaskKind::Regression if self.head.columns.len() > 1 => &self.head.columns,
            TaskKind::Regression | TaskKind::Count => &[],
        }
    }

    /// Whether there is a column with the name of the task alone.
    fn has_own(&self) -> bool {
        self.names().is_empty() || !self.head.classes.is_empty()
    }

    /// Names of its logits: those of its numbers, or of the one that there is.
    fn logit_names(&self) -> Vec<String> {
        let name = &self.head.name;
        match (self.head.kind, self.names()) {
            (TaskKind::Binary, [_, positive]) => vec![format!("{name}:logit:{positive}")],
            (_, []) => vec![format!("{name}:logit")],
            (_, names) => names.iter().map(|column| format!("{name}:logit:{column}")).collect(),
        }
    }
}

fn header(model: &Model, data: &Dataset, with_logits: bool) -> Vec<String> {
    let mut columns = data.table.as_ref().map_or(vec!["row".to_string()], |t| t.header.clone());
    let logits = vec![Vec::new(); model.network.tasks.len()];
    for task in tasks(model, &logits) {
        let name = &task.head.name;
        let own = task.has_own().then(|| name.clone());
        let numbers = task.names().iter().map(|column| format!("{name}:{column}"));
        let logits = if with_logits { task.logit_names() } else { Vec::new() };
        for wanted in own.into_iter().chain(numbers).chain(logits) {
            let free = free(&columns, wanted);
            columns.push(free);
        }
    }
    columns
}

/// The name, or where a column has it already `NAME:predicted`, `NAME:predicted:2`, …
fn free(columns: &[String], wanted: String) -> String {
    let predicted = |n: usize| if n == 1 { format!("{wanted}:predicted") } else { format!("{wanted}:predicted:{n}") };
    let names = std::iter::once(wanted.clone()).chain((1..=columns.len() + 1).map(predicted));
    names.into_iter().find(|name| !columns.contains(name)).unwrap_or(wanted)
}

/// What stands in a column of a row.
enum Cell<'d> {
    /// A text, as in the input or the name of a class.
    Text(Cow<'d, str>),
    /// A number of the input, in the text that it has there; "" if it is blank.
    Input(Cow<'d, str>),
    /// A probability.
    Share(f64),
    /// A number.
    Number(f64),
    /// A logit.
    Logit(f32),
}

/// `x` without the digits that an f32 of the size of `part` does not know.
fn rounded(x: f64, part: f64) -> f64 {
    let unit = part.abs().max(f64::MIN_POSITIVE) * f64::from(f32::EPSILON) / 4.0;
    let digits = (-unit.log10()).ceil().clamp(0.0, 17.0) as usize;
    format!("{x:.digits$}").parse().unwrap_or(x)
}

impl Cell<'_> {
    /// As a field of CSV, quotes included where it needs them.
    fn csv(&self) -> Cow<'_, str> {
        match self {
            Cell::Text(text) => quoted(text),
            Cell::Input(text) => Cow::Borrowed(text),
            // The shortest text that is the same f32: more digits would say what is not known.
            Cell::Share(p) if *p < 1e-5 => format!("{:e}", *p as f32).into(),
            Cell::Share(p) => (*p as f32).to_string().into(),
            Cell::Number(x) => x.to_string().into(),
            Cell::Logit(z) => format!("{z:e}").into(),
        }
    }

    /// As a number; NaN for a blank or a text. An f32 is the shortest number that is the same one.
    fn number(&self) -> f64 {
        match self {
            Cell::Text(_) => f64::NAN,
            Cell::Input(text) => text.parse().unwrap_or(f64::NAN),
            Cell::Share(p) => *p,
            Cell::Number(x) => *x,
            Cell::Logit(x) => x.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    fn json(&self) -> Value {
        match self {
            Cell::Text(text) => json!(text),
            other => json!(other.number()),
        }
    }
}

/// A field of CSV. A text that a spreadsheet would take for a formula is quoted, so that it stays what it was.
fn quoted(text: &str) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err();
    if !is_formula && !text.contains([',', '"', '\n', '\r']) {
        return Cow::Borrowed(text);
    }
    format!("\"{}\"", text.replace('"', "\"\"")).into()
}

fn record<'d>(tasks: &[Predicted<'d>], data: &'d Dataset, row: usize, with_logits: bool) -> Vec<Cell<'d>> {
    let mut cells: Vec<Cell> = match &data.table {
        Some(table) => {
            let cell = |(column, text)| if table.holds_numbers(column) { Cell::Input(text) } else { Cell::Text(text) };
            table.record(row).enumerate().map(cell).collect()
        }
        None => vec![Cell::Input(row.to_string().into())],
    };
    for task in tasks {
        match task.of(row) {
            Prediction::Class(class, probabilities) => {
                cells.push(Cell::Text(class.into()));
                cells.extend(probabilities.into_iter().map(Cell::Share));
            }
            Prediction::Numbers(numbers) if task.head.kind == TaskKind::Multilabel => cells.extend(numbers.into_iter().map(Cell::Share)),
            Prediction::Numbers(numbers) => cells.extend(numbers.into_iter().map(Cell::Number)),
        }
        if with_logits {
            cells.extend(task.logits(row).iter().map(|z| Cell::Logit(*z)));
        }
    }
    cells
}

/// How the table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line of names, then a line a row.
    Csv,
    /// A JSON object a line; texts are strings, numbers are numbers, blanks of arrays are null.
    Jsonl,
    /// Texts and numbers, blanks of arrays being NaN.
    Parquet,
}

impl Format {
    /// The format of a file by its ending; CSV, if it is none that is known.
    pub fn of(path: &Path) -> Format {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
        match &*ending {
            "jsonl" | "ndjson" => Format::Jsonl,
            "parquet" => Format::Parquet,
            _ => Format::Csv,
        }
    }
}

/// Bytes of text that are predicted at a time.
pub const CHUNK: u64 = 64 << 20;

/// Where predictions are written row by row: a table in memory would be as large as the file.
pub struct Sheet<'m, W: Write> {
    model: &'m Model,
    with_logits: bool,
    format: Format,
    names: Vec<String>,
    to: To<W>,
    /// Rows that were written.
    pub rows: usize,
}

/// What is written to; its head has been.
enum To<W: Write> {
    Lines(W),
    /// With whether each column is of text.
    Parquet(Writer<W>, Vec<bool>),
}

impl<'m, W: Write> Sheet<'m, W> {
    /// Begins a table with the columns of some rows and what is predicted of them.
    pub fn new(mut to: W, model: &'m Model, data: &Dataset, format: Format, with_logits: bool) -> std::io::Result<Self> {
        let names = header(model, data, with_logits);
        let to = match format {
            Format::Parquet => {
                let logits: Vec<Vec<f32>> = model.network.tasks.iter().map(|head| vec![0.0; head.outputs()]).collect();
                let first = record(&tasks(model, &logits), data, 0, with_logits);
                let texts: Vec<bool> = first.iter().map(|cell| matches!(cell, Cell::Text(_))).collect();
                To::Parquet(Writer::new(to, names.iter().cloned().zip(texts.iter().copied()).collect())?, texts)
            }
            Format::Csv => {
                writeln!(to, "{}", names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(","))?;
                To::Lines(to)
            }
            Format::Jsonl => To::Lines(to),
        };
        Ok(Sheet { model, with_logits, format, names, to, rows: 0 })
    }

    /// Adds rows; `logits` per task [rows, outputs].
    pub fn add(&mut self, data: &Dataset, logits: &[Vec<f32>]) -> std::io::Result<()> {
        let tasks = tasks(self.model, logits);
        for row in 0..data.rows {
            let cells = record(&tasks, data, row, self.with_logits);
            match &mut self.to {
                To::Parquet(writer, texts) => {
                    cells.iter().zip(texts).enumerate().for_each(|(column, (cell, is_text))| match (is_text, cell) {
                        (true, Cell::Text(text)) => writer.text(column, text),
                        (true, other) => writer.text(column, &other.csv()),
                        (false, cell) => writer.number(column, cell.number()),
                    });
                    writer.end_row()?;
                }
                To::Lines(to) => writeln!(to, "{}", line(self.format, &self.names, &cells))?,
            }
        }
        self.rows += data.rows;
        Ok(())
    }

    /// Ends the table.
    pub fn finish(self) -> std::io::Result<()> {
        match self.to {
            To::Parquet(writer, _) => writer.finish(),
            To::Lines(mut to) => to.flush(),
        }
    }
}

/// A row as a line of text.
fn line(format: Format, names: &[String], cells: &[Cell]) -> String {
    if format == Format::Jsonl {
        let object: Map<String, Value> = names.iter().cloned().zip(cells.iter().map(Cell::json)).collect();
        return Value::Object(object).to_string();
    }
    let mut line = String::new();
    for (i, cell) in cells.iter().enumerate() {
        line.push_str(if i > 0 { "," } else { "" });
        line.push_str(&cell.csv());
    }
    // A line of nothing would be no row.
    if line.is_empty() { "\"\"".to_owned() } else { line }
}

/// The table as JSON: a list of rows.
pub fn json(model: &Model, data: &Dataset, logits: &[Vec<f32>], with_logits: bool) -> Value {
    let tasks = tasks(model, logits);
    let named =
        |names: &[String], values: &[f64]| -> Map<String, Value> { names.iter().cloned().zip(values.iter().map(|v| json!(v))).collect() };
    let entry = |row: usize| {
        let mut map = Map::new();
        for task in &tasks {
            let mut value = match task.of(row) {
                Prediction::Class(class, probabilities) => json!({"class": class, "probabilities": named(task.names(), &probabilities)}),
                Prediction::Numbers(numbers) if task.names().is_empty() => json!({"value": numbers[0]}),
                Prediction::Numbers(numbers) if task.head.kind == TaskKind::Multilabel => {
                    json!({"probabilities": named(task.names(), &numbers)})
                }
                Prediction::Numbers(numbers) => json!({"values": named(task.names(), &numbers)}),
            };
            if with_logits {
                value["logits"] = json!(task.logits(row));
            }
            map.insert(task.head.name.clone(), value);
        }
        Value::Object(map)
    };
    json!({"rows": data.rows, "predictions": (0..data.rows).map(entry).collect::<Vec<_>>()})
}
