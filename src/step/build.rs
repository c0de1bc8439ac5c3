//! Builds the program of a network: its buffers, the training step, and an evaluation step for each
//! part of the data.

use anyhow::Result;

use super::balancing::{self, Turn, Way};
use super::builder::{Builder, CouplingTable};
use super::embed;
use super::request::{Built, Request, Turns};
use crate::config::Optimizer;
use crate::fault::{Exit, Fault};
use crate::kernels::MAX_GROUPS;
use crate::objective::Phase;
use crate::plan::{Chunk, LayerPlan, Shards};
use crate::schedule::{Dispatch, MetricKind};

/// Rows of an evaluation step, where memory and time allow.
const EVALUATE_ROWS: usize = 512;

/// Rows of the lowest tile of a product kernel.
const LEAST_TILE_ROWS: usize = 16;

/// The largest number of rows of a chunk for which each arena fits a binding and no dispatch takes
/// too long.
///
/// # Errors
/// 69 if not even one row fits a binding.
fn chunk_limit(request: &Request) -> Result<usize> {
    let Request { network, layout, tuning, .. } = *request;
    let codes = embed::cells_per_row(request.spread);
    let tasks = network.tasks.len();
    // Partial sums per row: losses and hits of each task, a value of each coupled pair, weights of
    // gates.
    let wanted = balancing::wanted_views(request);
    let plan = LayerPlan::with_views(network, layout, tuning, 1, wanted);
    balancing::check_size(request, &plan)?;
    let pairs = tasks * tasks.saturating_sub(1) / 2;
    let partials = 5 * tasks + pairs + plan.mixing.partials_per_row();
    let per_row = plan.elements_per_row().max(partials).max(codes);
    let by_binding = (tuning.binding_bytes / 4) as usize / per_row.max(1);
    let flop = plan.flop_per_row().max(1);
    let by_time = usize::try_from(tuning.flop_per_dispatch / flop).unwrap_or(usize::MAX).max(32);
    if by_binding == 0 || 4 * layout.len as u64 > tuning.binding_bytes {
        let wanted = 4 * layout.len.max(per_row) as u64;
        let message = format!(
            "the network needs a storage binding of {wanted} bytes; this adapter offers {}",
            tuning.binding_bytes
        );
        return Err(Fault::new(Exit::Unavailable, message)
            .hint(
                "use narrower layers or fewer vectors (max_values, buckets, embed), or another \
                 adapter (see tandem devices)",
            )
            .into());
    }
    let limit = by_binding.min(by_time).min(tuning.rows).min(MAX_GROUPS as usize * LEAST_TILE_ROWS);
    // Whole vec4s, and whole tiles where possible; equal for all shapes of tiles, since they have
    // to give equal bits.
    Ok([32, 4].into_iter().find(|n| limit >= *n).map_or(limit, |n| limit / n * n))
}

/// Checks that a sentence is one chunk, and where tokens are pooled a batch.
///
/// # Errors
/// 69 if it has to be cut.
fn check_pools(request: &Request, batch: usize, limit: usize) -> Result<()> {
    let tokens = request.parts.iter().filter_map(|part| part.tokens.as_ref());
    let longest = tokens.map(|tokens| tokens.longest()).max().unwrap_or(0);
    let least = if request.layout.graph.pools() { batch.max(longest) } else { longest };
    if least <= limit {
        return Ok(());
    }
    let found = format!(
        "{least} tokens of whole sentences have to be in memory at once, and {limit} is all that \
         fits"
    );
    Err(Fault::new(Exit::Unavailable, found)
        .hint(match request.optimizer {
            Some(_) => {
                "a smaller train.batch_size, narrower layers, train.accumulate = 1, or \
                        shorter sentences"
            }
            None => "cut long sentences by blank lines, or use another adapter (tandem devices)",
        })
        .into())
}

