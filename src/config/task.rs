//! `[task.NAME]`: what is learned, and by which layers of its own.

use serde::{Deserialize, Serialize};

use super::keys::form::{Form, blanks, number, size, widths, word};
use super::keys::item::{Item, MOST, NOT_NEGATIVE, Result};
use super::keys::section::Section;
use super::keys::toml::{inline_table, quote, texts};
use super::keys::word::words;
use super::keys::{Key, Keyed, Pass, names, read};
use super::kind::TaskKind;
use super::loss::{self, Loss};
use super::scale::Scale;
use super::sentences::Sentences;
use super::trunk::{Activation, dropout};
use super::version::Version;
use crate::fault::{Fault, quoted};

/// `[task.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// Its name everywhere.
    pub name: String,
    /// What it learns.
    pub kind: TaskKind,
    /// Label columns: one; several for multilabel and regression.
    pub targets: Vec<String>,
    /// Classes made of label values: (class name, label values as text). Empty = the label values
    /// are the classes.
    pub groups: Vec<(String, Vec<String>)>,
    /// Widths of the layers of its tower; empty = no tower.
    pub layers: Vec<usize>,
    /// Activation of its tower; the trunk's where there is no tower.
    pub activation: Activation,
    /// Dropout rate in its tower.
    pub dropout: f64,
    /// w_i in the objective.
    pub weight: f64,
    /// L_i in the objective.
    pub loss: Loss,
    /// The class that counts as positive (binary only); `None` = the second one.
    pub positive: Option<String>,
    /// Scaling of the labels, turned back in predictions and metrics (regression only).
    pub scale: Scale,
    /// Texts of its label columns that mean "not labelled"; `None` = those of the data.
    pub missing: Option<Vec<String>>,
    /// k of the metric `top_k` (multiclass only).
    pub top_k: usize,
    /// How labels mark spans (tags only).
    pub scheme: Scheme,
    /// How the values of the tokens of a sentence become one; `None` = each token has a label, or
    /// rows are no tokens.
    pub pool: Option<Pool>,
}

/// How labels of tokens mark spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// As the labels of the training part show.
    #[default]
    Auto,
    /// `B-X` begins a span of X, `I-X` goes on, `O` is outside.
    Bio,
    /// Also `E-X` for the last token of a span, and `S-X` for one of a single token.
    Bioes,
    /// `I-X` begins a span of X, too; `B-X` only one behind another span of X.
    Iob1,
    /// Labels mark no spans: the task is one of type multiclass.
    None,
}

words!(Scheme: Auto = "auto", Bio = "bio", Bioes = "bioes", Iob1 = "iob1", None = "none");

/// How the values of the tokens of a sentence become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pool {
    /// Their mean.
    Mean,
    /// The largest of each.
    Max,
}

words!(Pool: Mean = "mean", Max = "max");

impl Task {
    /// A task of several classes with every other setting at its default: no tower, weight one.
    pub fn multiclass(name: &str) -> Task {
        Task {
            name: name.into(),
            kind: TaskKind::Multiclass,
            targets: vec![name.into()],
            groups: Vec::new(),
            layers: Vec::new(),
            activation: Activation::Relu,
            dropout: 0.0,
            weight: 1.0,
            loss: Loss::default_of(TaskKind::Multiclass, Version::V0_2),
            positive: None,
            scale: Scale::Standard,
            missing: None,
            top_k: 5,
            scheme: Scheme::Auto,
            pool: None,
        }
    }
}

/// A task beside the version whose defaults hold, and what rows are.
struct Statement {
    task: Task,
    version: Version,
    rows: RowKind,
}

/// The kinds of rows that a task may have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RowKind {
    /// No tokens.
    Others,
    /// Tokens of sentences.
    Tokens,
    /// Tokens, once for each predicate of the sentence.
    OfPredicates,
}

