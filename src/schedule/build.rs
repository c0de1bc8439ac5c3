//! Writes the program of a network: buffers, the training step, and one evaluation step per part of the data. One function a phase.

use anyhow::Result;

use super::plan::{Arena, BackwardGroup, Group, Plan, gradient_effect, slices};
use super::{Buffer, BufferSpec, Dispatch, Flag, Kind, MetricKind, Program, SLOTS, Schedule, Slice};
use crate::config::{Optimizer, OptimizerKind};
use crate::data::Features;
use crate::fault::{Exit, Fault};
use crate::kernels::params::{self, Dense, Metric};
use crate::kernels::tuning::Tuning;
use crate::kernels::{self, folded};
use crate::model::layout::{ALIGN, Block, Layout};
use crate::model::network::Network;
use crate::objective::{COUPLINGS, Coupling, Objective, Phase, Placed, softmax_cross_entropy};

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
    /// The shape of features in memory.
    pub fn new(name: &str, rows: usize, features: &Features) -> PartShape {
        let bytes = match features {
            Features::U8 { scale, .. } => Some(*scale),
            Features::F32(_) => None,
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
    /// The part that is trained on, first, when there is an optimizer; then the parts that are evaluated.
    pub parts: &'a [PartShape],
    /// Rows of a training step.
    pub batch: usize,
    /// Whether training rows go through the order of the epoch.
    pub shuffled: bool,
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
}

impl Scene<'_> {
    /// A task's logits: (first element, classes); rows of them lie one after the other.
    pub fn logits(&self, task: usize) -> (usize, usize) {
        (self.plan.capacity * self.network.first_logit(task), self.network.tasks[task].classes.len())
    }

    /// The flag of the gradient of a task's output layer.
    pub fn output_flag(&self, task: usize) -> u32 {
        let is_output = |&p: &usize| {
            let layer = &self.layout.layers[self.plan.order[p]];
            layer.task == Some(task) && layer.is_output
        };
        (0..self.plan.order.len()).find(is_output).map_or(params::NONE, |p| self.plan.layers[p].gradient_flag)
    }

    fn weights(&self, dense: &Dense) -> (usize, usize) {
        (dense.weight as usize, (dense.inputs * dense.outputs) as usize)
    }

    fn bias(&self, dense: &Dense) -> (usize, usize) {
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
    /// Where each task's logits lie: (first element, classes).
    pub logits: Vec<(usize, usize)>,
}

/// Rows of an evaluation step where memory and time allow.
const EVALUATE_ROWS: usize = 512;

/// Most rows of a chunk: every arena fits a binding, no dispatch is too long.
pub fn chunk_limit(network: &Network, layout: &Layout, tuning: &Tuning) -> Result<usize> {
    let tasks = network.tasks.len();
    // Partials: a loss and a hit a task, a value a coupled pair.
    let partials = 2 * tasks + tasks * tasks.saturating_sub(1) / 2;
    let per_row = Plan::elements_per_row(network, layout, tuning).max(partials);
    let by_binding = (tuning.binding_bytes / 4) as usize / per_row.max(1);
    let flop = Plan::new(network, layout, tuning, 1).flop_per_row().max(1);
    let by_time = usize::try_from(tuning.flop_per_dispatch / flop).unwrap_or(usize::MAX).max(32);
    if by_binding == 0 || 4 * layout.len as u64 > tuning.binding_bytes {
        let wanted = 4 * layout.len.max(per_row) as u64;
        let message = format!("the network needs a storage binding of {wanted} bytes; this adapter offers {}", tuning.binding_bytes);
        return Err(Fault::new(Exit::Unavailable, message).hint("use narrower layers, or another adapter (see tandem devices)").into());
    }
    let limit = by_binding.min(by_time).min(65_535 * 32);
    // Whole tiles; of tiny limits at least whole vec4s.
    Ok([32, 4].into_iter().find(|n| limit >= *n).map_or(limit, |n| limit / n * n))
}

/// Builds the program.
pub fn build(request: &Request) -> Result<Built> {
    let limit = chunk_limit(request.network, request.layout, request.tuning)?;
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
    let train = request.optimizer.map(|optimizer| builder.train(request, optimizer, &tables, limit));
    for part in 0..request.parts.len() {
        evaluate.push(builder.evaluate(part, &tables, evaluate_rows));
    }
    let logits = (0..request.network.tasks.len()).map(|t| builder.scene.logits(t)).collect();
    Ok(Built { program: builder.program, buffers: builder.scene.buffers, parts: builder.parts, train, evaluate, evaluate_rows, logits })
}

struct Builder<'a> {
    scene: Scene<'a>,
    program: Program,
    parts: Vec<PartBuffers>,
    /// Metrics that are summed chunk by chunk stand first.
    chunk_metrics: usize,
    partials: usize,
}

