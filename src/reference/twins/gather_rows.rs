//! `gather_rows`: the rows of a chunk, from a segment of the data set whose rows are inputs.

use super::rows::row_in_segment;
use crate::kernels::params::{self, NONE};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn gather_rows<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::GatherRows>(), a.step());
    let (data, data_labels) = (a.integers("data"), a.integers("data_labels"));
    let order = a.integers("order");
    let (mut inputs, mut labels) = (a.numbers_mut("inputs"), a.integers_mut("labels"));
    let (width, tasks) = (p.width as usize, p.tasks as usize);
    for r in 0..p.rows {
        let order = (p.shuffled == 1).then_some(&order[..]);
        let segment = p.segment_first..p.segment_first + p.segment_rows;
        let row = row_in_segment(step, p.chunk_first + r, order, segment);
        if row.is_none() && p.fill == 1 {
            continue;
        }
        for c in 0..width {
            let feature = row.map(|row| feature(&p, &data, row * width + c));
            inputs[p.target_x as usize + r as usize * width + c] = feature.unwrap_or(T::of(0.0));
        }
        for t in 0..tasks {
            let label = row.map(|row| data_labels[row * tasks + t]);
            labels[r as usize * tasks + t] = label.unwrap_or(NONE);
        }
    }
}

/// A feature of the data set: the bits of an f32, or a byte times the scale.
fn feature<T: Real>(p: &params::GatherRows, data: &[u32], index: usize) -> T {
    if p.bytes == 0 {
        return T::from(f32::from_bits(data[index]));
    }
    let byte = data[index / 4].to_le_bytes()[index % 4];
    T::of(f64::from(byte)) * T::from(p.scale)
}
