//! The data set on the device, and the dispatches that count the labels and gather the rows of a
//! batch.

use super::buffers::spec;
use super::builder::Builder;
use super::embed;
use super::request::Request;

use crate::kernels::{self, params};
use crate::objective::losses;
use crate::plan::{Chunk, PartBuffers, Segment, first_overwrites};
use crate::schedule::{Dispatch, Kind, slices};

impl Builder<'_> {
    /// Makes the buffers of the data set, in as many segments of rows as the size of bindings
    /// requires.
    pub(super) fn place_data(&mut self, request: &Request) {
        let cells = self.scene.counting.cells;
        for shape in request.parts {
            let row_bytes = request.row_len() as u64 * if shape.bytes.is_some() { 1 } else { 4 };
            let widest = row_bytes.max(4 * cells as u64);
            let most = (((request.tuning.binding_bytes - 4) / widest) as usize / 4 * 4).max(1);
            let mut segments = Vec::new();
            for first in (0..shape.rows.max(1)).step_by(most) {
                let rows = most.min(shape.rows - first);
                let words = (rows as u64 * row_bytes).div_ceil(4) as usize;
                let name = |what: &str| {
                    format!(
                        "{what} of {}{}",
                        shape.name,
                        if first > 0 { format!(" from {first}") } else { String::new() }
                    )
                };
                let features =
                    spec(&mut self.program, &name("features"), words, Kind::U32, Vec::new());
                let labels =
                    spec(&mut self.program, &name("labels"), rows * cells, Kind::U32, Vec::new());
                self.program.data.extend([features, labels]);
                segments.push(Segment { first, rows, features, labels });
            }
            self.parts.push(PartBuffers { shape: shape.clone(), segments });
        }
    }

    /// Counts the labels of a batch, where a loss needs their number.
    pub(super) fn count(&self, part: usize, shuffled: bool) -> Vec<Dispatch> {
        let order = self.program.buffers[self.scene.buffers.order.0].len;
        losses::count(&self.scene, &self.parts[part], shuffled, order)
    }

    /// Fetches the rows of a chunk, one dispatch per segment of the part.
    pub(super) fn gather(
        &self,
        part: usize,
        chunk: Chunk,
        shuffled: bool,
        training: bool,
    ) -> Vec<Dispatch> {
        let part = &self.parts[part];
        let augmented = self.scene.augmented.as_ref().filter(|_| training);
        let of_segment = |segment: (usize, &Segment)| match (augmented, self.scene.spread) {
            (Some(augmented), _) => self.gather_images(part, segment, (chunk, shuffled), augmented),
            (None, []) => self.gather_rows(part, segment, chunk, shuffled),
            (None, _) => self.gather_cells(part, segment, chunk, shuffled, training),
        };
        part.segments.iter().enumerate().map(of_segment).collect()
    }

    /// Copies rows of a segment; bytes become numbers.
    fn gather_rows(
        &self,
        part: &PartBuffers,
        (index, segment): (usize, &Segment),
        chunk: Chunk,
        shuffled: bool,
    ) -> Dispatch {
        let (scene, b) = (&self.scene, &self.scene.buffers);
        let (width, labels) = (scene.network.inputs, scene.counting.cells);
        let parameters = params::GatherRows {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            width: width as u32,
            tasks: labels as u32,
            target_x: 0,
            segment_first: segment.first as u32,
            segment_rows: segment.rows as u32,
            shuffled: u32::from(shuffled),
            bytes: u32::from(part.shape.bytes.is_some()),
            scale: part.shape.bytes.unwrap_or(1.0),
            fill: u32::from(index > 0),
        };
        let kernel = scene.tuning.kernel(&kernels::gather_rows);
        let (span, rows) =
            if kernel.direct { (1024, chunk.rows.div_ceil(8)) } else { (64, chunk.rows) };
        let grid = row_grid(width.max(labels).div_ceil(span), rows);
        let given = [segment.features, segment.labels, b.order];
        let effect = first_overwrites(index);
        Dispatch::new(kernel, part.shape.name.clone(), parameters, grid)
            .bind([("data", segment.features), ("data_labels", segment.labels), ("order", b.order)])
            .bind([("inputs", b.activations[0]), ("labels", b.labels)])
            .reads(given.map(|buffer| self.program.whole(buffer)))
            .effect(effect, slices(b.activations[0], [(0, chunk.rows * width)]))
            .effect(effect, slices(b.labels, [(0, chunk.rows * labels)]))
    }

    /// Makes a row of inputs of each row of cells: numbers, one-hot codes, sums of vectors.
    fn gather_cells(
        &self,
        part: &PartBuffers,
        (index, segment): (usize, &Segment),
        chunk: Chunk,
        shuffled: bool,
        training: bool,
    ) -> Dispatch {
        let (scene, b) = (&self.scene, &self.scene.buffers);
        let (width, columns, labels) =
            (scene.network.inputs, scene.columns(training), scene.counting.cells);
        let parameters = params::GatherCells {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            width: width as u32,
            slots: scene.spread.iter().map(|s| s.slots).sum::<usize>() as u32,
            columns: columns as u32,
            tasks: labels as u32,
            target_x: 0,
            segment_first: segment.first as u32,
            segment_rows: segment.rows as u32,
            shuffled: u32::from(shuffled),
            fill: u32::from(index > 0),
            span: embed::span(scene.spread),
        };
        let has_windows = scene.spread.iter().any(|s| s.window > 0);
        let grid = row_grid((columns + 1).div_ceil(64), chunk.rows);
        let given = [segment.features, segment.labels, b.order, b.spreads];
        let effect = first_overwrites(index);
        let name = part.shape.name.clone();
        let dispatch = Dispatch::new(&kernels::gather_cells, name, parameters, grid)
            .bind([("spreads", b.spreads), ("data", segment.features)])
            .bind([("data_labels", segment.labels), ("order", b.order)])
            .bind([("inputs", b.activations[0]), ("labels", b.labels)])
            .constant("WINDOWS", f64::from(u8::from(has_windows)))
            .reads(given.map(|buffer| self.program.whole(buffer)))
            .effect(effect, slices(b.activations[0], [(0, chunk.rows * width)]))
            .effect(effect, slices(b.labels, [(0, chunk.rows * labels)]));
        self.with_vectors(dispatch, chunk, index, training)
    }
}

/// A grid of `blocks` workgroups per row, folded into lines of up to [`kernels::MAX_GROUPS`].
pub(super) fn row_grid(blocks: usize, rows: usize) -> [u32; 3] {
    let rows_per_line = kernels::MAX_GROUPS as usize / blocks;
    [(blocks * rows.min(rows_per_line)) as u32, rows.div_ceil(rows_per_line) as u32, 1]
}
