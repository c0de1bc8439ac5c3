//! The program under construction, which every phase adds its dispatches to.

use super::arenas::{layer_flags, place_arenas};
use super::embed;
use super::request::Request;
use crate::model::layout::{ALIGN, Block};
use crate::objective::{Coupling, Objective, Placed};
use crate::plan::{PartBuffers, Plan, Scene};
use crate::schedule::{Buffer, Dispatch, Program, Schedule, Slice, slices};

pub(super) struct Builder<'a> {
    pub(super) scene: Scene<'a>,
    /// The combined loss.
    pub(super) objective: &'a Objective,
    pub(super) program: Program,
    pub(super) parts: Vec<PartBuffers>,
    /// Metrics that are summed chunk by chunk stand first.
    pub(super) chunk_metrics: usize,
    pub(super) partials: usize,
}

/// A kind of coupling in use: its table and its pairs, with their numbers in the objective.
pub(super) struct CouplingTable {
    pub(super) kind: &'static dyn Coupling,
    pub(super) table: Buffer,
    pub(super) placed: Vec<(usize, Placed)>,
}

impl CouplingTable {
    pub(super) fn pairs(&self) -> Vec<Placed> {
        self.placed.iter().map(|(_, p)| *p).collect()
    }
}

impl<'a> Builder<'a> {
    pub(super) fn new(request: &Request<'a>, capacity: usize) -> Builder<'a> {
        let plan = Plan::new(request.network, request.layout, request.tuning, capacity);
        let none = Buffer(0);
        let mut program = Program {
            buffers: Vec::new(),
            schedules: Vec::new(),
            metrics: Vec::new(),
            flags: Vec::new(),
            metrics_buffer: none,
            flags_buffer: none,
            shared_mirrors: request.tuning.shared_mirrors,
        };
        let embeddings = embed::embeddings(request, &plan);
        let buffers = place_arenas(&mut program, request, &plan, &embeddings);
        program.flags = layer_flags(&plan, request);
        let (network, layout, objective, tuning) =
            (request.network, request.layout, request.objective, request.tuning);
        let (counting, counts) = (request.counting(), request.counts(capacity));
        let partials =
            2 * network.tasks.len() * capacity + counts.map_or(0, |_| 3 * network.tasks.len());
        let (spread, columns) = (request.spread, embed::lines(request.spread, &embeddings).len());
        let scene = Scene {
            network,
            layout,
            tuning,
            plan,
            buffers,
            spread,
            columns,
            embeddings,
            counting,
            counts,
        };
        Builder { scene, objective, program, parts: Vec::new(), chunk_metrics: 0, partials }
    }

    pub(super) fn finish(
        &mut self,
        name: &str,
        dispatches: Vec<Dispatch>,
        part: usize,
        wanted: &[Buffer],
        rows: usize,
    ) -> usize {
        let b = &self.scene.buffers;
        let data = self.parts[part].segments.iter().flat_map(|s| [s.features, s.labels]);
        // Of the metrics a step writes its own row and keeps the others; decays are a table, of
        // zeros where nothing decays. What an earlier step left of the first cells is not believed.
        let state = [
            b.parameters,
            b.first_moment,
            b.second_moment,
            b.metrics,
            b.decay,
            b.order,
            b.flags,
            b.first_cells,
        ];
        let tables = self
            .program
            .buffers
            .iter()
            .enumerate()
            .filter(|(_, s)| !s.initial.is_empty())
            .map(|(i, _)| Buffer(i));
        let mut given: Vec<Buffer> = data.chain(state).chain(tables).collect();
        given.sort_unstable();
        given.dedup();
        let whole = |b: &Buffer| self.program.whole(*b);
        let (mut given, mut wanted): (Vec<_>, Vec<_>) =
            (given.iter().map(whole).collect(), wanted.iter().map(whole).collect());
        wanted.extend([b.first_moment, b.second_moment].iter().map(whole));
        given.extend(self.gaps());
        let spare = self
            .scene
            .plan
            .spare()
            .map(|(odd, first, len)| Slice { buffer: b.activations[odd], first, len })
            .collect();
        self.program.schedules.push(Schedule {
            name: name.into(),
            dispatches,
            given,
            wanted,
            spare,
            rows,
        });
        self.program.schedules.len() - 1
    }

    /// The gaps between the blocks of the gradients, and blocks that are not trained: zeros for
    /// ever, which kernels that run over the whole arena read.
    fn gaps(&self) -> Vec<Slice> {
        let (layout, gradients) = (self.scene.layout, self.scene.buffers.gradients);
        if self.program.buffers[gradients.0].len < layout.len {
            return Vec::new();
        }
        let end = |b: &Block| b.offset + b.len;
        let gaps = layout.blocks.iter().map(|b| (end(b), end(b).next_multiple_of(ALIGN) - end(b)));
        let frozen =
            layout.blocks.iter().filter(|b| layout.is_frozen(b.owner)).map(|b| (b.offset, b.len));
        slices(gradients, gaps.filter(|(_, len)| *len > 0).chain(frozen))
    }
}
