//! The dispatches of balancing: the gradients of the tasks apart, and what is done with them once
//! their weights are known. `compare` has their products, `solve` the weights.

use super::balancing::{Gramian, Way};
use super::builder::{Builder, CouplingTable};
use crate::config::Balancer;
use crate::kernels::params::{self, NONE};
use crate::kernels::{self, Kernel};
use crate::model::layout::ALIGN;
use crate::objective::Phase;
use crate::objective::balance::{Memory, Method};
use crate::plan::{
    Backward, BalanceBuffers, ByRows, Chunk, CombineGroup, Deep, SharedBackward, Views, block,
    layer_name,
};
use crate::schedule::{Buffer, Dispatch, Effect, Slice, slices};

/// The largest number of workgroups of a kernel that goes through a run in turns.
const MOST_GROUPS: usize = 256;

/// Workgroups of 64 invocations for the longest of several runs.
pub(super) fn groups(longest: usize) -> u32 {
    longest.div_ceil(64).clamp(1, MOST_GROUPS) as u32
}

impl Builder<'_> {
    pub(super) fn tasks(&self) -> usize {
        self.scene.network.tasks.len()
    }

    /// Number of objectives that are balanced: the tasks, and behind them perhaps the couplings.
    pub(super) fn objectives(&self) -> usize {
        self.objective.objectives()
    }

    pub(super) fn gramian(&self) -> Gramian {
        Gramian { objectives: self.objectives() }
    }

    pub(super) fn b(&self) -> &BalanceBuffers {
        &self.scene.buffers.balance
    }

    pub(super) fn views(&self) -> Option<&Views> {
        self.scene.plan.views.as_ref()
    }

    pub(super) fn deep(&self) -> Option<(&Views, &Deep)> {
        let views = self.views()?;
        views.deep.as_ref().map(|deep| (views, deep))
    }

    pub(super) fn method(&self) -> Option<&'static dyn Method> {
        self.objective.solver()
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

    pub(super) fn by_rows(&self) -> Option<(&Views, &ByRows)> {
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

    /// The memory of gradients by task that the method keeps, if it keeps one.
    pub(super) fn memory(&self) -> Option<Memory> {
        self.method().and_then(|method| method.memory())
    }

    /// The gradients that a solve compares and combines.
    pub(super) fn combined(&self) -> Buffer {
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

    /// The buffer of what is kept of the gradients of the tasks, if the method keeps something.
    pub(super) fn memory_buffer(&self) -> Option<Buffer> {
        self.memory().map(|_| self.b().memory)
    }

    /// Elements of what is kept of the gradients of the tasks.
    pub(super) fn memory_len(&self) -> usize {
        self.deep().map_or(0, |(_, deep)| self.tasks() * deep.stride)
    }

    pub(super) fn run(&self, buffer: Buffer, first: usize, len: usize) -> Vec<Slice> {
        if len > 0 { slices(buffer, [(first, len)]) } else { Vec::new() }
    }

    /// The runs of shared parameters, in an arena of them.
    pub(super) fn run_parameters(&self, buffer: Buffer) -> Vec<Slice> {
        let Some((views, deep)) = self.deep() else { return Vec::new() };
        let runs = &views.runs[deep.runs.0..deep.runs.0 + deep.runs.1];
        slices(buffer, runs.iter().map(|run| (run.parameter as usize, run.len as usize)))
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
