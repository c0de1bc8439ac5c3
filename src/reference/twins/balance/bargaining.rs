//! `bargaining`: Nash-MTL (Navon et al., "Multi-task learning as a bargaining game", ICML 2022) and
//! FairGrad (Ban and Ji, "Fair resource allocation in multi-task learning", ICML 2024): the root of
//! `K w = w^(−1/p)`.

use super::{Problem, store};
use crate::kernels::params::{Solve, solve};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(in crate::reference::twins) fn bargaining<T: Real>(a: &Arguments<T>) {
    let p = a.params::<Solve>();
    let problem = Problem::of(a, &p);
    let active = problem.active();
    let k = active.len();
    let mut weights = vec![0.0; problem.len()];
    if k == 0 {
        return store(a, &p, &problem, &weights, 0.0);
    }
    let product = |i: usize, j: usize| problem.products[active[i]][active[j]];
    let unit = problem.largest();
    let power = if p.method == solve::NASH_MTL { 1.0 } else { f64::from(p.a) };
    let matrix: Vec<Vec<f64>> =
        (0..k).map(|i| (0..k).map(|j| product(i, j) / unit).collect()).collect();
    let roots = root(&matrix, 1.0 / power);
    let along = |i: usize| matrix[i].iter().zip(&roots).map(|(c, w)| c * w).sum::<f64>();
    let square: f64 = (0..k).map(|i| roots[i] * along(i)).sum();
    let mut factor = unit.powf(-power / (1.0 + power));
    if p.method == solve::NASH_MTL {
        let most = f64::from(p.a);
        if most > 0.0 && square.sqrt() > most {
            factor *= most / square.sqrt();
        }
    }
    let miss = |i: usize| (along(i) * roots[i].powf(1.0 / power) - 1.0).abs();
    let residual = (0..k).map(miss).fold(0.0, f64::max);
    active.iter().zip(&roots).for_each(|(task, root)| weights[*task] = factor * root);
    store(a, &p, &problem, &weights, residual);
}

/// The root of `K w = w^(−inverse)`, by damped Newton steps.
fn root(matrix: &[Vec<f64>], inverse: f64) -> Vec<f64> {
    let k = matrix.len();
    let mut w: Vec<f64> = (0..k).map(|i| matrix[i][i].powf(-1.0 / (1.0 + inverse))).collect();
    for _ in 0..200 {
        let side: Vec<f64> = (0..k)
            .map(|i| {
                w[i].powf(-inverse) - matrix[i].iter().zip(&w).map(|(c, w)| c * w).sum::<f64>()
            })
            .collect();
        let mut slope = matrix.to_vec();
        for i in 0..k {
            slope[i][i] += inverse * w[i].powf(-inverse - 1.0);
        }
        let moves = eliminate(slope, side.clone());
        let decrement: f64 = moves.iter().zip(&side).map(|(d, s)| d * s).sum();
        let decrement = decrement.max(0.0).sqrt();
        let damped = if decrement > 0.25 { 1.0 / (1.0 + decrement) } else { 1.0 };
        let room = (0..k).filter(|i| moves[*i] < 0.0).map(|i| -w[i] / moves[i]);
        let length = damped.min(0.95 * room.fold(f64::INFINITY, f64::min));
        let relative = (0..k).map(|i| moves[i].abs() / w[i]).fold(0.0, f64::max);
        w.iter_mut().zip(&moves).for_each(|(w, d)| *w += length * d);
        if relative < 1e-15 {
            break;
        }
    }
    w
}

/// The solution of a positive definite system.
fn eliminate(mut matrix: Vec<Vec<f64>>, mut side: Vec<f64>) -> Vec<f64> {
    let k = side.len();
    for pivot in 0..k {
        for i in pivot + 1..k {
            let (above, below) = matrix.split_at_mut(i);
            let (from, row) = (&above[pivot], &mut below[0]);
            let factor = row[pivot] / from[pivot];
            row.iter_mut().zip(from).skip(pivot).for_each(|(to, from)| *to -= factor * from);
            side[i] -= factor * side[pivot];
        }
    }
    for pivot in (0..k).rev() {
        side[pivot] /= matrix[pivot][pivot];
        for i in 0..pivot {
            side[i] -= matrix[i][pivot] * side[pivot];
        }
    }
    side
}
