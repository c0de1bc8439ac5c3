//! Kills, long runs and start-up times of the program.

#[path = "../common/mod.rs"]
mod common;

mod kills;
mod soak;
mod startup;
