//! Builds the program of a network: its buffers, the training step, and an evaluation step for each
//! part of the data.

use anyhow::Result;

use super::builder::{Builder, CouplingTable};
use super::embed;
use super::request::{Built, Request};
use crate::config::Optimizer;
use crate::fault::{Exit, Fault};
use crate::kernels::MAX_GROUPS;
use crate::kernels::tuning::Tuning;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::objective::Phase;
use crate::plan::{Chunk, LayerPlan, chunks};
use crate::schedule::MetricKind;

/// Rows of an evaluation step, where memory and time allow.
const EVALUATE_ROWS: usize = 512;

/// Rows of the lowest tile of a product kernel.
const LEAST_TILE_ROWS: usize = 16;

/// The largest number of rows of a chunk for which each arena fits a binding and no dispatch takes
/// too long. `codes` is the number of codes with learned vectors per row.
///
/// # Errors
/// 69 if not even one row fits a binding.
pub fn chunk_limit(
    network: &Network,
    layout: &Layout,
    codes: usize,
    tuning: &Tuning,
) -> Result<usize> {
    let tasks = network.tasks.len();
    // Partial sums per row: losses and hits of each task, a value of each coupled pair, weights of
    // gates.
    let plan = LayerPlan::new(network, layout, tuning, 1);
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

/// Builds the program.
///
/// # Errors
/// 69 if the network does not fit the adapter's bindings.
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
    // Whole vec4s of rows, so that blocks of activations begin where a vec4 begins.
    let capacity = if limit >= 4 { rows.next_multiple_of(4) } else { rows };
    let mut builder = Builder::new(request, capacity);
    builder.place_data(request);
    let tables = builder.place_couplings();
    builder.place_metrics(&tables, request.optimizer.is_some_and(|o| o.clip_norm > 0.0));
    let mut evaluate = Vec::new();
    let train =
        request.optimizer.map(|optimizer| builder.train(request, optimizer, &tables, limit));
    for part in 0..request.parts.len() {
        evaluate.push(builder.evaluate(part, &tables, evaluate_rows));
    }
    let logits = (0..request.network.tasks.len()).map(|t| builder.scene.logits(t)).collect();
    let counting = builder.scene.counting;
    let gates = builder.scene.plan.mixing.names.clone();
    let (program, buffers, parts) = (builder.program, builder.scene.buffers, builder.parts);
    Ok(Built { program, buffers, parts, train, evaluate, evaluate_rows, logits, counting, gates })
}

impl<'a> Builder<'a> {
    /// Adds the schedule of the training step and returns its number.
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
        let last = self.program.metrics.len() - self.watched();
        if first < last {
            dispatches.push(self.reduce(first, last - first, chunks[0]));
        }
        dispatches.push(self.update(optimizer));
        let wanted = [self.scene.buffers.parameters, self.scene.buffers.metrics];
        self.finish("train", dispatches, 0, &wanted, request.batch)
    }

    /// Number of metrics of a kind without a number.
    fn count_of(&self, kind: MetricKind) -> usize {
        self.program.metrics.iter().filter(|m| **m == kind).count()
    }

    /// Number of metrics that only an evaluation has; they stand last.
    fn watched(&self) -> usize {
        let is_watched = |m: &&MetricKind| matches!(m, MetricKind::GateWeight(..));
        self.program.metrics.iter().filter(is_watched).count()
    }

    /// Adds the schedule that evaluates `rows` rows of a part, and returns its number.
    fn evaluate(&mut self, part: usize, tables: &[CouplingTable], rows: usize) -> usize {
        let chunk = Chunk { index: 0, first: 0, rows };
        let mut dispatches = self.count(part, false);
        dispatches.extend(self.gather(part, chunk, false, false));
        dispatches.extend(self.forward(chunk, false));
        dispatches.extend(self.couple(tables, Phase::Logits, chunk, false));
        dispatches.extend(self.couple(tables, Phase::Weights, chunk, false));
        let (norm, watched) = (self.count_of(MetricKind::SquaredNorm), self.watched());
        let all = self.program.metrics.len();
        dispatches.push(self.reduce(0, all - norm - watched, chunk));
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
