//! Predictions as a table: one row out per row in, same order, input columns kept, new columns named after the tasks.
//!
//! Per task `NAME` (the class) and `NAME:CLASS` (its probability, for every class); with logits also `NAME:logit:CLASS`. Where the input has a
//! column of that name, as labelled files do, the new one is called `NAME:predicted`.

use std::io::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::data::Dataset;
use crate::fault::{Exit, Fault};
use crate::model::file::Model;

/// Softmax of one row of logits, in f64.
fn probabilities(logits: &[f32]) -> Vec<f64> {
    let peak = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|z| f64::from(z - peak).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// Index of the first largest.
fn best(logits: &[f32]) -> usize {
    (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best })
}

fn row_of(model: &Model, logits: &[Vec<f32>], task: usize, row: usize) -> Vec<f32> {
    let classes = model.network.tasks[task].classes.len();
    logits[task][row * classes..(row + 1) * classes].to_vec()
}

fn header(model: &Model, data: &Dataset, with_logits: bool) -> Vec<String> {
    let mut columns = data.table.as_ref().map_or(vec!["row".to_string()], |t| t.header.clone());
    for head in &model.network.tasks {
        let taken = columns.contains(&head.name);
        columns.push(if taken { format!("{}:predicted", head.name) } else { head.name.clone() });
        columns.extend(head.classes.iter().map(|c| format!("{}:{c}", head.name)));
        if with_logits {
            columns.extend(head.classes.iter().map(|c| format!("{}:logit:{c}", head.name)));
        }
    }
    columns
}

fn record(model: &Model, data: &Dataset, logits: &[Vec<f32>], row: usize, with_logits: bool) -> Vec<String> {
    let mut cells: Vec<String> = match &data.table {
        Some(table) => table.record(row).map(String::from).collect(),
        None => vec![row.to_string()],
    };
    for (task, head) in model.network.tasks.iter().enumerate() {
        let z = row_of(model, logits, task, row);
        cells.push(head.classes[best(&z)].clone());
        cells.extend(probabilities(&z).iter().map(|p| format!("{p:.7}")));
        if with_logits {
            cells.extend(z.iter().map(|z| format!("{z:e}")));
        }
    }
    cells
}

fn write(to: impl Write, model: &Model, data: &Dataset, logits: &[Vec<f32>], with_logits: bool) -> csv::Result<()> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(header(model, data, with_logits))?;
    for row in 0..data.rows {
        writer.write_record(record(model, data, logits, row, with_logits))?;
    }
    Ok(writer.flush()?)
}

/// Writes the table to a file.
pub fn write_file(path: &Path, model: &Model, data: &Dataset, logits: &[Vec<f32>], with_logits: bool) -> Result<()> {
    let create = |e| Fault::new(Exit::CantCreate, format!("{}: cannot be created: {e}", path.display())).hint("choose another --out");
    let file = std::fs::File::create(path).map_err(create)?;
    let failed = |e| Fault::new(Exit::Io, format!("{}: {e}", path.display())).hint("is the disk full?");
    Ok(write(std::io::BufWriter::new(file), model, data, logits, with_logits).map_err(failed)?)
}

/// Writes the table to stdout. A closed pipe ends it without an error.
pub fn write_stdout(model: &Model, data: &Dataset, logits: &[Vec<f32>], with_logits: bool) -> Result<()> {
    match write(std::io::stdout().lock(), model, data, logits, with_logits) {
        Err(e) => match e.kind() {
            csv::ErrorKind::Io(io) if io.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            _ => Err(Fault::new(Exit::Io, format!("stdout: {e}")).into()),
        },
        Ok(()) => Ok(()),
    }
}

/// The table as JSON: a list of rows.
pub fn json(model: &Model, logits: &[Vec<f32>], with_logits: bool) -> Value {
    let rows = logits.first().map_or(0, |l| l.len() / model.network.tasks[0].classes.len());
    let entry = |row: usize| {
        let mut map = Map::new();
        for (task, head) in model.network.tasks.iter().enumerate() {
            let z = row_of(model, logits, task, row);
            let named = |values: Vec<f64>| -> Map<String, Value> {
                head.classes.iter().cloned().zip(values.into_iter().map(|v| json!(v))).collect()
            };
            let mut value = json!({"class": head.classes[best(&z)], "probabilities": named(probabilities(&z))});
            if with_logits {
                value["logits"] = Value::Object(named(z.iter().map(|z| f64::from(*z)).collect()));
            }
            map.insert(head.name.clone(), value);
        }
        Value::Object(map)
    };
    json!({"rows": rows, "predictions": (0..rows).map(entry).collect::<Vec<_>>()})
}
