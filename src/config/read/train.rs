//! `[train]`

use toml::Value;

use super::item::{Item, MOST, POSITIVE, Result};
use super::known::TRAIN;
use super::section::Section;
use crate::config::{
    BatchSize, Data, Evaluated, Every, Interval, OnNan, Precision, Select, Task, Term, Train,
    Version,
};
use crate::fault::{Fault, quoted};

/// Reads `[train]`; what validation decides is refused where there is none.
pub(super) fn read(root: &mut Section, data: &Data, tasks: &[Task]) -> Result<Train> {
    let mut section = root.section("train", TRAIN)?;
    let parts = evaluate(&mut section, data)?;
    let train = Train {
        epochs: section.read("epochs", 20, |item| item.count(1..=MOST))?,
        max_steps: section.maybe("max_steps", |item| item.count(1..=MOST))?,
        max_time: section.maybe("max_time", |item| item.seconds())?,
        batch_size: section.read("batch_size", BatchSize::Rows(128), batch_size)?,
        seed: section.read("seed", 0, |item| item.seed())?,
        patience: patience(&mut section, data)?,
        select: select(&mut section, data, tasks)?,
        evaluate_every: evaluate_every(&mut section, &parts)?,
        evaluate: parts,
        log_every: section.read("log_every", Every::Epochs(1), |item| item.every())?,
        checkpoint_every: section
            .read("checkpoint_every", Interval::Minutes(10.0), |item| item.interval())?,
        keep: section.read("keep", 2, |item| item.count(1..=MOST))? as usize,
        on_nan: section.read("on_nan", OnNan::Stop, |item| item.word())?,
        accumulate: section.read("accumulate", 1, |item| item.count(1..=MOST))? as usize,
        precision: section.read("precision", Precision::F32, |item| item.word())?,
    };
    if train.batch_size == BatchSize::Full && data.shuffle_window.is_some() {
        let message = "has no effect, since train.batch_size is \"full\" and nothing is shuffled";
        return Err(Fault::config("data.shuffle_window", message)
            .hint("leave it out, or give batches of some rows"));
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
        true => Err(section
            .fault("patience", format!("has no effect, since {NO_VALIDATION}"))
            .hint(GIVE_VALIDATION)),
        false => Ok(patience),
    }
}

/// `select`: `relative_loss`, `loss`, `mean`, `TASK.METRIC`, `TASK.loss`, or a table of the last
/// two.
fn select(section: &mut Section, data: &Data, tasks: &[Task]) -> Result<Select> {
    let default = Select::default_of(data.version);
    if !data.has_validation() {
        return section
            .refuse(&["select"], NO_VALIDATION)
            .map_err(|fault| fault.hint(GIVE_VALIDATION))
            .map(|()| default);
    }
    let all = |item: &Item| match choice(item, tasks)? {
        Select::Mean if data.version != Version::V0_1 => bounded(item, tasks),
        other => Ok(other),
    };
    section.read("select", default, |item| {
        if item.value.is_table() { weighted(item, tasks) } else { all(&item) }
    })
}

/// `mean`, where every metric in it lies between 0 and 1: of others the worst would decide alone.
fn bounded(item: &Item, tasks: &[Task]) -> Result<Select> {
    let mut counted = tasks.iter().filter(|task| task.weight > 0.0).peekable();
    if counted.peek().is_none() {
        let found = "\"mean\" is a mean over the tasks of weight above 0, and there is none";
        return Err(item.fault(found).hint("select by one metric of one task, \"TASK.METRIC\""));
    }
    let Some(task) = counted.find(|task| !task.kind.is_bounded()) else { return Ok(Select::Mean) };
    let why = "r2 has no lower bound, deviance no upper one: one bad task would decide alone";
    let found = format!(
        "\"mean\" would average {} of task {}, and {why}",
        task.kind.metrics()[0],
        quoted(&task.name)
    );
    Err(item
        .fault(found)
        .hint("select = \"relative_loss\" weighs all tasks alike; or give one metric of one task"))
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
            _ => {
                return Err(name.fault(
                    "mean, loss and relative_loss are choices of their own, not one metric of \
                     several",
                ));
            }
        }
    }
    match terms.is_empty() {
        true => Err(Item { path, value: Value::Table(Default::default()) }
            .fault("must have a metric, found none")),
        false => Ok(Select::Weighted(terms)),
    }
}

