//! The training rows in which features that give a label away are looked for.

use crate::data::{Column, Dataset, Encoding, Features, Input, Schema};

/// The smallest number of labelled rows that allows a conclusion.
pub(crate) const TOO_FEW: usize = 40;

/// Some encoded training rows.
#[derive(Debug)]
pub(crate) struct TrainingSample<'s> {
    /// The schema that the rows were encoded with.
    pub schema: &'s Schema,
    /// All training rows.
    pub train: &'s Dataset,
    /// The numbers of the rows that are looked at.
    pub rows: Vec<usize>,
    /// Number of slots of a row.
    pub width: usize,
}

impl<'s> TrainingSample<'s> {
    /// (number, column, first slot) of each column.
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

    /// The value of a slot in a row.
    pub fn value(&self, row: usize, slot: usize) -> u32 {
        match &self.train.features {
            Features::Cells { values, .. } => values[row * self.width + slot],
            Features::F32(values) => values[row * self.width + slot].to_bits(),
            Features::U8 { .. } | Features::Stored(_) => 0,
        }
    }

    /// Whether the cell of a numeric column is blank, or the cell of a binary column holds neither
    /// value.
    pub fn is_blank(&self, row: usize, column: &Column, slot: usize) -> bool {
        let has_indicator = matches!(
            column.encoding,
            Encoding::Numeric { indicator: true, .. } | Encoding::Binary { indicator: true, .. }
        );
        has_indicator && f32::from_bits(self.value(row, slot + 1)) != 0.0
    }
}
