//! The modules that read files, without the rest of the crate, and the invariants that must hold
//! for any bytes.

#![allow(dead_code)] // of a room the targets use what reads

#[path = "../../src/cache.rs"]
pub mod cache;
#[path = "../../src/config/mod.rs"]
pub mod config;
#[path = "../../src/data/mod.rs"]
pub mod data;
#[path = "../../src/fault.rs"]
pub mod fault;
#[path = "../../tests/common/harmless.rs"]
pub mod harmless;
#[path = "../../src/model/mod.rs"]
pub mod model;
#[path = "../../src/replace.rs"]
pub mod replace;
#[path = "../../src/rng.rs"]
pub mod rng;
#[path = "../../src/text.rs"]
pub mod text;

/// The parts of the module `run` that need no engine.
#[path = "."]
pub mod run {
    #[path = "../../src/run/checkpoint/mod.rs"]
    pub mod checkpoint;
    /// The parts of the module `train` that a checkpoint stores.
    #[path = "."]
    pub mod train {
        #[path = "../../src/run/train/conflict.rs"]
        pub mod conflict;
        #[path = "../../src/run/train/loss_scale.rs"]
        pub mod loss_scale;
        #[path = "../../src/run/train/sums.rs"]
        pub mod sums;
    }
}
