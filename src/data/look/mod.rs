//! Surveys tables without a configuration, and looks for features that give a label away.

pub mod draft;
pub mod giveaway;
pub mod pictures;
mod sample;
pub mod sentences;
pub mod summary;
pub mod sums;
pub mod survey;
