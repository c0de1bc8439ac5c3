//! Where everything of a step lies, and what is read by whoever emits a dispatch.

mod layers;
mod scene;
pub mod variants;

pub use layers::{Arena, BackwardGroup, Group, Plan, activation_code, dropout_threshold};
pub use scene::{
    Buffers, Chunk, Counting, PartBuffers, PartShape, Scene, Segment, block, chunks,
    first_overwrites,
};
