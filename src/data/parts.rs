//! Rows in memory: features, labels and weights of each part of a data set.

use std::borrow::Cow;
use std::sync::Arc;

use super::encode::applied::Met;
use super::schema::Schema;
use super::store::rows::Stored;
use super::table::raw::{Raw, RawColumn};
use super::table::shape::Kind;

/// One part in memory.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Number of rows.
    pub rows: usize,
    /// [rows, width], row-major.
    pub features: Features,
    /// One vector of `[rows]` per label column, task by task in task order: a class index (multiclass), 0 or 1 (binary, multilabel), bits of a scaled f32
    /// (regression) or of a count; or [`UNLABELLED`](super::part::UNLABELLED). Empty when the file has no label columns
    /// (`predict`).
    pub labels: Vec<Vec<u32>>,
    /// Weight of each row in all losses, finite and not negative; `None` = one each.
    pub weights: Option<Vec<f32>>,
    /// The cells of the file as they were, for `predict`. Absent for images.
    pub table: Option<Table>,
}

/// Feature values, as compact as they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Bytes; the value is `byte · scale`.
    U8 {
        /// [rows, width]
        values: Vec<u8>,
        /// Factor (1/255 for images, 1/16 for digits).
        scale: f32,
    },
    /// Scaled numbers.
    F32(Vec<f32>),
    /// Numbers (bits of f32) and codes of categories, spread out to inputs on the device as
    /// [`Input::spread`](super::schema::Input::spread) says.
    Cells {
        /// [rows, slots]
        words: Vec<u32>,
        /// Words of a row.
        slots: usize,
    },
    /// Words of the two kinds before, on disk.
    Stored(Arc<Stored>),
}

/// The cells of a file as they were.
#[derive(Clone, Debug)]
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// What a schema met in the cells.
    pub met: Met,
    /// The cells.
    pub(crate) raw: Arc<Raw>,
}

impl Table {
    /// The cells of a row, in the order of the header; blanks around them are gone.
    pub fn record(&self, row: usize) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.header.len()).map(move |column| self.raw.cell(row, column))
    }

    /// One of them.
    pub fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        self.raw.cell(row, column)
    }

    /// What a column holds, by the word of its file.
    pub fn kind(&self, column: usize) -> Kind {
        self.raw.columns.get(column).map_or(Kind::Text, RawColumn::kind)
    }

    /// The whole number of a cell of a column of such; `None` if it is blank.
    pub fn whole(&self, row: usize, column: usize) -> Option<i128> {
        match self.raw.columns.get(column) {
            Some(RawColumn::Wholes(wholes)) => wholes.get(row),
            _ => None,
        }
    }
}

/// The parts of a data set with their common schema.
#[derive(Clone, Debug)]
pub struct Parts {
    /// Trained on.
    pub train: Arc<Dataset>,
    /// Picks the model; may be absent.
    pub valid: Option<Arc<Dataset>>,
    /// Reported only; may be absent.
    pub test: Option<Arc<Dataset>>,
    /// Columns, scaling, class names.
    pub schema: Schema,
    /// BLAKE3 of what was read, by file or built-in name, for `environment.json`.
    pub hashes: Vec<(String, String)>,
    /// What a user should know of the columns: which were dropped, which nearly determine a label.
    pub notices: Vec<String>,
}
