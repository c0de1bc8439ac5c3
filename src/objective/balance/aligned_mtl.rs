//! Aligned-MTL: the mean gradient after the principal components of the gradients were scaled to
//! one length (Senushkin et al., "Independent component alignment for multi-task learning", CVPR
//! 2023, algorithm 1).

use super::method::Method;
use crate::config::{Balancer, Scaling};
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct AlignedMtl;

impl Method for AlignedMtl {
    fn name(&self) -> &'static str {
        "aligned_mtl"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::spectral_weights
    }

    fn code(&self, balancer: Balancer) -> u32 {
        match balancer {
            Balancer::AlignedMtl { scale: Scaling::Median } => solve::ALIGNED_MEDIAN,
            Balancer::AlignedMtl { scale: Scaling::Rmse } => solve::ALIGNED_RMSE,
            _ => solve::ALIGNED_MIN,
        }
    }
}
