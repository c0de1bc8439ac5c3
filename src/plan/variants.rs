//! The loops and the ways to store that a product kernel needs for the layers of a dispatch.
//!
//! The kernels for software adapters are compiled with only the loops (`LOOPS`, one bit each) and
//! the ways to store (`STORES`, one bit each) that the layers of a dispatch need, since code that
//! is masked out takes time there. Four numbers are read or written at once where offsets and
//! widths are multiples of four.

use crate::kernels::params::{Dense, Destination, NONE};

/// Floating-point operations of a layer's product over `rows` rows.
pub fn product(layer: &Dense, rows: usize) -> u64 {
    2 * rows as u64 * u64::from(layer.inputs) * u64::from(layer.outputs)
}

/// The bits of several layers together, as a constant of a kernel.
pub fn bits(needs: impl Iterator<Item = u32>) -> f64 {
    f64::from(needs.fold(0, |bits, need| bits | need))
}

fn are_fours(sizes: &[u32]) -> bool {
    sizes.iter().all(|size| size % 4 == 0)
}

/// The loop of `dense_forward` that a layer needs.
pub fn forward_loop(layer: &Dense) -> u32 {
    if are_fours(&[layer.inputs, layer.x]) { 1 } else { 2 }
}

/// The way to store of `dense_forward` that a layer needs.
pub fn forward_store(layer: &Dense) -> u32 {
    match layer.slope {
        NONE if are_fours(&[layer.outputs, layer.y]) => 8,
        NONE => 1,
        slope if are_fours(&[layer.outputs, layer.y, slope]) => 2,
        _ => 4,
    }
}

/// The loop of `dense_backward_input` that a layer needs as a source.
pub fn input_loop(source: &Dense) -> u32 {
    let deltas_are_fours = are_fours(&[source.outputs, source.delta]);
    match (source.delta_arena == 2, are_fours(&[source.inputs])) {
        (false, true) if deltas_are_fours => 1,
        (false, _) => 2,
        (true, true) => 4,
        (true, false) => 8,
    }
}

/// The way to store of `dense_backward_input` that a destination needs.
pub fn input_store(destination: &Destination) -> u32 {
    if are_fours(&[destination.width, destination.delta, destination.slope]) { 1 } else { 2 }
}

/// The loop of `dense_backward_weight` that a layer needs.
pub fn weight_loop(layer: &Dense) -> u32 {
    let are_whole = are_fours(&[layer.inputs, layer.x, layer.outputs, layer.delta]);
    match layer.delta_arena {
        2 if layer.x_odd == 1 => 16,
        2 => 32,
        arena if are_whole => 1 << (arena % 2),
        arena => 4 << (arena % 2),
    }
}

/// The way to store of `dense_backward_weight` that a layer needs: later chunks add.
pub fn weight_store(layer: &Dense, is_first_chunk: bool) -> u32 {
    if is_first_chunk && are_fours(&[layer.inputs]) { 1 } else { 2 }
}