/// Builds the program.
///
/// # Errors
/// 69 if the network does not fit the adapter's bindings.
pub fn build(request: &Request) -> Result<Built> {
    let limit = chunk_limit(request)?;
    let batch = if request.optimizer.is_some() { request.batch } else { 1 };
    check_pools(request, batch, limit)?;
    let longest = request.parts.iter().map(|p| p.rows).max().unwrap_or(1);
    let tokens = request.parts.iter().filter_map(|part| part.tokens.as_ref());
    let sentence = tokens.map(|tokens| tokens.longest()).max().unwrap_or(0);
    let evaluate_rows = EVALUATE_ROWS.max(batch).max(sentence).min(limit).min(longest).max(1);
    let rows = batch.div_ceil(request.shards.count).min(limit).max(evaluate_rows);
    // Whole vec4s of rows, so that blocks of activations begin where a vec4 begins.
    let capacity = if limit >= 4 { rows.next_multiple_of(4) } else { rows };
    let mut builder = Builder::new(request, capacity, limit);
    builder.place_data(request);
    let tables = builder.place_couplings();
    builder.place_metrics(&tables, request.optimizer.is_some_and(|o| o.clip_norm > 0.0));
    builder.place_shards();
    let mut evaluate = Vec::new();
    let turns = request.optimizer.map(|optimizer| {
        let balance = &request.objective.balance;
        let mut turn = |solves: bool, observes: bool| {
            builder.train(request, optimizer, &tables, (limit, Turn { solves, observes }))
        };
        let train = turn(true, false);
        let has_method = request.objective.method().is_some();
        let kept = (has_method && balance.every > 1).then(|| turn(false, false));
        let observed = (balance.observe > 0).then(|| turn(true, true));
        Turns { train, kept, observed, every: balance.every, observe: balance.observe }
    });
    for part in 0..request.parts.len() {
        evaluate.push(builder.evaluate(part, &tables, evaluate_rows));
    }
    let logits = (0..request.network.tasks.len()).map(|t| builder.scene.logits(t)).collect();
    let (counting, spans) = (builder.scene.counting, builder.scene.spans);
    let capacity = builder.scene.plan.capacity;
    let gates = builder.scene.plan.mixing.names.clone();
    let shared_layers = builder.shared_layers();
    let (program, buffers, parts) = (builder.program, builder.scene.buffers, builder.parts);
    let train = turns.map(|turns| turns.train);
    Ok(Built {
        capacity,
        spans,
        program,
        buffers,
        parts,
        train,
        turns,
        evaluate,
        evaluate_rows,
        logits,
        counting,
        tasks: request.network.tasks.len(),
        objectives: request.objective.objectives(),
        shared_layers,
        gates,
    })
}

/// A training step under construction.
pub(super) struct Step<'s> {
    shuffled: bool,
    tables: &'s [CouplingTable],
    /// The chunks of each shard.
    pub(super) shards: &'s [Vec<Chunk>],
    /// The first chunk.
    first: Chunk,
    turn: Turn,
}

impl Step<'_> {
    /// True if a batch has more than one chunk.
    fn is_cut(&self, shards: Shards) -> bool {
        shards.cuts() || self.shards.iter().any(|chunks| chunks.len() > 1)
    }
}

impl<'a> Builder<'a> {
    /// Adds the schedule of the training step and returns its number.
    fn train(
        &mut self,
        request: &Request,
        optimizer: &Optimizer,
        tables: &[CouplingTable],
        (limit, turn): (usize, Turn),
    ) -> usize {
        let shards = self.shards.chunks(request.batch, self.scene.plan.capacity.min(limit));
        let first = shards[0][0];
        let mut dispatches = self.count(0, request.shuffled);
        let step = Step { shuffled: request.shuffled, tables, shards: &shards, first, turn };
        dispatches.extend(self.descent(&step));
        dispatches.extend(self.couple(tables, Phase::Weights, step.first, true));
        if optimizer.clip_norm > 0.0 {
            dispatches.push(self.gradient_norm());
        }
        let first = if step.is_cut(self.shards) { self.chunk_metrics } else { 0 };
        let last = self.program.metrics.len() - self.watched();
        if first < last {
            dispatches.push(self.reduce(first, last - first, step.first));
        }
        if turn.observes {
            dispatches.push(self.change(false));
        }
        dispatches.push(self.update(optimizer));
        dispatches.extend(self.after_update(&step));
        let b = &self.scene.buffers;
        let mut wanted = vec![b.parameters, b.metrics];
        wanted.extend(request.objective.solver().map(|_| b.balance.balance));
        wanted.extend(turn.observes.then_some(b.balance.conflict));
        wanted.extend(self.memory_buffer());
        wanted.extend(request.objective.solver().map(|_| b.balance.gramian));
        let name = match turn {
            Turn { observes: true, .. } => "train and observe",
            Turn { solves: false, .. } => "train with the weights of the step before",
            _ => "train",
        };
        self.finish(name, dispatches, 0, &wanted, request.batch)
    }

