//! A close look at a column of numbers or counts.

use serde::{Deserialize, Serialize};

use super::thin;
use crate::config::TaskKind;
use crate::run::apply::judge::{Labelled, Numbers, Truth};
use crate::run::metrics::{count, regression};

/// The largest number of rows in a scatter picture.
pub const MOST: usize = 1000;
/// Number of bars of a histogram of residuals.
const BARS: usize = 30;

/// Predictions beside labels of one column, in the units of the labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumbersOf {
    /// Name of the label column.
    pub column: String,
    /// Number of labelled rows.
    pub rows: usize,
    /// R² of a regression, D² (the explained share of the deviance) of a count.
    pub explained: Option<f64>,
    /// Mean Poisson deviance of a count.
    pub deviance: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Mean residual, label − prediction.
    pub bias: Option<f64>,
    /// The wanted quantile, pinball loss and share of the labels at or below the prediction, where
    /// a quantile is learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<[f64; 3]>,
    /// (prediction, label) of at most [`MOST`] rows, evenly spread over the labelled ones.
    pub points: Vec<[f64; 2]>,
    /// The smallest and the largest residual; `None` without a row.
    pub residuals: Option<[f64; 2]>,
    /// Number of rows in bars of equal width from the smallest to the largest residual.
    pub histogram: Vec<u64>,
}

impl NumbersOf {
    /// Looks at the predictions of a column.
    pub fn of(truth: &Truth, column: usize) -> NumbersOf {
        let is_count = truth.head.kind == TaskKind::Count;
        let numbers = if is_count { rates(truth) } else { truth.numbers(column) };
        let Numbers { found, truth: labels, weights } = &numbers;
        let weights = weights.as_deref();
        let logs = || truth.output(&truth.labelled(column).rows, column);
        let explained = match is_count {
            true => count::d2(&logs(), labels, weights),
            false => regression::r2(found, labels, weights),
        };
        let residuals: Vec<f64> = labels.iter().zip(found).map(|(y, p)| y - p).collect();
        let ones = vec![0.0; residuals.len()];
        let signed = |pick: fn(f64) -> f64| {
            let picked: Vec<f64> = residuals.iter().map(|r| pick(*r)).collect();
            regression::mae(&picked, &ones, weights)
        };
        let bias = signed(|r| r.max(0.0)).zip(signed(|r| r.min(0.0)));
        let below = |quantile: f64| {
            let share = signed(|r| f64::from(r <= 0.0))?;
            Some([quantile, regression::pinball(found, labels, quantile, weights)?, share])
        };
        let range = range(&residuals);
        NumbersOf {
            column: truth.target.columns[column].clone(),
            rows: labels.len(),
            explained,
            deviance: is_count.then(|| count::deviance(&logs(), labels, weights)).flatten(),
            rmse: regression::rmse(found, labels, weights),
            mae: regression::mae(found, labels, weights),
            bias: bias.map(|(above, below)| above - below),
            quantile: truth.head.loss.level().and_then(below),
            points: thin::spread(labels.len(), MOST).map(|row| [found[row], labels[row]]).collect(),
            histogram: range.map_or(Vec::new(), |range| histogram(&residuals, range)),
            residuals: range,
        }
    }
}

/// The rates and the counts of the labelled rows.
fn rates(truth: &Truth) -> Numbers {
    let Labelled { rows, labels, weights } = truth.labelled(0);
    let found = truth.output(&rows, 0).iter().map(|z| z.exp()).collect();
    let labels = labels.iter().map(|label| f64::from(f32::from_bits(*label))).collect();
    Numbers { found, truth: labels, weights }
}

/// The smallest and the largest of some numbers; `None` if there is none, or one is not finite.
fn range(numbers: &[f64]) -> Option<[f64; 2]> {
    let low = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let high = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let is_good = numbers.iter().all(|x| x.is_finite()) && !numbers.is_empty();
    is_good.then_some([low, high])
}

/// The number of values in each of [`BARS`] bars of equal width.
fn histogram(values: &[f64], [low, high]: [f64; 2]) -> Vec<u64> {
    let mut bars = vec![0; BARS];
    let width = (high - low) / BARS as f64;
    for value in values {
        let bar = if width > 0.0 { ((value - low) / width) as usize } else { 0 };
        bars[bar.min(BARS - 1)] += 1;
    }
    bars
}
