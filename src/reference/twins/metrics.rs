//! `gradient_norm` and `reduce_metrics`: the numbers of a step.

use crate::kernels::params::{self, Metric, NONE, PER_ROW};
use crate::reference::Arguments;
use crate::reference::real::Real;
use crate::reference::sums::sum;

/// Partial sums of the squared gradient: runs of 64 elements go to the sums in turn.
pub(super) fn gradient_norm<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::GradientNorm>();
    let (gradients, mut partials) = (a.numbers("gradients"), a.numbers_mut("partials"));
    for group in 0..p.groups as usize {
        let own = gradients[..p.count as usize].chunks(64).skip(group).step_by(p.groups as usize);
        partials[p.partials as usize + group] = sum(own.flatten().map(|g| *g * *g));
    }
}

/// The metrics, each the sum of its partial sums, and the stamp: the number of the step.
pub(super) fn reduce_metrics<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::ReduceMetrics>(), a.step());
    let (partials, mut metrics) = (a.numbers("partials"), a.numbers_mut("metrics"));
    let count = a.dispatch.grid[0] as usize;
    let row = step.slot as usize * p.stride as usize;
    for (i, metric) in
        a.table::<Metric>("metric_table")[p.first as usize..][..count].iter().enumerate()
    {
        let terms = if metric.count == PER_ROW { p.rows } else { metric.count };
        let terms = &partials[metric.partials as usize..][..terms as usize];
        let mut value = sum(terms.iter().copied());
        if metric.mean == 1 {
            value *= T::from(step.inverse_rows);
        }
        let place = row + 1 + p.first as usize + i;
        if p.accumulate == 1 {
            value += metrics[place];
        }
        if metric.flag != NONE && !value.is_finite() {
            a.raise(metric.flag);
        }
        metrics[place] = value;
    }
    metrics[row] = T::of(f64::from(step.number & 0x00ff_ffff));
}

/// A sum over shards, kept or added to another one.
pub(super) fn sum_shards<T: Real>(a: &Arguments<T>) {
    let (p, slot) = (a.params::<params::SumShards>(), a.step().slot);
    let (source, mut sums) = (a.numbers("source"), a.numbers_mut("sums"));
    let from = (p.source_first + slot * p.source_stride) as usize;
    let to = (p.target_first + slot * p.target_stride) as usize;
    for i in 0..p.count as usize {
        let value = source[from + i];
        sums[to + i] = if p.add == 1 { sums[to + i] + value } else { value };
    }
}
