//! `[train]`: how long training takes, what it measures and what it writes.

use toml::Value;

use super::data::Data;
use super::interval::{Every, Interval, every, interval};
use super::keys::form::{FROM_ONE, Form, count, flag, seconds, seed, size, word};
use super::keys::item::{Item, MOST, POSITIVE, Result};
use super::keys::section::Section;
use super::keys::toml::{quote, texts};
use super::keys::word::words;
use super::keys::{Keyed, Pass, names, read};
use super::task::Task;
use super::version::Version;
use crate::fault::quoted;

/// `[train]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Train {
    /// Passes over the training part.
    pub epochs: u64,
    /// Stop after this many steps.
    pub max_steps: Option<u64>,
    /// Stop after this many seconds.
    pub max_time: Option<f64>,
    /// Rows per step.
    pub batch_size: BatchSize,
    /// Seed of order, initial weights and dropout.
    pub seed: u64,
    /// When training stops for want of improvement.
    pub patience: Patience,
    /// Whether a task that is done is not trained any more: its own layers stay as they are, and
    /// its loss pulls the shared ones no longer.
    pub freeze_finished: bool,
    /// Whether each task has a best model of its own, beside the one that `select` picks.
    pub keep_best: KeepBest,
    /// The figure that picks `model/`.
    pub select: Select,
    /// How often the parts of `evaluate` are measured; they always are after the last step.
    pub evaluate_every: Every,
    /// Parts that are measured during training, as far as [`Data`] has them; the test part never
    /// selects.
    pub evaluate: Vec<Evaluated>,
    /// How often a training point is logged.
    pub log_every: Every,
    /// How often a checkpoint is written; there is always one at the end.
    pub checkpoint_every: Interval,
    /// How many checkpoints are kept, the newest ones.
    pub keep: usize,
    /// Reaction to a value that is not finite.
    pub on_nan: OnNan,
    /// Number of parts of equal size that a batch is worked off in.
    pub accumulate: usize,
    /// Number of shards of a batch, a power of two, whose sums are added in a fixed order; `None` =
    /// one, or where several ranks train together a number of theirs.
    pub shards: Option<usize>,
    /// Number format of products.
    pub precision: Precision,
}

/// Number format of products. Parameters, moments, sums and everything else are f32 in any
/// case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// f32, in an order of sums that every adapter of a class shares.
    F32,
    /// f32 by the adapter's matrix unit, in the unit's own order.
    F32Matrix,
    /// Operands rounded to f16, by the matrix unit, gradients scaled so that they keep within its
    /// range.
    Mixed,
}

/// Reaction to a value that is not finite. The step that made it changes nothing in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNan {
    /// The run ends.
    Stop,
    /// The step is left out; ten in a row end the run.
    Skip,
    /// The run goes back to its last checkpoint and on with half the learning rate; the fourth time
    /// it ends.
    Rollback,
}

/// Rows of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchSize {
    /// This many; the last batch of an epoch may be shorter.
    Rows(usize),
    /// All rows of the training part.
    Full,
}

/// Evaluations without improvement before training stops; 0 = never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patience {
    /// Evaluations without a better model by `select`.
    Common(u64),
    /// Evaluations without a better figure of a task, after which the task is done, by the name of
    /// the task. Training stops when all tasks that learn are done.
    PerTask(Vec<(String, u64)>),
}

impl Patience {
    /// Whether it ends nothing.
    pub fn is_never(&self) -> bool {
        match self {
            Patience::Common(most) => *most == 0,
            Patience::PerTask(tasks) => tasks.iter().all(|(_, most)| *most == 0),
        }
    }

    /// Evaluations without a better model by `select` after which training stops.
    pub fn common(&self) -> Option<u64> {
        match self {
            Patience::Common(most) if *most > 0 => Some(*most),
            _ => None,
        }
    }

    /// Evaluations without a better figure of a task after which it is done.
    pub fn of_task(&self, name: &str) -> Option<u64> {
        let Patience::PerTask(tasks) = self else { return None };
        tasks.iter().find(|(task, most)| task == name && *most > 0).map(|(_, most)| *most)
    }
}

/// Which best models are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeepBest {
    /// The one that `select` picks.
    #[default]
    Common,
    /// That one, and for each task the one that is best for it.
    PerTask,
}

/// A part that is measured during training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evaluated {
    /// The validation part, which selects and stops.
    Valid,
    /// The test part, which is shown and nothing more.
    Test,
}

