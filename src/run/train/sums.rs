//! Sums over the steps since the last training point. [`crate::run::train::point`] adds to them and
//! takes their means; a checkpoint keeps them.

use serde::{Deserialize, Serialize};

use crate::run::train::conflict::Conflict;

/// Sums over training steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    pub(crate) steps: u64,
    pub(crate) losses: Vec<f64>,
    pub(crate) hits: Vec<f64>,
    /// Per task: the number of labels, and of steps with a label of positive weight.
    pub(crate) labelled: Vec<(f64, u64)>,
    pub(crate) couplings: Vec<f64>,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) entropy: f64,
    /// Sums of the weights that a balancer gives the tasks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) weights: Vec<f64>,
    /// The largest residual of a balancer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) residual: Option<f64>,
    /// The conflict of the tasks in observed steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) conflict: Option<Conflict>,
}

fn is_zero(sum: &f64) -> bool {
    *sum == 0.0
}

impl Sums {
    /// Empty sums for a number of tasks and coupled pairs.
    pub fn new(tasks: usize, pairs: usize) -> Sums {
        Sums {
            steps: 0,
            losses: vec![0.0; tasks],
            hits: vec![0.0; tasks],
            labelled: vec![(0.0, 0); tasks],
            couplings: vec![0.0; pairs],
            entropy: 0.0,
            weights: Vec::new(),
            residual: None,
            conflict: None,
        }
    }

    /// Whether they are sums of this number of tasks.
    pub fn is_of(&self, tasks: usize) -> bool {
        let weights = [0, tasks, tasks + 1].contains(&self.weights.len());
        let conflict = self.conflict.as_ref().is_none_or(|conflict| conflict.is_of(tasks));
        [self.losses.len(), self.hits.len(), self.labelled.len()] == [tasks; 3]
            && weights
            && conflict
    }

    /// These sums with another number of pairs; new pairs start at zero.
    pub fn with_pairs(mut self, pairs: usize) -> Sums {
        self.couplings.resize(pairs, 0.0);
        self
    }

    /// Whether no step was added.
    pub fn is_empty(&self) -> bool {
        self.steps == 0
    }
}
