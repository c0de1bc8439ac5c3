//! A look at all folds before one is trained: in each, every class and task has rows to train on.

use crate::config::{self, Task, TaskKind};
use crate::data::load::apply::{self};
use crate::data::load::folds::{Folds, counted, has_classes};
use crate::data::load::roles::Roles;
use crate::data::load::roles::all_zero;
use crate::data::load::{places, way};
use crate::data::split::shares;
use crate::data::{Part, UNLABELLED};
use crate::fault::{Fault, quoted};

/// Most classes of a task that are named for having few rows.
const MOST_NAMED: usize = 3;

/// Looks at all folds before one of them is trained: the folds, and what a user should know of
/// them.
///
/// # Errors
/// What [`super::tables::load`] refuses; 65 if in a fold nothing of a class or of a task is left to train on;
/// 78 if a part of a fold is empty.
pub fn look(
    data: &config::Data,
    tasks: &[Task],
    folds: usize,
) -> anyhow::Result<(Folds, Vec<String>)> {
    // Columns of arrays may be named in several ways.
    let resolved = places::resolve(data, tasks)?;
    let (data, tasks) = resolved.as_ref().map_or((data, tasks), |(data, tasks)| (data, &tasks[..]));
    way::with_roles(data, tasks, |roles| {
        let found = Folds::new(roles, folds)?;
        let shares = data.split.unwrap_or([1.0, 0.0, 0.0]);
        let shares = shares::shares_without(shares, data.valid.is_some(), data.test.is_some());
        let parts: Vec<[Vec<u32>; 3]> =
            (1..=folds).map(|fold| found.parts(roles, shares, fold)).collect::<Result<_, _>>()?;
        look_at_weights(roles, &parts)?;
        let mut notes = vec![format!("{folds} folds: {}", found.said)];
        for task in 0..tasks.len() {
            notes.extend(look_at_task(roles, task, &parts)?);
        }
        Ok((found, notes))
    })
}

/// Whether every fold has a row to train on that weighs anything.
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

/// Whether every fold has all classes of a task to train on, and which are not everywhere to be
/// tested on.
fn look_at_task(
    roles: &Roles,
    number: usize,
    parts: &[[Vec<u32>; 3]],
) -> anyhow::Result<Option<String>> {
    let (task, folds) = (&roles.tasks[number], parts.len());
    let (target, words) = roles.words(number)?;
    let classes = if has_classes(task) && task.kind != TaskKind::Multilabel {
        &target.classes[..]
    } else {
        &[]
    };
    let column = |part: &[u32]| count(&words, part, classes.len());
    let all: Vec<u32> = (0..roles.raw.rows as u32).collect();
    let total = column(&all);
    for (fold, [train, valid, test]) in parts.iter().enumerate() {
        let [trained, validated, tested] = [train, valid, test].map(|part| column(part));
        if let Some(at) = (0..total.len()).find(|&at| total[at] > 0 && trained[at] == 0) {
            let rows = [total[at], validated[at], tested[at]];
            return Err(untrained(roles, task, classes.get(at), fold + 1, rows).into());
        }
    }
    let rare = rare(task, classes, (&total, &words), folds as u64);
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

/// The classes with fewer rows than folds, or the columns that say yes in so few, as sentences name
/// them.
fn rare(
    task: &Task,
    classes: &[String],
    (total, words): (&[u64], &[Vec<u32>]),
    folds: u64,
) -> Vec<String> {
    let is_rare = |rows: u64| (1..folds).contains(&rows);
    if task.kind != TaskKind::Multilabel {
        let rare = classes.iter().zip(total).filter(|(_, rows)| is_rare(**rows));
        return rare.map(|(class, &rows)| class_of(class, rows)).collect();
    }
    let yes = words.iter().map(|column| column.iter().filter(|&&word| word == 1).count() as u64);
    let rare = task.targets.iter().zip(yes).filter(|(_, rows)| is_rare(*rows));
    rare.map(|(column, rows)| format!("column {} says yes in {}", quoted(column), counted(rows)))
        .collect()
}

fn class_of(class: &str, rows: u64) -> String {
    format!("class {} has {}", quoted(class), counted(rows))
}

/// Labels of some rows, by class, or all together where there are no classes.
fn count(words: &[Vec<u32>], rows: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes.max(1)];
    for column in words {
        for word in rows.iter().map(|&row| column[row as usize]).filter(|&word| word != UNLABELLED)
        {
            counts[if classes == 0 { 0 } else { word as usize }] += 1;
        }
    }
    counts
}

/// What to say where a fold cannot train a class, or a task at all.
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
            class_of(class, 1)
        );
        return Fault::data(place, found).hint(format!("{merge}, or give more rows of it"));
    }
    let found = format!(
        "task {name}: {}, and none is left to train on in fold {fold} ({test} tested on, {valid} \
         validated on)",
        class_of(class, total)
    );
    let is_shared = roles.data.stratify.as_ref() == Some(&task.name)
        || roles.tasks.len() == 1
        || roles.data.group.is_some();
    let share = if is_shared {
        String::new()
    } else {
        format!("data.stratify = {name} shares its classes out alike; or ")
    };
    Fault::data(place, found)
        .hint(format!("{share}{merge}, or take fewer folds or another data.split_seed"))
}
