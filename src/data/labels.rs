//! Label texts to class indices: classes are found on the training part and applied to every part.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use super::Target;
use super::columns::some;
use crate::config::Task;
use crate::fault::{Fault, quoted};

/// The label cells of one task, each distinct text stored once.
#[derive(Clone, Debug, Default)]
pub struct LabelColumn {
    /// Distinct texts.
    pub texts: Vec<String>,
    /// `[rows]`, indices into `texts`.
    pub codes: Vec<u32>,
    index: HashMap<String, u32>,
}

impl LabelColumn {
    /// Appends a cell.
    pub fn push(&mut self, text: &str) {
        let code = self.index.get(text).copied().unwrap_or_else(|| {
            let code = self.texts.len() as u32;
            self.texts.push(text.to_owned());
            self.index.insert(text.to_owned(), code);
            code
        });
        self.codes.push(code);
    }

    /// Labels given as bytes; their texts are "0" to "255".
    pub fn from_bytes(bytes: &[u8]) -> LabelColumn {
        let texts: Vec<String> = (0..=255u32).map(|value| value.to_string()).collect();
        LabelColumn { texts, codes: bytes.iter().map(|&b| u32::from(b)).collect(), index: HashMap::new() }
    }

    /// The distinct texts of `rows`: by value if all are numbers, else by text.
    fn distinct(&self, rows: &[u32]) -> Vec<String> {
        let codes: HashSet<u32> = rows.iter().map(|&row| self.codes[row as usize]).collect();
        let mut texts: Vec<String> = codes.into_iter().map(|code| self.texts[code as usize].clone()).collect();
        let numbers = texts.iter().all(|text| number(text).is_some());
        texts.sort_by(|a, b| if numbers { by_value(a, b) } else { a.cmp(b) });
        texts
    }
}

/// "1" and "1.0" are two classes of one value; their texts decide.
fn by_value(a: &str, b: &str) -> Ordering {
    number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal).then_with(|| a.cmp(b))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|x: &f64| x.is_finite())
}

/// The classes of a task: its groups, or the distinct labels of the training rows. `place` is the training file, for messages.
///
/// # Errors
/// 65 if there are fewer than two distinct labels; 78 if there are fewer than two groups, or one value is in two of them.
pub fn fit(task: &Task, labels: &LabelColumn, rows: &[u32], place: &str) -> anyhow::Result<Target> {
    let (classes, groups) = if task.groups.is_empty() {
        (labels.distinct(rows), Vec::new())
    } else {
        check_groups(task)?;
        task.groups.iter().cloned().unzip()
    };
    if classes.len() < 2 {
        let found = format!(
            "column {} of the training part holds the one label {}, a task needs two classes",
            quoted(&task.targets[0]),
            some(&classes)
        );
        return Err(Fault::data(place, found).hint(format!("check the target of task.{}, or remove the task", task.name)).into());
    }
    Ok(Target { columns: task.targets.clone(), groups, ..Target::multiclass(&task.name, classes) })
}

fn check_groups(task: &Task) -> anyhow::Result<()> {
    let place = format!("task.{}.groups", task.name);
    if task.groups.len() < 2 {
        return Err(Fault::config(&place, "one group, a task needs two classes").hint("add a group with the other label values").into());
    }
    let mut group_of: HashMap<&str, &str> = HashMap::new();
    for (group, value) in task.groups.iter().flat_map(|(group, values)| values.iter().map(move |value| (group, value))) {
        match group_of.insert(value.trim(), group) {
            Some(other) if other != group => {
                let found = format!("the label {} is in {} and in {}", quoted(value), quoted(other), quoted(group));
                return Err(Fault::config(&place, found).hint("leave it in one group").into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Class indices of `rows`. `locate` names the place of a row's label, for messages.
///
/// # Errors
/// 65 with place and value if a label is no class of the task.
pub fn encode(target: &Target, labels: &LabelColumn, rows: &[u32], locate: impl Fn(usize) -> String) -> anyhow::Result<Vec<u32>> {
    let class_of = class_of(target);
    let by_code: Vec<Option<u32>> = labels.texts.iter().map(|text| class_of.get(text.as_str()).copied()).collect();
    let encoded = rows.iter().map(|&row| {
        let code = labels.codes[row as usize] as usize;
        by_code[code].ok_or_else(|| unknown(target, &labels.texts[code], locate(row as usize)).into())
    });
    encoded.collect()
}

/// Label text to class index.
fn class_of<'t>(target: &'t Target) -> HashMap<&'t str, u32> {
    if target.groups.is_empty() {
        return target.classes.iter().zip(0..).map(|(class, i)| (class.as_str(), i)).collect();
    }
    let of_group = |(values, i): (&'t Vec<String>, u32)| values.iter().map(move |value| (value.trim(), i));
    target.groups.iter().zip(0..).flat_map(of_group).collect()
}

fn unknown(target: &Target, text: &str, place: String) -> Fault {
    let task = quoted(&target.task);
    if target.groups.is_empty() {
        let hint = format!("the training part has the labels {}; correct the label, or remove the row", some(&target.classes));
        return Fault::data(place, format!("{} is not a class of task {task}", quoted(text))).hint(hint);
    }
    let hint = format!("add it to a group in task.{}.groups, or remove the row", target.task);
    Fault::data(place, format!("{} is in no group of task {task}", quoted(text))).hint(hint)
}
