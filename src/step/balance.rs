//! The dispatches of balancing: the gradients of the tasks apart, their products, the weights that
//! follow, and what is done with them.

use std::ops::Range;

use super::balancing::{
    Gramian, Way, joined, longest, pairs, plane_regions, slices_of, state_len, weights_len,
};
use super::builder::{Builder, CouplingTable};
use crate::config::{Acts, Balancer, Metric, Normalize};
use crate::kernels::params::{self, NONE, Solve, solve};
use crate::kernels::{self, Kernel};
use crate::model::layout::ALIGN;
use crate::objective::Phase;
use crate::objective::balance::{Memory, Method};
use crate::plan::{
    Backward, BalanceBuffers, ByRows, Chunk, CombineGroup, Deep, SharedBackward, Views, WeightRun,
    block, layer_name,
};
use crate::schedule::{Buffer, Dispatch, Effect, Slice, slices};

/// The largest number of workgroups of a kernel that goes through a run in turns.
const MOST_GROUPS: usize = 256;

/// Rows and columns of a tile of `row_products`.
const ROW_TILE: [usize; 2] = [16, 16];

/// Likewise on software adapters.
const ROW_TILE_DIRECT: [usize; 2] = [8, 32];

/// The largest number of tasks that solvers for software adapters have room for.
const MOST_DIRECT: usize = 32;

/// The number that ExcessMTL adds to sums of squares before it takes their root.
const SQUARES_EPS: f32 = 1e-7;

/// The tasks whose deltas are combined, in units of workgroups of 64 for the longest run.
fn groups(longest: usize) -> u32 {
    longest.div_ceil(64).clamp(1, MOST_GROUPS) as u32
}

