//! The wgpu engine: f32, hand-written WGSL. wgpu is named in this room alone.

pub mod adapter;
mod awake;
mod buffer;
mod compiled;
mod gpu;
mod mirror;
mod open;
mod pipeline;
mod profile;
mod session;
mod shared;
mod warm;

pub use gpu::{Gpu, Refused};
pub use session::Session;
