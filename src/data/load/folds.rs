//! Folds of a table: the fold of each row, and the rows that each fold trains, validates and tests
//! on.

use crate::config::{self, SENTENCE, Task, TaskKind, Version};
use crate::data::encode::applied::MatchReport;
use crate::data::load::apply::{NEVER, apply_rows};
use crate::data::load::places;
use crate::data::load::roles::Roles;
use crate::data::load::sources;
use crate::data::read;
use crate::data::read::chunks::{Chunks, indivisible};
use crate::data::split::shares;
use crate::data::split::strata::{
    Strata, dealt, dealt_by_classes, dealt_groups, dealt_groups_by_class,
};
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::view::View;
use crate::data::{Dataset, Schema, Table, UNLABELLED};
use crate::fault::{Fault, quoted};

/// Number of bytes that are read at a time when the rows of a fold are predicted.
const PIECE: u64 = 64 << 20;

/// The folds of a table.
#[derive(Clone, Debug)]
pub struct Folds {
    /// `[rows]`, the fold of each row, from 0.
    pub of: Vec<u32>,
    /// Number of folds.
    pub folds: usize,
    /// The classes that are spread evenly over the folds; `None` = none.
    strata: Option<Strata>,
    /// Groups that stay whole: a code per row, and a random number per code.
    groups: Option<(Vec<u32>, Vec<u64>)>,
    /// A phrase that says by which task folds are stratified, and why.
    pub(crate) explanation: String,
}

