//! MGDA: the point of least norm in the convex hull of the gradients (Désidéri, 2012; Sener and
//! Koltun, "Multi-task learning as multi-objective optimization", NeurIPS 2018, equation 3), solved
//! exactly.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::params::solve;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Mgda;

impl Method for Mgda {
    fn name(&self) -> &'static str {
        "mgda"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::cone_projection
    }

    fn code(&self, _balancer: Balancer) -> u32 {
        solve::MGDA
    }

    /// A ridge that decides between equal solutions, in units of the largest square.
    fn numbers(&self, _balancer: Balancer) -> [f32; 2] {
        [1e-6, 0.0]
    }
}
