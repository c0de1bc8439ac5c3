//! GradDrop: for each element either the positive or the negative gradients are kept, at random by
//! their shares (Chen et al., "Just pick a sign", NeurIPS 2020, algorithm 1); of the others the
//! share `leak`.

use super::method::Method;
use crate::config::Balancer;
use crate::kernels::{self, Kernel};

#[derive(Debug)]
pub(super) struct Graddrop;

impl Method for Graddrop {
    fn name(&self) -> &'static str {
        "graddrop"
    }

    fn kernel(&self) -> &'static Kernel {
        &kernels::drop_deltas
    }

    fn numbers(&self, balancer: Balancer) -> [f32; 2] {
        match balancer {
            Balancer::Graddrop { leak } => [leak as f32, 0.0],
            _ => [0.0; 2],
        }
    }
}
