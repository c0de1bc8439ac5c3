//! `softmax_cross_entropy`: the loss of multiclass heads, with its gradient by the logits; and
//! `heads_cross_entropy`, which computes the logits too.

use super::dense_forward::{pre_activation, raise_if_not_finite};
use super::label_sums::row_weight;
use crate::kernels::params::{self, Dense, Head, NONE};
use crate::model::loss::code as loss;
use crate::reference::Arguments;
use crate::reference::parts::{BLOCK, cut};
use crate::reference::real::Real;
use crate::reference::sums::sum;
use crate::reference::widest::widest;

pub(super) fn softmax_cross_entropy<T: Real>(a: &Arguments<T>) {
    let (p, logits) = (a.params::<params::SoftmaxCrossEntropy>(), a.numbers("logits"));
    let heads = a.table::<Head>("heads");
    let of_classes = (0..heads.len()).filter(|task| heads[*task].kind == loss::MULTICLASS);
    cross_entropy(a, &p, &of_classes.collect::<Vec<_>>(), &logits);
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
    let tasks: Vec<usize> = group.iter().map(|layer| layer.task as usize).collect();
    cross_entropy(a, &p, &tasks, &all);
}

/// The losses of tasks: per row the loss, the hit and the gradient.
fn cross_entropy<T: Real>(
    a: &Arguments<T>,
    p: &params::SoftmaxCrossEntropy,
    tasks: &[usize],
    logits: &[T],
) {
    let (step, labels, all) = (a.step(), a.integers("labels"), a.table::<Head>("heads"));
    let heads: Vec<Head> = tasks.iter().map(|task| all[*task]).collect();
    let is_weighted = heads.iter().any(|head| head.weights != NONE);
    let weights = is_weighted.then(|| a.numbers("class_weights"));
    let (labels, weights) = (&labels[..], weights.as_ref().map(|weights| &weights[..]));
    let (mut delta, mut partials) = (a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    let inverse = |head: &Head| match head.inverse {
        NONE => T::from(step.inverse_rows),
        place => partials[place as usize],
    };
    let inverses: Vec<T> = heads.iter().map(inverse).collect();
    let places = RowPlaces { rows: p.rows, loss: p.loss, hits: p.hits, capacity: p.capacity };
    let parts = rows_of_heads(&heads, tasks, places, (&mut delta, &mut partials));
    a.run(parts, |part| {
        let head = &heads[part.head];
        let classes = head.outputs as usize;
        let z = &logits[head.logits as usize + part.first * classes..];
        let cells = &labels[part.first * p.cells as usize..];
        let weights = weights.filter(|_| head.weights != NONE);
        let weights = weights.map(|weights| &weights[head.weights as usize..][..classes]);
        let weighted = p.weighted == 1;
        rows_loss(
            head,
            weights,
            z,
            (cells, p.cells as usize),
            (inverses[part.head], weighted),
            part,
        );
        None
    });
}

/// The rows of a head in a part of a dispatch, and what is written for them.
pub(super) struct RowsOfHead<'a, T> {
    /// The head, by its place among those of the dispatch.
    pub(super) head: usize,
    /// The first row.
    pub(super) first: usize,
    /// `[rows, outputs]`
    pub(super) delta: &'a mut [T],
    /// `[rows]`
    pub(super) loss: &'a mut [T],
    /// `[rows]`
    pub(super) hits: &'a mut [T],
}

/// Where losses and hits of rows lie among the partial sums.
#[derive(Clone, Copy)]
pub(super) struct RowPlaces {
    pub(super) rows: u32,
    pub(super) loss: u32,
    pub(super) hits: u32,
    pub(super) capacity: u32,
}

