//! How many rows are labelled.

use crate::data::{Dataset, Part, Parts, UNLABELLED};

/// Labelled rows of one label column in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Task name.
    pub task: String,
    /// Label column.
    pub column: String,
    /// Part.
    pub part: Part,
    /// Rows with a label.
    pub labelled: usize,
    /// All rows.
    pub rows: usize,
}

/// Labelled rows by task, column and part, in this order.
pub fn label_summary(parts: &Parts) -> Vec<Labelled> {
    let columns = parts
        .schema
        .targets
        .iter()
        .flat_map(|target| target.columns.iter().map(move |column| (target, column)));
    let mut found = Vec::new();
    for (i, (target, column)) in columns.enumerate() {
        for (part, dataset) in parts.there() {
            let (task, column) = (target.task.clone(), column.clone());
            found.push(Labelled {
                task,
                column,
                part,
                labelled: dataset.labelled(i),
                rows: dataset.rows,
            });
        }
    }
    found
}

impl Dataset {
    /// Whether one of these labels is there and in a row that weighs anything.
    pub fn weighs(&self, labels: &[u32]) -> bool {
        let weight = |row: usize| self.weights.as_ref().map_or(1.0, |weights| weights[row]);
        labels.iter().enumerate().any(|(row, label)| *label != UNLABELLED && weight(row) > 0.0)
    }

    /// Rows with a label in label column `column`.
    pub fn labelled(&self, column: usize) -> usize {
        self.labels
            .get(column)
            .map_or(0, |labels| labels.iter().filter(|&&label| label != UNLABELLED).count())
    }
}
