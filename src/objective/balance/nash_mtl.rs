//! Nash-MTL: the bargaining solution `K w = 1 / w` (Navon et al., "Multi-task learning as a
//! bargaining game", ICML 2022, equation 2), solved exactly. Its direction has the length √k; as in
//! its authors' code it is shortened to `max_norm`; 0 = as it is.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct NashMtl;

impl Method for NashMtl {
    fn name(&self) -> &'static str {
        "nash_mtl"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::bargaining
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::NASH_MTL
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::NashMtl { max_norm } => [max_norm as f32, 0.0],
            _ => [0.0; 2],
        }
    }
}
