//! Metrics of binary labels, from one score per row: a logit or a probability.

use super::{Rows, finite};

/// The rows that have one score: the weights of the positive and of the negative ones.
pub(super) struct Tied {
    pub(super) score: f64,
    pub(super) positive: f64,
    pub(super) negative: f64,
}

/// The distinct scores, ascending, with the weights of their rows.
pub(super) fn by_score(
    scores: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
) -> Option<Vec<Tied>> {
    let rows = Rows::new(scores, 1, labels.len(), weights)?;
    let tied = |(row, weight): (usize, f64)| {
        let (positive, negative) = if labels[row] { (weight, 0.0) } else { (0.0, weight) };
        Tied { score: scores[row], positive, negative }
    };
    let mut ties: Vec<Tied> = rows.iter().map(tied).collect();
    ties.sort_by(|a, b| a.score.total_cmp(&b.score));
    ties.dedup_by(|next, kept| {
        let same = next.score == kept.score;
        if same {
            kept.positive += next.positive;
            kept.negative += next.negative;
        }
        same
    });
    Some(ties)
}

/// Area under the ROC curve: the share of pairs of a positive and a negative row in which the
/// positive one has the higher score, equal scores counted half (Mann and Whitney, 1947; Hanley and
/// McNeil, 1982). `None` where a class is missing.
pub fn auc(scores: &[f64], labels: &[bool], weights: Option<&[f64]>) -> Option<f64> {
    let (mut pairs, mut positive, mut negative) = (0.0, 0.0, 0.0);
    for tie in by_score(scores, labels, weights)? {
        pairs += tie.positive * (negative + 0.5 * tie.negative);
        positive += tie.positive;
        negative += tie.negative;
    }
    finite(pairs / (positive * negative))
}

/// Average precision, Σ (R_k − R_{k−1}) P_k over the distinct scores from the highest down: P_k is
/// the precision and R_k the recall if that score and those above it are taken as positive. Nothing
/// is interpolated. `None` without a positive row, where scikit-learn says 0.
pub fn average_precision(scores: &[f64], labels: &[bool], weights: Option<&[f64]>) -> Option<f64> {
    let (mut hits, mut taken, mut sum) = (0.0, 0.0, 0.0);
    for tie in by_score(scores, labels, weights)?.iter().rev() {
        hits += tie.positive;
        taken += tie.positive + tie.negative;
        sum += tie.positive * hits / taken;
    }
    finite(sum / hits)
}

/// F1 = 2 TP / (2 TP + FP + FN), where rows with a score above the threshold are taken as positive.
/// `None` if no row is positive or taken as positive, where scikit-learn says 0 by default.
pub fn f1(scores: &[f64], labels: &[bool], threshold: f64, weights: Option<&[f64]>) -> Option<f64> {
    let (mut hits, mut misses) = (0.0, 0.0);
    for (row, weight) in Rows::new(scores, 1, labels.len(), weights)?.iter() {
        match (scores[row] > threshold, labels[row]) {
            (true, true) => hits += weight,
            (false, false) => {}
            _ => misses += weight,
        }
    }
    finite(2.0 * hits / (2.0 * hits + misses))
}

/// Share of rows that are classified correctly if those with a score above the threshold are taken
/// as positive. The threshold is 0 for logits and 0.5 for probabilities; a score equal to it is
/// taken as negative, as the first of two equal logits is chosen.
pub fn accuracy_at(
    scores: &[f64],
    labels: &[bool],
    threshold: f64,
    weights: Option<&[f64]>,
) -> Option<f64> {
    Rows::new(scores, 1, labels.len(), weights)?
        .mean(|row| f64::from((scores[row] > threshold) == labels[row]))
}

/// The threshold of the highest accuracy; the lowest one if there are several. It lies midway
/// between two neighbouring scores; or it is the highest score, which takes no row as positive; or
/// the next number below the lowest score, which takes all rows as positive.
pub fn best_threshold(scores: &[f64], labels: &[bool], weights: Option<&[f64]>) -> Option<f64> {
    let ties = by_score(scores, labels, weights)?;
    let (mut threshold, mut gain, mut best) = (ties.first()?.score.next_down(), 0.0, 0.0);
    for (k, tie) in ties.iter().enumerate() {
        gain += tie.negative - tie.positive;
        if gain > best {
            (threshold, best) =
                (ties.get(k + 1).map_or(tie.score, |next| between(tie.score, next.score)), gain);
        }
    }
    finite(threshold)
}

/// The middle of two numbers; it is below the upper one even if no number lies between them.
fn between(low: f64, high: f64) -> f64 {
    let middle = low.midpoint(high);
    if middle < high { middle } else { low }
}

/// Mean of −ln P(label), with P(yes) = 1 / (1 + e^−z), from logits: max(z, 0) − z y + ln(1 +
/// e^−|z|), which neither overflows nor needs clipping.
pub fn log_loss(logits: &[f64], labels: &[bool], weights: Option<&[f64]>) -> Option<f64> {
    let loss = |row: usize| {
        let z = if labels[row] { -logits[row] } else { logits[row] };
        z.max(0.0) + (-z.abs()).exp().ln_1p()
    };
    Rows::new(logits, 1, labels.len(), weights)?.mean(loss)
}

/// Expected calibration error: Σ_b W_b / W · |share of positive rows − mean probability| over
/// `bins` bins ((b − 1) / bins, b / bins], the first of which has 0 too (Naeini et al., AAAI 2015).
/// If the probabilities are those of chosen classes, and a label says whether the choice was right,
/// this is the error of several classes (Guo et al., ICML 2017, equation 3). `None` if a value is
/// no probability.
pub fn calibration_error(
    probabilities: &[f64],
    labels: &[bool],
    weights: Option<&[f64]>,
    bins: usize,
) -> Option<f64> {
    let rows = Rows::new(probabilities, 1, labels.len(), weights)?;
    if bins == 0 || rows.iter().any(|(row, _)| !(0.0..=1.0).contains(&probabilities[row])) {
        return None;
    }
    // For each bin the sum of w (label − probability).
    let (mut gaps, mut total) = (vec![0.0; bins], 0.0);
    for (row, weight) in rows.iter() {
        let bin = (probabilities[row] * bins as f64).ceil() as usize;
        gaps[bin.clamp(1, bins) - 1] += weight * (f64::from(labels[row]) - probabilities[row]);
        total += weight;
    }
    finite(gaps.iter().map(|gap| gap.abs()).sum::<f64>() / total)
}
