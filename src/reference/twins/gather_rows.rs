//! `gather_rows`: the rows of a chunk, from a segment of the data set whose rows are inputs.

use super::rows::{bytes, row_in_segment};
use crate::kernels::params::{self, NONE};
use crate::reference::Arguments;
use crate::reference::parts::BLOCK;
use crate::reference::real::Real;
use crate::reference::widest::widest;

pub(super) fn gather_rows<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::GatherRows>(), a.step());
    let (data, data_labels) = (a.integers("data"), a.integers("data_labels"));
    let order = a.integers("order");
    let (mut inputs, mut labels) = (a.numbers_mut("inputs"), a.integers_mut("labels"));
    let (data, data_labels, order) = (&data[..], &data_labels[..], &order[..]);
    let (width, tasks) = (p.width as usize, p.tasks as usize);
    let first = p.target_x as usize;
    let inputs = inputs[first..first + p.rows as usize * width].chunks_mut((BLOCK * width).max(1));
    let labels = labels[..p.rows as usize * tasks].chunks_mut((BLOCK * tasks).max(1));
    a.run(inputs.zip(labels).enumerate().collect(), |(block, (inputs, labels))| {
        let rows = inputs.chunks_mut(width.max(1)).zip(labels.chunks_mut(tasks.max(1)));
        for (r, (inputs, labels)) in rows.enumerate() {
            let order = (p.shuffled == 1).then_some(order);
            let segment = p.segment_first..p.segment_first + p.segment_rows;
            let place = p.chunk_first + (block * BLOCK + r) as u32;
            let Some(row) = row_in_segment(step, place, order, segment) else {
                if p.fill == 0 {
                    inputs.fill(T::of(0.0));
                    labels.fill(NONE);
                }
                continue;
            };
            match p.bytes {
                0 => spread_numbers(&data[row * width..], inputs),
                _ => spread_bytes(&bytes(data)[row * width..], p.scale, inputs),
            }
            labels.copy_from_slice(&data_labels[row * tasks..][..tasks]);
        }
        None
    });
}

/// Features that are the bits of f32.
fn spread_numbers<T: Real>(data: &[u32], inputs: &mut [T]) {
    for (input, bits) in inputs.iter_mut().zip(data) {
        *input = T::from(f32::from_bits(*bits));
    }
}

widest! {
    /// Features that are bytes times the scale.
    fn spread_bytes<T: Real>(data: &[u8], scale: f32, inputs: &mut [T]) {
        for (input, byte) in inputs.iter_mut().zip(data) {
            *input = T::from(f32::from(*byte)) * T::from(scale);
        }
    }
}
