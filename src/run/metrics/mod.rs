//! Metrics of predictions, by type of task: exact, in f64, on the host.
//!
//! Only labelled rows are passed in. `weights` are the weights of these rows, finite and not
//! negative; `None` means that each row weighs 1. A row of weight zero counts as absent. Where
//! scikit-learn has the metric, the value is that of scikit-learn, except as stated, and
//! `tests/cpu/metrics.rs` compares them.
//!
//! A value is `None` if it is not defined: no row has a positive weight, it is a quotient of zeros
//! such as the AUC of one class, a number is not finite, or the lengths of the slices do not fit
//! together. Reports then leave it out; they put no other value in its place.

pub mod association;
pub mod binary;
pub mod count;
pub mod curves;
pub mod multiclass;
pub mod multilabel;
pub mod regression;
pub mod spans;

/// Unweighted mean of the values that are defined.
pub fn mean(values: &[Option<f64>]) -> Option<f64> {
    let (sum, count) =
        values.iter().flatten().fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
    finite(sum / count)
}

/// A number, if it is finite.
fn finite(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// Rows with their weights; at least one row has a positive weight.
#[derive(Clone, Copy)]
struct Rows<'a> {
    count: usize,
    weights: Option<&'a [f64]>,
}

impl<'a> Rows<'a> {
    /// The `count` rows of `numbers`, [count, width]. `None` if a length or a weight is wrong, if
    /// no row has a positive weight, or if a number in such a row is not finite.
    fn new(
        numbers: &[f64],
        width: usize,
        count: usize,
        weights: Option<&'a [f64]>,
    ) -> Option<Rows<'a>> {
        let lengths = count.checked_mul(width) == Some(numbers.len())
            && weights.is_none_or(|weights| weights.len() == count);
        let valid = weights.is_none_or(|weights| {
            weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0)
        });
        let rows = Rows { count, weights };
        let known = lengths
            && valid
            && rows
                .iter()
                .all(|(row, _)| numbers[row * width..][..width].iter().all(|z| z.is_finite()));
        (known && rows.iter().next().is_some()).then_some(rows)
    }

    /// The rows of positive weight, in order, with their weights.
    fn iter(self) -> impl Iterator<Item = (usize, f64)> {
        let weight = move |row| self.weights.map_or(1.0, |weights| weights[row]);
        (0..self.count).map(move |row| (row, weight(row))).filter(|(_, weight)| *weight > 0.0)
    }

    /// Σ w v / Σ w
    fn mean(self, value: impl Fn(usize) -> f64) -> Option<f64> {
        let (sum, total) = self.iter().fold((0.0, 0.0), |(sum, total), (row, weight)| {
            (sum + weight * value(row), total + weight)
        });
        finite(sum / total)
    }

    /// Whether all rows of positive weight have the same value.
    fn constant(self, values: &[f64]) -> bool {
        let mut rows = self.iter().map(|(row, _)| values[row]);
        let first = rows.next();
        rows.all(|value| Some(value) == first)
    }
}

/// Places of the labelled cells in a table [rows, columns]: of one column, or of all if `column` is
/// `None`.
fn places(
    rows: usize,
    columns: usize,
    column: Option<usize>,
    labelled: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let (first, step) = column.map_or((0, 1), |column| (column, columns.max(1)));
    (first..rows * columns).step_by(step).filter(|&place| labelled(place)).collect()
}

/// The values at some places.
fn pick<T: Copy>(values: &[T], places: &[usize]) -> Vec<T> {
    places.iter().map(|&place| values[place]).collect()
}

/// The weight of the row of each place in a table.
fn pick_weights(weights: Option<&[f64]>, columns: usize, places: &[usize]) -> Option<Vec<f64>> {
    weights.map(|weights| places.iter().map(|&place| weights[place / columns]).collect())
}

/// The rows of a table of predictions, [rows, columns], with as many cells as there are labels;
/// `None` as for [`Rows::new`].
fn table<'a>(
    predictions: &[f64],
    columns: usize,
    labels: usize,
    weights: Option<&'a [f64]>,
) -> Option<Rows<'a>> {
    let rows = labels.checked_div(columns)?;
    if rows * columns == labels { Rows::new(predictions, columns, rows, weights) } else { None }
}
