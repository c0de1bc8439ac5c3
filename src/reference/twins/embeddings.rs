//! `link_cells` and `embedding_backward`: the gradients of learned vectors.

use crate::kernels::params::{self, Embedding, NONE};
use crate::reference::Arguments;
use crate::reference::real::Real;

/// Ties the cells of equal code together: each cell names the next one, each code its first one.
pub(super) fn link_cells<T: Real>(a: &Arguments<T>) {
    let (p, codes) = (a.params::<params::LinkCells>(), a.integers("codes"));
    let (mut next, mut first) = (a.integers_mut("next"), a.integers_mut("first"));
    for e in a.table::<Embedding>("embeddings").iter().filter(|e| e.values > 0) {
        let mut seen = vec![NONE; e.values as usize];
        for cell in (0..p.rows * e.slots).rev() {
            let code = codes[(e.codes + cell) as usize];
            next[(e.codes + cell) as usize] = NONE;
            if code < e.values {
                next[(e.codes + cell) as usize] = std::mem::replace(&mut seen[code as usize], cell);
                first[(e.first + code) as usize] = cell;
            }
        }
    }
}

/// The gradient of each vector: the sum of the deltas of the inputs that it was read for.
pub(super) fn embedding_backward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::EmbeddingBackward>();
    let (codes, delta) = (a.integers("codes"), a.numbers("delta"));
    let mut gradients = a.numbers_mut("gradients");
    for e in &a.table::<Embedding>("embeddings")[..p.embeddings as usize] {
        let width = e.width as usize;
        let mut sums = vec![T::Wide::of(0.0); e.values as usize * width];
        for cell in 0..p.rows * e.slots {
            let code = codes[(e.codes + cell) as usize];
            let input = e.input + cell % e.slots / e.place * e.width;
            for d in (0..width).filter(|_| code < e.values) {
                sums[code as usize * width + d] +=
                    delta[(p.delta + cell / e.slots * p.width + input) as usize + d].wide();
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            let (place, sum) =
                (e.weight.wrapping_add(p.shift) as usize + i, T::narrow(sum) * T::from(e.scale));
            gradients[place] = if p.accumulate == 1 { gradients[place] + sum } else { sum };
            if !gradients[place].is_finite() {
                a.raise(e.flag);
            }
        }
    }
}
