//! Training rows that are looked at for what gives a label away.

use crate::data::{Column, Dataset, Encoding, Features, Input, Schema};

/// Fewer labelled rows say nothing.
pub(crate) const TOO_FEW: usize = 40;

/// Some training rows, as they were encoded.
#[derive(Debug)]
pub(crate) struct Sight<'s> {
    /// How they were encoded.
    pub schema: &'s Schema,
    /// All training rows.
    pub train: &'s Dataset,
    /// Numbers of the rows that are looked at.
    pub rows: Vec<usize>,
    /// Words of a row.
    pub width: usize,
}

impl<'s> Sight<'s> {
    /// The columns, with their numbers and the first slot of each.
    pub fn columns(&self) -> impl Iterator<Item = (usize, &'s Column, usize)> + use<'s> {
        let columns =
            if let Input::Columns { columns } = &self.schema.input { &columns[..] } else { &[] };
        let mut slot = 0;
        columns.iter().enumerate().map(move |(at, column)| {
            let first = slot;
            slot += column.slots();
            (at, column, first)
        })
    }

    /// A word of a row.
    pub fn word(&self, row: usize, slot: usize) -> u32 {
        match &self.train.features {
            Features::Cells { words, .. } => words[row * self.width + slot],
            Features::F32(values) => values[row * self.width + slot].to_bits(),
            Features::U8 { .. } | Features::Stored(_) => 0,
        }
    }

    /// Whether the cell of a number is blank, or that of a yes or no none of the two.
    pub fn is_blank(&self, row: usize, column: &Column, slot: usize) -> bool {
        let has_indicator = matches!(
            column.encoding,
            Encoding::Numeric { indicator: true, .. } | Encoding::Binary { indicator: true, .. }
        );
        has_indicator && f32::from_bits(self.word(row, slot + 1)) != 0.0
    }
}
