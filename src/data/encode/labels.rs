//! Encodes the label cells of a task as u32. What the cells mean is fitted on the training part and
//! applied to every part.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::config::{Task, TaskKind, Version};
use crate::data::encode::fit::{fit_scale, sort, unscalable};
use crate::data::encode::tags;
use crate::data::schema::columns::some;
use crate::data::table::view::{Distinct, View};
use crate::data::tokens::UNSEEN;
use crate::data::value::alike::{Lookup, is_among, respelt_notice, truth};
use crate::data::value::blanks::{is_blank, is_blank_between};
use crate::data::value::meaning::{Meaning, TextSettings};
use crate::data::value::notation::Notation;
use crate::data::{Scaling, Target, UNLABELLED};
use crate::fault::{Fault, quoted};

/// Texts that meant "yes" to tandem 0.1.0 if the configuration does not name the positive class.
const POSITIVE: &[&str] = &["yes", "true", "t", "y", "1", "+", "positive"];
/// The largest count. An f32 cannot hold every whole number above it.
const MAX_COUNT: f64 = 16_777_216.0;

/// The label cells of one column. Each different text is stored once.
#[derive(Clone, Debug, Default)]
pub struct LabelColumn {
    /// The different texts.
    pub texts: Vec<String>,
    /// `[rows]`, an index into `texts` each, or [`UNLABELLED`] if the cell is empty.
    pub codes: Vec<u32>,
}

impl LabelColumn {
    /// Reads the cells of all rows of a column.
    pub fn read(view: &View, rows: usize) -> LabelColumn {
        let all: Vec<u32> = (0..rows as u32).collect();
        let distinct = view.distinct(&all);
        LabelColumn {
            texts: distinct.texts.into_iter().map(String::from).collect(),
            codes: distinct.codes,
        }
    }

    /// A column of labels given as bytes; their texts are "0" to "255".
    pub fn from_bytes(bytes: &[u8]) -> LabelColumn {
        let texts: Vec<String> = (0..=255u32).map(|value| value.to_string()).collect();
        LabelColumn { texts, codes: bytes.iter().map(|&b| u32::from(b)).collect() }
    }

    /// Whether one of `rows` has a label.
    fn has_label(&self, rows: &[u32], missing: &[String]) -> bool {
        let codes = rows.iter().map(|&row| self.codes[row as usize]);
        codes
            .filter(|&code| code != UNLABELLED)
            .any(|code| !is_among(missing, &self.texts[code as usize]))
    }

    /// The different texts of `rows`, each with its number of rows, in the order of their codes.
    pub fn tally(&self, rows: &[u32]) -> Vec<(&str, usize)> {
        let mut counts = vec![0; self.texts.len()];
        rows.iter()
            .map(|&row| self.codes[row as usize])
            .filter(|&code| code != UNLABELLED)
            .for_each(|code| counts[code as usize] += 1);
        self.texts.iter().map(String::as_str).zip(counts).filter(|(_, rows)| *rows > 0).collect()
    }
}

/// The label columns of a task, with their places for messages.
pub struct Labels<'l> {
    /// One per column of the task.
    pub columns: Vec<&'l LabelColumn>,
    /// Where the training labels came from.
    pub place: &'l str,
    /// Tells where a label stands, given (column of the task, row).
    pub locate: &'l dyn Fn(usize, usize) -> String,
}

/// Everything that is fitted on the labels of a task.
pub struct FittedLabels {
    /// The target.
    pub target: Target,
    /// The labels of the rows that it was fitted on, encoded: one vector per column of the task.
    pub encoded: Vec<Vec<u32>>,
    /// What the user should know about the labels.
    pub notices: Vec<String>,
}

