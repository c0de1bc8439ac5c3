//! Learned embeddings: the table that says how the columns of a row become inputs, and the
//! dispatches of the gradients of vectors.
//!
//! `gather_cells` sums the vectors of a row's codes, four numbers per line of the table, and keeps
//! the codes of the batch. In the backward pass the deltas of the learned inputs are one more
//! destination of `dense_backward_input`. `link_cells` then ties the rows of equal code together,
//! in ascending order, and `embedding_backward` sums along these ties: no two invocations write one
//! number, and no order is left to chance.

use super::builder::Builder;
use super::request::Request;
use crate::data;
use crate::kernels::params::{self, spread};
use crate::kernels::{self, folded};
use crate::model::graph::Owner;
use crate::model::layout::Block;
use crate::plan::{Chunk, Plan, Scene, first_overwrites};
use crate::schedule::{Dispatch, Slice, slices};

/// Numbers of a vector that one line of the table of columns stands for.
const QUAD: usize = 4;

/// Vectors of a workgroup of `embedding_backward`.
const GROUP: usize = 64;

/// The columns whose codes have vectors.
fn learned(spread: &[data::Spread]) -> impl Iterator<Item = &data::Spread> {
    spread.iter().filter(|s| s.vectors > 0)
}

/// Codes with learned vectors per row.
pub(super) fn cells_per_row(spread: &[data::Spread]) -> usize {
    learned(spread).map(|s| s.slots).sum()
}

/// The table of embeddings that kernels read, in their order.
pub(super) fn embeddings(request: &Request, plan: &Plan) -> Vec<params::Embedding> {
    let (mut codes, mut first, mut tile) = (0, 0, 0);
    let flags = 1 + 2 * plan.layers.len();
    let line = |(number, (s, block)): (usize, (&data::Spread, &Block))| {
        let line = params::Embedding {
            values: s.vectors as u32,
            width: s.width as u32,
            weight: block.offset as u32,
            input: s.input as u32,
            slots: s.slots as u32,
            scale: s.scale,
            codes: codes as u32,
            first: first as u32,
            flag: (flags + number) as u32,
            tile: tile as u32,
        };
        codes += plan.capacity * s.slots;
        first += s.vectors;
        tile += s.vectors.div_ceil(GROUP);
        line
    };
    learned(request.spread).zip(request.layout.embeddings()).enumerate().map(line).collect()
}

/// The table of columns: one line per column of numbers or of one-hot codes, one per four numbers
/// of a vector; then one line per column whose codes are kept, which only training needs.
pub(super) fn lines(
    spread: &[data::Spread],
    embeddings: &[params::Embedding],
) -> Vec<params::Spread> {
    let mut tables = embeddings.iter();
    let mut lines = Vec::new();
    for s in spread {
        let table = if s.vectors > 0 { tables.next() } else { None };
        match table {
            Some(table) => {
                lines.extend((0..s.width).step_by(QUAD).map(|first| vector_line(s, table, first)))
            }
            None => lines.push(plain_line(s)),
        }
    }
    lines.extend(learned(spread).zip(embeddings).map(|(s, table)| params::Spread {
        kind: spread::KEPT,
        input: table.codes,
        ..plain_line(s)
    }));
    lines
}

fn plain_line(s: &data::Spread) -> params::Spread {
    let kind = if s.codes { spread::ONE_HOT } else { spread::NUMBERS };
    let (slot, slots, input, width) =
        (s.slot as u32, s.slots as u32, s.input as u32, s.width as u32);
    params::Spread { slot, slots, input, width, kind, scale: s.scale, ..params::Spread::default() }
}

/// Four numbers of a vector, from `first` on.
fn vector_line(s: &data::Spread, table: &params::Embedding, first: usize) -> params::Spread {
    params::Spread {
        kind: spread::VECTOR,
        input: (s.input + first) as u32,
        width: QUAD.min(s.width - first) as u32,
        values: table.values,
        weight: table.weight + first as u32,
        stride: table.width,
        ..plain_line(s)
    }
}

