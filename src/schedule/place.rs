//! Where a program's buffers come from: arenas, the data set, the tables of couplings and metrics.

use super::build::{Buffers, Builder, CouplingTable, PartBuffers, Request, Segment};
use super::embed;
use super::plan::Plan;
use super::{Buffer, BufferSpec, Flag, Kind, MetricKind, Program, SLOTS};
use crate::config::{Optimizer, OptimizerKind};
use crate::kernels::params::{self, Metric};
use crate::model::layout::{ALIGN, Block, Layout};
use crate::objective::{COUPLINGS, Phase, Placed, losses};

impl Builder<'_> {
    /// The data set on the device, in as many segments of rows as bindings make necessary.
    pub(super) fn place_data(&mut self, request: &Request) {
        let cells = self.scene.counting.cells;
        for shape in request.parts {
            let row_bytes = request.row_words() as u64 * if shape.bytes.is_some() { 1 } else { 4 };
            let widest = row_bytes.max(4 * cells as u64);
            let most = (((request.tuning.binding_bytes - 4) / widest) as usize / 4 * 4).max(1);
            let mut segments = Vec::new();
            for first in (0..shape.rows.max(1)).step_by(most) {
                let rows = most.min(shape.rows - first);
                let words = (rows as u64 * row_bytes).div_ceil(4) as usize;
                let name = |what: &str| {
                    format!(
                        "{what} of {}{}",
                        shape.name,
                        if first > 0 { format!(" from {first}") } else { String::new() }
                    )
                };
                let features =
                    spec(&mut self.program, &name("features"), words, Kind::U32, Vec::new());
                let labels =
                    spec(&mut self.program, &name("labels"), rows * cells, Kind::U32, Vec::new());
                segments.push(Segment { first, rows, features, labels });
            }
            self.parts.push(PartBuffers { shape: shape.clone(), segments });
        }
    }

    pub(super) fn place_couplings(&mut self) -> Vec<CouplingTable> {
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

    /// The table of metrics: those of each chunk first (losses, hits, couplings of logits), then
    /// those of the step.
    pub(super) fn place_metrics(
        &mut self,
        tables: &[CouplingTable],
        optimizer: Option<&Optimizer>,
    ) {
        let (tasks, capacity) = (self.scene.network.tasks.len(), self.scene.plan.capacity);
        let mut lines = Vec::new();
        let names: Vec<String> = self.scene.network.tasks.iter().map(|t| t.name.clone()).collect();
        for (task, name) in names.iter().enumerate() {
            let flag = self.flag("loss", Some(name));
            lines.push((
                MetricKind::Loss(task),
                Metric {
                    partials: (task * capacity) as u32,
                    count: params::PER_ROW,
                    mean: 0,
                    flag,
                },
            ));
        }
        for task in 0..tasks {
            let partials = ((tasks + task) * capacity) as u32;
            lines.push((
                MetricKind::Hits(task),
                Metric { partials, count: params::PER_ROW, mean: 0, flag: params::NONE },
            ));
        }
        for phase in [Phase::Logits, Phase::Weights] {
            for table in tables.iter().filter(|t| t.kind.phase() == phase) {
                for (number, placed) in &table.placed {
                    let tensor = format!("{} with {}", table.kind.name(), names[placed.pair.b]);
                    let flag = self.flag(&tensor, Some(&names[placed.pair.a]));
                    let per_row = phase == Phase::Logits;
                    let count = if per_row {
                        params::PER_ROW
                    } else {
                        table.kind.partials(&self.scene, &placed.pair) as u32
                    };
                    let mean = u32::from(per_row);
                    lines.push((
                        MetricKind::Coupling(*number),
                        Metric { partials: placed.partials as u32, count, mean, flag },
                    ));
                }
            }
            if phase == Phase::Logits {
                self.chunk_metrics = lines.len();
            }
        }
        for (task, first) in (0..tasks).filter_map(|task| Some((task, self.scene.counts?))) {
            let line = |place: usize| Metric {
                partials: place as u32,
                count: 1,
                mean: 0,
                flag: params::NONE,
            };
            lines.push((MetricKind::Weight(task), line(first + task)));
            lines.push((MetricKind::Labelled(task), line(first + tasks + task)));
        }
        if optimizer.is_some_and(|o| o.clip_norm > 0.0) {
            let (partials, count) = (self.partials as u32, self.norm_groups());
            let flag = self.flag("gradient norm", None);
            lines.push((MetricKind::SquaredNorm, Metric { partials, count, mean: 0, flag }));
            self.partials += count as usize;
        }
        self.finish_metrics(lines);
    }

    pub(super) fn finish_metrics(&mut self, lines: Vec<(MetricKind, Metric)>) {
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

    pub(super) fn flag(&mut self, tensor: &str, task: Option<&String>) -> u32 {
        self.program.flags.push(Flag { tensor: tensor.into(), task: task.cloned() });
        self.program.flags.len() as u32
    }

    pub(super) fn norm_groups(&self) -> u32 {
        self.scene.layout.len.div_ceil(64 * 16).clamp(1, 1024) as u32
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

pub(super) fn place_arenas(
    program: &mut Program,
    request: &Request,
    plan: &Plan,
    embeddings: &[params::Embedding],
) -> Buffers {
    let (len, cells) = (request.layout.len, request.counting().cells);
    let mut arena = |name: &str, len: usize| spec(program, name, len, Kind::F32, Vec::new());
    let parameters = arena("parameters", len);
    // An evaluation has neither gradients nor moments; couplings bind the gradients all the same.
    let trains = request.optimizer.is_some();
    let has_second =
        request.optimizer.is_some_and(|o| !matches!(o.kind, OptimizerKind::Sgd { .. }));
    let gradients = arena("gradients", if trains { len } else { 1 });
    let first_moment = arena("first moment", if trains { len } else { 1 });
    let second_moment = arena("second moment", if has_second { len } else { 1 });
    let activations = [
        arena("activations, even", plan.activations[0]),
        arena("activations, odd", plan.activations[1]),
    ];
    let deltas = [arena("deltas, even", plan.deltas[0]), arena("deltas, odd", plan.deltas[1])];
    let (logits, logits_delta) =
        (arena("logits", plan.logits), arena("logits' gradients", plan.logits));
    let labels = spec(program, "labels", plan.capacity * cells, Kind::U32, Vec::new());
    let order =
        spec(program, "order", request.parts.first().map_or(1, |p| p.rows), Kind::U32, Vec::new());
    let decay = request.optimizer.map_or(Vec::new(), |o| decay_table(request.layout, o));
    let decay = spec(program, "decay", len / ALIGN, Kind::F32, decay);
    let layers = table_spec(program, "layers", &plan.layers);
    let destinations = table_spec(program, "destinations", &plan.destinations);
    let heads = head_table(program, request, plan);
    let class_weights = spec(
        program,
        "class weights",
        losses::class_weights(request.network).len(),
        Kind::F32,
        losses::class_weights(request.network),
    );
    let spreads = table_spec(program, "columns", &embed::lines(request.spread, embeddings));
    let cells = plan.capacity * embed::cells_per_row(request.spread);
    let [codes, next_cells, first_cells] =
        [("codes", cells), ("next cells", cells), ("first cells", vectors(embeddings))]
            .map(|(name, len)| spec(program, name, len, Kind::U32, Vec::new()));
    let embeddings = table_spec(program, "embeddings", embeddings);
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
        class_weights,
        spreads,
        embeddings,
        codes,
        next_cells,
        first_cells,
        metric_table: later,
    }
}

fn head_table(program: &mut Program, request: &Request, plan: &Plan) -> Buffer {
    let counts = request.counts(plan.capacity).map(|first| first + 2 * request.network.tasks.len());
    let lines = losses::heads(request.network, request.objective, plan.capacity, counts);
    table_spec(program, "heads", &lines)
}

/// Vectors of all embeddings.
fn vectors(embeddings: &[params::Embedding]) -> usize {
    embeddings.iter().map(|e| e.values as usize).sum()
}

/// Weight decay of every run of [`ALIGN`] parameters, as bits.
fn decay_table(layout: &Layout, optimizer: &Optimizer) -> Vec<u32> {
    let mut table = vec![0.0f32; layout.len / ALIGN];
    for block in layout
        .blocks
        .iter()
        .filter(|b| (optimizer.decay_biases || !b.is_bias()) && !layout.is_frozen(b.task))
    {
        table[block.offset / ALIGN..(block.offset + block.len).div_ceil(ALIGN)]
            .fill(optimizer.weight_decay as f32);
    }
    table.into_iter().map(f32::to_bits).collect()
}

/// Names of the flags of the layers, two a layer in table order: pre-activation, gradient; then the
/// gradients of the embeddings.
pub(super) fn layer_flags(plan: &Plan, request: &Request) -> Vec<Flag> {
    let names = |&l: &usize| {
        let layer = &request.layout.layers[l];
        let task = layer.task.map(|t| request.network.tasks[t].name.clone());
        [format!("pre-activation of {}", layer.name), format!("gradient of {}", layer.name)]
            .map(|tensor| Flag { tensor, task: task.clone() })
    };
    let embeddings = request.layout.embeddings().iter();
    let gradient = |b: &Block| Flag {
        tensor: format!("gradient of {}", b.name.trim_end_matches(".weight")),
        task: None,
    };
    plan.order.iter().flat_map(names).chain(embeddings.map(gradient)).collect()
}
