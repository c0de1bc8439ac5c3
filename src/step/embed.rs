//! The tables of columns and of learned embeddings, which say how the columns of a row become
//! inputs.
//!
//! `gather_cells` sums the vectors of a row's codes, four numbers per line of the table, and keeps
//! the codes of the batch. In the backward pass the deltas of the learned inputs are one more
//! destination of `dense_backward_input`. `link_cells` then links the cells with equal codes in
//! ascending order, and `embedding_backward` sums along these links: no two invocations write one
//! number, and sums have a fixed order.

use super::request::Request;
use crate::data;
use crate::kernels::params::{self, spread};
use crate::model::layout::Block;
use crate::plan::LayerPlan;

/// Numbers of a vector that one line of the table of columns stands for.
pub(super) const QUAD: usize = 4;

/// Vectors of a workgroup of `embedding_backward`.
pub(super) const GROUP: usize = 64;

/// The columns whose codes have vectors.
fn learned(spread: &[data::Spread]) -> impl Iterator<Item = &data::Spread> {
    spread.iter().filter(|s| s.vectors > 0)
}

/// Codes with learned vectors per row.
pub(super) fn cells_per_row(spread: &[data::Spread]) -> usize {
    learned(spread).map(|s| s.places() * s.slots).sum()
}

/// The table of embeddings that kernels read, in their order.
pub(super) fn embeddings(request: &Request, plan: &LayerPlan) -> Vec<params::Embedding> {
    let (mut codes, mut first, mut tile) = (0, 0, 0);
    let flags = 1 + 2 * plan.order.len();
    let line = |(number, (s, block)): (usize, (&data::Spread, &Block))| {
        let line = params::Embedding {
            values: s.vectors as u32,
            width: s.width as u32,
            weight: block.offset as u32,
            input: s.input as u32,
            slots: (s.places() * s.slots) as u32,
            place: s.slots as u32,
            scale: s.scale,
            codes: codes as u32,
            first: first as u32,
            flag: (flags + number) as u32,
            tile: tile as u32,
        };
        codes += plan.capacity * s.places() * s.slots;
        first += s.vectors;
        tile += s.vectors.div_ceil(GROUP);
        line
    };
    learned(request.spread).zip(request.layout.embeddings()).enumerate().map(line).collect()
}

/// The table of columns: one line per column of numbers or of one-hot codes, one per four numbers
/// of a vector, all of these for each row of a window; then one line per column whose codes are
/// kept, which only training needs. Where tokens are pooled, their places in sentences are kept
/// before these.
pub(super) fn lines(
    spread: &[data::Spread],
    embeddings: &[params::Embedding],
    spans: Option<usize>,
) -> Vec<params::Spread> {
    let mut tables = embeddings.iter();
    let mut lines = Vec::new();
    for s in spread.iter().filter(|s| !s.is_span) {
        let table = if s.vectors > 0 { tables.next() } else { None };
        for place in 0..s.places() {
            match table {
                Some(table) => lines.extend(
                    (0..s.width).step_by(QUAD).map(|first| vector_line(s, table, place, first)),
                ),
                None => lines.push(plain_line(s, place)),
            }
        }
    }
    lines.extend(spans.zip(spread.iter().find(|s| s.is_span)).map(|(first, s)| params::Spread {
        kind: spread::KEPT,
        input: first as u32,
        ..plain_line(s, 0)
    }));
    lines.extend(learned(spread).zip(embeddings).map(|(s, table)| params::Spread {
        kind: spread::KEPT,
        input: table.codes,
        places: s.places() as u32,
        ..plain_line(s, 0)
    }));
    lines
}

/// The first of the places of rows in their sentences among the codes, behind all others, where
/// tokens are pooled.
pub(super) fn spans(request: &Request, capacity: usize) -> Option<usize> {
    let pools = request.layout.graph.pools();
    pools.then(|| capacity * cells_per_row(request.spread))
}

/// The slot with the place of a row in its sentence, or NONE.
pub(super) fn span(spread: &[data::Spread]) -> u32 {
    spread.iter().find(|s| s.is_span).map_or(params::NONE, |s| s.slot as u32)
}

/// The line of a column of numbers or of one-hot codes, for a place in its window.
fn plain_line(s: &data::Spread, place: usize) -> params::Spread {
    params::Spread {
        slot: s.slot as u32,
        slots: s.slots as u32,
        input: (s.input + place * s.width) as u32,
        width: s.width as u32,
        offset: (place as u32).wrapping_sub(s.window as u32),
        places: 1,
        beyond: s.beyond.unwrap_or(params::NONE),
        kind: if s.codes { spread::ONE_HOT } else { spread::NUMBERS },
        scale: s.scale,
        ..params::Spread::default()
    }
}

/// Four numbers of a vector, from `first` on, for a place in its window.
fn vector_line(
    s: &data::Spread,
    table: &params::Embedding,
    place: usize,
    first: usize,
) -> params::Spread {
    params::Spread {
        kind: spread::VECTOR,
        input: (s.input + place * s.width + first) as u32,
        width: QUAD.min(s.width - first) as u32,
        values: table.values,
        weight: table.weight + first as u32,
        stride: table.width,
        ..plain_line(s, place)
    }
}
