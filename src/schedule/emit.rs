//! The phases of a step, each as its dispatches: gather, forward, couple, backward, reduce, update.

use super::build::{Builder, Chunk, CouplingTable, PartBuffers, Segment};
use super::plan::{Arena, BackwardGroup, Group, gradient_effect, slices};
use super::{Dispatch, MetricKind, SLOTS, Slice};
use crate::config::{Optimizer, OptimizerKind};
use crate::kernels::params::{self, Dense, Metric};
use crate::kernels::{self, folded};
use crate::model::layout::{ALIGN, Block};
use crate::objective::{Phase, losses, softmax_cross_entropy};

impl Builder<'_> {
    pub(super) fn gather(
        &self,
        part: usize,
        chunk: Chunk,
        shuffled: bool,
        training: bool,
    ) -> Vec<Dispatch> {
        let part = &self.parts[part];
        let segments = part.segments.iter().enumerate();
        match self.scene.spread.is_empty() {
            true => segments.map(|(i, s)| self.gather_rows(part, i, s, chunk, shuffled)).collect(),
            false => segments
                .map(|(i, s)| self.gather_cells(part, (i, s), chunk, shuffled, training))
                .collect(),
        }
    }

    pub(super) fn count(&self, part: usize, shuffled: bool) -> Vec<Dispatch> {
        let order = self.program.buffers[self.scene.buffers.order.0].len;
        losses::count(&self.scene, &self.parts[part], shuffled, order)
    }

    fn gather_rows(
        &self,
        part: &PartBuffers,
        index: usize,
        segment: &Segment,
        chunk: Chunk,
        shuffled: bool,
    ) -> Dispatch {
        let (b, width, tasks) =
            (&self.scene.buffers, self.scene.network.inputs, self.scene.counting.cells);
        let kernel = self.scene.tuning.kernel(&kernels::gather_rows);
        let (span, rows) =
            if kernel.direct { (1024, chunk.rows.div_ceil(8)) } else { (64, chunk.rows) };
        let blocks = width.max(tasks).div_ceil(span);
        let rows_per_line = kernels::MAX_GROUPS as usize / blocks;
        let grid =
            [(blocks * rows.min(rows_per_line)) as u32, rows.div_ceil(rows_per_line) as u32, 1];
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
        let given =
            [segment.features, segment.labels, b.order].map(|buffer| self.program.whole(buffer));
        let effect = gradient_effect(index);
        Dispatch::new(kernel, part.shape.name.clone(), parameters, grid)
            .bind([("data", segment.features), ("data_labels", segment.labels), ("order", b.order)])
            .bind([("inputs", b.activations[0]), ("labels", b.labels)])
            .reads(given)
            .effect(effect, slices(b.activations[0], [(0, chunk.rows * width)]))
            .effect(effect, slices(b.labels, [(0, chunk.rows * tasks)]))
    }

    fn gather_cells(
        &self,
        part: &PartBuffers,
        (index, segment): (usize, &Segment),
        chunk: Chunk,
        shuffled: bool,
        training: bool,
    ) -> Dispatch {
        let (b, width, columns) =
            (&self.scene.buffers, self.scene.network.inputs, self.scene.columns(training));
        let blocks = (columns + 1).div_ceil(64);
        let rows_per_line = kernels::MAX_GROUPS as usize / blocks;
        let grid = [
            (blocks * chunk.rows.min(rows_per_line)) as u32,
            chunk.rows.div_ceil(rows_per_line) as u32,
            1,
        ];
        let parameters = params::GatherCells {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            width: width as u32,
            slots: self.scene.spread.iter().map(|s| s.slots).sum::<usize>() as u32,
            columns: columns as u32,
            tasks: self.scene.counting.cells as u32,
            target_x: 0,
            segment_first: segment.first as u32,
            segment_rows: segment.rows as u32,
            shuffled: u32::from(shuffled),
            fill: u32::from(index > 0),
        };
        let given = [segment.features, segment.labels, b.order, b.spreads]
            .map(|buffer| self.program.whole(buffer));
        let effect = gradient_effect(index);
        let dispatch =
            Dispatch::new(&kernels::gather_cells, part.shape.name.clone(), parameters, grid)
                .bind([
                    ("spreads", b.spreads),
                    ("data", segment.features),
                    ("data_labels", segment.labels),
                    ("order", b.order),
                ])
                .bind([("inputs", b.activations[0]), ("labels", b.labels)])
                .reads(given)
                .effect(effect, slices(b.activations[0], [(0, chunk.rows * width)]))
                .effect(effect, slices(b.labels, [(0, chunk.rows * self.scene.counting.cells)]));
        self.with_vectors(dispatch, chunk, index, training)
    }

    pub(super) fn forward(&self, chunk: Chunk, training: bool) -> Vec<Dispatch> {
        let is_fused = softmax_cross_entropy::is_fused(&self.scene);
        let of = |group: &Group| match group.writes == Arena::Logits && is_fused {
            true => softmax_cross_entropy::fused(&self.scene, group, chunk, training),
            false => self.forward_group(group, chunk, training),
        };
        let mut dispatches: Vec<_> = self.scene.plan.forward.iter().map(of).collect();
        if !is_fused {
            dispatches.extend(losses::dispatches(&self.scene, chunk));
        }
        dispatches
    }

    pub(super) fn forward_group(&self, group: &Group, chunk: Chunk, training: bool) -> Dispatch {
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
        let slopes = layers
            .iter()
            .filter(|d| d.slope != params::NONE)
            .map(|d| (d.slope as usize, rows * d.outputs as usize));
        let inputs = layers.iter().map(|d| (d.x as usize, rows * d.inputs as usize));
        let weights = layers.iter().flat_map(|d| [self.scene.weights(d), self.scene.bias(d)]);
        let grid = [group.tiles as u32, rows.div_ceil(tuning.forward.rows) as u32, 1];
        Dispatch::new(tuning.forward.kernel, group.label.clone(), parameters, grid)
            .bind([
                ("layers", b.layers),
                ("parameters", b.parameters),
                ("x", x),
                ("y", y),
                ("flags", b.flags),
            ])
            .reads(slices(x, inputs))
            .reads(slices(b.parameters, weights))
            .overwrites(slices(y, outputs.chain(slopes)))
            .constant("ACTIVATION", f64::from(group.activation))
            .constant(
                "DROPOUT",
                f64::from(u8::from(training && layers.iter().any(|d| d.dropout_threshold > 0))),
            )
            .constant("INVOCATIONS", tuning.unit_invocations.into())
            .constant("LOOPS", loops_forward(layers))
            .constant(
                "STORES",
                f64::from(layers.iter().fold(0, |bits, d| bits | stores_forward(d))),
            )
            .flop(layers.iter().map(|d| product(d, rows)).sum())
    }

    pub(super) fn couple(
        &self,
        tables: &[CouplingTable],
        phase: Phase,
        chunk: Chunk,
        gradient: bool,
    ) -> Vec<Dispatch> {
        let of_phase = tables.iter().filter(|t| t.kind.phase() == phase);
        of_phase
            .map(|t| t.kind.dispatch(&self.scene, t.table, &t.pairs(), chunk, gradient))
            .collect()
    }

    pub(super) fn backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        let mut dispatches: Vec<_> =
            self.scene.plan.backward.iter().map(|g| self.backward_input(g, chunk)).collect();
        dispatches.push(self.backward_weight(chunk));
        dispatches.extend(self.embedding_backward(chunk));
        dispatches
    }

    pub(super) fn backward_input(&self, group: &BackwardGroup, chunk: Chunk) -> Dispatch {
        let (b, plan, tuning, rows) =
            (&self.scene.buffers, &self.scene.plan, self.scene.tuning, chunk.rows);
        let destinations = &plan.destinations[group.first..group.first + group.count];
        let parameters = params::DenseBackwardInput {
            rows: rows as u32,
            first_destination: group.first as u32,
            destinations: group.count as u32,
        };
        let (here, next) = (usize::from(group.odd), usize::from(!group.odd));
        let sources = || destinations.iter().flat_map(|d| plan.sources(d));
        let deltas = |logits: bool| {
            let chosen = sources().filter(move |s| (s.delta_arena == 2) == logits);
            chosen.map(|s| (s.delta as usize, rows * s.outputs as usize)).collect::<Vec<_>>()
        };
        let slopes = destinations
            .iter()
            .filter(|_| !group.inputs)
            .map(|d| (d.slope as usize, rows * d.width as usize));
        let targets = destinations.iter().map(|d| (d.delta as usize, rows * d.width as usize));
        let grid = [group.tiles as u32, rows.div_ceil(tuning.backward_input.rows) as u32, 1];
        Dispatch::new(tuning.backward_input.kernel, group.label.clone(), parameters, grid)
            .bind([
                ("destinations", b.destinations),
                ("layers", b.layers),
                ("parameters", b.parameters),
            ])
            .bind([("next_delta", b.deltas[next]), ("logits_delta", b.logits_delta)])
            .bind([("slope", b.activations[here]), ("delta", b.deltas[here])])
            .reads(slices(b.parameters, sources().map(|d| self.scene.weights(d))))
            .reads(slices(b.deltas[next], deltas(false)))
            .reads(slices(b.logits_delta, deltas(true)))
            .reads(slices(b.activations[here], slopes))
            .overwrites(slices(b.deltas[here], targets))
            .constant("INVOCATIONS", tuning.unit_invocations.into())
            .constant(
                "LOOPS",
                f64::from(sources().fold(0, |bits, d| bits | loop_backward_input(d))),
            )
            .constant(
                "STORES",
                f64::from(
                    destinations.iter().fold(0, |b, d| {
                        b | if fours(&[d.width, d.delta, d.slope]) { 1 } else { 2 }
                    }),
                ),
            )
            .constant("SLOPES", f64::from(u8::from(!group.inputs)))
            .flop(
                destinations
                    .iter()
                    .map(|d| {
                        plan.sources(d)
                            .iter()
                            .map(|s| 2 * rows as u64 * u64::from(d.width) * u64::from(s.outputs))
                            .sum::<u64>()
                    })
                    .sum(),
            )
    }

    pub(super) fn backward_weight(&self, chunk: Chunk) -> Dispatch {
        let (b, plan, rows) = (&self.scene.buffers, &self.scene.plan, chunk.rows);
        let layers = &plan.layers[plan.trained_from..];
        let parameters = params::DenseBackwardWeight {
            rows: rows as u32,
            first_layer: plan.trained_from as u32,
            layers: layers.len() as u32,
            tiles: plan.weight_tiles as u32,
            accumulate: u32::from(chunk.index > 0),
        };
        let arena = |d: &Dense| [b.deltas[0], b.deltas[1], b.logits_delta][d.delta_arena as usize];
        let slice = |buffer, first: u32, len: u32| Slice {
            buffer,
            first: first as usize,
            len: rows * len as usize,
        };
        let read = |d: &Dense| {
            [
                slice(b.activations[d.x_odd as usize], d.x, d.inputs),
                slice(arena(d), d.delta, d.outputs),
            ]
        };
        let gradients = layers.iter().flat_map(|d| [self.scene.weights(d), self.scene.bias(d)]);
        let stores = |d: &Dense| if chunk.index == 0 && fours(&[d.inputs]) { 1 } else { 2 };
        Dispatch::new(
            self.scene.tuning.backward_weight.kernel,
            "all layers",
            parameters,
            folded(plan.weight_tiles as u32),
        )
        .bind([
            ("layers", b.layers),
            ("even", b.activations[0]),
            ("odd", b.activations[1]),
            ("even_delta", b.deltas[0]),
        ])
        .bind([
            ("odd_delta", b.deltas[1]),
            ("logits_delta", b.logits_delta),
            ("gradients", b.gradients),
            ("flags", b.flags),
        ])
        .reads(layers.iter().flat_map(read))
        .effect(gradient_effect(chunk.index), slices(b.gradients, gradients))
        .constant("INVOCATIONS", self.scene.tuning.unit_invocations.into())
        .constant(
            "LOOPS",
            f64::from(layers.iter().fold(0, |bits, d| bits | loop_backward_weight(d))),
        )
        .constant("STORES", f64::from(layers.iter().fold(0, |bits, d| bits | stores(d))))
        .flop(layers.iter().map(|d| product(d, rows)).sum())
    }

    pub(super) fn gradient_norm(&self) -> Dispatch {
        let (b, groups) = (&self.scene.buffers, self.norm_groups());
        let first = self.partials - groups as usize;
        let parameters = params::GradientNorm {
            count: self.scene.layout.len as u32,
            partials: first as u32,
            groups,
        };
        Dispatch::new(
            self.scene.tuning.kernel(&kernels::gradient_norm),
            "all parameters",
            parameters,
            [groups, 1, 1],
        )
        .bind([("gradients", b.gradients), ("partials", b.partials)])
        .reads([self.program.whole(b.gradients)])
        .overwrites(slices(b.partials, [(first, groups as usize)]))
    }

    pub(super) fn reduce(&self, first: usize, count: usize, chunk: Chunk) -> Dispatch {
        let b = &self.scene.buffers;
        let stride = self.program.metrics_stride();
        let rows = chunk.rows as u32;
        let parameters = params::ReduceMetrics {
            stride: stride as u32,
            accumulate: u32::from(chunk.index > 0),
            first: first as u32,
            rows,
        };
        let table: Vec<Metric> =
            bytemuck::cast_slice(&self.program.buffers[b.metric_table.0].initial).to_vec();
        let terms = |m: &Metric| if m.count == params::PER_ROW { rows } else { m.count };
        let read =
            table[first..first + count].iter().map(|m| (m.partials as usize, terms(m) as usize));
        Dispatch::new(
            self.scene.tuning.kernel(&kernels::reduce_metrics),
            "metrics",
            parameters,
            [count as u32, 1, 1],
        )
        .bind([
            ("metric_table", b.metric_table),
            ("partials", b.partials),
            ("metrics", b.metrics),
            ("flags", b.flags),
        ])
        .reads(slices(b.partials, read))
        .effect(super::Effect::Update, slices(b.metrics, [(0, SLOTS * stride)]))
    }

    pub(super) fn update(&self, optimizer: &Optimizer) -> Dispatch {
        let b = &self.scene.buffers;
        let count = self.scene.layout.len;
        let stride = self.program.metrics_stride() as u32;
        let norm_metric = 1 + self
            .program
            .metrics
            .iter()
            .position(|m| *m == MetricKind::SquaredNorm)
            .unwrap_or(0) as u32;
        let clip_norm = optimizer.clip_norm as f32;
        let grid = folded((count / 4).div_ceil(64) as u32);
        let count = count as u32;
        let (dispatch, moments) = match optimizer.kind {
            OptimizerKind::Sgd { momentum, nesterov } => {
                let momentum = momentum as f32;
                let p = params::Sgd {
                    count,
                    momentum,
                    nesterov: u32::from(nesterov),
                    clip_norm,
                    norm_metric,
                    stride,
                };
                (
                    Dispatch::new(
                        self.scene.tuning.kernel(&kernels::sgd),
                        "all parameters",
                        p,
                        grid,
                    ),
                    vec![("first_moment", b.first_moment)],
                )
            }
            OptimizerKind::Adam { beta1, beta2, eps }
            | OptimizerKind::AdamW { beta1, beta2, eps } => {
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
                let moments =
                    vec![("first_moment", b.first_moment), ("second_moment", b.second_moment)];
                (
                    Dispatch::new(
                        self.scene.tuning.kernel(&kernels::adam),
                        "all parameters",
                        p,
                        grid,
                    ),
                    moments,
                )
            }
        };
        let changed = moments
            .iter()
            .map(|(_, m)| *m)
            .chain([b.parameters])
            .map(|m| self.program.whole(m))
            .collect::<Vec<_>>();
        let norm = if optimizer.clip_norm > 0.0 {
            vec![self.program.whole(b.metrics)]
        } else {
            Vec::new()
        };
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

    /// The gaps between the blocks of the gradients, and blocks that are not trained: zeros for
    /// ever, which kernels that run over the whole arena read.
    pub(super) fn gaps(&self) -> Vec<Slice> {
        let (layout, gradients) = (self.scene.layout, self.scene.buffers.gradients);
        if self.program.buffers[gradients.0].len < layout.len {
            return Vec::new();
        }
        let end = |b: &Block| b.offset + b.len;
        let gaps = layout.blocks.iter().map(|b| (end(b), end(b).next_multiple_of(ALIGN) - end(b)));
        let frozen =
            layout.blocks.iter().filter(|b| layout.is_frozen(b.task)).map(|b| (b.offset, b.len));
        slices(gradients, gaps.filter(|(_, len)| *len > 0).chain(frozen))
    }
}

