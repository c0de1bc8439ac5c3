//! `mix_forward`: sums of nodes by weights; `mix_dots`: the gradients of the weights; and
//! `mix_backward`: the deltas of the nodes.

use crate::kernels::params::{self, Mix, NONE, Receiver, Share, Term, pool};
use crate::reference::Arguments;
use crate::reference::parts::{BLOCK, cut};
use crate::reference::real::Real;
use crate::reference::sums::dot;
use crate::reference::widest::widest;

/// The mixes of a dispatch.
fn mixes<T: Real>(a: &Arguments<T>, first: u32, count: u32) -> Vec<Mix> {
    a.table::<Mix>("mixes")[first as usize..][..count as usize].to_vec()
}

/// The weights of a term of a mix in a row: one for all units, or one for each.
enum Weights<'l, T> {
    One(T),
    Each(&'l [T]),
}

/// The weights of a term of a mix in row `r`.
fn weights<'l, T: Real>(logits: &'l [T], mix: &Mix, term: usize, r: usize) -> Weights<'l, T> {
    let (weights, width) = (mix.weights as usize, mix.width as usize);
    match (mix.weights, mix.is_mask) {
        (NONE, _) => Weights::One(T::of(1.0)),
        (_, 1) => Weights::Each(&logits[weights + r * width..][..width]),
        _ => Weights::One(logits[weights + r * mix.terms as usize + term]),
    }
}

widest! {
    /// Adds values times their weights to sums.
    fn add<T: Real>(weights: Weights<T>, values: &[T], sums: &mut [T]) {
        match weights {
            Weights::One(weight) => {
                sums.iter_mut().zip(values).for_each(|(sum, x)| *sum += weight * *x)
            }
            Weights::Each(weights) => {
                let terms = weights.iter().zip(values);
                sums.iter_mut().zip(terms).for_each(|(sum, (weight, x))| *sum += *weight * *x)
            }
        }
    }
}

/// Blocks of rows of what a mix or a receiver writes: its entry of the table, the first row, and
/// the values of the rows.
fn blocks<'b, S, T>(
    table: &'b [S],
    buffer: &'b mut [T],
    rows: usize,
    place: impl Fn(&S) -> (u32, usize),
) -> Vec<(&'b S, usize, &'b mut [T])> {
    let run = |entry: &S| {
        let (first, width) = place(entry);
        first as usize..first as usize + rows * width
    };
    let runs = cut(buffer, table.iter().map(run).collect());
    let of_entry = |(entry, values): (&'b S, &'b mut [T])| {
        let width = place(entry).1.max(1);
        let blocks = values.chunks_mut(BLOCK * width).enumerate();
        blocks.map(|(i, block)| (entry, i * BLOCK, block)).collect::<Vec<_>>()
    };
    table.iter().zip(runs).flat_map(of_entry).collect()
}

/// The number of rows of a sentence before a row, and behind it; `None` behind the batch.
fn span(spans: &[u32], first: u32, row: usize) -> Option<(usize, usize)> {
    let span = spans[first as usize + row];
    (span != NONE).then_some(((span & 0xffff) as usize, (span >> 16) as usize))
}

/// The values of a pooled mix in row `r`: those of a sentence in its first row, else zeros.
fn pooled<T: Real>(mix: &Mix, span: Option<(usize, usize)>, r: usize, x: &[T], y: &mut [T]) {
    y.fill(T::of(0.0));
    let Some((0, behind)) = span else { return };
    let width = mix.width as usize;
    for (unit, y) in y.iter_mut().enumerate() {
        let value = |row: usize| x[mix.x as usize + row * width + unit];
        let values = (r..=r + behind).map(value);
        *y = match mix.pool {
            pool::MAX => values.fold(value(r), |largest, x| if x > largest { x } else { largest }),
            _ => {
                let sum = values.fold(T::Wide::of(0.0), |sum, x| sum + x.wide());
                T::narrow(sum) / T::of((behind + 1) as f64)
            }
        };
    }
}

/// Adds to `sums` the deltas that a pooled mix gives row `r`.
fn unpool<T: Real>(
    mix: &Mix,
    (before, behind): (usize, usize),
    r: usize,
    (mix_delta, x): (&[T], &[T]),
    sums: &mut [T],
) {
    let (width, first) = (mix.width as usize, r - before);
    for (unit, sum) in sums.iter_mut().enumerate() {
        let delta = mix_delta[mix.delta as usize + first * width + unit];
        let value = |row: usize| x[mix.x as usize + row * width + unit];
        *sum += match mix.pool {
            pool::MAX => {
                // The first of the largest values: most rows find a larger one next to them.
                let is_best = (first..r).rev().all(|row| value(r) > value(row))
                    && (r + 1..=r + behind).all(|row| value(row) <= value(r));
                if is_best { delta } else { T::of(0.0) }
            }
            _ => delta / T::of((before + behind + 1) as f64),
        };
    }
}

