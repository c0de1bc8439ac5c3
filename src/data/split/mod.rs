//! Splits rows into parts and folds, and orders them for training.

pub mod mixture;
pub mod order;
pub mod shares;
pub mod strata;
