//! Losses of tasks: all that the host knows of each. The kernels know them by their codes.
//!
//! A new loss is a variant with its keys in `config/loss.rs`, its facts here, a case with its code
//! in `shaders/pointwise_losses.wgsl`, and a case of the twin.

use serde::{Deserialize, Serialize};

use crate::config::{self, ClassWeights, LossOf, PositiveWeight, TaskKind};
use crate::data::Target;
use crate::data::value::alike::Lookup;

/// The loss of a head, with every weight a number: one weight per class, empty = all one; one
/// weight of the positive class per output.
pub type Loss = LossOf<Vec<f64>, Vec<f64>, Factor>;

/// The factor of a Poisson loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Factor(pub f64);

impl Default for Factor {
    fn default() -> Factor {
        Factor(1.0)
    }
}

/// Codes of the losses, as the kernels know them.
pub mod code {
    #![allow(missing_docs)]
    pub const MULTICLASS: u32 = 0;
    pub const LOGISTIC: u32 = 1;
    pub const SQUARED: u32 = 2;
    pub const ABSOLUTE: u32 = 3;
    pub const HUBER: u32 = 4;
    pub const QUANTILE: u32 = 5;
    pub const POISSON: u32 = 6;
}

impl Loss {
    /// Cross-entropy of classes, nothing else.
    pub fn cross_entropy() -> Loss {
        Loss::CrossEntropy { label_smoothing: 0.0, focal_gamma: 0.0, class_weights: Vec::new() }
    }

    /// The loss of a configuration, with the weights that the counts of the training part give.
    pub fn new(settings: &config::Loss, target: &Target) -> Loss {
        match settings {
            config::Loss::CrossEntropy { label_smoothing, focal_gamma, class_weights } => {
                Loss::CrossEntropy {
                    label_smoothing: *label_smoothing,
                    focal_gamma: *focal_gamma,
                    class_weights: of_classes(class_weights, target),
                }
            }
            config::Loss::Logistic { focal_gamma, positive_weights } => Loss::Logistic {
                focal_gamma: *focal_gamma,
                positive_weights: of_positives(positive_weights, target),
            },
            config::Loss::Squared => Loss::Squared,
            config::Loss::Absolute => Loss::Absolute,
            config::Loss::Huber { delta } => Loss::Huber { delta: *delta },
            config::Loss::Quantile { quantile } => Loss::Quantile { quantile: *quantile },
            // A training part without a count above 0 has no mean to speak of.
            config::Loss::Poisson { .. } => {
                Loss::Poisson { factor: Factor(target.mean.map_or(1.0, f64::recip)) }
            }
        }
    }

    /// Its code and its one parameter, as the kernels know them.
    pub fn code(&self) -> (u32, f64) {
        match self {
            Loss::CrossEntropy { .. } => (code::MULTICLASS, 0.0),
            Loss::Logistic { .. } => (code::LOGISTIC, 0.0),
            Loss::Squared => (code::SQUARED, 0.0),
            Loss::Absolute => (code::ABSOLUTE, 0.0),
            Loss::Huber { delta } => (code::HUBER, *delta),
            Loss::Quantile { quantile } => (code::QUANTILE, *quantile),
            Loss::Poisson { factor } => (code::POISSON, factor.0),
        }
    }

    /// Its share of smoothing ε and its focus γ.
    pub fn smoothing_and_focus(&self) -> (f64, f64) {
        match self {
            Loss::CrossEntropy { label_smoothing, focal_gamma, .. } => {
                (*label_smoothing, *focal_gamma)
            }
            Loss::Logistic { focal_gamma, .. } => (0.0, *focal_gamma),
            _ => (0.0, 0.0),
        }
    }

    /// Its weights: one per class, or one per output; empty where all are one.
    pub fn weights(&self) -> &[f64] {
        match self {
            Loss::CrossEntropy { class_weights, .. } => class_weights,
            Loss::Logistic { positive_weights, .. } => positive_weights,
            _ => &[],
        }
    }

    /// Whether the sum that it is divided by depends on the classes of the labels, not only on
    /// their number.
    pub fn weighs_classes(&self) -> bool {
        matches!(self, Loss::CrossEntropy { class_weights, .. } if !class_weights.is_empty())
    }

    /// Whether its gradient is bounded, however far an output is from the label.
    pub fn is_robust(&self) -> bool {
        matches!(self, Loss::Huber { .. } | Loss::Absolute | Loss::Quantile { .. })
    }

