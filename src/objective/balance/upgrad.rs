//! UPGrad: the mean of the gradients, each projected onto the cone of directions that conflict with
//! no task (Quinton and Rey, "Jacobian descent for multi-objective optimization", 2024, equation
//! 8). The products are divided by their trace and get `regularization` on their diagonal, as in
//! TorchJD.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Upgrad;

impl Method for Upgrad {
    fn name(&self) -> &'static str {
        "upgrad"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::cone_projection
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::UPGRAD
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Upgrad { regularization } => [regularization as f32, 0.0],
            _ => [0.0; 2],
        }
    }
}
