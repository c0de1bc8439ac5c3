//! PCGrad: each gradient loses its part against each other one that it conflicts with, in random
//! order (Yu et al., "Gradient surgery for multi-task learning", NeurIPS 2020, algorithm 1).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Pcgrad;

impl Method for Pcgrad {
    fn name(&self) -> &'static str {
        "pcgrad"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::pairwise_projection
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::PCGRAD
    }
}
