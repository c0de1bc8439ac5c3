//! `[search]`: which settings `tandem search` tries, in which order, and what it looks for.

use toml::Value;

use super::keys::form::{Form, count, seconds, seed, size, word};
use super::keys::item::{Item, Result};
use super::keys::section::Section;
use super::keys::word::words;
use super::keys::{Keyed, Pass, names, read};
use super::task::Task;
use super::train::{Select, select, write_select};
use super::version::Version;
use crate::fault::quoted;

/// Trials where nothing says how many.
const TRIALS: u64 = 32;

/// The longest list of values, and the largest number of points of a range.
const MOST_VALUES: u64 = 1000;

/// `[search]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Most trials; the settings as they stand are one, and λ = 0 is one where λ is searched. A
    /// grid has as many as it has points.
    pub trials: u64,
    /// Seconds after which no trial begins or goes on.
    pub max_time: Option<f64>,
    /// The order of trials.
    pub method: SearchMethod,
    /// The figures of the validation part that are looked for; empty = `train.select`. Several
    /// make a front, and their mean is what trials are ordered by.
    pub objective: Vec<Select>,
    /// Metrics of tasks between which the front is looked for: each trial has preferences of its
    /// own, as weights of these tasks and in what picks its model; empty = none.
    pub pareto: Vec<Select>,
    /// The point that the hypervolume of a front is measured from, a figure of each objective;
    /// empty = the worst figure of any trial.
    pub reference: Vec<f64>,
    /// Seed of the settings that are tried; that of training is `train.seed`.
    pub seed: u64,
    /// One trial of `eta` goes on at each rung (halving only).
    pub eta: u64,
    /// Trials that are begun without knowing of each other.
    pub workers: usize,
    /// Seeds from which the best settings are trained again at the end.
    pub seeds: u64,
    /// The keys that are searched, in the order of the file; empty = a space of its own.
    pub space: Vec<(String, Domain)>,
}

/// The order of trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchMethod {
    /// All combinations of points.
    Grid,
    /// Points of a Sobol sequence.
    Random,
    /// Such points, of which the better ones are trained further (ASHA).
    Halving,
    /// Points where earlier trials were good (tree-structured Parzen estimator).
    Tpe,
}

words!(SearchMethod: Grid = "grid", Random = "random", Halving = "halving", Tpe = "tpe");

/// The values of a key that is searched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Domain {
    /// A range of numbers.
    pub range: Option<Bounds>,
    /// Other values, as TOML.
    pub others: Vec<String>,
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The smallest number.
    pub low: f64,
    /// The largest number.
    pub high: f64,
    /// Whether numbers are drawn evenly by their logarithm.
    pub log: bool,
    /// Points of a grid.
    pub points: usize,
}

impl Default for Search {
    fn default() -> Search {
        Search {
            trials: TRIALS,
            max_time: None,
            method: SearchMethod::Halving,
            objective: Vec::new(),
            pareto: Vec::new(),
            reference: Vec::new(),
            seed: 0,
            eta: 3,
            workers: 16,
            seeds: 5,
            space: Vec::new(),
        }
    }
}

