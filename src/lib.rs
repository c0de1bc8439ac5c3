//! tandem
pub mod cli;
pub mod config;
pub mod data;
pub mod device;
pub mod fault;
pub mod kernels;
pub mod model;
pub mod objective;
pub mod reference;
pub mod rng;
pub mod run;
pub mod schedule;
