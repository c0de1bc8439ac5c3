//! The metrics of a part, computed exactly on the host from the logits of a network and the labels.

use std::ops::Range;

use crate::config::TaskKind;
use crate::data::tokens::{Tokens, is_trained};
use crate::data::{Dataset, Schema, Target, UNLABELLED};
use crate::model::network::{Head, Network};
use crate::run::apply::evaluate::Measured;
use crate::run::apply::probability::sigmoid;
use crate::run::apply::tags::Decoder;
use crate::run::metrics::multiclass::first_largest;
use crate::run::metrics::spans::Counts;
use crate::run::metrics::{self, binary, count, multiclass, multilabel, regression};
use crate::run::train::point::TaskPoint;

/// Bins of the calibration error.
pub const BINS: usize = 15;

/// Loss and metrics of every task on a part.
pub fn task_points(
    network: &Network,
    schema: &Schema,
    data: &Dataset,
    measured: &Measured,
) -> Vec<TaskPoint> {
    let point = |(truth, loss): (Truth, &Option<f64>)| {
        let labels = truth.labels.iter().flatten();
        let rows = labels.filter(|label| **label != UNLABELLED).count() as u64;
        TaskPoint { loss: *loss, rows, metrics: truth.metrics() }
    };
    truths(network, schema, data, measured).zip(&measured.losses).map(point).collect()
}

/// For each binary task the probability threshold of the highest accuracy; `None` for other tasks.
pub fn thresholds(
    network: &Network,
    schema: &Schema,
    data: &Dataset,
    measured: &Measured,
) -> Vec<Option<f64>> {
    let threshold =
        |truth: Truth| (truth.head.kind == TaskKind::Binary).then(|| truth.threshold()).flatten();
    truths(network, schema, data, measured).map(threshold).collect()
}

/// For each multiclass task its confusion matrix, `table[label][predicted]`: the weight of the rows
/// of a class for which a class was predicted.
pub fn confusions(
    network: &Network,
    schema: &Schema,
    data: &Dataset,
    measured: &Measured,
) -> Vec<Option<Vec<Vec<f64>>>> {
    let confusion = |truth: Truth| {
        (truth.head.kind == TaskKind::Multiclass).then(|| truth.confusion()).flatten()
    };
    truths(network, schema, data, measured).map(confusion).collect()
}

/// Logits and labels of each task on a part.
pub fn truths<'a>(
    network: &'a Network,
    schema: &'a Schema,
    data: &'a Dataset,
    measured: &'a Measured,
) -> impl Iterator<Item = Truth<'a>> {
    let truth = |(task, head): (usize, &'a Head)| {
        let first = network.first_cell(task);
        Truth::new(head, &schema.targets[task], data, first, &measured.logits[task])
    };
    network.tasks.iter().enumerate().map(truth)
}

/// Counts of the tags of a sentence that are found.
#[derive(Clone, Copy, Debug, Default)]
pub struct OfSentence {
    /// Number of tokens with a label.
    pub labels: usize,
    /// Their weight.
    pub weight: f64,
    /// Weight of those whose tag is found.
    pub hits: f64,
    /// Spans.
    pub spans: Counts,
}

/// Logits of one task, with its labels.
pub struct Truth<'a> {
    /// The head.
    pub head: &'a Head,
    /// What its labels mean.
    pub target: &'a Target,
    /// The sentences of the part, and the number of its first label column.
    tokens: Option<(&'a Tokens, usize)>,
    /// One vector per label column.
    pub labels: &'a [Vec<u32>],
    weights: Option<&'a [f32]>,
    logits: &'a [f32],
}

/// The labelled rows of a column, with their labels (class indices or bits of f32) and weights.
pub struct Labelled {
    /// Their numbers.
    pub rows: Vec<usize>,
    /// One label per row.
    pub labels: Vec<u32>,
    /// One weight per row; `None` = each weighs 1.
    pub weights: Option<Vec<f64>>,
}

/// The predictions and labels of the labelled rows of a column, in the units of the labels.
pub struct Numbers {
    /// One prediction per row.
    pub found: Vec<f64>,
    /// One label per row.
    pub truth: Vec<f64>,
    /// One weight per row; `None` = each weighs 1.
    pub weights: Option<Vec<f64>>,
}

impl<'a> Truth<'a> {
    /// The logits, [rows, outputs], and labels of a task on a part; `first` is the first of its
    /// label columns there.
    pub fn new(
        head: &'a Head,
        target: &'a Target,
        data: &'a Dataset,
        first: usize,
        logits: &'a [f32],
    ) -> Self {
        Truth {
            head,
            target,
            tokens: data.tokens.as_deref().map(|tokens| (tokens, first)),
            labels: &data.labels[first..][..head.cells()],
            weights: data.weights.as_deref(),
            logits,
        }
    }

    /// The predictions and labels of a column of a regression.
    pub fn numbers(&self, column: usize) -> Numbers {
        let Labelled { rows, labels, weights } = self.labelled(column);
        let scale = self.target.scales[column];
        let back = |y: f64| y / scale.factor + scale.offset;
        let found = self.output(&rows, column).into_iter().map(back).collect();
        let truth = labels.iter().map(|label| back(f64::from(f32::from_bits(*label)))).collect();
        Numbers { found, truth, weights }
    }