/// Which figure of the validation part picks the best model.
#[derive(Clone, Debug, PartialEq)]
pub enum Select {
    /// Mean over the tasks of their loss divided by that of predicting the training mean or the
    /// class shares.
    RelativeLoss,
    /// The combined loss, with weights and couplings.
    Loss,
    /// Mean of the tasks' primary metrics.
    Mean,
    /// One metric of one task, or its loss.
    Metric {
        /// Task name.
        task: String,
        /// Metric name, or `loss`.
        metric: String,
    },
    /// The weighted mean of several.
    Weighted(Vec<Term>),
}

impl Select {
    /// The value of `train.select`, as TOML.
    pub fn toml(&self) -> String {
        write_select(self)
    }

    /// The figure that picks the model where nothing is said.
    pub fn default_of(version: Version) -> Select {
        if version == Version::V0_1 { Select::Mean } else { Select::RelativeLoss }
    }
}

/// A metric of a task in what picks the best model.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// Task name.
    pub task: String,
    /// Metric name, or `loss`.
    pub metric: String,
    /// Weight of the metric.
    pub weight: f64,
}

words!(OnNan: Stop = "stop", Skip = "skip", Rollback = "rollback");
words!(KeepBest: Common = "common", PerTask = "per_task");
words!(Evaluated: Valid = "valid", Test = "test");
words!(Precision: F32 = "f32", F32Matrix = "f32-matrix", Mixed = "mixed");

impl Default for Train {
    fn default() -> Train {
        Train {
            epochs: 20,
            max_steps: None,
            max_time: None,
            batch_size: BatchSize::Rows(128),
            seed: 0,
            patience: Patience::Common(0),
            freeze_finished: false,
            keep_best: KeepBest::Common,
            select: Select::RelativeLoss,
            evaluate_every: Every::Epochs(1),
            evaluate: Vec::new(),
            log_every: Every::Epochs(1),
            checkpoint_every: Interval::Minutes(10.0),
            keep: 2,
            on_nan: OnNan::Stop,
            accumulate: 1,
            shards: None,
            precision: Precision::F32,
        }
    }
}

/// `[train]` beside what it depends on.
struct Statement<'a> {
    train: Train,
    has_validation: bool,
    has_test: bool,
    version: Version,
    tasks: &'a [Task],
}

/// Why nothing can be stopped early or picked.
const NO_VALIDATION: &str = "there is no validation data";
/// What to do about it.
const GIVE_VALIDATION: &str = "give data.valid or a share of data.split, or leave it out";

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let Statement { train, has_validation, has_test, version, tasks } = self;
        let (has_validation, has_test, version) = (*has_validation, *has_test, *version);
        pass.key("epochs").value(&mut train.epochs, &count(FROM_ONE))?;
        pass.key("max_steps").maybe(&mut train.max_steps, &count(FROM_ONE))?;
        pass.key("max_time").maybe(&mut train.max_time, &seconds())?;
        pass.key("batch_size").value(&mut train.batch_size, &batch_size())?;
        pass.key("seed").value(&mut train.seed, &seed())?;
        pass.key("patience")
            .written(has_validation)
            .value(&mut train.patience, &patience(tasks))?;
        if !train.patience.is_never() && !has_validation {
            return Err(pass.without_effect("patience", NO_VALIDATION, GIVE_VALIDATION));
        }
        pass.key("select")
            .only_or(has_validation, NO_VALIDATION, GIVE_VALIDATION)
            .value(&mut train.select, &select(version, tasks))?;
        let is_by_task = matches!(train.patience, Patience::PerTask(_));
        let hint = "give patience as a table: { TASK = 3 }";
        pass.key("freeze_finished")
            .only_or(is_by_task, "no task has a patience of its own", hint)
            .value(&mut train.freeze_finished, &flag())?;
        pass.key("keep_best")
            .only_or(has_validation, NO_VALIDATION, GIVE_VALIDATION)
            .value(&mut train.keep_best, &word())?;
        let evaluates = !train.evaluate.is_empty() || pass.has("evaluate");
        pass.key("evaluate_every")
            .only_or(
                evaluates,
                "there is no validation data, and train.evaluate does not name \"test\"",
                "give data.valid or a share of data.split, or evaluate = [\"test\"]",
            )
            .value(&mut train.evaluate_every, &every())?;
        let written = !train.evaluate.is_empty();
        pass.key("evaluate")
            .written(written)
            .value(&mut train.evaluate, &evaluate(has_validation, has_test))?;
        pass.key("log_every").value(&mut train.log_every, &every())?;
        pass.key("checkpoint_every").value(&mut train.checkpoint_every, &interval())?;
        pass.key("keep").value(&mut train.keep, &size(FROM_ONE))?;
        pass.key("on_nan").value(&mut train.on_nan, &word())?;
        pass.key("accumulate").value(&mut train.accumulate, &size(FROM_ONE))?;
        pass.key("shards").maybe(&mut train.shards, &size(FROM_ONE))?;
        pass.key("precision").value(&mut train.precision, &word())
    }
}

