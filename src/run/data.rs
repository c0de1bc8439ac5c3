//! Brings parts of the data onto an engine, as compact as they are.

use anyhow::Result;

use crate::data::{Dataset, Features, UNLABELLED};
use crate::schedule::Engine;
use crate::schedule::build::{PartBuffers, Segment};

/// Uploads a part; `tasks` is the number of label columns that the program expects.
pub fn upload(engine: &mut dyn Engine, part: &PartBuffers, data: &Dataset, tasks: usize) -> Result<()> {
    for segment in &part.segments {
        engine.upload(segment.features, 0, &features(data, segment))?;
        engine.upload(segment.labels, 0, &labels(data, segment, tasks))?;
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

/// [rows, T], row by row; rows without labels where the data has none.
fn labels(data: &Dataset, segment: &Segment, tasks: usize) -> Vec<u32> {
    let label = |row: usize, task: usize| data.labels.get(task).map_or(UNLABELLED, |column| column[row]);
    (segment.first..segment.first + segment.rows).flat_map(|row| (0..tasks).map(move |task| label(row, task))).collect()
}
