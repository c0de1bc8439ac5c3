//! The forward pass: the layers, the losses behind them, and the couplings.

use super::builder::{Builder, CouplingTable};
use crate::kernels::params;
use crate::model::graph::Role;
use crate::objective::{Phase, losses};
use crate::plan::variants::{bits, forward_loop, forward_store, product};
use crate::plan::{Arena, Chunk, Forward, ForwardGroup, block};
use crate::schedule::{Dispatch, slices};

impl Builder<'_> {
    /// The dispatches of the forward pass of a chunk, losses included.
    pub(super) fn forward(&self, chunk: Chunk, training: bool) -> Vec<Dispatch> {
        let is_fused = losses::is_fused(&self.scene);
        let of = |step: &Forward| match step {
            Forward::Layers(group) if group.role == Role::Output && is_fused => {
                vec![losses::fused(&self.scene, self.objective, group, chunk, training)]
            }
            Forward::Layers(group) => vec![self.forward_group(group, chunk, training)],
            Forward::Mixes(group) => self.mix(group, chunk, training),
        };
        let mut dispatches: Vec<_> = self.scene.plan.forward.iter().flat_map(of).collect();
        if !is_fused {
            dispatches.extend(losses::dispatches(&self.scene, chunk));
        }
        dispatches
    }

    /// The layers of a group, each with its activation, slopes and dropout.
    fn forward_group(&self, group: &ForwardGroup, chunk: Chunk, training: bool) -> Dispatch {
        let (scene, b, rows) = (&self.scene, &self.scene.buffers, chunk.rows);
        let layers = &scene.plan.layers[group.first..group.first + group.count];
        let parameters = params::DenseForward {
            rows: rows as u32,
            chunk_first: chunk.first as u32,
            first_layer: group.first as u32,
            layers: group.count as u32,
        };
        let product_kernel = &scene.tuning.forward;
        let grid = [group.tiles as u32, rows.div_ceil(product_kernel.rows) as u32, 1];
        let x = b.activations[usize::from(group.reads_odd)];
        let y = match group.writes {
            Arena::Even => b.activations[0],
            Arena::Odd => b.activations[1],
            Arena::Logits => b.logits,
        };
        let inputs = layers.iter().map(|d| block(d.x, rows, d.inputs));
        let outputs = layers.iter().map(|d| block(d.y, rows, d.outputs));
        let slopes = layers.iter().filter(|d| d.slope != params::NONE);
        let slopes = slopes.map(|d| block(d.slope, rows, d.outputs));
        let weights = layers.iter().flat_map(|d| [scene.weights(d), scene.bias(d)]);
        let drops = training && layers.iter().any(|d| d.dropout_threshold > 0);
        Dispatch::new(product_kernel.kernel, group.label.clone(), parameters, grid)
            .bind([("layers", b.layers), ("parameters", b.parameters)])
            .bind([("x", x), ("y", y), ("flags", b.flags)])
            .reads(slices(x, inputs))
            .reads(slices(b.parameters, weights))
            .overwrites(slices(y, outputs.chain(slopes)))
            .constant("ACTIVATION", f64::from(group.activation))
            .constant("DROPOUT", f64::from(u8::from(drops)))
            .constant("FOURS", f64::from(u8::from(scene.tuning.fours)))
            .constant("INVOCATIONS", scene.tuning.unit_invocations.into())
            .constant("LOOPS", bits(layers.iter().map(forward_loop)))
            .constant("STORES", bits(layers.iter().map(forward_store)))
            .flop(layers.iter().map(|d| product(d, rows)).sum())
    }

    /// The couplings of a phase; without `gradient` their values alone.
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
}
