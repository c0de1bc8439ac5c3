//! `gate_forward`: the weights of the terms of a mix from the values of a gate; `gate_backward`:
//! the gradients of the values; and `constant_backward`: those of values that all rows share.

use super::dense_forward::hash;
use crate::kernels::params::{self, Constant, Gate, NONE, Step, rule};
use crate::reference::Arguments;
use crate::reference::parts::cut;
use crate::reference::real::Real;
use crate::reference::sums::sum;
use crate::reference::widest::widest;

/// Keeps the logarithm of the entropy finite.
const EPSILON: f64 = 1e-6;

/// The gates of a dispatch.
fn gates<T: Real>(a: &Arguments<T>, first: u32, count: u32) -> Vec<Gate> {
    a.table::<Gate>("gates")[first as usize..][..count as usize].to_vec()
}

/// The values of a gate for a row.
fn values<T: Real>(gate: &Gate, parameters: &[T], logits: &[T], row: usize) -> Vec<T> {
    let (first, count) = (gate.first as usize, gate.values as usize);
    match gate.constant {
        1 => parameters[first..][..count].to_vec(),
        _ => logits[first + row * count..][..count].to_vec(),
    }
}

pub(super) fn gate_forward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::GateForward>();
    let parameters = a.numbers("parameters");
    let (mut logits, mut partials) = (a.numbers_mut("logits"), a.numbers_mut("partials"));
    for gate in gates(a, p.first_gate, p.gates) {
        let terms = gate.terms as usize;
        if gate.rule == rule::MASK && gate.constant == 0 && p.watch == 0 {
            mask(a, &gate, p.rows as usize, &mut logits);
            continue;
        }
        for row in 0..p.rows as usize {
            let present =
                T::of(if p.chunk_first + (row as u32) < a.step().rows { 1.0 } else { 0.0 });
            let z = values(&gate, &parameters, &logits, row);
            let weights = match gate.rule {
                rule::LINEAR => z,
                rule::SOFTMAX => softmax(&z),
                rule::SELECT => {
                    let (weights, entropy) = selection(&gate, &z);
                    if gate.entropies != NONE {
                        partials[gate.entropies as usize + row] = present * entropy;
                    }
                    weights
                }
                rule::GUMBEL if p.training == 1 => {
                    let cold = coldness::<T>(&gate, a.step());
                    let noisy = |(i, z): (usize, &T)| (*z + noise(&gate, i, a.step())) * cold;
                    softmax(&z.iter().enumerate().map(noisy).collect::<Vec<T>>())
                }
                rule::GUMBEL => largest_alone(&z),
                _ => {
                    let second = gate.second as usize + row * terms;
                    let more = |i: usize| match gate.second {
                        NONE => z[i],
                        _ => z[i] + logits[second + i],
                    };
                    (0..terms).map(|i| sigmoid(more(i))).collect()
                }
            };
            if p.watch == 1 && gate.means != NONE {
                for (i, weight) in weights.iter().enumerate() {
                    let place = gate.means as usize + i * p.capacity as usize + row;
                    partials[place] = present * *weight;
                }
            }
            logits[gate.weights as usize + row * terms..][..terms].copy_from_slice(&weights);
        }
    }
}

/// The weights of a mask for all rows: sigmoids of the values of a gate, to which those of another
/// one may be added.
fn mask<T: Real>(a: &Arguments<T>, gate: &Gate, rows: usize, logits: &mut [T]) {
    let count = rows * gate.terms as usize;
    let place = |first: u32| match first {
        NONE => 0..0,
        first => first as usize..first as usize + count,
    };
    let runs = [gate.weights, gate.first, gate.second].map(place);
    let mut runs = cut(logits, runs.into()).into_iter().map(|run| run.chunks_mut(PART));
    let (Some(weights), Some(values), Some(mut second)) = (runs.next(), runs.next(), runs.next())
    else {
        return;
    };
    let parts = weights.zip(values).map(|(weights, z)| (weights, z, second.next()));
    a.run(parts.collect(), |(weights, z, second)| {
        sigmoids(z, second.as_deref(), weights);
        None
    });
}

/// Values of a part of a mask.
const PART: usize = 2048;