    /// The metrics that are defined, by name.
    fn metrics(&self) -> Vec<(&'static str, f64)> {
        let metrics = match self.head.kind {
            TaskKind::Multiclass => self.multiclass(),
            TaskKind::Tags => self.tags(),
            TaskKind::Binary => self.binary(),
            TaskKind::Multilabel => self.multilabel(),
            TaskKind::Regression => self.regression(),
            TaskKind::Count => self.count(),
        };
        metrics.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The labelled rows of a column.
    pub fn labelled(&self, column: usize) -> Labelled {
        let labels = &self.labels[column];
        let rows: Vec<usize> = (0..labels.len()).filter(|row| is_trained(labels[*row])).collect();
        let weights =
            self.weights.map(|weights| rows.iter().map(|row| f64::from(weights[*row])).collect());
        Labelled { labels: rows.iter().map(|row| labels[*row]).collect(), weights, rows }
    }

    /// Logits of an output on the labelled rows.
    pub fn output(&self, rows: &[usize], output: usize) -> Vec<f64> {
        let outputs = self.head.outputs();
        rows.iter().map(|row| f64::from(self.logits[row * outputs + output])).collect()
    }

    /// Logits of all classes on the labelled rows, with their labels.
    pub fn classes(&self) -> (Vec<f64>, Labelled) {
        let (classes, labelled) = (self.head.outputs(), self.labelled(0));
        let of_row = |row: &usize| &self.logits[*row * classes..][..classes];
        (labelled.rows.iter().flat_map(of_row).map(|z| f64::from(*z)).collect(), labelled)
    }

    fn confusion(&self) -> Option<Vec<Vec<f64>>> {
        let (logits, Labelled { labels, weights, .. }) = self.classes();
        multiclass::confusion(&logits, self.head.outputs(), &labels, weights.as_deref())
    }

    fn multiclass(&self) -> Vec<(&'static str, Option<f64>)> {
        let (classes, (logits, Labelled { labels, weights, .. })) =
            (self.head.outputs(), self.classes());
        let weights = weights.as_deref();
        let top_k = self
            .head
            .top_k
            .filter(|k| *k < classes)
            .and_then(|k| multiclass::top_k(&logits, classes, &labels, k, weights));
        let seen = self.seen();
        // Where no label is known to the model, nothing is found.
        let share =
            |share: Option<f64>| if seen == 0.0 { Some(0.0) } else { share.map(|x| x * seen) };
        vec![
            ("accuracy", share(multiclass::accuracy(&logits, classes, &labels, weights))),
            ("top_k", share(top_k)),
            ("macro_f1", multiclass::macro_f1(&logits, classes, &labels, weights)),
            ("log_loss", multiclass::log_loss(&logits, classes, &labels, weights)),
        ]
    }

    /// The share of the labels, by weight, that the training part has, too: what it does not have
    /// is never found.
    fn seen(&self) -> f64 {
        let weight = |row: usize| self.weights.map_or(1.0, |weights| f64::from(weights[row]));
        let labels = self.labels.first().into_iter().flatten().enumerate();
        let mut sums = [0.0; 2];
        for (row, label) in labels.filter(|(_, label)| **label != UNLABELLED) {
            sums[usize::from(is_trained(*label))] += weight(row);
        }
        if sums[0] > 0.0 { sums[1] / (sums[0] + sums[1]) } else { 1.0 }
    }

    /// The class of each row, as the scheme of the tags allows.
    pub fn decoded(&self) -> Vec<usize> {
        let (Some((tokens, _)), Some(scheme)) = (self.tokens, self.target.scheme) else {
            return self.logits.chunks_exact(self.head.outputs()).map(first_largest).collect();
        };
        Decoder::new(&self.head.classes, scheme).decode_all(tokens, self.logits)
    }

    /// The tags of each sentence that are found, as they are predicted. A token without a label,
    /// or of weight zero, is outside of all spans.
    pub fn of_sentences(&self) -> Vec<OfSentence> {
        let (decoded, labels) = (self.decoded(), &self.labels[0]);
        let weight = |row: usize| self.weights.map_or(1.0, |weights| f64::from(weights[row]));
        let label = |row: usize| match (labels[row], self.tokens) {
            (UNLABELLED, _) => None,
            (label, _) if is_trained(label) => Some(self.head.classes[label as usize].as_str()),
            (label, Some((tokens, column))) => Some(tokens.text(column, label)),
            (_, None) => Some(""),
        };
        let of = |rows: Range<usize>| {
            let mut of = OfSentence::default();
            let mut pairs = Vec::with_capacity(rows.len());
            for row in rows {
                let found = self.head.classes[decoded[row]].as_str();
                let pair = label(row).filter(|_| weight(row) > 0.0).map(|label| (label, found));
                if let Some((label, found)) = pair {
                    of.labels += 1;
                    of.hits += weight(row) * f64::from(u8::from(label == found));
                    of.weight += weight(row);
                }
                pairs.push(pair.unwrap_or(("O", "O")));
            }
            let (truth, found): (Vec<&str>, Vec<&str>) = pairs.into_iter().unzip();
            of.spans.add(&truth, &found);
            of
        };
        self.tokens.iter().flat_map(|(tokens, _)| tokens.sentences()).map(of).collect()
    }

    /// Spans and single tokens over all sentences.
    fn tags(&self) -> Vec<(&'static str, Option<f64>)> {
        let (mut counts, mut sums) = (Counts::default(), [0.0; 2]);
        for of in self.of_sentences() {
            counts += of.spans;
            sums = [sums[0] + of.hits, sums[1] + of.weight];
        }
        let (logits, Labelled { labels, weights, .. }) = self.classes();
        let classes = self.head.outputs();
        vec![
            ("f1", counts.f1()),
            ("precision", counts.precision()),
            ("recall", counts.recall()),
            ("accuracy", Some(sums[0] / sums[1]).filter(|share| share.is_finite())),
            ("log_loss", multiclass::log_loss(&logits, classes, &labels, weights.as_deref())),
        ]
    }

    fn binary(&self) -> Vec<(&'static str, Option<f64>)> {
        let Labelled { rows, labels, weights } = self.labelled(0);
        let (logits, labels): (Vec<f64>, Vec<bool>) =
            (self.output(&rows, 0), labels.iter().map(|label| *label == 1).collect());
        let probabilities: Vec<f64> = rows.iter().map(|row| sigmoid(self.logits[*row])).collect();
        let (threshold, weights) = (self.head.threshold(), weights.as_deref());
        vec![
            ("auc", binary::auc(&logits, &labels, weights)),
            ("average_precision", binary::average_precision(&logits, &labels, weights)),
            ("f1", binary::f1(&probabilities, &labels, threshold, weights)),
            ("accuracy", binary::accuracy_at(&probabilities, &labels, threshold, weights)),
            ("log_loss", binary::log_loss(&logits, &labels, weights)),
            (
                "calibration_error",
                binary::calibration_error(&probabilities, &labels, weights, BINS),
            ),
        ]
    }

    fn threshold(&self) -> Option<f64> {
        let Labelled { rows, labels, weights } = self.labelled(0);
        let labels: Vec<bool> = labels.iter().map(|label| *label == 1).collect();
        let probabilities: Vec<f64> = rows.iter().map(|row| sigmoid(self.logits[*row])).collect();
        binary::best_threshold(&probabilities, &labels, weights.as_deref())
            .map(|threshold| threshold.clamp(0.0, 1.0))
    }

    fn multilabel(&self) -> Vec<(&'static str, Option<f64>)> {
        let columns = self.labels.len();
        let rows = self.labels.first().map_or(0, Vec::len);
        let cell = |(row, column): (usize, usize)| match self.labels[column][row] {
            UNLABELLED => u8::MAX,
            label => label as u8,
        };
        let labels: Vec<u8> = (0..rows)
            .flat_map(|row| (0..columns).map(move |column| (row, column)))
            .map(cell)
            .collect();
        let logits: Vec<f64> = self.logits.iter().map(|z| f64::from(*z)).collect();
        let weights: Option<Vec<f64>> =
            self.weights.map(|weights| weights.iter().map(|w| f64::from(*w)).collect());
        let weights = weights.as_deref();
        vec![
            ("auc", multilabel::auc(&logits, columns, &labels, weights)),
            (
                "average_precision",
                multilabel::average_precision(&logits, columns, &labels, weights),
            ),
            ("f1", multilabel::f1(&logits, columns, &labels, weights)),
            ("accuracy", multilabel::accuracy(&logits, columns, &labels, weights)),
            ("log_loss", multilabel::log_loss(&logits, columns, &labels, weights)),
        ]
    }

    /// Means over the columns, in the units of the labels.
    fn regression(&self) -> Vec<(&'static str, Option<f64>)> {
        let column = |column: usize| {
            let Numbers { found, truth, weights } = self.numbers(column);
            let weights = weights.as_deref();
            [
                regression::r2(&found, &truth, weights),
                regression::rmse(&found, &truth, weights),
                regression::mae(&found, &truth, weights),
            ]
        };
        let columns: Vec<[Option<f64>; 3]> = (0..self.labels.len()).map(column).collect();
        let mean =
            |metric: usize| metrics::mean(&columns.iter().map(|c| c[metric]).collect::<Vec<_>>());
        vec![("r2", mean(0)), ("rmse", mean(1)), ("mae", mean(2))]
    }

    fn count(&self) -> Vec<(&'static str, Option<f64>)> {
        let Labelled { rows, labels, weights } = self.labelled(0);
        let (rates, counts) = (
            self.output(&rows, 0),
            labels.iter().map(|label| f64::from(f32::from_bits(*label))).collect::<Vec<_>>(),
        );
        let weights = weights.as_deref();
        vec![
            ("deviance", count::deviance(&rates, &counts, weights)),
            ("rmse", count::rmse(&rates, &counts, weights)),
            ("mae", count::mae(&rates, &counts, weights)),
        ]
    }
}
