//! FAMO: `c_t = C z_t / L_t` with `z = softmax(ξ)`, and after the update of the parameters a step
//! of Adam on ξ by how much the logarithm of each loss fell on the same batch (Liu et al., "FAMO:
//! fast adaptive multitask optimization", NeurIPS 2023, algorithm 1).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Famo;

impl Method for Famo {
    fn name(&self) -> &'static str {
        "famo"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::FAMO
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Famo { learning_rate, decay } => [learning_rate as f32, decay as f32],
            _ => [0.0; 2],
        }
    }

    fn looks_back(&self) -> bool {
        true
    }

    fn state(&self, tasks: usize) -> usize {
        3 * tasks
    }
}
