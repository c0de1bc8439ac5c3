//! Predictions as a table: one row out per row in, in the same order; the input columns are kept,
//! and the new columns are named after the tasks.
//!
//! A task with classes has the columns `NAME` (the class) and `NAME:CLASS` (the probability of each
//! class). A task with several label columns has `NAME:COLUMN` for each: a probability (multilabel)
//! or a number in the units of the data (regression); with a single one it has `NAME`. A count has
//! its rate in `NAME`. Logits are in `NAME:logit`, `NAME:logit:CLASS` or `NAME:logit:COLUMN`. If
//! the input has a column of such a name, as labelled files do, the new one is `NAME:predicted`.

use std::borrow::Cow;
use std::io::Write;

use serde_json::{Map, Value, json};

use crate::config::TaskKind;
use crate::data::table::shape::CellKind;
use crate::data::table::wholes::Width;
use crate::data::write::csv;
use crate::data::write::parquet::Writer;
use crate::data::{Dataset, Table};
use crate::model::file::Model;
pub use crate::run::apply::output::Format;
use crate::run::apply::predicted::{Predicted, Prediction, tasks};
use crate::run::apply::sentences;

/// Names of all columns of the table.
fn header(model: &Model, data: &Dataset, with_logits: bool) -> Vec<String> {
    let mut columns = data.table.as_ref().map_or(vec!["row".to_string()], |t| t.header.clone());
    let logits = vec![Vec::new(); model.network.tasks.len()];
    for task in tasks(model, None, &logits) {
        let name = &task.head.name;
        let own = task.has_task_column().then(|| name.clone());
        let numbers = task.names().iter().map(|column| format!("{name}:{column}"));
        let logits = if with_logits { task.logit_names() } else { Vec::new() };
        for wanted in own.into_iter().chain(numbers).chain(logits) {
            let free = free(&columns, wanted);
            columns.push(free);
        }
    }
    columns
}

/// The wanted name, or `NAME:predicted`, `NAME:predicted:2`, … if a column has it already.
pub(crate) fn free(columns: &[String], wanted: String) -> String {
    let predicted = |n: usize| {
        if n == 1 { format!("{wanted}:predicted") } else { format!("{wanted}:predicted:{n}") }
    };
    let names = std::iter::once(wanted.clone()).chain((1..=columns.len() + 1).map(predicted));
    names.into_iter().find(|name| !columns.contains(name)).unwrap_or(wanted)
}

/// A cell of the table.
enum Cell<'d> {
    /// A text of the input, or the name of a class.
    Text(Cow<'d, str>),
    /// A number of the input, as its text there; "" if it is blank.
    Input(Cow<'d, str>),
    /// A whole number of the input; `None` if it is blank.
    Whole(Option<i128>),
    /// A probability.
    Share(f64),
    /// A number.
    Number(f64),
    /// A logit.
    Logit(f32),
}

impl Cell<'_> {
    /// The cell as a field of CSV or TSV, quoted where it needs quotes.
    fn field(&self, delimiter: char) -> Cow<'_, str> {
        match self {
            Cell::Text(text) => csv::field(text, delimiter),
            Cell::Input(text) => Cow::Borrowed(text),
            Cell::Whole(number) => number.map(|n| n.to_string()).unwrap_or_default().into(),
            // The shortest text of the same f32: more digits would be noise.
            Cell::Share(p) if *p < 1e-5 => format!("{:e}", *p as f32).into(),
            Cell::Share(p) => (*p as f32).to_string().into(),
            Cell::Number(x) => x.to_string().into(),
            Cell::Logit(z) => format!("{z:e}").into(),
        }
    }

    /// The cell as a number; NaN for a blank or a text. A logit becomes the shortest decimal number
    /// that rounds to the same f32.
    fn number(&self) -> f64 {
        match self {
            Cell::Text(_) => f64::NAN,
            Cell::Input(text) => text.parse().unwrap_or(f64::NAN),
            Cell::Whole(number) => number.map_or(f64::NAN, |n| n as f64),
            Cell::Share(p) => *p,
            Cell::Number(x) => *x,
            Cell::Logit(x) => x.to_string().parse().unwrap_or(f64::NAN),
        }
    }

    /// The cell as JSON; a whole number keeps all of its digits.
    fn json(&self) -> String {
        match self {
            Cell::Text(text) => json!(text).to_string(),
            Cell::Whole(number) => number.map_or_else(|| "null".to_owned(), |n| n.to_string()),
            other => json!(other.number()).to_string(),
        }
    }
}

/// The cells of a row: those of the input, then those of the predictions.
fn record<'d>(
    tasks: &[Predicted<'d>],
    data: &'d Dataset,
    row: usize,
    with_logits: bool,
) -> Vec<Cell<'d>> {
    let mut cells: Vec<Cell> = match &data.table {
        Some(table) => {
            let cell = |column: usize| match table.kind(column) {
                CellKind::Text => Cell::Text(table.cell(row, column)),
                CellKind::Numbers => Cell::Input(table.cell(row, column)),
                CellKind::Wholes(_) => Cell::Whole(table.whole(row, column)),
            };
            (0..table.header.len()).map(cell).collect()
        }
        None => vec![Cell::Whole(Some(row as i128))],
    };
    for task in tasks {
        match task.prediction(row) {
            Prediction::Class(class, probabilities) => {
                cells.push(Cell::Text(class.into()));
                cells.extend(probabilities.into_iter().map(Cell::Share));
            }
            Prediction::Tag(tag) => cells.push(Cell::Text(tag.into())),
            Prediction::Numbers(numbers) if task.head.kind == TaskKind::Multilabel => {
                cells.extend(numbers.into_iter().map(Cell::Share))
            }
            Prediction::Numbers(numbers) => cells.extend(numbers.into_iter().map(Cell::Number)),
        }
        if with_logits {
            cells.extend(task.logits(row).iter().map(|z| Cell::Logit(*z)));
        }
    }
    cells
}

