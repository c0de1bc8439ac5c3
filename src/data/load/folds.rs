//! Folds of a table: which fold each row is in, what each fold trains, validates and tests on, and
//! whether all of them can be trained.

use crate::config::{self, Task, TaskKind, Version};
use crate::data::encode::applied::Met;
use crate::data::load::tables;
use crate::data::load::tables::{Roles, apply_rows};
use crate::data::load::{places, way};
use crate::data::read::chunks::{Chunks, indivisible};
use crate::data::split::shares;
use crate::data::split::strata::{
    Strata, dealt, dealt_by_classes, dealt_groups, dealt_groups_by_class,
};
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::{Dataset, Part, Schema, Table, UNLABELLED};
use crate::fault::{Fault, quoted};

/// Bytes of text that are read at a time where rows out of their folds are gone through.
const PIECE: u64 = 64 << 20;
/// Most classes of a task that are named for having few rows.
const MOST_NAMED: usize = 3;

/// The folds of a table.
#[derive(Clone, Debug)]
pub struct Folds {
    /// `[rows]`, the fold of each row, from 0.
    pub of: Vec<u32>,
    /// Number of folds.
    pub folds: usize,
    /// What is shared out alike; `None` = nothing.
    strata: Option<Strata>,
    /// Groups that stay whole: `[rows]`, a code each, and a random number for each code.
    groups: Option<(Vec<u32>, Vec<u64>)>,
    /// By which task, and why; or why by none.
    said: String,
}

impl Folds {
    /// Which fold each row is in: a function of the rows, of their labels and of `data.split_seed`.
    pub(crate) fn new(roles: &Roles, folds: usize) -> anyhow::Result<Folds> {
        let (data, rows) = (roles.data, roles.raw.rows);
        let group = roles.group();
        if data.version == Version::V0_1 {
            let number = |row: usize| {
                group.as_ref().map_or(row as u64, |group| shares::group_number(&group.text(row)))
            };
            let of = (0..rows)
                .map(|row| shares::fold_of(data.split_seed, number(row), folds) as u32)
                .collect();
            let said = "rows are drawn one by one, as by tandem 0.1.0".into();
            return Ok(Folds { of, folds, strata: None, groups: None, said });
        }
        let (task, why) = chosen(roles, group.is_some())?;
        let strata = task.map(|task| strata(roles, task)).transpose()?;
        let groups = group
            .map(|group| shares::groups(&group, rows, (data.split_seed, data.version)))
            .transpose()?;
        let of = match (&groups, &strata) {
            (None, None) => dealt(rows, folds, data.split_seed),
            (None, Some(Strata::Classes(classes))) => {
                let others = others(roles, task)?;
                let tasks: Vec<&[u32]> =
                    std::iter::once(classes).chain(&others).map(Vec::as_slice).collect();
                dealt_by_classes(&tasks, folds, data.split_seed)
            }
            (None, Some(strata)) => strata.dealt(folds, data.split_seed),
            (Some((codes, keys)), None) => dealt_groups(codes, keys, folds),
            (Some((codes, keys)), Some(strata)) => {
                dealt_groups_by_class(codes, keys, strata, folds)
            }
        };
        let mut found = Folds { of, folds, strata, groups, said: why };
        if found.groups.is_some() {
            let sizes: Vec<String> = found.sizes().iter().map(usize::to_string).collect();
            found.said = format!(
                "groups stay whole, so folds have {} rows; {}",
                sizes.join(", "),
                found.said
            );
        }
        Ok(found)
    }

