//! A look at a table that has no configuration yet, and at columns that are suspicious.

pub mod draft;
pub mod giveaway;
mod sight;
pub mod summary;
pub mod sums;
pub mod survey;
