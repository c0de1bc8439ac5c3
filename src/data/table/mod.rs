//! Tables as they were read, before anything is known about their meaning.

pub mod arrays;
pub mod index;
pub mod indices;
pub mod options;
pub mod raw;
pub mod shape;
pub mod texts;
pub mod view;
pub mod wholes;
