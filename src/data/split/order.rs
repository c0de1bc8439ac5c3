//! The order of the rows in an epoch, and its division into batches.

use crate::rng::{Purpose, permutation};

/// A permutation of 0..rows that depends on `seed` and `epoch` alone.
pub fn epoch_order(rows: usize, seed: u64, epoch: u64) -> Vec<u32> {
    permutation(rows, seed, Purpose::Order, epoch)
}

/// A permutation of 0..rows that mixes only rows near each other: windows of `window` rows follow
/// in a random order, and so do the rows in each window. A window that holds all rows gives
/// [`epoch_order`].
pub fn windowed_order(rows: usize, seed: u64, epoch: u64, window: usize) -> Vec<u32> {
    if window >= rows {
        return epoch_order(rows, seed, epoch);
    }
    let window = window.max(1);
    let mut order = Vec::with_capacity(rows);
    for at in permutation(rows.div_ceil(window), seed, Purpose::Order, epoch) {
        let first = at as usize * window;
        // Every window has a stream of its own in every epoch.
        let stream = epoch << 32 | u64::from(at);
        let inside = permutation(window.min(rows - first), seed, Purpose::Window, stream);
        order.extend(inside.into_iter().map(|row| first as u32 + row));
    }
    order
}

/// The batches of an epoch as (first position in its order, number of rows). The last batch may be
/// shorter than the others.
pub fn batches(rows: usize, batch_size: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = batch_size.max(1);
    (0..rows).step_by(size).map(move |first| (first, size.min(rows - first)))
}