/// A kind of coupling in use: its table and its pairs, with their numbers in the objective.
struct CouplingTable {
    kind: &'static dyn Coupling,
    table: Buffer,
    placed: Vec<(usize, Placed)>,
}

impl CouplingTable {
    fn pairs(&self) -> Vec<Placed> {
        self.placed.iter().map(|(_, p)| *p).collect()
    }
}

fn spec(program: &mut Program, name: &str, len: usize, kind: Kind, initial: Vec<u32>) -> Buffer {
    program.buffers.push(BufferSpec { name: name.into(), len: len.max(1), kind, initial });
    Buffer(program.buffers.len() - 1)
}

fn table_spec<T: bytemuck::Pod>(program: &mut Program, name: &str, lines: &[T]) -> Buffer {
    let words: Vec<u32> = bytemuck::cast_slice(lines).to_vec();
    // A binding must hold at least one line, also where there is none.
    spec(program, name, words.len().max(size_of::<T>() / 4), Kind::U32, words)
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
        };
        let buffers = place_arenas(&mut program, request, &plan);
        program.flags = layer_flags(&plan, request);
        let (network, layout, objective, tuning) = (request.network, request.layout, request.objective, request.tuning);
        let partials = 2 * network.tasks.len() * capacity;
        let scene = Scene { network, layout, objective, tuning, plan, buffers };
        Builder { scene, program, parts: Vec::new(), chunk_metrics: 0, partials }
    }

    /// The data set on the device, in as many segments of rows as bindings make necessary.
    fn place_data(&mut self, request: &Request) {
        let tasks = request.network.tasks.len();
        for shape in request.parts {
            let row_bytes = request.network.inputs as u64 * if shape.bytes.is_some() { 1 } else { 4 };
            let widest = row_bytes.max(4 * tasks as u64);
            let most = (((request.tuning.binding_bytes - 4) / widest) as usize / 4 * 4).max(1);
            let mut segments = Vec::new();
            for first in (0..shape.rows.max(1)).step_by(most) {
                let rows = most.min(shape.rows - first);
                let words = (rows as u64 * row_bytes).div_ceil(4) as usize;
                let name =
                    |what: &str| format!("{what} of {}{}", shape.name, if first > 0 { format!(" from {first}") } else { String::new() });
                let features = spec(&mut self.program, &name("features"), words, Kind::U32, Vec::new());
                let labels = spec(&mut self.program, &name("labels"), rows * tasks, Kind::U32, Vec::new());
                segments.push(Segment { first, rows, features, labels });
            }
            self.parts.push(PartBuffers { shape: shape.clone(), segments });
        }
    }

    fn place_couplings(&mut self) -> Vec<CouplingTable> {
        let mut tables = Vec::new();
        for &kind in COUPLINGS {
            let mut placed = Vec::new();
            for (number, &pair) in self.scene.objective.of_kind(kind) {
                placed.push((number, Placed { pair, partials: self.partials }));
                self.partials += kind.partials(&self.scene, &pair);
            }
            if !placed.is_empty() {
                let pairs: Vec<_> = placed.iter().map(|(_, p)| *p).collect();
                let words = kind.table(&self.scene, &pairs);
                let table = spec(&mut self.program, kind.name(), words.len(), Kind::U32, words);
                tables.push(CouplingTable { kind, table, placed });
            }
        }
        tables
    }

    /// The table of metrics: those of each chunk first (losses, hits, couplings of logits), then those of the step.
    fn place_metrics(&mut self, tables: &[CouplingTable], optimizer: Option<&Optimizer>) {
        let (tasks, capacity) = (self.scene.network.tasks.len(), self.scene.plan.capacity);
        let mut lines = Vec::new();
        let names: Vec<String> = self.scene.network.tasks.iter().map(|t| t.name.clone()).collect();
        for (task, name) in names.iter().enumerate() {
            let flag = self.flag("loss", Some(name));
            lines.push((MetricKind::Loss(task), Metric { partials: (task * capacity) as u32, count: params::PER_ROW, mean: 1, flag }));
        }
        for task in 0..tasks {
            let partials = ((tasks + task) * capacity) as u32;
            lines.push((MetricKind::Hits(task), Metric { partials, count: params::PER_ROW, mean: 0, flag: params::NONE }));
        }
        for phase in [Phase::Logits, Phase::Weights] {
            for table in tables.iter().filter(|t| t.kind.phase() == phase) {
                for (number, placed) in &table.placed {
                    let tensor = format!("{} with {}", table.kind.name(), names[placed.pair.b]);
                    let flag = self.flag(&tensor, Some(&names[placed.pair.a]));
                    let per_row = phase == Phase::Logits;
                    let count = if per_row { params::PER_ROW } else { table.kind.partials(&self.scene, &placed.pair) as u32 };
                    let mean = u32::from(per_row);
                    lines.push((MetricKind::Coupling(*number), Metric { partials: placed.partials as u32, count, mean, flag }));
                }
            }
            if phase == Phase::Logits {
                self.chunk_metrics = lines.len();
            }
        }
        if optimizer.is_some_and(|o| o.clip_norm > 0.0) {
            let (partials, count) = (self.partials as u32, self.norm_groups());
            let flag = self.flag("gradient norm", None);
            lines.push((MetricKind::SquaredNorm, Metric { partials, count, mean: 0, flag }));
            self.partials += count as usize;
        }
        self.finish_metrics(lines);
    }

    fn finish_metrics(&mut self, lines: Vec<(MetricKind, Metric)>) {
        let table: Vec<Metric> = lines.iter().map(|(_, m)| *m).collect();
        self.program.metrics = lines.into_iter().map(|(k, _)| k).collect();
        let stride = self.program.metrics_stride();
        let b = &mut self.scene.buffers;
        b.metric_table = table_spec(&mut self.program, "metric table", &table);
        b.partials = spec(&mut self.program, "partials", self.partials, Kind::F32, Vec::new());
        b.metrics = spec(&mut self.program, "metrics", SLOTS * stride, Kind::F32, Vec::new());
        let flags = vec![params::NONE; 1 + self.program.flags.len()];
        b.flags = spec(&mut self.program, "flags", flags.len(), Kind::U32, flags);
        (self.program.metrics_buffer, self.program.flags_buffer) = (b.metrics, b.flags);
    }

    fn flag(&mut self, tensor: &str, task: Option<&String>) -> u32 {
        self.program.flags.push(Flag { tensor: tensor.into(), task: task.cloned() });
        self.program.flags.len() as u32
    }

    fn norm_groups(&self) -> u32 {
        self.scene.layout.len.div_ceil(64 * 16).clamp(1, 1024) as u32
    }

    fn train(&mut self, request: &Request, optimizer: &Optimizer, tables: &[CouplingTable], limit: usize) -> usize {
        let chunks = chunks(request.batch, self.scene.plan.capacity.min(limit));
        let mut dispatches = Vec::new();
        for &chunk in &chunks {
            dispatches.extend(self.gather(0, chunk, request.shuffled));
            dispatches.extend(self.forward(chunk, true));
            dispatches.push(softmax_cross_entropy::dispatch(&self.scene, chunk));
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
        let mut dispatches = self.gather(part, chunk, false);
        dispatches.extend(self.forward(chunk, false));
        dispatches.push(softmax_cross_entropy::dispatch(&self.scene, chunk));
        dispatches.extend(self.couple(tables, Phase::Logits, chunk, false));
        dispatches.extend(self.couple(tables, Phase::Weights, chunk, false));
        let norm = self.program.metrics.iter().filter(|m| **m == MetricKind::SquaredNorm).count();
        dispatches.push(self.reduce(0, self.program.metrics.len() - norm, chunk));
        let b = &self.scene.buffers;
        // Slopes and the logits' gradients have no reader here: the kernels write them all the same.
        let wanted = [b.metrics, b.logits, b.logits_delta, b.activations[0], b.activations[1]];
        let name = format!("evaluate {}", self.parts[part].shape.name);
        self.finish(&name, dispatches, part, &wanted, rows)
    }

    fn finish(&mut self, name: &str, dispatches: Vec<Dispatch>, part: usize, wanted: &[Buffer], rows: usize) -> usize {
        let b = &self.scene.buffers;
        let data = self.parts[part].segments.iter().flat_map(|s| [s.features, s.labels]);
        // Of the metrics a step writes its own row and keeps the others; decays are a table, of zeros where nothing decays.
        let state = [b.parameters, b.first_moment, b.second_moment, b.metrics, b.decay, b.order, b.flags];
        let tables = self.program.buffers.iter().enumerate().filter(|(_, s)| !s.initial.is_empty()).map(|(i, _)| Buffer(i));
        let mut given: Vec<Buffer> = data.chain(state).chain(tables).collect();
        given.sort_unstable();
        given.dedup();
        let whole = |b: &Buffer| self.program.whole(*b);
        let (mut given, mut wanted): (Vec<_>, Vec<_>) = (given.iter().map(whole).collect(), wanted.iter().map(whole).collect());
        wanted.extend([b.first_moment, b.second_moment].iter().map(whole));
        given.extend(self.gaps());
        self.program.schedules.push(Schedule { name: name.into(), dispatches, given, wanted, rows });
        self.program.schedules.len() - 1
    }

    fn gather(&self, part: usize, chunk: Chunk, shuffled: bool) -> Vec<Dispatch> {
        let part = &self.parts[part];
        part.segments.iter().enumerate().map(|(i, s)| self.gather_segment(part, i, s, chunk, shuffled)).collect()
    }

    fn gather_segment(&self, part: &PartBuffers, index: usize, segment: &Segment, chunk: Chunk, shuffled: bool) -> Dispatch {
        let (b, width, tasks) = (&self.scene.buffers, self.scene.network.inputs, self.scene.network.tasks.len());
        let blocks = width.max(tasks).div_ceil(64);
        let rows_per_line = kernels::MAX_GROUPS as usize / blocks;
        let grid = [(blocks * chunk.rows.min(rows_per_line)) as u32, chunk.rows.div_ceil(rows_per_line) as u32, 1];
        let parameters = params::GatherRows {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            width: width as u32,
            tasks: tasks as u32,
            target_x: 0,
            segment_first: segment.first as u32,
            segment_rows: segment.rows as u32,
            shuffled: u32::from(shuffled),
            bytes: u32::from(part.shape.bytes.is_some()),
            scale: part.shape.bytes.unwrap_or(1.0),
            fill: u32::from(index > 0),
        };
        let given = [segment.features, segment.labels, b.order].map(|buffer| self.program.whole(buffer));
        let effect = gradient_effect(index);
        Dispatch::new(&kernels::gather_rows, part.shape.name.clone(), parameters, grid)
            .bind([("data", segment.features), ("data_labels", segment.labels), ("order", b.order)])
            .bind([("inputs", b.activations[0]), ("labels", b.labels)])
            .reads(given)
            .effect(effect, slices(b.activations[0], [(0, chunk.rows * width)]))
            .effect(effect, slices(b.labels, [(0, chunk.rows * tasks)]))
    }

    fn forward(&self, chunk: Chunk, training: bool) -> Vec<Dispatch> {
        self.scene.plan.forward.iter().map(|g| self.forward_group(g, chunk, training)).collect()
    }

    fn forward_group(&self, group: &Group, chunk: Chunk, training: bool) -> Dispatch {
        let (b, tuning) = (&self.scene.buffers, self.scene.tuning);
        let layers = &self.scene.plan.layers[group.first..group.first + group.count];
        let parameters = params::DenseForward {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            first_layer: group.first as u32,
            layers: group.count as u32,
        };
        let x = b.activations[usize::from(group.reads_odd)];
        let y = match group.writes {
            Arena::Even => b.activations[0],
            Arena::Odd => b.activations[1],
            Arena::Logits => b.logits,
        };
        let rows = chunk.rows;
        let outputs = layers.iter().map(|d| (d.y as usize, rows * d.outputs as usize));
        let slopes = layers.iter().filter(|d| d.slope != params::NONE).map(|d| (d.slope as usize, rows * d.outputs as usize));
        let inputs = layers.iter().map(|d| (d.x as usize, rows * d.inputs as usize));
        let weights = layers.iter().flat_map(|d| [self.scene.weights(d), self.scene.bias(d)]);
        let grid = [group.tiles as u32, rows.div_ceil(tuning.forward.rows) as u32, 1];
        Dispatch::new(tuning.forward.kernel, group.label.clone(), parameters, grid)
            .bind([("layers", b.layers), ("parameters", b.parameters), ("x", x), ("y", y), ("flags", b.flags)])
            .reads(slices(x, inputs))
            .reads(slices(b.parameters, weights))
            .overwrites(slices(y, outputs.chain(slopes)))
            .constant("ACTIVATION", f64::from(group.activation))
            .constant("DROPOUT", f64::from(u8::from(training && layers.iter().any(|d| d.dropout_threshold > 0))))
            .flop(layers.iter().map(|d| product(d, rows)).sum())
    }

    fn couple(&self, tables: &[CouplingTable], phase: Phase, chunk: Chunk, gradient: bool) -> Vec<Dispatch> {
        let of_phase = tables.iter().filter(|t| t.kind.phase() == phase);
        of_phase.map(|t| t.kind.dispatch(&self.scene, t.table, &t.pairs(), chunk, gradient)).collect()
    }

    fn backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        let mut dispatches: Vec<_> = self.scene.plan.backward.iter().map(|g| self.backward_input(g, chunk)).collect();
        dispatches.push(self.backward_weight(chunk));
        dispatches
    }

    fn backward_input(&self, group: &BackwardGroup, chunk: Chunk) -> Dispatch {
        let (b, plan, tuning, rows) = (&self.scene.buffers, &self.scene.plan, self.scene.tuning, chunk.rows);
        let destinations = &plan.destinations[group.first..group.first + group.count];
        let parameters =
            params::DenseBackwardInput { rows: rows as u32, first_destination: group.first as u32, destinations: group.count as u32 };
        let (here, next) = (usize::from(group.odd), usize::from(!group.odd));
        let sources = || destinations.iter().flat_map(|d| &plan.layers[d.first_source as usize..][..d.sources as usize]);
        let deltas = |logits: bool| {
            let chosen = sources().filter(move |s| (s.delta_arena == 2) == logits);
            chosen.map(|s| (s.delta as usize, rows * s.outputs as usize)).collect::<Vec<_>>()
        };
        let slopes = destinations.iter().map(|d| (d.slope as usize, rows * d.width as usize));
        let targets = destinations.iter().map(|d| (d.delta as usize, rows * d.width as usize));
        let grid = [group.tiles as u32, rows.div_ceil(tuning.backward_input.rows) as u32, 1];
        Dispatch::new(tuning.backward_input.kernel, group.label.clone(), parameters, grid)
            .bind([("destinations", b.destinations), ("layers", b.layers), ("parameters", b.parameters)])
            .bind([("next_delta", b.deltas[next]), ("logits_delta", b.logits_delta)])
            .bind([("slope", b.activations[here]), ("delta", b.deltas[here])])
            .reads(slices(b.parameters, sources().map(|d| self.scene.weights(d))))
            .reads(slices(b.deltas[next], deltas(false)))
            .reads(slices(b.logits_delta, deltas(true)))
            .reads(slices(b.activations[here], slopes))
            .overwrites(slices(b.deltas[here], targets))
            .flop(sources().map(|d| product(d, rows)).sum())
    }

    fn backward_weight(&self, chunk: Chunk) -> Dispatch {
        let (b, plan, rows) = (&self.scene.buffers, &self.scene.plan, chunk.rows);
        let parameters = params::DenseBackwardWeight {
            rows: rows as u32,
            first_layer: 0,
            layers: plan.layers.len() as u32,
            tiles: plan.weight_tiles as u32,
            accumulate: u32::from(chunk.index > 0),
        };
        let arena = |d: &Dense| [b.deltas[0], b.deltas[1], b.logits_delta][d.delta_arena as usize];
        let slice = |buffer, first: u32, len: u32| Slice { buffer, first: first as usize, len: rows * len as usize };
        let read = |d: &Dense| [slice(b.activations[d.x_odd as usize], d.x, d.inputs), slice(arena(d), d.delta, d.outputs)];
        let gradients = plan.layers.iter().flat_map(|d| [self.scene.weights(d), self.scene.bias(d)]);
        Dispatch::new(self.scene.tuning.backward_weight.kernel, "all layers", parameters, folded(plan.weight_tiles as u32))
            .bind([("layers", b.layers), ("even", b.activations[0]), ("odd", b.activations[1]), ("even_delta", b.deltas[0])])
            .bind([("odd_delta", b.deltas[1]), ("logits_delta", b.logits_delta), ("gradients", b.gradients), ("flags", b.flags)])
            .reads(plan.layers.iter().flat_map(read))
            .effect(gradient_effect(chunk.index), slices(b.gradients, gradients))
            .flop(plan.layers.iter().map(|d| product(d, rows)).sum())
    }

    fn gradient_norm(&self) -> Dispatch {
        let (b, groups) = (&self.scene.buffers, self.norm_groups());
        let first = self.partials - groups as usize;
        let parameters = params::GradientNorm { count: self.scene.layout.len as u32, partials: first as u32, groups };
        Dispatch::new(&kernels::gradient_norm, "all parameters", parameters, [groups, 1, 1])
            .bind([("gradients", b.gradients), ("partials", b.partials)])
            .reads([self.program.whole(b.gradients)])
            .overwrites(slices(b.partials, [(first, groups as usize)]))
    }

    fn reduce(&self, first: usize, count: usize, chunk: Chunk) -> Dispatch {
        let b = &self.scene.buffers;
        let stride = self.program.metrics_stride();
        let rows = chunk.rows as u32;
        let parameters = params::ReduceMetrics { stride: stride as u32, accumulate: u32::from(chunk.index > 0), first: first as u32, rows };
        let table: Vec<Metric> = bytemuck::cast_slice(&self.program.buffers[b.metric_table.0].initial).to_vec();
        let terms = |m: &Metric| if m.count == params::PER_ROW { rows } else { m.count };
        let read = table[first..first + count].iter().map(|m| (m.partials as usize, terms(m) as usize));
        Dispatch::new(&kernels::reduce_metrics, "metrics", parameters, [count as u32, 1, 1])
            .bind([("metric_table", b.metric_table), ("partials", b.partials), ("metrics", b.metrics), ("flags", b.flags)])
            .reads(slices(b.partials, read))
            .effect(super::Effect::Update, slices(b.metrics, [(0, SLOTS * stride)]))
    }

    fn update(&self, optimizer: &Optimizer) -> Dispatch {
        let b = &self.scene.buffers;
        let count = self.scene.layout.len;
        let stride = self.program.metrics_stride() as u32;
        let norm_metric = 1 + self.program.metrics.iter().position(|m| *m == MetricKind::SquaredNorm).unwrap_or(0) as u32;
        let clip_norm = optimizer.clip_norm as f32;
        let grid = folded((count / 4).div_ceil(64) as u32);
        let count = count as u32;
        let (dispatch, moments) = match optimizer.kind {
            OptimizerKind::Sgd { momentum, nesterov } => {
                let momentum = momentum as f32;
                let p = params::Sgd { count, momentum, nesterov: u32::from(nesterov), clip_norm, norm_metric, stride };
                (Dispatch::new(&kernels::sgd, "all parameters", p, grid), vec![("first_moment", b.first_moment)])
            }
            OptimizerKind::Adam { beta1, beta2, eps } | OptimizerKind::AdamW { beta1, beta2, eps } => {
                let p = params::Adam {
                    count,
                    beta1: beta1 as f32,
                    one_minus_beta1: (1.0 - beta1) as f32,
                    beta2: beta2 as f32,
                    one_minus_beta2: (1.0 - beta2) as f32,
                    eps: eps as f32,
                    decoupled: u32::from(matches!(optimizer.kind, OptimizerKind::AdamW { .. })),
                    clip_norm,
                    norm_metric,
                    stride,
                };
                let moments = vec![("first_moment", b.first_moment), ("second_moment", b.second_moment)];
                (Dispatch::new(&kernels::adam, "all parameters", p, grid), moments)
            }
        };
        let changed = moments.iter().map(|(_, m)| *m).chain([b.parameters]).map(|m| self.program.whole(m)).collect::<Vec<_>>();
        let norm = if optimizer.clip_norm > 0.0 { vec![self.program.whole(b.metrics)] } else { Vec::new() };
        dispatch
            .bind([
                ("parameters", b.parameters),
                ("gradients", b.gradients),
                ("decay", b.decay),
                ("metrics", b.metrics),
                ("flags", b.flags),
            ])
            .bind(moments)
            .reads([self.program.whole(b.gradients)])
            .reads([self.program.whole(b.decay)])
            .reads(norm)
            .updates(changed)
    }

    /// The gaps between the blocks of the gradients: zeros for ever, which kernels that run over the whole arena read.
    fn gaps(&self) -> Vec<Slice> {
        let (layout, gradients) = (self.scene.layout, self.scene.buffers.gradients);
        if self.program.buffers[gradients.0].len < layout.len {
            return Vec::new();
        }
        let end = |b: &Block| b.offset + b.len;
        let gaps = layout.blocks.iter().map(|b| (end(b), end(b).next_multiple_of(ALIGN) - end(b)));
        slices(gradients, gaps.filter(|(_, len)| *len > 0))
    }
}

