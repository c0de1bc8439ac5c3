//! `dense_backward_input`: the deltas of activations, each the sum over the layers that read it of
//! delta · w, times its slope.

use crate::kernels::params::{self, Dense, Destination};
use crate::reference::Arguments;
use crate::reference::matrix::Matrix;
use crate::reference::parts::{COLUMNS, ROWS, cut, tiles};
use crate::reference::real::Real;

pub(super) fn dense_backward_input<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DenseBackwardInput>();
    let layers = a.table::<Dense>("layers");
    let (slope, parameters) = (a.numbers("slope"), a.numbers("parameters"));
    let deltas = [a.numbers("next_delta"), a.numbers("logits_delta")];
    let deltas = [a.in_range(&deltas[0]), a.in_range(&deltas[1])];
    let (slope, parameters) = (&slope[..], &parameters[..]);
    let has_slope = a.constant("SLOPES") == 1;
    let destinations = a.table::<Destination>("destinations");
    let destinations = &destinations[p.first_destination as usize..][..p.destinations as usize];
    let size = |d: &Destination| (p.rows * d.width) as usize;
    let runs = destinations.iter().map(|d| d.delta as usize..d.delta as usize + size(d)).collect();
    let mut delta = a.numbers_mut("delta");
    let parts = destinations.iter().zip(cut(&mut delta, runs)).flat_map(|(d, delta)| {
        tiles(delta, d.width as usize).into_iter().map(move |tile| (d, tile))
    });
    a.run(parts.collect(), |(d, tile)| {
        let (width, columns) = (d.width as usize, tile.columns());
        let mut sums = [T::of(0.0); ROWS * COLUMNS];
        let sums = &mut sums[..tile.rows.len() * columns];
        for layer in readers(&layers, d) {
            let from = &deltas[usize::from(layer.delta_arena == 2)];
            let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
            let delta = Matrix::by_rows(from, layer.delta as usize, outputs).from(tile.row, 0);
            let weight = Matrix::by_rows(parameters, layer.weight as usize, inputs);
            T::product(delta, weight.from(0, tile.column), outputs, sums, columns);
        }
        for (i, (row, sums)) in tile.rows.into_iter().zip(sums.chunks(columns)).enumerate() {
            if !has_slope {
                row.copy_from_slice(sums);
                continue;
            }
            let slope = &slope[d.slope as usize + (tile.row + i) * width + tile.column..];
            for ((to, sum), slope) in row.iter_mut().zip(sums).zip(slope) {
                *to = *sum * *slope;
            }
        }
        None
    });
}

/// The layers that read a destination, each naming the next one.
fn readers<'l>(layers: &'l [Dense], of: &Destination) -> impl Iterator<Item = &'l Dense> {
    let at = |place: u32| layers.get(place as usize);
    std::iter::successors(at(of.first_source), move |layer| at(layer.next_reader))
        .take(of.sources as usize)
}
