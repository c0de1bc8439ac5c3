//! Applies a schema to a table: checks that the columns are there, and encodes the rows.

use std::borrow::Cow;
use std::sync::Arc;

use crate::config::{SPAN, Sentences};
use crate::data::encode::applied::MatchReport;
use crate::data::encode::cells;
use crate::data::encode::labels::{self, LabelColumn, Labels};
use crate::data::encode::once::once_a_sentence;
use crate::data::encode::tags;
use crate::data::schema::columns::check_there;
use crate::data::table::indices::check_indices;
use crate::data::table::raw::Raw;
use crate::data::table::view::ByName;
use crate::data::tokens::Tokens;
use crate::data::value::dates::DateOrder;
use crate::data::value::notation::Notation;
use crate::data::{Dataset, Input, Schema, Table, Target, UNLABELLED};
use crate::fault::{Fault, quoted};

/// The texts that mean "blank" in a column where no text does.
pub(crate) const NEVER: &[String] = &[];

/// Encodes all rows of a table. A schema without targets needs no labels.
///
/// # Errors
/// 65 if columns are missing, or a cell does not fit the schema.
pub fn apply(schema: &Schema, raw: &Raw) -> anyhow::Result<Dataset> {
    let raw = &*with_optional(schema, raw);
    if matches!(schema.input, Input::Columns { .. }) {
        check_there(raw, &[schema.target_names(), schema.feature_names()].concat())?;
    }
    apply_with_some_labels(schema, raw)
}

/// Encodes all rows of a table that may lack some label columns; these give no labels.
///
/// # Errors
/// The errors of [`apply`]; missing label columns are an error only if all are missing.
fn apply_with_some_labels(schema: &Schema, raw: &Raw) -> anyhow::Result<Dataset> {
    if !matches!(schema.input, Input::Columns { .. }) {
        return Err(Fault::data(&raw.place, "the model was trained on images")
            .hint("give data of the kind that the model was trained on")
            .into());
    }
    check_indices(schema.reading.indices, raw)?;
    let whole = with_optional(schema, raw);
    if let Cow::Owned(_) = whole {
        // What may be missing is not listed as what the file has.
        let optional = &schema.reading.optional;
        let needed = schema.feature_names().into_iter();
        let needed = needed.filter(|name| !optional.iter().any(|other| other == name));
        check_there(raw, &needed.collect::<Vec<&str>>())?;
    }
    let raw = &*whole;
    check_there(raw, &schema.feature_names())?;
    let targets = schema.target_names();
    if !targets.iter().any(|name| raw.column(name).is_some()) {
        check_there(raw, &targets)?;
    }
    apply_rows(schema, raw, &all_rows(raw))
}

/// A table with blank cells for the columns that it may lack. One without features gets none.
fn with_optional<'r>(schema: &Schema, raw: &'r Raw) -> Cow<'r, Raw> {
    let (optional, is_there) = (&schema.reading.optional, |name: &str| raw.column(name).is_some());
    let has_features = schema.feature_names().into_iter().any(is_there);
    match optional.iter().all(|name| is_there(name)) || !has_features {
        true => Cow::Borrowed(raw),
        false => Cow::Owned(raw.clone().with_blank(optional)),
    }
}

/// Encodes some rows of a table.
///
/// # Errors
/// 65 if a cell does not fit the schema.
pub(crate) fn apply_rows(schema: &Schema, raw: &Raw, rows: &[u32]) -> anyhow::Result<Dataset> {
    dataset(schema, raw, labels_of(schema, raw, rows)?, rows)
}

