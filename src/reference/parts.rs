//! The parts of a dispatch, which threads share. How a dispatch is cut follows from its shapes
//! alone, so that results do not depend on the number of threads.

use std::ops::Range;

use rayon::prelude::*;

use super::Arguments;
use super::real::Real;

/// Rows of a block of rows.
pub(crate) const BLOCK: usize = 16;

/// Rows of a tile.
pub(crate) const ROWS: usize = 128;

/// The most columns of a tile.
pub(crate) const COLUMNS: usize = 96;

/// Columns of a tile of a small matrix, so that it has more of them.
const NARROW: usize = 32;

/// Elements of a matrix from which on it is not small.
const LARGE: usize = 1 << 16;

/// Elements of a part of a flat buffer: whole runs of 64.
pub(crate) const ELEMENTS: usize = 1 << 14;

/// Cuts runs out of a buffer, in the order of `runs`. An empty run may lie anywhere.
///
/// # Panics
/// If two runs overlap, or one ends beyond the buffer: a plan that does so is a bug.
pub(crate) fn cut<T>(mut buffer: &mut [T], runs: Vec<Range<usize>>) -> Vec<&mut [T]> {
    let mut order: Vec<usize> = (0..runs.len()).filter(|i| !runs[*i].is_empty()).collect();
    order.sort_by_key(|i| runs[*i].start);
    let mut found: Vec<&mut [T]> = runs.iter().map(|_| Default::default()).collect();
    let mut at = 0;
    for i in order {
        let run = &runs[i];
        let (_, rest) = std::mem::take(&mut buffer).split_at_mut(run.start - at);
        let (own, rest) = rest.split_at_mut(run.len());
        (found[i], buffer, at) = (own, rest, run.end);
    }
    found
}

/// A tile of a matrix that lies row by row.
pub(crate) struct Tile<'a, T> {
    /// Its first row.
    pub(crate) row: usize,
    /// Its first column.
    pub(crate) column: usize,
    /// Its part of each of its rows.
    pub(crate) rows: Vec<&'a mut [T]>,
}

impl<T> Tile<'_, T> {
    /// Number of its columns.
    pub(crate) fn columns(&self) -> usize {
        self.rows.first().map_or(0, |row| row.len())
    }
}

/// The tiles of a matrix with rows of `columns`, from left to right and downwards.
pub(crate) fn tiles<T>(matrix: &mut [T], columns: usize) -> Vec<Tile<'_, T>> {
    let width = if matrix.len() < LARGE { NARROW } else { COLUMNS };
    let mut all = Vec::new();
    for (block, rows) in matrix.chunks_mut((ROWS * columns).max(1)).enumerate() {
        let first = all.len();
        all.extend((0..columns.div_ceil(width)).map(|i| Tile {
            row: block * ROWS,
            column: i * width,
            rows: Vec::with_capacity(rows.len() / columns),
        }));
        for row in rows.chunks_mut(columns) {
            let pieces = row.chunks_mut(width);
            all[first..].iter_mut().zip(pieces).for_each(|(tile, piece)| tile.rows.push(piece));
        }
    }
    all
}

impl<T: Real> Arguments<'_, T> {
    /// Runs the parts of a dispatch on all threads. `run` returns the flag that a part raises.
    pub(crate) fn run<P: Send>(&self, parts: Vec<P>, run: impl Fn(P) -> Option<u32> + Send + Sync) {
        let raised: Vec<u32> = match parts.len() {
            0 | 1 => parts.into_iter().filter_map(run).collect(),
            _ => parts.into_par_iter().with_max_len(1).filter_map(run).collect(),
        };
        raised.into_iter().for_each(|flag| self.raise(flag));
    }
}
