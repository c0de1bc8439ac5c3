//! Sums since the last training point. They are filled and read in [`crate::run::train::point`]; a
//! checkpoint keeps them.

use serde::{Deserialize, Serialize};

/// Sums over training steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    pub(crate) steps: u64,
    pub(crate) losses: Vec<f64>,
    pub(crate) hits: Vec<f64>,
    /// Per task: labelled cells, and steps that had one of some weight.
    pub(crate) labelled: Vec<(f64, u64)>,
    pub(crate) couplings: Vec<f64>,
}

impl Sums {
    /// Sums for a number of tasks and pairs.
    pub fn new(tasks: usize, pairs: usize) -> Sums {
        Sums {
            steps: 0,
            losses: vec![0.0; tasks],
            hits: vec![0.0; tasks],
            labelled: vec![(0.0, 0); tasks],
            couplings: vec![0.0; pairs],
        }
    }

    /// Whether they are of so many tasks.
    pub fn is_of(&self, tasks: usize) -> bool {
        [self.losses.len(), self.hits.len(), self.labelled.len()] == [tasks; 3]
    }

    /// The same for another number of pairs: those that are new begin at zero.
    pub fn with_pairs(mut self, pairs: usize) -> Sums {
        self.couplings.resize(pairs, 0.0);
        self
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.steps == 0
    }
}
