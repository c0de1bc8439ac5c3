//! Losses of counts per unit of their mean, so that a count in the hundreds does not drown the
//! other tasks.

use crate::config::{Loss, Task};

use crate::data::{Target, UNLABELLED};
use crate::fault::quoted;
use crate::text::short;

/// Whether the loss of a task is to be divided by the mean of its labels.
pub fn is_wanted(task: &Task) -> bool {
    matches!(task.loss, Loss::Poisson { per_mean: true })
}

/// Gives a target the mean of its labels, if its loss is to be divided by it. `encoded` are the
/// labels of the training rows, one vector per column, and `weights` one weight per training row.
pub fn fit(task: &Task, target: &mut Target, encoded: &[Vec<u32>], weights: Option<&[f32]>) {
    if is_wanted(task) {
        target.mean = mean(encoded.first().map_or(&[], Vec::as_slice), weights);
    }
}

/// The mean of the counts that are labels, in f64; each counts as much as its row weighs. `None`
/// where it would not be above 0.
///
/// `words` are label words (bits of a count), and `weights` one number a row.
fn mean(words: &[u32], weights: Option<&[f32]>) -> Option<f64> {
    let weight = |row: usize| weights.map_or(1.0, |weights| f64::from(weights[row]));
    let (mut sum, mut whole) = (0.0, 0.0);
    for (row, &word) in words.iter().enumerate().filter(|(_, word)| **word != UNLABELLED) {
        sum += weight(row) * f64::from(f32::from_bits(word));
        whole += weight(row);
    }
    Some(sum / whole).filter(|mean: &f64| mean.is_finite() && *mean > 0.0)
}

/// A sentence for each task whose loss is to be per unit of its mean.
pub fn notices(tasks: &[Task], targets: &[Target]) -> Vec<String> {
    let notice = |target: &Target| {
        let task = quoted(&target.task);
        match target.mean {
            Some(mean) => format!(
                "the loss of task {task} is per unit of its mean, {} (scale_loss = false turns it \
                 off)",
                short(mean)
            ),
            None => format!(
                "task {task} has no count above 0 in the training part, so its loss is not \
                 divided by a mean"
            ),
        }
    };
    tasks
        .iter()
        .zip(targets)
        .filter(|(task, _)| is_wanted(task))
        .map(|(_, target)| notice(target))
        .collect()
}
