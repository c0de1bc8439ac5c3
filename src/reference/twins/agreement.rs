//! `agreement`: the Jensen–Shannon divergence of coupled heads, with its gradient by the logits.

use super::softmax_cross_entropy::normaliser;
use crate::kernels::params::{self, AgreeingPair};
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn agreement<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::Agreement>(), a.step());
    let logits = a.numbers("logits");
    let (mut logits_delta, mut partials) =
        (a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    for pair in &a.table::<AgreeingPair>("agreeing_pairs")[..p.pairs as usize] {
        let classes = pair.classes as usize;
        let outputs = [1, 2].map(|bit| if pair.one & bit != 0 { 1 } else { classes });
        for r in 0..p.rows as usize {
            let places = [pair.first as usize, pair.second as usize];
            let [first, second] = [0, 1].map(|side| places[side] + r * outputs[side]);
            let ln_p = log_probabilities(&logits[first..][..outputs[0]]);
            let ln_q = log_probabilities(&logits[second..][..outputs[1]]);
            let (g, h) = (half_ln_ratios(&ln_p, &ln_q), half_ln_ratios(&ln_q, &ln_p));
            let (mean_p, mean_q) = (mean(&ln_p, &g), mean(&ln_q, &h));
            let is_row = p.chunk_first + (r as u32) < step.rows;
            partials[pair.partials as usize + r] =
                if is_row { mean_p + mean_q } else { T::of(0.0) };
            if is_row && p.gradient == 1 {
                let scale = T::from(pair.strength) * T::from(step.inverse_rows);
                for c in 0..classes {
                    if outputs[0] > 1 || c == 1 {
                        logits_delta[first + c.min(outputs[0] - 1)] +=
                            scale * ln_p[c].exp() * (g[c] - mean_p);
                    }
                    if outputs[1] > 1 || c == 1 {
                        logits_delta[second + c.min(outputs[1] - 1)] +=
                            scale * ln_q[c].exp() * (h[c] - mean_q);
                    }
                }
            }
        }
    }
}

/// ln softmax of the logits of a head. A head with one logit for its two classes has 0 as the first
/// one.
fn log_probabilities<T: Real>(logits: &[T]) -> Vec<T> {
    let z = if logits.len() == 1 { vec![T::of(0.0), logits[0]] } else { logits.to_vec() };
    let (best, sum) = normaliser(&z);
    z.iter().map(|v| *v - z[best] - sum.ln()).collect()
}

/// ½ ln (p / m) for each class, where m = ½ (p + q); 0 where p is 0.
fn half_ln_ratios<T: Real>(ln_p: &[T], ln_q: &[T]) -> Vec<T> {
    let half_ln_ratio = |(x, y): (&T, &T)| {
        let mean = T::of(0.5) * (x.exp() + y.exp());
        if x.exp() > T::of(0.0) && mean > T::of(0.0) {
            T::of(0.5) * (*x - mean.ln())
        } else {
            T::of(0.0)
        }
    };
    ln_p.iter().zip(ln_q).map(half_ln_ratio).collect()
}

/// Σ p g, the mean of g over the classes.
fn mean<T: Real>(ln_p: &[T], g: &[T]) -> T {
    ln_p.iter().zip(g).fold(T::of(0.0), |sum, (l, g)| sum + l.exp() * *g)
}
