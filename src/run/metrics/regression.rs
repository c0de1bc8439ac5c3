//! Metrics of numbers: of one column, or of a table [rows, columns], in which a target that is NaN
//! is blank.

use super::{Rows, finite, mean, pick, pick_weights, places, table};

/// The rows, if every target of a row of positive weight is finite.
fn known<'a>(predictions: &[f64], targets: &[f64], weights: Option<&'a [f64]>) -> Option<Rows<'a>> {
    Rows::new(predictions, 1, targets.len(), weights)?;
    Rows::new(targets, 1, targets.len(), weights)
}

/// Mean of (p − y)².
fn squared_error(predictions: &[f64], targets: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    known(predictions, targets, weights)?.mean(|row| (predictions[row] - targets[row]).powi(2))
}

/// R² = 1 − Σ w (y − p)² / Σ w (y − ȳ)², where ȳ is the weighted mean. `None` if all targets are
/// equal, also if there is only one row. In these cases scikit-learn says 1 if p is y and else 0,
/// or the rounding of ȳ decides.
pub fn r2(predictions: &[f64], targets: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    let rows = known(predictions, targets, weights)?;
    if rows.constant(targets) {
        return None;
    }
    let center = rows.mean(|row| targets[row])?;
    let spread = rows.mean(|row| (targets[row] - center).powi(2))?;
    finite(1.0 - squared_error(predictions, targets, weights)? / spread)
}

/// Root of the mean squared error.
pub fn rmse(predictions: &[f64], targets: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    squared_error(predictions, targets, weights).map(f64::sqrt)
}

/// Mean absolute error.
pub fn mae(predictions: &[f64], targets: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    known(predictions, targets, weights)?.mean(|row| (predictions[row] - targets[row]).abs())
}

/// Mean of max(q (y − p), (q − 1) (y − p)), which is lowest where p is the quantile q of y (Koenker
/// and Bassett, 1978). `None` for q outside [0, 1].
pub fn pinball(
    predictions: &[f64],
    targets: &[f64],
    quantile: f64,
    weights: Option<&[f64]>,
) -> Option<f64> {
    let loss = |row: usize| {
        let above = targets[row] - predictions[row];
        (quantile * above).max((quantile - 1.0) * above)
    };
    known(predictions, targets, weights).filter(|_| (0.0..=1.0).contains(&quantile))?.mean(loss)
}

/// A metric of one column, such as [`r2`], for each column over the rows that have a target in it.
/// `None` if a target of any column is infinite, or a prediction is not finite.
pub fn per_column(
    predictions: &[f64],
    columns: usize,
    targets: &[f64],
    weights: Option<&[f64]>,
    metric: impl Fn(&[f64], &[f64], Option<&[f64]>) -> Option<f64>,
) -> Option<Vec<Option<f64>>> {
    let rows = table(predictions, columns, targets.len(), weights)?;
    if rows
        .iter()
        .any(|(row, _)| targets[row * columns..][..columns].iter().any(|y| y.is_infinite()))
    {
        return None;
    }
    let of_column = |column: usize| {
        let places = places(rows.count, columns, Some(column), |place| !targets[place].is_nan());
        metric(
            &pick(predictions, &places),
            &pick(targets, &places),
            pick_weights(weights, columns, &places).as_deref(),
        )
    };
    Some((0..columns).map(of_column).collect())
}

/// The unweighted mean of [`per_column`] over the columns for which the metric is defined.
pub fn over_columns(
    predictions: &[f64],
    columns: usize,
    targets: &[f64],
    weights: Option<&[f64]>,
    metric: impl Fn(&[f64], &[f64], Option<&[f64]>) -> Option<f64>,
) -> Option<f64> {
    mean(&per_column(predictions, columns, targets, weights, metric)?)
}
