//! `[[source]]`: data sets of their own for some of the tasks, and how batches are drawn from them.

use std::collections::HashSet;
use std::path::Path;

use super::keys::alike::choices;
use super::keys::form::{Form, number, text, texts};
use super::keys::item::{Item, POSITIVE, Result};
use super::keys::section::Section;
use super::keys::toml::{inline_table, quote};
use super::keys::{Keyed, Pass, entries as entries_of, names, read};
use super::sentences::Sentences;
use super::source::{TaskSource, tables};
use super::task::Task;
use crate::fault::{Fault, quoted};

/// `data.sampling`: how rows are drawn from several sources.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Sampling {
    /// Each row once an epoch.
    #[default]
    Proportional,
    /// As many rows from each source.
    Equal,
    /// A source of n rows has the share n^(1/T), normalised.
    Temperature(f64),
}

/// What a source can be.
const TABLES: &str = "a table (.csv, .tsv, .txt, .csv.gz, .tsv.gz, .parquet and others), a pattern \
                      of tables, or a list of them";

/// A source beside the directory where relative paths start.
struct Statement<'a> {
    source: TaskSource,
    base: &'a Path,
    /// Whether it is the only one.
    is_alone: bool,
}

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let Statement { source, base, is_alone } = self;
        pass.key("name").value(&mut source.name, &text())?;
        let form = tables(base, TABLES);
        pass.key("train").required(true, TABLES).value(&mut source.train, &form)?;
        if let Some(path) =
            source.train.iter().find(|p| Sentences::by_name(&p.to_string_lossy()).is_some())
        {
            let found =
                format!("{} is a file of sentences, and sources are tables", path.display());
            return Err(pass
                .fault("train", found)
                .hint("write the sentences with all their labels into one file, in data.train"));
        }
        pass.key("valid").written(!source.valid.is_empty()).value(&mut source.valid, &form)?;
        pass.key("test").written(!source.test.is_empty()).value(&mut source.test, &form)?;
        pass.key("tasks")
            .required(true, "the names of the tasks that it labels, such as tasks = [\"income\"]")
            .value(&mut source.tasks, &texts())?;
        pass.key("weight")
            .only(!*is_alone, "there is one source")
            .maybe(&mut source.weight, &number(&POSITIVE))
    }
}

/// Reads the sources, in the order of the file.
pub(super) fn sources(root: &mut Section, base: &Path) -> Result<Vec<TaskSource>> {
    let Some(item) = root.take("source") else { return Ok(Vec::new()) };
    let tables =
        item.list("tables").map_err(|fault| fault.hint("write [[source]], with two brackets"))?;
    let is_alone = tables.len() == 1;
    let mut all: Vec<TaskSource> = Vec::new();
    for (number, item) in tables.into_iter().enumerate() {
        let mut statement = Statement { source: TaskSource::default(), base, is_alone };
        read(Section::of(item)?, &mut statement)?;
        let mut source = statement.source;
        if source.name.is_empty() {
            source.name = source.train.first().map(|path| stem(path)).unwrap_or_default();
        }
        if let Some(other) = all.iter().position(|other| other.name == source.name) {
            let found = format!("{} is the name of source.{other} too", quoted(&source.name));
            return Err(Fault::config(&format!("source.{number}.name"), found)
                .hint("give each source a name of its own"));
        }
        if source.tasks.is_empty() {
            return Err(Fault::config(&format!("source.{number}.tasks"), "names no task")
                .hint("name the tasks that its rows label, or leave the source out"));
        }
        all.push(source);
    }
    Ok(all)
}

/// The name of a file without its ending, and without that of a packed file.
fn stem(path: &Path) -> String {
    let is_packed = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"));
    let bare = if is_packed { path.with_extension("") } else { path.to_owned() };
    bare.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The keys of a source, with their values as TOML.
pub(super) fn entries(source: &TaskSource) -> Vec<(&'static str, String)> {
    let base = Path::new("");
    entries_of(&mut Statement { source: source.clone(), base, is_alone: false })
}

/// The keys of a source, and those of a table in place of a word in `data.sampling`.
pub(super) fn keys() -> [Vec<&'static str>; 2] {
    let base = Path::new("");
    let mut statement = Statement { source: TaskSource::default(), base, is_alone: false };
    [names(&mut statement), names(&mut Tempered(1.0))]
}

/// Checks the sources against the tasks, and finds the label columns that each does not label.
pub(super) fn settle(sources: &mut [TaskSource], tasks: &[Task]) -> Result<()> {
    if sources.is_empty() {
        return Ok(());
    }
    let all: Vec<&str> = tasks.iter().map(|task| task.name.as_str()).collect();
    for (number, source) in sources.iter_mut().enumerate() {
        let place = format!("source.{number}.tasks");
        if let Some(name) = source.tasks.iter().find(|name| !all.contains(&name.as_str())) {
            return Err(Fault::config(&place, format!("there is no task {}", quoted(name)))
                .hint(choices(name, &all)));
        }
        let (listed, others): (Vec<&Task>, Vec<&Task>) =
            tasks.iter().partition(|task| source.tasks.contains(&task.name));
        let shared = others.iter().find_map(|other| {
            let reads = |task: &&&Task| task.targets.iter().any(|t| other.targets.contains(t));
            Some((other, listed.iter().find(reads)?))
        });
        if let Some((other, task)) = shared {
            let (a, b) = (quoted(&task.name), quoted(&other.name));
            let found = format!("names {a} and not {b}, which read the same column");
            return Err(Fault::config(&place, found)
                .hint("name both, or give one of them a column of its own"));
        }
        let mut seen = HashSet::new();
        let hidden = others.iter().flat_map(|task| &task.targets);
        source.hidden = hidden.filter(|column| seen.insert(*column)).cloned().collect();
    }
    let is_bare = |task: &&&str| !sources.iter().any(|s| s.tasks.iter().any(|t| t == **task));
    match all.iter().find(is_bare) {
        Some(task) => {
            Err(Fault::config("source", format!("no source labels task {}", quoted(task)))
                .hint("name it in the tasks of a source"))
        }
        None => Ok(()),
    }
}

/// `{ temperature = 2 }`
struct Tempered(f64);

impl Keyed for Tempered {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("temperature")
            .required(true, "T of n^(1/T)")
            .value(&mut self.0, &number(&POSITIVE))
    }
}

/// The value of `data.sampling`.
pub(super) fn sampling() -> impl Form<Sampling> {
    let read = |item: Item| {
        if item.value.is_table() {
            let mut tempered = Tempered(1.0);
            read(Section::of(item)?, &mut tempered)?;
            return Ok(Sampling::Temperature(tempered.0));
        }
        if !item.value.is_str() {
            return Err(item.wrong("\"proportional\", \"equal\" or { temperature = 2 }"));
        }
        Ok(match item.one_of(&["proportional", "equal"])? {
            "equal" => Sampling::Equal,
            _ => Sampling::Proportional,
        })
    };
    let write = |sampling: &Sampling| match sampling {
        Sampling::Proportional => quote("proportional"),
        Sampling::Equal => quote("equal"),
        Sampling::Temperature(t) => inline_table(&entries_of(&mut Tempered(*t))),
    };
    (read, write)
}
