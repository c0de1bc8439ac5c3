//! A close look at a task of several classes.

use serde::{Deserialize, Serialize};

use crate::run::apply::judge::{BINS, Truth};
use crate::run::metrics::binary::calibration_error;
use crate::run::metrics::curves::{Bin, calibration};
use crate::run::metrics::multiclass::{confusion, first_largest, macro_auc};

/// The largest number of classes that a confusion matrix shows.
pub const MOST: usize = 20;

/// Predictions beside labels, class by class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Classes {
    /// Names of the classes that are shown: all, or the [`MOST`] most frequent ones among the
    /// labels, in their order.
    pub names: Vec<String>,
    /// Number of all classes.
    pub of: usize,
    /// Weight of the rows by label and by prediction, for the classes that are shown; empty where
    /// there are no labels.
    pub confusion: Vec<Vec<f64>>,
    /// Weight of all rows with a label of the class, predicted as whatever class.
    pub labelled: Vec<f64>,
    /// Weight of all rows that are predicted as the class.
    pub predicted: Vec<f64>,
    /// Unweighted mean of the classes' areas under the ROC curve, each against all others.
    pub macro_auc: Option<f64>,
    /// Probability of the chosen class beside the share of right choices.
    pub calibration: Vec<Bin>,
    /// The calibration error of these.
    pub calibration_error: Option<f64>,
}

impl Classes {
    /// Looks at the predictions of a task.
    pub fn of(truth: &Truth) -> Classes {
        let classes = truth.head.outputs();
        let (logits, labelled) = truth.classes();
        let weights = labelled.weights.as_deref();
        let table = confusion(&logits, classes, &labelled.labels, weights).unwrap_or_default();
        let shown = most_frequent(&table);
        let chosen = |row: &[f64]| {
            let class = first_largest(row);
            let sum: f64 = row.iter().map(|z| (z - row[class]).exp()).sum();
            (class as u32, (1.0 / sum).min(1.0))
        };
        let chosen: Vec<(u32, f64)> = logits.chunks_exact(classes).map(chosen).collect();
        let is_right: Vec<bool> =
            chosen.iter().zip(&labelled.labels).map(|((class, _), label)| class == label).collect();
        let chances: Vec<f64> = chosen.iter().map(|(_, p)| *p).collect();
        let pick = |row: &Vec<f64>| shown.iter().map(|class| row[*class]).collect();
        Classes {
            names: shown.iter().map(|class| truth.head.classes[*class].clone()).collect(),
            of: classes,
            confusion: shown.iter().map(|class| pick(&table[*class])).collect(),
            labelled: shown.iter().map(|class| table[*class].iter().sum()).collect(),
            predicted: shown
                .iter()
                .map(|class| table.iter().map(|row| row[*class]).sum())
                .collect(),
            macro_auc: macro_auc(&logits, classes, &labelled.labels, weights),
            calibration: calibration(&chances, &is_right, weights, BINS).unwrap_or_default(),
            calibration_error: calibration_error(&chances, &is_right, weights, BINS),
        }
    }
}

/// The classes with the most labels, of equal ones the first, in the order of the classes.
fn most_frequent(table: &[Vec<f64>]) -> Vec<usize> {
    let sums: Vec<f64> = table.iter().map(|row| row.iter().sum()).collect();
    let mut order: Vec<usize> = (0..table.len()).collect();
    order.sort_by(|a, b| sums[*b].total_cmp(&sums[*a]).then(a.cmp(b)));
    order.truncate(MOST);
    order.sort_unstable();
    order
}
