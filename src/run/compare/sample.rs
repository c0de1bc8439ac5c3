//! The labels and predictions of a task on the rows of a part, ready to be measured again and again
//! with other weights of these rows.

use crate::config::TaskKind;
use crate::data::{Dataset, Target, UNLABELLED};
use crate::model::network::Head;
use crate::run::metrics::{self, binary, count, multiclass, regression};

/// The labels and predictions of a task.
#[derive(Clone, Debug)]
pub struct Sample {
    kind: TaskKind,
    columns: Vec<Column>,
}

/// The labelled rows of a label column.
#[derive(Clone, Debug)]
struct Column {
    /// Their numbers in the part.
    rows: Vec<u32>,
    /// Their weights.
    weights: Vec<f64>,
    /// Their labels: 0 or 1, or a number in the units of the data.
    truth: Vec<f64>,
    /// Their predictions: 1 where the class is the label and 0 where not (multiclass), a logit
    /// (binary, multilabel), a number in the units of the data, or the logarithm of a rate.
    found: Vec<f64>,
}

/// The name of the metric that tasks of a type are compared by: the primary one, for numbers the
/// root of the mean squared error, which has a scale where R² has none, and for tags the accuracy,
/// since spans are not single rows.
pub fn measure(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Regression => "rmse",
        TaskKind::Tags => "accuracy",
        other => other.metrics()[0],
    }
}

impl Sample {
    /// The labels and predictions of a task on a part; `first` is the first of its label columns
    /// there, `logits` are [rows, outputs].
    pub fn new(head: &Head, target: &Target, data: &Dataset, first: usize, logits: &[f32]) -> Self {
        let outputs = head.outputs();
        let column = |column: usize| {
            let labels = &data.labels[first + column];
            let mut rows: Vec<u32> =
                (0..data.rows as u32).filter(|row| labels[*row as usize] != UNLABELLED).collect();
            let logit = |row: u32, output: usize| logits[row as usize * outputs + output];
            if matches!(head.kind, TaskKind::Binary | TaskKind::Multilabel) {
                // Rows in the order of their scores: a metric that sorts them has little to do.
                rows.sort_by(|a, b| logit(*a, column).total_cmp(&logit(*b, column)));
            }
            let label = |row: u32| labels[row as usize];
            let number = |row: u32| f64::from(f32::from_bits(label(row)));
            let pair = |row: u32| match head.kind {
                TaskKind::Multiclass | TaskKind::Tags => {
                    let of_row = &logits[row as usize * outputs..][..outputs];
                    let class = multiclass::first_largest(of_row) as u32;
                    (1.0, f64::from(u8::from(class == label(row))))
                }
                TaskKind::Binary | TaskKind::Multilabel => {
                    (f64::from(label(row)), f64::from(logit(row, column)))
                }
                TaskKind::Regression => {
                    let scale = target.scales[column];
                    let back = |y: f64| y / scale.factor + scale.offset;
                    (back(number(row)), back(f64::from(logit(row, column))))
                }
                TaskKind::Count => (number(row), f64::from(logit(row, column))),
            };
            let weight =
                |row: u32| data.weights.as_ref().map_or(1.0, |w| f64::from(w[row as usize]));
            let (truth, found) = rows.iter().map(|row| pair(*row)).unzip();
            let weights = rows.iter().map(|row| weight(*row)).collect();
            Column { rows, weights, truth, found }
        };
        Sample { kind: head.kind, columns: (0..head.cells()).map(column).collect() }
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.columns.iter().map(|column| column.rows.len()).sum()
    }

    /// The value of [`measure`]; `counts` says how often each row of the part is taken, `None` =
    /// once. The result is `None` where it is not defined.
    pub fn value(&self, counts: Option<&[f64]>) -> Option<f64> {
        let of = |column: &Column| {
            let weights: Vec<f64> = match counts {
                None => column.weights.clone(),
                Some(counts) => {
                    let each = column.rows.iter().zip(&column.weights);
                    each.map(|(row, weight)| counts[*row as usize] * weight).collect()
                }
            };
            column.value(self.kind, &weights)
        };
        metrics::mean(&self.columns.iter().map(of).collect::<Vec<_>>())
    }
}

impl Column {
    fn value(&self, kind: TaskKind, weights: &[f64]) -> Option<f64> {
        let weights = Some(weights);
        match kind {
            TaskKind::Multiclass | TaskKind::Tags => {
                let sum: f64 = weights?.iter().sum();
                let hits: f64 = self.found.iter().zip(weights?).map(|(hit, w)| hit * w).sum();
                Some(hits / sum).filter(|share| share.is_finite())
            }
            TaskKind::Binary | TaskKind::Multilabel => {
                let labels: Vec<bool> = self.truth.iter().map(|label| *label == 1.0).collect();
                binary::auc(&self.found, &labels, weights)
            }
            TaskKind::Regression => regression::rmse(&self.found, &self.truth, weights),
            TaskKind::Count => count::deviance(&self.found, &self.truth, weights),
        }
    }
}
