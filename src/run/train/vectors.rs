//! Vectors of words that begin as a file gives them.

use std::collections::HashMap;

use anyhow::Result;

use crate::config::Feature;
use crate::data::read::vectors;
use crate::data::{Column, Encoding, Input};
use crate::model::layout::Layout;

/// Vectors that files give, each with its first place in the arena.
#[derive(Clone, Debug, Default)]
pub struct Vectors(Vec<(usize, Vec<f32>)>);

impl Vectors {
    /// The vectors of all columns whose settings name a file, and a line for each column that says
    /// how many of its values have one.
    ///
    /// # Errors
    /// 66 if a file cannot be read; 65 if it is malformed.
    pub fn read(
        layout: &Layout,
        input: &Input,
        features: &[Feature],
    ) -> Result<(Vectors, Vec<String>)> {
        let (mut all, mut notices) = (Vec::new(), Vec::new());
        let Input::Columns { columns } = input else { return Ok(Default::default()) };
        let learned = columns.iter().filter(|column| column.vectors() > 0);
        for (column, block) in learned.zip(layout.embeddings()) {
            let feature = features.iter().find(|feature| feature.column == column.name);
            let Some(path) = feature.and_then(|feature| feature.vectors.as_ref()) else { continue };
            let (known, width) = (values(column), block.shape[1]);
            let found = vectors::read(path, width, &known)?;
            notices.push(format!(
                "column \"{}\": {} of {} values have a vector in {}",
                column.name,
                found.len(),
                known.len(),
                path.display()
            ));
            let place = |(value, vector)| (block.offset + value * width, vector);
            all.extend(found.into_iter().map(place));
        }
        Ok((Vectors(all), notices))
    }

    /// Puts the vectors into an arena.
    pub fn set(&self, arena: &mut [f32]) {
        for (first, vector) in &self.0 {
            arena[*first..][..vector.len()].copy_from_slice(vector);
        }
    }
}

/// The values of a category with their codes.
fn values(column: &Column) -> HashMap<&str, usize> {
    match &column.encoding {
        Encoding::Category { values, .. } => values.iter().map(String::as_str).zip(0..).collect(),
        _ => HashMap::new(),
    }
}
