//! `soft_sharing`: ½ ‖θ_i − θ_j‖² of coupled heads, with its gradient.

use crate::kernels::params::{self, SharedPair};
use crate::reference::Arguments;
use crate::reference::real::Real;

/// Parameters of a pair whose terms are one partial sum.
const GROUP: usize = 64;

pub(super) fn soft_sharing<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::SoftSharing>();
    let (parameters, mut gradients, mut partials) =
        (a.numbers("parameters"), a.numbers_mut("gradients"), a.numbers_mut("partials"));
    for pair in &a.table::<SharedPair>("shared_pairs")[..p.pairs as usize] {
        for group in 0..(pair.count as usize).div_ceil(GROUP) {
            partials[pair.partials as usize + group] = T::of(0.0);
        }
        for e in 0..pair.count as usize {
            let (i, j) = (pair.first as usize + e, pair.second as usize + e);
            let difference = parameters[i] - parameters[j];
            partials[pair.partials as usize + e / GROUP] += T::of(0.5) * difference * difference;
            if p.gradient == 1 {
                gradients[i] += T::from(pair.strength) * difference;
                gradients[j] -= T::from(pair.strength) * difference;
                for (place, flag) in [(i, pair.flag_first), (j, pair.flag_second)] {
                    if !gradients[place].value().is_finite() {
                        a.raise(flag);
                    }
                }
            }
        }
    }
}
