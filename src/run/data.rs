//! Uploads rows of the data to an engine, without widening them: whole parts, or the rows that the
//! next steps need.

use std::ops::Range;

use anyhow::Result;

use crate::data::schema::columns::MAX_WINDOW;
use crate::data::tokens::is_trained;
use crate::data::{Dataset, Features, UNLABELLED};
use crate::plan::{Counting, PartBuffers};
use crate::schedule::Engine;

/// Uploads a part; `counting` says which labels and weights the program expects.
///
/// # Errors
/// 74 if rows on disk cannot be read; errors of the engine.
pub fn upload(
    engine: &mut dyn Engine,
    part: &PartBuffers,
    data: &Dataset,
    counting: Counting,
) -> Result<()> {
    for segment in &part.segments {
        let rows = segment.first..segment.first + segment.rows;
        engine.upload(segment.features, 0, &features(data, rows.clone())?)?;
        engine.upload(segment.labels, 0, &labels(data, rows, counting))?;
    }
    Ok(())
}

/// Uploads the rows `rows` of the data to the first of some places of a part, in this order; the
/// first place is a multiple of four. Where rows are tokens, the places beside them are made blank:
/// a row that stood there before is no neighbour.
///
/// # Errors
/// 74 if rows on disk cannot be read; errors of the engine.
pub fn upload_rows(
    engine: &mut dyn Engine,
    part: &PartBuffers,
    data: &Dataset,
    rows: &[u32],
    places: Range<usize>,
    counting: Counting,
) -> Result<()> {
    let at = places.start;
    for segment in &part.segments {
        let (first, end) =
            (segment.first.max(at), (segment.first + segment.rows).min(at + rows.len()));
        if first >= end {
            continue;
        }
        let chosen = || rows[first - at..end - at].iter().map(|row| *row as usize);
        let place = first - segment.first;
        let word = place * feature_bytes(data) / 4;
        engine.upload(segment.features, word, &features(data, chosen())?)?;
        engine.upload(segment.labels, place * counting.cells, &labels(data, chosen(), counting))?;
    }
    let end = at + rows.len();
    if data.tokens.is_some() && end < places.end {
        blank(engine, part, data.width(), end..places.end.min(end + MAX_WINDOW))?;
        blank(
            engine,
            part,
            data.width(),
            end.max(places.end.saturating_sub(MAX_WINDOW))..places.end,
        )?;
    }
    Ok(())
}

/// Bytes of the features of a row on a device.
pub fn feature_bytes(data: &Dataset) -> usize {
    let each = if matches!(data.features, Features::U8 { .. }) { 1 } else { 4 };
    each * data.width()
}

/// Makes places of a part blank: a row there is no neighbour of another one.
fn blank(
    engine: &mut dyn Engine,
    part: &PartBuffers,
    width: usize,
    places: Range<usize>,
) -> Result<()> {
    for segment in &part.segments {
        let first = segment.first.max(places.start);
        let end = (segment.first + segment.rows).min(places.end);
        if first < end {
            let zeros = vec![0; (end - first) * width];
            engine.upload(segment.features, (first - segment.first) * width, &zeros)?;
        }
    }
    Ok(())
}

/// The features of some rows, as the u32 that an engine holds.
fn features(data: &Dataset, rows: impl Iterator<Item = usize>) -> Result<Vec<u32>> {
    let width = data.width();
    Ok(match &data.features {
        Features::Stored(stored) => return stored.fetch(rows),
        Features::F32(values) => {
            rows.flat_map(|row| &values[row * width..][..width]).map(|x| x.to_bits()).collect()
        }
        Features::Cells { values: words, .. } => {
            rows.flat_map(|row| &words[row * width..][..width]).copied().collect()
        }
        Features::U8 { values, .. } => {
            let bytes: Vec<u8> =
                rows.flat_map(|row| &values[row * width..][..width]).copied().collect();
            bytes.chunks(4).map(word).collect()
        }
    })
}

/// A u32 of four bytes, the first in its lowest bits.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, b| word << 8 | u32::from(*b))
}

/// The labels of some rows, and their weights if the program has weights: [rows, cells]. Labels are
/// blank and weights 1 where the data has none.
fn labels(data: &Dataset, rows: impl Iterator<Item = usize>, counting: Counting) -> Vec<u32> {
    let labels = counting.cells - usize::from(counting.weighted);
    let word = |row: usize, cell: usize| match (cell < labels, &data.weights) {
        (true, _) => match data.labels.get(cell).map(|column| column[row]) {
            Some(label) if is_trained(label) => label,
            _ => UNLABELLED,
        },
        (false, Some(weights)) => weights[row].to_bits(),
        (false, None) => 1f32.to_bits(),
    };
    rows.flat_map(|row| (0..counting.cells).map(move |cell| word(row, cell))).collect()
}
