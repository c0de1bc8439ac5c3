//! `loss` of a task: every loss, with its name, the types of task that can have it, and its keys.

use serde::{Deserialize, Serialize};

use super::keys::form::{Form, flag, number};
use super::keys::item::{BELOW_ONE, INSIDE_ONE, Item, NOT_NEGATIVE, POSITIVE, Result};
use super::keys::toml::{inline_table, quote};
use super::keys::{Keyed, Kind, Pass, kind_of, names};
use super::kind::TaskKind;
use super::version::Version;

/// The loss of one task, over its weights: as the configuration states them ([`Loss`]), or as
/// numbers (`model::loss`). z is an output, y a label, t a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum LossOf<Classes, Positives, Factor: Default + PartialEq> {
    /// `−Σ t ln softmax(z)` (multiclass), with smoothed targets (Szegedy et al., "Rethinking the
    /// Inception architecture", CVPR 2016) and a focus on hard rows (Lin et al., "Focal loss for
    /// dense object detection", ICCV 2017).
    CrossEntropy {
        /// ε, the share of the target that is spread over all classes.
        label_smoothing: f64,
        /// γ of the focal loss; 0 = no focus.
        focal_gamma: f64,
        /// Weights of the classes.
        class_weights: Classes,
    },
    /// Cross-entropy on the logit of each output, `−p y ln σ(z) − (1 − y) ln σ(−z)` (binary,
    /// multilabel).
    Logistic {
        /// γ of the focal loss; 0 = no focus.
        focal_gamma: f64,
        /// p, the weight of the positive class.
        positive_weights: Positives,
    },
    /// `(z − y)²` (regression).
    Squared,
    /// `|z − y|` (regression).
    Absolute,
    /// `½ d²` up to δ, then `δ (d − ½ δ)`, with `d = |z − y|` (Huber, "Robust estimation of a
    /// location parameter", Annals of Mathematical Statistics 35, 1964) (regression).
    Huber {
        /// δ, in units of the scaled label.
        delta: f64,
    },
    /// Pinball loss `max(q (y − z), (q − 1) (y − z))` (Koenker and Bassett, "Regression quantiles",
    /// Econometrica 46, 1978) (regression).
    Quantile {
        /// q, the quantile, in (0, 1).
        quantile: f64,
    },
    /// `c (e^z − y z)`, the likelihood of a Poisson count without its constant (count).
    Poisson {
        /// c: one over the mean of the training part's counts, or 1.
        #[serde(default, skip_serializing_if = "is_default")]
        factor: Factor,
    },
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The loss of one task, as the configuration states it.
pub type Loss = LossOf<ClassWeights, PositiveWeight, CountFactor>;

/// Weights of the classes of a multiclass task.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// All one.
    None,
    /// rows / (classes · rows of the class), over the training part.
    Balanced,
    /// By class name; classes that are not named have 1.
    Given(Vec<(String, f64)>),
}

/// Weight of the positive class of a binary task or of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PositiveWeight {
    /// One weight for all columns.
    Given(f64),
    /// Negative rows over positive rows of the training part, column by column.
    Balanced,
}

/// The factor of a Poisson loss.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum CountFactor {
    /// 1.
    #[default]
    One,
    /// One over the mean of the training part's counts (`scale_loss`).
    PerMean,
}

