//! `gather_cells`: the rows of a chunk, from a segment of the data set whose columns are still to
//! become inputs.

use super::rows::{row_in_segment, row_of_batch};
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
    let per_row = |s: &Spread| (s.places * s.slots) as usize;
    let place = |s: &&Spread| s.input as usize..s.input as usize + p.rows as usize * per_row(s);
    let codes = cut(&mut codes, kept.iter().map(place).collect());
    let codes = codes.into_iter().zip(&kept);
    let mut codes: Vec<_> =
        codes.map(|(codes, s)| codes.chunks_mut((BLOCK * per_row(s)).max(1))).collect();
    let (rows, width) = (p.rows as usize, p.width as usize);
    let (tasks, first) = (p.tasks as usize, p.target_x as usize);
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
            let row = row_of_batch(step, place, order);
            match row_in_segment(step, place, order, segment) {
                Some(row) => labels.copy_from_slice(&data_labels[row * tasks..][..tasks]),
                None if p.fill == 0 => labels.fill(NONE),
                None => {}
            }
            for (codes, s) in codes.iter_mut().zip(&kept) {
                let codes =
                    codes[r * per_row(s)..][..per_row(s)].chunks_mut((s.slots as usize).max(1));
                for (place, codes) in (0..).zip(codes) {
                    match found(&p, data, row, s.offset.wrapping_add(place)) {
                        Found::Here(cells) => {
                            codes.copy_from_slice(&cells[s.slot as usize..][..codes.len()])
                        }
                        Found::Beyond => codes.fill(s.beyond),
                        Found::Nowhere => codes.fill(NONE),
                        Found::Elsewhere => {}
                    }
                }
            }
            for s in spreads.iter().filter(|s| s.kind != spread::KEPT) {
                let inputs = &mut inputs[s.input as usize..][..s.width as usize];
                match found(&p, data, row, s.offset) {
                    Found::Here(cells) => {
                        let cells = &cells[s.slot as usize..][..s.slots as usize];
                        spread_cells(s, cells, parameters, inputs)
                    }
                    Found::Beyond if s.kind == spread::NUMBERS => inputs.fill(T::of(0.0)),
                    Found::Beyond => {
                        spread_cells(s, &vec![s.beyond; s.slots as usize], parameters, inputs)
                    }
                    Found::Nowhere => inputs.fill(T::of(0.0)),
                    Found::Elsewhere => {}
                }
            }
        }
        None
    });
}

/// What a line of the table of columns finds at a row.
enum Found<'d> {
    /// The cells of the row.
    Here(&'d [u32]),
    /// The end of the sentence.
    Beyond,
    /// No row, behind the batch.
    Nowhere,
    /// Another segment.
    Elsewhere,
}

/// What there is some rows behind a row of the data set, `None` behind the batch.
fn found<'d>(p: &params::GatherCells, data: &'d [u32], row: Option<u32>, offset: u32) -> Found<'d> {
    let local = row.map(|row| row.wrapping_add(offset).wrapping_sub(p.segment_first));
    let Some(local) = local.filter(|local| *local < p.segment_rows) else {
        return match (p.fill, row) {
            (1, _) => Found::Elsewhere,
            (_, Some(_)) if offset != 0 => Found::Beyond,
            _ => Found::Nowhere,
        };
    };
    let cells = &data[local as usize * p.slots as usize..][..p.slots as usize];
    let is_inside = match offset.cast_signed() {
        0 => true,
        after @ 1.. => cells[p.span as usize] & 0xffff >= after.cast_unsigned(),
        before => cells[p.span as usize] >> 16 >= before.unsigned_abs(),
    };
    if is_inside { Found::Here(cells) } else { Found::Beyond }
}

/// Writes the inputs of the cells of a column: numbers, one-hot codes, or the sum of vectors.
fn spread_cells<T: Real>(s: &Spread, cells: &[u32], parameters: &[T], inputs: &mut [T]) {
    inputs.fill(T::of(0.0));
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
