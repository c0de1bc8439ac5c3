//! The read-only inputs of every emitter of dispatches: the network, its plan, and the handles of
//! the buffers.

use super::augmented::Augmented;
use super::layers::LayerPlan;
use std::sync::Arc;

use crate::data::tokens::Tokens;
use crate::data::{Dataset, Features, Spread};
use crate::kernels::params::{self, Dense};
use crate::kernels::tuning::Tuning;
use crate::model::graph::{Owner, Role};
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::schedule::{Buffer, Effect};

/// Rows of a batch that one set of dispatches works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Number of the chunk within the step.
    pub index: usize,
    /// Its first row within the batch.
    pub first: usize,
    /// Number of rows.
    pub rows: usize,
    /// Whether this is a further backward pass of the chunk: entropies of gates were counted before.
    pub again: bool,
}

impl Chunk {
    /// The only chunk of a step.
    pub fn only(rows: usize) -> Chunk {
        Chunk { index: 0, first: 0, rows, again: false }
    }

    /// The effect of this chunk on a sum over the batch: the first chunk overwrites it, later ones
    /// add.
    pub fn effect(&self) -> Effect {
        first_overwrites(self.index)
    }

    /// The chunk in a further backward pass, which adds to sums over the batch.
    pub fn once_more(self) -> Chunk {
        Chunk { index: self.index.max(1), again: true, ..self }
    }
}

/// The effect of one of several dispatches that fill the same slice: the first overwrites.
pub fn first_overwrites(index: usize) -> Effect {
    if index == 0 { Effect::Overwrite } else { Effect::Update }
}

/// The rows of a batch in chunks of `most` rows, the last one perhaps shorter.
pub fn chunks(batch: usize, most: usize) -> Vec<Chunk> {
    (0..batch)
        .step_by(most.max(1))
        .enumerate()
        .map(|(index, first)| Chunk { index, first, rows: most.min(batch - first), again: false })
        .collect()
}

/// The shape of a part of the data, which is all that a program depends on.
#[derive(Clone, Debug)]
pub struct PartShape {
    /// Name of the part: `train`, `valid`, `test`, …
    pub name: String,
    /// Number of rows.
    pub rows: usize,
    /// Factor on features that are bytes; `None` for features that are f32.
    pub bytes: Option<f32>,
    /// The sentences of the rows, which stay whole in every step; `None` where rows are no tokens.
    pub tokens: Option<Arc<Tokens>>,
}

impl PartShape {
    /// The shape of a part with room for `rows` rows of `data`.
    pub fn new(name: &str, rows: usize, data: &Dataset) -> PartShape {
        let bytes = match &data.features {
            Features::U8 { scale, .. } => Some(*scale),
            Features::F32(_) | Features::Cells { .. } | Features::Stored(_) => None,
        };
        PartShape { name: name.into(), rows, bytes, tokens: data.tokens.clone() }
    }
}

/// The u32 that a row has for its labels.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// Their number, the weight of the row included.
    pub cells: usize,
    /// Whether the last of them is the weight of the row.
    pub weighted: bool,
}

/// Handles of the buffers that balancing needs; those that a program does not have are of no use.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct BalanceBuffers {
    pub balance: Buffer,
    pub quiet_flags: Buffer,
    pub next_balance: Buffer,
    pub preferences: Buffer,
    pub work: Buffer,
    pub gramian: Buffer,
    pub scaled_logits: Buffer,
    pub scaled_terms: Buffer,
    pub combinations: Buffer,
    pub plane_terms: Buffer,
    pub regions: Buffer,
    pub places: Buffer,
    pub runs: Buffer,
    pub products: Buffer,
    pub task_gradients: Buffer,
    pub row_sources: Buffer,
    pub row_products: Buffer,
    pub crossed: Buffer,
    pub memory: Buffer,
    pub next_memory: Buffer,
    pub conflict: Buffer,
}

impl Default for BalanceBuffers {
    fn default() -> BalanceBuffers {
        let none = Buffer(usize::MAX);
        BalanceBuffers {
            balance: none,
            quiet_flags: none,
            next_balance: none,
            preferences: none,
            work: none,
            gramian: none,
            scaled_logits: none,
            scaled_terms: none,
            combinations: none,
            plane_terms: none,
            regions: none,
            places: none,
            runs: none,
            products: none,
            task_gradients: none,
            row_sources: none,
            row_products: none,
            crossed: none,
            memory: none,
            next_memory: none,
            conflict: none,
        }
    }
}

/// Handles of the buffers of a program.
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
    pub gates: Buffer,
    pub mixes: Buffer,
    pub terms: Buffer,
    pub receivers: Buffer,
    pub shares: Buffer,
    pub constants: Buffer,
    pub embeddings: Buffer,
    pub codes: Buffer,
    pub next_cells: Buffer,
    pub first_cells: Buffer,
    pub metric_table: Buffer,
    pub balance: BalanceBuffers,
}

/// Rows of a part that lie in one buffer.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its first row within the part.
    pub first: usize,
    /// Number of rows.
    pub rows: usize,
    /// Buffer of features: packed bytes, or f32.
    pub features: Buffer,
    /// Buffer of labels, `[rows, labels per row]`.
    pub labels: Buffer,
}

/// A part of the data with its buffers.
#[derive(Clone, Debug)]
pub struct PartBuffers {
    /// The shape of the part.
    pub shape: PartShape,
    /// The segments, in the order of rows.
    pub segments: Vec<Segment>,
}

/// A block of `rows` rows as a run of elements: (first, length).
pub fn block(first: u32, rows: usize, width: u32) -> (usize, usize) {
    (first as usize, rows * width as usize)
}

/// The read-only inputs of every emitter of dispatches.
#[derive(Debug)]
pub struct Scene<'a> {
    /// The network.
    pub network: &'a Network,
    /// The layout of its parameters.
    pub layout: &'a Layout,
    /// The choices for the adapter.
    pub tuning: &'a Tuning,
    /// Tables of layers, and where all values lie.
    pub plan: LayerPlan,
    /// Handles of the buffers.
    pub buffers: Buffers,
    /// The columns of a table, and how they become inputs; empty where rows are inputs.
    pub spread: &'a [Spread],
    /// The random changes of the images of training steps; `None` = there are none.
    pub augmented: Option<Augmented>,
    /// Number of lines of the table of these columns.
    pub columns: usize,
    /// The first of the places of rows in their sentences among the codes, where tokens are pooled.
    pub spans: Option<usize>,
    /// The table of embeddings, in their order.
    pub embeddings: Vec<params::Embedding>,
    /// The u32 that a row has for its labels.
    pub counting: Counting,
    /// First of the sums over the labels of a batch among the partial sums, `[3, tasks]`: weights,
    /// numbers, inverses of the weights. `None` where no label is missing and all weigh one.
    pub counts: Option<usize>,
}

impl Scene<'_> {
    /// The place of a task's logits: (first element, outputs); its rows lie one after the other.
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

    /// The run of a layer's weight matrix: (first element, length).
    pub fn weights(&self, dense: &Dense) -> (usize, usize) {
        (dense.weight as usize, (dense.inputs * dense.outputs) as usize)
    }

    /// The run of a layer's bias: (first element, length).
    pub fn bias(&self, dense: &Dense) -> (usize, usize) {
        (dense.bias as usize, dense.outputs as usize)
    }
}
