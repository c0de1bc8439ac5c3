//! The trait of a method that weighs tasks.

use std::fmt::Debug;

use crate::config::Balancer;
use crate::kernels::Kernel;

/// The memory of a method: numbers that it keeps for each element of the gradient of each task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// Moving averages, which stand for the gradients.
    Averages,
    /// Sums of squares, whose roots divide the gradients in products.
    Squares,
}

/// A method that weighs tasks. What it acts on is `Balancer::acts`.
pub trait Method: Sync + Debug {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;
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
    /// Whether the method needs the losses of the batch once more after the update.
    fn looks_back(&self) -> bool {
        false
    }
    /// The memory of gradients by task that the method keeps, if it keeps one.
    fn memory(&self) -> Option<Memory> {
        None
    }
}