impl Scene<'_> {
    /// Whether embeddings get gradients.
    fn trains_embeddings(&self) -> bool {
        !self.embeddings.is_empty() && !self.layout.is_frozen(Owner::Shared)
    }

    /// Whether vectors, and so their inputs, begin and end with whole fours.
    fn whole_vectors(&self) -> bool {
        self.embeddings.iter().all(|e| e.width.is_multiple_of(QUAD as u32))
    }

    /// Number of lines of the table of columns that a gather works on.
    pub(super) fn columns(&self, training: bool) -> usize {
        let kept = if training && self.trains_embeddings() { 0 } else { self.embeddings.len() };
        self.columns - kept
    }

    /// The run of each embedding in a buffer of cells.
    fn cells(&self, rows: usize) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.embeddings.iter().map(move |e| (e.codes as usize, rows * e.slots as usize))
    }

    /// The run of each embedding in an arena of parameters.
    fn vectors(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.layout.embeddings().iter().map(|b| (b.offset, b.len))
    }
}

impl Builder<'_> {
    /// A gather that also reads vectors, and keeps the codes of vectors that are trained.
    pub(super) fn with_vectors(
        &self,
        dispatch: Dispatch,
        chunk: Chunk,
        segment: usize,
        training: bool,
    ) -> Dispatch {
        let (scene, b) = (&self.scene, &self.scene.buffers);
        let dispatch = dispatch.bind([("parameters", b.parameters), ("codes", b.codes)]);
        if scene.embeddings.is_empty() {
            return dispatch;
        }
        let kept = if training && scene.trains_embeddings() {
            scene.cells(chunk.rows).collect()
        } else {
            Vec::new()
        };
        dispatch
            .constant("VECTORS", 1.0)
            .constant("WHOLE", f64::from(u8::from(scene.whole_vectors())))
            .reads(slices(b.parameters, scene.vectors()))
            .effect(first_overwrites(segment), slices(b.codes, kept))
    }

    /// The gradients of all embeddings.
    pub(super) fn embedding_backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        match self.scene.trains_embeddings() {
            true => vec![self.link_cells(chunk), self.sum_cells(chunk)],
            false => Vec::new(),
        }
    }

    fn link_cells(&self, chunk: Chunk) -> Dispatch {
        let (scene, b) = (&self.scene, &self.scene.buffers);
        let parameters = params::LinkCells { rows: chunk.rows as u32 };
        Dispatch::new(
            &kernels::link_cells,
            "embeddings",
            parameters,
            [scene.embeddings.len() as u32, 1, 1],
        )
        .bind([
            ("embeddings", b.embeddings),
            ("codes", b.codes),
            ("next", b.next_cells),
            ("first", b.first_cells),
        ])
        .reads(slices(b.codes, scene.cells(chunk.rows)))
        .overwrites(slices(b.next_cells, scene.cells(chunk.rows)))
        .updates([self.program.whole(b.first_cells)])
    }

    fn sum_cells(&self, chunk: Chunk) -> Dispatch {
        let (scene, b) = (&self.scene, &self.scene.buffers);
        let width = scene.network.learned_inputs();
        let learned = scene.plan.learned_inputs.map(|at| scene.plan.destinations[at]);
        let delta = learned.map_or(0, |d| d.delta);
        let parameters = params::EmbeddingBackward {
            rows: chunk.rows as u32,
            embeddings: scene.embeddings.len() as u32,
            delta,
            width: width as u32,
            accumulate: u32::from(chunk.index > 0),
        };
        let tiles = |e: &params::Embedding| e.tile + e.values.div_ceil(GROUP as u32);
        let grid = folded(scene.embeddings.last().map_or(0, tiles));
        let deltas = Slice { buffer: b.deltas[0], first: delta as usize, len: chunk.rows * width };
        Dispatch::new(&kernels::embedding_backward, "embeddings", parameters, grid)
            .bind([
                ("embeddings", b.embeddings),
                ("codes", b.codes),
                ("next", b.next_cells),
                ("first", b.first_cells),
            ])
            .bind([("delta", b.deltas[0]), ("gradients", b.gradients), ("flags", b.flags)])
            .constant(
                "WHOLE",
                f64::from(u8::from(scene.whole_vectors() && delta.is_multiple_of(QUAD as u32))),
            )
            .reads(slices(b.codes, scene.cells(chunk.rows)))
            .reads(slices(b.next_cells, scene.cells(chunk.rows)))
            .reads([self.program.whole(b.first_cells), deltas])
            .effect(chunk.effect(), slices(b.gradients, scene.vectors()))
    }
}
