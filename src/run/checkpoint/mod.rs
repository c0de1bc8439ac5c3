//! Checkpoints: everything that decides how a run goes on, one directory each, which is there whole
//! or not at all.
//!
//! | file of `checkpoints/step-N/` | holds |
//! |---|---|
//! | `model.safetensors`, `config.json`, `schema.json` | the network after step N, a whole model |
//! | `first_moment.safetensors`, `second_moment.safetensors` | the moments, in the same layout |
//! | `parameters.safetensors` | the parameters in f64, where the reference trains |
//! | `best.safetensors` | the best model so far, where validation picks one |
//! | `config.toml` | the settings |
//! | `manifest.json` | everything else, with length and BLAKE3 of each file and of itself |
//!
//! There is no generator to save: order, dropout and initial weights are functions of seed and step
//! ([`crate::rng`]).

mod changes;
pub mod disk;
mod manifest;
mod names;
mod read;
mod write;

use std::sync::Arc;

use crate::data::Schema;
use crate::model::arena::Numbers;
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::run::train::loss_scale::LossScale;
use crate::run::train::sums::Sums;
pub use changes::changes;
pub use manifest::FORMAT;
pub use names::list;
pub use read::{Loaded, Newest, clean, load, newest};
pub use write::{Keeper, write};

/// Moments by the names of their files.
const MOMENTS: [&str; 2] = ["first_moment.safetensors", "second_moment.safetensors"];
const PARAMETERS: &str = "parameters.safetensors";
const BEST: &str = "best.safetensors";
const CONFIG: &str = "config.toml";
const MANIFEST: &str = "manifest.json";

/// A run between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Steps done, those that were skipped included.
    pub steps: u64,
    /// Step after which parts were measured last; 0 = none were.
    pub validated: u64,
    /// Points that were reached, as `metrics.jsonl` has lines.
    pub points: u64,
    /// Parameters.
    pub parameters: Numbers,
    /// Of the optimizer: none, one or two arenas.
    pub moments: Vec<Numbers>,
    /// Since the last training point.
    pub sums: Sums,
    /// Evaluations since the best one.
    pub worse: u64,
    /// The best model so far.
    pub best: Option<Arc<Best>>,
    /// Seconds of training.
    pub seconds: f64,
    /// What the learning rate is multiplied by, below 1 after a roll-back.
    pub rate_factor: f64,
    /// Roll-backs so far.
    pub rollbacks: u64,
    /// Steps that were skipped since the last one that was not.
    pub skipped: u64,
    /// What gradients are scaled by, where operands are rounded to f16.
    pub scale: Option<LossScale>,
}

/// The best model of a run by its validation part.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Its arena.
    pub parameters: Vec<f32>,
    /// Of binary tasks; one entry a task.
    pub thresholds: Vec<Option<f64>>,
    /// Its epoch, 1-based.
    pub epoch: u64,
    /// Its step, where that is not the last one of the epoch.
    pub step: Option<u64>,
    /// What it was picked by; larger is better.
    pub score: f64,
}

/// What does not change in a run, and is written with every checkpoint.
#[derive(Clone, Debug)]
pub struct Context {
    /// Network.
    pub network: Network,
    /// Its layout.
    pub layout: Layout,
    /// How its features are made.
    pub schema: Schema,
    /// Settings, as in the run's `config.toml`.
    pub config: String,
    /// BLAKE3 of the data by file.
    pub data: Vec<(String, String)>,
    /// What the run computes on.
    pub adapter: String,
    /// Kernels of its products.
    pub kernels: Vec<String>,
}
