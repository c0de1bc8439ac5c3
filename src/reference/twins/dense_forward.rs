//! `dense_forward`: x · wᵀ + bias, the activation with its slope, and dropout.

use crate::kernels::params::{self, Dense, NONE, Step};
use crate::reference::Arguments;
use crate::reference::matrix::Matrix;
use crate::reference::parts::{COLUMNS, ROWS, cut, tiles};
use crate::reference::real::Real;
use crate::reference::widest::widest;

pub(super) fn dense_forward<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::DenseForward>(), a.step());
    let (x, parameters, mut y) = (a.numbers("x"), a.numbers("parameters"), a.numbers_mut("y"));
    let (x, parameters) = (&x[..], &parameters[..]);
    let (activation, drops) = (a.constant("ACTIVATION"), a.constant("DROPOUT") == 1);
    let layers = a.table::<Dense>("layers");
    let layers = &layers[p.first_layer as usize..][..p.layers as usize];
    let runs = layers.iter().flat_map(|layer| {
        let (y, size) = (layer.y as usize, (p.rows * layer.outputs) as usize);
        let slope = layer.slope as usize;
        [y..y + size, if layer.slope == NONE { 0..0 } else { slope..slope + size }]
    });
    let mut outputs = cut(&mut y, runs.collect()).into_iter();
    let mut parts = Vec::new();
    for layer in layers {
        let mut both = || tiles(outputs.next().unwrap_or_default(), layer.outputs as usize);
        let (values, mut slopes) = (both(), both().into_iter());
        parts.extend(values.into_iter().map(|tile| (layer, tile, slopes.next())));
    }
    a.run(parts, |(layer, tile, slopes)| {
        let (inputs, columns) = (layer.inputs as usize, tile.columns());
        let mut sums = [T::of(0.0); ROWS * COLUMNS];
        let sums = &mut sums[..tile.rows.len() * columns];
        let x = Matrix::by_rows(x, layer.x as usize, inputs).from(tile.row, 0);
        let weight = Matrix::by_rows(parameters, layer.weight as usize, inputs);
        T::product(x, weight.transposed().from(0, tile.column), inputs, sums, columns);
        let bias = &parameters[layer.bias as usize + tile.column..][..columns];
        let all_finite = add_bias(sums, bias);
        let Some(slopes) = slopes else {
            let rows = tile.rows.into_iter().zip(sums.chunks(columns));
            rows.for_each(|(y, z)| y.copy_from_slice(z));
            return (!all_finite).then_some(layer.z_flag);
        };
        let place = (p.chunk_first + tile.row as u32, tile.column as u32);
        let drops = drops.then_some((layer, step, place));
        finish(activation, sums, drops, tile.rows.into_iter().zip(slopes.rows).collect());
        (!all_finite).then_some(layer.z_flag)
    });
}

widest! {
    /// Adds a bias to each row, and says whether all sums are finite.
    fn add_bias<T: Real>(sums: &mut [T], bias: &[T]) -> bool {
        let mut all_finite = true;
        for row in sums.chunks_mut(bias.len()) {
            for (sum, bias) in row.iter_mut().zip(bias) {
                *sum += *bias;
                all_finite &= sum.is_finite();
            }
        }
        all_finite
    }
}

/// Output `o` of row `r` before its activation.
pub(super) fn pre_activation<T: Real>(
    layer: &Dense,
    x: &[T],
    parameters: &[T],
    r: usize,
    o: usize,
) -> T {
    let inputs = layer.inputs as usize;
    let x = &x[layer.x as usize + r * inputs..][..inputs];
    let w = &parameters[layer.weight as usize + o * inputs..][..inputs];
    let sum = x.iter().zip(w).fold(T::of(0.0), |sum, (x, w)| sum + *x * *w);
    sum + parameters[layer.bias as usize + o]
}

/// Raises the flag of a layer where an output before its activation is not finite.
pub(super) fn raise_if_not_finite<T: Real>(a: &Arguments<T>, layer: &Dense, z: T) {
    if !z.value().is_finite() {
        a.raise(layer.z_flag);
    }
}

widest! {
    /// The values and slopes of the rows of a tile, from what stands before the activation with
    /// this code. `drops`: the layer, the step, and the first row and output, where there is
    /// dropout.
    fn finish<T: Real>(
        kind: u32,
        z: &[T],
        drops: Option<(&Dense, &Step, (u32, u32))>,
        rows: Vec<(&mut [T], &mut [T])>,
    ) {
        let columns = z.len() / rows.len().max(1);
        for (i, ((y, slope), z)) in rows.into_iter().zip(z.chunks(columns.max(1))).enumerate() {
            activate(kind, z, y, slope);
            if let Some((layer, step, (row, column))) = drops {
                drop(layer, step, (row + i as u32, column), y, slope);
            }
        }
    }
}

/// The activation with this code of a row, and its slope dy/dz.
#[inline(always)]
fn activate<T: Real>(kind: u32, z: &[T], y: &mut [T], slope: &mut [T]) {
    let (one, half) = (T::of(1.0), T::of(0.5));
    match kind {
        0 => each(z, y, slope, |z| (z * z.step(), z.step())),
        1 => each(z, y, slope, |z| {
            let y = z.tanh();
            (y, one - y * y)
        }),
        2 => each(z, y, slope, |z| {
            let area = half * (one + (z * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
            let density = T::of(1.0 / std::f64::consts::TAU.sqrt()) * (-half * z * z).exp();
            (z * area, area + z * density)
        }),
        3 => each(z, y, slope, |z| {
            let s = one / (one + (-z).exp());
            (z * s, s * (one + z * (one - s)))
        }),
        _ => each(z, y, slope, |z| (z, one)),
    }
}

/// The values and slopes of a row by a function.
#[inline(always)]
fn each<T: Real>(z: &[T], y: &mut [T], slope: &mut [T], f: impl Fn(T) -> (T, T)) {
    for ((z, y), slope) in z.iter().zip(y).zip(slope) {
        (*y, *slope) = f(*z);
    }
}

/// Dropout on outputs of a row, the first of which stands at `place`: a factor of 0 where an output
/// is dropped, else 1 / (1 − rate). It is a function of the row within the batch, the output, the
/// layer and the step.
#[inline(always)]
fn drop<T: Real>(layer: &Dense, step: &Step, place: (u32, u32), y: &mut [T], slope: &mut [T]) {
    let ((row, first), scale) = (place, T::from(layer.dropout_scale));
    for ((output, y), slope) in (first..).zip(y).zip(slope) {
        let h = hash([output, row, layer.layer ^ step.key_low, step.key_high]);
        let factor = if h < layer.dropout_threshold { T::of(0.0) } else { scale };
        (*y, *slope) = (*y * factor, *slope * factor);
    }
}

/// The first u32 of pcg4d (Jarzynski and Olano, JCGT 2020).
#[inline(always)]
pub(super) fn hash(mut v: [u32; 4]) -> u32 {
    v = v.map(|x| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let round = |v: &mut [u32; 4]| {
        v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[3]));
        v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
        v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
        v[3] = v[3].wrapping_add(v[1].wrapping_mul(v[2]));
    };
    round(&mut v);
    v = v.map(|x| x ^ (x >> 16));
    round(&mut v);
    v[0]
}
