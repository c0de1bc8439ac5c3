//! `[trunk]` and `[task.*]`.

use super::item::{BELOW_ONE, Item, NOT_NEGATIVE, Result};
use super::known::{TASK, TRUNK};
use super::section::Section;
use crate::config::{Activation, Init, Task, TaskKind, Trunk};
use crate::fault::{Fault, quoted};

/// Types of task that are known but not of use yet.
const LATER: &[&str] = &["binary", "regression", "multilabel", "count"];

/// Reads `[trunk]`.
pub(super) fn trunk(root: &mut Section) -> Result<Trunk> {
    let mut section = root.section("trunk", TRUNK)?;
    let layers = section.read("layers", vec![128, 128], |item| item.widths())?;
    let activation = section.read("activation", Activation::Relu, |item| item.word())?;
    let dropout = dropout(&mut section, &layers)?;
    let init = section.read("init", Init::Auto, |item| item.word())?;
    section.finish().map(|()| Trunk { layers, activation, dropout, init })
}

/// Dropout acts on hidden layers, so there must be one.
fn dropout(section: &mut Section, layers: &[usize]) -> Result<f64> {
    let dropout = section.read("dropout", 0.0, |item| item.number(&BELOW_ONE))?;
    match layers.is_empty() && dropout > 0.0 {
        true => Err(section.fault("dropout", "has no effect, since layers = []").hint("leave it out, or give layers")),
        false => Ok(dropout),
    }
}

/// Reads `[task.*]`, in the order of the file.
pub(super) fn tasks(root: &mut Section, trunk: &Trunk) -> Result<Vec<Task>> {
    let tables = root.read("task", vec![], |item| item.entries("tables [task.NAME]"))?;
    if tables.is_empty() {
        return Err(Fault::config("task", "there is no task").hint("add a table [task.NAME] for each label to learn"));
    }
    tables.into_iter().map(|(name, item)| task(name, item, trunk)).collect()
}

/// `[task.NAME]`
fn task(name: String, item: Item, trunk: &Trunk) -> Result<Task> {
    check_name(&name, &item)?;
    let mut section = Section::open_item(item, TASK)?;
    let kind = section.read("type", TaskKind::Multiclass, |item| item.word_with(LATER))?;
    let target = section.read("target", name.clone(), |item| item.text().map(str::to_owned))?;
    let groups = section.read("groups", vec![], groups)?;
    let layers = section.read("layers", vec![], |item| item.widths())?;
    if layers.is_empty() {
        section.refuse(&["activation"], "the task has no layers of its own")?;
    }
    let activation = section.read("activation", trunk.activation, |item| item.word())?;
    let dropout = dropout(&mut section, &layers)?;
    let weight = section.read("weight", 1.0, |item| item.number(&NOT_NEGATIVE))?;
    section.finish().map(|()| Task { name, kind, target, groups, layers, activation, dropout, weight })
}

/// Names of tasks go into tensor names, column names and file names.
fn check_name(name: &str, item: &Item) -> Result<()> {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    match plain && (1..=64).contains(&name.len()) {
        true => Ok(()),
        false => Err(item
            .fault(format!("the name of a task must be 1 to 64 characters of A-Z a-z 0-9 _ . -, found {}", quoted(name)))
            .hint("give it a plain name and the column as target = \"…\"")),
    }
}

/// `groups = { even = [0, 2], odd = [1, 3] }`
fn groups(item: Item) -> Result<Vec<(String, Vec<String>)>> {
    let place = item.path.clone();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (class, item) in item.entries("a table of classes, such as { even = [0, 2], odd = [1, 3] }")? {
        let values = group(&class, &item, &groups)?;
        groups.push((class, values));
    }
    match groups.len() {
        0 | 1 => Err(Fault::config(&place, format!("there must be 2 groups or more, found {}", groups.len()))
            .hint("list the label values of each class, or leave groups out to make every label value a class")),
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
            return Err(item.fault(format!("the label {} is in the group {} already", quoted(&value), quoted(other))));
        }
        if values.contains(&value) {
            return Err(item.fault(format!("the label {} stands twice in this group", quoted(&value))));
        }
        values.push(value);
    }
    if values.is_empty() {
        Err(item.fault("must have a label value, found none").hint("list its label values, or leave it out"))
    } else {
        Ok(values)
    }
}

/// A label value, as the text that stands in the data.
fn label(item: &Item) -> Result<String> {
    match item.value.as_integer() {
        Some(i) => Ok(i.to_string()),
        None => item.value.as_str().filter(|t| !t.is_empty()).map(str::to_owned).ok_or_else(|| item.wrong("an integer or a text")),
    }
}