/// `[search]` beside the tasks.
struct Statement<'a> {
    search: Search,
    version: Version,
    tasks: &'a [Task],
}

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let Statement { search, version, tasks } = self;
        let version = *version;
        let reads = pass.reads();
        let objective = (
            |item: Item| objective(&item, version, tasks),
            |objective: &Vec<Select>| match &objective[..] {
                [one] => write_select(one),
                all => format!("[{}]", all.iter().map(write_select).collect::<Vec<_>>().join(", ")),
            },
        );
        pass.key("pareto").value(&mut search.pareto, &objective)?;
        if reads && search.pareto.len() == 1 {
            let found = "a front lies between two metrics or more";
            return Err(pass.fault("pareto", found).hint("name two, or use objective"));
        }
        if let Some(task) = named_twice(&search.pareto).filter(|_| reads) {
            let found = format!("names task {} twice: its weight is one preference", quoted(task));
            return Err(pass.fault("pareto", found).hint("name one metric of each task"));
        }
        if reads && !search.pareto.is_empty() {
            search.method = SearchMethod::Random;
        }
        pass.key("method").value(&mut search.method, &word())?;
        let adapts = matches!(search.method, SearchMethod::Halving | SearchMethod::Tpe);
        if reads && adapts && !search.pareto.is_empty() {
            let found = "trials of different preferences are not better or worse than each other";
            return Err(pass.fault("method", found).hint("use \"random\" or \"grid\" with pareto"));
        }
        let is = |method: SearchMethod| !reads || search.method == method;
        let (is_grid, is_halving) = (is(SearchMethod::Grid), is(SearchMethod::Halving));
        let has_trials = pass.has("trials");
        pass.key("trials")
            .only(!reads || !is_grid, "a grid has as many trials as it has points")
            .value(&mut search.trials, &count(2..=100_000))?;
        pass.key("max_time").maybe(&mut search.max_time, &seconds())?;
        if reads && search.max_time.is_some() && !has_trials && !is_grid {
            // The time alone ends the search.
            search.trials = 100_000;
        }
        pass.key("objective")
            .only(!reads || search.pareto.is_empty(), "pareto says what is looked for")
            .value(&mut search.objective, &objective)?;
        let several = [("objective", &search.objective), ("pareto", &search.pareto)];
        for (key, all) in several.into_iter().filter(|(_, all)| reads && all.len() > 1) {
            if let Some(found) = unbounded(all) {
                let hint = "name metrics of which 1 is the best: accuracy, auc, f1, r2, …";
                return Err(pass.fault(key, found).hint(hint));
            }
        }
        let fronts = search.objective.len().max(search.pareto.len());
        pass.key("reference")
            .only(!reads || fronts > 1, "there is no front: search.objective names one figure")
            .value(&mut search.reference, &numbers(fronts))?;
        pass.key("seed")
            .only(!reads || !is_grid, "a grid draws nothing")
            .value(&mut search.seed, &seed())?;
        pass.key("eta")
            .only(is_halving, "method is not \"halving\"")
            .value(&mut search.eta, &count(2..=100))?;
        let decides = is_halving || search.method == SearchMethod::Tpe;
        if reads && search.method == SearchMethod::Tpe {
            // It learns less where more trials do not know of each other.
            search.workers = 4;
        }
        pass.key("workers")
            .only(decides, "only \"halving\" and \"tpe\" decide by the results of trials")
            .value(&mut search.workers, &size(1..=4096))?;
        pass.key("seeds").value(&mut search.seeds, &count(1..=1000))?;
        pass.key("space").value(&mut search.space, &space(!reads || is_grid))
    }
}

/// Reads `[search]`; `None` where there is no such table.
pub(super) fn search(
    root: &mut Section,
    version: Version,
    tasks: &[Task],
) -> Result<Option<Search>> {
    let Some(item) = root.take("search") else { return Ok(None) };
    let mut statement = Statement { search: Search::default(), version, tasks };
    read(Section::of(item)?, &mut statement).map(|()| Some(statement.search))
}

/// The keys of `[search]`.
pub(super) fn keys() -> Vec<&'static str> {
    names(&mut Statement { search: Search::default(), version: Version::V0_2, tasks: &[] })
}

/// `objective`: a figure that can pick a model, or several metrics of tasks.
fn objective(item: &Item, version: Version, tasks: &[Task]) -> Result<Vec<Select>> {
    let form = select(version, tasks);
    let one = |item: Item| {
        let is_loss = item.value.as_str() == Some("valid.loss")
            && tasks.iter().all(|task| task.name != "valid");
        let value = if is_loss { Value::String("loss".to_owned()) } else { item.value };
        form.read(Item { path: item.path, value })
    };
    if !item.value.is_array() {
        return Ok(vec![one(Item { path: item.path.clone(), value: item.value.clone() })?]);
    }
    let all = item.list("metrics of tasks")?.into_iter().map(|item| {
        let path = item.path.clone();
        match one(item)? {
            select @ Select::Metric { .. } => Ok(select),
            _ => Err(Item { path, value: Value::Boolean(true) }
                .fault("of several objectives each is one metric of one task, \"TASK.METRIC\"")),
        }
    });
    let all: Vec<Select> = all.collect::<Result<_>>()?;
    let twice = all.iter().enumerate().find(|(at, one)| all[..*at].contains(one));
    match (twice, all.len()) {
        (Some((_, one)), _) => Err(item.fault(format!("{} stands twice", write_select(one)))),
        (None, 1..=4) => Ok(all),
        (None, found) => {
            Err(item.fault(format!("must have one to four objectives, found {found}")))
        }
    }
}

