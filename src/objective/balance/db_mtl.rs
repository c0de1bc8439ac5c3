//! DB-MTL: moving averages m_t of the gradients of the logarithms of the losses, all brought to the
//! length of the longest: `Σ max_j |m_j| / |m_t| · m_t` (Lin et al., "Dual-balancing for multi-task
//! learning", 2023, algorithm 1).

use super::method::{Memory, Method};
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct DbMtl;

impl Method for DbMtl {
    fn name(&self) -> &'static str {
        "db_mtl"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::DB_MTL
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::DbMtl { beta, power } => [beta as f32, power as f32],
            _ => [0.0; 2],
        }
    }

    fn memory(&self) -> Option<Memory> {
        Some(Memory::Averages)
    }
}