    /// Rows of each fold.
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.folds];
        self.of.iter().for_each(|&fold| sizes[fold as usize] += 1);
        sizes
    }

    /// Row numbers of each part where a fold, from 1 up, is held out to be tested on. The share of
    /// the test part is trained on.
    ///
    /// # Errors
    /// 78 if a part would be empty.
    pub(crate) fn parts(
        &self,
        roles: &Roles,
        shares: [f64; 3],
        fold: usize,
    ) -> anyhow::Result<[Vec<u32>; 3]> {
        let is_held = |row: u32| self.of[row as usize] as usize;
        if roles.data.version == Version::V0_1 {
            return shares::held_out(roles.split_by(shares)?, (fold, self.folds), is_held);
        }
        let [train, valid, test] = shares;
        let (shares, seed) = ([train + test, valid, 0.0], roles.data.split_seed);
        let (test, rest): (Vec<u32>, Vec<u32>) =
            (0..self.of.len() as u32).partition(|&row| is_held(row) + 1 == fold);
        let [train, valid, _] = match (&self.groups, &self.strata) {
            (Some((codes, keys)), _) => shares::groups_among(&rest, codes, keys, shares),
            (None, Some(strata)) => shares::stratified_among(&rest, strata, shares, seed),
            (None, None) => shares::rows_among(&rest, self.of.len(), shares, seed),
        };
        shares::check_fold([train, valid, test], (fold, self.folds), shares[1] > 0.0)
    }

    /// The rows of a fold, from 1 up, piece by piece in the order of the table: their numbers, and
    /// what a model with this schema is to see of them. The cells that are kept are the number of
    /// the row, the fold and the label columns.
    ///
    /// # Errors
    /// 65 if the table is not the one that folds were made of.
    pub fn rows_of(
        &self,
        (data, tasks): (&config::Data, &[Task]),
        schema: &Schema,
        fold: usize,
        take: &mut dyn FnMut(Dataset) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let schema = Schema { targets: Vec::new(), ..schema.clone() };
        let resolved = places::resolve(data, tasks)?;
        let (data, tasks) =
            resolved.as_ref().map_or((data, tasks), |(data, tasks)| (data, &tasks[..]));
        let mut first = 0;
        let mut piece = |raw: &Raw| {
            let end = (first + raw.rows).min(self.of.len());
            let rows: Vec<u32> = (first..end)
                .filter(|&row| self.of[row] as usize + 1 == fold)
                .map(|row| (row - first) as u32)
                .collect();
            if !rows.is_empty() {
                let dataset = apply_rows(&schema, raw, &rows)?;
                let table = labelled(raw, tasks, &rows, first, fold);
                let (header, met) = (table.names.clone(), Met::default());
                take(Dataset { table: Some(Table { header, met, raw: table.into() }), ..dataset })?;
            }
            first += raw.rows;
            Ok::<(), anyhow::Error>(())
        };
        let options = schema.reading.options();
        match indivisible(&data.train)? {
            Some(_) => piece(&tables::read(&data.train, &options)?)?,
            None => {
                Chunks::new(&data.train, &options, PIECE)?.try_for_each(|chunk| piece(&chunk?))?
            }
        }
        if first == self.of.len() {
            return Ok(());
        }
        let found =
            format!("has {first} rows, and had {} when folds were made of it", self.of.len());
        Err(Fault::data("data.train", found)
            .hint("begin anew when nobody writes to the data")
            .into())
    }
}

/// Number, fold and label columns of some rows; `first` is the number of the first row of the table
/// that they are cut from.
fn labelled(raw: &Raw, tasks: &[Task], rows: &[u32], first: usize, fold: usize) -> Raw {
    let mut columns: Vec<usize> = Vec::new();
    for at in tasks.iter().flat_map(|task| &task.targets).filter_map(|name| raw.column(name)) {
        if !columns.contains(&at) {
            columns.push(at);
        }
    }
    let mut table = raw.cut(&columns, rows);
    let numbers = rows.iter().map(|&row| (first + row as usize) as f64).collect();
    let ours = [("fold", vec![fold as f64; rows.len()]), ("row", numbers)];
    for (name, numbers) in ours {
        let free = std::iter::successors(Some(name.to_owned()), |name| Some(format!("{name}_")));
        let name = free.into_iter().find(|name| !table.names.contains(name)).unwrap_or_default();
        table.names.insert(0, name);
        table.columns.insert(0, RawColumn::Numbers(numbers));
    }
    table
}

