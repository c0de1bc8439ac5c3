//! The geometric mean of the losses, `(Π L_t)^(1/k)`, whose slopes are `c_t = G / (k L_t)`
//! (Chennupati et al., "MultiNet++", CVPR workshops 2019).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Geometric;

impl Method for Geometric {
    fn name(&self) -> &'static str {
        "geometric"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::GEOMETRIC
    }
}
