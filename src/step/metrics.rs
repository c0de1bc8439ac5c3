//! The metrics of a step: the places of their partial sums and of those of couplings, and the
//! dispatches that sum them up.

use super::buffers::{spec, table_spec};
use super::builder::{Builder, CouplingTable};
use crate::kernels;
use crate::kernels::params::{self, Metric};
use crate::objective::{COUPLINGS, Phase, Placed};
use crate::plan::Chunk;
use crate::schedule::{Dispatch, Effect, Flag, FlagKind, Kind, MetricKind, SLOTS, slices};

/// A metric with its line in the table that `reduce_metrics` reads.
type MetricLine = (MetricKind, Metric);

/// The mean of partial sums, one per row.
fn mean_of_rows(partials: usize) -> Metric {
    Metric { partials: partials as u32, count: params::PER_ROW, mean: 1, flag: params::NONE }
}

impl Builder<'_> {
    /// Makes the table of each kind of coupling in use, and gives each pair its partial sums.
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

    /// Makes the table of metrics: metrics of each chunk first (losses, hits, couplings of logits),
    /// then metrics of the step.
    pub(super) fn place_metrics(&mut self, tables: &[CouplingTable], clips: bool) {
        let mut lines = self.task_metrics();
        lines.extend(self.coupling_metrics(tables, Phase::Logits));
        lines.extend(self.entropy_metrics());
        self.chunk_metrics = lines.len();
        lines.extend(self.coupling_metrics(tables, Phase::Weights));
        lines.extend(self.label_metrics());
        lines.extend(self.balance_metrics());
        if clips {
            let (partials, count) = (self.partials as u32, self.norm_groups());
            let flag = self.flag(FlagKind::GradientNorm, "", None);
            lines.push((MetricKind::SquaredNorm, Metric { partials, count, mean: 0, flag }));
            self.partials += count as usize;
        }
        lines.extend(self.gate_metrics());
        self.finish_metrics(lines);
    }

    /// Losses of all tasks, then their hits; one partial sum per row each.
    fn task_metrics(&mut self) -> Vec<MetricLine> {
        let (tasks, capacity) = (self.scene.network.tasks.len(), self.scene.plan.capacity);
        let per_row = |place: usize, flag: u32| Metric {
            partials: (place * capacity) as u32,
            count: params::PER_ROW,
            mean: 0,
            flag,
        };
        let flags: Vec<u32> =
            (0..tasks).map(|task| self.flag(FlagKind::Loss, "", Some(task))).collect();
        let losses = (0..tasks).zip(flags);
        let losses = losses.map(|(task, flag)| (MetricKind::Loss(task), per_row(task, flag)));
        let hits =
            (0..tasks).map(|task| (MetricKind::Hits(task), per_row(tasks + task, params::NONE)));
        losses.chain(hits).collect()
    }

    /// Values of the coupled pairs of a phase: means over rows for logits, sums for weights.
    fn coupling_metrics(&mut self, tables: &[CouplingTable], phase: Phase) -> Vec<MetricLine> {
        let mut lines = Vec::new();
        for table in tables.iter().filter(|table| table.kind.phase() == phase) {
            for (number, placed) in &table.placed {
                let with = &self.scene.network.tasks[placed.pair.b].name;
                let name = format!("{} with {with}", table.kind.name());
                let (kind, count, mean) = match phase {
                    Phase::Logits => (FlagKind::LogitCoupling, params::PER_ROW, 1),
                    Phase::Weights => {
                        let count = table.kind.partials(&self.scene, &placed.pair) as u32;
                        (FlagKind::WeightCoupling, count, 0)
                    }
                };
                let flag = self.flag(kind, &name, Some(placed.pair.a));
                let partials = placed.partials as u32;
                lines.push((MetricKind::Coupling(*number), Metric { partials, count, mean, flag }));
            }
        }
        lines
    }

    /// Mean entropies of the gates that have one.
    fn entropy_metrics(&self) -> Vec<MetricLine> {
        let gates = self.scene.plan.mixing.gates.iter().enumerate();
        let line = |(number, gate): (usize, &params::Gate)| {
            (MetricKind::GateEntropy(number), mean_of_rows(gate.entropies as usize))
        };
        gates.filter(|(_, gate)| gate.entropies != params::NONE).map(line).collect()
    }

    /// Mean weights of the terms of all gates.
    fn gate_metrics(&self) -> Vec<MetricLine> {
        let capacity = self.scene.plan.capacity;
        let gates = self.scene.plan.mixing.gates.iter().enumerate();
        let terms = |(number, gate): (usize, &params::Gate)| {
            let first = gate.means as usize;
            let line = move |term: usize| {
                (MetricKind::GateWeight(number, term), mean_of_rows(first + term * capacity))
            };
            (0..gate.terms as usize).map(line).collect::<Vec<_>>()
        };
        gates.filter(|(_, gate)| gate.means != params::NONE).flat_map(terms).collect()
    }

    /// Weights and numbers of the labels of each task, where they are counted.
    fn label_metrics(&self) -> Vec<MetricLine> {
        let Some(first) = self.scene.counts else { return Vec::new() };
        let tasks = self.scene.network.tasks.len();
        let line =
            |place: usize| Metric { partials: place as u32, count: 1, mean: 0, flag: params::NONE };
        let of_task = |task: usize| {
            let weight = (MetricKind::Weight(task), line(first + task));
            [weight, (MetricKind::Labelled(task), line(first + tasks + task))]
        };
        (0..tasks).flat_map(of_task).collect()
    }

    /// Weights that a balancer gives the tasks, and its residual; their flags, too.
    fn balance_metrics(&mut self) -> Vec<MetricLine> {
        let method = self.objective.method().filter(|_| self.optimizer.is_some());
        let Some(method) = method else { return Vec::new() };
        let (tasks, objectives) = (self.scene.network.tasks.len(), self.objective.objectives());
        self.balance_flag = self.flag(FlagKind::BalancedGradient, method.name(), None);
        let of_task = |builder: &mut Self, task| {
            builder.flag(FlagKind::LossLogarithm, method.name(), Some(task))
        };
        let flags: Vec<u32> = (0..tasks).map(|task| of_task(self, task)).collect();
        self.loss_flags = flags.first().copied().unwrap_or(params::NONE);
        self.weights = self.partials;
        self.partials += objectives + 1;
        let line =
            |place: usize| Metric { partials: place as u32, count: 1, mean: 0, flag: params::NONE };
        let first = self.weights;
        let mut lines = Vec::new();
        if self.objective.balance.method.solves() {
            lines.extend((0..objectives).map(|t| (MetricKind::TaskWeight(t), line(first + t))));
        }
        if self.objective.balance.method.has_residual() {
            lines.push((MetricKind::SolverResidual, line(first + objectives)));
        }
        lines
    }

    /// Makes the table of metrics, and the buffers of partial sums, metrics and flags.
    fn finish_metrics(&mut self, lines: Vec<MetricLine>) {
        let table: Vec<Metric> = lines.iter().map(|(_, m)| *m).collect();
        self.program.metrics = lines.into_iter().map(|(k, _)| k).collect();
        let stride = self.program.metrics_stride();
        let b = &mut self.scene.buffers;
        b.metric_table = table_spec(&mut self.program, "metric table", &table);
        b.partials = spec(&mut self.program, "partials", self.partials, Kind::F32, Vec::new());
        b.metrics = spec(&mut self.program, "metrics", SLOTS * stride, Kind::F32, Vec::new());
        let flags = vec![params::NONE; 1 + self.program.flags.len()];
        b.flags = spec(&mut self.program, "flags", flags.len(), Kind::U32, flags);
        if self.optimizer.is_some() && self.objective.looks_back() {
            let quiet = vec![params::NONE; 1 + self.program.flags.len()];
            b.balance.quiet_flags =
                spec(&mut self.program, "flags after the update", quiet.len(), Kind::U32, quiet);
        }
        (self.program.metrics_buffer, self.program.flags_buffer) = (b.metrics, b.flags);
    }

    /// Adds a flag and returns its number.
    fn flag(&mut self, kind: FlagKind, name: &str, task: Option<usize>) -> u32 {
        let task = task.map(|task| self.scene.network.tasks[task].name.clone());
        self.program.flags.push(Flag { kind, name: name.into(), task });
        self.program.flags.len() as u32
    }

    /// Workgroups of `gradient_norm`, which is the number of its partial sums.
    fn norm_groups(&self) -> u32 {
        self.scene.layout.len.div_ceil(64 * 16).clamp(1, 1024) as u32
    }

    /// Partial sums of the squared gradient.
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

    /// Sums up the partial sums of `count` metrics from the metric `first` on.
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
