//! A table as it was read, before anything is known of what it means.

pub mod arrays;
pub mod index;
pub mod indices;
pub mod options;
pub mod raw;
pub mod shape;
pub mod texts;
pub mod view;
pub mod wholes;
