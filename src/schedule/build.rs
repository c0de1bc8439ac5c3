//! Writes the program of a network: buffers, the training step, and one evaluation step per part of
//! the data. One function a phase.

use anyhow::Result;

use super::embed;
use super::place::{layer_flags, place_arenas};
use super::plan::Plan;
use super::{Buffer, Dispatch, MetricKind, Program, Schedule, Slice};
use crate::config::Optimizer;
use crate::data::{Dataset, Features, Spread, UNLABELLED};
use crate::fault::{Exit, Fault};
use crate::kernels::MAX_GROUPS;
use crate::kernels::params::{self, Dense};
use crate::kernels::tuning::Tuning;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::objective::{Coupling, Objective, Phase, Placed, losses};

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

/// Label words of a row, and what they are.
#[derive(Clone, Copy, Debug)]
pub struct Counting {
    /// Words, the weight of the row included.
    pub cells: usize,
    /// Whether the last one is the weight of the row.
    pub weighted: bool,
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
            || self.network.tasks.iter().any(losses::has_class_weights);
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
    /// The combined loss.
    pub objective: &'a Objective,
    /// The adapter's choices.
    pub tuning: &'a Tuning,
    /// Tables and arenas.
    pub plan: Plan,
    /// Handles.
    pub buffers: Buffers,
    /// How the words of a row become inputs.
    pub spread: &'a [Spread],
    /// Lines of the table that says so to kernels.
    pub(super) columns: usize,
    /// The table of embeddings.
    pub(super) embeddings: Vec<params::Embedding>,
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
            layer.task == Some(task) && layer.is_output
        };
        (0..self.plan.order.len())
            .find(is_output)
            .map_or(params::NONE, |p| self.plan.layers[p].gradient_flag)
    }

    pub(crate) fn weights(&self, dense: &Dense) -> (usize, usize) {
        (dense.weight as usize, (dense.inputs * dense.outputs) as usize)
    }

    pub(crate) fn bias(&self, dense: &Dense) -> (usize, usize) {
        (dense.bias as usize, dense.outputs as usize)
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

/// Rows of an evaluation step where memory and time allow.
const EVALUATE_ROWS: usize = 512;

/// Rows of the lowest tile that a product kernel has.
const LEAST_TILE_ROWS: usize = 16;

/// Most rows of a chunk: every arena fits a binding, no dispatch is too long. A row has so many
/// codes of vectors.
pub fn chunk_limit(
    network: &Network,
    layout: &Layout,
    codes: usize,
    tuning: &Tuning,
) -> Result<usize> {
    let tasks = network.tasks.len();
    // Partials: a loss and a hit a task, a value a coupled pair.
    let partials = 5 * tasks + tasks * tasks.saturating_sub(1) / 2;
    let per_row = Plan::elements_per_row(network, layout, tuning).max(partials).max(codes);
    let by_binding = (tuning.binding_bytes / 4) as usize / per_row.max(1);
    let flop = Plan::new(network, layout, tuning, 1).flop_per_row().max(1);
    let by_time = usize::try_from(tuning.flop_per_dispatch / flop).unwrap_or(usize::MAX).max(32);
    if by_binding == 0 || 4 * layout.len as u64 > tuning.binding_bytes {
        let wanted = 4 * layout.len.max(per_row) as u64;
        let message = format!(
            "the network needs a storage binding of {wanted} bytes; this adapter offers {}",
            tuning.binding_bytes
        );
        return Err(Fault::new(Exit::Unavailable, message)
            .hint("use narrower layers or fewer vectors (max_values, buckets, embed), or another adapter (see tandem devices)")
            .into());
    }
    let limit = by_binding.min(by_time).min(tuning.rows).min(MAX_GROUPS as usize * LEAST_TILE_ROWS);
    // Whole vec4s, and no odd ends where it can be helped; the same for every shape of tiles, which
    // are to give equal bits.
    Ok([32, 4].into_iter().find(|n| limit >= *n).map_or(limit, |n| limit / n * n))
}

/// Builds the program.
pub fn build(request: &Request) -> Result<Built> {
    let limit = chunk_limit(
        request.network,
        request.layout,
        embed::cells_per_row(request.spread),
        request.tuning,
    )?;
    let batch = if request.optimizer.is_some() { request.batch } else { 1 };
    let longest = request.parts.iter().map(|p| p.rows).max().unwrap_or(1);
    let evaluate_rows = EVALUATE_ROWS.max(batch).min(limit).min(longest).max(1);
    let rows = batch.min(limit).max(evaluate_rows);
    // Whole vec4s of rows, so that blocks of activations begin where a vec4 does.
    let capacity = if limit >= 4 { rows.next_multiple_of(4) } else { rows };
    let mut builder = Builder::new(request, capacity);
    builder.place_data(request);
    let tables = builder.place_couplings();
    builder.place_metrics(&tables, request.optimizer);
    let mut evaluate = Vec::new();
    let train =
        request.optimizer.map(|optimizer| builder.train(request, optimizer, &tables, limit));
    for part in 0..request.parts.len() {
        evaluate.push(builder.evaluate(part, &tables, evaluate_rows));
    }
    let logits = (0..request.network.tasks.len()).map(|t| builder.scene.logits(t)).collect();
    let counting = builder.scene.counting;
    let (program, buffers, parts) = (builder.program, builder.scene.buffers, builder.parts);
    Ok(Built { program, buffers, parts, train, evaluate, evaluate_rows, logits, counting })
}

pub(super) struct Builder<'a> {
    pub(super) scene: Scene<'a>,
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
    fn new(request: &Request<'a>, capacity: usize) -> Builder<'a> {
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
            objective,
            tuning,
            plan,
            buffers,
            spread,
            columns,
            embeddings,
            counting,
            counts,
        };
        Builder { scene, program, parts: Vec::new(), chunk_metrics: 0, partials }
    }

    fn train(
        &mut self,
        request: &Request,
        optimizer: &Optimizer,
        tables: &[CouplingTable],
        limit: usize,
    ) -> usize {
        let chunks = chunks(request.batch, self.scene.plan.capacity.min(limit));
        let mut dispatches = self.count(0, request.shuffled);
        for &chunk in &chunks {
            dispatches.extend(self.gather(0, chunk, request.shuffled, true));
            dispatches.extend(self.forward(chunk, true));
            dispatches.extend(self.couple(tables, Phase::Logits, chunk, true));
            dispatches.extend(self.backward(chunk));
            if chunks.len() > 1 {
                dispatches.push(self.reduce(0, self.chunk_metrics, chunk));
            }
        }
        dispatches.extend(self.couple(tables, Phase::Weights, chunks[0], true));
        if optimizer.clip_norm > 0.0 {
            dispatches.push(self.gradient_norm());
        }
        let first = if chunks.len() > 1 { self.chunk_metrics } else { 0 };
        if first < self.program.metrics.len() {
            dispatches.push(self.reduce(first, self.program.metrics.len() - first, chunks[0]));
        }
        dispatches.push(self.update(optimizer));
        let wanted = [self.scene.buffers.parameters, self.scene.buffers.metrics];
        self.finish("train", dispatches, 0, &wanted, request.batch)
    }

    fn evaluate(&mut self, part: usize, tables: &[CouplingTable], rows: usize) -> usize {
        let chunk = Chunk { index: 0, first: 0, rows };
        let mut dispatches = self.count(part, false);
        dispatches.extend(self.gather(part, chunk, false, false));
        dispatches.extend(self.forward(chunk, false));
        dispatches.extend(self.couple(tables, Phase::Logits, chunk, false));
        dispatches.extend(self.couple(tables, Phase::Weights, chunk, false));
        let norm = self.program.metrics.iter().filter(|m| **m == MetricKind::SquaredNorm).count();
        dispatches.push(self.reduce(0, self.program.metrics.len() - norm, chunk));
        let b = &self.scene.buffers;
        // Slopes and the logits' gradients have no reader here: the kernels write them all the
        // same.
        let wanted = [b.metrics, b.logits, b.logits_delta, b.activations[0], b.activations[1]];
        let name = format!("evaluate {}", self.parts[part].shape.name);
        self.finish(&name, dispatches, part, &wanted, rows)
    }

    fn finish(
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
}

/// The rows of a batch in chunks of equal size, the last one shorter.
pub fn chunks(batch: usize, most: usize) -> Vec<Chunk> {
    (0..batch)
        .step_by(most.max(1))
        .enumerate()
        .map(|(index, first)| Chunk { index, first, rows: most.min(batch - first) })
        .collect()
}
