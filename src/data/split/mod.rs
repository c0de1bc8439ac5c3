//! Which rows are trained on, validated on, tested on, and in which order.

pub mod order;
pub mod shares;
pub mod strata;
