//! The denominators of the losses: the number and the weight of the labels of a batch.

use crate::kernels::{self, params};
use crate::plan::{Counting, PartBuffers, Scene, Segment, first_overwrites};
use crate::schedule::{Dispatch, slices};

/// The dispatches that count the labels of a batch, one per segment of the data; none where no
/// label is missing and all weigh one. `order` is the length of the order of the epoch.
pub fn count(scene: &Scene, part: &PartBuffers, shuffled: bool, order: usize) -> Vec<Dispatch> {
    let Some(first) = scene.counts else { return Vec::new() };
    part.segments
        .iter()
        .enumerate()
        .map(|(i, segment)| count_segment(scene, (i, segment), shuffled, (first, order)))
        .collect()
}

fn count_segment(
    scene: &Scene,
    (index, segment): (usize, &Segment),
    shuffled: bool,
    (first, order): (usize, usize),
) -> Dispatch {
    let (b, tasks) = (&scene.buffers, scene.network.tasks.len());
    let Counting { cells, weighted } = scene.counting;
    let parameters = params::LabelSums {
        cells: cells as u32,
        tasks: tasks as u32,
        counts: first as u32,
        segment_first: segment.first as u32,
        segment_rows: segment.rows as u32,
        shuffled: u32::from(shuffled),
        weighted: u32::from(weighted),
        accumulate: u32::from(index > 0),
    };
    Dispatch::new(&kernels::label_sums, "labels of the batch", parameters, [tasks as u32, 1, 1])
        .bind([("heads", b.heads), ("data_labels", segment.labels), ("order", b.order)])
        .bind([("class_weights", b.class_weights), ("partials", b.partials)])
        .reads(slices(segment.labels, [(0, segment.rows * cells)]))
        .reads(slices(b.order, [(0, order)]))
        .effect(first_overwrites(index), slices(b.partials, [(first, 3 * tasks)]))
}
