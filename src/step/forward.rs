//! Forward: the layers, the losses behind them, and the couplings.

use super::builder::{Builder, CouplingTable};
use crate::kernels::params;
use crate::objective::{Phase, losses};
use crate::plan::variants::{loops_forward, product, stores_forward};
use crate::plan::{Arena, Chunk, Group};
use crate::schedule::{Dispatch, slices};

impl Builder<'_> {
    pub(super) fn forward(&self, chunk: Chunk, training: bool) -> Vec<Dispatch> {
        let is_fused = losses::is_fused(&self.scene);
        let of = |group: &Group| match group.writes == Arena::Logits && is_fused {
            true => losses::fused(&self.scene, self.objective, group, chunk, training),
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
}
