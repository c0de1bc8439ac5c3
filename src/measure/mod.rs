//! Measurements of devices and of steps, and the self-test.

pub mod ceilings;
pub mod chart;
pub mod doctor;
pub mod gemm;
pub mod precision;
pub mod profile;
pub mod step;
pub mod sweep;
pub mod times;
pub mod tune;
