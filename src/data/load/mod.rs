//! From a configuration, or a stored schema, to data sets: the door to this room.

pub mod apply;
pub mod arrays;
pub mod door;
pub mod every_fold;
pub mod folds;
pub mod large;
pub mod places;
pub mod roles;
pub mod tables;
pub mod way;
