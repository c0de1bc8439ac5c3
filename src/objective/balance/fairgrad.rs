//! FairGrad: α-fair gains, `K w = w^(−1/α)` (Ban and Ji, "Fair resource allocation in multi-task
//! learning", ICML 2024, equation 6), solved exactly.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Fairgrad;

impl Method for Fairgrad {
    fn name(&self) -> &'static str {
        "fairgrad"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::bargaining
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::FAIRGRAD
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Fairgrad { alpha } => [alpha as f32, 0.0],
            _ => [0.0; 2],
        }
    }
}
