//! Writes the dispatches of a step: one file per phase, put together in [`build`].

mod arenas;
mod backward;
mod balance;
mod balancing;
mod buffers;
mod build;
mod builder;
mod compare;
mod data;
mod embed;
mod forward;
mod images;
mod metrics;
mod mixes;
mod request;
mod shards;
mod solve;
mod update;
mod vectors;

pub use build::build;
pub use request::{Built, LabelShape, Request};
