//! Backward: the deltas of activations from the top down, then the gradients of all weights.

use super::builder::Builder;
use crate::kernels::folded;
use crate::kernels::params::{self, Dense};
use crate::plan::variants::{fours, loop_backward_input, loop_backward_weight, product};
use crate::plan::{BackwardGroup, Chunk};
use crate::schedule::{Dispatch, Slice, slices};

impl Builder<'_> {
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
                            .map(|s| 2 * rows as u64 * u64::from(d.width) * u64::from(s.outputs))
                            .sum::<u64>()
                    })
                    .sum(),
            )
    }

    pub(super) fn backward_weight(&self, chunk: Chunk) -> Dispatch {
        let (b, plan, rows) = (&self.scene.buffers, &self.scene.plan, chunk.rows);
        let parameters = params::DenseBackwardWeight {
            rows: rows as u32,
            first_layer: 0,
            layers: plan.layers.len() as u32,
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
        let gradients = plan.trained().flat_map(|d| [self.scene.weights(d), self.scene.bias(d)]);
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
        .reads(plan.trained().flat_map(read))
        .effect(chunk.effect(), slices(b.gradients, gradients))
        .constant("INVOCATIONS", self.scene.tuning.unit_invocations.into())
        .constant(
            "LOOPS",
            f64::from(plan.trained().fold(0, |bits, d| bits | loop_backward_weight(d))),
        )
        .constant("STORES", f64::from(plan.trained().fold(0, |bits, d| bits | stores(d))))
        .flop(plan.trained().map(|d| product(d, rows)).sum())
    }
}
