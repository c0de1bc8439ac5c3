//! `adam` and `sgd`: the update of the parameters. Nothing is written once a value was not finite.

use crate::kernels::params::{self, NONE, Step};
use crate::reference::Arguments;
use crate::reference::parts::ELEMENTS;
use crate::reference::real::Real;
use crate::reference::widest::widest;

/// A run of the parameters, and what their update reads and changes.
struct Part<'a, T> {
    parameters: &'a mut [T],
    gradients: &'a [T],
    first_moment: &'a mut [T],
    second_moment: &'a mut [T],
    /// Weight decay and factor of the learning rate, for each 64 parameters.
    decay: &'a [T],
}

/// The parts of the first `count` parameters. Where there are no second moments the slice of them
/// is empty.
fn parts<'a, T>(
    count: usize,
    (parameters, gradients): (&'a mut [T], &'a [T]),
    (first_moment, second_moment): (&'a mut [T], &'a mut [T]),
    decay: &'a [T],
) -> Vec<Part<'a, T>> {
    let mut second = second_moment.chunks_mut(ELEMENTS);
    let elements = parameters[..count].chunks_mut(ELEMENTS).zip(gradients.chunks(ELEMENTS));
    elements
        .zip(first_moment.chunks_mut(ELEMENTS))
        .zip(decay.chunks(ELEMENTS / GROUP * 2))
        .map(|(((parameters, gradients), first_moment), decay)| Part {
            parameters,
            gradients,
            first_moment,
            second_moment: second.next().unwrap_or_default(),
            decay,
        })
        .collect()
}

/// Parameters with one weight decay and one factor of the learning rate.
const GROUP: usize = 64;

/// Adam (Kingma and Ba, ICLR 2015); with `decoupled` AdamW (Loshchilov and Hutter, ICLR 2019).
pub(super) fn adam<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::Adam>(), a.step());
    if a.integers("flags")[0] != NONE {
        return;
    }
    let clip = clip_factor(a, p.clip_norm, step.slot * p.stride + p.norm_metric);
    let (gradients, decay) = (a.numbers("gradients"), a.numbers("decay"));
    let mut parameters = a.numbers_mut("parameters");
    let (mut first, mut second) = (a.numbers_mut("first_moment"), a.numbers_mut("second_moment"));
    let moments = (&mut first[..], &mut second[..]);
    let parts = parts(p.count as usize, (&mut parameters, &gradients), moments, &decay);
    a.run(parts, |part| {
        adam_part(&p, step, clip, part);
        None
    });
}

widest! {
    /// Adam on a part of the parameters.
    fn adam_part<T: Real>(p: &params::Adam, step: &Step, clip: T, part: Part<T>) {
        let of = |x: f32| T::from(x);
        let groups = part.parameters.chunks_mut(GROUP).zip(part.gradients.chunks(GROUP));
        let moments =
            part.first_moment.chunks_mut(GROUP).zip(part.second_moment.chunks_mut(GROUP));
        for (((parameters, gradients), (first_moment, second_moment)), decay) in
            groups.zip(moments).zip(part.decay.chunks(2))
        {
            let (weight_decay, factor) = (decay[0], decay[1]);
            let elements = parameters.iter_mut().zip(gradients);
            for ((theta, g), (m, v)) in elements.zip(first_moment.iter_mut().zip(second_moment)) {
                let mut g = *g * clip;
                if p.decoupled == 1 {
                    *theta -= factor * of(step.learning_rate) * weight_decay * *theta;
                } else {
                    g += weight_decay * *theta;
                }
                *m = of(p.beta1) * *m + of(p.one_minus_beta1) * g;
                *v = of(p.beta2) * *v + of(p.one_minus_beta2) * g * g;
                let denominator = v.sqrt() * of(step.root_correction) + of(p.eps);
                *theta -= factor * of(step.step_size) * *m / denominator;
            }
        }
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
    let (mut parameters, mut first) = (a.numbers_mut("parameters"), a.numbers_mut("first_moment"));
    let moments = (&mut first[..], Default::default());
    let parts = parts(p.count as usize, (&mut parameters, &gradients), moments, &decay);
    a.run(parts, |part| {
        sgd_part(&p, step, clip, part);
        None
    });
}

widest! {
    /// Gradient descent on a part of the parameters.
    fn sgd_part<T: Real>(p: &params::Sgd, step: &Step, clip: T, part: Part<T>) {
        let groups = part.parameters.chunks_mut(GROUP).zip(part.gradients.chunks(GROUP));
        let groups = groups.zip(part.first_moment.chunks_mut(GROUP)).zip(part.decay.chunks(2));
        for (((parameters, gradients), first_moment), decay) in groups {
            let (weight_decay, factor) = (decay[0], decay[1]);
            for ((theta, g), m) in parameters.iter_mut().zip(gradients).zip(first_moment) {
                let g = *g * clip + weight_decay * *theta;
                *m = T::from(p.momentum) * *m + g;
                let direction = if p.nesterov == 1 { g + T::from(p.momentum) * *m } else { *m };
                *theta -= factor * T::from(step.learning_rate) * direction;
            }
        }
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
