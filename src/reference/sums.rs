//! Sums of many terms, in the wider type of a number.

use super::real::Real;
use super::widest::widest;

/// The sum of terms, from the first one on.
#[inline(always)]
pub(crate) fn sum<T: Real>(terms: impl Iterator<Item = T>) -> T {
    T::narrow(terms.fold(T::Wide::of(0.0), |sum, term| sum + term.wide()))
}

/// Sums side by side of [`dot`].
const LANES: usize = 16;

widest! {
    /// The sum of the products of two runs of equal length, in [`LANES`] sums side by side.
    pub fn dot<T: Real>(a: &[T], b: &[T]) -> T::Wide {
        let mut sums = [T::Wide::of(0.0); LANES];
        let (whole, rest) = a.as_chunks::<LANES>();
        for (a, b) in whole.iter().zip(b.as_chunks::<LANES>().0) {
            for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
                *sum += a.wide() * b.wide();
            }
        }
        let rest = rest.iter().zip(&b[LANES * whole.len()..]).map(|(a, b)| a.wide() * b.wide());
        rest.chain(sums).fold(T::Wide::of(0.0), |sum, term| sum + term)
    }
}
