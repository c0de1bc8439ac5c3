//! Dynamic weight average: `c_t = k softmax(r / T)_t` with the ratio r_t of the mean losses of the
//! last two epochs; 1 in the first two epochs (Liu, Johns and Davison, "End-to-end multi-task
//! learning with attention", CVPR 2019, equation 7).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Dwa;

impl Method for Dwa {
    fn name(&self) -> &'static str {
        "dwa"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::DWA
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Dwa { temperature } => [temperature as f32, 0.0],
            _ => [0.0; 2],
        }
    }

    fn state(&self, tasks: usize) -> usize {
        4 * tasks
    }
}
