//! Several sources: which of their rows train, validate and test, and what the user should know of
//! them.

use crate::config::{Data, Task, TaskSource};
use crate::data::Part;
use crate::data::parts::SourceRows;
use crate::data::read::pieces::pieces;
use crate::data::read::union;
use crate::data::split::shares::by_share;
use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::fault::{Fault, quoted};

/// Columns that are no labels and that a source lacks. There its cells are blank, and so they are
/// where data for the model lacks such a column.
///
/// # Errors
/// The errors of [`union`].
pub(crate) fn optional(data: &Data, options: &Options) -> anyhow::Result<Vec<String>> {
    let sources = data.train.several();
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let union = union(sources, options)?;
    let lacking = union.lacking(sources).into_iter();
    let features = lacking.filter(|(name, source)| !source.hidden.iter().any(|h| h == name));
    Ok(features.map(|(name, _)| name.to_owned()).collect())
}

/// Checks that sources have the columns of their tasks, and that cells which are not there count as
/// blank. Returns what the user should know.
///
/// # Errors
/// The errors of [`union`]; 78 if a source lacks the column of a task, or if the empty text is a
/// value of a column that a source lacks.
pub(crate) fn look(data: &Data, tasks: &[Task], options: &Options) -> anyhow::Result<Vec<String>> {
    let sources = data.train.several();
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let union = union(sources, options)?;
    let task = |name: &str| tasks.iter().find(|task| task.name == name);
    union.check_labels(sources, |name| task(name).map_or(&[], |task| &task.targets))?;
    for (column, source) in union.lacking(sources) {
        let feature = data.features.iter().find(|feature| feature.column == column);
        let task = tasks.iter().find(|task| task.targets.iter().any(|target| target == column));
        let own = feature.and_then(|feature| feature.missing.as_ref());
        let own = own.or(task.and_then(|task| task.missing.as_ref()));
        let Some(missing) = own.or(data.missing.as_ref()) else { continue };
        if missing.iter().any(String::is_empty) {
            continue;
        }
        let key = match (own, task) {
            (Some(_), Some(task)) => format!("task.{}.missing", task.name),
            (Some(_), None) => format!("feature.{column}.missing"),
            (None, _) => "data.missing".to_owned(),
        };
        let found = format!(
            "does not have the empty text, which the cells of column {} are in source {}",
            quoted(column),
            quoted(&source.name)
        );
        return Err(Fault::config(&key, found).hint("add \"\" to the list").into());
    }
    Ok(union.notices(sources))
}

/// Row numbers of each part of a table of several sources. A row of a source without files of its
/// own to validate or test on falls by its number among the rows of its source, so that sources
/// whose rows belong together are split alike.
///
/// # Errors
/// 78 if a source has no row to train on.
pub(crate) fn split(raw: &Raw, data: &Data) -> anyhow::Result<[Vec<u32>; 3]> {
    let pieces = pieces(data.train.several());
    let mut parts = [const { Vec::new() }; 3];
    for (number, rows) in raw.pieces() {
        let piece = &pieces[number];
        let shares = data.split.filter(|_| piece.part == Part::Train && !piece.source.has_parts());
        for row in rows.clone() {
            let part = shares
                .map_or(piece.part, |shares| by_share(shares, data.split_seed, row - rows.start));
            parts[part as usize].push(row as u32);
        }
    }
    Ok(parts)
}

/// The number of training rows of each source; `rows` are all training rows, ascending.
///
/// # Errors
/// 78 if a source has none.
pub(crate) fn training_rows(
    raw: &Raw,
    data: &Data,
    rows: &[u32],
) -> anyhow::Result<Vec<SourceRows>> {
    let sources = data.train.several();
    if sources.is_empty() {
        return Ok(Vec::new());
    }
    let pieces = pieces(sources);
    let none = |source: &TaskSource| SourceRows {
        name: source.name.clone(),
        rows: 0,
        tasks: source.tasks.clone(),
    };
    let mut all: Vec<SourceRows> = sources.iter().map(none).collect();
    for (number, range) in raw.pieces() {
        let [from, to] =
            [range.start, range.end].map(|row| rows.partition_point(|&r| (r as usize) < row));
        all[pieces[number].number].rows += to - from;
    }
    match all.iter().find(|source| source.rows == 0) {
        Some(source) => {
            let found = format!("source {} has no row to train on", quoted(&source.name));
            Err(Fault::config("data.split", found)
                .hint("give it more rows, a larger share of training or another data.split_seed")
                .into())
        }
        None => Ok(all),
    }
}
