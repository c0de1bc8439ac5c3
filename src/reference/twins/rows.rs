//! The row of the data set that is a row of the batch, and its bytes.

use std::ops::Range;

use crate::kernels::params::Step;

/// The row of the data set that stands at `place` of the batch; `None` where the batch ends before.
/// `order` is the order of the epoch, where it is shuffled.
pub(super) fn row_of_batch(step: &Step, place: u32, order: Option<&[u32]>) -> Option<u32> {
    let at = step.first + place;
    (place < step.rows).then(|| order.map_or(at, |order| order[at as usize]))
}

/// The row within a segment of the data set that stands at `place` of the batch; `None` where the
/// batch ends before, or where the row lies in another segment.
pub(super) fn row_in_segment(
    step: &Step,
    place: u32,
    order: Option<&[u32]>,
    segment: Range<u32>,
) -> Option<usize> {
    let row = row_of_batch(step, place, order)?;
    segment.contains(&row).then(|| (row - segment.start) as usize)
}

/// The bytes of words, the lowest byte of each word first.
pub(super) fn bytes(words: &[u32]) -> &[u8] {
    const { assert!(cfg!(target_endian = "little")) };
    bytemuck::cast_slice(words)
}