/// The labels of some rows of a table, one vector per label column of the schema; a column that is
/// missing gives none.
///
/// # Errors
/// 65 if a label does not fit the schema.
pub(crate) fn labels_of(schema: &Schema, raw: &Raw, rows: &[u32]) -> anyhow::Result<EncodedLabels> {
    let absent = || LabelColumn { texts: Vec::new(), codes: vec![UNLABELLED; raw.rows] };
    let index = ByName::new(raw);
    let label = |target: &Target, name: &String| -> anyhow::Result<LabelColumn> {
        let Some(view) = index.view(name, NEVER) else { return Ok(absent()) };
        let mut column = LabelColumn::read(&view, raw.rows);
        if target.pool.is_some() {
            once_a_sentence(raw, name, &mut column)?;
        }
        Ok(column)
    };
    let of_target =
        |target: &Target| target.columns.iter().map(|name| label(target, name)).collect();
    let labels: Vec<Vec<LabelColumn>> =
        schema.targets.iter().map(of_target).collect::<anyhow::Result<_>>()?;
    encoded(schema, raw, &labels, rows)
}

/// The labels of some rows.
#[derive(Default)]
pub(crate) struct EncodedLabels {
    /// One vector per label column.
    pub(crate) labels: Vec<Vec<u32>>,
    /// As [`Tokens::unseen`].
    pub(crate) unseen: Vec<Vec<String>>,
}

impl From<Vec<Vec<u32>>> for EncodedLabels {
    /// Labels that training rows have.
    fn from(labels: Vec<Vec<u32>>) -> EncodedLabels {
        EncodedLabels { labels, unseen: Vec::new() }
    }
}

/// The labels of `rows`, one vector per label column of the schema; `labels` are the cells of the
/// label columns, task by task.
pub(crate) fn encoded(
    schema: &Schema,
    raw: &Raw,
    labels: &[Vec<LabelColumn>],
    rows: &[u32],
) -> anyhow::Result<EncodedLabels> {
    let mut all = EncodedLabels::default();
    for (target, columns) in schema.targets.iter().zip(labels) {
        let open = |column: &LabelColumn| match target.open {
            true => column.texts.clone(),
            false => Vec::new(),
        };
        all.unseen.extend(columns.iter().map(open));
        let locate = |column: usize, row: usize| locate(raw, row, &target.columns[column]);
        let columns = columns.iter().collect();
        all.labels.extend(labels::encode(
            target,
            &Labels { columns, place: &raw.place, locate: &locate },
            rows,
        )?);
    }
    Ok(all)
}

/// Encodes all rows of a table, and keeps its cells and how well they match the schema. With
/// `labelled`, labels are encoded, and a missing label column gives no labels; without, labels are
/// not looked at.
///
/// # Errors
/// The errors of [`apply`]; missing label columns are an error only if all are missing.
pub fn apply_and_keep(schema: &Schema, raw: Raw, labelled: bool) -> anyhow::Result<Dataset> {
    let bare = || Schema { targets: Vec::new(), ..schema.clone() };
    let matched = MatchReport::of(schema, &raw);
    let dataset = if labelled {
        apply_with_some_labels(schema, &raw)?
    } else {
        apply_with_some_labels(&bare(), &raw)?
    };
    let (raw, header) = match &schema.reading.sentences {
        Some(sentences) => derived_last(raw, sentences),
        None => {
            let header = raw.names.clone();
            (raw, header)
        }
    };
    Ok(Dataset { table: Some(Table { header, matched, raw: Arc::new(raw) }), ..dataset })
}

/// A table of tokens in which what is made of words comes last, and the names of the other columns.
fn derived_last(raw: Raw, sentences: &Sentences) -> (Raw, Vec<String>) {
    let derived = sentences.derived();
    let is_own =
        |name: &String| name != SPAN && !derived.contains(name) && !name.starts_with("predicate.");
    let (own, derived): (Vec<usize>, Vec<usize>) =
        (0..raw.names.len()).partition(|at| is_own(&raw.names[*at]));
    let header = own.iter().map(|at| raw.names[*at].clone()).collect();
    let mut sorted = raw.cut(&[own, derived].concat(), &all_rows(&raw));
    (sorted.hashes, sorted.written) = (raw.hashes, raw.written);
    (sorted, header)
}

