//! Dispatches of learned vectors: the gather that reads them, and their gradients.

use super::builder::Builder;
use super::embed::{GROUP, QUAD};
use crate::kernels::params;
use crate::kernels::{self, folded};
use crate::model::graph::Owner;
use crate::plan::{Chunk, Deep, Scene, first_overwrites};
use crate::schedule::{Buffer, Dispatch, Slice, slices};

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
        if scene.embeddings.is_empty() && scene.spans.is_none() {
            return dispatch;
        }
        let mut kept: Vec<(usize, usize)> = if training && scene.trains_embeddings() {
            scene.cells(chunk.rows).collect()
        } else {
            Vec::new()
        };
        kept.extend(scene.spans.map(|first| (first, chunk.rows)));
        dispatch
            .constant("VECTORS", 1.0)
            .constant("WHOLE", f64::from(u8::from(scene.whole_vectors())))
            .reads(slices(b.parameters, scene.vectors()))
            .effect(first_overwrites(segment), slices(b.codes, kept))
    }

    /// The gradients of all embeddings.
    pub(super) fn embedding_backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        match self.scene.trains_embeddings() {
            true => {
                let learned =
                    self.scene.plan.learned_inputs.map(|at| self.scene.plan.destinations[at]);
                let delta = learned.map_or(0, |d| d.delta);
                let target = self.scene.buffers.gradients;
                vec![self.link_cells(chunk), self.sum_cells((delta, 0, target), chunk)]
            }
            false => Vec::new(),
        }
    }

    /// The gradients of all embeddings by task.
    pub(super) fn vectors_by_task(&self, deep: &Deep, chunk: Chunk) -> Vec<Dispatch> {
        let sums = deep.learned.iter();
        let sums: Vec<Dispatch> = sums
            .filter_map(|(task, delta)| self.sum_in_arena(deep, *task, *delta, chunk))
            .collect();
        let links = (!sums.is_empty()).then(|| self.link_cells(chunk));
        links.into_iter().chain(sums).collect()
    }

    /// The gradients of all embeddings by the couplings, behind those by task.
    pub(super) fn vectors_of_couplings(&self, deep: &Deep, chunk: Chunk) -> Vec<Dispatch> {
        let tasks = self.scene.network.tasks.len();
        let learned = self.scene.plan.learned_inputs.map(|at| self.scene.plan.destinations[at]);
        let sums = learned
            .and_then(|learned| self.sum_in_arena(deep, tasks, learned.delta as usize, chunk));
        let links = sums.is_some().then(|| self.link_cells(chunk));
        links.into_iter().chain(sums).collect()
    }

    /// The gradients of all embeddings for one objective, from the deltas of the learned inputs.
    fn sum_in_arena(
        &self,
        deep: &Deep,
        objective: usize,
        delta: usize,
        chunk: Chunk,
    ) -> Option<Dispatch> {
        let first = deep.blocks.first().filter(|b| b.block < self.scene.layout.embeddings)?;
        if !self.scene.trains_embeddings() {
            return None;
        }
        let offset = self.scene.layout.blocks[first.block].offset as u32;
        let place = (objective * deep.stride + first.place) as u32;
        let target = self.scene.buffers.balance.task_gradients;
        Some(self.sum_cells((delta as u32, place.wrapping_sub(offset), target), chunk))
    }

    /// Links the cells of a chunk that hold equal codes.
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

    /// Sums the deltas of the cells along these links: deltas from a place on, to a buffer where
    /// vectors lie further by a shift.
    fn sum_cells(&self, (delta, shift, target): (u32, u32, Buffer), chunk: Chunk) -> Dispatch {
        let (scene, b) = (&self.scene, &self.scene.buffers);
        let width = scene.network.learned_inputs();
        let gradients =
            scene.vectors().map(|(first, len)| ((first as u32).wrapping_add(shift) as usize, len));
        let parameters = params::EmbeddingBackward {
            rows: chunk.rows as u32,
            embeddings: scene.embeddings.len() as u32,
            delta,
            width: width as u32,
            accumulate: u32::from(chunk.index > 0),
            shift,
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
            .bind([("delta", b.deltas[0]), ("gradients", target), ("flags", b.flags)])
            .constant(
                "WHOLE",
                f64::from(u8::from(scene.whole_vectors() && delta.is_multiple_of(QUAD as u32))),
            )
            .reads(slices(b.codes, scene.cells(chunk.rows)))
            .reads(slices(b.next_cells, scene.cells(chunk.rows)))
            .reads([self.program.whole(b.first_cells), deltas])
            .effect(chunk.effect(), slices(target, gradients))
    }
}
