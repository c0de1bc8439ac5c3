//! `spectral_weights`: Aligned-MTL (Senushkin et al., "Independent component alignment for
//! multi-task learning", CVPR 2023), IMTL-G (Liu et al., "Towards impartial multi-task learning",
//! ICLR 2021) and ConFIG (Liu, Chu and Thuerey, "ConFIG: towards conflict-free training of physics
//! informed neural networks", ICLR 2025), from the eigenvalues of the products of gradients.

use super::{Problem, store};
use crate::kernels::params::{Solve, solve};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(in crate::reference::twins) fn spectral_weights<T: Real>(a: &Arguments<T>) {
    let p = a.params::<Solve>();
    let problem = Problem::of(a, &p);
    let active = problem.active();
    let k = active.len();
    let mut weights = vec![0.0; problem.len()];
    if k == 0 {
        return store(a, &p, &problem, &weights, 0.0);
    }
    let product = |i: usize, j: usize| problem.products[active[i]][active[j]];
    let norms: Vec<f64> = (0..k).map(|i| product(i, i).sqrt()).collect();
    let unit = |i: usize, j: usize| match p.method {
        solve::CONFIG => norms[i] * norms[j],
        _ => problem.largest(),
    };
    let matrix: Vec<Vec<f64>> =
        (0..k).map(|i| (0..k).map(|j| product(i, j) / unit(i, j)).collect()).collect();
    let (values, vectors) = eigen(matrix.clone());
    let least = values.iter().copied().fold(0.0, f64::max) * k as f64 * f64::EPSILON;
    let kept: Vec<usize> = (0..k).filter(|j| values[*j] > least).collect();
    let side: Vec<f64> = match p.method {
        solve::IMTL_G => norms.iter().map(|norm| norm / problem.largest().sqrt()).collect(),
        solve::CONFIG => vec![1.0; k],
        _ => vec![1.0 / k as f64; k],
    };
    let wanted = wanted_value(p.method, kept.iter().map(|j| values[*j]).collect());
    let mut solution = vec![0.0; k];
    for &j in &kept {
        let inner: f64 = (0..k).map(|i| vectors[i][j] * side[i]).sum();
        let divisor = match p.method {
            solve::IMTL_G | solve::CONFIG => values[j],
            _ => (values[j] / wanted).sqrt(),
        };
        solution.iter_mut().enumerate().for_each(|(i, y)| *y += vectors[i][j] * inner / divisor);
    }
    let sum: f64 = solution.iter().sum();
    let size: f64 = solution.iter().map(|y| y.abs()).sum();
    let along: Vec<f64> =
        matrix.iter().map(|row| row.iter().zip(&solution).map(|(c, y)| c * y).sum()).collect();
    let square: f64 = along.iter().zip(&solution).map(|(c, y)| c * y).sum();
    let length: f64 = along.iter().zip(&norms).map(|(c, norm)| c * norm).sum();
    for (i, task) in active.iter().enumerate() {
        weights[*task] = match p.method {
            // The square is 1 or more where all cosines can be equal.
            solve::CONFIG if square <= 1e-5 => 0.0,
            solve::CONFIG => length / square.max(1e-300) * solution[i] / norms[i],
            solve::IMTL_G if sum.abs() <= 1e-12 * size => 1.0 / k as f64,
            solve::IMTL_G => solution[i] / sum,
            _ => solution[i],
        };
    }
    store(a, &p, &problem, &weights, 0.0);
}

/// The eigenvalue that the others are scaled to.
fn wanted_value(method: u32, mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match method {
        solve::ALIGNED_MEDIAN => values.get((values.len().max(1) - 1) / 2).copied().unwrap_or(1.0),
        solve::ALIGNED_RMSE => values.iter().sum::<f64>() / values.len().max(1) as f64,
        _ => values.first().copied().unwrap_or(1.0),
    }
}

/// Eigenvalues and eigenvectors (columns) of a symmetric matrix, by Jacobi's rotations.
fn eigen(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    let k = matrix.len();
    let mut vectors: Vec<Vec<f64>> =
        (0..k).map(|i| (0..k).map(|j| f64::from(u8::from(i == j))).collect()).collect();
    for _ in 0..60 {
        let mut is_done = true;
        for (p, q) in (0..k).flat_map(|p| (p + 1..k).map(move |q| (p, q))) {
            let off = matrix[p][q];
            if off.abs() <= 1e-18 * (matrix[p][p] * matrix[q][q]).abs().sqrt() || off == 0.0 {
                continue;
            }
            is_done = false;
            let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * off);
            let sign = if theta >= 0.0 { 1.0 } else { -1.0 };
            let t = sign / (theta.abs() + (theta * theta + 1.0).sqrt());
            let c = 1.0 / (t * t + 1.0).sqrt();
            let s = t * c;
            for row in &mut matrix {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
            let (low, high) = matrix.split_at_mut(q);
            for (x, y) in low[p].iter_mut().zip(&mut high[0]) {
                (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
            }
            for row in &mut vectors {
                (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
            }
        }
        if is_done {
            break;
        }
    }
    ((0..k).map(|i| matrix[i][i]).collect(), vectors)
}
