//! Sobol points, shifted by the seed.
//!
//! The sequence is that of Sobol (1967) with the direction numbers of Joe and Kuo (2008), in the
//! order of the Gray code (Antonov and Saleev, 1979). Its first point, all zeros, is left out. A
//! random shift modulo 1 makes the points those of a seed (Cranley and Patterson, "Randomization of
//! number theoretic methods for multiple integration", 1976).

use super::draw::{Draw, Stream};
use super::joe_kuo::DIRECTIONS;

/// Number of dimensions that have direction numbers. A point of more dimensions has plain random
/// coordinates in the rest.
pub const DIMENSIONS: usize = DIRECTIONS.len() + 1;
/// Bits of a coordinate; the points begin again after 2^32.
const BITS: usize = 32;

/// Point n of the sequence as it is, of at most [`DIMENSIONS`] coordinates; point 0 is all zeros.
pub fn plain(n: u64, dimensions: usize) -> Vec<f64> {
    (0..dimensions.min(DIMENSIONS)).map(|dimension| coordinate(n, dimension)).collect()
}

/// Point n of the seed; the all-zeros point is left out.
pub fn point(seed: u64, n: u64, dimensions: usize) -> Vec<f64> {
    let mut shift = Draw::new(seed, Stream::Shift);
    let shifted = |u: f64| {
        let sum = u + shift.uniform();
        if sum < 1.0 { sum } else { sum - 1.0 }
    };
    let mut point: Vec<f64> =
        plain(n.wrapping_add(1), dimensions).into_iter().map(shifted).collect();
    let mut beyond = Draw::new(seed, Stream::Beyond(n));
    point.resize_with(dimensions, || beyond.uniform());
    point
}

/// A coordinate of point n: the sum modulo 2 of the directions at the ones of its Gray code.
fn coordinate(n: u64, dimension: usize) -> f64 {
    let gray = n ^ (n >> 1);
    let ones =
        directions(dimension).into_iter().enumerate().filter(|(bit, _)| gray >> bit & 1 == 1);
    let sum = ones.fold(0u32, |sum, (_, direction)| sum ^ direction);
    f64::from(sum) / 2f64.powi(BITS as i32)
}

/// The directions of a dimension, the first one for the lowest bit (Joe and Kuo 2008, equation 2).
fn directions(dimension: usize) -> Vec<u32> {
    let high = |k: usize, m: u32| m << (BITS - 1 - k);
    let Some((inner, first)) = dimension.checked_sub(1).and_then(|at| DIRECTIONS.get(at)) else {
        return (0..BITS).map(|k| high(k, 1)).collect();
    };
    let degree = first.len();
    let mut all: Vec<u32> = first.iter().enumerate().map(|(k, m)| high(k, *m)).collect();
    for k in degree..BITS {
        let before = |back: usize| all.get(k.wrapping_sub(back)).copied().unwrap_or(0);
        let inner_sum = (1..degree)
            .filter(|back| inner >> (degree - 1 - back) & 1 == 1)
            .fold(0, |sum, back| sum ^ before(back));
        all.push(inner_sum ^ before(degree) ^ (before(degree) >> degree));
    }
    all
}
