//! Labels and blanks of each label column in each part.

use serde::{Deserialize, Serialize};

use crate::data::Parts;
use crate::data::look::summary::label_summary;

/// The labels of one column in one part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelCount {
    /// Name of the task.
    pub task: String,
    /// Name of the label column.
    pub column: String,
    /// Name of the part.
    pub part: String,
    /// Number of rows with a label.
    pub labelled: usize,
    /// Number of all rows.
    pub rows: usize,
}

/// The counts, ordered by task, column and part.
pub fn count(parts: &Parts) -> Vec<LabelCount> {
    let count = |found: crate::data::look::summary::Labelled| LabelCount {
        task: found.task,
        column: found.column,
        part: found.part.name().to_owned(),
        labelled: found.labelled,
        rows: found.rows,
    };
    label_summary(parts).into_iter().map(count).collect()
}
