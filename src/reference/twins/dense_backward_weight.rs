//! `dense_backward_weight`: the gradients of weights, deltaᵀ · x, and of biases, the sums of deltas
//! over rows.

use crate::kernels::params::{self, Dense};
use crate::reference::Arguments;
use crate::reference::matrix::Matrix;
use crate::reference::parts::{COLUMNS, ROWS, Tile, cut, tiles};
use crate::reference::real::Real;
use crate::reference::widest::widest;

pub(super) fn dense_backward_weight<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DenseBackwardWeight>();
    let activations = [a.numbers("even"), a.numbers("odd")];
    let deltas = [a.numbers("even_delta"), a.numbers("odd_delta"), a.numbers("logits_delta")];
    let activations = [&activations[0][..], &activations[1][..]];
    let deltas = [&deltas[0][..], &deltas[1][..], &deltas[2][..]];
    let in_range = deltas.map(|deltas| a.in_range(deltas));
    let table = a.table::<Dense>("layers");
    let layers = &table[p.first_layer as usize..][..p.layers as usize];
    let ends = layers.iter().map(|layer| layer.weight_tile).skip(1).chain([p.tiles]);
    // A layer without tiles is not trained.
    let trained: Vec<&Dense> = layers
        .iter()
        .zip(ends)
        .filter(|(layer, end)| layer.weight_tile != *end)
        .map(|(layer, _)| layer)
        .collect();
    let runs = trained.iter().flat_map(|layer| {
        let (weight, bias) = (layer.weight as usize, layer.bias as usize);
        let outputs = layer.outputs as usize;
        [weight..weight + outputs * layer.inputs as usize, bias..bias + outputs]
    });
    let mut gradients = a.numbers_mut("gradients");
    let mut blocks = cut(&mut gradients, runs.collect()).into_iter();
    let mut parts = Vec::new();
    for layer in trained {
        let (weight, bias) = (blocks.next(), blocks.next());
        let of_weight = tiles(weight.unwrap_or_default(), layer.inputs as usize);
        parts.extend(of_weight.into_iter().map(|tile| (layer, false, tile)));
        let of_bias = bias.unwrap_or_default().chunks_mut(COLUMNS).enumerate();
        parts.extend(
            of_bias.map(|(i, row)| {
                (layer, true, Tile { row: 0, column: i * COLUMNS, rows: vec![row] })
            }),
        );
    }
    let (rows, accumulates) = (p.rows as usize, p.accumulate == 1);
    a.run(parts, |(layer, is_bias, tile)| {
        let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
        let (first, columns) = (layer.delta as usize, tile.columns());
        let mut sums = [T::of(0.0); ROWS * COLUMNS];
        let sums = &mut sums[..tile.rows.len() * columns];
        if is_bias {
            let deltas = &deltas[layer.delta_arena as usize][first..][..rows * outputs];
            sums_over_rows(deltas, outputs, tile.column, sums);
        } else {
            let delta = &in_range[layer.delta_arena as usize];
            let delta = Matrix::by_rows(delta, first, outputs).transposed().from(tile.row, 0);
            let x = activations[layer.x_odd as usize];
            let x = Matrix::by_rows(x, layer.x as usize, inputs).from(0, tile.column);
            T::product(delta, x, rows, sums, columns);
        }
        (!store(sums, accumulates, tile)).then_some(layer.gradient_flag)
    });
}

widest! {
    /// Stores gradients, or adds them to those that stand there; says whether all are finite.
    fn store<T: Real>(sums: &[T], accumulates: bool, tile: Tile<T>) -> bool {
        let (columns, mut all_finite) = (tile.columns(), true);
        for (row, sums) in tile.rows.into_iter().zip(sums.chunks(columns)) {
            for (gradient, sum) in row.iter_mut().zip(sums) {
                *gradient = if accumulates { *gradient + *sum } else { *sum };
                all_finite &= gradient.is_finite();
            }
        }
        all_finite
    }
}

/// The sums over the rows of a matrix of its columns from `first` on.
fn sums_over_rows<T: Real>(matrix: &[T], columns: usize, first: usize, sums: &mut [T]) {
    let mut wide = [T::Wide::of(0.0); COLUMNS];
    for row in matrix.chunks(columns) {
        for (sum, value) in wide[..sums.len()].iter_mut().zip(&row[first..]) {
            *sum += value.wide();
        }
    }
    sums.iter_mut().zip(wide).for_each(|(sum, wide)| *sum = T::narrow(wide));
}