pub(super) fn mix_forward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::MixForward>();
    let (terms, x, logits) = (a.table::<Term>("terms"), a.numbers("x"), a.numbers("logits"));
    let (x, logits) = (&x[..], &logits[..]);
    let mut y = a.numbers_mut("y");
    let mixes = mixes(a, p.first_mix, p.mixes);
    let parts = blocks(&mixes, &mut y, p.rows as usize, |mix| (mix.y, mix.width as usize));
    let spans = a.integers("spans");
    let spans = &spans[..];
    a.run(parts, |(mix, first, y)| {
        let width = mix.width as usize;
        if mix.pool != pool::NO {
            for (r, y) in (first..).zip(y.chunks_mut(width)) {
                pooled(mix, span(spans, p.spans, r), r, x, y);
            }
            return None;
        }
        let terms = &terms[mix.first_term as usize..][..mix.terms as usize];
        for (r, y) in (first..).zip(y.chunks_mut(width)) {
            y.fill(T::of(0.0));
            for (i, term) in terms.iter().enumerate() {
                let x = &x[term.x as usize + r * width..][..width];
                add(weights(logits, mix, i, r), x, y);
            }
        }
        None
    });
}

pub(super) fn mix_dots<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::MixDots>();
    let (terms, x, delta) = (a.table::<Term>("terms"), a.numbers("x"), a.numbers("mix_delta"));
    let (x, delta) = (&x[..], &delta[..]);
    let mut logits_delta = a.numbers_mut("logits_delta");
    let mut weighing = mixes(a, p.first_mix, p.mixes);
    weighing.retain(|mix| mix.weighs == 1);
    let count = |mix: &Mix| if mix.is_mask == 1 { mix.width } else { mix.terms } as usize;
    let place = |mix: &Mix| (mix.weights, count(mix));
    let parts = blocks(&weighing, &mut logits_delta, p.rows as usize, place);
    a.run(parts, |(mix, first, to)| {
        let width = mix.width as usize;
        let terms = &terms[mix.first_term as usize..][..mix.terms as usize];
        for (r, to) in (first..).zip(to.chunks_mut(count(mix))) {
            let delta = &delta[mix.delta as usize + r * width..][..width];
            let x = |term: &Term| &x[term.x as usize + r * width..][..width];
            if mix.is_mask == 1 {
                let terms = terms.iter().flat_map(x).zip(delta);
                to.iter_mut().zip(terms).for_each(|(to, (x, delta))| *to = *delta * *x);
                continue;
            }
            for (to, term) in to.iter_mut().zip(terms) {
                *to = T::narrow(dot(delta, x(term)));
            }
        }
        None
    });
}

pub(super) fn mix_backward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::MixBackward>();
    let (shares, mixes) = (a.table::<Share>("shares"), a.table::<Mix>("mixes"));
    let (logits, mix_delta, slope) =
        (a.numbers("logits"), a.numbers("mix_delta"), a.numbers("slope"));
    let (logits, mix_delta, slope) = (&logits[..], &mix_delta[..], &slope[..]);
    let spans = a.integers("spans");
    let spans = &spans[..];
    let mut delta = a.numbers_mut("delta");
    let receivers = a.table::<Receiver>("receivers");
    let receivers = &receivers[p.first_receiver as usize..][..p.receivers as usize];
    let parts = blocks(receivers, &mut delta, p.rows as usize, |to| (to.delta, to.width as usize));
    a.run(parts, |(to, first, delta)| {
        let width = to.width as usize;
        let shares = &shares[to.first_share as usize..][..to.shares as usize];
        let mut sums = vec![T::of(0.0); width];
        for (r, delta) in (first..).zip(delta.chunks_mut(width)) {
            sums.fill(T::of(0.0));
            for share in shares {
                let mix = &mixes[share.mix as usize];
                if mix.pool != pool::NO {
                    if let Some(span) = span(spans, p.spans, r) {
                        unpool(mix, span, r, (mix_delta, slope), &mut sums);
                    }
                    continue;
                }
                let values = &mix_delta[mix.delta as usize + r * width..][..width];
                add(weights(logits, mix, share.term as usize, r), values, &mut sums);
            }
            if to.slope != NONE {
                let slope = &slope[to.slope as usize + r * width..][..width];
                sums.iter_mut().zip(slope).for_each(|(sum, slope)| *sum *= *slope);
            }
            for (delta, sum) in delta.iter_mut().zip(&sums) {
                *delta = if to.accumulate == 1 { *sum + *delta } else { *sum };
            }
        }
        None
    });
}
