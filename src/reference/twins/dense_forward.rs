//! `dense_forward`: x · wᵀ + bias, the activation with its slope, and dropout.

use crate::kernels::params::{self, Dense, NONE, Step};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn dense_forward<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::DenseForward>(), a.step());
    let (x, parameters, mut y) = (a.numbers("x"), a.numbers("parameters"), a.numbers_mut("y"));
    let (activation, drops) = (a.constant("ACTIVATION"), a.constant("DROPOUT") == 1);
    for layer in &a.table::<Dense>("layers")[p.first_layer as usize..][..p.layers as usize] {
        let outputs = layer.outputs as usize;
        for (r, o) in (0..p.rows as usize).flat_map(|r| (0..outputs).map(move |o| (r, o))) {
            let z = pre_activation(layer, &x, &parameters, r, o);
            raise_if_not_finite(a, layer, z);
            let place = r * outputs + o;
            if layer.slope == NONE {
                y[layer.y as usize + place] = z;
                continue;
            }
            let (mut value, mut slope) = activate(activation, z);
            if drops {
                let factor = dropout_factor(layer, step, p.chunk_first + r as u32, o as u32);
                (value, slope) = (value * factor, slope * factor);
            }
            y[layer.y as usize + place] = value;
            y[layer.slope as usize + place] = slope;
        }
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

/// (y, dy/dz) of the activation with this code.
fn activate<T: Real>(kind: u32, z: T) -> (T, T) {
    let one = T::of(1.0);
    match kind {
        0 => (z * z.step(), z.step()),
        1 => {
            let y = z.tanh();
            (y, one - y * y)
        }
        2 => {
            let half = T::of(0.5);
            let area = half * (one + (z * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
            let density = T::of(1.0 / std::f64::consts::TAU.sqrt()) * (-half * z * z).exp();
            (z * area, area + z * density)
        }
        3 => {
            let s = one / (one + (-z).exp());
            (z * s, s * (one + z * (one - s)))
        }
        _ => (z, one),
    }
}

/// The factor of dropout on one output: 0 where it is dropped, else 1 / (1 − rate). It is a
/// function of the row within the batch, the output, the layer and the step.
fn dropout_factor<T: Real>(layer: &Dense, step: &Step, row: u32, output: u32) -> T {
    let h = hash([output, row, layer.layer ^ step.key_low, step.key_high]);
    if h < layer.dropout_threshold { T::of(0.0) } else { T::from(layer.dropout_scale) }
}

/// The first u32 of pcg4d (Jarzynski and Olano, JCGT 2020).
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
