//! Applies a schema to a table: checks that the columns are there, and encodes the rows.

use std::sync::Arc;

use crate::data::encode::applied::MatchReport;
use crate::data::encode::cells;
use crate::data::encode::labels::{self, LabelColumn, Labels};
use crate::data::schema::columns::check_there;
use crate::data::table::indices::check_indices;
use crate::data::table::raw::Raw;
use crate::data::table::view::ByName;
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
    check_there(raw, &schema.feature_names())?;
    let targets = schema.target_names();
    if !targets.iter().any(|name| raw.column(name).is_some()) {
        check_there(raw, &targets)?;
    }
    apply_rows(schema, raw, &all_rows(raw))
}

/// Encodes some rows of a table.
///
/// # Errors
/// 65 if a cell does not fit the schema.
pub(crate) fn apply_rows(schema: &Schema, raw: &Raw, rows: &[u32]) -> anyhow::Result<Dataset> {
    let absent = || LabelColumn { texts: Vec::new(), codes: vec![UNLABELLED; raw.rows] };
    let index = ByName::new(raw);
    let label = |name: &String| {
        index.view(name, NEVER).map_or_else(absent, |view| LabelColumn::read(&view, raw.rows))
    };
    let of_target = |target: &Target| target.columns.iter().map(label).collect();
    let labels: Vec<Vec<LabelColumn>> = schema.targets.iter().map(of_target).collect();
    dataset(schema, raw, encoded(schema, raw, &labels, rows)?, rows)
}

/// The labels of `rows`, one vector per label column of the schema; `labels` are the cells of the
/// label columns, task by task.
pub(crate) fn encoded(
    schema: &Schema,
    raw: &Raw,
    labels: &[Vec<LabelColumn>],
    rows: &[u32],
) -> anyhow::Result<Vec<Vec<u32>>> {
    let mut all = Vec::new();
    for (target, columns) in schema.targets.iter().zip(labels) {
        let locate = |column: usize, row: usize| locate(raw, row, &target.columns[column]);
        let columns = columns.iter().collect();
        all.extend(labels::encode(
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
    let dataset = if labelled {
        apply_with_some_labels(schema, &raw)?
    } else {
        apply_with_some_labels(&bare(), &raw)?
    };
    let (header, matched) = (raw.names.clone(), MatchReport::of(schema, &raw));
    Ok(Dataset { table: Some(Table { header, matched, raw: Arc::new(raw) }), ..dataset })
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
    labels: Vec<Vec<u32>>,
    rows: &[u32],
) -> anyhow::Result<Dataset> {
    let Input::Columns { columns } = &schema.input else {
        return Err(Fault::data(&raw.place, "images have no columns").into());
    };
    // Weights matter to losses alone.
    let weights = schema.reading.row_weight.as_ref().filter(|_| !schema.targets.is_empty());
    let weights = weights.map(|name| weights_of(raw, name, rows)).transpose()?;
    Ok(Dataset {
        rows: rows.len(),
        features: cells::features(raw, columns, rows, schema.reading.blank_words)?,
        labels,
        weights,
        table: None,
    })
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
