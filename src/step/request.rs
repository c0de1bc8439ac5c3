//! The inputs of the builder of a program, and its result.

use crate::config::Optimizer;
use crate::data::tokens::is_trained;
use crate::data::{Dataset, Spread};
use crate::kernels::tuning::Tuning;
use crate::model::graph::GateNames;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::plan::{Augmented, Buffers, Counting, PartBuffers, PartShape, Shards};
use crate::schedule::Program;

/// The inputs of the builder of a program.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The network.
    pub network: &'a Network,
    /// The layout of its parameters.
    pub layout: &'a Layout,
    /// The combined loss.
    pub objective: &'a Objective,
    /// The optimizer; `None` for a program that only evaluates.
    pub optimizer: Option<&'a Optimizer>,
    /// The choices for the adapter.
    pub tuning: &'a Tuning,
    /// The parts that are evaluated. With an optimizer, the first is trained on.
    pub parts: &'a [PartShape],
    /// Rows of a training step.
    pub batch: usize,
    /// Whether training rows go through the order of the epoch.
    pub shuffled: bool,
    /// The columns of a table, and how they become inputs; empty where rows are inputs.
    pub spread: &'a [Spread],
    /// The random changes of the images of training steps; `None` = there are none.
    pub augmented: Option<Augmented>,
    /// The labels of the parts.
    pub labels: LabelShape,
    /// How the batches of training steps are cut.
    pub shards: Shards,
}

impl Request<'_> {
    /// The u32 that a row has for its labels.
    pub(super) fn counting(&self) -> Counting {
        Counting {
            cells: self.network.cells() + usize::from(self.labels.weighted),
            weighted: self.labels.weighted,
        }
    }

    /// First of the sums over the labels of a batch among the partial sums; `None` where no label
    /// is missing and all weigh one.
    pub(super) fn counts(&self, capacity: usize) -> Option<usize> {
        let counted = self.labels != LabelShape::default()
            || self.network.tasks.iter().any(|head| head.loss.weighs_classes());
        counted.then_some(2 * self.network.tasks.len() * capacity)
    }

    /// The number of partial sums before those of gates.
    pub(super) fn partials(&self, capacity: usize) -> usize {
        let tasks = self.network.tasks.len();
        2 * tasks * capacity + self.counts(capacity).map_or(0, |_| 3 * tasks)
    }

    /// Number of features per row in the buffer: u32, or bytes where the features are bytes.
    pub(super) fn row_len(&self) -> usize {
        if self.spread.is_empty() {
            self.network.inputs
        } else {
            self.spread.iter().map(|s| s.slots).sum()
        }
    }
}

/// The labels of all parts together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelShape {
    /// Whether rows have weights.
    pub weighted: bool,
    /// Whether a label may be missing.
    pub blanks: bool,
}

impl LabelShape {
    /// The labels of these parts.
    pub fn of<'d>(parts: impl IntoIterator<Item = &'d Dataset>) -> LabelShape {
        parts.into_iter().fold(LabelShape::default(), |shape, part| LabelShape {
            weighted: shape.weighted || part.weights.is_some(),
            blanks: shape.blanks || part.labels.iter().flatten().any(|label| !is_trained(*label)),
        })
    }
}

/// The training schedules, by their numbers, and when each has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turns {
    /// The usual step; where tasks are balanced it finds their weights anew.
    pub train: usize,
    /// A step with the weights of the one before.
    pub kept: Option<usize>,
    /// A usual step that also measures the conflict of the tasks.
    pub observed: Option<usize>,
    /// Steps from one solve to the next.
    pub every: u64,
    /// Steps from one measurement of conflict to the next; 0 = none.
    pub observe: u64,
}

impl Turns {
    /// The schedule of the 0-based step `t`. Conflict is measured in the first step that solves,
    /// from each multiple of `observe` on.
    pub fn at(&self, t: u64) -> usize {
        if let Some(kept) = self.kept.filter(|_| !t.is_multiple_of(self.every)) {
            return kept;
        }
        let every = if self.kept.is_some() { self.every } else { 1 };
        let is_due = |observe: u64| t == 0 || t / observe > (t - every) / observe;
        match self.observed {
            Some(observed) if is_due(self.observe.max(1)) => observed,
            _ => self.train,
        }
    }

    /// Whether the 0-based step `t` measures conflict.
    pub fn observes(&self, t: u64) -> bool {
        self.observed == Some(self.at(t))
    }
}

/// A program, with the handles that are needed to run it.
#[derive(Debug)]
pub struct Built {
    /// The program, for an engine.
    pub program: Program,
    /// Handles of its buffers.
    pub buffers: Buffers,
    /// The parts in the order of the request.
    pub parts: Vec<PartBuffers>,
    /// Number of the training schedule, if there is one; where tasks are balanced, of the step that
    /// finds their weights anew.
    pub train: Option<usize>,
    /// All training schedules.
    pub turns: Option<Turns>,
    /// Number of the evaluation schedule of each part.
    pub evaluate: Vec<usize>,
    /// The largest number of rows of an evaluation step.
    pub evaluate_rows: usize,
    /// The place of the logits of each task: (first element, outputs).
    pub logits: Vec<(usize, usize)>,
    /// The u32 that a row has for its labels.
    pub counting: Counting,
    /// Rows that the arenas have room for.
    pub capacity: usize,
    /// The first of the places of rows in their sentences among the codes, where tokens are pooled.
    pub spans: Option<usize>,
    /// Number of tasks.
    pub tasks: usize,
    /// Number of objectives that are balanced: the tasks, and behind them perhaps the couplings.
    pub objectives: usize,
    /// The names of the shared layers whose gradients are observed.
    pub shared_layers: Vec<String>,
    /// The names of the gates, in the order of their metrics.
    pub gates: Vec<GateNames>,
}
