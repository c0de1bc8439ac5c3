//! GradVac: as PCGrad, but towards cosines that are moving averages of those seen (Wang et al.,
//! "Gradient vaccine", ICLR 2021, algorithm 1), over all shared layers together.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Gradvac;

impl Method for Gradvac {
    fn name(&self) -> &'static str {
        "gradvac"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::pairwise_projection
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::GRADVAC
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Gradvac { beta } => [beta as f32, 0.0],
            _ => [0.0; 2],
        }
    }

    fn state(&self, tasks: usize) -> usize {
        tasks * tasks
    }
}
