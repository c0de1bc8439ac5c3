//! `adam` and `sgd`: the update of the parameters. Nothing is written once a value was not finite.

use crate::kernels::params::{self, NONE};
use crate::reference::Arguments;
use crate::reference::real::Real;

/// Adam (Kingma and Ba, ICLR 2015); with `decoupled` AdamW (Loshchilov and Hutter, ICLR 2019).
pub(super) fn adam<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::Adam>(), a.step());
    if a.integers("flags")[0] != NONE {
        return;
    }
    let clip = clip_factor(a, p.clip_norm, step.slot * p.stride + p.norm_metric);
    let (gradients, decay, mut parameters) =
        (a.numbers("gradients"), a.numbers("decay"), a.numbers_mut("parameters"));
    let (mut first_moment, mut second_moment) =
        (a.numbers_mut("first_moment"), a.numbers_mut("second_moment"));
    let of = |x: f32| T::from(x);
    for i in 0..p.count as usize {
        let (weight_decay, factor) = (decay[i / 64 * 2], decay[i / 64 * 2 + 1]);
        let mut theta = parameters[i];
        let mut g = gradients[i] * clip;
        if p.decoupled == 1 {
            theta -= factor * of(step.learning_rate) * weight_decay * theta;
        } else {
            g += weight_decay * theta;
        }
        first_moment[i] = of(p.beta1) * first_moment[i] + of(p.one_minus_beta1) * g;
        second_moment[i] = of(p.beta2) * second_moment[i] + of(p.one_minus_beta2) * g * g;
        let denominator = second_moment[i].sqrt() * of(step.root_correction) + of(p.eps);
        parameters[i] = theta - factor * of(step.step_size) * first_moment[i] / denominator;
    }
}

/// Gradient descent with momentum, as PyTorch's SGD without dampening.
pub(super) fn sgd<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::Sgd>(), a.step());
    if a.integers("flags")[0] != NONE {
        return;
    }
    let clip = clip_factor(a, p.clip_norm, step.slot * p.stride + p.norm_metric);
    let (gradients, decay) = (a.numbers("gradients"), a.numbers("decay"));
    let (mut parameters, mut first_moment) =
        (a.numbers_mut("parameters"), a.numbers_mut("first_moment"));
    for i in 0..p.count as usize {
        let (weight_decay, factor) = (decay[i / 64 * 2], decay[i / 64 * 2 + 1]);
        let g = gradients[i] * clip + weight_decay * parameters[i];
        let m = T::from(p.momentum) * first_moment[i] + g;
        first_moment[i] = m;
        let direction = if p.nesterov == 1 { g + T::from(p.momentum) * m } else { m };
        parameters[i] -= factor * T::from(step.learning_rate) * direction;
    }
}

/// min(1, clip_norm / (norm + 1e-6)), as PyTorch's `clip_grad_norm_`.
fn clip_factor<T: Real>(a: &Arguments<T>, clip_norm: f32, place: u32) -> T {
    if clip_norm == 0.0 {
        return T::of(1.0);
    }
    let norm = a.numbers("metrics")[place as usize].sqrt();
    let factor = T::from(clip_norm) / (norm + T::of(1e-6));
    if factor < T::of(1.0) { factor } else { T::of(1.0) }
}
