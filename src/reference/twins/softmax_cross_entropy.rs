//! `softmax_cross_entropy`: the loss of multiclass heads, with its gradient by the logits; and
//! `heads_cross_entropy`, which computes the logits too.

use super::dense_forward::{pre_activation, raise_if_not_finite};
use super::label_sums::row_weight;
use crate::kernels::params::{self, Dense, Head, NONE};
use crate::model::loss::code as loss;
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn softmax_cross_entropy<T: Real>(a: &Arguments<T>) {
    let (p, logits) = (a.params::<params::SoftmaxCrossEntropy>(), a.numbers("logits"));
    let heads = a.table::<Head>("heads");
    let of_classes = (0..heads.len()).filter(|task| heads[*task].kind == loss::MULTICLASS);
    of_classes.for_each(|task| cross_entropy(a, &p, task, &logits));
}

pub(super) fn heads_cross_entropy<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::HeadsCrossEntropy>();
    let mut all = a.numbers("logits").clone();
    let group = &a.table::<Dense>("layers")[p.first_layer as usize..][..p.layers as usize];
    let (x, parameters, heads) =
        (a.numbers("x"), a.numbers("parameters"), a.table::<Head>("heads"));
    for layer in group {
        let outputs = layer.outputs as usize;
        for (r, o) in (0..p.rows as usize).flat_map(|r| (0..outputs).map(move |o| (r, o))) {
            let z = pre_activation(layer, &x, &parameters, r, o);
            raise_if_not_finite(a, layer, z);
            all[layer.y as usize + r * outputs + o] = z;
        }
        if a.constant("ALL_LOGITS") == 1 || heads[layer.task as usize].coupled == 1 {
            let run = layer.y as usize..(layer.y + p.rows * layer.outputs) as usize;
            a.numbers_mut("logits")[run.clone()].copy_from_slice(&all[run]);
        }
    }
    let p = params::SoftmaxCrossEntropy {
        rows: p.rows,
        cells: p.tasks,
        weighted: 0,
        loss: p.loss,
        hits: p.hits,
        capacity: p.capacity,
    };
    group.iter().for_each(|layer| cross_entropy(a, &p, layer.task as usize, &all));
}

/// The loss of one task: per row the loss, the hit and the gradient.
fn cross_entropy<T: Real>(
    a: &Arguments<T>,
    p: &params::SoftmaxCrossEntropy,
    task: usize,
    logits: &[T],
) {
    let (step, head, labels) = (a.step(), a.table::<Head>("heads")[task], a.integers("labels"));
    let (mut logits_delta, mut partials) =
        (a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    let inverse = match head.inverse {
        NONE => T::from(step.inverse_rows),
        place => partials[place as usize],
    };
    let classes = head.outputs as usize;
    let weights = (head.weights != NONE)
        .then(|| a.numbers("class_weights")[head.weights as usize..][..classes].to_vec());
    for r in 0..p.rows as usize {
        let first = head.logits as usize + r * classes;
        let z = &logits[first..first + classes];
        let cells = &labels[r * p.cells as usize..][..p.cells as usize];
        let label = cells[head.cell as usize] as usize;
        let place = task * p.capacity as usize + r;
        partials[p.hits as usize + place] = T::of(if label == largest(z) { 1.0 } else { 0.0 });
        let delta = &mut logits_delta[first..first + classes];
        if label >= classes {
            delta.fill(T::of(0.0));
            partials[p.loss as usize + place] = T::of(0.0);
            continue;
        }
        let norm = if p.weighted == 1 { row_weight::<T>(cells, true) * inverse } else { inverse };
        partials[p.loss as usize + place] =
            row_loss(&head, weights.as_deref(), z, label, norm, delta);
    }
}

/// The loss of a labelled row, whose gradient it writes. With the weights w of classes and the
/// smoothing s of C classes, the target is t_c = w_c ((1 − s) [c = label] + s / C), and the loss
/// is q^γ Σ t_c (−ln p_c), where q = 1 − p_label.
fn row_loss<T: Real>(
    head: &Head,
    weights: Option<&[T]>,
    z: &[T],
    label: usize,
    norm: T,
    delta: &mut [T],
) -> T {
    let (one, classes, (best, sum)) = (T::of(1.0), z.len(), normaliser(z));
    let weight = |class: usize| weights.map_or(one, |weights| weights[class]);
    let nll = |c: usize| sum.ln() + (z[best] - z[c]);
    let probability = |c: usize| (z[c] - z[best]).exp() / sum;
    let smoothing = T::from(head.smoothing);
    let spread = smoothing / T::of(classes as f64);
    let target = |c: usize| {
        let own = if c == label { (one - smoothing) * weight(c) } else { T::of(0.0) };
        if head.smoothing > 0.0 { own + spread * weight(c) } else { own }
    };
    let targets = || (0..classes).filter(|c| head.smoothing > 0.0 || *c == label);
    let total = targets().fold(T::of(0.0), |total, c| total + target(c));
    let plain = targets().fold(T::of(0.0), |sum, c| sum + target(c) * nll(c));
    let others = (0..classes)
        .filter(|c| *c != label)
        .fold(T::of(0.0), |sum, c| sum + (z[c] - z[best]).exp());
    let q = others / sum;
    let (power, slope) = focal(head.gamma, q);
    let pull = probability(label) * slope * plain;
    for (c, delta) in delta.iter_mut().enumerate() {
        let off = if c == label { -q } else { probability(c) };
        *delta = T::from(head.weight)
            * norm
            * (power * (probability(c) * total - target(c)) + pull * off);
    }
    norm * power * plain
}

/// The place of the largest logit of a row, the first one of equals.
fn largest<T: Real>(logits: &[T]) -> usize {
    (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best })
}

/// The place of the largest logit of a row, and Σ e^(z − largest).
pub(super) fn normaliser<T: Real>(logits: &[T]) -> (usize, T) {
    let best = largest(logits);
    (best, logits.iter().fold(T::of(0.0), |sum, z| sum + (*z - logits[best]).exp()))
}

/// The focal factor q^γ and its derivative γ q^(γ − 1), where q is 1 − p.
pub(super) fn focal<T: Real>(gamma: f32, q: T) -> (T, T) {
    match (gamma > 0.0, q > T::of(1e-30)) {
        (false, _) => (T::of(1.0), T::of(0.0)),
        (true, false) => (T::of(0.0), T::of(0.0)),
        (true, true) => {
            let power = (T::from(gamma) * q.ln()).exp();
            (power, T::from(gamma) * (power / q))
        }
    }
}
