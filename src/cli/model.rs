//! `evaluate` and `predict`.

use std::path::Path;

use anyhow::Result;
use serde_json::json;

use super::Common;
use super::console::Console;
use crate::data::Dataset;
use crate::data::load::load_with;
use crate::model::file::{self, Model};
use crate::objective::Objective;
use crate::run::apply::{Applied, apply};
use crate::run::machine::Machine;
use crate::run::measure;
use crate::run::point::tasks_json;
use crate::run::predict;

fn open(model: &Path, data: &str, labelled: bool, common: &Common, console: &Console) -> Result<(Model, Dataset, Applied)> {
    let model = file::load(model)?;
    let (dataset, _) = load_with(&model.schema, data, labelled)?;
    let machine = Machine::open(&common.wish())?;
    console.machine(&machine);
    let applied = apply(&model, &dataset, machine)?;
    Ok((model, dataset, applied))
}

pub(super) fn evaluate(path: &Path, data: &str, common: &Common, console: &Console) -> Result<()> {
    let (model, dataset, mut applied) = open(path, data, true, common, console)?;
    let measured = applied.evaluate(&model.network, &Objective::plain(&model.network))?;
    let tasks = measure::tasks(&model.network, &model.schema, &dataset, &measured);
    if console.json {
        let value = json!({"rows": dataset.rows, "loss": measured.loss, "tasks": tasks_json(&model.network, &tasks, true)});
        return console.result_json(&value);
    }
    let width = model.network.tasks.iter().map(|t| t.name.len()).max().unwrap_or(4).max(8);
    let mut text = format!("{:width$} {:>8} {:>10}  metrics", "task", "rows", "loss");
    for (head, task) in model.network.tasks.iter().zip(&tasks) {
        let metrics: Vec<String> = task.metrics.iter().map(|(name, value)| format!("{name} {value:.4}")).collect();
        text += &format!("\n{:width$} {:>8} {:>10.4}  {}", head.name, task.rows, task.loss, metrics.join(", "));
    }
    console.result(&format!("{text}\n{:width$} {:>8} {:>10.4}", "sum", dataset.rows, measured.loss))
}

pub(super) fn predict(path: &Path, data: &str, out: Option<&Path>, logits: bool, common: &Common, console: &Console) -> Result<()> {
    let (model, dataset, mut applied) = open(path, data, false, common, console)?;
    let rows = applied.evaluate(&model.network, &Objective::plain(&model.network))?.logits;
    if let Some(out) = out {
        predict::write_file(out, &model, &dataset, &rows, logits)?;
        if console.json {
            return console.result_json(&json!({"rows": dataset.rows, "out": out}));
        }
        console.note(&format!("{} rows written to {}", dataset.rows, out.display()));
        return Ok(());
    }
    if console.json {
        return console.result_json(&predict::json(&model, &dataset, &rows, logits));
    }
    predict::write_stdout(&model, &dataset, &rows, logits)
}
