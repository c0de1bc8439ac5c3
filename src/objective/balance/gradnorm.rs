//! GradNorm: weights that descend `Σ |w_t n_t − mean(w n) r_t^α|` over the norms n_t of the
//! gradients of the last shared layers, r_t the relative rate of training (Chen et al., "GradNorm",
//! ICML 2018, equation 2). They act on the whole loss of a task from the next step on.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Gradnorm;

impl Method for Gradnorm {
    fn name(&self) -> &'static str {
        "gradnorm"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::GRADNORM
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Gradnorm { alpha, learning_rate } => [alpha as f32, learning_rate as f32],
            _ => [0.0; 2],
        }
    }

    fn state(&self, tasks: usize) -> usize {
        tasks
    }

    fn first_weight(&self) -> f32 {
        1.0
    }
}