/// Every loss with its defaults, and the types of task that can have it; the first of a type is
/// its default.
fn all(version: Version) -> [(Kind<Loss>, &'static [TaskKind]); 7] {
    let multiclass = Loss::CrossEntropy {
        label_smoothing: 0.0,
        focal_gamma: 0.0,
        class_weights: ClassWeights::None,
    };
    let logistic =
        Loss::Logistic { focal_gamma: 0.0, positive_weights: PositiveWeight::Given(1.0) };
    let factor = match version {
        Version::V0_1 => CountFactor::One,
        Version::V0_2 => CountFactor::PerMean,
    };
    let kind = |word, value| Kind { word, value };
    [
        (kind("cross_entropy", multiclass), &[TaskKind::Multiclass, TaskKind::Tags]),
        (kind("cross_entropy", logistic), &[TaskKind::Binary, TaskKind::Multilabel]),
        (kind("squared", Loss::Squared), &[TaskKind::Regression]),
        (kind("absolute", Loss::Absolute), &[TaskKind::Regression]),
        (kind("huber", Loss::Huber { delta: 1.0 }), &[TaskKind::Regression]),
        (kind("quantile", Loss::Quantile { quantile: 0.5 }), &[TaskKind::Regression]),
        (kind("poisson", Loss::Poisson { factor }), &[TaskKind::Count]),
    ]
}

/// The losses that a task of a type can have, with their defaults; the first is the default.
fn of_type(kind: TaskKind, version: Version) -> Vec<Kind<Loss>> {
    let suits = |(_, types): &(Kind<Loss>, &[TaskKind])| types.contains(&kind);
    all(version).into_iter().filter(suits).map(|(loss, _)| loss).collect()
}

impl Loss {
    /// The loss of a task that names none.
    pub fn default_of(kind: TaskKind, version: Version) -> Loss {
        of_type(kind, version).swap_remove(0).value
    }
}

/// States `loss` and the keys of the loss; keys of losses that the type cannot have are refused.
pub(super) fn choice(
    pass: &mut Pass,
    loss: &mut Loss,
    kind: TaskKind,
    version: Version,
) -> Result<()> {
    let (all, suited) = (all(version), of_type(kind, version));
    let own: Vec<&str> = suited.iter().flat_map(|loss| names(&mut loss.value.clone())).collect();
    let foreign = |(loss, _): &(Kind<Loss>, _)| names(&mut loss.value.clone());
    if let Some(key) = all.iter().flat_map(foreign).find(|key| !own.contains(key) && pass.has(key))
    {
        let owners = all.iter().filter(|loss| foreign(loss).contains(&key));
        let types: Vec<String> =
            owners.flat_map(|(_, types)| types.iter().map(TaskKind::to_string)).collect();
        let why = format!("the task is of type {kind}, and the key is for {}", types.join(", "));
        return Err(pass.without_effect(key, &why, "leave it out"));
    }
    if kind_of(loss, &suited).is_none() {
        *loss = Loss::default_of(kind, version);
    }
    pass.choice("loss", loss, &suited)?;
    pass.own_keys(loss, &all.map(|(loss, _)| loss))
}

impl Keyed for Loss {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        match self {
            Loss::CrossEntropy { label_smoothing, focal_gamma, class_weights } => {
                pass.key("label_smoothing").value(label_smoothing, &number(&BELOW_ONE))?;
                pass.key("focal_gamma").value(focal_gamma, &number(&NOT_NEGATIVE))?;
                pass.key("class_weights")
                    .written(*class_weights != ClassWeights::None)
                    .value(class_weights, &(read_class_weights, write_class_weights))
            }
            Loss::Logistic { focal_gamma, positive_weights } => {
                pass.key("focal_gamma").value(focal_gamma, &number(&NOT_NEGATIVE))?;
                pass.key("positive_weight").value(positive_weights, &positive_weight())
            }
            Loss::Huber { delta } => pass.key("huber_delta").value(delta, &number(&POSITIVE)),
            Loss::Quantile { quantile } => {
                pass.key("quantile").value(quantile, &number(&INSIDE_ONE))
            }
            Loss::Poisson { factor } => {
                let mut is_per_mean = *factor == CountFactor::PerMean;
                pass.key("scale_loss").value(&mut is_per_mean, &flag())?;
                *factor = if is_per_mean { CountFactor::PerMean } else { CountFactor::One };
                Ok(())
            }
            Loss::Squared | Loss::Absolute => Ok(()),
        }
    }
}

/// `class_weights = "balanced"`, or `{ CLASS = 2.0, … }`
fn read_class_weights(item: Item) -> Result<ClassWeights> {
    if item.value.as_str() == Some("balanced") {
        return Ok(ClassWeights::Balanced);
    }
    if !item.value.is_table() {
        return Err(item.wrong("\"balanced\" or a table such as { yes = 2.0, no = 1.0 }"));
    }
    let weights = item.entries("a table of weights by class")?;
    weights
        .into_iter()
        .map(|(class, item)| Ok((class, item.number(&NOT_NEGATIVE)?)))
        .collect::<Result<_>>()
        .map(ClassWeights::Given)
}

fn write_class_weights(weights: &ClassWeights) -> String {
    match weights {
        ClassWeights::Given(weights) => {
            let entries: Vec<(&str, String)> =
                weights.iter().map(|(class, w)| (class.as_str(), format!("{w:?}"))).collect();
            inline_table(&entries)
        }
        ClassWeights::Balanced | ClassWeights::None => quote("balanced"),
    }
}

/// `positive_weight = 3.0`, or `"balanced"`
fn positive_weight() -> impl Form<PositiveWeight> {
    let read = |item: Item| match item.value.as_str() {
        Some("balanced") => Ok(PositiveWeight::Balanced),
        Some(_) => Err(item.wrong("a number above 0 or \"balanced\"")),
        None => item.number(&POSITIVE).map(PositiveWeight::Given),
    };
    let write = |weight: &PositiveWeight| match weight {
        PositiveWeight::Given(weight) => format!("{weight:?}"),
        PositiveWeight::Balanced => quote("balanced"),
    };
    (read, write)
}
