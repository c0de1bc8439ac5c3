//! The loss of a network that reads no input and always predicts the mean of the training part, or
//! its class shares. Computed in f64 on the host.
//!
//! A loss divided by this one says which share of what can be learned is still missing, whatever
//! the scale of the labels; 1 is no better than the mean. For squared errors the quotient is 1 −
//! R², for counts the deviance divided by the deviance of the mean (McFadden, 1974, for
//! likelihoods).

use crate::config::TaskKind;
use crate::data::Dataset;
use crate::data::tokens::is_trained;
use crate::model::loss::Loss;
use crate::model::network::Head;

/// The labels of one task in one part.
#[derive(Clone, Copy, Debug)]
pub struct TaskLabels<'a> {
    /// One vector per label column, as in [`Dataset::labels`].
    pub columns: &'a [Vec<u32>],
    /// Weight of each row; `None` = one each.
    pub weights: Option<&'a [f32]>,
}

/// The loss of a network that reads no input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Baseline {
    /// L_i if the training mean or the class shares are predicted for every row; not finite if a
    /// label of the part does not occur in the training part.
    pub constant: f64,
    /// The lowest possible L_i: 0, or for counts the loss of predicting every label exactly.
    pub saturated: f64,
}

impl Baseline {
    /// The possible gain over predicting the mean; `None` if it is 0 or not finite.
    pub fn gain(&self) -> Option<f64> {
        Some(self.constant - self.saturated).filter(|gain| gain.is_finite() && *gain > 0.0)
    }
}

impl<'a> TaskLabels<'a> {
    /// The labels of a task; `first` is the number of its first label column.
    pub fn of(data: &'a Dataset, head: &Head, first: usize) -> TaskLabels<'a> {
        TaskLabels {
            columns: &data.labels[first..first + head.cells()],
            weights: data.weights.as_deref(),
        }
    }

    /// The labels of a column that are not blank and have a positive weight, with that weight.
    fn cells(self, column: usize) -> impl Iterator<Item = (u32, f64)> + 'a {
        let weight = move |row: usize| self.weights.map_or(1.0, |weights| f64::from(weights[row]));
        let cells =
            self.columns[column].iter().enumerate().map(move |(row, label)| (*label, weight(row)));
        cells.filter(|(label, weight)| is_trained(*label) && *weight > 0.0)
    }

    /// The sum of the weights of each class in a column; other labels do not count.
    fn classes(self, column: usize, classes: usize) -> Vec<f64> {
        let mut weights = vec![0.0; classes];
        self.cells(column).for_each(|(label, weight)| {
            if let Some(sum) = weights.get_mut(label as usize) {
                *sum += weight;
            }
        });
        weights
    }

    /// The mean of the numbers of a column; NaN if there are none.
    fn mean(self, column: usize) -> f64 {
        let numbers = self.cells(column).map(|(label, weight)| (number(label), weight));
        let (sum, weights) = numbers
            .fold((0.0, 0.0), |(sum, weights), (y, weight)| (sum + weight * y, weights + weight));
        sum / weights
    }
}

/// The number that a label holds.
fn number(label: u32) -> f64 {
    f64::from(f32::from_bits(label))
}

/// A sum of weighted losses, and the sum of weights that it is divided by.
type WeightedSum = (f64, f64);

/// The loss of a task on `part` if the mean or the class shares of `train` are predicted for every
/// row, by the task's own loss with all its weights. `None` if no label of `part` has a positive
/// weight.
pub fn baseline(head: &Head, train: TaskLabels, part: TaskLabels) -> Option<Baseline> {
    let columns = 0..part.columns.len();
    let (sum, weight) = match head.kind {
        TaskKind::Multiclass | TaskKind::Tags => of_classes(
            &head.loss,
            &shares(&train.classes(0, head.outputs())),
            &part.classes(0, head.outputs()),
        ),
        TaskKind::Binary | TaskKind::Multilabel => total(columns.map(|column| {
            let share = shares(&train.classes(column, 2))[1];
            of_yes_or_no(&head.loss, column, share, &part.classes(column, 2))
        })),
        TaskKind::Regression | TaskKind::Count => {
            total(columns.map(|column| of_numbers(&head.loss, train.mean(column), part, column)))
        }
    };
    let saturated = least(head, part)?;
    (weight > 0.0).then(|| Baseline { constant: sum / weight, saturated })
}

