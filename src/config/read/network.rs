//! `[trunk]` and `[task.*]`.

use super::item::{BELOW_ONE, INSIDE_ONE, Item, MOST, NOT_NEGATIVE, POSITIVE, Result};
use super::known::{TASK, TRUNK};
use super::section::Section;
use crate::config::{
    Activation, ClassWeights, Init, Loss, PositiveWeight, Scale, Task, TaskKind, Trunk, Version,
};
use crate::fault::{Fault, quoted};

/// Reads `[trunk]`.
pub(super) fn trunk(root: &mut Section) -> Result<Trunk> {
    let mut section = root.section("trunk", TRUNK)?;
    let layers = section.read("layers", vec![128, 128], |item| item.widths())?;
    let activation = section.read("activation", Activation::Relu, |item| item.word())?;
    let dropout = dropout(&mut section, &layers)?;
    let init = section.read("init", Init::Auto, |item| item.word())?;
    let freeze = section.read("freeze", false, |item| item.flag())?;
    if freeze && layers.is_empty() {
        return Err(section
            .fault("freeze", "has no effect, since layers = []")
            .hint("leave it out, or give layers"));
    }
    section.finish().map(|()| Trunk { layers, activation, dropout, init, freeze })
}

/// Dropout acts on hidden layers, so there must be one.
fn dropout(section: &mut Section, layers: &[usize]) -> Result<f64> {
    let dropout = section.read("dropout", 0.0, |item| item.number(&BELOW_ONE))?;
    match layers.is_empty() && dropout > 0.0 {
        true => Err(section
            .fault("dropout", "has no effect, since layers = []")
            .hint("leave it out, or give layers")),
        false => Ok(dropout),
    }
}

/// Reads `[task.*]`, in the order of the file.
pub(super) fn tasks(root: &mut Section, trunk: &Trunk, version: Version) -> Result<Vec<Task>> {
    let tables = root.read("task", vec![], |item| item.entries("tables [task.NAME]"))?;
    if tables.is_empty() {
        return Err(Fault::config("task", "there is no task")
            .hint("add a table [task.NAME] for each label to learn"));
    }
    tables.into_iter().map(|(name, item)| task(name, item, trunk, version)).collect()
}

/// `[task.NAME]`
fn task(name: String, item: Item, trunk: &Trunk, version: Version) -> Result<Task> {
    check_name(&name, &item)?;
    let mut section = Section::open_item(item, TASK)?;
    let kind = section.read("type", TaskKind::Multiclass, |item| item.word())?;
    let targets = section.read("target", vec![name.clone()], |item| targets(&item, kind))?;
    only(&section, kind, &["label_smoothing", "class_weights", "top_k"], &[TaskKind::Multiclass])?;
    only(&section, kind, &["groups"], &[TaskKind::Multiclass, TaskKind::Binary])?;
    only(&section, kind, &["positive"], &[TaskKind::Binary])?;
    only(&section, kind, &["positive_weight"], &[TaskKind::Binary, TaskKind::Multilabel])?;
    only(
        &section,
        kind,
        &["focal_gamma"],
        &[TaskKind::Multiclass, TaskKind::Binary, TaskKind::Multilabel],
    )?;
    only(&section, kind, &["scale"], &[TaskKind::Regression])?;
    only(&section, kind, &["scale_loss"], &[TaskKind::Count])?;
    let groups = section.read("groups", vec![], groups)?;
    let positive = section.maybe("positive", |item| label(&item))?;
    let missing = section.maybe("missing", |item| item.blanks())?;
    let loss = loss(&mut section, kind, version)?;
    let scale = section.read("scale", Scale::Standard, |item| item.word())?;
    let top_k = section.read("top_k", 5, |item| item.count(1..=MOST))? as usize;
    let layers = section.read("layers", vec![], |item| item.widths())?;
    if layers.is_empty() {
        section.refuse(&["activation"], "the task has no layers of its own")?;
    }
    let activation = section.read("activation", trunk.activation, |item| item.word())?;
    let dropout = dropout(&mut section, &layers)?;
    let weight = section.read("weight", 1.0, |item| item.number(&NOT_NEGATIVE))?;
    section.finish().map(|()| Task {
        name,
        kind,
        targets,
        groups,
        layers,
        activation,
        dropout,
        weight,
        loss,
        positive,
        scale,
        missing,
        top_k,
    })
}

