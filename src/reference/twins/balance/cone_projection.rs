//! `cone_projection`: MGDA (Désidéri, "Multiple-gradient descent algorithm", Comptes Rendus
//! Mathématique 350, 2012), UPGrad and DualProj (Quinton and Rey, "Jacobian descent for
//! multi-objective optimization", 2024), as quadratic programs with non-negative unknowns.

use super::{Problem, store};
use crate::kernels::params::{Solve, solve};
use crate::reference::Arguments;
use crate::reference::real::Real;

/// The ridge of MGDA, which decides between equal solutions.
const RIDGE: f64 = 1e-12;

pub(in crate::reference::twins) fn cone_projection<T: Real>(a: &Arguments<T>) {
    let p = a.params::<Solve>();
    let problem = Problem::of(a, &p);
    let active = problem.active();
    let k = active.len();
    let mut weights = vec![0.0; problem.len()];
    if k == 0 {
        return store(a, &p, &problem, &weights, 0.0);
    }
    let product = |i: usize, j: usize| problem.products[active[i]][active[j]];
    let trace: f64 = (0..k).map(|i| product(i, i)).sum();
    let is_mgda = p.method == solve::MGDA;
    let norms: Vec<f64> = (0..k).map(|i| product(i, i).sqrt()).collect();
    let least = norms.iter().copied().fold(f64::INFINITY, f64::min);
    let share = |i: usize| least / norms[i];
    let (ridge, u) = if is_mgda { (RIDGE, 1.0) } else { (f64::from(p.a), 1.0 / k as f64) };
    let diagonal = |i: usize, j: usize| if i == j { ridge } else { 0.0 };
    let element = |i: usize, j: usize| {
        let value = match is_mgda {
            true => product(i, j) / norms[i] / norms[j] + share(i) * share(j),
            false => product(i, j) / trace,
        };
        value + diagonal(i, j)
    };
    let matrix: Vec<Vec<f64>> = (0..k).map(|i| (0..k).map(|j| element(i, j)).collect()).collect();
    let constants: Vec<Vec<f64>> = match p.method {
        solve::MGDA => vec![(0..k).map(|i| -share(i)).collect()],
        solve::UPGRAD => (0..k).map(|i| (0..k).map(|j| u * matrix[j][i]).collect()).collect(),
        _ => vec![matrix.iter().map(|row| u * row.iter().sum::<f64>()).collect()],
    };
    let solutions: Vec<Vec<f64>> = constants.iter().map(|b| complement(&matrix, b)).collect();
    let size = |i: usize| if is_mgda { share(i) } else { 1.0 };
    let sum = |i: usize| size(i) * solutions.iter().map(|z| z[i]).sum::<f64>();
    let all: f64 = (0..k).map(sum).sum();
    for (i, task) in active.iter().enumerate() {
        weights[*task] = if is_mgda { sum(i) / all } else { u + sum(i) };
    }
    store(a, &p, &problem, &weights, 0.0);
}

/// z ≥ 0 with A z + b ≥ 0 and one of the two zero everywhere, by principal pivots.
fn complement(matrix: &[Vec<f64>], constants: &[f64]) -> Vec<f64> {
    let k = constants.len();
    let (mut m, mut q) = (matrix.to_vec(), constants.to_vec());
    let mut basic = vec![false; k];
    let size = constants.iter().fold(0.0, |size: f64, b| size.max(b.abs()));
    for turn in 0..100 * k {
        let below = |i: &usize| q[*i] < -1e-14 * size;
        let mut candidates = (0..k).filter(below);
        let found = match turn > 10 * k {
            true => candidates.next(),
            false => candidates.min_by(|i, j| q[*i].total_cmp(&q[*j])),
        };
        let Some(pivot) = found else { break };
        let (row, constant) = (m[pivot].clone(), q[pivot]);
        let inverse = 1.0 / row[pivot];
        for i in (0..k).filter(|i| *i != pivot) {
            let factor = m[i][pivot] * inverse;
            for j in 0..k {
                m[i][j] -= factor * row[j];
            }
            m[i][pivot] = factor;
            q[i] -= factor * constant;
        }
        m[pivot] = row.iter().map(|value| -value * inverse).collect();
        m[pivot][pivot] = inverse;
        q[pivot] = -constant * inverse;
        basic[pivot] = !basic[pivot];
    }
    q.into_iter().zip(basic).map(|(q, basic)| if basic { q.max(0.0) } else { 0.0 }).collect()
}
