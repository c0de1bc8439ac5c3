//! Brings parts of the data onto an engine, as compact as they are.

use anyhow::Result;

use crate::data::{Dataset, Features, UNLABELLED};
use crate::schedule::Engine;
use crate::schedule::build::{Counting, PartBuffers, Segment};

/// Uploads a part; `counting` says which label words the program expects.
pub fn upload(engine: &mut dyn Engine, part: &PartBuffers, data: &Dataset, counting: Counting) -> Result<()> {
    for segment in &part.segments {
        engine.upload(segment.features, 0, &features(data, segment))?;
        engine.upload(segment.labels, 0, &labels(data, segment, counting))?;
    }
    Ok(())
}

fn features(data: &Dataset, segment: &Segment) -> Vec<u32> {
    let width = data.width();
    let (first, end) = (segment.first * width, (segment.first + segment.rows) * width);
    match &data.features {
        Features::F32(values) => values[first..end].iter().map(|x| x.to_bits()).collect(),
        Features::Cells { words, .. } => words[first..end].to_vec(),
        Features::U8 { values, .. } => values[first..end].chunks(4).map(word).collect(),
    }
}

/// Four bytes, the first in the lowest bits.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, b| word << 8 | u32::from(*b))
}

/// [rows, cells], row by row; rows without labels where the data has none, and weights of one.
fn labels(data: &Dataset, segment: &Segment, counting: Counting) -> Vec<u32> {
    let labels = counting.cells - usize::from(counting.weighted);
    let word = |row: usize, cell: usize| match (cell < labels, &data.weights) {
        (true, _) => data.labels.get(cell).map_or(UNLABELLED, |column| column[row]),
        (false, Some(weights)) => weights[row].to_bits(),
        (false, None) => 1f32.to_bits(),
    };
    (segment.first..segment.first + segment.rows).flat_map(|row| (0..counting.cells).map(move |cell| word(row, cell))).collect()
}
