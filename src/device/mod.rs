//! The engine for devices: f32, hand-written WGSL, through wgpu, which is named in this room alone.

pub mod adapter;
mod awake;
mod buffer;
mod compiled;
mod gpu;
mod hooks;
mod mirror;
mod open;
mod pack;
mod pipeline;
mod profile;
mod session;
mod shared;
mod warm;

pub use gpu::{Gpu, RefusedMemory};
pub use pack::{MOST as MOST_IN_PACK, Member, Pack, engine};
pub use session::Session;
