//! Cells to numbers and labels: fitted on the training part, applied to any rows.

pub mod applied;
pub mod cells;
pub mod fit;
pub mod labels;
pub mod outside;
pub mod per_mean;
pub mod seen;
