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

/// The order of tokens in an epoch, sentence by sentence; `starts` are the first rows of the
/// sentences, and behind them the number of rows. Also where each sentence begins in the order.
pub fn sentence_order(starts: &[u32], seed: u64, epoch: u64) -> (Vec<u32>, Vec<u32>) {
    let (mut order, mut begins) = (Vec::new(), Vec::new());
    for at in epoch_order(starts.len().saturating_sub(1), seed, epoch) {
        begins.push(order.len() as u32);
        order.extend(starts[at as usize]..starts[at as usize + 1]);
    }
    (order, begins)
}

/// Steps of an epoch over whole sentences, of about `size` tokens each: `size` is not below the
/// number of tokens of the longest one, and every step has at least one sentence.
pub fn sentence_steps(rows: usize, longest: usize, size: usize) -> usize {
    rows.saturating_sub(longest) / size.max(1) + 1
}

/// Where each step begins in the order of an epoch, and behind them the number of rows. A sentence
/// belongs to the step in whose `size` places it begins, or to the last step.
pub fn sentence_batches(begins: &[u32], rows: usize, size: usize, steps: usize) -> Vec<u32> {
    let first = |step: usize| begins.partition_point(|begin| (*begin as usize) < step * size);
    let begin = |step: usize| begins.get(first(step)).copied().unwrap_or(rows as u32);
    (0..steps).map(begin).chain([rows as u32]).collect()
}

/// The batches of an epoch as (first position in its order, number of rows). The last batch may be
/// shorter than the others.
pub fn batches(rows: usize, batch_size: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = batch_size.max(1);
    (0..rows).step_by(size).map(move |first| (first, size.min(rows - first)))
}
