//! The objective that training minimises: `L = Σ w_i L_i + Σ λ L(T_i, T_j)`. One file per kernel of
//! losses, one per kind of coupling; each emits its dispatches.

pub mod balance;
mod coupling;
mod couplings;
pub mod losses;
mod total;

pub use coupling::{Coupling, Pair, Phase, Placed};
pub use couplings::COUPLINGS;
pub use total::Objective;
