//! The twins of the kernels of balancing: the gradients of the tasks apart, their products, and the
//! weights that follow from them. Solvers work on plain f64, whatever the number type: their error
//! is not that of a sum of terms, so results carry the size of the largest one.

mod bargaining;
mod cone_projection;
mod conflict_averse;
mod gradients;
mod loss_weights;
mod pairwise_projection;
mod spectral_weights;

pub(super) use bargaining::bargaining;
pub(super) use cone_projection::cone_projection;
pub(super) use conflict_averse::conflict_averse;
pub(super) use gradients::{
    combine_deltas, combine_gradients, copy_numbers, drop_deltas, drop_gradients, gradient_memory,
    parameter_change, row_products, task_gramian, task_losses, task_products,
};
pub(super) use loss_weights::loss_weights;
pub(super) use pairwise_projection::pairwise_projection;
pub(super) use spectral_weights::spectral_weights;

use crate::kernels::params::Solve;
use crate::reference::Arguments;
use crate::reference::real::Real;

/// The products of the scaled gradients of tasks.
struct Problem {
    /// `[tasks, tasks]`
    products: Vec<Vec<f64>>,
    /// The scales; 0 for tasks that are left out.
    scales: Vec<f64>,
}

impl Problem {
    fn of<T: Real>(a: &Arguments<T>, p: &Solve) -> Problem {
        let (numbers, k) = (a.numbers("gramian"), p.tasks as usize);
        let at = |i: usize| numbers[p.scaled as usize + i].value();
        Problem {
            products: (0..k).map(|i| (0..k).map(|j| at(i * k + j)).collect()).collect(),
            scales: (0..k).map(|i| at(k * k + i)).collect(),
        }
    }

    fn len(&self) -> usize {
        self.scales.len()
    }

    fn is_active(&self, task: usize) -> bool {
        self.scales[task] > 0.0
    }

    /// The tasks that are not left out.
    fn active(&self) -> Vec<usize> {
        (0..self.len()).filter(|task| self.is_active(*task)).collect()
    }

    /// The largest square, or 1 where there is none.
    fn largest(&self) -> f64 {
        let largest = (0..self.len()).map(|i| self.products[i][i]).fold(0.0, f64::max);
        if largest > 0.0 { largest } else { 1.0 }
    }
}

/// Stores weights of scaled gradients, and the residual of a solver.
fn store<T: Real>(a: &Arguments<T>, p: &Solve, problem: &Problem, weights: &[f64], residual: f64) {
    let (mut partials, mut next) = (a.numbers_mut("partials"), a.numbers_mut("next_balance"));
    let weights: Vec<f64> = weights.iter().zip(&problem.scales).map(|(w, s)| w * s).collect();
    let size = weights.iter().fold(0.0, |size: f64, w| size.max(w.abs()));
    for (task, weight) in weights.iter().enumerate() {
        let weight = T::within(*weight, size);
        partials[p.weights as usize + task] = weight;
        next[task] = weight;
    }
    let residual = T::within(residual, 1.0);
    next[weights.len()] = residual;
    partials[p.weights as usize + weights.len()] = residual;
}