/// Why several objectives have no mean that says something, if so.
fn unbounded(objectives: &[Select]) -> Option<String> {
    const UP_TO_ONE: [&str; 7] =
        ["accuracy", "top_k", "macro_f1", "auc", "average_precision", "f1", "r2"];
    objectives.iter().find_map(|one| match one {
        Select::Metric { metric, .. } if !UP_TO_ONE.contains(&metric.as_str()) => Some(format!(
            "trials are ordered by the mean of these, and {} has a scale of its own: it would \
             decide alone",
            write_select(one)
        )),
        _ => None,
    })
}

/// The task that several objectives name, if there is one.
fn named_twice(objectives: &[Select]) -> Option<&String> {
    let tasks: Vec<&String> = objectives
        .iter()
        .filter_map(|one| match one {
            Select::Metric { task, .. } => Some(task),
            _ => None,
        })
        .collect();
    tasks.iter().enumerate().find(|(at, task)| tasks[..*at].contains(task)).map(|(_, task)| *task)
}

/// `reference`: a figure of each objective.
fn numbers(count: usize) -> impl Form<Vec<f64>> {
    let read = move |item: Item| {
        let number = |item: Item| match item.value {
            Value::Integer(i) => Ok(i as f64),
            Value::Float(x) if x.is_finite() => Ok(x),
            _ => Err(item.wrong("a finite number")),
        };
        let all: Vec<f64> = item.list("numbers")?.into_iter().map(number).collect::<Result<_>>()?;
        match all.len() == count {
            true => Ok(all),
            false => {
                let found = format!(
                    "must have {count} figures, one of each objective, found {}",
                    all.len()
                );
                Err(item.fault(found))
            }
        }
    };
    (read, |numbers: &Vec<f64>| format!("{numbers:?}"))
}

/// `space`: a table of keys with their values.
fn space(is_grid: bool) -> impl Form<Vec<(String, Domain)>> {
    let read = move |item: Item| {
        let path = item.path.clone();
        let entries = item.entries("a table of keys, each with its values")?;
        let mut all = Vec::new();
        for (key, item) in flattened(entries) {
            all.push((key, domain(item, is_grid)?));
        }
        match all.is_empty() {
            true => Err(Item { path, value: Value::Boolean(true) }.fault("names no key").hint(
                "leave it out to search a space of its own, or name a key such as \
                       \"optimizer.learning_rate\" = { log = [1e-4, 1e-2] }",
            )),
            false => Ok(all),
        }
    };
    (read, |_: &Vec<(String, Domain)>| String::new())
}

/// Keys as paths, where they were written as tables: `optimizer.learning_rate = { … }` without
/// quotes is a table in a table.
fn flattened(entries: Vec<(String, Item)>) -> Vec<(String, Item)> {
    let is_path = |table: &toml::Table| {
        let is_kind = KINDS.iter().any(|kind| table.contains_key(*kind));
        !table.is_empty() && !is_kind && table.values().all(Value::is_table)
    };
    let inner = |(key, item): (String, Item)| match item.value {
        Value::Table(table) if is_path(&table) => {
            let within = table.into_iter().map(|(name, value)| {
                let path = format!("{}.{name}", item.path);
                (format!("{key}.{}", super::keys::toml::key(&name)), Item { path, value })
            });
            flattened(within.collect())
        }
        value => vec![(key, Item { path: item.path, value })],
    };
    entries.into_iter().flat_map(inner).collect()
}

/// The keys that say what values a key of the space has.
const KINDS: [&str; 5] = ["log", "linear", "choice", "or", "points"];

/// The hint that shows how values are written.
const FORM: &str = "write { log = [1e-4, 1e-2] }, { linear = [0.0, 0.5] } or { choice = [1, 2] }; \
                    or = [0] adds values to a range, points = 5 says how many a grid takes of it";

