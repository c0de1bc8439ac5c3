//! `gather_cells`: the rows of a chunk, from a segment of the data set whose columns are still to
//! become inputs.

use super::rows::row_in_segment;
use crate::kernels::params::{self, NONE, Spread, spread};
use crate::reference::Arguments;
use crate::reference::parts::{BLOCK, cut};
use crate::reference::real::Real;

pub(super) fn gather_cells<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::GatherCells>(), a.step());
    let (data, data_labels) = (a.integers("data"), a.integers("data_labels"));
    let (order, parameters) = (a.integers("order"), a.numbers("parameters"));
    let (mut inputs, mut labels) = (a.numbers_mut("inputs"), a.integers_mut("labels"));
    let mut codes = a.integers_mut("codes");
    let (data, data_labels, order) = (&data[..], &data_labels[..], &order[..]);
    let parameters = &parameters[..];
    let spreads = &a.table::<Spread>("spreads")[..p.columns as usize];
    let kept: Vec<&Spread> = spreads.iter().filter(|s| s.kind == spread::KEPT).collect();
    let place = |s: &&Spread| s.input as usize..(s.input + p.rows * s.slots) as usize;
    let codes = cut(&mut codes, kept.iter().map(place).collect());
    let codes = codes.into_iter().zip(&kept);
    let mut codes: Vec<_> =
        codes.map(|(codes, s)| codes.chunks_mut((BLOCK * s.slots as usize).max(1))).collect();
    let (rows, width) = (p.rows as usize, p.width as usize);
    let (slots, tasks, first) = (p.slots as usize, p.tasks as usize, p.target_x as usize);
    let inputs = inputs[first..first + rows * width].chunks_mut((BLOCK * width).max(1));
    let labels = labels[..rows * tasks].chunks_mut((BLOCK * tasks).max(1));
    let parts = inputs.zip(labels).enumerate().map(|(block, (inputs, labels))| {
        let codes: Vec<&mut [u32]> = codes.iter_mut().filter_map(Iterator::next).collect();
        (block, inputs, labels, codes)
    });
    a.run(parts.collect(), |(block, inputs, labels, mut codes)| {
        let rows = inputs.chunks_mut(width.max(1)).zip(labels.chunks_mut(tasks.max(1)));
        for (r, (inputs, labels)) in rows.enumerate() {
            let order = (p.shuffled == 1).then_some(order);
            let segment = p.segment_first..p.segment_first + p.segment_rows;
            let place = p.chunk_first + (block * BLOCK + r) as u32;
            let row = row_in_segment(step, place, order, segment);
            if row.is_none() && p.fill == 1 {
                continue;
            }
            inputs.fill(T::of(0.0));
            let cells = row.map(|row| &data[row * slots..][..slots]);
            for (codes, s) in codes.iter_mut().zip(&kept) {
                let (width, slot) = (s.slots as usize, s.slot as usize);
                let codes = &mut codes[r * width..][..width];
                match cells {
                    Some(cells) => codes.copy_from_slice(&cells[slot..][..width]),
                    None => codes.fill(NONE),
                }
            }
            let (Some(row), Some(cells)) = (row, cells) else {
                labels.fill(NONE);
                continue;
            };
            labels.copy_from_slice(&data_labels[row * tasks..][..tasks]);
            for s in spreads.iter().filter(|s| s.kind != spread::KEPT) {
                let cells = &cells[s.slot as usize..][..s.slots as usize];
                spread_cells(s, cells, parameters, &mut inputs[s.input as usize..]);
            }
        }
        None
    });
}

/// Adds the cells of a column to its inputs: numbers, one-hot codes, or the sum of vectors.
fn spread_cells<T: Real>(s: &Spread, cells: &[u32], parameters: &[T], inputs: &mut [T]) {
    for (i, &cell) in cells.iter().enumerate() {
        match s.kind {
            spread::NUMBERS => inputs[i] = T::from(f32::from_bits(cell)),
            spread::ONE_HOT if cell < s.width => inputs[cell as usize] += T::from(s.scale),
            _ => {}
        }
    }
    for d in (0..s.width).filter(|_| s.kind == spread::VECTOR) {
        let vectors = cells
            .iter()
            .filter(|code| **code < s.values)
            .map(|code| parameters[(s.weight + code * s.stride + d) as usize]);
        inputs[d as usize] = vectors.fold(T::of(0.0), |sum, x| sum + x) * T::from(s.scale);
    }
}
