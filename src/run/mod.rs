//! The loops that people start, and what they leave behind.

pub mod apply;
pub mod checkpoint;
pub mod data;
pub mod directory;
pub mod machine;
pub mod metrics;
pub mod train;