impl Folds {
    /// Makes folds, as a function of the rows, of their labels and of `data.split_seed`.
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
            let explanation = "rows are drawn one by one, as by tandem 0.1.0".into();
            return Ok(Folds { of, folds, strata: None, groups: None, explanation });
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
        let mut found = Folds { of, folds, strata, groups, explanation: why };
        if found.groups.is_some() {
            let sizes: Vec<String> = found.sizes().iter().map(usize::to_string).collect();
            found.explanation = format!(
                "groups stay whole, so folds have {} rows; {}",
                sizes.join(", "),
                found.explanation
            );
        }
        Ok(found)
    }

    /// Number of rows of each fold.
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.folds];
        self.of.iter().for_each(|&fold| sizes[fold as usize] += 1);
        sizes
    }

    /// Row numbers of each part if a fold, from 1 up, is tested on. The test share of the split is
    /// trained on.
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
            return shares::held_out(split_by(roles, shares)?, (fold, self.folds), is_held);
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

    /// Reads the rows of a fold, from 1 up, in the order of the table, encodes them with a schema,
    /// and gives them to `take` piece by piece. The kept cells are the number of the row, the fold
    /// and the label columns.
    ///
    /// # Errors
    /// 65 if the table is not the one that the folds were made from.
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
                let own = data.sentences.as_ref().map(|sentences| [SENTENCE, &sentences.word]);
                let table = labelled(raw, own.as_slice().as_flattened(), tasks, &rows, first, fold);
                let (header, matched) = (table.names.clone(), MatchReport::default());
                let table = Table { header, matched, raw: table.into() };
                take(Dataset { table: Some(table), ..dataset })?;
            }
            first += raw.rows;
            Ok::<(), anyhow::Error>(())
        };
        let options = schema.reading.options();
        let is_whole = data.sentences.is_some() || indivisible(&data.train)?.is_some();
        match is_whole {
            true => piece(&read::read_source(&data.train, &options)?)?,
            false => {
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

/// A table of some rows with their numbers, the fold, the columns `own` and the label columns.
/// `first` is the number of the first row of `raw`.
fn labelled(
    raw: &Raw,
    own: &[&str],
    tasks: &[Task],
    rows: &[u32],
    first: usize,
    fold: usize,
) -> Raw {
    let mut columns: Vec<usize> = Vec::new();
    let targets = tasks.iter().flat_map(|task| &task.targets).map(String::as_str);
    for at in own.iter().copied().chain(targets).filter_map(|name| raw.column(name)) {
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

/// Chooses the task that folds are stratified by: the task that `data.stratify` names, or the task
/// with the rarest class. Returns a phrase that explains the choice too.
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
            "classes are not shared out alike (data.stratify names a task by which they are, as \
             far as groups allow)"
                .into(),
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

/// (rows of the rarest class, task) of each task with classes, ascending.
fn by_rarest(roles: &Roles) -> anyhow::Result<Vec<(u64, usize)>> {
    let mut tasks = Vec::new();
    for task in (0..roles.tasks.len()).filter(|&task| has_classes(&roles.tasks[task])) {
        let counts = roles.encoded_labels(task)?.target.counts.iter().flatten().copied();
        tasks.extend(counts.filter(|&count| count > 0).min().map(|least| (least, task)));
    }
    tasks.sort_by_key(|(least, _)| *least);
    Ok(tasks)
}

/// The classes of all tasks but the chosen one, row by row: the task with the rarest class comes
/// first, and of a task with several columns the column that says yes least often.
fn others(roles: &Roles, chosen: Option<usize>) -> anyhow::Result<Vec<Vec<u32>>> {
    let mut others = Vec::new();
    for (_, task) in by_rarest(roles)? {
        if Some(task) == chosen {
            continue;
        }
        let mut columns = roles.encoded_labels(task)?.encoded.clone();
        columns.sort_by_key(|column| column.iter().filter(|&&label| label == 1).count());
        others.extend(columns);
    }
    Ok(others)
}

/// Whether the labels of a task are classes, or yes and no.
pub(crate) fn has_classes(task: &Task) -> bool {
    task.kind.is_bounded()
}

/// The classes of a task, row by row; rows without a label form one more class. A task with several
/// columns has two marks per column instead: for yes, and for no label.
pub(crate) fn strata(roles: &Roles, task: usize) -> anyhow::Result<Strata> {
    if roles.data.version == Version::V0_1 {
        let column = roles.labels[task].first();
        return Ok(Strata::Classes(column.map(|column| column.codes.clone()).unwrap_or_default()));
    }
    let labels = &roles.encoded_labels(task)?.encoded;
    if roles.tasks[task].kind != TaskKind::Multilabel {
        return Ok(Strata::Classes(labels.first().cloned().unwrap_or_default()));
    }
    let rows_with = |column: &[u32], label: u32| -> Vec<u32> {
        (0..column.len() as u32).filter(|&row| column[row as usize] == label).collect()
    };
    let of = labels.iter().flat_map(|column| [rows_with(column, 1), rows_with(column, UNLABELLED)]);
    Ok(Strata::Marks { rows: roles.raw.rows, of: of.filter(|rows| !rows.is_empty()).collect() })
}

/// Row numbers of each part that is cut from the training table.
pub(crate) fn split(roles: &Roles) -> anyhow::Result<[Vec<u32>; 3]> {
    let (data, rows) = (roles.data, roles.raw.rows);
    if let Some(at) = data.split_column.as_ref().and_then(|name| roles.raw.column(name)) {
        return shares::by_column(&View::new(&roles.raw, at, NEVER), rows);
    }
    let is_plain = data.fold.is_none() && data.group.is_none() && data.stratify.is_none();
    if !data.train.several().is_empty() && is_plain {
        return sources::split(&roles.raw, data);
    }
    let Some(shares) = data.split.or(data.fold.map(|_| [1.0, 0.0, 0.0])) else {
        return Ok([(0..rows as u32).collect(), Vec::new(), Vec::new()]);
    };
    let shares = shares::shares_without(shares, data.valid.is_some(), data.test.is_some());
    match data.fold {
        Some((fold, folds)) => Folds::new(roles, folds)?.parts(roles, shares, fold),
        None => split_by(roles, shares),
    }
}

/// Row numbers of each part, with these shares, if there are no folds.
pub(crate) fn split_by(roles: &Roles, shares: [f64; 3]) -> anyhow::Result<[Vec<u32>; 3]> {
    let (data, rows) = (roles.data, roles.raw.rows);
    if let Some(group) = roles.group() {
        return shares::grouped(&group, rows, shares, (data.split_seed, data.version));
    }
    let stratify = data
        .stratify
        .as_ref()
        .and_then(|name| roles.tasks.iter().position(|task| task.name == *name));
    match stratify {
        Some(task) => shares::stratified(&strata(roles, task)?, shares, data.split_seed),
        None => shares::split(rows, shares, data.split_seed),
    }
}

/// A number of rows, in words.
pub(crate) fn counted(rows: u64) -> String {
    format!("{rows} {}", if rows == 1 { "row" } else { "rows" })
}
