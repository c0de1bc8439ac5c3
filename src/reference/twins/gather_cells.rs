//! `gather_cells`: the rows of a chunk, from a segment of the data set whose columns are still to
//! become inputs.

use super::rows::row_in_segment;
use crate::kernels::params::{self, NONE, Spread, spread};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn gather_cells<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::GatherCells>(), a.step());
    let (data, data_labels) = (a.integers("data"), a.integers("data_labels"));
    let (order, parameters) = (a.integers("order"), a.numbers("parameters"));
    let (mut inputs, mut labels) = (a.numbers_mut("inputs"), a.integers_mut("labels"));
    let mut codes = a.integers_mut("codes");
    let spreads = &a.table::<Spread>("spreads")[..p.columns as usize];
    let (slots, tasks) = (p.slots as usize, p.tasks as usize);
    for r in 0..p.rows {
        let order = (p.shuffled == 1).then_some(&order[..]);
        let segment = p.segment_first..p.segment_first + p.segment_rows;
        let row = row_in_segment(step, p.chunk_first + r, order, segment);
        if row.is_none() && p.fill == 1 {
            continue;
        }
        let inputs = &mut inputs[(p.target_x + r * p.width) as usize..][..p.width as usize];
        let labels = &mut labels[r as usize * tasks..][..tasks];
        inputs.fill(T::of(0.0));
        labels.fill(NONE);
        for kept in spreads.iter().filter(|s| s.kind == spread::KEPT) {
            kept_codes(kept, r, &mut codes).fill(NONE);
        }
        let Some(row) = row else { continue };
        labels.copy_from_slice(&data_labels[row * tasks..][..tasks]);
        for s in spreads {
            let cells = &data[row * slots + s.slot as usize..][..s.slots as usize];
            match s.kind {
                spread::KEPT => kept_codes(s, r, &mut codes).copy_from_slice(cells),
                _ => spread_cells(s, cells, &parameters, &mut inputs[s.input as usize..]),
            }
        }
    }
}

/// The place of the codes of a row, which are kept for the backward pass.
fn kept_codes<'c>(s: &Spread, row: u32, codes: &'c mut [u32]) -> &'c mut [u32] {
    &mut codes[(s.input + row * s.slots) as usize..][..s.slots as usize]
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
