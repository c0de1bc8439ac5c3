//! The kinds of coupling, one file each.
//!
//! A new kind takes a WGSL file, its twin, a file here with a [`Coupling`], and its line in
//! [`COUPLINGS`].

mod agreement;
mod soft_sharing;

use super::coupling::Coupling;

/// All kinds of coupling.
pub static COUPLINGS: &[&dyn Coupling] = &[&soft_sharing::SoftSharing, &agreement::Agreement];