impl RowKind {
    /// The kind of the rows that files with such settings have.
    pub(super) fn of(sentences: Option<&Sentences>) -> RowKind {
        match sentences.map(|sentences| sentences.predicate.is_some()) {
            None => RowKind::Others,
            Some(false) => RowKind::Tokens,
            Some(true) => RowKind::OfPredicates,
        }
    }
}

impl Keyed for Statement {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let Statement { task, version, rows } = self;
        pass.key("type").value(&mut task.kind, &word())?;
        if task.kind == TaskKind::Tags && *rows == RowKind::Others {
            return Err(pass
                .fault("type", "is \"tags\", and rows are no tokens of sentences")
                .hint("give a file of sentences (data.format), or type = \"multiclass\""));
        }
        for_types(pass.key("scheme"), task.kind, &[TaskKind::Tags])
            .value(&mut task.scheme, &word())?;
        if task.scheme == Scheme::None {
            (task.kind, task.scheme) = (TaskKind::Multiclass, Scheme::Auto);
        }
        let kind = task.kind;
        pass.key("target").value(&mut task.targets, &targets(kind))?;
        for_types(pass.key("groups"), kind, &[TaskKind::Multiclass, TaskKind::Binary])
            .written(!task.groups.is_empty())
            .value(&mut task.groups, &(groups, |groups: &Vec<_>| write_groups(groups)))?;
        pass.key("layers").value(&mut task.layers, &widths())?;
        let has_layers = !task.layers.is_empty();
        pass.key("activation")
            .only(has_layers, "the task has no layers of its own")
            .value(&mut task.activation, &word())?;
        dropout(pass, &mut task.dropout, has_layers)?;
        pass.key("weight").value(&mut task.weight, &number(&NOT_NEGATIVE))?;
        loss::choice(pass, &mut task.loss, kind, *version)?;
        for_types(pass.key("positive"), kind, &[TaskKind::Binary]).maybe(
            &mut task.positive,
            &(|item: Item| label(&item), |class: &String| quote(class)),
        )?;
        pass.key("missing").maybe(&mut task.missing, &blanks())?;
        for_types(pass.key("top_k"), kind, &[TaskKind::Multiclass])
            .value(&mut task.top_k, &size(1..=MOST))?;
        for_types(pass.key("scale"), kind, &[TaskKind::Regression])
            .value(&mut task.scale, &word())?;
        pass.key("pool")
            .only(*rows != RowKind::Others, "rows are no tokens of sentences")
            .only(
                *rows != RowKind::OfPredicates,
                "each sentence has rows for each of its predicates",
            )
            .only(kind != TaskKind::Tags, "tags are labels of tokens, not of sentences")
            .maybe(&mut task.pool, &word())
    }
}

/// A key that means nothing for tasks of other types.
fn for_types<'p>(key: Key<'p>, kind: TaskKind, kinds: &[TaskKind]) -> Key<'p> {
    let known: Vec<String> = kinds.iter().map(TaskKind::to_string).collect();
    let known = known.join(", ");
    key.only(
        kinds.contains(&kind),
        format!("the task is of type {kind}, and the key is for {known}"),
    )
}

/// Reads `[task.*]`, in the order of the file. Where a task has layers without an activation, it
/// is the trunk's.
pub(super) fn tasks(
    root: &mut Section,
    activation: Activation,
    (version, rows): (Version, RowKind),
) -> Result<Vec<Task>> {
    let tables = root.take("task").map_or(Ok(vec![]), |item| item.entries("tables [task.NAME]"))?;
    if tables.is_empty() {
        return Err(Fault::config("task", "there is no task")
            .hint("add a table [task.NAME] for each label to learn"));
    }
    let task = |(name, item): (String, Item)| {
        check_name(&name, &item)?;
        let mut statement =
            Statement { task: Task { activation, ..Task::multiclass(&name) }, version, rows };
        read(Section::of(item)?, &mut statement).map(|()| statement.task)
    };
    tables.into_iter().map(task).collect()
}

