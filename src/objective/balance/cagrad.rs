//! CAGrad: within `c |g_0|` of the mean gradient g_0 the direction whose worst task gains most (Liu
//! et al., "Conflict-averse gradient descent for multi-task learning", NeurIPS 2021, equation 4).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Cagrad;

impl Method for Cagrad {
    fn name(&self) -> &'static str {
        "cagrad"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::conflict_averse
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Cagrad { c } => [c as f32, 0.0],
            _ => [0.0; 2],
        }
    }
}
