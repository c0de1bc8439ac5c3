//! Metrics of several columns of binary labels, from logits [rows, columns]. A label may be blank.

use super::{Rows, binary, mean, pick, pick_weights, places, table};

/// A blank label; other labels are 0 or 1.
pub const BLANK: u8 = u8::MAX;

/// A binary metric of logits, labels and weights of rows.
type Metric<'a> = &'a dyn Fn(&[f64], &[bool], Option<&[f64]>) -> Option<f64>;

/// The rows, if every label of a row of positive weight is 0, 1 or blank.
fn labelled<'a>(
    logits: &[f64],
    columns: usize,
    labels: &[u8],
    weights: Option<&'a [f64]>,
) -> Option<Rows<'a>> {
    let rows = table(logits, columns, labels.len(), weights)?;
    let valid = |row: usize| {
        labels[row * columns..][..columns].iter().all(|label| matches!(*label, 0 | 1 | BLANK))
    };
    rows.iter().all(|(row, _)| valid(row)).then_some(rows)
}

/// A metric over the labelled cells of one column, or of all columns if `column` is `None`. A cell
/// has the weight of its row.
fn over_cells(
    logits: &[f64],
    columns: usize,
    labels: &[u8],
    rows: Rows<'_>,
    column: Option<usize>,
    metric: Metric<'_>,
) -> Option<f64> {
    let places = places(rows.count, columns, column, |place| labels[place] != BLANK);
    let is_yes: Vec<bool> = places.iter().map(|&place| labels[place] == 1).collect();
    metric(&pick(logits, &places), &is_yes, pick_weights(rows.weights, columns, &places).as_deref())
}

/// A metric of [`binary`] for each column, over its labelled cells. `None` if a logit of any column
/// is not finite, or a label is not 0, 1 or blank.
pub fn per_column(
    logits: &[f64],
    columns: usize,
    labels: &[u8],
    weights: Option<&[f64]>,
    metric: impl Fn(&[f64], &[bool], Option<&[f64]>) -> Option<f64>,
) -> Option<Vec<Option<f64>>> {
    let rows = labelled(logits, columns, labels, weights)?;
    Some(
        (0..columns)
            .map(|column| over_cells(logits, columns, labels, rows, Some(column), &metric))
            .collect(),
    )
}

/// Mean AUC of the columns that have labels of both classes.
pub fn auc(logits: &[f64], columns: usize, labels: &[u8], weights: Option<&[f64]>) -> Option<f64> {
    mean(&per_column(logits, columns, labels, weights, binary::auc)?)
}

/// Mean average precision of the columns that have a positive label.
pub fn average_precision(
    logits: &[f64],
    columns: usize,
    labels: &[u8],
    weights: Option<&[f64]>,
) -> Option<f64> {
    mean(&per_column(logits, columns, labels, weights, binary::average_precision)?)
}

/// Mean F1, at probability 0.5, of the columns that have a positive label or prediction.
pub fn f1(logits: &[f64], columns: usize, labels: &[u8], weights: Option<&[f64]>) -> Option<f64> {
    mean(&per_column(logits, columns, labels, weights, |logits, labels, weights| {
        binary::f1(logits, labels, 0.0, weights)
    })?)
}

/// Share of labelled cells that are classified correctly at probability 0.5.
pub fn accuracy(
    logits: &[f64],
    columns: usize,
    labels: &[u8],
    weights: Option<&[f64]>,
) -> Option<f64> {
    let metric = |logits: &[f64], labels: &[bool], weights: Option<&[f64]>| {
        binary::accuracy_at(logits, labels, 0.0, weights)
    };
    over_cells(logits, columns, labels, labelled(logits, columns, labels, weights)?, None, &metric)
}

/// Mean of −ln P(label) over labelled cells.
pub fn log_loss(
    logits: &[f64],
    columns: usize,
    labels: &[u8],
    weights: Option<&[f64]>,
) -> Option<f64> {
    over_cells(
        logits,
        columns,
        labels,
        labelled(logits, columns, labels, weights)?,
        None,
        &binary::log_loss,
    )
}