widest! {
    /// The sigmoids of values, or of the sums of two.
    fn sigmoids<T: Real>(z: &[T], second: Option<&[T]>, weights: &mut [T]) {
        match second {
            None => weights.iter_mut().zip(z).for_each(|(weight, z)| *weight = sigmoid(*z)),
            Some(second) => {
                let sums = z.iter().zip(second).map(|(z, second)| *z + *second);
                weights.iter_mut().zip(sums).for_each(|(weight, z)| *weight = sigmoid(z));
            }
        }
    }
}

#[inline(always)]
fn sigmoid<T: Real>(z: T) -> T {
    T::of(1.0) / (T::of(1.0) + (-z).exp())
}

fn softmax<T: Real>(z: &[T]) -> Vec<T> {
    let largest = z.iter().copied().reduce(|a, b| if b > a { b } else { a });
    let exp: Vec<T> = z.iter().map(|z| (*z - largest.unwrap_or(*z)).exp()).collect();
    let sum = exp.iter().fold(T::of(0.0), |sum, e| sum + *e);
    exp.into_iter().map(|e| e / sum).collect()
}

/// 1 at the first of the largest, 0 elsewhere.
fn largest_alone<T: Real>(z: &[T]) -> Vec<T> {
    let best = (1..z.len()).fold(0, |best, i| if z[i] > z[best] { i } else { best });
    (0..z.len()).map(|i| T::of(if i == best { 1.0 } else { 0.0 })).collect()
}

/// 1 / temperature, which falls from `from` to `to` by equal factors.
fn coldness<T: Real>(gate: &Gate, step: &Step) -> T {
    T::from(gate.inverse_from) * (T::from(gate.fall) * T::from(step.progress)).exp()
}

/// Gumbel noise, −ln(−ln u) for a uniform u.
fn noise<T: Real>(gate: &Gate, term: usize, step: &Step) -> T {
    let h = hash([term as u32, NONE, gate.number ^ step.key_low, step.key_high]);
    let u = T::of((f64::from(h >> 9) + 0.5) / f64::from(1 << 23));
    -(-u.ln()).ln()
}

/// The selectors of a row: for each its share, its smooth steps with their slopes, and its code as
/// weights of the terms.
struct Selector<T> {
    share: T,
    bits: Vec<(T, T)>,
    code: Vec<T>,
}

fn selectors<T: Real>(gate: &Gate, z: &[T]) -> Vec<Selector<T>> {
    let (select, bits) = (gate.select as usize, gate.bits as usize);
    let shares = softmax(&z[..select]);
    let selector = |(s, share): (usize, T)| {
        let own = &z[select + s * bits..][..bits];
        let bits: Vec<(T, T)> = own.iter().map(|z| smooth_step(gate, *z)).collect();
        let code = (0..gate.terms as usize).map(|term| coded(&bits, term, None)).collect();
        Selector { share, bits, code }
    };
    shares.into_iter().enumerate().map(selector).collect()
}

/// Hazimeh et al. 2021, equation 3, with its slope.
fn smooth_step<T: Real>(gate: &Gate, t: T) -> (T, T) {
    let gamma = f64::from(gate.gamma);
    if t.value().abs() >= 0.5 * gamma {
        return (t.step(), T::of(0.0));
    }
    let s = t / T::of(gamma);
    let (half, three_halves) = (T::of(0.5), T::of(1.5));
    let value = s * (three_halves - T::of(2.0) * s * s) + half;
    (value, (three_halves - T::of(6.0) * s * s) / T::of(gamma))
}

/// The product over the bits of a term, one of them perhaps left out.
fn coded<T: Real>(bits: &[(T, T)], term: usize, without: Option<usize>) -> T {
    let others = bits.iter().enumerate().filter(|(bit, _)| Some(*bit) != without);
    others.fold(T::of(1.0), |product, (bit, (s, _))| {
        product * if (term >> bit) & 1 == 1 { *s } else { T::of(1.0) - *s }
    })
}

/// The weights of the terms, and the entropy of the selectors.
fn selection<T: Real>(gate: &Gate, z: &[T]) -> (Vec<T>, T) {
    let mut weights = vec![T::of(0.0); gate.terms as usize];
    let mut entropy = T::of(0.0);
    for selector in selectors(gate, z) {
        let mut reached = T::of(0.0);
        for (weight, r) in weights.iter_mut().zip(&selector.code) {
            *weight += selector.share * *r;
            entropy -= *r * (*r + T::of(EPSILON)).ln();
            reached += *r;
        }
        if !gate.terms.is_power_of_two() {
            entropy += T::of(1.0) / (reached + T::of(EPSILON)) - T::of(1.0);
        }
    }
    (weights, entropy)
}