/// The task that folds are stratified by, and what is to be said of it: that of `data.stratify`; or
/// of the tasks with classes the one with the rarest.
fn chosen(roles: &Roles, is_grouped: bool) -> anyhow::Result<(Option<usize>, String)> {
    let alike = |task: usize| {
        format!("folds have the classes of task {} alike", quoted(&roles.tasks[task].name))
    };
    if let Some(name) = &roles.data.stratify {
        let task = roles.tasks.iter().position(|task| task.name == *name);
        return Ok((task, task.map(alike).unwrap_or_default()));
    }
    if is_grouped {
        return Ok((
            None,
            "classes are not shared out alike (data.stratify names a task by which they are, as far as groups allow)".into(),
        ));
    }
    Ok(match by_rarest(roles)?[..] {
        [] => (None, "no task has classes to be shared out alike".into()),
        [(_, task)] => (Some(task), alike(task)),
        [(rows, task), ..] => {
            let why = format!(
                "{}, which has the rarest one ({}); data.stratify names another task",
                alike(task),
                counted(rows)
            );
            (Some(task), why)
        }
    })
}

/// The tasks with classes, each with the rows of its rarest class, ascending by them.
fn by_rarest(roles: &Roles) -> anyhow::Result<Vec<(u64, usize)>> {
    let mut tasks = Vec::new();
    for task in (0..roles.tasks.len()).filter(|&task| has_classes(&roles.tasks[task])) {
        let counts = roles.words(task)?.0.counts;
        tasks.extend(
            counts
                .into_iter()
                .flatten()
                .filter(|&count| count > 0)
                .min()
                .map(|least| (least, task)),
        );
    }
    tasks.sort_by_key(|(least, _)| *least);
    Ok(tasks)
}

/// The classes of the other tasks, the task with the rarest class first; of a task with several
/// columns those of each, the column that says yes least often first.
fn others(roles: &Roles, chosen: Option<usize>) -> anyhow::Result<Vec<Vec<u32>>> {
    let mut others = Vec::new();
    for (_, task) in by_rarest(roles)? {
        if Some(task) == chosen {
            continue;
        }
        let mut columns = roles.words(task)?.1;
        columns.sort_by_key(|column| column.iter().filter(|&&word| word == 1).count());
        others.extend(columns);
    }
    Ok(others)
}

/// Whether the labels of a task are classes, or yes and no.
fn has_classes(task: &Task) -> bool {
    matches!(task.kind, TaskKind::Multiclass | TaskKind::Binary | TaskKind::Multilabel)
}

/// The classes of a task, row by row; those of several columns are marks for yes and for blanks.
/// Rows without a label are one class more.
pub(crate) fn strata(roles: &Roles, task: usize) -> anyhow::Result<Strata> {
    if roles.data.version == Version::V0_1 {
        let column = roles.labels[task].first();
        return Ok(Strata::Classes(column.map(|column| column.codes.clone()).unwrap_or_default()));
    }
    let (_, words) = roles.words(task)?;
    if roles.tasks[task].kind != TaskKind::Multilabel {
        return Ok(Strata::Classes(words.into_iter().next().unwrap_or_default()));
    }
    let rows_with = |column: &[u32], word: u32| -> Vec<u32> {
        (0..column.len() as u32).filter(|&row| column[row as usize] == word).collect()
    };
    let of = words.iter().flat_map(|column| [rows_with(column, 1), rows_with(column, UNLABELLED)]);
    Ok(Strata::Marks { rows: roles.raw.rows, of: of.filter(|rows| !rows.is_empty()).collect() })
}

/// Looks at all folds before one of them is trained: the folds, and what a user should know of
/// them.
///
/// # Errors
/// Those of [`tables::load`]; 65 if in a fold nothing of a class or of a task is left to train on;
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
        if tables::weights_of(&roles.raw, name, train)?.iter().all(|&weight| weight == 0.0) {
            let fault = tables::all_zero(roles.data, roles.place());
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

fn counted(rows: u64) -> String {
    format!("{rows} {}", if rows == 1 { "row" } else { "rows" })
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
            "task {name}: none of its {total} labels is left to train on in fold {fold} ({test} tested on, {valid} validated on)"
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
        "task {name}: {}, and none is left to train on in fold {fold} ({test} tested on, {valid} validated on)",
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
