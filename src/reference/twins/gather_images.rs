//! `gather_images`: the images of a chunk, from a segment of the data set, each changed by chance.

use super::dense_forward::hash;
use super::rows::{bytes, row_in_segment};
use crate::kernels::params::{GatherImages, NONE, Step};
use crate::reference::Arguments;
use crate::reference::parts::BLOCK;
use crate::reference::real::Real;

/// The second number of the hashes of a row; no row of dropout has it.
const IMAGE: u32 = 0x8000_0000;

/// What a row drew.
struct Change {
    down: i64,
    right: i64,
    is_mirrored: bool,
    is_erased: bool,
    /// The first row and column of the erased square.
    corner: [u32; 2],
}

impl Change {
    /// The changes of the row at `place` of the batch.
    fn of(p: &GatherImages, step: &Step, place: u32) -> Change {
        let draw = |number| hash([place, IMAGE + number, step.key_low, step.key_high]);
        let [moves, chances, square] = [0, 1, 2].map(draw);
        let below = |bits: u32, n: u32| ((bits & 0xffff) * n) >> 16;
        let by = |bits| i64::from(below(bits, 2 * p.shift + 1)) - i64::from(p.shift);
        Change {
            down: by(moves),
            right: by(moves >> 16),
            is_mirrored: p.flip == 1 && chances >> 31 == 1,
            is_erased: p.erase > 0 && chances & 1 == 1,
            corner: [
                below(square, p.height - p.erase + 1),
                below(square >> 16, p.width - p.erase + 1),
            ],
        }
    }

    /// The pixel of the image as it was that becomes the pixel (y, x); `None` = zeros do.
    fn source(&self, p: &GatherImages, y: u32, x: u32) -> Option<usize> {
        let is_in = |at: u32, from: u32| (from..from + p.erase).contains(&at);
        if self.is_erased && is_in(y, self.corner[0]) && is_in(x, self.corner[1]) {
            return None;
        }
        let y = u32::try_from(i64::from(y) - self.down).ok().filter(|y| *y < p.height)?;
        let x = u32::try_from(i64::from(x) - self.right).ok().filter(|x| *x < p.width)?;
        let x = if self.is_mirrored { p.width - 1 - x } else { x };
        Some(y as usize * p.width as usize + x as usize)
    }
}

pub(super) fn gather_images<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<GatherImages>(), a.step());
    let (data, data_labels) = (a.integers("data"), a.integers("data_labels"));
    let order = a.integers("order");
    let (mut inputs, mut labels) = (a.numbers_mut("inputs"), a.integers_mut("labels"));
    let (data, data_labels, order) = (&data[..], &data_labels[..], &order[..]);
    let numbers = (p.height * p.width * p.channels) as usize;
    let (tasks, first) = (p.tasks as usize, p.target_x as usize);
    let inputs =
        inputs[first..first + p.rows as usize * numbers].chunks_mut((BLOCK * numbers).max(1));
    let labels = labels[..p.rows as usize * tasks].chunks_mut((BLOCK * tasks).max(1));
    a.run(inputs.zip(labels).enumerate().collect(), |(block, (inputs, labels))| {
        let rows = inputs.chunks_mut(numbers.max(1)).zip(labels.chunks_mut(tasks.max(1)));
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
            let image = &bytes(data)[row * numbers..][..numbers];
            change(&p, &Change::of(&p, step, place), image, inputs);
            labels.copy_from_slice(&data_labels[row * tasks..][..tasks]);
        }
        None
    });
}

/// An image with its changes.
fn change<T: Real>(p: &GatherImages, change: &Change, image: &[u8], inputs: &mut [T]) {
    let channels = p.channels as usize;
    let places = (0..p.height).flat_map(|y| (0..p.width).map(move |x| (y, x)));
    for ((y, x), pixel) in places.zip(inputs.chunks_mut(channels.max(1))) {
        match change.source(p, y, x) {
            None => pixel.fill(T::of(0.0)),
            Some(source) => {
                for (number, byte) in pixel.iter_mut().zip(&image[source * channels..]) {
                    *number = T::from(f32::from(*byte)) * T::from(p.scale);
                }
            }
        }
    }
}
