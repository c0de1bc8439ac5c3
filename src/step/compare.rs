//! The products of the gradients of tasks: of planes, of gradients of parameters, by rows, and with
//! the change that the parameters made; and the losses of the tasks.

use std::ops::Range;

use super::balance::groups;
use super::balancing::{Way, joined, longest, pairs, plane_regions, slices_of};
use super::builder::Builder;
use crate::config::{Metric, Normalize};
use crate::kernels;
use crate::kernels::params::{self, NONE};
use crate::objective::balance::Memory;
use crate::plan::{ByRows, Chunk, WeightRun, block};
use crate::schedule::{Buffer, Dispatch, Effect, Slice, slices};

/// Rows and columns of a tile of `row_products`.
const ROW_TILE: [usize; 2] = [16, 16];

/// Likewise on software adapters.
const ROW_TILE_DIRECT: [usize; 2] = [8, 32];

/// The number that ExcessMTL adds to sums of squares before it takes their root.
const SQUARES_EPS: f32 = 1e-7;

impl Builder<'_> {
    /// The sums of the losses of a chunk by task; `after` those after the update.
    pub(super) fn task_losses(&self, chunk: Chunk, after: bool) -> Dispatch {
        let (b, tasks, capacity) = (&self.scene.buffers, self.tasks(), self.scene.plan.capacity);
        let losses = self.gramian().losses() + if after { tasks } else { 0 };
        let parameters = params::TaskLosses {
            rows: chunk.rows as u32,
            loss: 0,
            capacity: capacity as u32,
            losses: losses as u32,
            accumulate: u32::from(chunk.index > 0),
        };
        let rows = (0..tasks).map(|task| (task * capacity, chunk.rows));
        let label = if after { "losses after the update" } else { "losses" };
        Dispatch::new(&kernels::task_losses, label, parameters, [tasks as u32, 1, 1])
            .bind([("partials", b.partials), ("gramian", b.balance.gramian)])
            .reads(slices(b.partials, rows))
            .effect(chunk.effect(), slices(b.balance.gramian, [(losses, tasks)]))
    }

    /// The losses of a chunk, where a solve needs them.
    pub(super) fn losses_of_chunk(&self, chunk: Chunk) -> Option<Dispatch> {
        self.needs_losses().then(|| self.task_losses(chunk, false))
    }

    /// The products of the planes of a chunk, and their sums.
    pub(super) fn compare_planes(&self, chunk: Chunk, is_last: bool) -> Vec<Dispatch> {
        let Some(views) = self.views() else { return Vec::new() };
        let Some(planes) = &views.planes else { return Vec::new() };
        let (objectives, deltas) = (self.objectives(), self.scene.buffers.deltas);
        let all = plane_regions(views);
        let slices = slices_of(longest(views, chunk.rows, all));
        let (mut dispatches, mut before) = (Vec::new(), 0);
        for (parity, regions) in planes.regions.into_iter().enumerate() {
            if regions.1 > 0 {
                let at = (regions, slices, before, objectives);
                dispatches.push(self.products(deltas[parity], None, chunk.rows, at));
                before += 16 * pairs(objectives) * regions.1 * slices;
            }
        }
        dispatches.push(self.sum_products(all.1, slices, chunk.index > 0, is_last));
        dispatches
    }

    /// The products of the gradients of shared parameters, from those of rows, and their sums.
    pub(super) fn compare_by_rows(&self, chunk: Chunk) -> Vec<Dispatch> {
        let Some((views, by_rows)) = self.by_rows() else { return Vec::new() };
        let (objectives, rows) = (self.objectives(), chunk.rows);
        let (deltas, crossed) = (self.scene.buffers.deltas, self.b().crossed);
        let [even, odd] = by_rows.of_arenas;
        let mut dispatches: Vec<Dispatch> = [(0, 0..even), (1, even..even + odd)]
            .into_iter()
            .filter(|(_, sources)| !sources.is_empty())
            .map(|(arena, sources)| self.row_products(by_rows, arena, sources, rows))
            .collect();
        let all = joined(by_rows.regions);
        let slices = slices_of(longest(views, rows, all));
        let mut before = 0;
        for (arena, runs) in by_rows.crossed.iter().enumerate() {
            let runs = runs.iter().filter(|run| run.count > 0);
            dispatches.extend(runs.map(|run| self.cross(run, arena, chunk)));
        }
        for (arena, regions) in by_rows.regions.into_iter().enumerate() {
            if regions.1 > 0 {
                let at = (regions, slices, before, objectives);
                let others = Some((deltas[arena], objectives));
                dispatches.push(self.products(crossed, others, rows, at));
                before += 16 * pairs(objectives) * regions.1 * slices;
            }
        }
        dispatches.push(self.sum_products(all.1, slices, false, true));
        dispatches
    }

    /// The products of each two rows of what layers read, of sources in one arena.
    fn row_products(
        &self,
        by_rows: &ByRows,
        arena: usize,
        sources: Range<usize>,
        rows: usize,
    ) -> Dispatch {
        let (b, of) = (&self.scene.buffers, &by_rows.sources[sources.clone()]);
        let kernel = self.scene.tuning.kernel(&kernels::row_products);
        let [high, wide] = if kernel.direct { ROW_TILE_DIRECT } else { ROW_TILE };
        let parameters = params::RowProducts { rows: rows as u32, first: sources.start as u32 };
        let grid = [rows.div_ceil(wide), rows.div_ceil(high), of.len()].map(|n| n as u32);
        let is_aligned = of.iter().all(|s| s.x % 4 == 0 && s.inputs % 4 == 0);
        let flop = of.iter().map(|s| 2 * (rows * rows) as u64 * u64::from(s.inputs)).sum();
        let written = of.iter().map(|s| (s.products as usize, rows * rows));
        Dispatch::new(kernel, "rows", parameters, grid)
            .bind([("sources", b.balance.row_sources), ("x", b.activations[arena])])
            .bind([("products", b.balance.row_products)])
            .reads(slices(b.activations[arena], of.iter().map(|s| block(s.x, rows, s.inputs))))
            .overwrites(slices(b.balance.row_products, written))
            .constant("ALIGNED", f64::from(u8::from(is_aligned)))
            .flop(flop)
    }

    /// The products of rows times the deltas of tasks in one arena.
    fn cross(&self, run: &WeightRun, arena: usize, chunk: Chunk) -> Dispatch {
        let (b, of) = (&self.scene.buffers, self.b());
        // The other arenas of deltas are not read.
        let mut deltas = [b.activations[0], b.activations[0], b.logits_delta];
        deltas[1 - arena] = of.row_products;
        self.weight_products(run, "rows of tasks", (b.deltas, deltas, of.crossed), chunk).in_part()
    }

    /// The products of the gradients of shared parameters, and their sums.
    pub(super) fn compare_gradients(&self) -> Vec<Dispatch> {
        let Some((views, deep)) = self.deep() else { return Vec::new() };
        let regions = match self.way(true) {
            Way::Before => (deep.regions.0, deep.last),
            _ => deep.regions,
        };
        let slices = slices_of(longest(views, 1, regions));
        let at = (regions, slices, 0, self.objectives());
        let products = self.products(self.combined(), None, 1, at);
        vec![products, self.sum_products(regions.1, slices, false, true)]
    }

    /// The products of the gradients by task and of the change of the parameters, node by node.
    pub(super) fn observe(&self) -> Vec<Dispatch> {
        let Some((views, deep)) = self.deep() else { return Vec::new() };
        let (tasks, count) = (self.objectives() + 1, deep.regions.1);
        let slices = slices_of(longest(views, 1, deep.regions));
        let at = (deep.regions, slices, 0, tasks);
        let products = self.products(self.b().task_gradients, None, 1, at);
        let len = count * tasks * tasks;
        let parameters = params::TaskGramian {
            tasks: tasks as u32,
            slices: slices as u32,
            regions: 1,
            products: 0,
            gramian: 0,
            accumulate: 0,
            scaled: NONE,
            normalize: 0,
            losses: 0,
        };
        let grid = [count as u32, 1, 1];
        let sums = Dispatch::new(&kernels::task_gramian, "conflict", parameters, grid)
            .bind([("products", self.b().products), ("gramian", self.b().conflict)])
            .reads([self.run_of_products(count, slices, tasks)])
            .overwrites(self.run(self.b().conflict, 0, len));
        vec![self.change(true), products, sums]
    }

    /// Keeps the shared parameters before the update; after it, what became of them.
    pub(super) fn change(&self, after: bool) -> Dispatch {
        let (b, deep) = (&self.scene.buffers, self.deep());
        let (first, runs, stride, longest) = deep.map_or((0, 0, 0, 0), |(views, deep)| {
            let (first, count) = deep.runs;
            let runs = &views.runs[first..first + count];
            let longest = runs.iter().map(|run| run.len as usize).max().unwrap_or(0);
            (first, count, deep.stride, longest)
        });
        let change = self.objectives() * stride;
        let parameters = params::ParameterChange {
            first: first as u32,
            runs: runs as u32,
            change: change as u32,
        };
        let label = if after { "change of shared layers" } else { "shared layers before" };
        let effect = if after { Effect::Update } else { Effect::Overwrite };
        let grid = [groups(longest.div_ceil(4)), runs as u32, 1];
        Dispatch::new(&kernels::parameter_change, label, parameters, grid)
            .constant("AFTER", f64::from(u8::from(after)))
            .bind([("runs", b.balance.runs), ("parameters", b.parameters)])
            .bind([("task_gradients", b.balance.task_gradients)])
            .reads(self.run_parameters(b.parameters))
            .effect(effect, self.run(b.balance.task_gradients, change, stride))
    }

    fn run_of_products(&self, regions: usize, slices: usize, tasks: usize) -> Slice {
        let len = 16 * pairs(tasks) * regions * slices;
        Slice { buffer: self.b().products, first: 0, len }
    }

    /// The products of the gradients of each two tasks in regions of a buffer, or of two: places in
    /// the other one stand behind those in the first, by this number.
    fn products(
        &self,
        buffer: Buffer,
        others: Option<(Buffer, usize)>,
        rows: usize,
        ((first, count), slices, place, tasks): ((usize, usize), usize, usize, usize),
    ) -> Dispatch {
        let (b, balance) = (&self.scene.buffers, &self.objective.balance);
        // Observed gradients are compared as they are, and with the change of the parameters.
        let is_solve = tasks == self.objectives();
        let is_adam = balance.metric == Metric::Adam && is_solve;
        let by_squares = self.memory() == Some(Memory::Squares) && is_solve;
        let (metric, eps) = match (is_adam, by_squares) {
            (true, _) => (1, self.rule().1[2] as f32),
            (_, true) => (2, SQUARES_EPS),
            _ => (0, 0.0),
        };
        let divisor = if by_squares { b.balance.next_memory } else { b.second_moment };
        let parameters = params::TaskProducts {
            rows: rows as u32,
            first_region: first as u32,
            regions: count as u32,
            tasks: tasks as u32,
            slices: slices as u32,
            products: place as u32,
            eps,
            apart: others.map_or(0, |(_, apart)| apart as u32),
        };
        let empty = Vec::new();
        let (regions, places) =
            self.views().map_or((&empty, &[][..]), |views| (&views.regions, &views.places[..]));
        let regions = &regions[first..first + count];
        let length = |r: &params::Region| r.width as usize * if r.by_row == 1 { rows } else { 1 };
        let read = |apart: usize| {
            regions.iter().flat_map(move |r| {
                let of_task = move |task: usize| {
                    let place = places[r.first as usize + apart + task];
                    (place != NONE).then_some((place as usize, length(r)))
                };
                (0..tasks).filter_map(of_task)
            })
        };
        let moments = regions.iter().filter(|_| is_adam);
        let moments = moments.map(|r| (r.parameter as usize, r.width as usize));
        let squares = self.run(divisor, 0, if by_squares { self.memory_len() } else { 0 });
        let len = 16 * pairs(tasks) * count * slices;
        let grid = [pairs(tasks) as u32, slices as u32, count as u32];
        let kernel = self.scene.tuning.kernel(&kernels::task_products);
        Dispatch::new(kernel, "gradients of tasks", parameters, grid)
            .constant("TASKS", tasks as f64)
            .bind([("regions", b.balance.regions), ("places", b.balance.places)])
            .bind([("planes", buffer), ("second_moment", divisor)])
            .bind([("others", others.map_or(b.partials, |(others, _)| others))])
            .bind([("products", b.balance.products)])
            .reads(crate::schedule::slices(buffer, read(0)))
            .reads(
                others
                    .iter()
                    .flat_map(|(other, apart)| crate::schedule::slices(*other, read(*apart))),
            )
            .reads(crate::schedule::slices(b.second_moment, moments))
            .reads(squares)
            .overwrites(self.run(b.balance.products, place, len))
            .constant("METRIC", f64::from(metric))
            .constant("APART", f64::from(u8::from(others.is_some())))
    }

    /// The sums of products over all shards, scaled for the solve.
    pub(super) fn scale_products(&self) -> Dispatch {
        self.sum_products(0, 1, true, true)
    }

    /// The sums of products over all regions; with `is_last` scaled for the solve.
    fn sum_products(
        &self,
        regions: usize,
        slices: usize,
        accumulate: bool,
        is_last: bool,
    ) -> Dispatch {
        let (at, tasks) = (self.gramian(), self.objectives());
        let normalize = match self.objective.balance.normalize {
            Normalize::None => 0,
            Normalize::Norm => 1,
            Normalize::Loss => 2,
            Normalize::LossNorm => 3,
        };
        let parameters = params::TaskGramian {
            tasks: tasks as u32,
            slices: slices as u32,
            regions: regions as u32,
            products: 0,
            gramian: 0,
            accumulate: u32::from(accumulate),
            scaled: if is_last { at.scaled() as u32 } else { NONE },
            normalize,
            losses: at.losses() as u32,
        };
        let gramian = self.b().gramian;
        let by_loss = is_last && normalize & 2 == 2;
        let losses = by_loss.then_some((at.losses(), tasks));
        let scaled = is_last.then_some((at.scaled(), at.scaled() + tasks));
        let effect = if accumulate { Effect::Update } else { Effect::Overwrite };
        Dispatch::new(&kernels::task_gramian, "tasks", parameters, [1, 1, 1])
            .bind([("products", self.b().products), ("gramian", gramian)])
            .reads([self.run_of_products(regions, slices, tasks)])
            .reads(crate::schedule::slices(gramian, losses))
            .effect(effect, crate::schedule::slices(gramian, [(0, at.scaled())]))
            .overwrites(crate::schedule::slices(gramian, scaled))
    }
}
