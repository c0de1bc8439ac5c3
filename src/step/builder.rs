//! The program under construction, to which each phase adds its dispatches.

use super::arenas::{layer_flags, place_arenas};
use super::balancing;
use super::embed;
use super::request::Request;
use crate::config::OptimizerKind;
use crate::kernels::params;
use crate::model::layout::{ALIGN, Block};
use crate::objective::{Coupling, Objective, Placed};
use crate::plan::{LayerPlan, PartBuffers, Scene, Shards};
use crate::schedule::{Buffer, Dispatch, Program, Schedule, Slice, slices};

/// A program under construction.
pub(super) struct Builder<'a> {
    /// The inputs of every emitter.
    pub(super) scene: Scene<'a>,
    /// The combined loss.
    pub(super) objective: &'a Objective,
    /// The program as far as it is made.
    pub(super) program: Program,
    /// The parts of the data with their buffers.
    pub(super) parts: Vec<PartBuffers>,
    /// Number of metrics that are summed chunk by chunk; they stand first.
    pub(super) chunk_metrics: usize,
    /// Number of partial sums that have a place so far.
    pub(super) partials: usize,
    /// The rule of the optimizer.
    pub(super) optimizer: Option<OptimizerKind>,
    /// Place of the weights of the tasks among the partial sums.
    pub(super) weights: usize,
    /// The first of the flags of the logarithms of losses.
    pub(super) loss_flags: u32,
    /// The flag of gradients that were weighed.
    pub(super) balance_flag: u32,
    /// How batches are cut.
    pub(super) shards: Shards,
    /// The buffers for sums of shards.
    pub(super) shard_sums: Vec<Buffer>,
}

/// A kind of coupling in use: its table, and its pairs with their places in the objective.
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
    /// The program of a request with its arenas and tables, and no dispatch yet.
    pub(super) fn new(request: &Request<'a>, capacity: usize, limit: usize) -> Builder<'a> {
        let wanted = balancing::wanted_in_chunks(request, capacity.min(limit));
        let (network, layout, tuning) = (request.network, request.layout, request.tuning);
        let mut plan = LayerPlan::with_views(network, layout, tuning, capacity, wanted);
        let partials = plan.mixing.place_partials(request.partials(capacity), capacity);
        let mut program = Program::empty(request.tuning.shared_mirrors);
        let embeddings = embed::embeddings(request, &plan);
        let buffers = place_arenas(&mut program, request, &plan, &embeddings);
        program.flags = layer_flags(&plan, request);
        let counts = request.counts(capacity);
        let spans = embed::spans(request, capacity);
        let scene = Scene {
            network: request.network,
            layout: request.layout,
            tuning: request.tuning,
            plan,
            buffers,
            spread: request.spread,
            augmented: request.augmented,
            columns: embed::lines(request.spread, &embeddings, spans).len(),
            spans,
            embeddings,
            counting: request.counting(),
            counts,
        };
        Builder {
            scene,
            objective: request.objective,
            program,
            parts: Vec::new(),
            chunk_metrics: 0,
            partials,
            optimizer: request.optimizer.map(|optimizer| optimizer.kind),
            weights: 0,
            loss_flags: params::NONE,
            balance_flag: params::NONE,
            shards: request.shards,
            shard_sums: Vec::new(),
        }
    }

    /// Adds a schedule over a part and returns its number. The buffers `wanted` are read after it.
    pub(super) fn finish(
        &mut self,
        name: &str,
        dispatches: Vec<Dispatch>,
        part: usize,
        wanted: &[Buffer],
        rows: usize,
    ) -> usize {
        let (given, wanted) = (self.given(part), self.wanted(wanted));
        let activations = self.scene.buffers.activations;
        let spare = self.scene.plan.spare();
        let spare = spare.map(|(odd, first, len)| Slice { buffer: activations[odd], first, len });
        let (name, spare) = (name.into(), spare.collect());
        self.program.schedules.push(Schedule { name, dispatches, given, wanted, spare, rows });
        self.program.schedules.len() - 1
    }

    /// The slices that hold values before a step over a part: data, state, tables, and gradients
    /// that stay zero.
    fn given(&self, part: usize) -> Vec<Slice> {
        let b = &self.scene.buffers;
        let data = self.parts[part].segments.iter().flat_map(|s| [s.features, s.labels]);
        // A step writes its own row of the metrics and keeps the others. The table of decays holds
        // zeros where nothing decays. Kernels check what an earlier step left in the first cells.
        let arenas = [b.parameters, b.first_moment, b.second_moment];
        let state = [b.metrics, b.decay, b.order, b.flags, b.first_cells];
        let buffers = self.program.buffers.iter().enumerate();
        let tables = buffers.filter(|(_, s)| !s.initial.is_empty()).map(|(i, _)| Buffer(i));
        let mut given: Vec<Buffer> = data.chain(arenas).chain(state).chain(tables).collect();
        given.sort_unstable();
        given.dedup();
        let whole = given.into_iter().map(|buffer| self.program.whole(buffer));
        whole.chain(self.gaps()).chain(self.idle_gradients()).collect()
    }

    /// The slices that are read after a step: these buffers, and the moments.
    fn wanted(&self, wanted: &[Buffer]) -> Vec<Slice> {
        let moments = [self.scene.buffers.first_moment, self.scene.buffers.second_moment];
        wanted.iter().chain(&moments).map(|buffer| self.program.whole(*buffer)).collect()
    }

    /// Gradients that stay zero and are read by kernels that run over the whole arena: the gaps
    /// between blocks, and blocks that are not trained.
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
