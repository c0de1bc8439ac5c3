//! `dense_backward_input`: the deltas of activations, each the sum over the layers that read it of
//! delta · w, times its slope.

use crate::kernels::params::{self, Dense, Destination};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn dense_backward_input<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DenseBackwardInput>();
    let layers = a.table::<Dense>("layers");
    let slope = a.numbers("slope");
    let (deltas, mut delta) =
        ([a.numbers("next_delta"), a.numbers("logits_delta")], a.numbers_mut("delta"));
    let parameters = a.numbers("parameters");
    let has_slope = a.constant("SLOPES") == 1;
    let destinations = a.table::<Destination>("destinations");
    for d in &destinations[p.first_destination as usize..][..p.destinations as usize] {
        let width = d.width as usize;
        for (r, i) in (0..p.rows as usize).flat_map(|r| (0..width).map(move |i| (r, i))) {
            let mut sum = T::of(0.0);
            for layer in readers(&layers, d) {
                let from = &deltas[usize::from(layer.delta_arena == 2)];
                let outputs = layer.outputs as usize;
                for o in 0..outputs {
                    sum += a.in_range(from[layer.delta as usize + r * outputs + o])
                        * parameters[layer.weight as usize + o * layer.inputs as usize + i];
                }
            }
            let place = r * width + i;
            let slope = if has_slope { slope[d.slope as usize + place] } else { T::of(1.0) };
            delta[d.delta as usize + place] = sum * slope;
        }
    }
}

/// The layers that read a destination, each naming the next one.
fn readers<'l>(layers: &'l [Dense], of: &Destination) -> impl Iterator<Item = &'l Dense> {
    let at = |place: u32| layers.get(place as usize);
    std::iter::successors(at(of.first_source), move |layer| at(layer.next_reader))
        .take(of.sources as usize)
}
