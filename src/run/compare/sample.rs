//! The labels and predictions of a task on the rows of a part, ready to be measured again and again
//! with other weights of these rows; where rows are tokens, with other weights of the sentences.

use crate::config::TaskKind;
use crate::data::tokens::is_trained;
use crate::data::{Dataset, Target, UNLABELLED};
use crate::model::network::Head;
use crate::run::apply::judge::{OfSentence, Truth};
use crate::run::metrics::{self, binary, count, multiclass, regression};

/// The labels and predictions of a task.
#[derive(Clone, Debug)]
pub struct Sample {
    kind: TaskKind,
    columns: Vec<Column>,
    labels: usize,
}

/// The labelled rows of a label column; of tags the sentences.
#[derive(Clone, Debug)]
struct Column {
    /// What is drawn for each in a resampling, by its number in the part: the row, or the sentence
    /// of the row.
    units: Vec<u32>,
    /// Their weights.
    weights: Vec<f64>,
    /// Their labels: 0 or 1, a number in the units of the data, or the number of spans in labels
    /// and predictions together.
    truth: Vec<f64>,
    /// Their predictions: 1 where the class is the label and 0 where not (multiclass), twice the
    /// number of spans that are found as they are labelled (tags), a logit (binary, multilabel), a
    /// number in the units of the data, or the logarithm of a rate.
    found: Vec<f64>,
}

/// The name of the metric that tasks of a type are compared by: the primary one, for numbers the
/// root of the mean squared error, which has a scale where R² has none.
pub fn measure(kind: TaskKind) -> &'static str {
    match kind {
        TaskKind::Regression => "rmse",
        other => other.metrics()[0],
    }
}

/// The name and the number of what is drawn in a resampling of a part: its rows, or its sentences
/// where rows are tokens, since tokens of a sentence belong together.
pub fn units(data: &Dataset) -> (&'static str, usize) {
    match &data.tokens {
        Some(tokens) => ("sentences", tokens.sentences().count()),
        None => ("rows", data.rows),
    }
}

/// The sentence of each row, where rows are tokens.
fn sentences(data: &Dataset) -> Option<Vec<u32>> {
    let all = data.tokens.as_ref()?.sentences().enumerate();
    Some(all.flat_map(|(number, rows)| rows.map(move |_| number as u32)).collect())
}

impl Sample {
    /// The labels and predictions of a task on a part; `first` is the first of its label columns
    /// there, `logits` are [rows, outputs].
    pub fn new(head: &Head, target: &Target, data: &Dataset, first: usize, logits: &[f32]) -> Self {
        if head.kind == TaskKind::Tags {
            return Sample::of_tags(&Truth::new(head, target, data, first, logits));
        }
        let outputs = head.outputs();
        let sentences = sentences(data);
        let column = |column: usize| {
            let labels = &data.labels[first + column];
            let counts = |label: u32| match head.kind {
                // A class that training does not have is not found.
                TaskKind::Multiclass => label != UNLABELLED,
                _ => is_trained(label),
            };
            let mut rows: Vec<u32> =
                (0..data.rows as u32).filter(|row| counts(labels[*row as usize])).collect();
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
            let unit = |row: u32| sentences.as_ref().map_or(row, |of| of[row as usize]);
            let units = rows.into_iter().map(unit).collect();
            Column { units, weights, truth, found }
        };
        let columns: Vec<Column> = (0..head.cells()).map(column).collect();
        let labels = columns.iter().map(|column| column.units.len()).sum();
        Sample { kind: head.kind, columns, labels }
    }

    /// The spans of the sentences.
    fn of_tags(truth: &Truth) -> Self {
        let all = truth.of_sentences();
        let of = |f: &dyn Fn(&OfSentence) -> f64| all.iter().map(f).collect::<Vec<f64>>();
        let column = Column {
            units: (0..all.len() as u32).collect(),
            weights: of(&|_| 1.0),
            truth: of(&|of| (of.spans.labelled + of.spans.found) as f64),
            found: of(&|of| 2.0 * of.spans.hits as f64),
        };
        let labels = all.iter().map(|of| of.labels).sum();
        Sample { kind: TaskKind::Tags, columns: vec![column], labels }
    }

    /// Number of labels.
    pub fn labels(&self) -> usize {
        self.labels
    }

    /// The value of [`measure`]; `counts` says how often each of the [`units`] of the part is
    /// taken, `None` = once. The result is `None` where it is not defined.
    pub fn value(&self, counts: Option<&[f64]>) -> Option<f64> {
        let of = |column: &Column| {
            let weights: Vec<f64> = match counts {
                None => column.weights.clone(),
                Some(counts) => {
                    let each = column.units.iter().zip(&column.weights);
                    each.map(|(unit, weight)| counts[*unit as usize] * weight).collect()
                }
            };
            column.value(self.kind, &weights)
        };
        metrics::mean(&self.columns.iter().map(of).collect::<Vec<_>>())
    }
}

impl Column {
    fn value(&self, kind: TaskKind, weights: &[f64]) -> Option<f64> {
        let sum = |of: &[f64]| of.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
        // A share of 1 of each label, or of the spans.
        let share = sum(&self.found) / sum(&self.truth);
        let weights = Some(weights);
        match kind {
            TaskKind::Multiclass | TaskKind::Tags => Some(share).filter(|share| share.is_finite()),
            TaskKind::Binary | TaskKind::Multilabel => {
                let labels: Vec<bool> = self.truth.iter().map(|label| *label == 1.0).collect();
                binary::auc(&self.found, &labels, weights)
            }
            TaskKind::Regression => regression::rmse(&self.found, &self.truth, weights),
            TaskKind::Count => count::deviance(&self.found, &self.truth, weights),
        }
    }
}
