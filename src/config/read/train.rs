//! `[train]`

use toml::Value;

use super::item::{Item, MOST, POSITIVE, Result};
use super::known::TRAIN;
use super::section::Section;
use crate::config::{BatchSize, Data, Every, Interval, OnNan, Precision, Select, Task, Term, Train};
use crate::fault::Fault;

/// Reads `[train]`; what validation decides is refused where there is none.
pub(super) fn read(root: &mut Section, data: &Data, tasks: &[Task]) -> Result<Train> {
    let mut section = root.section("train", TRAIN)?;
    let train = Train {
        epochs: section.read("epochs", 20, |item| item.count(1..=MOST))?,
        max_steps: section.maybe("max_steps", |item| item.count(1..=MOST))?,
        max_time: section.maybe("max_time", |item| item.seconds())?,
        batch_size: section.read("batch_size", BatchSize::Rows(128), batch_size)?,
        seed: section.read("seed", 0, |item| item.seed())?,
        patience: patience(&mut section, data)?,
        select: select(&mut section, data, tasks)?,
        log_every: section.read("log_every", Every::Epochs(1), |item| item.every())?,
        checkpoint_every: section.read("checkpoint_every", Interval::Minutes(10.0), |item| item.interval())?,
        keep: section.read("keep", 2, |item| item.count(1..=MOST))? as usize,
        on_nan: section.read("on_nan", OnNan::Stop, |item| item.word())?,
        accumulate: section.read("accumulate", 1, |item| item.count(1..=MOST))? as usize,
        precision: section.read("precision", Precision::F32, |item| item.word())?,
    };
    if train.batch_size == BatchSize::Full && data.shuffle_window.is_some() {
        let message = "has no effect, since train.batch_size is \"full\" and nothing is shuffled";
        return Err(Fault::config("data.shuffle_window", message).hint("leave it out, or give batches of some rows"));
    }
    section.finish().map(|()| train)
}

/// Why nothing can be stopped early or picked.
const NO_VALIDATION: &str = "there is no validation data";
/// What to do about it.
const GIVE_VALIDATION: &str = "give data.valid or a share of data.split, or leave it out";

/// `patience`
fn patience(section: &mut Section, data: &Data) -> Result<u64> {
    let patience = section.read("patience", 0, |item| item.count(0..=MOST))?;
    match patience > 0 && !data.has_validation() {
        true => Err(section.fault("patience", format!("has no effect, since {NO_VALIDATION}")).hint(GIVE_VALIDATION)),
        false => Ok(patience),
    }
}

/// `select`: `mean` or `TASK.METRIC`.
fn select(section: &mut Section, data: &Data, tasks: &[Task]) -> Result<Select> {
    if !data.has_validation() {
        return section.refuse(&["select"], NO_VALIDATION).map_err(|fault| fault.hint(GIVE_VALIDATION)).map(|()| Select::Mean);
    }
    section.read("select", Select::Mean, |item| if item.value.is_table() { weighted(item, tasks) } else { choice(&item, tasks) })
}

/// `{ "TASK.METRIC" = 2.0, … }`
fn weighted(item: Item, tasks: &[Task]) -> Result<Select> {
    let path = item.path.clone();
    let mut terms = Vec::new();
    for (name, item) in item.entries("a table of weights")? {
        let weight = item.number(&POSITIVE)?;
        let name = Item { path: path.clone(), value: Value::String(name) };
        match choice(&name, tasks)? {
            Select::Metric { task, metric } => terms.push(Term { task, metric, weight }),
            _ => return Err(name.fault("mean is a choice of its own, not one metric of several")),
        }
    }
    match terms.is_empty() {
        true => Err(Item { path, value: Value::Table(Default::default()) }.fault("must have a metric, found none")),
        false => Ok(Select::Weighted(terms)),
    }
}

/// One of the names that pick a model.
fn choice(item: &Item, tasks: &[Task]) -> Result<Select> {
    let metrics = tasks.iter().flat_map(|task| task.kind.metrics().iter().map(|metric| format!("{}.{metric}", task.name)));
    let names: Vec<String> = std::iter::once("mean".to_owned()).chain(metrics).collect();
    let name = item.one_of(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    // The names of tasks may have dots, those of metrics have none.
    Ok(name.rsplit_once('.').map_or(Select::Mean, |(task, metric)| Select::Metric { task: task.to_owned(), metric: metric.to_owned() }))
}

/// A number of rows, or `full`.
fn batch_size(item: Item) -> Result<BatchSize> {
    match &item.value {
        Value::String(text) if text == "full" => Ok(BatchSize::Full),
        Value::Integer(i) if (1..=MOST as i64).contains(i) => Ok(BatchSize::Rows(*i as usize)),
        _ => Err(item.wrong(format!("an integer from 1 to {MOST} or \"full\""))),
    }
}
