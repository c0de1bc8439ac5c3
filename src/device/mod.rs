//! The engine for devices: f32, hand-written WGSL, through wgpu, which is named in this room alone.

pub mod adapter;
mod asked;
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

pub use asked::Pack;
pub use gpu::{Gpu, RefusedMemory};
pub use pack::{MOST as MOST_IN_PACK, Member, begin as begin_pack, engine, join};
pub use session::Session;
