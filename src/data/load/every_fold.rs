//! Checks all folds before one is trained: in each, every class and every task has rows to train
//! on.

use crate::config::{self, Task, TaskKind};
use crate::data::encode::labels::FittedLabels;
use crate::data::load::apply;
use crate::data::load::folds::{Folds, counted, has_classes};
use crate::data::load::roles::{Roles, all_zero};
use crate::data::load::{places, route};
use crate::data::split::shares;
use crate::data::{Part, UNLABELLED};
use crate::fault::{Fault, quoted};

/// The largest number of rare classes that a notice names.
const MOST_NAMED: usize = 3;

/// Makes the folds and checks all of them. Returns the folds, and what the user should know about
/// them.
///
/// # Errors
/// The errors of loading a table; 65 if a fold leaves no row of a class or of a task to train on;
/// 78 if a part of a fold is empty.
pub fn look(
    data: &config::Data,
    tasks: &[Task],
    folds: usize,
) -> anyhow::Result<(Folds, Vec<String>)> {
    // Settings may name a column of an array in several ways.
    let resolved = places::resolve(data, tasks)?;
    let (data, tasks) = resolved.as_ref().map_or((data, tasks), |(data, tasks)| (data, &tasks[..]));
    route::with_roles(data, tasks, |roles| {
        let found = Folds::new(roles, folds)?;
        let shares = data.split.unwrap_or([1.0, 0.0, 0.0]);
        let shares = shares::shares_without(shares, data.valid.is_some(), data.test.is_some());
        let parts: Vec<[Vec<u32>; 3]> =
            (1..=folds).map(|fold| found.parts(roles, shares, fold)).collect::<Result<_, _>>()?;
        look_at_weights(roles, &parts)?;
        let mut notes = vec![format!("{folds} folds: {}", found.explanation)];
        for task in 0..tasks.len() {
            notes.extend(look_at_task(roles, task, &parts)?);
        }
        Ok((found, notes))
    })
}

/// Checks that every fold has a training row with a weight above 0.
fn look_at_weights(roles: &Roles, parts: &[[Vec<u32>; 3]]) -> anyhow::Result<()> {
    let Some(name) = &roles.data.row_weight else { return Ok(()) };
    for (fold, [train, ..]) in parts.iter().enumerate() {
        if apply::weights_of(&roles.raw, name, train)?.iter().all(|&weight| weight == 0.0) {
            let fault = all_zero(roles.data, roles.place());
            return Err(Fault {
                message: format!("{} (fold {})", fault.message, fold + 1),
                ..fault
            }
            .into());
        }
    }
    Ok(())
}

/// Checks that every fold has all classes of a task to train on. Returns a notice about classes
/// that some folds do not test on.
fn look_at_task(
    roles: &Roles,
    number: usize,
    parts: &[[Vec<u32>; 3]],
) -> anyhow::Result<Option<String>> {
    let (task, folds) = (&roles.tasks[number], parts.len());
    let FittedLabels { target, encoded: labels, .. } = roles.encoded_labels(number)?;
    let classes = if has_classes(task) && task.kind != TaskKind::Multilabel {
        &target.classes[..]
    } else {
        &[]
    };
    let column = |part: &[u32]| count(labels, part, classes.len());
    let all: Vec<u32> = (0..roles.raw.rows as u32).collect();
    let total = column(&all);
    for (fold, [train, valid, test]) in parts.iter().enumerate() {
        let [trained, validated, tested] = [train, valid, test].map(|part| column(part));
        if let Some(at) = (0..total.len()).find(|&at| total[at] > 0 && trained[at] == 0) {
            let rows = [total[at], validated[at], tested[at]];
            return Err(untrained(roles, task, classes.get(at), fold + 1, rows).into());
        }
    }
    let rare = rare(task, classes, (&total, labels), folds as u64);
    let tested = parts
        .iter()
        .filter(|parts| column(&parts[Part::Test as usize]).iter().any(|&rows| rows > 0))
        .count();
    let name = quoted(&task.name);
    Ok(match rare.len() {
        _ if tested < folds => Some(format!(
            "task {name}: {} of {folds} folds have no label to test on",
            folds - tested
        )),
        0 => None,
        n => {
            let more = if n > MOST_NAMED {
                format!(" and {} more", n - MOST_NAMED)
            } else {
                String::new()
            };
            let named = rare[..n.min(MOST_NAMED)].join(", ");
            Some(format!(
                "task {name}: {named}{more}, fewer than folds: not every fold tests on them"
            ))
        }
    })
}

/// Phrases about the classes with fewer rows than folds, or about the columns that say yes in fewer
/// rows than folds.
fn rare(
    task: &Task,
    classes: &[String],
    (total, labels): (&[u64], &[Vec<u32>]),
    folds: u64,
) -> Vec<String> {
    let is_rare = |rows: u64| (1..folds).contains(&rows);
    if task.kind != TaskKind::Multilabel {
        let rare = classes.iter().zip(total).filter(|(_, rows)| is_rare(**rows));
        return rare.map(|(class, &rows)| class_phrase(class, rows)).collect();
    }
    let yes = labels.iter().map(|column| column.iter().filter(|&&label| label == 1).count() as u64);
    let rare = task.targets.iter().zip(yes).filter(|(_, rows)| is_rare(*rows));
    rare.map(|(column, rows)| format!("column {} says yes in {}", quoted(column), counted(rows)))
        .collect()
}

fn class_phrase(class: &str, rows: u64) -> String {
    format!("class {} has {}", quoted(class), counted(rows))
}

/// The number of labels in some rows: of each class, or in all if there are no classes.
fn count(labels: &[Vec<u32>], rows: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes.max(1)];
    for column in labels {
        let there =
            rows.iter().map(|&row| column[row as usize]).filter(|&label| label != UNLABELLED);
        for label in there {
            counts[if classes == 0 { 0 } else { label as usize }] += 1;
        }
    }
    counts
}

/// The error for a fold that leaves no row of a class, or of a task, to train on.
fn untrained(
    roles: &Roles,
    task: &Task,
    class: Option<&String>,
    fold: usize,
    [total, valid, test]: [u64; 3],
) -> Fault {
    let (name, place) = (quoted(&task.name), &roles.raw.place);
    let Some(class) = class else {
        let found = format!(
            "task {name}: none of its {total} labels is left to train on in fold {fold} ({test} \
             tested on, {valid} validated on)"
        );
        let hint = "take another data.split_seed or fewer folds, or give more labels";
        return Fault::data(place, found).hint(hint);
    };
    let merge = format!(
        "merge it with another class by groups in task.{0}, list it in missing of task.{0}",
        task.name
    );
    if total == 1 {
        let found = format!(
            "task {name}: {}, and the fold that tests on it (fold {fold}) has none to train on",
            class_phrase(class, 1)
        );
        return Fault::data(place, found).hint(format!("{merge}, or give more rows of it"));
    }
    let found = format!(
        "task {name}: {}, and none is left to train on in fold {fold} ({test} tested on, {valid} \
         validated on)",
        class_phrase(class, total)
    );
    let is_shared = roles.data.stratify.as_ref() == Some(&task.name)
        || roles.tasks.len() == 1
        || roles.data.group_column().is_some();
    let share = if is_shared {
        String::new()
    } else {
        format!("data.stratify = {name} shares its classes out alike; or ")
    };
    Fault::data(place, found)
        .hint(format!("{share}{merge}, or take fewer folds or another data.split_seed"))
}
