//! ConFIG: the direction with equal cosines to all gradients, as long as the sum of their
//! projections on it (Liu, Chu and Thuerey, "ConFIG", ICLR 2025, equation 2).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Config;

impl Method for Config {
    fn name(&self) -> &'static str {
        "config"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::spectral_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::CONFIG
    }
}
