//! `pointwise_losses`: the losses of heads whose outputs have one label each, with their gradients
//! by the logits.

use super::label_sums::row_weight;
use super::softmax_cross_entropy::{RowPlaces, focal, rows_of_heads};
use crate::kernels::params::{self, Head, NONE};
use crate::model::loss::code as loss;
use crate::reference::Arguments;
use crate::reference::real::Real;

pub(super) fn pointwise_losses<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::PointwiseLosses>();
    let all = a.table::<Head>("heads");
    let tasks: Vec<usize> =
        (0..all.len()).filter(|task| all[*task].kind != loss::MULTICLASS).collect();
    let heads: Vec<Head> = tasks.iter().map(|task| all[*task]).collect();
    let (labels, logits) = (a.integers("labels"), a.numbers("logits"));
    let weights = a.numbers("class_weights");
    let (labels, logits, weights) = (&labels[..], &logits[..], &weights[..]);
    let (mut delta, mut partials) = (a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    let inverse = |head: &Head| match head.inverse {
        NONE => T::from(a.step().inverse_rows) * T::from(head.share),
        place => partials[place as usize],
    };
    let inverses: Vec<T> = heads.iter().map(inverse).collect();
    let places = RowPlaces { rows: p.rows, loss: p.loss, hits: p.hits, capacity: p.capacity };
    let parts = rows_of_heads(&heads, &tasks, places, (&mut delta, &mut partials));
    a.run(parts, |part| {
        let (head, cells) = (&heads[part.head], p.cells as usize);
        let outputs = head.outputs as usize;
        let rows = part.delta.chunks_mut(outputs).zip(part.loss.iter_mut().zip(part.hits));
        for (r, (delta, (loss, hits))) in (part.first..).zip(rows) {
            let cells = &labels[r * cells..][..cells];
            let z = &logits[head.logits as usize + r * outputs..][..outputs];
            let norm = row_weight::<T>(cells, p.weighted == 1) * inverses[part.head];
            (*loss, *hits) = row_loss(head, weights, (z, cells), norm, delta);
        }
        None
    });
}

/// Loss and hits of a head in one row, whose gradients it writes; `row`: its logits and its labels.
fn row_loss<T: Real>(
    head: &Head,
    weights: &[T],
    row: (&[T], &[u32]),
    norm: T,
    delta: &mut [T],
) -> (T, T) {
    let (mut sum, mut hits) = (T::Wide::of(0.0), 0.0);
    let labels = &row.1[head.cell as usize..];
    for (k, ((delta, z), &label)) in delta.iter_mut().zip(row.0).zip(labels).enumerate() {
        *delta = T::of(0.0);
        if label == NONE {
            continue;
        }
        let (value, slope) = match head.kind {
            loss::LOGISTIC => {
                logistic(*z, label == 1, weights[head.weights as usize + k], head.gamma)
            }
            kind => number_loss(kind, *z, T::from(f32::from_bits(label)), T::from(head.parameter)),
        };
        if head.kind == loss::LOGISTIC && (*z > T::of(0.0)) == (label == 1) {
            hits += 1.0;
        }
        sum += (norm * value).wide();
        *delta = T::from(head.weight) * norm * slope;
    }
    (T::narrow(sum), T::of(hits))
}

/// The logistic loss w q^γ (−ln p) of a label, and its derivative by z. p is the probability of the
/// label, q = 1 − p; the weight w counts for positives.
fn logistic<T: Real>(z: T, positive: bool, weight: T, gamma: f32) -> (T, T) {
    let one = T::of(1.0);
    let (u, weight) = if positive { (z, weight) } else { (-z, one) };
    // For large u the textbook forms lose every digit of q: it is e^−u there.
    let (q, nll) = if u > T::of(0.0) {
        let small = (-u).exp();
        (small / (one + small), (one + small).ln())
    } else {
        let small = u.exp();
        (one / (one + small), (one + small).ln() - u)
    };
    let (power, by_q) = focal(gamma, q);
    let slope = -(weight * (power + by_q * (one - q) * nll) * q);
    (weight * power * nll, if positive { slope } else { -slope })
}

/// A loss of a number y that is predicted as z, and its derivative by z.
fn number_loss<T: Real>(kind: u32, z: T, y: T, parameter: T) -> (T, T) {
    let (e, zero, one) = (z - y, T::of(0.0), T::of(1.0));
    let sign = T::of(if e > zero {
        1.0
    } else if e < zero {
        -1.0
    } else {
        0.0
    });
    let size = if e < zero { -e } else { e };
    match kind {
        loss::SQUARED => (e * e, T::of(2.0) * e),
        loss::ABSOLUTE => (size, sign),
        loss::HUBER if size > parameter => {
            (parameter * (size - T::of(0.5) * parameter), parameter * sign)
        }
        loss::HUBER => (T::of(0.5) * e * e, e),
        loss::QUANTILE if e > zero => ((one - parameter) * e, one - parameter),
        loss::QUANTILE => (-(parameter * e), if e < zero { -parameter } else { zero }),
        _ => (parameter * (z.exp() - y * z), parameter * (z.exp() - y)),
    }
}
