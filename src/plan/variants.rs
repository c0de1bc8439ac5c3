//! Which loops and ways to store a product kernel needs for the layers of a dispatch.
//!
//! The kernels of software adapters are compiled with what the layers of a dispatch need alone, for
//! code that is masked out costs time there: one bit per loop (LOOPS), one per way to store
//! (STORES).

use crate::kernels::params::{self, Dense};

/// Operations of a layer's product.
pub fn product(dense: &Dense, rows: usize) -> u64 {
    2 * rows as u64 * u64::from(dense.inputs) * u64::from(dense.outputs)
}

pub fn fours(sizes: &[u32]) -> bool {
    sizes.iter().all(|s| s % 4 == 0)
}

pub fn loops_forward(layers: &[Dense]) -> f64 {
    f64::from(layers.iter().fold(0, |bits, d| bits | if fours(&[d.inputs, d.x]) { 1 } else { 2 }))
}

pub fn stores_forward(d: &Dense) -> u32 {
    match d.slope {
        params::NONE if fours(&[d.outputs, d.y]) => 8,
        params::NONE => 1,
        slope if fours(&[d.outputs, d.y, slope]) => 2,
        _ => 4,
    }
}

pub fn loop_backward_input(d: &Dense) -> u32 {
    match (d.delta_arena == 2, fours(&[d.inputs]), fours(&[d.outputs, d.delta])) {
        (false, true, true) => 1,
        (false, _, _) => 2,
        (true, true, _) => 4,
        (true, false, _) => 8,
    }
}

pub fn loop_backward_weight(d: &Dense) -> u32 {
    let odd = |arena: u32| 1 << (arena % 2);
    match (d.delta_arena, fours(&[d.inputs, d.x, d.outputs, d.delta])) {
        (2, _) => {
            if d.x_odd == 1 {
                16
            } else {
                32
            }
        }
        (arena, true) => odd(arena),
        (arena, false) => 4 * odd(arena),
    }
}
