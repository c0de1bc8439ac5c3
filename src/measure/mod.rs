//! Measurements of devices and of training steps, and the self-test of kernels.

pub mod ceilings;
pub mod chart;
pub mod doctor;
pub mod gemm;
#[doc(hidden)]
pub mod hooks;
pub mod pack;
pub mod precision;
pub mod profile;
pub mod step;
pub mod sweep;
pub mod times;
pub mod tune;