/// The rows of a batch in chunks of equal size, the last one shorter.
pub fn chunks(batch: usize, most: usize) -> Vec<Chunk> {
    (0..batch).step_by(most.max(1)).enumerate().map(|(index, first)| Chunk { index, first, rows: most.min(batch - first) }).collect()
}

fn product(dense: &Dense, rows: usize) -> u64 {
    2 * rows as u64 * u64::from(dense.inputs) * u64::from(dense.outputs)
}

fn place_arenas(program: &mut Program, request: &Request, plan: &Plan) -> Buffers {
    let (len, tasks) = (request.layout.len, request.network.tasks.len());
    let mut arena = |name: &str, len: usize| spec(program, name, len, Kind::F32, Vec::new());
    let parameters = arena("parameters", len);
    // An evaluation has neither gradients nor moments; couplings bind the gradients all the same.
    let trains = request.optimizer.is_some();
    let has_second = request.optimizer.is_some_and(|o| !matches!(o.kind, OptimizerKind::Sgd { .. }));
    let gradients = arena("gradients", if trains { len } else { 1 });
    let first_moment = arena("first moment", if trains { len } else { 1 });
    let second_moment = arena("second moment", if has_second { len } else { 1 });
    let activations = [arena("activations, even", plan.activations[0]), arena("activations, odd", plan.activations[1])];
    let deltas = [arena("deltas, even", plan.deltas[0]), arena("deltas, odd", plan.deltas[1])];
    let (logits, logits_delta) = (arena("logits", plan.logits), arena("logits' gradients", plan.logits));
    let labels = spec(program, "labels", plan.capacity * tasks, Kind::U32, Vec::new());
    let order = spec(program, "order", request.parts.first().map_or(1, |p| p.rows), Kind::U32, Vec::new());
    let decay = request.optimizer.map_or(Vec::new(), |o| decay_table(request.layout, o));
    let decay = spec(program, "decay", len / ALIGN, Kind::F32, decay);
    let layers = table_spec(program, "layers", &plan.layers);
    let destinations = table_spec(program, "destinations", &plan.destinations);
    let heads = head_table(program, request, plan);
    let later = Buffer(usize::MAX);
    Buffers {
        parameters,
        gradients,
        first_moment,
        second_moment,
        decay,
        activations,
        deltas,
        logits,
        logits_delta,
        labels,
        order,
        partials: later,
        metrics: later,
        flags: later,
        layers,
        destinations,
        heads,
        metric_table: later,
    }
}

