//! The sum of the logarithms of the losses, `Σ ln L_t`, so that `c_t = 1 / L_t`: a task's scale has
//! no effect (Navon et al., "Multi-task learning as a bargaining game", ICML 2022, call it SI).

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Log;

impl Method for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::loss_weights
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::LOG
    }
}
