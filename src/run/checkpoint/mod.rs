//! Checkpoints: everything that decides how a run goes on. Each is a directory, which appears under
//! its name only when it is whole.
//!
//! | file of `checkpoints/step-N/` | holds |
//! |---|---|
//! | `model.safetensors`, `config.json`, `schema.json` | the network after step N, a whole model |
//! | `first_moment.safetensors`, `second_moment.safetensors` | the moments, in the same layout |
//! | `parameters.safetensors` | the parameters in f64, where the reference trains |
//! | `best.safetensors` | the best model so far, where validation picks one |
//! | `best.N.safetensors` | the best model for task N, counted from 0, where such models are kept |
//! | `balance.bin` | the state of the method that balances the tasks: f32 or f64, little-endian |
//! | `config.toml` | the settings |
//! | `manifest.json` | everything else, with length and BLAKE3 of each file and of itself |
//!
//! There is no state of a random generator to save: order, dropout and initial weights are
//! functions of seed and step ([`crate::rng`]).

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
use crate::run::train::conflict::Conflict;
use crate::run::train::loss_scale::LossScale;
use crate::run::train::sums::Sums;
pub use changes::{changes, other_setting};
pub use manifest::FORMAT;
pub use names::list;
pub use read::{Loaded, Newest, clean, load, newest};
pub use write::{Keeper, write};

/// Names of the files of the moments, in the order of the moments.
const MOMENTS: [&str; 2] = ["first_moment.safetensors", "second_moment.safetensors"];
/// Name of the file of the state of the method that balances the tasks.
const BALANCE: &str = "balance.bin";
const PARAMETERS: &str = "parameters.safetensors";
const BEST: &str = "best.safetensors";
const CONFIG: &str = "config.toml";
const MANIFEST: &str = "manifest.json";

/// The state of a run between two steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Steps done, including skipped ones.
    pub steps: u64,
    /// Step after which parts were evaluated last; 0 if they never were.
    pub validated: u64,
    /// Points so far, which is the number of lines of `metrics.jsonl`.
    pub points: u64,
    /// The arena of parameters.
    pub parameters: Numbers,
    /// The moments of the optimizer: no, one or two arenas.
    pub moments: Vec<Numbers>,
    /// Sums over the steps since the last training point.
    pub sums: Sums,
    /// The conflict of the tasks in all observed steps so far.
    pub conflict: Option<Conflict>,
    /// The state of the method that balances the tasks, with its name.
    pub balance: Option<(String, Numbers)>,
    /// Evaluations since the best one, for early stopping.
    pub worse: u64,
    /// The best model so far.
    pub best: Option<Arc<Best>>,
    /// The selection of each task; empty where tasks have none of their own.
    pub tasks: Vec<TaskSelection>,
    /// Seconds of training.
    pub seconds: f64,
    /// Factor of the learning rate; it is halved with each roll-back.
    pub rate_factor: f64,
    /// Roll-backs so far.
    pub rollbacks: u64,
    /// Steps skipped in a row.
    pub skipped: u64,
    /// Scale of the gradients, where operands are rounded to f16.
    pub scale: Option<LossScale>,
}

/// The selection of one task by its own figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSelection {
    /// The best score so far; larger is better. `None` if there was none.
    pub score: Option<f64>,
    /// Evaluations since the best one.
    pub worse: u64,
    /// The best model for the task, where such models are kept.
    pub best: Option<Arc<Best>>,
}

/// Name of the file of the best model for a task.
fn best_of(task: usize) -> String {
    format!("best.{task}.safetensors")
}

/// The best model of a run, by its validation part.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// Its arena of parameters.
    pub parameters: Vec<f32>,
    /// The threshold of each task; `None` for tasks that are not binary.
    pub thresholds: Vec<Option<f64>>,
    /// Its epoch, 1-based.
    pub epoch: u64,
    /// Its step, if that is not the last one of the epoch.
    pub step: Option<u64>,
    /// The score that picked it; larger is better.
    pub score: f64,
}

/// Facts about a run that do not change while it trains. Every checkpoint has them.
#[derive(Clone, Debug)]
pub struct Context {
    /// The network.
    pub network: Network,
    /// The layout of its parameters.
    pub layout: Layout,
    /// Columns, scaling and class names of the data.
    pub schema: Schema,
    /// The settings, as in the run's `config.toml`.
    pub config: String,
    /// BLAKE3 of the data, by file.
    pub data: Vec<(String, String)>,
    /// Name of the adapter that the run computes on.
    pub adapter: String,
    /// Names of the kernels that compute the matrix products.
    pub kernels: Vec<String>,
}
