//! `mix_forward`: sums of nodes by weights; `mix_dots`: the gradients of the weights; and
//! `mix_backward`: the deltas of the nodes.

use crate::kernels::params::{self, Mix, NONE, Receiver, Share, Term};
use crate::reference::Arguments;
use crate::reference::real::{Real, sum};

/// The mixes of a dispatch.
fn mixes<T: Real>(a: &Arguments<T>, first: u32, count: u32) -> Vec<Mix> {
    a.table::<Mix>("mixes")[first as usize..][..count as usize].to_vec()
}

/// The weight of a term of a mix at unit `u` of row `r`.
fn weight<T: Real>(logits: &[T], mix: &Mix, term: usize, r: usize, u: usize) -> T {
    let (weights, width) = (mix.weights as usize, mix.width as usize);
    match (mix.weights, mix.is_mask) {
        (NONE, _) => T::of(1.0),
        (_, 1) => logits[weights + r * width + u],
        _ => logits[weights + r * mix.terms as usize + term],
    }
}

pub(super) fn mix_forward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::MixForward>();
    let (terms, x, logits) = (a.table::<Term>("terms"), a.numbers("x"), a.numbers("logits"));
    let mut y = a.numbers_mut("y");
    for mix in mixes(a, p.first_mix, p.mixes) {
        let width = mix.width as usize;
        let terms = &terms[mix.first_term as usize..][..mix.terms as usize];
        for (r, u) in (0..p.rows as usize).flat_map(|r| (0..width).map(move |u| (r, u))) {
            let mut sum = T::of(0.0);
            for (i, term) in terms.iter().enumerate() {
                sum += weight(&logits, &mix, i, r, u) * x[term.x as usize + r * width + u];
            }
            y[mix.y as usize + r * width + u] = sum;
        }
    }
}

pub(super) fn mix_dots<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::MixDots>();
    let (terms, x, delta) = (a.table::<Term>("terms"), a.numbers("x"), a.numbers("mix_delta"));
    let mut logits_delta = a.numbers_mut("logits_delta");
    for mix in mixes(a, p.first_mix, p.mixes).iter().filter(|mix| mix.weighs == 1) {
        let width = mix.width as usize;
        let terms = &terms[mix.first_term as usize..][..mix.terms as usize];
        let cells = (0..p.rows as usize)
            .flat_map(|r| terms.iter().enumerate().map(move |(i, term)| (r, i, term)));
        for (r, i, term) in cells {
            let product = |u: usize| {
                delta[mix.delta as usize + r * width + u] * x[term.x as usize + r * width + u]
            };
            if mix.is_mask == 1 {
                (0..width).for_each(|u| {
                    logits_delta[mix.weights as usize + r * width + u] = product(u);
                });
                continue;
            }
            logits_delta[mix.weights as usize + r * terms.len() + i] = sum((0..width).map(product));
        }
    }
}

pub(super) fn mix_backward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::MixBackward>();
    let (shares, mixes) = (a.table::<Share>("shares"), a.table::<Mix>("mixes"));
    let (logits, mix_delta, slope) =
        (a.numbers("logits"), a.numbers("mix_delta"), a.numbers("slope"));
    let mut delta = a.numbers_mut("delta");
    let receivers = a.table::<Receiver>("receivers");
    for to in &receivers[p.first_receiver as usize..][..p.receivers as usize] {
        let width = to.width as usize;
        let shares = &shares[to.first_share as usize..][..to.shares as usize];
        for (r, u) in (0..p.rows as usize).flat_map(|r| (0..width).map(move |u| (r, u))) {
            let e = r * width + u;
            let mut sum = T::of(0.0);
            for share in shares {
                let mix = &mixes[share.mix as usize];
                sum += weight(&logits, mix, share.term as usize, r, u)
                    * mix_delta[mix.delta as usize + e];
            }
            if to.slope != NONE {
                sum *= slope[to.slope as usize + e];
            }
            let place = to.delta as usize + e;
            delta[place] = if to.accumulate == 1 { sum + delta[place] } else { sum };
        }
    }
}
