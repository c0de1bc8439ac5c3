//! DualProj: the mean gradient, projected onto the cone of directions that conflict with no task
//! (Lopez-Paz and Ranzato, "Gradient episodic memory", NeurIPS 2017, equation 11, as Quinton and
//! Rey generalise it). Regularized as UPGrad.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct DualProj;

impl Method for DualProj {
    fn name(&self) -> &'static str {
        "dual_proj"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::cone_projection
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::DUAL_PROJ
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::DualProj { regularization } => [regularization as f32, 0.0],
            _ => [0.0; 2],
        }
    }
}
