//! What a program is built from, and what its builder gives back.

use crate::config::Optimizer;
use crate::data::{Dataset, Spread, UNLABELLED};
use crate::kernels::tuning::Tuning;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::plan::{Buffers, Counting, PartBuffers, PartShape};
use crate::schedule::Program;

/// What a program is built from.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its layout.
    pub layout: &'a Layout,
    /// The combined loss.
    pub objective: &'a Objective,
    /// The update rule; `None` = evaluation only.
    pub optimizer: Option<&'a Optimizer>,
    /// The adapter's choices.
    pub tuning: &'a Tuning,
    /// The part that is trained on, first, when there is an optimizer; then the parts that are
    /// evaluated.
    pub parts: &'a [PartShape],
    /// Rows of a training step.
    pub batch: usize,
    /// Whether training rows go through the order of the epoch.
    pub shuffled: bool,
    /// How the words of a row become inputs; empty where they are the inputs.
    pub spread: &'a [Spread],
    /// What labels there are.
    pub labels: LabelShape,
}

impl Request<'_> {
    /// Label words of a row.
    pub(super) fn counting(&self) -> Counting {
        Counting {
            cells: self.network.cells() + usize::from(self.labels.weighted),
            weighted: self.labels.weighted,
        }
    }

    /// Where sums over the labels of a batch lie among the partials; `None` where all rows are
    /// labelled and weigh one.
    pub(super) fn counts(&self, capacity: usize) -> Option<usize> {
        let counted = self.labels != LabelShape::default()
            || self.network.tasks.iter().any(|head| head.loss.weighs_classes());
        counted.then_some(2 * self.network.tasks.len() * capacity)
    }

    /// Data words of a row, or bytes where they are bytes.
    pub(super) fn row_words(&self) -> usize {
        if self.spread.is_empty() {
            self.network.inputs
        } else {
            self.spread.iter().map(|s| s.slots).sum()
        }
    }
}

/// What the labels of all parts have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelShape {
    /// Whether rows have weights.
    pub weighted: bool,
    /// Whether a cell may be unlabelled.
    pub blanks: bool,
}

impl LabelShape {
    /// The shape of these parts.
    pub fn of<'d>(parts: impl IntoIterator<Item = &'d Dataset>) -> LabelShape {
        parts.into_iter().fold(LabelShape::default(), |shape, part| LabelShape {
            weighted: shape.weighted || part.weights.is_some(),
            blanks: shape.blanks || part.labels.iter().any(|cells| cells.contains(&UNLABELLED)),
        })
    }
}

/// A program with what its loops need to know of it.
#[derive(Debug)]
pub struct Built {
    /// For the engine.
    pub program: Program,
    /// Handles.
    pub buffers: Buffers,
    /// The parts in the order of the request.
    pub parts: Vec<PartBuffers>,
    /// Number of the training schedule, if there is one.
    pub train: Option<usize>,
    /// Number of the evaluation schedule of each part.
    pub evaluate: Vec<usize>,
    /// Rows of an evaluation step.
    pub evaluate_rows: usize,
    /// Where each task's logits lie: (first element, outputs).
    pub logits: Vec<(usize, usize)>,
    /// Label words of a row.
    pub counting: Counting,
}
