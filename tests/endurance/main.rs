//! Kills and long runs of the program.

#[path = "../common/mod.rs"]
mod common;

mod kills;
mod soak;
