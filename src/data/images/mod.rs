//! Labelled images.

pub mod digits;
pub mod idx;
pub mod labelled;
pub mod overlay;
