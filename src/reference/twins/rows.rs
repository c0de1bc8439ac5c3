//! The row of the data set that is a row of the batch.

use std::ops::Range;

use crate::kernels::params::Step;

/// The row within a segment of the data set that stands at `place` of the batch; `None` where the
/// batch ends before, or where the row lies in another segment. `order` is the order of the epoch,
/// where it is shuffled.
pub(super) fn row_in_segment(
    step: &Step,
    place: u32,
    order: Option<&[u32]>,
    segment: Range<u32>,
) -> Option<usize> {
    if place >= step.rows {
        return None;
    }
    let at = step.first + place;
    let row = order.map_or(at, |order| order[at as usize]);
    segment.contains(&row).then(|| (row - segment.start) as usize)
}
