//! `soft_sharing`: ½ ‖θ_i − θ_j‖² of coupled heads, with its gradient.

use crate::kernels::params::{self, SharedPair};
use crate::reference::Arguments;
use crate::reference::parts::cut;
use crate::reference::real::Real;
use crate::reference::sums::sum;
use crate::reference::widest::widest;

/// Parameters of a pair whose terms are one partial sum.
const GROUP: usize = 64;

pub(super) fn soft_sharing<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::SoftSharing>();
    let (parameters, mut gradients, mut partials) =
        (a.numbers("parameters"), a.numbers_mut("gradients"), a.numbers_mut("partials"));
    for pair in &a.table::<SharedPair>("shared_pairs")[..p.pairs as usize] {
        let count = pair.count as usize;
        let places = [pair.first, pair.second].map(|first| first as usize..first as usize + count);
        let [first, second] = places.clone().map(|place| &parameters[place]);
        let sums = partials[pair.partials as usize..].iter_mut();
        for ((first, second), to) in first.chunks(GROUP).zip(second.chunks(GROUP)).zip(sums) {
            let half = |difference: T| T::of(0.5) * difference * difference;
            *to = sum(first.iter().zip(second).map(|(x, y)| half(*x - *y)));
        }
        if p.gradient == 1 {
            let own = cut(&mut gradients, places.into());
            let finite = own.into_iter().zip([(first, second), (second, first)]).map(
                |(gradients, (own, other))| pull(T::from(pair.strength), own, other, gradients),
            );
            let flags = finite.zip([pair.flag_first, pair.flag_second]);
            flags.filter(|(finite, _)| !finite).for_each(|(_, flag)| a.raise(flag));
        }
    }
}

widest! {
    /// Adds the gradient by the first of two blocks, and says whether all sums are finite.
    fn pull<T: Real>(strength: T, own: &[T], other: &[T], gradients: &mut [T]) -> bool {
        let mut all_finite = true;
        for ((gradient, own), other) in gradients.iter_mut().zip(own).zip(other) {
            *gradient += strength * (*own - *other);
            all_finite &= gradient.is_finite();
        }
        all_finite
    }
}
