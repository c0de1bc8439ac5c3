//! Smooth Tchebycheff scalarization: `μ ln Σ e^(λ_t L_t / μ)`, λ the shares of the weights of the
//! tasks (Lin et al., "Smooth Tchebycheff scalarization for multi-objective optimization", ICML
//! 2024, equation 10, with the ideal point at 0).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Stch;

impl Method for Stch {
    fn name(&self) -> &'static str {
        "stch"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::STCH
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Stch { smoothing } => [smoothing as f32, 0.0],
            _ => [0.0; 2],
        }
    }
}
