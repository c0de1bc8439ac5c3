//! Encodes cells as numbers and labels, with what was fitted on the training part.

pub mod applied;
pub mod cells;
pub mod fit;
pub mod labels;
pub mod once;
pub mod outside;
pub mod per_mean;
pub mod seen;
pub mod tags;
pub mod vocabulary;