/// The sum over columns.
fn total(columns: impl Iterator<Item = WeightedSum>) -> WeightedSum {
    columns.fold((0.0, 0.0), |all, column| (all.0 + column.0, all.1 + column.1))
}

/// Weights as shares of their sum.
fn shares(weights: &[f64]) -> Vec<f64> {
    let all: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / all).collect()
}

/// (1 − p)^γ, the factor of the focal loss (Lin et al., 2017, equation 4); 1 without it.
fn focal(gamma: f64, p: f64) -> f64 {
    if gamma > 0.0 { (1.0 - p).powf(gamma) } else { 1.0 }
}

/// w x, and 0 for w = 0 even if x is infinite: a label without a weight adds nothing to a loss.
fn times(weight: f64, x: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * x }
}

/// Cross-entropy of constant shares p with smoothed targets and class weights, as PyTorch's
/// `CrossEntropyLoss`: for a label k w_k (1 − ε) (−ln p_k) + Σ_c w_c ε / C (−ln p_c), times (1 −
/// p_k)^γ, over Σ w_k.
fn of_classes(loss: &Loss, shares: &[f64], part: &[f64]) -> WeightedSum {
    let Loss::CrossEntropy { label_smoothing, focal_gamma, class_weights } = loss else {
        return (f64::NAN, 0.0);
    };
    let weight = |class: usize| class_weights.get(class).copied().unwrap_or(1.0);
    let nll = |class: usize| -shares[class].ln();
    let each = label_smoothing / shares.len() as f64;
    let spread: f64 = (0..shares.len()).map(|class| times(each * weight(class), nll(class))).sum();
    let of_label = |k: usize| {
        focal(*focal_gamma, shares[k])
            * (times((1.0 - label_smoothing) * weight(k), nll(k)) + spread)
    };
    total((0..shares.len()).map(|k| (times(part[k], of_label(k)), part[k] * weight(k))))
}

/// Cross-entropy of a constant share p of positives, as PyTorch's `BCEWithLogitsLoss`: −w_+ ln p
/// and −ln (1 − p), with the focal factor.
fn of_yes_or_no(loss: &Loss, column: usize, share: f64, part: &[f64]) -> WeightedSum {
    let Loss::Logistic { focal_gamma, positive_weights } = loss else { return (f64::NAN, 0.0) };
    let of_label = |p: f64| -focal(*focal_gamma, p) * p.ln();
    let yes =
        times(part[1] * positive_weights.get(column).copied().unwrap_or(1.0), of_label(share));
    (yes + times(part[0], of_label(1.0 - share)), part[0] + part[1])
}

/// Losses of predicting `mean` for every label. For counts the output of the network is its
/// logarithm.
fn of_numbers(loss: &Loss, mean: f64, part: TaskLabels, column: usize) -> WeightedSum {
    total(part.cells(column).map(|(label, weight)| {
        (weight * loss.of_number(mean, number(label)).unwrap_or(f64::NAN), weight)
    }))
}

/// The lowest loss that a task can have on a part: 0, and for counts the loss of predicting every
/// label exactly. `None` for counts of which none has a positive weight.
pub fn least(head: &Head, part: TaskLabels) -> Option<f64> {
    if let Loss::Poisson { factor } = head.loss {
        Some(factor.0 * saturated(part)?)
    } else {
        Some(0.0)
    }
}

/// The Poisson loss of predicting every count exactly, the mean of y − y ln y with 0 ln 0 = 0: the
/// saturated model of McCullagh and Nelder, 1989. The deviance is twice the distance to it. `None`
/// if no label has a positive weight.
pub fn saturated(part: TaskLabels) -> Option<f64> {
    let of_cell = |(label, weight): (u32, f64)| {
        (weight * (number(label) - times(number(label), number(label).ln())), weight)
    };
    let (sum, weight) =
        total((0..part.columns.len()).map(|column| total(part.cells(column).map(of_cell))));
    (weight > 0.0).then(|| sum / weight)
}
