//! Metrics of multiclass labels, from logits [rows, C] and class indices.

use super::{Rows, binary, finite, mean};

/// The rows, if every label of a row of positive weight is a class.
fn labelled<'a>(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    weights: Option<&'a [f64]>,
) -> Option<Rows<'a>> {
    let rows = Rows::new(logits, classes, labels.len(), weights)?;
    rows.iter().all(|(row, _)| (labels[row] as usize) < classes).then_some(rows)
}

/// The logits of a row.
fn of_row(logits: &[f64], classes: usize, row: usize) -> &[f64] {
    &logits[row * classes..][..classes]
}

/// The index of the first of the largest logits, which is the class that is chosen.
pub fn first_largest<T: PartialOrd>(logits: &[T]) -> usize {
    logits
        .iter()
        .enumerate()
        .fold(0, |best, (class, z)| if *z > logits[best] { class } else { best })
}

/// ln Σ e^z in two parts, so that it neither overflows nor loses a small sum: max z, and
/// ln(1 + Σ e^(z − max z)) with the sum over all but the largest.
fn log_sum(logits: &[f64]) -> [f64; 2] {
    let largest = first_largest(logits);
    let others = logits.iter().enumerate().filter(|(class, _)| *class != largest);
    let sum: f64 = others.map(|(_, z)| (z - logits[largest]).exp()).sum();
    [logits[largest], sum.ln_1p()]
}

/// Share of rows whose class has the largest logit; of equal logits the first counts as the
/// largest.
pub fn accuracy(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Option<f64> {
    labelled(logits, classes, labels, weights)?
        .mean(|row| f64::from(first_largest(of_row(logits, classes, row)) == labels[row] as usize))
}

/// Share of rows whose class is among the `k` classes of the largest logits. Of equal logits the
/// first count as larger, so that `k` = 1 is [`accuracy`]; in scikit-learn the last do.
pub fn top_k(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    k: usize,
    weights: Option<&[f64]>,
) -> Option<f64> {
    let hit = |row: usize| {
        let (logits, label) = (of_row(logits, classes, row), labels[row] as usize);
        let before = |(class, z): &(usize, &f64)| {
            **z > logits[label] || (**z == logits[label] && *class < label)
        };
        f64::from(logits.iter().enumerate().filter(before).count() < k)
    };
    labelled(logits, classes, labels, weights)?.mean(hit)
}

/// Mean of `−ln softmax(z)[label]`.
pub fn log_loss(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Option<f64> {
    let loss = |row: usize| {
        let logits = of_row(logits, classes, row);
        let [largest, rest] = log_sum(logits);
        largest - logits[labels[row] as usize] + rest
    };
    labelled(logits, classes, labels, weights)?.mean(loss)
}

/// Unweighted mean over classes of F1 = 2 TP / (TP + FP + TP + FN), which is 0 for a class that is
/// never found. Classes that are neither a label nor chosen in any row of positive weight are left
/// out; scikit-learn includes those of rows of weight zero.
pub fn macro_f1(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Option<f64> {
    let rows = labelled(logits, classes, labels, weights)?;
    let (mut hits, mut labelled_or_chosen) = (vec![0.0; classes], vec![0.0; classes]);
    for (row, weight) in rows.iter() {
        let (label, chosen) = (labels[row] as usize, first_largest(of_row(logits, classes, row)));
        labelled_or_chosen[label] += weight;
        labelled_or_chosen[chosen] += weight;
        if label == chosen {
            hits[label] += weight;
        }
    }
    let f1: Vec<Option<f64>> =
        hits.iter().zip(&labelled_or_chosen).map(|(hits, all)| finite(2.0 * hits / all)).collect();
    mean(&f1)
}

/// The confusion matrix, `table[label][chosen]`: the weight of the rows of a class for which a
/// class was chosen.
pub fn confusion(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Option<Vec<Vec<f64>>> {
    let rows = labelled(logits, classes, labels, weights)?;
    let mut table = vec![vec![0.0; classes]; classes];
    for (row, weight) in rows.iter() {
        table[labels[row] as usize][first_largest(of_row(logits, classes, row))] += weight;
    }
    Some(table)
}

/// Unweighted mean over classes of the AUC of the class against all others, by its probability
/// (Provost and Domingos, 2000). Classes that no row has, or that all rows have, are left out.
pub fn macro_auc(
    logits: &[f64],
    classes: usize,
    labels: &[u32],
    weights: Option<&[f64]>,
) -> Option<f64> {
    labelled(logits, classes, labels, weights)?;
    let sums: Vec<[f64; 2]> =
        (0..labels.len()).map(|row| log_sum(of_row(logits, classes, row))).collect();
    let class_auc = |class: usize| {
        let is_class: Vec<bool> = labels.iter().map(|label| *label as usize == class).collect();
        let log_probability = |(row, [largest, rest]): (usize, &[f64; 2])| {
            logits[row * classes + class] - largest - rest
        };
        let scores: Vec<f64> = sums.iter().enumerate().map(log_probability).collect();
        binary::auc(&scores, &is_class, weights)
    };
    mean(&(0..classes).map(class_auc).collect::<Vec<_>>())
}