/// Fits the target of a task on its labels in the training `rows`. `meanings` holds what the texts
/// of each label column are taken for.
///
/// # Errors
/// 65 if there is no label, if there are fewer than two classes, or more than two in a binary task,
/// or if a label does not fit the task; 78 if groups or the positive class do not fit.
pub fn fit(
    task: &Task,
    labels: &Labels,
    rows: &[u32],
    meanings: &[Meaning],
    version: Version,
) -> anyhow::Result<FittedLabels> {
    let bare = Target {
        columns: task.targets.clone(),
        kind: task.kind,
        missing: missing(meanings),
        blank_words: meanings.iter().any(|meaning| meaning.is_guessed),
        notations: notations(task, meanings),
        counts: Vec::new(),
        pool: task.pool,
        ..Target::multiclass(&task.name, vec![])
    };
    check_labelled(&bare, labels, rows)?;
    let mut notices = Vec::new();
    let target = match task.kind {
        TaskKind::Multiclass | TaskKind::Tags | TaskKind::Binary => {
            let (classes, notice) = distinct(&bare, labels, rows, version);
            notices.extend(notice);
            match task.kind {
                TaskKind::Binary => binary(task, bare, classes, labels.place, version)?,
                TaskKind::Tags => {
                    let scheme = tags::scheme(task, &classes, &|class| {
                        let column = labels.columns.first()?;
                        let is_it = |row: &&u32| {
                            let code = column.codes[**row as usize];
                            column.texts.get(code as usize).is_some_and(|text| text == class)
                        };
                        let row = rows.iter().find(is_it)?;
                        Some((labels.locate)(0, *row as usize))
                    })?;
                    let scheme = Some(scheme);
                    Target { scheme, ..multiclass(task, bare, classes, labels.place)? }
                }
                _ => multiclass(task, bare, classes, labels.place)?,
            }
        }
        TaskKind::Regression => regression(task, bare, labels, rows)?,
        TaskKind::Multilabel | TaskKind::Count => bare,
    };
    let encoded = encode(&target, labels, rows)?;
    let counts = counts(&target, &encoded);
    Ok(FittedLabels { target: Target { counts, ..target }, encoded, notices })
}

/// Whether the labels of a task are numbers, not classes.
pub fn is_numeric(kind: TaskKind) -> bool {
    matches!(kind, TaskKind::Regression | TaskKind::Count)
}

/// Finds what the texts of a label column are taken for. In a column of classes a text means
/// "blank" only if it is generally known to, and never if the configuration names it as a label.
pub fn meaning<'c>(
    task: &Task,
    tally: impl Iterator<Item = (&'c str, usize)>,
    settings: &TextSettings,
) -> Meaning {
    let meaning = Meaning::of(tally, settings);
    if is_numeric(task.kind) {
        return meaning;
    }
    let is_named = |text: &str| {
        task.positive.as_deref() == Some(text)
            || task.groups.iter().any(|(_, values)| values.iter().any(|value| value == text))
    };
    meaning.without(|text| is_named(text) || !is_blank_between(text))
}

/// Texts that mean "not labelled" in any of the columns.
fn missing(meanings: &[Meaning]) -> Vec<String> {
    let mut texts: Vec<String> = Vec::new();
    for text in meanings.iter().flat_map(|meaning| &meaning.missing) {
        if !texts.contains(text) {
            texts.push(text.clone());
        }
    }
    texts
}

/// How the numbers of each label column are written; empty if all are plain.
fn notations(task: &Task, meanings: &[Meaning]) -> Vec<Notation> {
    let all: Vec<Notation> = meanings.iter().map(|meaning| meaning.notation).collect();
    if is_numeric(task.kind) && !all.iter().all(Notation::is_plain) { all } else { Vec::new() }
}

/// Checks that at least one row has a label.
fn check_labelled(target: &Target, labels: &Labels, rows: &[u32]) -> anyhow::Result<()> {
    if labels.columns.iter().any(|column| column.has_label(rows, &target.missing)) {
        return Ok(());
    }
    let (noun, verb) =
        if target.columns.len() == 1 { ("column", "is") } else { ("columns", "are") };
    let found = format!(
        "task {} has no label: {noun} {} {verb} blank in all {} rows of the training part",
        quoted(&target.task),
        some(&target.columns),
        rows.len()
    );
    let hint = format!(
        "check target and missing of task.{0}, or remove the task; a larger training part may \
         have labels",
        target.task
    );
    Err(Fault::data(labels.place, found).hint(hint).into())
}

/// The target of a multiclass task.
fn multiclass(
    task: &Task,
    bare: Target,
    classes: Vec<String>,
    place: &str,
) -> anyhow::Result<Target> {
    let (classes, groups) = if task.groups.is_empty() {
        (classes, Vec::new())
    } else {
        check_groups(task)?;
        task.groups.iter().cloned().unzip()
    };
    check_two(task, &classes, place)?;
    Ok(Target { classes, groups, ..bare })
}