/// One of the names that pick a model.
fn choice(item: &Item, tasks: &[Task]) -> Result<Select> {
    const WHOLE: [(&str, Select); 3] =
        [("relative_loss", Select::RelativeLoss), ("loss", Select::Loss), ("mean", Select::Mean)];
    let of_task = |task: &Task| {
        ["loss"]
            .iter()
            .chain(task.kind.metrics())
            .map(|m| format!("{}.{m}", task.name))
            .collect::<Vec<_>>()
    };
    let names: Vec<String> = WHOLE
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .chain(tasks.iter().flat_map(of_task))
        .collect();
    let name = item.one_of(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
    // The names of tasks may have dots, those of metrics have none.
    let whole = WHOLE.into_iter().find(|(word, _)| *word == name).map(|(_, select)| select);
    let metric = name
        .rsplit_once('.')
        .map(|(task, metric)| Select::Metric { task: task.to_owned(), metric: metric.to_owned() });
    whole.or(metric).ok_or_else(|| item.wrong("a known name"))
}

/// `evaluate`: parts that there are, the validation part among them where there is one.
fn evaluate(section: &mut Section, data: &Data) -> Result<Vec<Evaluated>> {
    let (has_validation, has_test) = (data.has_validation(), data.has_test());
    let default = if has_validation { vec![Evaluated::Valid] } else { Vec::new() };
    section.read("evaluate", default, |item| {
        let mut parts: Vec<Evaluated> = Vec::new();
        for text in item.list("parts")? {
            let part = text.word()?;
            let (is_there, hint) = match part {
                Evaluated::Valid => (has_validation, GIVE_VALIDATION),
                Evaluated::Test => {
                    (has_test, "give data.test or a share of data.split, or leave it out")
                }
            };
            match (is_there, parts.contains(&part)) {
                (false, _) => {
                    return Err(text.fault(format!("there is no {} data", named(part))).hint(hint));
                }
                (true, true) => return Err(text.fault(format!("\"{part}\" stands twice"))),
                (true, false) => parts.push(part),
            }
        }
        if has_validation && !parts.contains(&Evaluated::Valid) {
            let found = "must have \"valid\": there is validation data, and it picks the model";
            return Err(item
                .fault(found)
                .hint("evaluate = [\"valid\", \"test\"], or no validation data"));
        }
        if parts.is_empty() { Err(item.fault("must name a part, found none")) } else { Ok(parts) }
    })
}

/// A part in a sentence.
fn named(part: Evaluated) -> &'static str {
    match part {
        Evaluated::Valid => "validation",
        Evaluated::Test => "test",
    }
}

/// `evaluate_every`, which has no effect where nothing is evaluated.
fn evaluate_every(section: &mut Section, parts: &[Evaluated]) -> Result<Every> {
    if parts.is_empty() {
        let why = "there is no validation data, and train.evaluate does not name \"test\"";
        let hint = "give data.valid or a share of data.split, or evaluate = [\"test\"]";
        section.refuse(&["evaluate_every"], why).map_err(|fault| fault.hint(hint))?;
    }
    section.read("evaluate_every", Every::Epochs(1), |item| item.every())
}

/// A number of rows, or `full`.
fn batch_size(item: Item) -> Result<BatchSize> {
    match &item.value {
        Value::String(text) if text == "full" => Ok(BatchSize::Full),
        Value::Integer(i) if (1..=MOST as i64).contains(i) => Ok(BatchSize::Rows(*i as usize)),
        _ => Err(item.wrong(format!("an integer from 1 to {MOST} or \"full\""))),
    }
}
