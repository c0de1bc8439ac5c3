//! The numbers of a step: where couplings and metrics keep their partial sums, and the row of
//! numbers that these become.

use super::buffers::{spec, table_spec};
use super::builder::{Builder, CouplingTable};
use crate::config::Optimizer;
use crate::kernels;
use crate::kernels::params::{self, Metric};
use crate::objective::{COUPLINGS, Phase, Placed};
use crate::plan::Chunk;
use crate::schedule::{Dispatch, Effect, Flag, FlagKind, Kind, MetricKind, SLOTS, slices};

impl Builder<'_> {
    pub(super) fn place_couplings(&mut self) -> Vec<CouplingTable> {
        let mut tables = Vec::new();
        for &kind in COUPLINGS {
            let mut placed = Vec::new();
            for (number, &pair) in self.objective.of_kind(kind) {
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
            let flag = self.flag(FlagKind::Loss, "", Some(name));
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
            let kind = match phase {
                Phase::Logits => FlagKind::LogitCoupling,
                Phase::Weights => FlagKind::WeightCoupling,
            };
            for table in tables.iter().filter(|t| t.kind.phase() == phase) {
                for (number, placed) in &table.placed {
                    let tensor = format!("{} with {}", table.kind.name(), names[placed.pair.b]);
                    let flag = self.flag(kind, &tensor, Some(&names[placed.pair.a]));
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
            let flag = self.flag(FlagKind::GradientNorm, "", None);
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

    pub(super) fn flag(&mut self, kind: FlagKind, name: &str, task: Option<&String>) -> u32 {
        self.program.flags.push(Flag { kind, name: name.into(), task: task.cloned() });
        self.program.flags.len() as u32
    }

    pub(super) fn norm_groups(&self) -> u32 {
        self.scene.layout.len.div_ceil(64 * 16).clamp(1, 1024) as u32
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
        .effect(Effect::Update, slices(b.metrics, [(0, SLOTS * stride)]))
    }
}