fn head_table(program: &mut Program, request: &Request, plan: &Plan) -> Buffer {
    let lines = softmax_cross_entropy::table(request.network, request.objective, plan.capacity);
    table_spec(program, "heads", &lines)
}

/// Weight decay of every run of [`ALIGN`] parameters, as bits.
fn decay_table(layout: &Layout, optimizer: &Optimizer) -> Vec<u32> {
    let mut table = vec![0.0f32; layout.len / ALIGN];
    for block in layout.blocks.iter().filter(|b| optimizer.decay_biases || !b.is_bias()) {
        table[block.offset / ALIGN..(block.offset + block.len).div_ceil(ALIGN)].fill(optimizer.weight_decay as f32);
    }
    table.into_iter().map(f32::to_bits).collect()
}

/// Names of the flags of the layers, two a layer in table order: pre-activation, gradient.
fn layer_flags(plan: &Plan, request: &Request) -> Vec<Flag> {
    let names = |&l: &usize| {
        let layer = &request.layout.layers[l];
        let task = layer.task.map(|t| request.network.tasks[t].name.clone());
        [format!("pre-activation of {}", layer.name), format!("gradient of {}", layer.name)]
            .map(|tensor| Flag { tensor, task: task.clone() })
    };
    plan.order.iter().flat_map(names).collect()
}
