//! Divides the loss of a task of counts by the mean of its labels, so that counts in the hundreds
//! do not outweigh the other tasks.

use crate::config::{CountFactor, Loss, Task};
use crate::data::{Target, UNLABELLED};
use crate::fault::quoted;
use crate::text::short;

/// Whether the loss of a task is to be divided by the mean of its labels.
pub fn is_wanted(task: &Task) -> bool {
    matches!(task.loss, Loss::Poisson { factor: CountFactor::PerMean })
}

/// Gives a target the mean of its labels, if its loss is to be divided by it. `encoded` are the
/// labels of the training rows, one vector per column, and `weights` one weight per training row.
pub fn fit(task: &Task, target: &mut Target, encoded: &[Vec<u32>], weights: Option<&[f32]>) {
    if is_wanted(task) {
        target.mean = mean(encoded.first().map_or(&[], Vec::as_slice), weights);
    }
}

/// The mean of the labels of a task of counts, in f64, weighted by the rows. `None` if it would not
/// be above 0. `labels` are the bits of an f32 each, and `weights` has one weight per row.
fn mean(labels: &[u32], weights: Option<&[f32]>) -> Option<f64> {
    let weight = |row: usize| weights.map_or(1.0, |weights| f64::from(weights[row]));
    let (mut sum, mut whole) = (0.0, 0.0);
    for (row, &label) in labels.iter().enumerate().filter(|(_, label)| **label != UNLABELLED) {
        sum += weight(row) * f64::from(f32::from_bits(label));
        whole += weight(row);
    }
    Some(sum / whole).filter(|mean: &f64| mean.is_finite() && *mean > 0.0)
}

/// A notice for each task whose loss is to be divided by the mean of its labels.
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