/// The parts of a dispatch that gives the rows of heads their losses; `tasks` are the numbers of
/// the heads.
pub(super) fn rows_of_heads<'a, T: Real>(
    heads: &[Head],
    tasks: &[usize],
    p: RowPlaces,
    (delta, partials): (&'a mut [T], &'a mut [T]),
) -> Vec<RowsOfHead<'a, T>> {
    let rows = p.rows as usize;
    let of_head = |head: &Head| {
        let first = head.logits as usize;
        first..first + rows * head.outputs as usize
    };
    let run = |first: u32, task: usize| {
        let first = first as usize + task * p.capacity as usize;
        first..first + rows
    };
    let deltas = cut(delta, heads.iter().map(of_head).collect());
    let runs = tasks.iter().flat_map(|task| [run(p.loss, *task), run(p.hits, *task)]);
    let mut sums = cut(partials, runs.collect()).into_iter();
    let mut parts = Vec::new();
    for (number, (head, delta)) in heads.iter().zip(deltas).enumerate() {
        let (loss, hits) = (sums.next().unwrap_or_default(), sums.next().unwrap_or_default());
        let deltas = delta.chunks_mut((BLOCK * head.outputs as usize).max(1));
        let rows = deltas.zip(loss.chunks_mut(BLOCK)).zip(hits.chunks_mut(BLOCK)).enumerate();
        parts.extend(rows.map(|(block, ((delta, loss), hits))| RowsOfHead {
            head: number,
            first: block * BLOCK,
            delta,
            loss,
            hits,
        }));
    }
    parts
}

widest! {
    /// Losses, hits and gradients of the rows of a head. `labels`: those of the rows, and the
    /// number of cells of a row; `norm`: the inverse denominator, and whether rows have weights.
    fn rows_loss<T: Real>(
        head: &Head,
        weights: Option<&[T]>,
        logits: &[T],
        labels: (&[u32], usize),
        norm: (T, bool),
        part: RowsOfHead<T>,
    ) {
        let classes = head.outputs as usize;
        let rows = part.delta.chunks_mut(classes).zip(logits.chunks(classes));
        let sums = part.loss.iter_mut().zip(part.hits);
        for (((delta, z), (loss, hits)), cells) in rows.zip(sums).zip(labels.0.chunks(labels.1)) {
            let label = cells[head.cell as usize] as usize;
            *hits = T::of(if label == largest(z) { 1.0 } else { 0.0 });
            if label >= classes {
                delta.fill(T::of(0.0));
                *loss = T::of(0.0);
                continue;
            }
            let norm = if norm.1 { row_weight::<T>(cells, true) * norm.0 } else { norm.0 };
            *loss = row_loss(head, weights, z, label, norm, delta);
        }
    }
}

/// The loss of a labelled row, whose gradient it writes. With the weights w of classes and the
/// smoothing s of C classes, the target is t_c = w_c ((1 − s) [c = label] + s / C), and the loss
/// is q^γ Σ t_c (−ln p_c), where q = 1 − p_label.
#[inline(always)]
fn row_loss<T: Real>(
    head: &Head,
    weights: Option<&[T]>,
    z: &[T],
    label: usize,
    norm: T,
    delta: &mut [T],
) -> T {
    let (one, classes, best) = (T::of(1.0), z.len(), largest(z));
    // e^(z − largest), until the gradient takes its place.
    for (power, logit) in delta.iter_mut().zip(z) {
        *power = (*logit - z[best]).exp();
    }
    let powers = |leaves: usize| delta.iter().enumerate().filter(move |(c, _)| *c != leaves);
    let all = sum(delta.iter().copied());
    let q = sum(powers(label).map(|(_, power)| *power)) / all;
    let weight = |class: usize| weights.map_or(one, |weights| weights[class]);
    let nll = |c: usize| all.ln() + (z[best] - z[c]);
    let smoothing = T::from(head.smoothing);
    let spread = smoothing / T::of(classes as f64);
    let target = |c: usize| {
        let own = if c == label { (one - smoothing) * weight(c) } else { T::of(0.0) };
        if head.smoothing > 0.0 { own + spread * weight(c) } else { own }
    };
    let targets = || (0..classes).filter(|c| head.smoothing > 0.0 || *c == label);
    let total = sum(targets().map(target));
    let plain = sum(targets().map(|c| target(c) * nll(c)));
    let (power, slope) = focal(head.gamma, q);
    let pull = delta[label] / all * slope * plain;
    let factor = T::from(head.weight) * norm;
    for (c, delta) in delta.iter_mut().enumerate() {
        let probability = *delta / all;
        let off = if c == label { -q } else { probability };
        *delta = factor * (power * (probability * total - target(c)) + pull * off);
    }
    norm * power * plain
}

/// The place of the largest logit of a row, the first one of equals.
#[inline(always)]
fn largest<T: Real>(logits: &[T]) -> usize {
    (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best })
}

/// The place of the largest logit of a row, and Σ e^(z − largest).
pub(super) fn normaliser<T: Real>(logits: &[T]) -> (usize, T) {
    let best = largest(logits);
    (best, sum(logits.iter().map(|z| (*z - logits[best]).exp())))
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
