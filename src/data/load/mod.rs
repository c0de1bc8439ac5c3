//! From a configuration, or a stored schema, to data sets: the door to this room.

pub mod arrays;
pub mod door;
pub mod folds;
pub mod large;
pub mod places;
pub mod tables;
pub mod way;
