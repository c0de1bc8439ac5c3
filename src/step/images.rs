//! The dispatch that fetches the images of a training step and changes them by chance.

use super::builder::Builder;
use super::data::row_grid;
use crate::kernels::{self, params};
use crate::plan::{Augmented, Chunk, PartBuffers, Segment, first_overwrites};
use crate::schedule::{Dispatch, slices};

/// Numbers of a row that a workgroup of `gather_images` copies.
const SPAN: usize = 512;

impl Builder<'_> {
    /// Copies images of a segment with the changes that their rows draw.
    pub(super) fn gather_images(
        &self,
        part: &PartBuffers,
        (index, segment): (usize, &Segment),
        (chunk, shuffled): (Chunk, bool),
        augmented: &Augmented,
    ) -> Dispatch {
        let (scene, b) = (&self.scene, &self.scene.buffers);
        let (numbers, labels) = (scene.network.inputs, scene.counting.cells);
        let parameters = params::GatherImages {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            height: augmented.height as u32,
            width: augmented.width as u32,
            channels: augmented.channels as u32,
            tasks: labels as u32,
            target_x: 0,
            segment_first: segment.first as u32,
            segment_rows: segment.rows as u32,
            shuffled: u32::from(shuffled),
            scale: part.shape.bytes.unwrap_or(1.0),
            fill: u32::from(index > 0),
            shift: augmented.augment.shift as u32,
            flip: u32::from(augmented.flips()),
            erase: augmented.augment.erase as u32,
        };
        let grid = row_grid(numbers.max(labels).div_ceil(SPAN), chunk.rows);
        let given = [segment.features, segment.labels, b.order];
        let (effect, name) = (first_overwrites(index), part.shape.name.clone());
        Dispatch::new(&kernels::gather_images, name, parameters, grid)
            .bind([("data", segment.features), ("data_labels", segment.labels), ("order", b.order)])
            .bind([("inputs", b.activations[0]), ("labels", b.labels)])
            .reads(given.map(|buffer| self.program.whole(buffer)))
            .effect(effect, slices(b.activations[0], [(0, chunk.rows * numbers)]))
            .effect(effect, slices(b.labels, [(0, chunk.rows * labels)]))
    }
}
