//! Labelled images: the built-in digits, IDX files, and two images laid over each other.

pub mod digits;
pub mod idx;
pub mod labelled;
pub mod overlay;
