//! The backward pass: the deltas of activations from the top down, then the gradients of all
//! weights.

use super::builder::Builder;
use crate::kernels::folded;
use crate::kernels::params::{self, Dense, Destination};
use crate::plan::variants::{bits, input_loop, input_store, product, weight_loop, weight_store};
use crate::plan::{Backward, BackwardGroup, Chunk, ConstantRun, WeightRun, block};
use crate::schedule::{Buffer, Dispatch, Slice, slices};

impl Builder<'_> {
    /// The dispatches of the backward pass of a chunk.
    pub(super) fn backward(&self, chunk: Chunk) -> Vec<Dispatch> {
        let steps = &self.scene.plan.backward;
        let mut dispatches: Vec<_> =
            steps.iter().flat_map(|step| self.backward_step(step, chunk)).collect();
        dispatches.extend(self.gradients(chunk));
        dispatches
    }

    /// The dispatches of one step of the backward pass.
    pub(super) fn backward_step(&self, step: &Backward, chunk: Chunk) -> Vec<Dispatch> {
        match step {
            Backward::Inputs(group) => vec![self.backward_input(group, chunk)],
            Backward::Terms(group) => vec![self.mix_backward(group, chunk)],
            Backward::Gates(group) => self.gates_backward(group, chunk),
        }
    }

    /// The gradients of all parameters, from the deltas.
    pub(super) fn gradients(&self, chunk: Chunk) -> Vec<Dispatch> {
        let plan = &self.scene.plan;
        let all = WeightRun { first: 0, count: plan.order.len(), tiles: plan.weight_tiles };
        let constants = ConstantRun { first: 0, count: plan.mixing.own_constants };
        let target = self.scene.buffers.gradients;
        let weights = self.weight_gradients(&all, "all layers", target, chunk);
        let mut dispatches: Vec<_> = weights.into_iter().collect();
        dispatches.extend(self.constant_gradients(&constants, target, chunk));
        dispatches.extend(self.embedding_backward(chunk));
        dispatches
    }

    /// Deltas of a group of activations: the sum over the layers that read each, times its slopes.
    fn backward_input(&self, group: &BackwardGroup, chunk: Chunk) -> Dispatch {
        let (scene, b, rows) = (&self.scene, &self.scene.buffers, chunk.rows);
        let (plan, product) = (&scene.plan, &scene.tuning.backward_input);
        let destinations = &plan.destinations[group.first..group.first + group.count];
        let parameters = params::DenseBackwardInput {
            rows: rows as u32,
            first_destination: group.first as u32,
            destinations: group.count as u32,
        };
        let grid = [group.tiles as u32, rows.div_ceil(product.rows) as u32, 1];
        let (here, next) = (usize::from(group.odd), usize::from(!group.odd));
        let sources = || destinations.iter().flat_map(|d| plan.sources(d));
        let slopes = destinations.iter().filter(|_| group.slopes);
        let flop = |d: &Destination| {
            let outputs: u64 = plan.sources(d).map(|source| u64::from(source.outputs)).sum();
            2 * rows as u64 * u64::from(d.width) * outputs
        };
        Dispatch::new(product.kernel, group.label.clone(), parameters, grid)
            .bind([("destinations", b.destinations), ("layers", b.layers)])
            .bind([("parameters", b.parameters), ("next_delta", b.deltas[next])])
            .bind([("logits_delta", b.logits_delta)])
            .bind([("slope", b.activations[here]), ("delta", b.deltas[here])])
            .reads(slices(b.parameters, sources().map(|s| scene.weights(s))))
            .reads(self.deltas(sources(), b.deltas[next], rows))
            .reads(self.deltas(sources(), b.logits_delta, rows))
            .reads(slices(b.activations[here], slopes.map(|d| block(d.slope, rows, d.width))))
            .overwrites(slices(
                b.deltas[here],
                destinations.iter().map(|d| block(d.delta, rows, d.width)),
            ))
            .constant("FOURS", f64::from(u8::from(scene.tuning.fours)))
            .constant("INVOCATIONS", scene.tuning.unit_invocations.into())
            .constant("LOOPS", bits(sources().map(input_loop)))
            .constant("STORES", bits(destinations.iter().map(input_store)))
            .constant("SLOPES", f64::from(u8::from(group.slopes)))
            .flop(destinations.iter().map(flop).sum())
    }

    /// The slices of the layers whose deltas lie in `buffer`.
    fn deltas<'d>(
        &self,
        layers: impl Iterator<Item = &'d Dense>,
        buffer: Buffer,
        rows: usize,
    ) -> Vec<Slice> {
        let here = layers.filter(|layer| self.delta_arena(layer) == buffer);
        slices(buffer, here.map(|layer| block(layer.delta, rows, layer.outputs)))
    }

    /// The buffer in which the deltas of a layer lie.
    fn delta_arena(&self, layer: &Dense) -> Buffer {
        let b = &self.scene.buffers;
        [b.deltas[0], b.deltas[1], b.logits_delta][layer.delta_arena as usize]
    }

    /// Gradients of the weights and biases of the layers of a run that are trained.
    pub(super) fn weight_gradients(
        &self,
        run: &WeightRun,
        label: &str,
        target: Buffer,
        chunk: Chunk,
    ) -> Option<Dispatch> {
        if run.tiles == 0 && run.first > 0 {
            return None;
        }
        let b = &self.scene.buffers;
        let deltas = [b.deltas[0], b.deltas[1], b.logits_delta];
        Some(self.weight_products(run, label, (b.activations, deltas, target), chunk))
    }

    /// The products of deltas and of what layers read, with the sums of the deltas, of the layers
    /// of a run: from these arenas of values and of deltas to a buffer.
    pub(super) fn weight_products(
        &self,
        run: &WeightRun,
        label: &str,
        (values, deltas, target): ([Buffer; 2], [Buffer; 3], Buffer),
        chunk: Chunk,
    ) -> Dispatch {
        let (scene, b, rows) = (&self.scene, &self.scene.buffers, chunk.rows);
        let ends = scene.plan.run(run).iter().map(|d| d.weight_tile).skip(1);
        let ends = ends.chain([run.tiles as u32]);
        let trained: Vec<&Dense> = scene
            .plan
            .run(run)
            .iter()
            .zip(ends)
            .filter(|(d, end)| d.weight_tile < *end)
            .map(|(d, _)| d)
            .collect();
        let trained = || trained.iter().copied();
        let parameters = params::DenseBackwardWeight {
            rows: rows as u32,
            first_layer: run.first as u32,
            layers: run.count as u32,
            tiles: run.tiles as u32,
            accumulate: u32::from(chunk.index > 0),
        };
        let read = |layer: &Dense| {
            let x = block(layer.x, rows, layer.inputs);
            let delta = block(layer.delta, rows, layer.outputs);
            [(values[layer.x_odd as usize], x), (deltas[layer.delta_arena as usize], delta)]
                .map(|(buffer, (first, len))| Slice { buffer, first, len })
        };
        let gradients = trained().flat_map(|d| [scene.weights(d), scene.bias(d)]);
        let (kernel, grid) = (scene.tuning.backward_weight.kernel, folded(run.tiles as u32));
        Dispatch::new(kernel, label, parameters, grid)
            .bind([("layers", b.layers), ("even", values[0]), ("odd", values[1])])
            .bind([("even_delta", deltas[0]), ("odd_delta", deltas[1])])
            .bind([("logits_delta", deltas[2]), ("gradients", target)])
            .bind([("flags", b.flags)])
            .reads(trained().flat_map(read))
            .effect(chunk.effect(), slices(target, gradients))
            .constant("FOURS", f64::from(u8::from(scene.tuning.fours)))
            .constant("INVOCATIONS", scene.tuning.unit_invocations.into())
            .constant("LOOPS", bits(trained().map(weight_loop)))
            .constant("STORES", bits(trained().map(|d| weight_store(d, chunk.index == 0))))
            .flop(trained().map(|d| product(d, rows)).sum())
    }
}
