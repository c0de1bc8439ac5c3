//! `conflict_averse`: CAGrad (Liu et al., "Conflict-averse gradient descent for multi-task
//! learning", NeurIPS 2021, equation 4).

use super::{Problem, store};
use crate::kernels::params::Solve;
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(in crate::reference::twins) fn conflict_averse<T: Real>(a: &Arguments<T>) {
    let p = a.params::<Solve>();
    let problem = Problem::of(a, &p);
    let active = problem.active();
    let k = active.len();
    let mut weights = vec![0.0; problem.len()];
    if k == 0 {
        return store(a, &p, &problem, &weights, 0.0);
    }
    let unit = problem.largest();
    let product = |i: usize, j: usize| problem.products[active[i]][active[j]] / unit;
    let means: Vec<f64> =
        (0..k).map(|i| (0..k).map(|j| product(i, j)).sum::<f64>() / k as f64).collect();
    let mean_square = (means.iter().sum::<f64>() / k as f64).max(0.0);
    let phi = f64::from(p.a) * mean_square.sqrt();
    let along = |v: &[f64]| -> Vec<f64> {
        (0..k).map(|i| (0..k).map(|j| product(i, j) * v[j]).sum()).collect()
    };
    let mut v = vec![1.0 / k as f64; k];
    let mut gap = 0.0;
    for _ in 0..20_000 {
        let moved = along(&v);
        let square = v.iter().zip(&moved).map(|(v, m)| v * m).sum::<f64>().max(0.0);
        let slopes: Vec<f64> =
            (0..k).map(|i| means[i] + phi * moved[i] / square.max(1e-300).sqrt()).collect();
        let by_slope = |i: &usize, j: &usize| slopes[*i].total_cmp(&slopes[*j]);
        let (Some(best), Some(worst)) =
            ((0..k).min_by(by_slope), (0..k).filter(|i| v[*i] > 0.0).max_by(by_slope))
        else {
            break;
        };
        gap = v.iter().zip(&slopes).map(|(v, s)| v * s).sum::<f64>() - slopes[best];
        if best == worst || gap <= 1e-15 * mean_square {
            break;
        }
        let slope = means[best] - means[worst];
        let curve = product(best, best) + product(worst, worst) - 2.0 * product(best, worst);
        let inner = moved[best] - moved[worst];
        let length = minimum(slope, curve, inner, square, phi).clamp(0.0, v[worst]);
        if length == 0.0 {
            break;
        }
        v[best] += length;
        v[worst] -= length;
    }
    let square: f64 = along(&v).iter().zip(&v).map(|(m, v)| m * v).sum();
    let norm = square.max(0.0).sqrt();
    for (i, task) in active.iter().enumerate() {
        if norm > 1e-4 * mean_square.sqrt() {
            weights[*task] = 1.0 / k as f64 + phi / norm * v[i];
        }
    }
    store(a, &p, &problem, &weights, gap / mean_square.max(1e-300));
}

/// The minimum over t ≥ 0 of `slope t + φ √(curve t² + 2 inner t + square)`; infinite if there is
/// none.
fn minimum(slope: f64, curve: f64, inner: f64, square: f64, phi: f64) -> f64 {
    if curve <= 0.0 {
        return f64::INFINITY;
    }
    let (rest, room) =
        ((curve * square - inner * inner).max(0.0), curve * phi * phi - slope * slope);
    if room <= 0.0 {
        return if slope < 0.0 { f64::INFINITY } else { 0.0 };
    }
    (-slope * (rest / room).sqrt() - inner) / curve
}
