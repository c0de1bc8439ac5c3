//! Rows: features, labels, what columns mean. Readers turn files into [`Parts`]; nothing here knows a network or a GPU.

pub mod arrays;
pub mod bytes;
pub mod columns;
pub mod csv;
pub mod digits;
pub mod glob;
pub mod idx;
pub mod images;
pub mod labels;
pub mod load;
pub mod npy;
pub mod order;
pub mod overlay;
pub mod parquet;
pub mod raw;
pub mod split;
pub mod stream;
pub mod svmlight;
pub mod text;

use std::sync::Arc;

use crate::config::Scale;

/// A label that is not there: the row does not train this task.
pub const UNLABELLED: u32 = u32::MAX;

/// Which part of a data set; the number is the stream of its random partners.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Trained on.
    Train = 0,
    /// Picks the model.
    Valid = 1,
    /// Reported only.
    Test = 2,
}

impl Part {
    /// All three, by number.
    pub const ALL: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

    /// `train`, `valid` or `test`.
    pub fn name(self) -> &'static str {
        ["train", "valid", "test"][self as usize]
    }
}

/// One part in memory.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Number of rows.
    pub rows: usize,
    /// [rows, width], row-major.
    pub features: Features,
    /// One vector of `[rows]` per task, in task order: class index, or [`UNLABELLED`]. Empty when the file has no label columns (`predict`).
    pub labels: Vec<Vec<u32>>,
    /// The cells of the file as they were, for `predict`: header and records. Absent for images.
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
}

/// Text cells of a CSV file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Column names.
    pub header: Vec<String>,
    /// One record per row.
    pub records: Vec<::csv::StringRecord>,
}

/// What is known of the columns; kept as `schema.json` beside a model, applied by `evaluate` and `predict`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Schema {
    /// How features are made.
    pub input: Input,
    /// One per task, in task order.
    pub targets: Vec<Target>,
}

/// How features are made from a file.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Input {
    /// Numeric CSV columns in this order.
    Columns {
        /// The columns.
        columns: Vec<Column>,
    },
    /// Images as bytes times `scale`.
    Image {
        /// Height in pixels, after overlay.
        height: usize,
        /// Width in pixels, after overlay.
        width: usize,
        /// Factor on each byte.
        scale: f32,
        /// Shift and seed, where two images lie over each other.
        overlay: Option<(usize, u64)>,
    },
}

impl Input {
    /// Number of features of a row.
    pub fn width(&self) -> usize {
        match self {
            Input::Columns { columns } => columns.len(),
            Input::Image { height, width, .. } => height * width,
        }
    }
}

/// A numeric column: the feature is `(x − offset) · factor`.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Column {
    /// Name in the header.
    pub name: String,
    /// How offset and factor were fitted.
    pub scale: Scale,
    /// Subtracted first.
    pub offset: f64,
    /// Then multiplied with; 0 for a constant column.
    pub factor: f64,
}

/// The labels of a task.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Target {
    /// Task name.
    pub task: String,
    /// Label column.
    pub column: String,
    /// Class names, in the order of the logits.
    pub classes: Vec<String>,
    /// Class groups: for each class the label values that it stands for; empty when the label values are the classes.
    pub groups: Vec<Vec<String>>,
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
}
