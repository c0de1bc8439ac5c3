//! The trait of a method that weighs tasks.

use std::fmt::Debug;

use crate::config::Balancer;
use crate::kernels::Kernel;

/// What a method acts on, which decides where in the step it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acts {
    /// On losses: weights of the whole losses follow from the losses of the batch.
    Losses,
    /// On losses, with weights that the step before has left; it measures gradients for the next.
    Before,
    /// On gradients, by the products of each two.
    Products,
    /// On gradients, element by element.
    Elements,
}

/// A method that weighs tasks.
pub trait Method: Sync + Debug {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;
    /// What it acts on.
    fn acts(&self) -> Acts;
    /// The kernel that finds the weights, or that drops elements.
    fn kernel(&self) -> &'static Kernel;
    /// Its code for that kernel.
    fn code(&self, _balancer: Balancer) -> u32 {
        0
    }
    /// Its settings for that kernel.
    fn numbers(&self, _balancer: Balancer) -> [f32; 2] {
        [0.0; 2]
    }
    /// Numbers that it keeps from step to step, besides the weights.
    fn state(&self, _tasks: usize) -> usize {
        0
    }
    /// The weight of each task before the first step.
    fn first_weight(&self) -> f32 {
        0.0
    }
}
