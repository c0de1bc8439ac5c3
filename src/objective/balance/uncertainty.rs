//! Homoscedastic uncertainty: `Σ ½ e^(−s_t) L_t + ½ s_t` with learned log-variances s_t (Kendall,
//! Gal and Cipolla, CVPR 2018, equation 10 by logarithms). They start at 0, are learned by the
//! optimizer of the run, without decay, and stay within ±`most`.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Uncertainty;

impl Method for Uncertainty {
    fn name(&self) -> &'static str {
        "uncertainty"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::UNCERTAINTY
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Uncertainty { most } => [most as f32, 0.0],
            _ => [0.0; 2],
        }
    }

    fn state(&self, tasks: usize) -> usize {
        3 * tasks
    }
}
