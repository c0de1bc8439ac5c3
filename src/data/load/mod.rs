//! Loads data sets: as a configuration says, or with the schema of a trained model. `door` has the
//! functions that other rooms call.

pub mod apply;
pub mod arrays;
pub mod door;
pub mod every_fold;
pub mod folds;
pub mod image_apply;
pub mod image_files;
pub mod large;
pub mod loading;
pub mod places;
pub mod roles;
pub mod route;
pub mod sources;
pub mod tables;
pub mod tokens;
