//! The plan of a step: where all values lie, which layers run together, and the inputs of every
//! emitter of dispatches.

mod augmented;
mod by_rows;
mod deep;
mod groups;
mod layers;
mod mixes;
mod mixing;
mod planes;
mod scene;
mod shards;
pub mod variants;
mod views;

pub use augmented::Augmented;
pub use groups::{Arena, Backward, BackwardGroup, Forward, ForwardGroup};
pub use layers::{LayerPlan, activation_code, dropout_threshold};
pub use mixing::{MixGroup, Mixing, TermGroup};
pub use scene::{
    BalanceBuffers, Buffers, Chunk, Counting, PartBuffers, PartShape, Scene, Segment, block,
    chunks, first_overwrites,
};
pub use shards::Shards;
pub use views::{
    ByRows, CombineGroup, ConstantRun, Deep, Depth, Planes, SharedBackward, Sharing, TaskBlock,
    Views, Wanted, WeightRun, layer_name,
};
