//! Spans of tagged tokens, as conlleval finds them (Tjong Kim Sang and Buchholz, "Introduction to
//! the CoNLL-2000 shared task: chunking", 2000), for tags of B, I, E, S and O; and their precision,
//! recall and F1, over all sentences together. A sequence of tags that breaks the scheme has spans,
//! too: `I-X` behind `O` begins one.

use std::ops::AddAssign;

use crate::data::encode::tags::{OUTSIDE, begins, ends, parts};
use crate::run::metrics::finite;

/// A span: its type, its first and its last token.
pub type Span<'t> = (&'t str, usize, usize);

/// The spans of the tags of a sentence.
pub fn spans<'t>(tags: &[&'t str]) -> Vec<Span<'t>> {
    let (mut found, mut first, mut before) = (Vec::new(), 0, OUTSIDE);
    for (at, tag) in tags.iter().copied().chain(["O"]).enumerate() {
        let now = parts(tag);
        if ends(before, now) {
            found.push((before.1, first, at - 1));
        }
        if begins(before, now) {
            first = at;
        }
        before = now;
    }
    found
}

/// Numbers of spans: in the labels, found, and found as in the labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// In the labels.
    pub labelled: u64,
    /// In the predictions.
    pub found: u64,
    /// In both, with type and ends.
    pub hits: u64,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.labelled += other.labelled;
        self.found += other.found;
        self.hits += other.hits;
    }
}

impl Counts {
    /// Adds a sentence.
    pub fn add(&mut self, labels: &[&str], predicted: &[&str]) {
        let (truth, found) = (spans(labels), spans(predicted));
        self.labelled += truth.len() as u64;
        self.found += found.len() as u64;
        self.hits += found.iter().filter(|span| truth.contains(span)).count() as u64;
    }

    /// Hits by found spans; `None` where nothing was found.
    pub fn precision(self) -> Option<f64> {
        finite(self.hits as f64 / self.found as f64)
    }

    /// Hits by labelled spans; `None` where there are none.
    pub fn recall(self) -> Option<f64> {
        finite(self.hits as f64 / self.labelled as f64)
    }

    /// The harmonic mean of precision and recall, `2 hits / (labelled + found)`; `None` where there
    /// is no span at all.
    pub fn f1(self) -> Option<f64> {
        finite(2.0 * self.hits as f64 / (self.labelled + self.found) as f64)
    }
}