pub(super) fn gate_backward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::GateBackward>();
    let (parameters, logits) = (a.numbers("parameters"), a.numbers("logits"));
    let mut logits_delta = a.numbers_mut("logits_delta");
    for gate in gates(a, p.first_gate, p.gates) {
        let (count, terms) = (gate.values as usize, gate.terms as usize);
        for row in 0..p.rows as usize {
            let first = gate.weights as usize + row * terms;
            let (w, dw) = (&logits[first..][..terms], logits_delta[first..][..terms].to_vec());
            let dz = match gate.rule {
                rule::LINEAR => dw,
                rule::SOFTMAX => softmax_gradient(w, &dw),
                rule::SELECT => {
                    let z = values(&gate, &parameters, &logits, row);
                    let present = p.chunk_first + (row as u32) < a.step().rows;
                    let share = if present { a.step().inverse_rows } else { 0.0 };
                    selection_gradient(&gate, &z, &dw, T::from(gate.entropy) * T::from(share))
                }
                rule::GUMBEL => {
                    let cold = coldness::<T>(&gate, a.step());
                    softmax_gradient(w, &dw).into_iter().map(|dz| cold * dz).collect()
                }
                _ => w.iter().zip(&dw).map(|(w, dw)| *w * (T::of(1.0) - *w) * *dw).collect(),
            };
            for delta in [gate.delta, gate.second_delta].into_iter().filter(|d| *d != NONE) {
                logits_delta[delta as usize + row * count..][..count].copy_from_slice(&dz);
            }
        }
    }
}

fn softmax_gradient<T: Real>(w: &[T], dw: &[T]) -> Vec<T> {
    let mean = w.iter().zip(dw).fold(T::of(0.0), |sum, (w, dw)| sum + *w * *dw);
    w.iter().zip(dw).map(|(w, dw)| *w * (*dw - mean)).collect()
}

/// The gradients of the values from those of the weights; `factor` is that of the entropy.
fn selection_gradient<T: Real>(gate: &Gate, z: &[T], dw: &[T], factor: T) -> Vec<T> {
    let selectors = selectors(gate, z);
    let of_share =
        |s: &Selector<T>| s.code.iter().zip(dw).fold(T::of(0.0), |sum, (r, dw)| sum + *r * *dw);
    let shares: Vec<T> = selectors.iter().map(|s| s.share).collect();
    let mut dz = softmax_gradient(&shares, &selectors.iter().map(of_share).collect::<Vec<T>>());
    for selector in &selectors {
        let reached = selector.code.iter().fold(T::of(EPSILON), |sum, r| sum + *r);
        let beyond = match gate.terms.is_power_of_two() {
            true => T::of(0.0),
            false => T::of(1.0) / (reached * reached),
        };
        let dr = selector.code.iter().zip(dw).map(|(r, dw)| {
            let near = *r + T::of(EPSILON);
            selector.share * *dw + factor * (-near.ln() - *r / near - beyond)
        });
        let dr: Vec<T> = dr.collect();
        for (bit, (_, slope)) in selector.bits.iter().enumerate() {
            let sum = dr.iter().enumerate().fold(T::of(0.0), |sum, (term, dr)| {
                let others = *dr * coded(&selector.bits, term, Some(bit));
                if (term >> bit) & 1 == 1 { sum + others } else { sum - others }
            });
            dz.push(*slope * sum);
        }
    }
    dz
}

pub(super) fn constant_backward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::ConstantBackward>();
    let (logits_delta, mut gradients) = (a.numbers("logits_delta"), a.numbers_mut("gradients"));
    for constant in &a.table::<Constant>("constants")[p.first as usize..][..p.constants as usize] {
        let values = constant.values as usize;
        for i in 0..values {
            let place = constant.gradient as usize + i;
            let at = |row: usize| constant.delta as usize + row * values + i;
            let sum = sum((0..p.rows as usize).map(|row| logits_delta[at(row)]));
            let sum = if p.accumulate == 1 { gradients[place] + sum } else { sum };
            if !sum.value().is_finite() {
                a.raise(constant.flag);
            }
            gradients[place] = sum;
        }
    }
}
