//! `pairwise_projection`: PCGrad (Yu et al., "Gradient surgery for multi-task learning", NeurIPS
//! 2020, algorithm 1) and GradVac (Wang et al., "Gradient vaccine", ICLR 2021, algorithm 1).

use super::{Problem, store};
use crate::kernels::params::{Solve, solve};
use crate::reference::Arguments;
use crate::reference::real::Real;
use crate::reference::twins::dense_forward::hash;

/// The order in which the other tasks come for task `i`.
fn order<T: Real>(a: &Arguments<T>, i: usize, tasks: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..tasks).collect();
    for j in (1..tasks).rev() {
        let drawn = hash([a.step().key_low, a.step().key_high, i as u32, j as u32]);
        order.swap(j, drawn as usize % (j + 1));
    }
    order
}

pub(in crate::reference::twins) fn pairwise_projection<T: Real>(a: &Arguments<T>) {
    let p = a.params::<Solve>();
    let problem = Problem::of(a, &p);
    let k = problem.len();
    let mut targets: Vec<f64> = match p.method {
        solve::GRADVAC => {
            a.numbers("balance")[k + 1..k + 1 + k * k].iter().map(|target| target.value()).collect()
        }
        _ => Vec::new(),
    };
    let mut weights = vec![0.0; k];
    for i in problem.active() {
        let mut of_task = vec![0.0; k];
        of_task[i] = 1.0;
        let inner = |of_task: &[f64], j: usize| -> f64 {
            problem.products[j].iter().zip(of_task).map(|(product, c)| product * c).sum()
        };
        for j in order(a, i, k).into_iter().filter(|j| *j != i && problem.is_active(*j)) {
            let (found, other) = (inner(&of_task, j), problem.products[j][j]);
            if p.method != solve::GRADVAC {
                of_task[j] += if found < 0.0 { -found / other } else { 0.0 };
                continue;
            }
            let square: f64 = (0..k).map(|l| of_task[l] * inner(&of_task, l)).sum();
            let (square, wanted) = (square.max(0.0), targets[i * k + j]);
            let cosine = (found / (square * other).max(1e-300).sqrt()).clamp(-1.0, 1.0);
            if cosine < wanted {
                let far = (1.0 - wanted * wanted).sqrt();
                let turned = wanted * (1.0 - cosine * cosine).sqrt() - cosine * far;
                of_task[j] += (square / other).sqrt() * turned / far;
            }
            targets[i * k + j] = f64::from(1.0 - p.a) * wanted + f64::from(p.a) * cosine;
        }
        weights.iter_mut().zip(of_task).for_each(|(weight, c)| *weight += c);
    }
    if p.method == solve::GRADVAC {
        let mut next = a.numbers_mut("next_balance");
        targets.iter().enumerate().for_each(|(i, t)| next[k + 1 + i] = T::within(*t, 1.0));
    }
    store(a, &p, &problem, &weights, 0.0);
}
