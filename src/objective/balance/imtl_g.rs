//! IMTL-G: weights of sum 1 by which the direction has equal projections on all unit gradients (Liu
//! et al., "Towards impartial multi-task learning", ICLR 2021, equation 3). Where their sum
//! vanishes before it is made 1 they are equal.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct ImtlG;

impl Method for ImtlG {
    fn name(&self) -> &'static str {
        "imtl_g"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::spectral_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::IMTL_G
    }
}