/// The keys of a task, with their values as TOML.
pub(super) fn entries(task: &Task, version: Version) -> Vec<(&'static str, String)> {
    super::keys::entries(&mut Statement { task: task.clone(), version, rows: RowKind::Tokens })
}

pub(super) fn keys() -> Vec<&'static str> {
    let (version, rows) = (Version::V0_2, RowKind::Tokens);
    names(&mut Statement { task: Task::multiclass(""), version, rows })
}

/// `target`: a column, or a list of columns where a task may have several.
fn targets(kind: TaskKind) -> impl Form<Vec<String>> {
    let write = |targets: &Vec<String>| match &targets[..] {
        [one] => quote(one),
        several => texts(several),
    };
    (move |item: Item| read_targets(&item, kind), write)
}

fn read_targets(item: &Item, kind: TaskKind) -> Result<Vec<String>> {
    if !item.value.is_array() {
        return item.text().map(|column| vec![column.to_owned()]);
    }
    let columns = item.texts()?;
    let several = matches!(kind, TaskKind::Multilabel | TaskKind::Regression);
    match columns.is_empty() || (columns.len() > 1 && !several) {
        true => Err(item
            .fault(format!("must be one column for a task of type {kind}, found {}", columns.len()))
            .hint(
                "several columns are one task of type multilabel or regression, or several tasks",
            )),
        false => Ok(columns),
    }
}

fn write_groups(groups: &[(String, Vec<String>)]) -> String {
    let entries: Vec<(&str, String)> =
        groups.iter().map(|(class, values)| (class.as_str(), texts(values))).collect();
    inline_table(&entries)
}

/// Names of tasks go into tensor names, column names and file names.
fn check_name(name: &str, item: &Item) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    match plain && (1..=64).contains(&name.len()) {
        true => Ok(()),
        false => Err(item
            .fault(format!(
                "the name of a task must be 1 to 64 characters of A-Z a-z 0-9 _ . -, found {}",
                quoted(name)
            ))
            .hint("give it a plain name and the column as target = \"…\"")),
    }
}

/// `groups = { even = [0, 2], odd = [1, 3] }`
fn groups(item: Item) -> Result<Vec<(String, Vec<String>)>> {
    let place = item.path.clone();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (class, item) in
        item.entries("a table of classes, such as { even = [0, 2], odd = [1, 3] }")?
    {
        let values = group(&class, &item, &groups)?;
        groups.push((class, values));
    }
    match groups.len() {
        0 | 1 => Err(Fault::config(
            &place,
            format!("there must be 2 groups or more, found {}", groups.len()),
        )
        .hint(
            "list the label values of each class, or leave groups out to make every label value a \
             class",
        )),
        _ => Ok(groups),
    }
}

/// The label values of one class; none may stand in two.
fn group(class: &str, item: &Item, before: &[(String, Vec<String>)]) -> Result<Vec<String>> {
    if class.is_empty() {
        return Err(item.fault("the name of a class must not be empty"));
    }
    let mut values: Vec<String> = Vec::new();
    for item in item.list("label values (integers or texts)")? {
        let value = label(&item)?;
        if let Some((other, _)) = before.iter().find(|(_, values)| values.contains(&value)) {
            return Err(item.fault(format!(
                "the label {} is in the group {} already",
                quoted(&value),
                quoted(other)
            )));
        }
        if values.contains(&value) {
            return Err(
                item.fault(format!("the label {} stands twice in this group", quoted(&value)))
            );
        }
        values.push(value);
    }
    if values.is_empty() {
        Err(item
            .fault("must have a label value, found none")
            .hint("list its label values, or leave it out"))
    } else {
        Ok(values)
    }
}

/// A label value, as the text that stands in the data.
fn label(item: &Item) -> Result<String> {
    match item.value.as_integer() {
        Some(i) => Ok(i.to_string()),
        None => item
            .value
            .as_str()
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
            .ok_or_else(|| item.wrong("an integer or a text")),
    }
}
