//! The order of the rows in an epoch, and its cut into batches.

use crate::rng::{Purpose, permutation};

/// A permutation of 0..rows, a function of `seed` and `epoch` alone.
pub fn epoch_order(rows: usize, seed: u64, epoch: u64) -> Vec<u32> {
    permutation(rows, seed, Purpose::Order, epoch)
}

/// The batches of an epoch as (first position in its order, number of rows); the last may be shorter and is kept.
pub fn batches(rows: usize, batch_size: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = batch_size.max(1);
    (0..rows).step_by(size).map(move |first| (first, size.min(rows - first)))
}
