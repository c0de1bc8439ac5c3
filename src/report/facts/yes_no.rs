//! A close look at a column of yes or no.

use serde::{Deserialize, Serialize};

use super::thin;
use crate::config::TaskKind;
use crate::run::apply::judge::{BINS, Labelled, Truth};
use crate::run::metrics::binary;
use crate::run::metrics::curves::{Bin, calibration, precision_recall, roc};

/// Predictions beside labels of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct YesNo {
    /// Name of the label column.
    pub column: String,
    /// Names of the negative and the positive class.
    pub classes: [String; 2],
    /// Probability above which a row is taken as positive.
    pub threshold: f64,
    /// Weight of the rows by label and by prediction: `[[tn, fp], [fn, tp]]`.
    pub confusion: [[f64; 2]; 2],
    /// Area under the ROC curve.
    pub auc: Option<f64>,
    /// Average precision.
    pub average_precision: Option<f64>,
    /// F1 at the threshold.
    pub f1: Option<f64>,
    /// Share of rows that are right at the threshold.
    pub accuracy: Option<f64>,
    /// Mean logarithmic loss.
    pub log_loss: Option<f64>,
    /// Calibration error.
    pub calibration_error: Option<f64>,
    /// The ROC curve, thinned: (share of false alarms, share of hits).
    pub roc: Vec<[f64; 2]>,
    /// The precision–recall curve, thinned: (recall, precision).
    pub precision_recall: Vec<[f64; 2]>,
    /// Predicted probability beside the share of positive rows.
    pub calibration: Vec<Bin>,
}

impl YesNo {
    /// Looks at the predictions of a column.
    pub fn of(truth: &Truth, column: usize) -> YesNo {
        let Labelled { rows, labels, weights } = truth.labelled(column);
        let weights = weights.as_deref();
        let labels: Vec<bool> = labels.iter().map(|label| *label == 1).collect();
        let logits = truth.output(&rows, column);
        let chances: Vec<f64> = logits.iter().map(|z| 1.0 / (1.0 + (-z).exp())).collect();
        let threshold = truth.head.threshold();
        let mut confusion = [[0.0; 2]; 2];
        for (row, (label, p)) in labels.iter().zip(&chances).enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[row]);
            confusion[usize::from(*label)][usize::from(*p > threshold)] += weight;
        }
        let thinned = |curve: Option<Vec<[f64; 2]>>| thin::curve(&curve.unwrap_or_default());
        YesNo {
            column: truth.target.columns[column].clone(),
            classes: classes(truth),
            threshold,
            confusion,
            auc: binary::auc(&logits, &labels, weights),
            average_precision: binary::average_precision(&logits, &labels, weights),
            f1: binary::f1(&chances, &labels, threshold, weights),
            accuracy: binary::accuracy_at(&chances, &labels, threshold, weights),
            log_loss: binary::log_loss(&logits, &labels, weights),
            calibration_error: binary::calibration_error(&chances, &labels, weights, BINS),
            roc: thinned(roc(&logits, &labels, weights)),
            precision_recall: thinned(precision_recall(&logits, &labels, weights)),
            calibration: calibration(&chances, &labels, weights, BINS).unwrap_or_default(),
        }
    }

    /// Weight of the rows with a label.
    pub fn labelled(&self) -> f64 {
        self.confusion.iter().flatten().sum()
    }

    /// Weight of the positive rows.
    pub fn positive(&self) -> f64 {
        self.confusion[1].iter().sum()
    }

    /// The share of false alarms and of hits at the threshold; `None` where a class is missing.
    pub fn at_threshold(&self) -> Option<[f64; 2]> {
        let share = |[no, yes]: [f64; 2]| Some(yes / (no + yes)).filter(|share| share.is_finite());
        Some([share(self.confusion[0])?, share(self.confusion[1])?])
    }

    /// Recall and precision at the threshold; `None` where one is not defined.
    pub fn recall_and_precision(&self) -> Option<[f64; 2]> {
        let [[_, alarms], [misses, hits]] = self.confusion;
        let share = |part: f64, all: f64| Some(part / all).filter(|share| share.is_finite());
        Some([share(hits, hits + misses)?, share(hits, hits + alarms)?])
    }
}

/// Names of the two classes.
fn classes(truth: &Truth) -> [String; 2] {
    match (&truth.head.classes[..], truth.head.kind) {
        ([no, yes], TaskKind::Binary) => [no.clone(), yes.clone()],
        _ => ["no".to_owned(), "yes".to_owned()],
    }
}
