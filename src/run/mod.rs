//! The loops that people start, and what they leave behind.

pub mod apply;
pub mod baseline;
pub mod bench;
pub mod chart;
pub mod checkpoint;
pub mod data;
pub mod directory;
pub mod doctor;
pub mod evaluate;
pub mod folds;
pub mod learning_rate;
pub mod loss_scale;
pub mod machine;
pub mod measure;
pub mod metrics;
pub mod output;
pub mod point;
pub mod precision;
pub mod predict;
pub mod profile;
pub mod selection;
pub mod sums;
pub mod sweep;
pub mod train;
pub mod tune;
