//! What every emitter reads and none changes: the network, its plan, the handles of the buffers.

use super::layers::Plan;
use crate::data::{Features, Spread};
use crate::kernels::params::{self, Dense};
use crate::kernels::tuning::Tuning;
use crate::model::graph::{Owner, Role};
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::schedule::{Buffer, Effect};

/// Rows that are worked off together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Number within the step.
    pub index: usize,
    /// First row within the batch.
    pub first: usize,
    /// Rows.
    pub rows: usize,
}

impl Chunk {
    /// What a dispatch of this chunk does to a sum over the batch: the first chunk overwrites it,
    /// later ones add.
    pub fn effect(&self) -> Effect {
        first_overwrites(self.index)
    }
}

/// Overwrite for the first of several parts, update for later ones.
pub fn first_overwrites(index: usize) -> Effect {
    if index == 0 { Effect::Overwrite } else { Effect::Update }
}

/// The rows of a batch in chunks of equal size, the last one shorter.
pub fn chunks(batch: usize, most: usize) -> Vec<Chunk> {
    (0..batch)
        .step_by(most.max(1))
        .enumerate()
        .map(|(index, first)| Chunk { index, first, rows: most.min(batch - first) })
        .collect()
}

/// A part of the data as the builder sees it.
#[derive(Clone, Debug)]
pub struct PartShape {
    /// `train`, `valid`, `test`, …
    pub name: String,
    /// Rows.
    pub rows: usize,
    /// Factor on bytes; `None` = the features are f32.
    pub bytes: Option<f32>,
}

impl PartShape {
    /// The shape of features.
    pub fn new(name: &str, rows: usize, features: &Features) -> PartShape {
        let bytes = match features {
            Features::U8 { scale, .. } => Some(*scale),
            Features::F32(_) | Features::Cells { .. } | Features::Stored(_) => None,
        };
        PartShape { name: name.into(), rows, bytes }
    }
}

/// Label words of a row, and what they are.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// Words, the weight of the row included.
    pub cells: usize,
    /// Whether the last one is the weight of the row.
    pub weighted: bool,
}

/// Handles of the buffers.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Buffers {
    pub parameters: Buffer,
    pub gradients: Buffer,
    pub first_moment: Buffer,
    pub second_moment: Buffer,
    pub decay: Buffer,
    pub activations: [Buffer; 2],
    pub deltas: [Buffer; 2],
    pub logits: Buffer,
    pub logits_delta: Buffer,
    pub labels: Buffer,
    pub order: Buffer,
    pub partials: Buffer,
    pub metrics: Buffer,
    pub flags: Buffer,
    pub layers: Buffer,
    pub destinations: Buffer,
    pub heads: Buffer,
    pub class_weights: Buffer,
    pub spreads: Buffer,
    pub embeddings: Buffer,
    pub codes: Buffer,
    pub next_cells: Buffer,
    pub first_cells: Buffer,
    pub metric_table: Buffer,
}

/// Rows of a part that lie in one buffer.
#[derive(Clone, Debug)]
pub struct Segment {
    /// First row.
    pub first: usize,
    /// Rows.
    pub rows: usize,
    /// Features: packed bytes or f32 bits.
    pub features: Buffer,
    /// Labels [rows, T].
    pub labels: Buffer,
}

/// A part of the data with its buffers.
#[derive(Clone, Debug)]
pub struct PartBuffers {
    /// Its shape.
    pub shape: PartShape,
    /// In row order.
    pub segments: Vec<Segment>,
}

/// What phases read while they emit: the request, the plan, the handles.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The network.
    pub network: &'a Network,
    /// Its layout.
    pub layout: &'a Layout,
    /// The adapter's choices.
    pub tuning: &'a Tuning,
    /// Tables and arenas.
    pub plan: Plan,
    /// Handles.
    pub buffers: Buffers,
    /// How the words of a row become inputs.
    pub spread: &'a [Spread],
    /// Lines of the table that says so to kernels.
    pub columns: usize,
    /// The table of embeddings.
    pub embeddings: Vec<params::Embedding>,
    /// Label words of a row.
    pub counting: Counting,
    /// Where sums over the labels of a batch lie among the partials: weights, numbers, inverses of
    /// the weights, [3, T].
    pub counts: Option<usize>,
}

impl Scene<'_> {
    /// A task's logits: (first element, outputs); rows of them lie one after the other.
    pub fn logits(&self, task: usize) -> (usize, usize) {
        (self.plan.capacity * self.network.first_logit(task), self.network.tasks[task].outputs())
    }

    /// The flag of the gradient of a task's output layer.
    pub fn output_flag(&self, task: usize) -> u32 {
        let is_output = |&p: &usize| {
            let layer = &self.layout.layers[self.plan.order[p]];
            layer.owner == Owner::Task(task) && layer.role == Role::Output
        };
        (0..self.plan.order.len())
            .find(is_output)
            .map_or(params::NONE, |p| self.plan.layers[p].gradient_flag)
    }

    pub fn weights(&self, dense: &Dense) -> (usize, usize) {
        (dense.weight as usize, (dense.inputs * dense.outputs) as usize)
    }

    pub fn bias(&self, dense: &Dense) -> (usize, usize) {
        (dense.bias as usize, dense.outputs as usize)
    }
}
