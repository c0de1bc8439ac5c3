//! `dense_backward_weight`: the gradients of weights, deltaᵀ · x, and of biases, the sums of deltas
//! over rows.

use crate::kernels::params::{self, Dense};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn dense_backward_weight<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DenseBackwardWeight>();
    let activations = [a.numbers("even"), a.numbers("odd")];
    let deltas = [a.numbers("even_delta"), a.numbers("odd_delta"), a.numbers("logits_delta")];
    let mut gradients = a.numbers_mut("gradients");
    let mut store = |place: usize, sum: T, flag: u32| {
        let value = if p.accumulate == 1 { gradients[place] + sum } else { sum };
        if !value.value().is_finite() {
            a.raise(flag);
        }
        gradients[place] = value;
    };
    let table = a.table::<Dense>("layers");
    let layers = &table[p.first_layer as usize..][..p.layers as usize];
    let first_tiles = layers.iter().map(|layer| layer.weight_tile).chain([p.tiles]);
    for (layer, end) in layers.iter().zip(first_tiles.skip(1)) {
        // A layer without tiles is not trained.
        if layer.weight_tile == end {
            continue;
        }
        let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
        let x = |r: usize, i: usize| {
            activations[layer.x_odd as usize][layer.x as usize + r * inputs + i]
        };
        let delta = |r: usize, o: usize| {
            deltas[layer.delta_arena as usize][layer.delta as usize + r * outputs + o]
        };
        for o in 0..outputs {
            for i in 0..inputs {
                let sum = (0..p.rows as usize)
                    .fold(T::of(0.0), |sum, r| sum + a.in_range(delta(r, o)) * x(r, i));
                store(layer.weight as usize + o * inputs + i, sum, layer.gradient_flag);
            }
            let sum = (0..p.rows as usize).fold(T::of(0.0), |sum, r| sum + delta(r, o));
            store(layer.bias as usize + o, sum, layer.gradient_flag);
        }
    }
}