/// Reads `[train]`; what validation decides is refused where there is none.
pub(super) fn train(root: &mut Section, data: &Data, tasks: &[Task]) -> Result<Train> {
    let (has_validation, has_test) = (data.has_validation(), data.has_test());
    let train = Train {
        select: Select::default_of(data.version),
        evaluate: if has_validation { vec![Evaluated::Valid] } else { Vec::new() },
        ..Train::default()
    };
    let mut statement = Statement { train, has_validation, has_test, version: data.version, tasks };
    read(root.section("train")?, &mut statement).map(|()| statement.train)
}

/// The keys of `[train]`, with their values as TOML.
pub(super) fn entries(train: &Train, data: &Data) -> Vec<(&'static str, String)> {
    super::keys::entries(&mut Statement {
        train: train.clone(),
        has_validation: data.has_validation(),
        has_test: data.has_test(),
        version: data.version,
        tasks: &[],
    })
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut Statement {
        train: Train::default(),
        has_validation: true,
        has_test: true,
        version: Version::V0_2,
        tasks: &[],
    })
}

/// `patience`: a number of evaluations, or a table of them by the names of tasks.
fn patience(tasks: &[Task]) -> impl Form<Patience> {
    let read = move |item: Item| {
        if !item.value.is_table() {
            return item.count(0..=MOST).map(Patience::Common);
        }
        let names: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
        let path = item.path.clone();
        let known = |(name, item): (String, Item)| {
            let name = Item { path: path.clone(), value: Value::String(name) };
            Ok((name.one_of(&names)?.to_owned(), item.count(0..=MOST)?))
        };
        let entries = item.entries("a number, or a table of numbers by task")?;
        entries.into_iter().map(known).collect::<Result<_>>().map(Patience::PerTask)
    };
    let write = |patience: &Patience| match patience {
        Patience::Common(most) => most.to_string(),
        Patience::PerTask(tasks) => {
            let each: Vec<String> =
                tasks.iter().map(|(name, most)| format!("{} = {most}", quote(name))).collect();
            format!("{{ {} }}", each.join(", "))
        }
    };
    (read, write)
}

/// `select`: `relative_loss`, `loss`, `mean`, `TASK.METRIC`, `TASK.loss`, or a table of the last
/// two.
pub(super) fn select(version: Version, tasks: &[Task]) -> impl Form<Select> {
    let read = move |item: Item| {
        if item.value.is_table() {
            return weighted(item, tasks);
        }
        match choice(&item, tasks)? {
            Select::Mean if version != Version::V0_1 => bounded(&item, tasks),
            other => Ok(other),
        }
    };
    (read, write_select)
}

pub(super) fn write_select(select: &Select) -> String {
    match select {
        Select::RelativeLoss => quote("relative_loss"),
        Select::Loss => quote("loss"),
        Select::Mean => quote("mean"),
        Select::Metric { task, metric } => quote(format_args!("{task}.{metric}")),
        Select::Weighted(terms) => {
            let name = |t: &Term| quote(format_args!("{}.{}", t.task, t.metric));
            let terms: Vec<String> =
                terms.iter().map(|t| format!("{} = {:?}", name(t), t.weight)).collect();
            format!("{{ {} }}", terms.join(", "))
        }
    }
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
fn evaluate(has_validation: bool, has_test: bool) -> impl Form<Vec<Evaluated>> {
    let write =
        |parts: &Vec<Evaluated>| texts(&parts.iter().map(Evaluated::to_string).collect::<Vec<_>>());
    (move |item: Item| read_evaluate(&item, has_validation, has_test), write)
}

fn read_evaluate(item: &Item, has_validation: bool, has_test: bool) -> Result<Vec<Evaluated>> {
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
}

/// A part in a sentence.
fn named(part: Evaluated) -> &'static str {
    match part {
        Evaluated::Valid => "validation",
        Evaluated::Test => "test",
    }
}

/// A number of rows, or `full`.
fn batch_size() -> impl Form<BatchSize> {
    let write = |size: &BatchSize| match size {
        BatchSize::Rows(rows) => rows.to_string(),
        BatchSize::Full => quote("full"),
    };
    (|item: Item| read_batch_size(&item), write)
}

fn read_batch_size(item: &Item) -> Result<BatchSize> {
    match &item.value {
        Value::String(text) if text == "full" => Ok(BatchSize::Full),
        Value::Integer(i) if (1..=MOST as i64).contains(i) => Ok(BatchSize::Rows(*i as usize)),
        _ => Err(item.wrong(format!("an integer from 1 to {MOST} or \"full\""))),
    }
}
