//! `evaluate` and `predict`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::console::Console;
use super::{Common, Weights};
use crate::data::Dataset;
use crate::data::load::load_with;
use crate::fault::{Exit, Fault, quoted};
use crate::model::file::Model;
use crate::model::network::Head;
use crate::objective::Objective;
use crate::run::apply::{Applied, apply};
use crate::run::machine::Machine;
use crate::run::measure;
use crate::run::point::tasks_json;
use crate::run::predict::{self, Format, Rows};

/// Most classes of a task whose confusion matrix is printed.
const MOST_CLASSES: usize = 12;

fn open(model: &Model, data: &str, labelled: bool, common: &Common, console: &Console) -> Result<(Dataset, Applied)> {
    let (dataset, _) = load_with(&model.schema, data, labelled)?;
    let machine = Machine::open(&common.wish())?;
    console.machine(&machine);
    let applied = apply(model, &dataset, machine)?;
    Ok((dataset, applied))
}

pub(super) fn evaluate(model: &Model, data: &str, common: &Common, console: &Console) -> Result<()> {
    let (dataset, mut applied) = open(model, data, true, common, console)?;
    let labelled = labelled(model, &dataset, data, console)?;
    let measured = applied.evaluate(&model.network, &Objective::plain(&model.network))?;
    let points = measure::tasks(&model.network, &model.schema, &dataset, &measured);
    let confusions = measure::confusions(&model.network, &model.schema, &dataset, &measured);
    if console.json {
        let mut tasks = tasks_json(&model.network, &points, true);
        for ((head, labelled), confusion) in model.network.tasks.iter().zip(&labelled).zip(confusions) {
            match (labelled, tasks.as_object_mut()) {
                (false, Some(tasks)) => drop(tasks.shift_remove(&head.name)),
                _ => confusion.into_iter().for_each(|table| {
                    tasks[&head.name]["classes"] = json!(head.classes);
                    tasks[&head.name]["confusion"] = json!(table);
                }),
            }
        }
        return console.result_json(&json!({"rows": dataset.rows, "loss": measured.loss, "tasks": tasks}));
    }
    let width = model.network.tasks.iter().map(|t| t.name.len()).max().unwrap_or(4).max(8);
    let mut text = format!("{:width$} {:>8} {:>10}  metrics", "task", "rows", "loss");
    for ((head, task), _) in model.network.tasks.iter().zip(&points).zip(&labelled).filter(|(_, labelled)| **labelled) {
        let metrics: Vec<String> = task.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        text += &format!("\n{:width$} {:>8} {:>10.4}  {}", head.name, task.rows, task.loss, metrics.join(", "));
    }
    text += &format!("\n{:width$} {:>8} {:>10.4}", "sum", dataset.rows, measured.loss);
    for ((head, _), table) in model.network.tasks.iter().zip(&labelled).zip(confusions).filter(|((_, labelled), _)| **labelled) {
        if let Some(table) = table.filter(|table| console.verbose && table.len() <= MOST_CLASSES) {
            text += &format!("\n\n{}, a line a label, a column a prediction\n{}", head.name, confusion(head, &table));
        }
    }
    console.result(&text)
}

/// Which tasks have a label in the data; those that have none are named.
fn labelled(model: &Model, dataset: &Dataset, data: &str, console: &Console) -> Result<Vec<bool>> {
    let (mut column, mut found, mut notes) = (0, Vec::new(), Vec::new());
    for (head, target) in model.network.tasks.iter().zip(&model.schema.targets) {
        let own = column..column + head.cells();
        column = own.end;
        found.push(own.into_iter().any(|column| dataset.labelled(column) > 0));
        if found.last() == Some(&false) {
            let is_there = |name: &&String| dataset.table.as_ref().is_none_or(|table| table.header.contains(name));
            let gone: Vec<String> = target.columns.iter().filter(|name| !is_there(name)).map(|name| quoted(name)).collect();
            let why = if gone.is_empty() { "no row is labelled".to_owned() } else { format!("there is no column {}", gone.join(", ")) };
            notes.push(format!("task {} is left out: {why}", head.name));
        }
    }
    if found.contains(&true) {
        notes.iter().for_each(|note| console.note(note));
        return Ok(found);
    }
    Err(Fault::data(data, "no row has a label for any task").hint("give labelled data, or use tandem predict").into())
}

/// Weights of rows by label and by what was predicted.
fn confusion(head: &Head, table: &[Vec<f64>]) -> String {
    let mut lines = vec![std::iter::once(String::new()).chain(head.classes.iter().cloned()).collect::<Vec<_>>()];
    for (class, row) in head.classes.iter().zip(table) {
        lines.push(std::iter::once(class.clone()).chain(row.iter().map(f64::to_string)).collect());
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..=head.classes.len()).map(width).collect();
    let cell = |(column, text): (usize, &String)| match column {
        0 => format!("{text:<0$}", widths[0]),
        _ => format!("{text:>0$}", widths[column]),
    };
    lines.iter().map(|line| line.iter().enumerate().map(cell).collect::<Vec<_>>().join("  ")).collect::<Vec<_>>().join("\n")
}

/// What is wanted of a prediction.
pub(super) struct Wanted {
    /// Where rows are written; stdout if absent.
    pub out: Option<PathBuf>,
    /// How, if not by the ending of `out`.
    pub format: Option<Format>,
    /// Logits too.
    pub logits: bool,
    /// What the model may hold.
    pub weights: Weights,
}

pub(super) fn predict(path: &Path, data: &str, wanted: &Wanted, common: &Common, console: &Console) -> Result<()> {
    let Wanted { out, format, logits: with_logits, weights } = wanted;
    if console.json && out.is_none() && format.is_some() {
        let fault = Fault::new(Exit::Usage, "--json and --format both say what is printed");
        return Err(fault.hint("leave one of the two out, or write to a file with --out").into());
    }
    if out.is_none() && *format == Some(Format::Parquet) {
        let fault = Fault::new(Exit::Usage, "--format parquet: stdout is for text");
        return Err(fault.hint("name a file with --out").into());
    }
    let same = |out: &Path| Some(out.canonicalize().ok()? == Path::new(data).canonicalize().ok()?);
    if let Some(out) = out.as_deref().filter(|out| same(out) == Some(true)) {
        let fault = Fault::new(Exit::CantCreate, format!("{}: is the data that is to be read", out.display()));
        return Err(fault.hint("choose another --out").into());
    }
    let model = weights.load(path, console)?;
    let (data, mut applied) = open(&model, data, false, common, console)?;
    let logits = applied.evaluate(&model.network, &Objective::plain(&model.network))?.logits;
    let format = format.unwrap_or_else(|| out.as_deref().map_or(Format::Csv, Format::of));
    let rows = Rows { model: &model, data: &data, logits: &logits, with_logits: *with_logits, format };
    if let Some(out) = out {
        rows.write_file(out)?;
        if console.json {
            return console.result_json(&json!({"rows": data.rows, "out": out}));
        }
        console.note(&format!("{} rows written to {}", data.rows, out.display()));
        return Ok(());
    }
    if console.json {
        return console.result_json(&predict::json(&model, &data, &logits, *with_logits));
    }
    rows.write_stdout()
}
