//! A network applied to data: evaluation and its metrics, predictions, and the files for them.

pub mod baseline;
pub mod evaluate;
pub mod favourites;
pub mod group;
pub mod judge;
pub mod output;
pub mod predict;
mod predicted;
pub mod probability;
mod sentences;
pub mod stored;
pub mod tags;
pub mod together;
