//! The times of repeated runs: their median and their range.

use serde::Serialize;

/// The number of runs that a median is taken over.
pub const REPEATS: usize = 5;

/// The smallest, the median and the largest time of some runs, in milliseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Times {
    /// The smallest time.
    pub min: f64,
    /// The median.
    pub median: f64,
    /// The largest time.
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