/// Operations of a layer's product.
pub(crate) fn product(dense: &Dense, rows: usize) -> u64 {
    2 * rows as u64 * u64::from(dense.inputs) * u64::from(dense.outputs)
}

// Which of the loops and of the ways to store of the `*_direct` kernels a layer needs: the bits of
// their LOOPS and STORES.

fn fours(sizes: &[u32]) -> bool {
    sizes.iter().all(|s| s % 4 == 0)
}

pub(crate) fn loops_forward(layers: &[Dense]) -> f64 {
    f64::from(layers.iter().fold(0, |bits, d| bits | if fours(&[d.inputs, d.x]) { 1 } else { 2 }))
}

fn stores_forward(d: &Dense) -> u32 {
    match d.slope {
        params::NONE if fours(&[d.outputs, d.y]) => 8,
        params::NONE => 1,
        slope if fours(&[d.outputs, d.y, slope]) => 2,
        _ => 4,
    }
}

fn loop_backward_input(d: &Dense) -> u32 {
    match (d.delta_arena == 2, fours(&[d.inputs]), fours(&[d.outputs, d.delta])) {
        (false, true, true) => 1,
        (false, _, _) => 2,
        (true, true, _) => 4,
        (true, false, _) => 8,
    }
}

fn loop_backward_weight(d: &Dense) -> u32 {
    let odd = |arena: u32| 1 << (arena % 2);
    match (d.delta_arena, fours(&[d.inputs, d.x, d.outputs, d.delta])) {
        (2, _) => {
            if d.x_odd == 1 {
                16
            } else {
                32
            }
        }
        (arena, true) => odd(arena),
        (arena, false) => 4 * odd(arena),
    }
}