    /// The forward and the backward pass of a step, chunk by chunk, with the weights of the tasks
    /// in between where they follow from the whole batch.
    fn descent(&self, step: &Step) -> Vec<Dispatch> {
        let way = self.way(step.turn.solves);
        let is_balanced = self.objective.balances_couplings();
        let mut dispatches = Vec::new();
        let solves = step.turn.solves && self.objective.balance.method.solves();
        if way == Way::Before || (!step.turn.solves && way != Way::Constant) {
            dispatches.extend(self.recall());
        }
        // Weights that follow from the batch are known when all its chunks were seen once.
        let is_cut = step.is_cut(self.shards);
        let is_swept_twice = is_cut && solves && matches!(way, Way::Losses | Way::Planes);
        if is_swept_twice {
            let of_chunk = |chunk: Chunk| {
                let mut ahead = self.ahead(step, chunk, way);
                if way == Way::Planes && is_balanced {
                    ahead.extend(self.couplings_as_objective(step.tables, chunk, (true, false)));
                }
                let ahead = ahead.into_iter().map(Dispatch::in_part);
                ahead.chain(self.measured(step, chunk, way)).collect()
            };
            let sums = self.sums_of_measured(way);
            dispatches.extend(self.over_batch(step, of_chunk, &sums));
            if way == Way::Planes && self.shards.cuts() {
                dispatches.push(self.scale_products());
            }
            dispatches.extend(self.solve(false));
        }
        let is_looked_at = matches!(way, Way::Before | Way::Deep);
        let of_chunk = |chunk: Chunk| {
            let mut dispatches = self.ahead(step, chunk, way);
            if way == Way::Planes && is_balanced {
                dispatches.extend(self.private_gradients(chunk));
                if step.turn.observes {
                    dispatches.extend(self.deep_backward(chunk));
                }
                let wanted = (true, step.turn.observes);
                dispatches.extend(self.couplings_as_objective(step.tables, chunk, wanted));
                dispatches.extend(self.private_gradients(chunk.once_more()));
            }
            if solves && !is_swept_twice && matches!(way, Way::Losses | Way::Planes | Way::ByRows) {
                dispatches.extend(self.measured(step, chunk, way));
                dispatches.extend(self.solve(false));
            } else if matches!(way, Way::Before | Way::Deep) && solves {
                dispatches.extend(self.losses_of_chunk(chunk));
            }
            dispatches.extend(self.back(step, chunk, way));
            if is_cut {
                dispatches.push(self.reduce(0, self.chunk_metrics, chunk));
            }
            dispatches
        };
        let sums = self.sums_of_descent(
            is_looked_at || step.turn.observes,
            is_looked_at && solves && self.needs_losses(),
        );
        dispatches.extend(self.over_batch(step, of_chunk, &sums));
        if matches!(way, Way::Before | Way::Deep) && solves {
            dispatches.extend(self.remember());
            dispatches.extend(self.compare_gradients());
            dispatches.extend(self.solve(false));
        }
        if way == Way::Deep {
            dispatches.extend(self.combine_gradients());
        }
        dispatches
    }

    /// A chunk up to what weights of tasks follow from: the losses, or the planes.
    fn ahead(&self, step: &Step, chunk: Chunk, way: Way) -> Vec<Dispatch> {
        let mut dispatches = self.gather(0, chunk, step.shuffled, true);
        dispatches.extend(self.forward(chunk, true));
        if matches!(way, Way::Planes | Way::ByRows) {
            if !self.objective.couples_apart() {
                dispatches.extend(self.couple(step.tables, Phase::Logits, chunk, true));
            }
            dispatches.extend(self.private_backward(chunk));
        }
        match way {
            Way::Planes => dispatches.extend(self.planes(chunk)),
            Way::ByRows => dispatches.extend(self.deep_deltas(chunk)),
            _ => {}
        }
        dispatches
    }

    /// What weights of tasks follow from, of a chunk.
    fn measured(&self, step: &Step, chunk: Chunk, way: Way) -> Vec<Dispatch> {
        let mut dispatches: Vec<Dispatch> = self.losses_of_chunk(chunk).into_iter().collect();
        if way == Way::Planes {
            let is_last = !self.shards.cuts() && chunk.index + 1 == step.shards[0].len();
            dispatches.extend(self.compare_planes(chunk, is_last));
        }
        if way == Way::ByRows {
            dispatches.extend(self.compare_by_rows(chunk));
        }
        dispatches
    }

