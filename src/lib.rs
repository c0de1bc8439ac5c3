//! Multi-task learning on any GPU: a trunk that all tasks share, a head for each, a coupling
//! between pairs, every number of a step computed by hand-written WGSL. What is minimised is `L = Σ
//! wᵢ Lᵢ + Σ λ L(Tᵢ, Tⱼ)`.
//!
//! One idea carries it: the work of a training step is data. A [`schedule`] is a flat list of
//! dispatches over named buffers, written by code that knows no GPU. Two engines interpret it,
//! [`device`] in f32 and [`reference`](mod@reference) in f64, and the second is the measure of the
//! first.
//!
//! The floors, from the ground up; imports go down only, and a test enforces it:
//!
//! 0. [`fault`]: errors with a hint and an exit code · [`config`]: settings that were checked ·
//!    [`rng`], [`text`], [`cache`], [`replace`]: helpers
//! 1. [`data`]: rows, labels, columns · [`kernels`]: the registry of the WGSL, its parameters
//! 2. [`model`]: the network as a graph, the place of each parameter, its files
//! 3. [`schedule`]: the language of dispatches and buffers, and its laws
//! 4. [`plan`]: layers and arenas
//! 5. [`objective`]: losses and couplings, which emit dispatches
//! 6. [`step`]: the dispatches of a step
//! 7. [`device`]: wgpu · [`reference`](mod@reference): plain loops, the oracle
//! 8. [`run`]: training, applying, runs as a whole · [`measure`]: benches, the self-test ·
//!    [`export`]: models for other tools
//! 9. [`cli`]: verbs, flags, streams, exit codes
//!
//! ARCHITECTURE.md is the tour at length. From the outside a training is a configuration,
//! [`data::Parts`], a [`run::train::Plan`] and a [`run::machine::Machine`]; [`run::job`] adds a run
//! directory that resumes.
//!
//! ```
//! use std::path::Path;
//! use tandem::data::{Dataset, Parts, Schema};
//! use tandem::run::machine::Machine;
//! use tandem::run::train::{Options, Plan, Silent, train};
//!
//! # fn main() -> anyhow::Result<()> {
//! // Two bits; the tasks are their exclusive or and their conjunction. The rows are given below,
//! // so `data.train` is not read.
//! let settings = "
//!     [data]
//!     train = \"memory.csv\"
//!     [trunk]
//!     layers = [16]
//!     activation = \"tanh\"
//!     [task.xor]
//!     [task.and]
//!     [optimizer]
//!     learning_rate = 0.05
//!     [train]
//!     epochs = 200
//!     batch_size = \"full\"
//! ";
//! let config = tandem::config::read::from_text(settings, "settings", Path::new("."), &[])?;
//! let features = vec![0., 0., 0., 1., 1., 0., 1., 1.];
//! let labels = vec![vec![0, 1, 1, 0], vec![0, 0, 0, 1]];
//! let rows = Dataset::from_arrays(2, features, labels)?;
//! let schema = Schema::for_arrays(2, &[("xor", &["no", "yes"]), ("and", &["no", "yes"])]);
//! let plan = Plan::new(config, Parts::new(schema, rows.clone(), None, Some(rows))?)?;
//! let outcome = train(&plan, Machine::Reference, Options::default(), &mut Silent)?;
//! for task in outcome.test.expect("there is a test part").tasks {
//!     assert_eq!(task.metric("accuracy").unwrap_or(f64::NAN), 1.0);
//! }
//! # Ok(())
//! # }
//! ```

#![deny(unsafe_code)]

pub mod cache;
pub mod cli;
pub mod config;
pub mod cpu;
pub mod data;
pub mod device;
pub mod export;
pub mod fault;
pub mod kernels;
pub mod measure;
pub mod model;
pub mod objective;
pub mod plan;
pub mod ranks;
pub mod reference;
pub mod replace;
pub mod report;
pub mod rng;
pub mod run;
pub mod schedule;
pub mod search;
pub mod step;
pub mod text;
