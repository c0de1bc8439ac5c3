//! Random loss weighting: the softmax of normal numbers, drawn anew in each step (Lin et al.,
//! "Reasonable effectiveness of random weighting", TMLR 2022).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Random;

impl Method for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::RANDOM
    }
}