/// Encodes the rows of a data set that kept its cells, with another schema and without labels.
///
/// # Errors
/// The errors of [`apply`].
pub fn apply_again(schema: &Schema, data: &Dataset) -> anyhow::Result<Dataset> {
    let Some(table) = &data.table else {
        return Err(Fault::data("data", "has no columns")
            .hint("give data of the kind that the model was trained on")
            .into());
    };
    apply_with_some_labels(&Schema { targets: Vec::new(), ..schema.clone() }, &table.raw)
}

/// A data set of `rows` with their encoded labels.
pub(crate) fn dataset(
    schema: &Schema,
    raw: &Raw,
    labels: EncodedLabels,
    rows: &[u32],
) -> anyhow::Result<Dataset> {
    let Input::Columns { columns } = &schema.input else {
        return Err(Fault::data(&raw.place, "images have no columns").into());
    };
    // Weights matter to losses alone.
    let weights = schema.reading.row_weight.as_ref().filter(|_| !schema.targets.is_empty());
    let weights = weights.map(|name| weights_of(raw, name, rows)).transpose()?;
    let tokens = schema.reading.sentences.as_ref().map(|_| starts(raw, rows)).transpose()?;
    let EncodedLabels { labels, unseen } = labels;
    Ok(Dataset {
        rows: rows.len(),
        features: cells::features(raw, columns, rows, schema.reading.blank_words)?,
        labels,
        weights,
        table: None,
        tokens: tokens.map(|starts| Arc::new(Tokens { starts, unseen })),
    })
}

/// The first row of each sentence among `rows`, and their number.
///
/// # Errors
/// 78 if a sentence is there in part only: its other tokens are its neighbours.
fn starts(raw: &Raw, rows: &[u32]) -> Result<Vec<u32>, Fault> {
    let (mut starts, mut at) = (Vec::new(), 0);
    while at < rows.len() {
        let row = rows[at] as usize;
        let (before, behind) = tags::span(raw, row).unwrap_or((0, 0));
        let rest = rows.get(at..=at + behind).unwrap_or_default();
        let is_whole = rest.iter().zip(row as u32..).all(|(found, row)| *found == row);
        if before > 0 || rest.len() <= behind || !is_whole {
            let found = format!("{}: a part has some tokens of a sentence only", raw.locate(row));
            return Err(
                Fault::config("data", found).hint("give all tokens of a sentence the same part")
            );
        }
        starts.push(at as u32);
        at += behind + 1;
    }
    starts.push(rows.len() as u32);
    Ok(starts)
}

/// The weights of `rows`, from the column `name`.
pub(crate) fn weights_of(raw: &Raw, name: &str, rows: &[u32]) -> anyhow::Result<Vec<f32>> {
    check_there(raw, &[name])?;
    let Some(view) = ByName::new(raw).view(name, NEVER) else { return Ok(Vec::new()) };
    let fits = |notation: &Notation| {
        rows.iter().all(|&row| {
            view.texts().is_none_or(|texts| notation.read(texts.get(row as usize)).is_some())
        })
    };
    let notation = Notation::ALL.into_iter().find(fits).unwrap_or_default();
    let view = view.written(notation, DateOrder::Iso);
    let weight = |row: usize| {
        let number = view
            .cell(row)
            .and_then(|cell| view.value(cell))
            .filter(|x| *x >= 0.0 && (*x as f32).is_finite());
        let hint = "every row needs a weight: correct the cell, or remove the row";
        number.map(|x| x as f32).ok_or_else(|| {
            let found = format!(
                "{} is no weight, expected a finite number, 0 or above",
                quoted(&view.text(row))
            );
            view.fault(row, found, hint).into()
        })
    };
    rows.iter().map(|&row| weight(row as usize)).collect()
}

/// The numbers of all rows of a table, ascending.
pub(crate) fn all_rows(raw: &Raw) -> Vec<u32> {
    (0..raw.rows as u32).collect()
}

/// The place of a cell, for messages.
pub(crate) fn locate(raw: &Raw, row: usize, column: &str) -> String {
    format!("{}: column {}", raw.locate(row), quoted(column))
}