/// `{ log = [a, b], or = [0] }`, `{ linear = [a, b] }`, `{ choice = [v, …] }`
fn domain(item: Item, is_grid: bool) -> Result<Domain> {
    let path = item.path.clone();
    let whole = Item { path: path.clone(), value: Value::Boolean(true) };
    let mut domain = Domain::default();
    let (mut kind, mut points) = (None, None);
    let entries = item.entries("a table of values").map_err(|fault| fault.hint(FORM))?;
    for (key, item) in entries {
        match (key.as_str(), kind) {
            ("log" | "linear" | "choice", Some(other)) => {
                let found = format!("has both {other} and {key}");
                return Err(whole.fault(found).hint(FORM));
            }
            ("log", None) => (kind, domain.range) = (Some("log"), Some(bounds(&item, true)?)),
            ("linear", None) => {
                (kind, domain.range) = (Some("linear"), Some(bounds(&item, false)?));
            }
            ("choice", None) => (kind, domain.others) = (Some("choice"), values(&item)?),
            ("or", _) => domain.others.extend(values(&item)?),
            ("points", _) if is_grid => points = Some((item.count(2..=MOST_VALUES)?, item)),
            ("points", _) => return Err(item.without_effect("method is not \"grid\"")),
            _ => {
                let found = format!("{} is not known here", quoted(&key));
                return Err(whole.fault(found).hint(FORM));
            }
        }
    }
    match (kind, points, &mut domain.range) {
        (None, ..) => Err(whole.fault("says no values").hint(FORM)),
        (Some("choice"), Some((_, item)), _) => Err(item.without_effect("a choice is no range")),
        (_, Some((count, _)), Some(range)) => {
            range.points = count as usize;
            Ok(domain)
        }
        _ => Ok(domain),
    }
}

/// `[low, high]`
fn bounds(item: &Item, log: bool) -> Result<Bounds> {
    let numbers = item.list("two numbers, the smallest and the largest")?;
    let number = |item: &Item| match item.value {
        Value::Integer(i) => Ok(i as f64),
        Value::Float(x) if x.is_finite() => Ok(x),
        _ => Err(item.wrong("a finite number")),
    };
    let [low, high] = &numbers[..] else {
        return Err(item.fault(format!("must be two numbers, found {}", numbers.len())));
    };
    let (low, high) = (number(low)?, number(high)?);
    if low >= high {
        return Err(item.fault(format!("{high:?} is not above {low:?}")).hint("write [low, high]"));
    }
    if log && low <= 0.0 {
        return Err(item
            .fault(format!("{low:?} has no logarithm"))
            .hint("begin above 0; or = [0] adds the value 0; or write linear"));
    }
    Ok(Bounds { low, high, log, points: 5 })
}

/// A list of values, each once, as TOML.
fn values(item: &Item) -> Result<Vec<String>> {
    let mut all: Vec<String> = Vec::new();
    for one in item.list("values")? {
        let text = one.value.to_string();
        if all.contains(&text) {
            return Err(item.fault(format!("{text} stands twice")));
        }
        all.push(text);
    }
    match all.len() as u64 {
        0 => Err(item.fault("names no value")),
        found if found > MOST_VALUES => {
            Err(item.fault(format!("must have at most {MOST_VALUES} values, found {found}")))
        }
        _ => Ok(all),
    }
}

impl Domain {
    /// Reads what `--param KEY=…` says: values with `|` between them, of which the first may be a
    /// range, `log:1e-4..1e-2` or `linear:0..0.5`; as a table of TOML.
    ///
    /// # Errors
    /// What is wrong, as a part of a sentence.
    pub fn of_flag(text: &str) -> std::result::Result<String, String> {
        let parts: Vec<&str> = text.split('|').map(str::trim).collect();
        let range = parts.first().and_then(|first| {
            let (scale, ends) = first.split_once(':')?;
            ["log", "linear"].contains(&scale).then_some((scale, ends))
        });
        let value = |text: &&str| {
            let is_toml = format!("v = {text}").parse::<toml::Table>().is_ok();
            if is_toml { (*text).to_owned() } else { super::keys::toml::quote(text) }
        };
        let list = |texts: &[&str]| texts.iter().map(value).collect::<Vec<_>>().join(", ");
        if parts.iter().any(|part| part.is_empty()) {
            return Err("a value is missing".to_owned());
        }
        let Some((scale, ends)) = range else {
            let first = parts.first().copied().unwrap_or_default();
            let word = first.split_once(':').filter(|(_, ends)| ends.contains(".."));
            if let Some((word, _)) = word.filter(|(word, _)| *word != "choice") {
                return Err(format!("{} is no scale: log or linear", quoted(word)));
            }
            let choice = text.trim_start().strip_prefix("choice:");
            let parts: Vec<&str> = choice.unwrap_or(text).split('|').map(str::trim).collect();
            return Ok(format!("{{ choice = [{}] }}", list(&parts)));
        };
        let (low, high) = ends.split_once("..").ok_or("a range is written LOW..HIGH")?;
        let or = match &parts[1..] {
            [] => String::new(),
            others => format!(", or = [{}]", list(others)),
        };
        Ok(format!("{{ {scale} = [{}, {}]{or} }}", low.trim(), high.trim()))
    }
}
