//! IMTL-L: `Σ e^(s_t) L_t − s_t` with learned s_t (Liu et al., "Towards impartial multi-task
//! learning", ICLR 2021, equation 6). They start at 0 and stay within ±`most`.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct ImtlL;

impl Method for ImtlL {
    fn name(&self) -> &'static str {
        "imtl_l"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::IMTL_L
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::ImtlL { most } => [most as f32, 0.0],
            _ => [0.0; 2],
        }
    }

    fn state(&self, tasks: usize) -> usize {
        3 * tasks
    }
}
