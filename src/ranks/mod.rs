//! Several processes that train together: *ranks*. The first one leads. It alone reads files, runs
//! the loop and writes; the others serve it with their engines. A training step is data, so the
//! leader sends each rank its program, and then the calls of [`Engine`](crate::schedule::Engine).
//!
//! Runs are shared in one of two ways: all ranks work on the steps of one run, each on its shards
//! of a batch ([`lead`]), or a rank has a run for itself ([`remote`]).

mod exchange;
mod lead;
#[cfg(feature = "mpi")]
pub mod mpi;
mod net;
mod order;
mod remote;
mod serve;
mod wire;

use std::sync::{Arc, Mutex};

pub use exchange::Spent;
pub use lead::{Rows, Ways, lead};
pub use net::{Beats, Lost, Net, Pace, Patience, local, measure};
pub use order::{end, greet, look_around};
pub use remote::remote;
pub use serve::serve;

/// What ranks do for a run.
#[derive(Clone, Debug)]
pub enum Share {
    /// All ranks work on its steps; what their exchanges cost is added up.
    All(Arc<dyn Net>, Arc<Mutex<Spent>>),
    /// A rank has it for itself.
    One(Arc<dyn Net>, usize),
}
