//! Tests that open a device in this process.

#[path = "../common/mod.rs"]
mod common;

mod balance;
mod determinism;
mod doctor;
mod images;
mod injected;
mod limits;
mod losses;
mod lost;
mod memory;
mod mutants;
mod mutants_of_balance;
mod mutants_of_mixes;
mod not_finite;
mod on_nan;
mod pack;
mod packed_kernels;
mod precision;
mod resume;
mod shapes;
mod trajectory;
mod transfer;
