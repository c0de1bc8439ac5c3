//! Several times of one thing: the median, and how far they lie apart.

use serde::Serialize;

/// Runs that the median is taken of.
pub const REPEATS: usize = 5;

/// Smallest, median and largest of the runs, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// Smallest.
    pub min: f64,
    /// Median.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Times {
    /// The times of some samples, in the unit of the samples.
    pub(crate) fn of(mut samples: Vec<f64>) -> Times {
        samples.sort_by(f64::total_cmp);
        Times {
            min: samples[0],
            median: samples[samples.len() / 2],
            max: samples[samples.len() - 1],
        }
    }
}
