//! Labelled images: the built-in digits, IDX files, PNG and JPEG files, and two images laid over
//! each other.

pub mod decode;
pub mod digits;
pub mod files;
pub mod idx;
pub mod labelled;
pub mod listing;
pub mod overlay;
pub mod walk;