impl Builder<'_> {
    fn tasks(&self) -> usize {
        self.scene.network.tasks.len()
    }

    /// Number of objectives that are balanced: the tasks, and behind them perhaps the couplings.
    fn objectives(&self) -> usize {
        self.objective.objectives()
    }

    fn gramian(&self) -> Gramian {
        Gramian { objectives: self.objectives() }
    }

    fn b(&self) -> &BalanceBuffers {
        &self.scene.buffers.balance
    }

    fn views(&self) -> Option<&Views> {
        self.scene.plan.views.as_ref()
    }

    fn deep(&self) -> Option<(&Views, &Deep)> {
        let views = self.views()?;
        views.deep.as_ref().map(|deep| (views, deep))
    }

    fn method(&self) -> Option<&'static dyn Method> {
        self.objective.solver()
    }

    /// Whether a solve needs the losses of the batch.
    fn needs_losses(&self) -> bool {
        let balance = &self.objective.balance;
        matches!(balance.normalize, Normalize::Loss | Normalize::LossNorm)
            || (matches!(balance.method.acts(), Acts::Losses | Acts::Before | Acts::Sizes)
                && !matches!(balance.method, Balancer::Random))
    }

    /// The backward pass of the private nodes of a chunk.
    pub(super) fn private_backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        let views = self.views();
        views.map_or(Vec::new(), |views| self.backward_steps(&views.private, chunk))
    }

    /// The planes of a chunk.
    pub(super) fn planes(&self, chunk: Chunk) -> Vec<Dispatch> {
        let planes = self.views().and_then(|views| views.planes.as_ref());
        planes.map_or(Vec::new(), |planes| self.backward_steps(&planes.backward, chunk))
    }

    /// The backward pass of the shared nodes from planes on.
    pub(super) fn shared_backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        let planes = self.views().and_then(|views| views.planes.as_ref());
        let of = |step: &SharedBackward| match step {
            SharedBackward::Usual(step) => self.backward_steps(std::slice::from_ref(step), chunk),
            SharedBackward::Combine(group) => vec![self.combine(group, chunk)],
        };
        planes.into_iter().flat_map(|planes| &planes.shared).flat_map(of).collect()
    }

    /// How the weights of the tasks come into a step that solves or does not.
    pub(super) fn way(&self, solves: bool) -> Way {
        match Way::of(self.objective, solves) {
            Way::Deep if self.by_rows().is_some() => Way::ByRows,
            way => way,
        }
    }

    fn by_rows(&self) -> Option<(&Views, &ByRows)> {
        let (views, deep) = self.deep()?;
        deep.by_rows.as_ref().map(|by_rows| (views, by_rows))
    }

    /// The deltas of shared nodes by task, and the gradients of shared parameters by task.
    pub(super) fn deep_backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        let mut dispatches = self.deep_deltas(chunk);
        dispatches.extend(self.deep_gradients(chunk));
        dispatches
    }

    /// The deltas of shared nodes by task.
    pub(super) fn deep_deltas(&self, chunk: Chunk) -> Vec<Dispatch> {
        self.deep().map_or(Vec::new(), |(_, deep)| self.backward_steps(&deep.backward, chunk))
    }

    /// The gradients of shared parameters by task, from these deltas.
    pub(super) fn deep_gradients(&self, chunk: Chunk) -> Vec<Dispatch> {
        let Some((_, deep)) = self.deep() else { return Vec::new() };
        let target = self.b().task_gradients;
        let mut dispatches = Vec::new();
        let runs = deep.weights.iter();
        dispatches
            .extend(runs.flat_map(|run| self.weight_gradients(run, "by task", target, chunk)));
        dispatches.extend(self.constant_gradients(&deep.constants, target, chunk));
        dispatches.extend(self.vectors_by_task(deep, chunk));
        dispatches
    }

    /// The weight gradients of private layers.
    pub(super) fn private_gradients(&self, chunk: Chunk) -> Vec<Dispatch> {
        let Some(views) = self.views() else { return Vec::new() };
        let target = self.scene.buffers.gradients;
        let weights =
            self.weight_gradients(&views.private_weights, "layers of tasks", target, chunk);
        let constants = self.constant_gradients(&views.private_constants, target, chunk);
        weights.into_iter().chain(constants).collect()
    }

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

    /// The memory of gradients by task that the method keeps, if it keeps one.
    fn memory(&self) -> Option<Memory> {
        self.method().and_then(|method| method.memory())
    }

    /// The gradients that a solve compares and combines.
    fn combined(&self) -> Buffer {
        let b = self.b();
        if self.memory() == Some(Memory::Averages) { b.next_memory } else { b.task_gradients }
    }

    /// Keeps what the method keeps of the gradients of each task.
    pub(super) fn remember(&self) -> Option<Dispatch> {
        let (memory, (_, deep)) = (self.memory()?, self.deep()?);
        let (b, tasks, at) = (&self.scene.buffers, self.tasks(), self.gramian());
        let [beta, power] = self.method()?.numbers(self.objective.balance.method);
        let (stride, losses) = (deep.stride as u32, at.losses() as u32);
        let parameters = params::GradientMemory { stride, losses, beta, power };
        let grid = [groups(deep.stride.div_ceil(4)), tasks as u32, 1];
        let len = tasks * deep.stride;
        Some(
            Dispatch::new(&kernels::gradient_memory, "gradients of tasks", parameters, grid)
                .constant("SQUARES", f64::from(u8::from(memory == Memory::Squares)))
                .bind([("task_gradients", b.balance.task_gradients), ("memory", b.balance.memory)])
                .bind([("gramian", b.balance.gramian), ("next_memory", b.balance.next_memory)])
                .reads(self.run(b.balance.task_gradients, 0, len))
                .reads(self.run(b.balance.gramian, at.losses(), tasks))
                .reads(self.run(b.balance.memory, 0, len))
                .overwrites(self.run(b.balance.next_memory, 0, len)),
        )
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
            after: u32::from(after),
        };
        let label = if after { "change of shared layers" } else { "shared layers before" };
        let effect = if after { Effect::Update } else { Effect::Overwrite };
        let grid = [groups(longest), runs as u32, 1];
        Dispatch::new(&kernels::parameter_change, label, parameters, grid)
            .bind([("runs", b.balance.runs), ("parameters", b.parameters)])
            .bind([("task_gradients", b.balance.task_gradients)])
            .reads(self.run_parameters(b.parameters))
            .effect(effect, self.run(b.balance.task_gradients, change, stride))
    }

    /// The buffer of what is kept of the gradients of the tasks, if the method keeps something.
    pub(super) fn memory_buffer(&self) -> Option<Buffer> {
        self.memory().map(|_| self.b().memory)
    }

    /// Elements of what is kept of the gradients of the tasks.
    fn memory_len(&self) -> usize {
        self.deep().map_or(0, |(_, deep)| self.tasks() * deep.stride)
    }

    fn run(&self, buffer: Buffer, first: usize, len: usize) -> Vec<Slice> {
        if len > 0 { slices(buffer, [(first, len)]) } else { Vec::new() }
    }

    /// The runs of shared parameters, in an arena of them.
    fn run_parameters(&self, buffer: Buffer) -> Vec<Slice> {
        let Some((views, deep)) = self.deep() else { return Vec::new() };
        let runs = &views.runs[deep.runs.0..deep.runs.0 + deep.runs.1];
        slices(buffer, runs.iter().map(|run| (run.parameter as usize, run.len as usize)))
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

    /// The rule by which numbers of the state are learned, and its numbers β1, β2 and ε.
    fn rule(&self) -> (u32, [f64; 3]) {
        const ADAM: (bool, [f64; 3]) = (false, [0.9, 0.999, 1e-8]);
        let (descends, numbers) = self.optimizer.map_or(ADAM, |kind| kind.rule());
        (u32::from(descends), numbers)
    }

    /// Finds the weights; `after` is the second part of a method that looks at the losses after the
    /// update.
    pub(super) fn solve(&self, after: bool) -> Option<Dispatch> {
        let (b, at, tasks) = (&self.scene.buffers, self.gramian(), self.objectives());
        let method = self.method()?;
        let balancer = self.objective.balance.method;
        let [a, second] = method.numbers(balancer);
        let (rule, [beta1, beta2, eps]) = if after { (0, [0.9, 0.999, 1e-8]) } else { self.rule() };
        let state = state_len(self.objective, tasks);
        let inverses = self.scene.counts.map(|first| first + 2 * self.tasks());
        let parameters = Solve {
            tasks: tasks as u32,
            method: if after { solve::FAMO_AFTER } else { method.code(balancer) },
            scaled: at.scaled() as u32,
            losses: at.losses() as u32,
            inverses: inverses.map_or(NONE, |first| first as u32),
            weights: self.weights as u32,
            state: state as u32,
            flag: self.loss_flags,
            per_epoch: self.objective.per_epoch.min(u64::from(u32::MAX)) as u32,
            rule,
            a,
            b: second,
            beta1: beta1 as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            beta2: beta2 as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            eps: eps as f32,
        };
        let of = &b.balance;
        let code = parameters.method;
        let kernel = self.solving(method);
        let dispatch = Dispatch::new(kernel, method.name(), parameters, [1, 1, 1])
            .constant("TASKS", tasks as f64)
            .bind([("gramian", of.gramian), ("partials", b.partials)])
            .bind([("next_balance", of.next_balance)]);
        let scaled = self.run(of.gramian, at.scaled(), at.scaled() + tasks);
        let weights = self.run(b.partials, self.weights, tasks);
        let with_residual = self.run(b.partials, self.weights, tasks + 1);
        let next = self.run(of.next_balance, 0, state);
        Some(match kernel.name {
            "loss_weights" => {
                let acts = balancer.acts();
                let before = acts == Acts::Before;
                let by_size = matches!(acts, Acts::Before | Acts::Sizes);
                let losses =
                    self.run(of.gramian, at.losses(), if after { 2 * tasks } else { tasks });
                let uses_losses = !matches!(balancer, Balancer::Random);
                let dispatch = dispatch
                    .constant("METHOD", f64::from(code))
                    .constant("COUNTED", f64::from(u8::from(inverses.is_some())))
                    .constant("DESCENT", f64::from(rule))
                    .bind([("preferences", of.preferences), ("balance", of.balance)])
                    .bind([("flags", b.flags)])
                    .reads(losses.into_iter().filter(|_| uses_losses))
                    .reads(scaled.into_iter().filter(|_| by_size))
                    .reads(slices(b.partials, inverses.map(|first| (first, tasks))))
                    .reads([self.program.whole(of.preferences)])
                    .reads([self.program.whole(of.balance)]);
                match (after, before) {
                    (true, _) => dispatch.updates(next),
                    (_, true) => dispatch.overwrites(next),
                    _ => dispatch.overwrites(next).overwrites(weights),
                }
            }
            "pairwise_projection" => dispatch
                .constant("METHOD", f64::from(code))
                .bind([("balance", of.balance), ("work", of.work)])
                .reads(scaled)
                .reads(self.run(of.balance, tasks + 1, method.state(tasks)))
                .overwrites(next)
                .overwrites(with_residual),
            "conflict_averse" => dispatch.reads(scaled).overwrites(next).overwrites(with_residual),
            _ if kernel.direct => dispatch
                .constant("METHOD", f64::from(code))
                .reads(scaled)
                .overwrites(next)
                .overwrites(with_residual),
            _ => dispatch
                .constant("METHOD", f64::from(code))
                .bind([("work", of.work)])
                .reads(scaled)
                .overwrites(next)
                .overwrites(with_residual),
        })
    }

    /// The kernel of a method for these tasks.
    fn solving(&self, method: &dyn Method) -> &'static Kernel {
        match self.objectives() <= MOST_DIRECT {
            true => self.scene.tuning.kernel(method.kernel()),
            false => method.kernel(),
        }
    }

    /// Takes the weights from the state of the step before.
    pub(super) fn recall(&self) -> Option<Dispatch> {
        self.method()?;
        let count = weights_len(self.objective, self.objectives());
        let b = &self.scene.buffers;
        let parameters = params::CopyNumbers {
            count: count as u32,
            first: 0,
            target_first: self.weights as u32,
            latched: 0,
        };
        let grid = [groups(count), 1, 1];
        Some(
            Dispatch::new(&kernels::copy_numbers, "weights as before", parameters, grid)
                .bind([("source", b.balance.balance), ("copied", b.partials)])
                .bind([("flags", b.flags)])
                .reads(self.run(b.balance.balance, 0, count))
                .overwrites(self.run(b.partials, self.weights, count)),
        )
    }

    /// Keeps the new state, unless a value was not finite.
    pub(super) fn keep(&self) -> Vec<Dispatch> {
        let b = self.b();
        let state = self.method().map(|_| ("state", b.next_balance, b.balance));
        let memory = self.memory().map(|_| ("memory", b.next_memory, b.memory));
        let kept = |(label, from, to): (&str, Buffer, Buffer)| {
            let len = self.program.buffers[to.0].len;
            let parameters =
                params::CopyNumbers { count: len as u32, first: 0, target_first: 0, latched: 1 };
            Dispatch::new(&kernels::copy_numbers, label, parameters, [groups(len), 1, 1])
                .bind([("source", from), ("copied", to)])
                .bind([("flags", self.scene.buffers.flags)])
                .reads([self.program.whole(from)])
                .updates([self.program.whole(to)])
        };
        state.into_iter().chain(memory).map(kept).collect()
    }

    /// Scales the gradients of the logits by the weights of the tasks, or by zero where couplings
    /// go apart.
    pub(super) fn scale_logits(&self, chunk: Chunk) -> Dispatch {
        let (b, tasks) = (&self.scene.buffers, self.tasks());
        let parameters = params::CombineDeltas {
            rows: chunk.rows as u32,
            first: 0,
            combinations: tasks as u32,
            weights: self.weights as u32,
        };
        let logits =
            |task: usize| (self.scene.logits(task).0, chunk.rows * self.scene.logits(task).1);
        let longest = (0..tasks).map(|task| logits(task).1).max().unwrap_or(0);
        let grid = [groups(longest), tasks as u32, 1];
        let places = (0..tasks).map(|task| logits(task).0 as u32);
        let clears = self.objective.couples_apart();
        let (label, weights, effect) = match clears {
            true => ("nothing yet", 0, Effect::Overwrite),
            false => ("heads", tasks, Effect::Update),
        };
        Dispatch::new(self.combining(places), label, parameters, grid)
            .bind([("combinations", b.balance.scaled_logits)])
            .bind([("plane_terms", b.balance.scaled_terms), ("slope", b.logits)])
            .bind([("partials", b.partials), ("delta", b.logits_delta)])
            .reads(self.run(b.partials, self.weights, weights))
            .effect(effect, slices(b.logits_delta, (0..tasks).map(logits)))
    }

    /// The kernel that combines planes at these places.
    fn combining(&self, mut places: impl Iterator<Item = u32>) -> &'static Kernel {
        let plain = &kernels::combine_deltas;
        if places.all(|place| place % 4 == 0) { self.scene.tuning.kernel(plain) } else { plain }
    }

    /// The deltas of shared nodes from those by task.
    pub(super) fn combine_by_rows(&self, chunk: Chunk) -> Vec<Dispatch> {
        let groups = self.by_rows().map_or(&[][..], |(_, by_rows)| &by_rows.combine);
        groups.iter().map(|group| self.combine(group, chunk)).collect()
    }

    /// The deltas of boundary nodes from their planes.
    fn combine(&self, group: &CombineGroup, chunk: Chunk) -> Dispatch {
        let (b, rows) = (&self.scene.buffers, chunk.rows);
        let empty = Views::default();
        let views = self.views().unwrap_or(&empty);
        let here = usize::from(group.odd);
        let nodes = &views.combinations[group.first..group.first + group.count];
        let terms = nodes.iter().flat_map(|node| {
            let terms = &views.terms[node.first_term as usize..][..node.terms as usize];
            terms.iter().map(move |term| block(term.place, rows, node.width))
        });
        let slopes = nodes.iter().filter(|node| node.slope != NONE);
        let longest = nodes.iter().map(|node| rows * node.width as usize).max().unwrap_or(0);
        let grid = [groups(longest), group.count as u32, 1];
        let (first, combinations) = (group.first as u32, group.count as u32);
        let drops = match self.objective.balance.method {
            Balancer::Graddrop { leak } => Some(leak as f32),
            _ => None,
        };
        let label = group.label.clone();
        let dispatch = match drops {
            Some(leak) => {
                let chunk_first = chunk.first as u32;
                let parameters = params::DropDeltas {
                    rows: rows as u32,
                    chunk_first,
                    first,
                    combinations,
                    leak,
                };
                Dispatch::new(&kernels::drop_deltas, label, parameters, grid)
            }
            None => {
                let weights = self.weights as u32;
                let parameters =
                    params::CombineDeltas { rows: rows as u32, first, combinations, weights };
                let places = nodes.iter().flat_map(|n| {
                    let terms = &views.terms[n.first_term as usize..][..n.terms as usize];
                    let slope = (n.slope != NONE).then_some(n.slope);
                    terms.iter().map(|term| term.place).chain(slope).chain([n.delta])
                });
                Dispatch::new(self.combining(places), label, parameters, grid)
                    .bind([("partials", b.partials)])
                    .reads(self.run(b.partials, self.weights, self.objectives()))
            }
        };
        dispatch
            .bind([("combinations", b.balance.combinations)])
            .bind([("plane_terms", b.balance.plane_terms)])
            .bind([("slope", b.activations[here]), ("delta", b.deltas[here])])
            .reads(slices(b.deltas[here], terms))
            .reads(slices(b.activations[here], slopes.map(|n| block(n.slope, rows, n.width))))
            .overwrites(slices(b.deltas[here], nodes.iter().map(|n| block(n.delta, rows, n.width))))
    }

    /// What couplings of logits add to the gradients of a chunk, where they go through the network
    /// apart from the losses.
    pub(super) fn add_couplings(&self, tables: &[CouplingTable], chunk: Chunk) -> Vec<Dispatch> {
        let again = chunk.once_more();
        let mut dispatches = self.couplings_alone(tables, chunk);
        dispatches.extend(self.backward_steps(&self.scene.plan.backward, again));
        dispatches.extend(self.gradients(again));
        dispatches
    }

    /// Whether couplings of logits are added to what a balancer makes of the tasks.
    pub(super) fn adds_couplings(&self) -> bool {
        self.objective.couples_apart() && !self.objective.balances_couplings()
    }

    /// The gradients of the logits, as couplings alone have them.
    fn couplings_alone(&self, tables: &[CouplingTable], chunk: Chunk) -> Vec<Dispatch> {
        let clear = self.scale_logits(chunk);
        [clear].into_iter().chain(self.couple(tables, Phase::Logits, chunk, true)).collect()
    }

    /// The gradients of the couplings of a chunk, which are one more objective: with `planes` those
    /// of boundary values, with `deep` those of shared parameters, behind the ones by task. Layers
    /// of single tasks keep the deltas that couplings give them.
    pub(super) fn couplings_as_objective(
        &self,
        tables: &[CouplingTable],
        chunk: Chunk,
        (planes, deep): (bool, bool),
    ) -> Vec<Dispatch> {
        let again = chunk.once_more();
        let mut dispatches = self.couplings_alone(tables, chunk);
        match self.deep().filter(|_| deep) {
            Some((_, deep)) => {
                let target = self.b().task_gradients;
                dispatches.extend(self.backward_steps(&self.scene.plan.backward, again));
                let runs = deep.coupling_weights.iter();
                let weights =
                    runs.flat_map(|run| self.weight_gradients(run, "couplings", target, chunk));
                dispatches.extend(weights);
                dispatches.extend(self.constant_gradients(&deep.coupling_constants, target, chunk));
                dispatches.extend(self.vectors_of_couplings(deep, chunk));
            }
            None => dispatches.extend(self.private_backward(again)),
        }
        let views = self.views().and_then(|views| views.planes.as_ref()).filter(|_| planes);
        dispatches.extend(views.iter().flat_map(|p| self.backward_steps(&p.couplings, again)));
        dispatches
    }

    /// The gradients of shared parameters alone, from the deltas.
    pub(super) fn shared_gradients(&self, chunk: Chunk) -> Vec<Dispatch> {
        let Some(views) = self.views() else { return Vec::new() };
        let target = self.scene.buffers.gradients;
        let weights = self.weight_gradients(&views.shared_weights, "shared layers", target, chunk);
        let constants = self.constant_gradients(&views.shared_constants, target, chunk);
        let vectors = self.embedding_backward(chunk);
        weights.into_iter().chain(constants).chain(vectors).collect()
    }

    /// Sets the gradients of shared parameters to zero.
    pub(super) fn clear_gradients(&self) -> Option<Dispatch> {
        self.combined_gradients(0, "nothing yet", false)
    }

    /// The gradients of shared parameters from those by task, added to those of couplings.
    pub(super) fn combine_gradients(&self) -> Option<Dispatch> {
        self.combined_gradients(self.objectives(), "shared layers", self.adds_couplings())
    }

    fn combined_gradients(&self, tasks: usize, label: &str, adds: bool) -> Option<Dispatch> {
        let (views, deep) = self.deep()?;
        let b = &self.scene.buffers;
        let (first, count) = deep.runs;
        let runs = &views.runs[first..first + count];
        let longest = runs.iter().map(|run| run.len as usize).max().unwrap_or(0);
        let (first, runs, stride) = (first as u32, count as u32, deep.stride as u32);
        let (number, flag) = (tasks as u32, self.balance_flag);
        let effect = if adds { Effect::Update } else { Effect::Overwrite };
        let dispatch = match self.objective.balance.method {
            Balancer::Graddrop { leak } => {
                let parameters = params::DropGradients {
                    first,
                    runs,
                    tasks: number,
                    stride,
                    leak: leak as f32,
                    flag,
                };
                let grid = [groups(longest), runs, 1];
                Dispatch::new(&kernels::drop_gradients, label, parameters, grid)
            }
            _ => {
                let weights = self.weights as u32;
                let parameters =
                    params::CombineGradients { first, runs, tasks: number, stride, weights, flag };
                let grid = [groups(longest.div_ceil(4)), runs, 1];
                let kernel = self.scene.tuning.kernel(&kernels::combine_gradients);
                Dispatch::new(kernel, label, parameters, grid)
                    .constant("TASKS", tasks as f64)
                    .bind([("partials", b.partials)])
                    .reads(self.run(b.partials, self.weights, tasks))
            }
        };
        Some(
            dispatch
                .bind([("runs", b.balance.runs), ("task_gradients", self.combined())])
                .bind([("gradients", b.gradients), ("flags", b.flags)])
                .constant("ACCUMULATE", f64::from(u8::from(adds)))
                .reads(self.run(self.combined(), 0, tasks * deep.stride))
                .effect(effect, self.run_parameters(b.gradients)),
        )
    }

    /// The gradients by task that nobody writes, since a task has none there: they stay zero.
    pub(super) fn idle_gradients(&self) -> Vec<Slice> {
        let Some((views, deep)) = self.deep() else { return Vec::new() };
        if deep.by_rows.is_some() && self.objective.balance.observe == 0 {
            return Vec::new();
        }
        let layout = self.scene.layout;
        let mut idle = Vec::new();
        for (number, region) in (deep.regions.0..).zip(&deep.region_nodes) {
            let places = &views.places[views.regions[number].first as usize..];
            let blocks = || deep.blocks.iter().filter(|b| b.node == *region);
            for (task, place) in places.iter().enumerate().take(self.objectives()) {
                idle.extend(blocks().map(|b| {
                    let len = layout.blocks[b.block].len;
                    let whole = len.next_multiple_of(ALIGN);
                    let first = task * deep.stride + b.place;
                    if *place == NONE { (first, whole) } else { (first + len, whole - len) }
                }));
            }
        }
        slices(self.b().task_gradients, idle.into_iter().filter(|(_, len)| *len > 0))
    }

    /// The names of the shared layers in the order in which they are observed.
    pub(super) fn shared_layers(&self) -> Vec<String> {
        let Some((_, deep)) = self.deep() else { return Vec::new() };
        deep.region_nodes.iter().map(|node| layer_name(self.scene.layout, *node)).collect()
    }

    /// The dispatches of backward steps.
    fn backward_steps(&self, steps: &[Backward], chunk: Chunk) -> Vec<Dispatch> {
        steps.iter().flat_map(|step| self.backward_step(step, chunk)).collect()
    }
}