    /// The quantile of the labels that it makes outputs approach, where it is for one.
    pub fn level(&self) -> Option<f64> {
        if let Loss::Quantile { quantile } = self { Some(*quantile) } else { None }
    }

    /// The loss of an output for a number, where the loss is one of numbers; a count is predicted
    /// by its mean, whose logarithm is the output.
    pub fn of_number(&self, predicted: f64, label: f64) -> Option<f64> {
        let e = predicted - label;
        match self {
            Loss::Squared => Some(e * e),
            Loss::Absolute => Some(e.abs()),
            Loss::Huber { delta } if e.abs() > *delta => Some(delta * (e.abs() - 0.5 * delta)),
            Loss::Huber { .. } => Some(0.5 * e * e),
            Loss::Quantile { quantile } => Some((quantile * -e).max((quantile - 1.0) * -e)),
            Loss::Poisson { factor } => {
                let log_term = if label == 0.0 { 0.0 } else { label * predicted.ln() };
                Some(factor.0 * (predicted - log_term))
            }
            Loss::CrossEntropy { .. } | Loss::Logistic { .. } => None,
        }
    }

    /// Whether a task of a type with so many classes and outputs can have it, with these numbers.
    pub fn suits(&self, kind: TaskKind, classes: usize, outputs: usize) -> bool {
        let not_negative = |x: f64| x.is_finite() && x >= 0.0;
        let weights = |weights: &[f64], count: usize| {
            weights.len() == count && weights.iter().all(|w| not_negative(*w))
        };
        let yes_or_no = matches!(kind, TaskKind::Binary | TaskKind::Multilabel);
        match self {
            Loss::CrossEntropy { label_smoothing, focal_gamma, class_weights } => {
                kind.has_logits_of_classes()
                    && (0.0..1.0).contains(label_smoothing)
                    && not_negative(*focal_gamma)
                    && (class_weights.is_empty() || weights(class_weights, classes))
            }
            Loss::Logistic { focal_gamma, positive_weights } => {
                yes_or_no && not_negative(*focal_gamma) && weights(positive_weights, outputs)
            }
            Loss::Squared | Loss::Absolute => kind == TaskKind::Regression,
            Loss::Huber { delta } => kind == TaskKind::Regression && is_positive(*delta),
            Loss::Quantile { quantile } => {
                kind == TaskKind::Regression && *quantile > 0.0 && *quantile < 1.0
            }
            Loss::Poisson { factor } => kind == TaskKind::Count && is_positive(factor.0),
        }
    }
}

fn is_positive(x: f64) -> bool {
    x.is_finite() && x > 0.0
}

fn of_classes(weights: &ClassWeights, target: &Target) -> Vec<f64> {
    match weights {
        ClassWeights::None => Vec::new(),
        ClassWeights::Balanced => balanced(target.counts.first().map_or(&[], Vec::as_slice)),
        ClassWeights::Given(given) => {
            target.classes.iter().map(|class| weight_of(given, class)).collect()
        }
    }
}

/// The weight that a configuration gives a class; 1 for a class that it does not name.
pub(super) fn weight_of(given: &[(String, f64)], class: &str) -> f64 {
    let known = Lookup::new(given.iter().map(|(name, _)| name.as_str()).zip(0..));
    known.get(class).map_or(1.0, |at| given[at as usize].1)
}

/// rows / (classes · rows of the class), as scikit-learn's `class_weight="balanced"`; 1 for a class
/// without rows.
fn balanced(counts: &[u64]) -> Vec<f64> {
    let (rows, classes) = (counts.iter().sum::<u64>() as f64, counts.len() as f64);
    counts.iter().map(|&n| if n == 0 { 1.0 } else { rows / (classes * n as f64) }).collect()
}

/// Balanced: negatives per positive; 1 for an output that has only one of the two.
fn of_positives(weight: &PositiveWeight, target: &Target) -> Vec<f64> {
    let of_output = |counts: &Vec<u64>| match (weight, &counts[..]) {
        (PositiveWeight::Given(weight), _) => *weight,
        (PositiveWeight::Balanced, [negative, positive]) if *negative > 0 && *positive > 0 => {
            *negative as f64 / *positive as f64
        }
        (PositiveWeight::Balanced, _) => 1.0,
    };
    target.counts.iter().map(of_output).collect()
}
