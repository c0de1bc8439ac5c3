//! The data set on the device, and the rows of a batch: labels counted, rows gathered.

use super::buffers::spec;
use super::builder::Builder;
use super::request::Request;
use crate::kernels;
use crate::kernels::params;
use crate::objective::losses;
use crate::plan::{Chunk, PartBuffers, Segment, first_overwrites};
use crate::schedule::{Dispatch, Kind, slices};

impl Builder<'_> {
    /// The data set on the device, in as many segments of rows as bindings make necessary.
    pub(super) fn place_data(&mut self, request: &Request) {
        let cells = self.scene.counting.cells;
        for shape in request.parts {
            let row_bytes = request.row_words() as u64 * if shape.bytes.is_some() { 1 } else { 4 };
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
                segments.push(Segment { first, rows, features, labels });
            }
            self.parts.push(PartBuffers { shape: shape.clone(), segments });
        }
    }

    pub(super) fn count(&self, part: usize, shuffled: bool) -> Vec<Dispatch> {
        let order = self.program.buffers[self.scene.buffers.order.0].len;
        losses::count(&self.scene, &self.parts[part], shuffled, order)
    }

    pub(super) fn gather(
        &self,
        part: usize,
        chunk: Chunk,
        shuffled: bool,
        training: bool,
    ) -> Vec<Dispatch> {
        let part = &self.parts[part];
        let segments = part.segments.iter().enumerate();
        match self.scene.spread.is_empty() {
            true => segments.map(|(i, s)| self.gather_rows(part, i, s, chunk, shuffled)).collect(),
            false => segments
                .map(|(i, s)| self.gather_cells(part, (i, s), chunk, shuffled, training))
                .collect(),
        }
    }

    fn gather_rows(
        &self,
        part: &PartBuffers,
        index: usize,
        segment: &Segment,
        chunk: Chunk,
        shuffled: bool,
    ) -> Dispatch {
        let (b, width, tasks) =
            (&self.scene.buffers, self.scene.network.inputs, self.scene.counting.cells);
        let kernel = self.scene.tuning.kernel(&kernels::gather_rows);
        let (span, rows) =
            if kernel.direct { (1024, chunk.rows.div_ceil(8)) } else { (64, chunk.rows) };
        let blocks = width.max(tasks).div_ceil(span);
        let rows_per_line = kernels::MAX_GROUPS as usize / blocks;
        let grid =
            [(blocks * rows.min(rows_per_line)) as u32, rows.div_ceil(rows_per_line) as u32, 1];
        let parameters = params::GatherRows {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            width: width as u32,
            tasks: tasks as u32,
            target_x: 0,
            segment_first: segment.first as u32,
            segment_rows: segment.rows as u32,
            shuffled: u32::from(shuffled),
            bytes: u32::from(part.shape.bytes.is_some()),
            scale: part.shape.bytes.unwrap_or(1.0),
            fill: u32::from(index > 0),
        };
        let given =
            [segment.features, segment.labels, b.order].map(|buffer| self.program.whole(buffer));
        let effect = first_overwrites(index);
        Dispatch::new(kernel, part.shape.name.clone(), parameters, grid)
            .bind([("data", segment.features), ("data_labels", segment.labels), ("order", b.order)])
            .bind([("inputs", b.activations[0]), ("labels", b.labels)])
            .reads(given)
            .effect(effect, slices(b.activations[0], [(0, chunk.rows * width)]))
            .effect(effect, slices(b.labels, [(0, chunk.rows * tasks)]))
    }

    fn gather_cells(
        &self,
        part: &PartBuffers,
        (index, segment): (usize, &Segment),
        chunk: Chunk,
        shuffled: bool,
        training: bool,
    ) -> Dispatch {
        let (b, width, columns) =
            (&self.scene.buffers, self.scene.network.inputs, self.scene.columns(training));
        let blocks = (columns + 1).div_ceil(64);
        let rows_per_line = kernels::MAX_GROUPS as usize / blocks;
        let grid = [
            (blocks * chunk.rows.min(rows_per_line)) as u32,
            chunk.rows.div_ceil(rows_per_line) as u32,
            1,
        ];
        let parameters = params::GatherCells {
            rows: chunk.rows as u32,
            chunk_first: chunk.first as u32,
            width: width as u32,
            slots: self.scene.spread.iter().map(|s| s.slots).sum::<usize>() as u32,
            columns: columns as u32,
            tasks: self.scene.counting.cells as u32,
            target_x: 0,
            segment_first: segment.first as u32,
            segment_rows: segment.rows as u32,
            shuffled: u32::from(shuffled),
            fill: u32::from(index > 0),
        };
        let given = [segment.features, segment.labels, b.order, b.spreads]
            .map(|buffer| self.program.whole(buffer));
        let effect = first_overwrites(index);
        let dispatch =
            Dispatch::new(&kernels::gather_cells, part.shape.name.clone(), parameters, grid)
                .bind([
                    ("spreads", b.spreads),
                    ("data", segment.features),
                    ("data_labels", segment.labels),
                    ("order", b.order),
                ])
                .bind([("inputs", b.activations[0]), ("labels", b.labels)])
                .reads(given)
                .effect(effect, slices(b.activations[0], [(0, chunk.rows * width)]))
                .effect(effect, slices(b.labels, [(0, chunk.rows * self.scene.counting.cells)]));
        self.with_vectors(dispatch, chunk, index, training)
    }
}
