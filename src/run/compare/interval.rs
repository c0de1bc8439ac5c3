//! How sure the difference of two ways of training is.
//!
//! The difference of a task is Δ = 100 (m − b) / b percent, with the sign turned where lower values
//! are better (Maninis, Radosavovic and Kokkinos, "Attentive single-tasking of multiple tasks",
//! CVPR 2019, equation 4): m and b are means over the seeds. Its interval is the percentile
//! bootstrap (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapter 13) over rows
//! and seeds, paired: in each resampling both ways have the same rows, and the same seeds. Few
//! seeds make such an interval too narrow; Student's interval over the seeds stands beside it.

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::sample::Sample;
use crate::rng::{Purpose, below};
use crate::run::metrics;

/// Share of the resamplings that lie in an interval.
const CONFIDENCE: f64 = 0.95;
/// Most resamplings.
pub const MOST: usize = 2000;
/// Fewest resamplings.
const FEWEST: usize = 200;
/// Rows, over all samples, that may be measured for all resamplings together.
const WORK: usize = 400_000_000;
/// Share of the resamplings in which a difference must be defined.
const DEFINED: f64 = 0.9;

/// The samples of one way of training: for each seed those of all tasks.
pub type Samples = Vec<Vec<Sample>>;

/// A difference in percent; positive is better.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Difference {
    /// The difference; `None` where a metric is not defined, or that of the base is 0.
    pub percent: Option<f64>,
    /// The 95 % interval over rows and seeds; `None` where too few resamplings define it.
    pub interval: Option<[f64; 2]>,
    /// Student's 95 % interval over the seeds, by the differences of each; `None` with one seed.
    pub over_seeds: Option<[f64; 2]>,
}

impl Difference {
    /// Whether both intervals lie above 0 (1), both below (-1), or neither (0). With one seed there
    /// is no interval over seeds, and nothing is said.
    pub fn sign(&self) -> i8 {
        match (self.interval, self.over_seeds) {
            (Some([rows, _]), Some([seeds, _])) if rows > 0.0 && seeds > 0.0 => 1,
            (Some([_, rows]), Some([_, seeds])) if rows < 0.0 && seeds < 0.0 => -1,
            _ => 0,
        }
    }
}

/// What a comparison of two ways of training has found.
#[derive(Clone, Debug)]
pub struct Compared {
    /// The difference of each task.
    pub tasks: Vec<Difference>,
    /// The mean difference over the tasks.
    pub mean: Difference,
    /// Number of resamplings.
    pub resamplings: usize,
}

/// Compares a way of training with another one, `base`. `higher` says of each task whether higher
/// values are better; `units` is the number of rows of the part, or of its sentences where rows are
/// tokens; `seed` keys the resampling. The samples of both are of the same tasks and seeds, in the
/// same order.
pub fn compare(
    base: &Samples,
    other: &Samples,
    higher: &[bool],
    units: usize,
    seed: u64,
) -> Compared {
    let (seeds, tasks) = (base.len().min(other.len()), higher.len());
    let each = |counts: Option<&[f64]>, at: usize| -> Vec<[Option<f64>; 2]> {
        let of = |task: usize| [&base[at][task], &other[at][task]].map(|s| s.value(counts));
        (0..tasks).map(of).collect()
    };
    let whole: Vec<Vec<[Option<f64>; 2]>> = (0..seeds).map(|at| each(None, at)).collect();
    let all: Vec<usize> = (0..seeds).collect();
    let resamplings = resamplings(units, 2 * seeds * tasks);
    let drawn = |number: usize| -> Vec<Option<f64>> {
        let draw = |n: usize, index: usize| {
            below(n as u64, seed, Purpose::Resample, number as u64, index as u64) as usize
        };
        let mut counts = vec![0.0; units];
        (0..units).for_each(|index| counts[draw(units, index)] += 1.0);
        let chosen: Vec<usize> = (0..seeds).map(|at| draw(seeds, units + at)).collect();
        let mut values = vec![Vec::new(); seeds];
        for at in &chosen {
            if values[*at].is_empty() {
                values[*at] = each(Some(&counts), *at);
            }
        }
        differences(&values, &chosen, higher)
    };
    let drawn: Vec<Vec<Option<f64>>> = (0..resamplings).into_par_iter().map(drawn).collect();
    let of_seed: Vec<Vec<Option<f64>>> =
        (0..seeds).map(|at| differences(&whole, &[at], higher)).collect();
    let percent = differences(&whole, &all, higher);
    let difference = |at: usize| Difference {
        percent: percent[at],
        interval: percentiles(drawn.iter().map(|differences| differences[at]).collect()),
        over_seeds: students(
            &of_seed.iter().map(|differences| differences[at]).collect::<Vec<_>>(),
        ),
    };
    Compared { tasks: (0..tasks).map(difference).collect(), mean: difference(tasks), resamplings }
}

/// Number of resamplings that is affordable.
fn resamplings(rows: usize, samples: usize) -> usize {
    (WORK / (rows * samples).max(1)).clamp(FEWEST, MOST)
}

/// The difference of each task over these seeds, and at the end their mean over the tasks.
/// `values` has [base, other] per seed and task.
fn differences(
    values: &[Vec<[Option<f64>; 2]>],
    seeds: &[usize],
    higher: &[bool],
) -> Vec<Option<f64>> {
    let of_task = |(task, higher): (usize, &bool)| {
        let mean = |which: usize| {
            let sum: Option<f64> = seeds.iter().map(|at| values[*at][task][which]).sum();
            sum.map(|sum| sum / seeds.len() as f64)
        };
        let (base, other) = (mean(0)?, mean(1)?);
        let sign = if *higher { 100.0 } else { -100.0 };
        // Without a negative zero.
        Some(sign * (other - base) / base + 0.0).filter(|percent| percent.is_finite())
    };
    let mut all: Vec<Option<f64>> = higher.iter().enumerate().map(of_task).collect();
    let mean = metrics::mean(&all).filter(|_| all.iter().all(Option::is_some));
    all.push(mean);
    all
}

/// The interval between two percentiles, interpolated linearly; `None` where fewer than
/// [`DEFINED`] of the values are defined.
fn percentiles(values: Vec<Option<f64>>) -> Option<[f64; 2]> {
    let mut known: Vec<f64> = values.iter().flatten().copied().collect();
    if (known.len() as f64) < DEFINED * values.len() as f64 {
        return None;
    }
    known.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = share * (known.len().checked_sub(1)?) as f64;
        let (below, part) = (place as usize, place.fract());
        let above = known[(below + 1).min(known.len() - 1)];
        Some(known[below] + part * (above - known[below]))
    };
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some([at(tail)?, at(1.0 - tail)?])
}

/// Student's interval of the mean of these numbers (Student, 1908); `None` for fewer than two, or
/// where one is not defined.
pub fn students(values: &[Option<f64>]) -> Option<[f64; 2]> {
    let known: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
    let n = known.len() as f64;
    if n < 2.0 {
        return None;
    }
    let mean = known.iter().sum::<f64>() / n;
    let variance = known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let quantile = StudentsT::new(0.0, 1.0, n - 1.0).ok()?.inverse_cdf((1.0 + CONFIDENCE) / 2.0);
    let half = quantile * (variance / n).sqrt();
    Some([mean - half, mean + half])
}
