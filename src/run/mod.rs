//! Training and applying a network: the loops, and the files that a run leaves behind.

pub mod apply;
pub mod checkpoint;
pub mod compare;
pub mod data;
pub mod directory;
pub mod job;
pub mod machine;
pub mod metrics;
pub mod search;
pub mod train;
