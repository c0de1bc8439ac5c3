//! A search for settings: the space as it is searched, the settings of each trial, and the record
//! of what trials have shown. Which trial comes next is decided in [`crate::search`].

pub mod base;
pub mod journal;
pub mod mean_weights;
pub mod own_space;
pub mod preference;
pub mod scores;
pub mod settle;