    /// The rest of the backward pass of a chunk.
    fn back(&self, step: &Step, chunk: Chunk, way: Way) -> Vec<Dispatch> {
        let mut dispatches = Vec::new();
        if matches!(way, Way::Losses | Way::Before) {
            dispatches.push(self.scale_logits(chunk));
        }
        let (apart, adds) = (self.objective.couples_apart(), self.adds_couplings());
        let is_balanced = self.objective.balances_couplings();
        if !matches!(way, Way::Planes | Way::ByRows) && !apart {
            dispatches.extend(self.couple(step.tables, Phase::Logits, chunk, true));
        }
        match way {
            Way::Planes => {
                dispatches.extend(self.shared_backward(chunk));
                dispatches.extend(match is_balanced {
                    true => self.shared_gradients(chunk),
                    false => self.gradients(chunk),
                });
            }
            Way::ByRows => {
                if step.turn.observes {
                    dispatches.extend(self.deep_gradients(chunk));
                }
                dispatches.extend(self.combine_by_rows(chunk));
                dispatches.extend(self.gradients(chunk));
            }
            Way::Deep => {
                if adds && chunk.index == 0 {
                    dispatches.extend(self.clear_gradients());
                }
                dispatches.extend(self.private_backward(chunk));
                dispatches.extend(self.private_gradients(chunk));
            }
            Way::Constant | Way::Losses | Way::Before => dispatches.extend(self.backward(chunk)),
        }
        // Gradients by task were made before, where balanced couplings write over their deltas or
        // the deltas by task are combined.
        let is_behind = (way == Way::Planes && is_balanced) || way == Way::ByRows;
        if matches!(way, Way::Deep | Way::Before) || (step.turn.observes && !is_behind) {
            // A method may look at some of these gradients alone.
            let looks_at_part = way == Way::Before && !step.turn.observes;
            let deep = self.deep_backward(chunk).into_iter();
            dispatches.extend(deep.map(|d| if looks_at_part { d.in_part() } else { d }));
        }
        if way == Way::Deep && is_balanced {
            dispatches.extend(self.couplings_as_objective(step.tables, chunk, (false, true)));
            dispatches.extend(self.private_gradients(chunk.once_more()));
        }
        if adds {
            dispatches.extend(self.add_couplings(step.tables, chunk));
        }
        dispatches
    }

    /// The losses of the batch after the update, and what the method makes of them. Values that are
    /// not finite raise no flag of the program here: the update is done.
    fn after_losses(&self, step: &Step) -> Vec<Dispatch> {
        if !self.objective.looks_back() {
            return Vec::new();
        }
        let b = &self.scene.buffers;
        let of_chunk = |chunk: Chunk| {
            let mut dispatches = Vec::new();
            if step.is_cut(self.shards) {
                dispatches.extend(
                    self.gather(0, chunk, step.shuffled, true).into_iter().map(Dispatch::in_part),
                );
            }
            let quiet = |mut dispatch: Dispatch| {
                let flags = dispatch.bindings.iter_mut().filter(|(name, _)| *name == "flags");
                flags.for_each(|(_, buffer)| *buffer = b.balance.quiet_flags);
                dispatch.in_part()
            };
            dispatches.extend(self.forward(chunk, true).into_iter().map(quiet));
            dispatches.push(self.task_losses(chunk, true));
            dispatches
        };
        let mut dispatches = self.over_batch(step, of_chunk, &self.sums_of_losses_after());
        dispatches.extend(self.solve(true));
        dispatches
    }

    /// What follows the update: the losses after it, conflict, the new state.
    fn after_update(&self, step: &Step) -> Vec<Dispatch> {
        let mut dispatches = Vec::new();
        if step.turn.observes {
            dispatches.extend(self.observe());
        }
        if step.turn.solves {
            dispatches.extend(self.after_losses(step));
            dispatches.extend(self.keep());
        }
        dispatches
    }

    /// Number of metrics that only a training step has; they stand before those of evaluations.
    fn count_of_training(&self) -> usize {
        let is_of_training = |m: &&MetricKind| {
            matches!(
                m,
                MetricKind::TaskWeight(_) | MetricKind::SolverResidual | MetricKind::SquaredNorm
            )
        };
        self.program.metrics.iter().filter(is_of_training).count()
    }

    /// Number of metrics that only an evaluation has; they stand last.
    fn watched(&self) -> usize {
        let is_watched = |m: &&MetricKind| matches!(m, MetricKind::GateWeight(..));
        self.program.metrics.iter().filter(is_watched).count()
    }

    /// Adds the schedule that evaluates `rows` rows of a part, and returns its number.
    fn evaluate(&mut self, part: usize, tables: &[CouplingTable], rows: usize) -> usize {
        let chunk = Chunk::only(rows);
        let mut dispatches = self.count(part, false);
        dispatches.extend(self.gather(part, chunk, false, false));
        dispatches.extend(self.forward(chunk, false));
        dispatches.extend(self.couple(tables, Phase::Logits, chunk, false));
        dispatches.extend(self.couple(tables, Phase::Weights, chunk, false));
        let (of_training, watched) = (self.count_of_training(), self.watched());
        let all = self.program.metrics.len();
        dispatches.push(self.reduce(0, all - of_training - watched, chunk));
        if watched > 0 {
            dispatches.push(self.reduce(all - watched, watched, chunk));
        }
        let b = &self.scene.buffers;
        // Nothing reads the slopes and the gradients of logits here; the kernels write them in any
        // case.
        let wanted = [b.metrics, b.logits, b.logits_delta, b.activations[0], b.activations[1]];
        let name = format!("evaluate {}", self.parts[part].shape.name);
        self.finish(&name, dispatches, part, &wanted, rows)
    }
}
