//! Counts labelled rows.

use crate::data::tokens::is_trained;
use crate::data::{Dataset, Part, Parts, UNLABELLED};

/// The number of labelled rows of one label column in one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// Name of the task.
    pub task: String,
    /// Name of the label column.
    pub column: String,
    /// The part.
    pub part: Part,
    /// Number of rows with a label.
    pub labelled: usize,
    /// Number of all rows, or of sentences, if the labels are those of sentences.
    pub rows: usize,
    /// Whether the labels are those of sentences.
    pub of_sentences: bool,
    /// Number of labels that no training row has.
    pub unseen: usize,
}

/// The beginning of a notice about labels of a task that no training row has.
pub fn unseen_phrase(task: &str) -> String {
    format!("labels of {task} that training does not have, which count as not found: ")
}

/// The numbers of labelled rows, ordered by task, column and part.
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
            let tokens = dataset.tokens.as_ref().filter(|_| target.pool.is_some());
            found.push(Labelled {
                task,
                column,
                part,
                labelled: dataset.labelled(i),
                rows: tokens.map_or(dataset.rows, |tokens| tokens.sentences().count()),
                of_sentences: target.pool.is_some(),
                unseen: dataset.unseen(i),
            });
        }
    }
    found
}

impl Dataset {
    /// Whether at least one of these labels is there and in a row of a weight above 0.
    pub fn weighs(&self, labels: &[u32]) -> bool {
        let weight = |row: usize| self.weights.as_ref().map_or(1.0, |weights| weights[row]);
        labels.iter().enumerate().any(|(row, label)| *label != UNLABELLED && weight(row) > 0.0)
    }

    /// Number of rows with a label in label column `column`.
    pub fn labelled(&self, column: usize) -> usize {
        self.labels
            .get(column)
            .map_or(0, |labels| labels.iter().filter(|&&label| label != UNLABELLED).count())
    }

    /// Number of rows whose label in label column `column` is one that no training row has, where
    /// rows are tokens.
    pub fn unseen(&self, column: usize) -> usize {
        let labels = self.labels.get(column).filter(|_| self.tokens.is_some());
        let is_unseen = |label: &&u32| **label != UNLABELLED && !is_trained(**label);
        labels.map_or(0, |labels| labels.iter().filter(is_unseen).count())
    }
}