/// Refuses keys that mean nothing for a task of this type.
fn only(section: &Section, kind: TaskKind, keys: &[&str], kinds: &[TaskKind]) -> Result<()> {
    let known: Vec<String> = kinds.iter().map(TaskKind::to_string).collect();
    match kinds.contains(&kind) {
        true => Ok(()),
        false => section.refuse(
            keys,
            format!("the task is of type {kind}, and the key is for {}", known.join(", ")),
        ),
    }
}

/// `target`: a column, or a list of columns where a task may have several.
fn targets(item: &Item, kind: TaskKind) -> Result<Vec<String>> {
    if !item.value.is_array() {
        return item.text().map(|column| vec![column.to_owned()]);
    }
    let columns = item.texts()?;
    let several = matches!(kind, TaskKind::Multilabel | TaskKind::Regression);
    if columns.is_empty() || (columns.len() > 1 && !several) {
        return Err(item
            .fault(format!("must be one column for a task of type {kind}, found {}", columns.len()))
            .hint(
                "several columns are one task of type multilabel or regression, or several tasks",
            ));
    }
    match columns.iter().enumerate().find(|(i, column)| columns[..*i].contains(column)) {
        Some((_, twice)) => Err(item.fault(format!("the column {} stands twice", quoted(twice)))),
        None => Ok(columns),
    }
}

/// `loss` with the keys that belong to it.
fn loss(section: &mut Section, kind: TaskKind, version: Version) -> Result<Loss> {
    let word = section.read("loss", kind.losses()[0].to_owned(), |item| {
        item.one_of(kind.losses()).map(str::to_owned)
    })?;
    for (key, of) in [("huber_delta", "huber"), ("quantile", "quantile")] {
        if word != of {
            section.refuse(&[key], format!("loss = \"{word}\""))?;
        }
    }
    Ok(match (word.as_str(), kind) {
        ("cross_entropy", TaskKind::Multiclass) => Loss::CrossEntropy {
            label_smoothing: section
                .read("label_smoothing", 0.0, |item| item.number(&BELOW_ONE))?,
            focal_gamma: section.read("focal_gamma", 0.0, |item| item.number(&NOT_NEGATIVE))?,
            class_weights: section.read("class_weights", ClassWeights::None, class_weights)?,
        },
        ("cross_entropy", _) => Loss::Logistic {
            focal_gamma: section.read("focal_gamma", 0.0, |item| item.number(&NOT_NEGATIVE))?,
            positive_weight: section.read(
                "positive_weight",
                PositiveWeight::Given(1.0),
                |item| match item.value.as_str() {
                    Some("balanced") => Ok(PositiveWeight::Balanced),
                    Some(_) => Err(item.wrong("a number above 0 or \"balanced\"")),
                    None => item.number(&POSITIVE).map(PositiveWeight::Given),
                },
            )?,
        },
        ("squared", _) => Loss::Squared,
        ("absolute", _) => Loss::Absolute,
        ("huber", _) => {
            Loss::Huber { delta: section.read("huber_delta", 1.0, |item| item.number(&POSITIVE))? }
        }
        ("quantile", _) => Loss::Quantile {
            quantile: section.read("quantile", 0.5, |item| item.number(&INSIDE_ONE))?,
        },
        _ => Loss::Poisson {
            per_mean: section.read("scale_loss", version >= Version::V0_2, |item| item.flag())?,
        },
    })
}

/// `class_weights = "balanced"`, or `{ CLASS = 2.0, … }`
fn class_weights(item: Item) -> Result<ClassWeights> {
    if item.value.as_str() == Some("balanced") {
        return Ok(ClassWeights::Balanced);
    }
    if !item.value.is_table() {
        return Err(item.wrong("\"balanced\" or a table such as { yes = 2.0, no = 1.0 }"));
    }
    let weights = item.entries("a table of weights by class")?;
    weights
        .into_iter()
        .map(|(class, item)| Ok((class, item.number(&NOT_NEGATIVE)?)))
        .collect::<Result<_>>()
        .map(ClassWeights::Given)
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
