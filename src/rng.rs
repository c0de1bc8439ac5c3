//! The random generator. It is keyed by counters: a value is a function of (seed, purpose, stream,
//! index) and of nothing else.
//!
//! There is no state to save or to advance, so values can be computed in any order, on any thread
//! and after any interruption. The mixing function is the finaliser of SplitMix64 (Steele, Lea and
//! Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), applied once per part of
//! the key.

/// The purpose of a random value. Purposes never share values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The order of the rows in an epoch; stream = epoch.
    Order = 1,
    /// Initial weights; stream = parameter block.
    Init = 2,
    /// Dropout; stream = step. The device derives its values from such a key.
    Dropout = 3,
    /// The split of a table into parts; stream = what is drawn, index = row or group.
    Split = 4,
    /// The partner images of an overlay; stream = part.
    Overlay = 5,
    /// Synthetic data for benchmarks and self-tests.
    Synthetic = 6,
    /// The order of the rows in a window; stream = epoch and window.
    Window = 7,
    /// The rows of a permuted column; stream = column and repeat, or 0 for the rows that are looked
    /// at.
    Importance = 8,
    /// The rows and seeds of a resampling; stream = its number.
    Resample = 9,
    /// The order of a source's rows, and their places in an epoch; stream = epoch and source.
    Source = 10,
    /// The settings that a search tries; stream = what is drawn.
    Search = 11,
}

/// The finaliser of SplitMix64.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 64 random bits.
pub fn bits(seed: u64, purpose: Purpose, stream: u64, index: u64) -> u64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |h: u64, part: u64| mix(h.wrapping_add(GOLDEN) ^ mix(part.wrapping_add(GOLDEN)));
    step(step(step(mix(seed.wrapping_add(GOLDEN)), purpose as u64), stream), index)
}

/// A uniform number in [0, 1), with 53 random bits.
pub fn uniform(seed: u64, purpose: Purpose, stream: u64, index: u64) -> f64 {
    (bits(seed, purpose, stream, index) >> 11) as f64 / (1u64 << 53) as f64
}

/// A uniform whole number in 0..n (by multiplication and shift; the bias is below n / 2^64).
pub fn below(n: u64, seed: u64, purpose: Purpose, stream: u64, index: u64) -> u64 {
    ((u128::from(bits(seed, purpose, stream, index)) * u128::from(n)) >> 64) as u64
}

/// A standard normal number (Box and Muller, 1958).
pub fn normal(seed: u64, purpose: Purpose, stream: u64, index: u64) -> f64 {
    let u = 1.0 - uniform(seed, purpose, stream, 2 * index);
    let v = uniform(seed, purpose, stream, 2 * index + 1);
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// A permutation of 0..n (Fisher and Yates).
pub fn permutation(n: usize, seed: u64, purpose: Purpose, stream: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..n as u32).collect();
    for i in (1..n).rev() {
        order.swap(i, below(i as u64 + 1, seed, purpose, stream, i as u64) as usize);
    }
    order
}
