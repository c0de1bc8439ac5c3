//! Curves of binary labels, from one score per row, and the bins of a calibration.

use super::Rows;
use super::binary::by_score;

/// The ROC curve: (share of the negative rows, share of the positive rows) whose score is at least
/// that of a distinct score, from the highest score down; it begins at (0, 0) and ends at (1, 1).
/// `None` where a class is missing.
pub fn roc(scores: &[f64], labels: &[bool], weights: Option<&[f64]>) -> Option<Vec<[f64; 2]>> {
    let ties = by_score(scores, labels, weights)?;
    let positive: f64 = ties.iter().map(|tie| tie.positive).sum();
    let negative: f64 = ties.iter().map(|tie| tie.negative).sum();
    if positive <= 0.0 || negative <= 0.0 {
        return None;
    }
    let (mut hits, mut alarms) = (0.0, 0.0);
    let mut curve = vec![[0.0, 0.0]];
    for tie in ties.iter().rev() {
        (hits, alarms) = (hits + tie.positive, alarms + tie.negative);
        curve.push([alarms / negative, hits / positive]);
    }
    Some(curve)
}

/// The precision–recall curve: (recall, precision) if the rows of at least a distinct score are
/// taken as positive, from the highest score down. `None` without a positive row.
pub fn precision_recall(
    scores: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
) -> Option<Vec<[f64; 2]>> {
    let ties = by_score(scores, labels, weights)?;
    let positive: f64 = ties.iter().map(|tie| tie.positive).sum();
    if positive <= 0.0 {
        return None;
    }
    let (mut hits, mut taken) = (0.0, 0.0);
    let point = |tie: &super::binary::Tied| {
        hits += tie.positive;
        taken += tie.positive + tie.negative;
        [hits / positive, hits / taken]
    };
    Some(ties.iter().rev().map(point).collect())
}

/// The rows whose probability lies in one bin.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Bin {
    /// Weight of its rows.
    pub weight: f64,
    /// Mean probability of its rows.
    pub predicted: f64,
    /// Share of its rows that are positive.
    pub positive: f64,
}

/// The bins ((b − 1) / bins, b / bins] of probabilities, the first of which has 0 too, without
/// those that have no row; [`super::binary::calibration_error`] sums over them. `None` if a value
/// is no probability.
pub fn calibration(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
    bins: usize,
) -> Option<Vec<Bin>> {
    let rows = Rows::new(probabilities, 1, labels.len(), weights)?;
    if bins == 0 || rows.iter().any(|(row, _)| !(0.0..=1.0).contains(&probabilities[row])) {
        return None;
    }
    let mut sums = vec![Bin::default(); bins];
    for (row, weight) in rows.iter() {
        let bin = (probabilities[row] * bins as f64).ceil() as usize;
        let sum = &mut sums[bin.clamp(1, bins) - 1];
        sum.weight += weight;
        sum.predicted += weight * probabilities[row];
        sum.positive += weight * f64::from(labels[row]);
    }
    let mean = |sum: Bin| Bin {
        weight: sum.weight,
        predicted: sum.predicted / sum.weight,
        positive: sum.positive / sum.weight,
    };
    Some(sums.into_iter().filter(|sum| sum.weight > 0.0).map(mean).collect())
}
