//! The methods that weigh tasks against each other while they train, one file each, with formula
//! and paper.
//!
//! A new method takes a file here with a [`Method`], its line in [`METHODS`], its name and keys in
//! `config::Balancer`, and a kernel, or a branch of one, with its twin.

mod aligned_mtl;
mod cagrad;
mod config;
mod db_mtl;
mod dual_proj;
mod dwa;
mod excess_mtl;
mod fairgrad;
mod famo;
mod geometric;
mod graddrop;
mod gradnorm;
mod gradvac;
mod imtl_g;
mod imtl_l;
mod log;
mod method;
mod mgda;
mod nash_mtl;
mod pcgrad;
mod random;
mod stch;
mod uncertainty;
mod upgrad;

pub use method::{Memory, Method};

/// All methods.
pub static METHODS: &[&dyn Method] = &[
    &log::Log,
    &geometric::Geometric,
    &uncertainty::Uncertainty,
    &dwa::Dwa,
    &random::Random,
    &imtl_l::ImtlL,
    &stch::Stch,
    &famo::Famo,
    &gradnorm::Gradnorm,
    &excess_mtl::ExcessMtl,
    &db_mtl::DbMtl,
    &mgda::Mgda,
    &pcgrad::Pcgrad,
    &gradvac::Gradvac,
    &cagrad::Cagrad,
    &imtl_g::ImtlG,
    &nash_mtl::NashMtl,
    &fairgrad::Fairgrad,
    &aligned_mtl::AlignedMtl,
    &upgrad::Upgrad,
    &dual_proj::DualProj,
    &config::Config,
    &graddrop::Graddrop,
];