/// The different labels of a task of one column, sorted. Spellings of one value are merged, and the
/// notice says so.
fn distinct(
    target: &Target,
    labels: &Labels,
    rows: &[u32],
    version: Version,
) -> (Vec<String>, Option<String>) {
    let Some(column) = labels.columns.first() else { return Default::default() };
    let is_label = |(text, _): &(&str, usize)| !is_among(&target.missing, text);
    let trained: Vec<&str> =
        column.tally(rows).into_iter().filter(is_label).map(|(text, _)| text).collect();
    if version < Version::V0_2 {
        let mut classes: Vec<String> = trained.into_iter().map(str::to_owned).collect();
        sort(&mut classes);
        return (classes, None);
    }
    // The spelling is chosen over all rows, so that it does not depend on which of them are
    // training rows.
    let all: Vec<u32> = (0..column.codes.len() as u32).collect();
    let tally = column.tally(&all).into_iter().filter(is_label);
    let (texts, counts): (Vec<Cow<str>>, Vec<usize>) =
        tally.map(|(text, rows)| (text.into(), rows)).unzip();
    let found = Distinct { texts, counts, ..Distinct::default() }.merged();
    let notice = respelt_notice(&format!("labels of task {}", target.task), &found.respelt);
    let class_of = Lookup::new(found.texts.iter().map(|text| &**text).zip(0..));
    let kept: HashSet<u32> = trained.into_iter().filter_map(|text| class_of.get(text)).collect();
    let mut classes: Vec<String> =
        kept.into_iter().map(|code| found.texts[code as usize].to_string()).collect();
    sort(&mut classes);
    (classes, notice)
}

/// Checks that there are at least two classes.
fn check_two(task: &Task, classes: &[String], place: &str) -> anyhow::Result<()> {
    if classes.len() >= 2 {
        return Ok(());
    }
    let column = quoted(&task.targets[0]);
    let found = format!(
        "column {column} of the training part holds the one label {}, a task needs two classes",
        some(classes)
    );
    Err(Fault::data(place, found)
        .hint(format!("check the target of task.{}, or remove the task", task.name))
        .into())
}