/// Bytes of the input that are read and predicted at a time.
pub const CHUNK: u64 = 64 << 20;

/// A table of predictions that is written row by row: in memory it would be as large as the file.
pub struct Sheet<'m, W: Write> {
    model: &'m Model,
    with_logits: bool,
    format: Format,
    names: Vec<String>,
    to: To<W>,
    /// Number of rows written so far.
    pub rows: usize,
}

/// The writer of the rows, after the header.
enum To<W: Write> {
    Lines(W),
    /// Sentences as they were read.
    Sentences(W),
    Parquet(Writer<W>),
}

impl<'m, W: Write> Sheet<'m, W> {
    /// Begins a table, with the input columns that `data` has.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn new(
        mut to: W,
        model: &'m Model,
        data: &Dataset,
        format: Format,
        with_logits: bool,
    ) -> std::io::Result<Self> {
        let names = header(model, data, with_logits);
        let to = match format {
            Format::Parquet => {
                let logits: Vec<Vec<f32>> =
                    model.network.tasks.iter().map(|head| vec![0.0; head.outputs()]).collect();
                let first = record(&tasks(model, None, &logits), data, 0, with_logits);
                let kind = |(column, cell): (usize, &Cell)| match cell {
                    Cell::Text(_) => CellKind::Text,
                    Cell::Whole(_) => data
                        .table
                        .as_ref()
                        .map_or(CellKind::Wholes(Width::Signed), |table| table.kind(column)),
                    _ => CellKind::Numbers,
                };
                let kinds = first.iter().enumerate().map(kind);
                To::Parquet(Writer::new(to, names.iter().cloned().zip(kinds).collect())?)
            }
            Format::Csv | Format::Tsv => {
                let delimiter = delimiter(format);
                writeln!(to, "{}", csv::line(names.iter().map(String::as_str), delimiter))?;
                To::Lines(to)
            }
            Format::Jsonl => To::Lines(to),
            Format::Conll => To::Sentences(to),
        };
        Ok(Sheet { model, with_logits, format, names, to, rows: 0 })
    }

    /// Adds the rows of `data`; `logits` are [rows, outputs] for each task.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn add(&mut self, data: &Dataset, logits: &[Vec<f32>]) -> std::io::Result<()> {
        let tasks = tasks(self.model, data.tokens.as_deref(), logits);
        if let To::Sentences(to) = &mut self.to {
            let written = data.table.as_ref().map_or(&[][..], Table::written);
            sentences::write(to, &tasks, written)?;
            self.rows += data.rows;
            return Ok(());
        }
        for row in 0..data.rows {
            let cells = record(&tasks, data, row, self.with_logits);
            match &mut self.to {
                To::Parquet(writer) => {
                    cells.iter().enumerate().for_each(|(column, cell)| match cell {
                        Cell::Text(text) => writer.text(column, text),
                        Cell::Whole(number) => writer.whole(column, *number),
                        cell => writer.number(column, cell.number()),
                    });
                    writer.end_row()?;
                }
                To::Sentences(_) => {}
                To::Lines(to) => writeln!(to, "{}", line(self.format, &self.names, &cells))?,
            }
        }
        self.rows += data.rows;
        Ok(())
    }

    /// Ends the table.
    ///
    /// # Errors
    /// Errors of the writer.
    pub fn finish(self) -> std::io::Result<()> {
        match self.to {
            To::Parquet(writer) => writer.finish(),
            To::Lines(mut to) | To::Sentences(mut to) => to.flush(),
        }
    }
}

/// The character between the cells of a line.
fn delimiter(format: Format) -> char {
    if format == Format::Tsv { '\t' } else { ',' }
}

/// A row as a line of text.
fn line(format: Format, names: &[String], cells: &[Cell]) -> String {
    if format == Format::Jsonl {
        let members: Vec<String> = names
            .iter()
            .zip(cells)
            .map(|(name, cell)| format!("{}:{}", json!(name), cell.json()))
            .collect();
        return format!("{{{}}}", members.join(","));
    }
    let mut line = String::new();
    for (i, cell) in cells.iter().enumerate() {
        line.extend((i > 0).then_some(delimiter(format)));
        line.push_str(&cell.field(delimiter(format)));
    }
    // An empty line would not count as a row.
    if line.is_empty() { "\"\"".to_owned() } else { line }
}

/// All predictions as one JSON document: a list of rows. `logits` are [rows, outputs] for each
/// task.
pub fn json(model: &Model, data: &Dataset, logits: &[Vec<f32>], with_logits: bool) -> Value {
    let tasks = tasks(model, data.tokens.as_deref(), logits);
    let named = |names: &[String], values: &[f64]| -> Map<String, Value> {
        names.iter().cloned().zip(values.iter().map(|v| json!(v))).collect()
    };
    let entry = |row: usize| {
        let mut map = Map::new();
        for task in &tasks {
            let mut value = match task.prediction(row) {
                Prediction::Class(class, probabilities) => {
                    json!({"class": class, "probabilities": named(task.names(), &probabilities)})
                }
                Prediction::Tag(tag) => json!({"class": tag}),
                Prediction::Numbers(numbers) if task.names().is_empty() => {
                    json!({"value": numbers[0]})
                }
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
