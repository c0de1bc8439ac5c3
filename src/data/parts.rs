//! The parts of a data set: their features, labels and weights.

use std::borrow::Cow;
use std::sync::Arc;

use super::encode::applied::MatchReport;
use super::part::Part;
use super::schema::Schema;
use super::store::rows::Stored;
use super::table::raw::{Raw, RawColumn};
use super::table::shape::CellKind;
use super::tokens::{Tokens, Written};

/// One part of a data set.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Number of rows.
    pub rows: usize,
    /// [rows, width], row-major.
    pub features: Features,
    /// One vector `[rows]` per label column, task by task in task order; a task has
    /// `Target::cells` columns. A label is the index of a class (multiclass), 0 or 1 (binary,
    /// multilabel), the bits of an f32 (a scaled number in regression, a count), or `UNLABELLED`.
    /// There are no vectors if labels were not read (`predict`).
    pub labels: Vec<Vec<u32>>,
    /// The weight of each row in all losses, finite and not negative; `None` = every weight is 1.
    pub weights: Option<Vec<f32>>,
    /// The cells of the file as they were, if they were kept (`predict`); `None` for images.
    pub table: Option<Table>,
    /// The sentences, where rows are tokens.
    pub tokens: Option<Arc<Tokens>>,
}

/// Feature values, in the most compact form that keeps them.
#[derive(Clone, Debug, PartialEq)]
pub enum Features {
    /// Bytes; a value is `byte · scale`.
    U8 {
        /// [rows, width]
        values: Vec<u8>,
        /// The factor: 1/255 for images, 1/16 for digits.
        scale: f32,
    },
    /// Scaled numbers, [rows, width].
    F32(Vec<f32>),
    /// Slots with numbers (the bits of an f32) or codes. The device turns them into inputs, as
    /// `Input::spread` states.
    Cells {
        /// [rows, slots]
        values: Vec<u32>,
        /// Number of slots of a row.
        slots: usize,
    },
    /// Scaled numbers or slots that stay on disk.
    Stored(Arc<Stored>),
}

/// The cells of a file as they were.
#[derive(Clone, Debug)]
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// How well the cells match the schema that they were encoded with.
    pub matched: MatchReport,
    /// The cells.
    pub(crate) raw: Arc<Raw>,
}

impl Table {
    /// The cells of a row, in the order of the header, without the blanks around them.
    pub fn record(&self, row: usize) -> impl Iterator<Item = Cow<'_, str>> {
        (0..self.header.len()).map(move |column| self.raw.cell(row, column))
    }

    /// A cell, without the blanks around it.
    pub fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        self.raw.cell(row, column)
    }

    /// The kind of the cells of a column, as its file states it.
    pub fn kind(&self, column: usize) -> CellKind {
        self.raw.columns.get(column).map_or(CellKind::Text, RawColumn::kind)
    }

    /// The lines of sentences, if they were kept; else empty.
    pub fn written(&self) -> &[Written] {
        &self.raw.written
    }

    /// The number of a cell in a column of whole numbers; `None` if it is blank.
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
    /// The part that is trained on.
    pub train: Arc<Dataset>,
    /// The part that picks the model, if there is one.
    pub valid: Option<Arc<Dataset>>,
    /// The part that is only reported on, if there is one.
    pub test: Option<Arc<Dataset>>,
    /// Columns, scaling and class names.
    pub schema: Schema,
    /// (file or name of a built-in set, BLAKE3 in hex) of everything that was read, for
    /// `environment.json`.
    pub hashes: Vec<(String, String)>,
    /// The sources of the training part, in the order of their rows; empty if there is but one.
    pub sources: Vec<SourceRows>,
    /// What the user should know about the data, such as which columns were dropped and which
    /// nearly determine a label.
    pub notices: Vec<String>,
}

/// The rows of the training part that come from one of several sources. The rows of a source follow
/// each other.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceRows {
    /// The name of the source.
    pub name: String,
    /// Number of rows, 1 or more.
    pub rows: usize,
    /// The tasks that it labels.
    pub tasks: Vec<String>,
}

impl Parts {
    /// The parts that are there, in order.
    pub fn there(&self) -> impl Iterator<Item = (Part, &Arc<Dataset>)> {
        let all = [Some(&self.train), self.valid.as_ref(), self.test.as_ref()];
        Part::ALL.into_iter().zip(all).filter_map(|(part, data)| Some((part, data?)))
    }

    /// Puts parts of one schema together; `None` if the training part is missing.
    pub(crate) fn of(
        [train, valid, test]: [Option<Dataset>; 3],
        schema: Schema,
        hashes: Vec<(String, String)>,
        notices: Vec<String>,
    ) -> Option<Parts> {
        let (valid, test) = (valid.map(Arc::new), test.map(Arc::new));
        let (train, sources) = (Arc::new(train?), Vec::new());
        Some(Parts { train, valid, test, schema, hashes, sources, notices })
    }
}
