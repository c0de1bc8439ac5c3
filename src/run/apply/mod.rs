//! A network applied to data: evaluation, predictions, and what they are measured by.

pub mod baseline;
pub mod evaluate;
pub mod folds;
pub mod judge;
pub mod output;
pub mod predict;
pub mod stored;
