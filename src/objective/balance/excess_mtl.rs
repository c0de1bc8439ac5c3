//! ExcessMTL: `w_t ← k softmax(ln w + η e_t / e_t(0))`, e_t the excess risk of a task as its
//! gradient tells it: `Σ g² / √(Σ over the steps of g² + 1e-7)` (He et al., "Robust multi-task
//! learning with excess risks", ICML 2024, equations 6 and 7, with the scaling by the first e_t of
//! the authors' code).

use super::method::{Memory, Method};
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct ExcessMtl;

impl Method for ExcessMtl {
    fn name(&self) -> &'static str {
        "excess_mtl"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::EXCESS_MTL
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::ExcessMtl { learning_rate } => [learning_rate as f32, 0.0],
            _ => [0.0; 2],
        }
    }

    fn state(&self, tasks: usize) -> usize {
        tasks
    }

    fn first_weight(&self) -> f32 {
        1.0
    }

    fn memory(&self) -> Option<Memory> {
        Some(Memory::Squares)
    }
}