/// Checks that there are two groups or more, and that no label is in two of them.
fn check_groups(task: &Task) -> anyhow::Result<()> {
    let place = format!("task.{}.groups", task.name);
    if task.groups.len() < 2 {
        return Err(Fault::config(&place, "one group, a task needs two classes")
            .hint("add a group with the other label values")
            .into());
    }
    let mut group_of: HashMap<&str, &str> = HashMap::new();
    for (group, value) in task
        .groups
        .iter()
        .flat_map(|(group, values)| values.iter().map(move |value| (group, value)))
    {
        match group_of.insert(value.trim(), group) {
            Some(other) if other != group => {
                let found = format!(
                    "the label {} is in {} and in {}",
                    quoted(value),
                    quoted(other),
                    quoted(group)
                );
                return Err(Fault::config(&place, found).hint("leave it in one group").into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The target of a binary task, with the negative class first.
fn binary(
    task: &Task,
    bare: Target,
    classes: Vec<String>,
    place: &str,
    version: Version,
) -> anyhow::Result<Target> {
    let (mut classes, mut groups) = if task.groups.is_empty() {
        one_against_others(task, classes)
    } else {
        check_groups(task)?;
        task.groups.iter().cloned().unzip()
    };
    check_two(task, &classes, place)?;
    if classes.len() > 2 {
        return Err(too_many(task, &classes, place).into());
    }
    if positive(task, &classes, version)? == 0 {
        classes.swap(0, 1);
        groups.reverse();
    }
    Ok(Target { classes, groups, ..bare })
}

/// Classes and groups of sorted labels. If there are more than two labels and one is named as
/// positive, all others together form the negative class.
fn one_against_others(task: &Task, labels: Vec<String>) -> (Vec<String>, Vec<Vec<String>>) {
    match &task.positive {
        Some(positive) if labels.len() > 2 => {
            let known = Lookup::new(labels.iter().map(String::as_str).zip(0..)).get(positive);
            let Some(at) = known else { return (labels, Vec::new()) };
            let mut others = labels;
            let found = others.remove(at as usize);
            (vec![format!("not {positive}"), positive.clone()], vec![others, vec![found]])
        }
        _ => (labels, Vec::new()),
    }
}

fn too_many(task: &Task, classes: &[String], place: &str) -> Fault {
    let (column, listed) = (quoted(&task.targets[0]), some(classes));
    if !task.groups.is_empty() {
        let found = format!("{} groups, a binary task has two: {listed}", classes.len());
        return Fault::config(&format!("task.{}.groups", task.name), found)
            .hint("put the label values into two groups");
    }
    let found = format!(
        "column {column} of the training part holds {} labels, a binary task has two: {listed}",
        classes.len()
    );
    let name = &task.name;
    let hint = format!(
        "type = \"multiclass\", two groups, or positive = \"…\" (one label against the others) in \
         task.{name}; blanks stand in its missing"
    );
    Fault::data(place, found).hint(hint)
}

/// The position of the positive class among two labels, which are sorted or in the order of groups.
fn positive(task: &Task, classes: &[String], version: Version) -> anyhow::Result<usize> {
    if let Some(class) = &task.positive {
        let known = Lookup::new(classes.iter().map(String::as_str).zip(0..));
        return known.get(class).map(|i| i as usize).ok_or_else(|| {
            let place = format!("task.{}.positive", task.name);
            let found = match task.groups.is_empty() {
                true => format!(
                    "{} is no label of column {} in the training part",
                    quoted(class),
                    quoted(&task.targets[0])
                ),
                false => format!("{} is none of the task's groups", quoted(class)),
            };
            Fault::config(&place, found).hint(format!("there are {}", some(classes))).into()
        });
    }
    Ok(positive_of(classes, version))
}

/// The position of the positive class among two sorted labels if the configuration does not name
/// it.
pub(crate) fn positive_of(classes: &[String], version: Version) -> usize {
    let is_number = |class: &String| class.parse::<f64>().is_ok_and(f64::is_finite);
    let is_positive = |class: &String| match version {
        Version::V0_1 => POSITIVE.contains(&class.to_lowercase().as_str()),
        Version::V0_2 => truth(class) == Some(true) || class == "+",
    };
    let by_word = classes.iter().filter(|class| is_positive(class)).count() == 1
        && !classes.iter().all(is_number);
    if by_word { classes.iter().position(is_positive).unwrap_or(1) } else { 1 }
}

/// The target of a regression task, with a scale per column.
fn regression(task: &Task, bare: Target, labels: &Labels, rows: &[u32]) -> anyhow::Result<Target> {
    let mut scales = Vec::with_capacity(bare.columns.len());
    for (i, column) in labels.columns.iter().enumerate() {
        let numbers = numbers(&bare, labels, i)?;
        let codes =
            rows.iter().map(|&row| column.codes[row as usize]).filter(|&code| code != UNLABELLED);
        let values: Vec<f64> = codes.filter_map(|code| numbers[code as usize]).collect();
        let (offset, factor) = fit_scale(task.scale, values);
        if !offset.is_finite() || !factor.is_finite() {
            return Err(unscalable(labels.place, &bare.columns[i]).into());
        }
        // A constant label is not scaled.
        scales.push(Scaling { offset, factor: if factor == 0.0 { 1.0 } else { factor } });
    }
    Ok(Target { scales, ..bare })
}

/// The number of each text of a column; `None` for texts that mean "not labelled".
fn numbers(target: &Target, labels: &Labels, column: usize) -> anyhow::Result<Vec<Option<f64>>> {
    let notation = target.notation(column);
    let read = |text: &str| notation.read(text).filter(|x: &f64| x.is_finite());
    let texts = &labels.columns[column].texts;
    let number = |(code, text): (usize, &String)| match target.is_blank(text) {
        true => Ok(None),
        false => read(text).map(Some).ok_or(code),
    };
    let numbers: Result<Vec<Option<f64>>, usize> = texts.iter().enumerate().map(number).collect();
    numbers.map_err(|code| {
        let codes = &labels.columns[column].codes;
        let row = codes.iter().position(|&c| c as usize == code).unwrap_or(0);
        unknown(target, &texts[code], (labels.locate)(column, row)).into()
    })
}

impl Target {
    /// How the numbers of a column are written.
    fn notation(&self, column: usize) -> Notation {
        self.notations.get(column).copied().unwrap_or_default()
    }

    /// Whether a text means "not labelled".
    fn is_blank(&self, text: &str) -> bool {
        let by_word = if is_numeric(self.kind) { is_blank_between } else { is_blank };
        is_among(&self.missing, text) || (self.blank_words && by_word(text))
    }
}

/// Encodes the labels of `rows`, one vector per column.
///
/// # Errors
/// 65 with place and value if a label does not fit the task.
pub fn encode(target: &Target, labels: &Labels, rows: &[u32]) -> anyhow::Result<Vec<Vec<u32>>> {
    (0..labels.columns.len()).map(|column| encode_column(target, labels, rows, column)).collect()
}

fn encode_column(
    target: &Target,
    labels: &Labels,
    rows: &[u32],
    column: usize,
) -> anyhow::Result<Vec<u32>> {
    let codes = &labels.columns[column].codes;
    let texts = &labels.columns[column].texts;
    let class_of = class_of(target);
    let scaling =
        target.scales.get(column).copied().unwrap_or(Scaling { offset: 0.0, factor: 1.0 });
    let notation = target.notation(column);
    let is_class = |text: &str| !is_among(&target.missing, text) && class_of.get(text).is_some();
    let is_blank = |text: &str| target.is_blank(text) && !is_class(text);
    let read = |text: &str| read(target.kind, &class_of, scaling, notation, text);
    // `None` stands for a text that does not fit. It is an error only if one of `rows` has it.
    let values: Vec<Option<u32>> = texts
        .iter()
        .map(|text| if is_blank(text) { Some(UNLABELLED) } else { read(text) })
        .collect();
    let encoded = rows.iter().map(|&row| match codes[row as usize] {
        UNLABELLED => Ok(UNLABELLED),
        code => values[code as usize].or(unseen(target, code)).ok_or_else(|| {
            unknown(target, &texts[code as usize], (labels.locate)(column, row as usize)).into()
        }),
    });
    encoded.collect()
}

/// The code of the text `code` of a column, which no training row has, where that is no error.
fn unseen(target: &Target, code: u32) -> Option<u32> {
    UNSEEN.checked_add(code).filter(|label| target.open && *label < UNLABELLED)
}

/// Encodes a label text; `None` if it does not fit the task.
fn read(
    kind: TaskKind,
    class_of: &Lookup,
    scaling: Scaling,
    notation: Notation,
    text: &str,
) -> Option<u32> {
    let number = || notation.read(text).filter(|x| x.is_finite());
    match kind {
        TaskKind::Multiclass | TaskKind::Tags | TaskKind::Binary => class_of.get(text),
        TaskKind::Multilabel => truth(text).map(u32::from),
        TaskKind::Regression => {
            let scaled = ((number()? - scaling.offset) * scaling.factor) as f32;
            scaled.is_finite().then_some(scaled.to_bits())
        }
        TaskKind::Count => {
            let count = number().filter(|x| *x >= 0.0 && x.fract() == 0.0 && *x <= MAX_COUNT)?;
            Some((count.abs() as f32).to_bits())
        }
    }
}

/// The lookup from a label text to the index of its class.
fn class_of(target: &Target) -> Lookup<'_> {
    if target.groups.is_empty() {
        return Lookup::new(target.classes.iter().zip(0..).map(|(class, i)| (class.as_str(), i)));
    }
    Lookup::new(
        target
            .groups
            .iter()
            .zip(0..)
            .flat_map(|(values, i)| values.iter().map(move |value| (value.trim(), i))),
    )
}

/// The number of labelled rows per column: of each class, or in all if there are no classes.
fn counts(target: &Target, labels: &[Vec<u32>]) -> Vec<Vec<u64>> {
    let classes = match target.kind {
        TaskKind::Multiclass | TaskKind::Tags => target.classes.len(),
        TaskKind::Binary | TaskKind::Multilabel => 2,
        TaskKind::Regression | TaskKind::Count => 1,
    };
    let of_column = |labels: &Vec<u32>| {
        let mut counts = vec![0; classes];
        for &label in labels.iter().filter(|&&label| label != UNLABELLED) {
            counts[if classes == 1 { 0 } else { label as usize }] += 1;
        }
        counts
    };
    labels.iter().map(of_column).collect()
}

/// The error for a label that does not fit its task.
fn unknown(target: &Target, text: &str, place: String) -> Fault {
    let (task, text) = (quoted(&target.task), quoted(text));
    let or_blank =
        format!("or add it to missing in task.{} if it means \"not labelled\"", target.task);
    let (found, hint) = match target.kind {
        _ if !target.groups.is_empty() => (
            format!("{text} is in no group of task {task}"),
            format!("add it to a group in task.{}.groups, or remove the row", target.task),
        ),
        TaskKind::Multiclass | TaskKind::Tags | TaskKind::Binary => (
            format!("{text} is not a class of task {task}"),
            format!(
                "the training part has the labels {}; correct the label, or remove the row",
                some(&target.classes)
            ),
        ),
        TaskKind::Multilabel => (
            format!("{text} is neither yes nor no, as task {task} needs"),
            format!("write 0 or 1, false or true, no or yes, {or_blank}"),
        ),
        TaskKind::Regression => {
            // A text that is a number in the notation of the task can only be too large for it.
            let notation = target.notations.first().copied().unwrap_or_default();
            let is_number = notation.read(text.trim_matches('"')).is_some_and(f64::is_finite);
            let found = match is_number {
                true => format!("{text} is too large for task {task} after scaling"),
                false => format!("{text} is not a finite number, as task {task} needs"),
            };
            let sign = if text.contains([',', '.']) { ", say data.decimal" } else { "" };
            (found, format!("correct the label{sign}, {or_blank}"))
        }
        TaskKind::Count => (
            format!("{text} is not a count, as task {task} needs"),
            format!("give a whole number from 0 to {MAX_COUNT}, {or_blank}"),
        ),
    };
    Fault::data(place, found).hint(hint)
}
