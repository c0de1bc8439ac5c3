//! The gradients of the tasks apart: their products, their weighted sums, and GradDrop.

use crate::kernels::params::{self, Combination, NONE, PlaneTerm, Region, RowSource, Run};
use crate::reference::Arguments;
use crate::reference::matrix::Matrix;
use crate::reference::parts::{COLUMNS, ROWS, cut, tiles};
use crate::reference::real::Real;
use crate::reference::sums::dot;
use crate::reference::sums::sum;
use crate::reference::twins::dense_forward::hash;
use crate::reference::widest::widest;

/// Pairs of blocks of four tasks, (0, 0), (0, 1), …, (1, 1), …
fn pairs(tasks: usize) -> Vec<(usize, usize)> {
    let blocks = tasks.div_ceil(4);
    (0..blocks).flat_map(|a| (a..blocks).map(move |b| (a, b))).collect()
}

pub(in crate::reference::twins) fn task_products<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::TaskProducts>();
    let (regions, places) = (a.table::<Region>("regions"), a.integers("places"));
    let (planes, second) = (a.numbers("planes"), a.numbers("second_moment"));
    let others = a.numbers("others");
    let (places, planes, second) = (&places[..], &planes[..], &second[..]);
    let others = if p.apart == 0 { planes } else { &others[..] };
    let mut products = a.numbers_mut("products");
    let (tasks, slices) = (p.tasks as usize, p.slices as usize);
    let (metric, pairs) = (a.constant("METRIC"), pairs(tasks));
    let regions = &regions[p.first_region as usize..][..p.regions as usize];
    let correction = T::from(a.step().root_correction);
    let count = regions.len() * slices * pairs.len();
    let parts = products[p.products as usize..].chunks_mut(16).take(count).enumerate();
    a.run(parts.collect(), |(part, cells)| {
        let (pair, slice) = (part % pairs.len(), part / pairs.len() % slices);
        let region = regions[part / pairs.len() / slices];
        let length = region.width as usize * if region.by_row == 1 { p.rows as usize } else { 1 };
        let place = |task: usize, list: u32| {
            let place = (task < tasks).then(|| places[(region.first + list) as usize + task]);
            place.filter(|place| *place != NONE).map(|place| place as usize)
        };
        for (cell, to) in cells.iter_mut().enumerate() {
            let (i, j) = (4 * pairs[pair].0 + cell / 4, 4 * pairs[pair].1 + cell % 4);
            let (Some(own), Some(other)) = (place(i, 0), place(j, p.apart)) else {
                *to = T::of(0.0);
                continue;
            };
            // A slice has every `slices`-th run of 64 quads.
            let runs = (0..length).step_by(256).skip(slice).step_by(slices);
            let sums = runs.map(|first| {
                let count = 256.min(length - first);
                let x = &planes[own + first..][..count];
                let y = &others[other + first..][..count];
                if metric == 0 {
                    return dot(x, y);
                }
                let divided = x.iter().zip(first..).map(|(x, e)| match metric {
                    1 => {
                        let v = second[region.parameter as usize + e];
                        *x / (v.sqrt() * correction + T::from(p.eps))
                    }
                    _ => *x / (second[own + e] + T::from(p.eps)).sqrt(),
                });
                let terms = divided.zip(y).map(|(x, y)| (x * *y).wide());
                terms.fold(T::Wide::of(0.0), |sum, term| sum + term)
            });
            *to = T::narrow(sums.fold(T::Wide::of(0.0), |all, sum| all + sum));
        }
        None
    });
}

pub(in crate::reference::twins) fn row_products<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::RowProducts>();
    let (x, sources) = (a.numbers("x"), a.table::<RowSource>("sources"));
    let (mut products, rows) = (a.numbers_mut("products"), p.rows as usize);
    let (x, sources) = (&x[..], &sources[p.first as usize..][..a.dispatch.grid[2] as usize]);
    let run = |source: &RowSource| source.products as usize..source.products as usize + rows * rows;
    let blocks = cut(&mut products, sources.iter().map(run).collect());
    let parts = sources
        .iter()
        .zip(blocks)
        .flat_map(|(source, block)| tiles(block, rows).into_iter().map(move |tile| (source, tile)));
    a.run(parts.collect(), |(source, tile)| {
        let (inputs, columns) = (source.inputs as usize, tile.columns());
        let mut sums = [T::of(0.0); ROWS * COLUMNS];
        let sums = &mut sums[..tile.rows.len() * columns];
        let x = Matrix::by_rows(x, source.x as usize, inputs);
        let other = x.transposed().from(0, tile.column);
        T::product(x.from(tile.row, 0), other, inputs, sums, columns);
        for (row, sums) in tile.rows.into_iter().zip(sums.chunks(columns)) {
            row.iter_mut().zip(sums).for_each(|(to, sum)| *to = T::of(1.0) + *sum);
        }
        None
    });
}

pub(in crate::reference::twins) fn task_gramian<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::TaskGramian>();
    let (products, mut gramian) = (a.numbers("products"), a.numbers_mut("gramian"));
    let (k, parts) = (p.tasks as usize, (p.regions * p.slices) as usize);
    let pairs = pairs(k);
    for matrix in 0..a.dispatch.grid[0] as usize {
        for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
            let (low, high) = (i.min(j), i.max(j));
            let pair = pairs.iter().position(|pair| *pair == (low / 4, high / 4)).unwrap_or(0);
            let cell = 16 * pair + 4 * (low % 4) + high % 4;
            let at = |part: usize| p.products as usize + 16 * pairs.len() * part + cell;
            let sum = sum((matrix * parts..(matrix + 1) * parts).map(|part| products[at(part)]));
            let place = p.gramian as usize + matrix * k * k + i * k + j;
            gramian[place] = if p.accumulate == 1 { sum + gramian[place] } else { sum };
        }
    }
    if p.scaled == NONE {
        return;
    }
    let factor = |task: usize| {
        let square = gramian[p.gramian as usize + task * (k + 1)];
        if square.value().is_nan() || square.value() <= 0.0 {
            return T::of(0.0);
        }
        let by_norm = if p.normalize & 1 == 1 { square.sqrt() } else { T::of(1.0) };
        let by_loss =
            if p.normalize & 2 == 2 { gramian[p.losses as usize + task] } else { T::of(1.0) };
        T::of(1.0) / by_norm / by_loss
    };
    let factors: Vec<T> = (0..k).map(factor).collect();
    for (i, j) in (0..k).flat_map(|i| (0..k).map(move |j| (i, j))) {
        gramian[p.scaled as usize + i * k + j] =
            gramian[p.gramian as usize + i * k + j] * (factors[i] * factors[j]);
    }
    gramian[p.scaled as usize + k * k..][..k].copy_from_slice(&factors);
}

pub(in crate::reference::twins) fn task_losses<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::TaskLosses>();
    let (partials, mut gramian) = (a.numbers("partials"), a.numbers_mut("gramian"));
    for task in 0..a.dispatch.grid[0] as usize {
        let rows = &partials[(p.loss as usize + task * p.capacity as usize)..][..p.rows as usize];
        let loss = sum(rows.iter().copied());
        let place = p.losses as usize + task;
        gramian[place] = if p.accumulate == 1 { loss + gramian[place] } else { loss };
    }
}

/// The combinations of a group, each with its number and its terms.
fn combinations<T: Real>(
    a: &Arguments<T>,
    first: u32,
    count: u32,
) -> Vec<(u32, Combination, Vec<PlaneTerm>)> {
    let (table, terms) =
        (a.table::<Combination>("combinations"), a.table::<PlaneTerm>("plane_terms"));
    let of = |number: u32| {
        let node = table[number as usize];
        (number, node, terms[node.first_term as usize..][..node.terms as usize].to_vec())
    };
    (first..first + count).map(of).collect()
}

pub(in crate::reference::twins) fn combine_deltas<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::CombineDeltas>();
    let (slope, partials) = (a.numbers("slope"), a.numbers("partials"));
    let mut delta = a.numbers_mut("delta");
    for (_, node, terms) in combinations(a, p.first, p.combinations) {
        let weights = terms.iter().map(|term| match term.weight {
            NONE => None,
            task => Some(partials[(p.weights + task) as usize]),
        });
        let weights: Vec<Option<T>> = weights.collect();
        let places: Vec<usize> = terms.iter().map(|term| term.place as usize).collect();
        let slopes = (node.slope != NONE).then(|| &slope[node.slope as usize..]);
        let (to, count) = (node.delta as usize, (p.rows * node.width) as usize);
        combine(&places, &weights, slopes, (to, count), &mut delta);
    }
}

widest! {
    /// Weighted sums of runs of a buffer, times their slopes, in the same buffer. A run without a
    /// weight counts once. `to`: the first place and the number of sums.
    fn combine<T: Real>(
        places: &[usize],
        weights: &[Option<T>],
        slopes: Option<&[T]>,
        to: (usize, usize),
        buffer: &mut [T],
    ) {
        for first in (0..to.1).step_by(RUN) {
            let mut sums = [T::of(0.0); RUN];
            let sums = &mut sums[..RUN.min(to.1 - first)];
            for (place, weight) in places.iter().zip(weights) {
                let values = sums.iter_mut().zip(&buffer[place + first..]);
                match *weight {
                    None => values.for_each(|(sum, value)| *sum += *value),
                    Some(weight) => values.for_each(|(sum, value)| *sum += weight * *value),
                }
            }
            if let Some(slopes) = slopes {
                sums.iter_mut().zip(&slopes[first..]).for_each(|(sum, slope)| *sum *= *slope);
            }
            buffer[to.0 + first..][..sums.len()].copy_from_slice(sums);
        }
    }
}

/// Sums that are made side by side.
const RUN: usize = 256;

/// The runs of a dispatch.
fn runs<T: Real>(a: &Arguments<T>, first: u32, count: u32) -> Vec<Run> {
    a.table::<Run>("runs")[first as usize..][..count as usize].to_vec()
}

pub(in crate::reference::twins) fn combine_gradients<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::CombineGradients>();
    let (by_task, partials) = (a.numbers("task_gradients"), a.numbers("partials"));
    let mut gradients = a.numbers_mut("gradients");
    for run in runs(a, p.first, p.runs) {
        for i in 0..run.len {
            let at = (run.parameter + i) as usize;
            let before = if a.constant("ACCUMULATE") == 1 { gradients[at] } else { T::of(0.0) };
            let sum = (0..p.tasks).fold(before, |sum, task| {
                let gradient = by_task[(task * p.stride + run.place + i) as usize];
                sum + partials[(p.weights + task) as usize] * gradient
            });
            if !sum.value().is_finite() {
                a.raise(p.flag);
            }
            gradients[at] = sum;
        }
    }
}

/// The random number of an element in [0, 1).
fn drawn<T: Real>(a: &Arguments<T>, element: u32, number: u32) -> f64 {
    let step = a.step();
    f64::from(hash([step.key_low, step.key_high, element, number]) >> 8) / f64::from(1 << 24)
}

/// Whether the positive ones of these gradients are kept (equation 1 of the paper).
fn keeps_positive<T: Real>(gradients: &[T], drawn: f64) -> bool {
    let sum: f64 = gradients.iter().map(|g| g.value()).sum();
    let size: f64 = gradients.iter().map(|g| g.value().abs()).sum();
    sum + size > 2.0 * size * drawn
}

/// A gradient, or the part of it that leaks.
fn kept<T: Real>(gradient: T, positive: bool, leak: f32) -> T {
    match (gradient.value() > 0.0) == positive {
        true => gradient,
        false => T::from(leak) * gradient,
    }
}

pub(in crate::reference::twins) fn drop_deltas<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DropDeltas>();
    let (slope, mut delta) = (a.numbers("slope"), a.numbers_mut("delta"));
    for (number, node, terms) in combinations(a, p.first, p.combinations) {
        for i in 0..(p.rows * node.width) as usize {
            let of_tasks: Vec<T> = terms
                .iter()
                .filter(|term| term.weight != NONE)
                .map(|term| delta[term.place as usize + i])
                .collect();
            let element = p.chunk_first * node.width + i as u32;
            let positive = keeps_positive(&of_tasks, drawn(a, element, 0x8000_0000 | number));
            let mut sum = T::of(0.0);
            for term in &terms {
                let value = delta[term.place as usize + i];
                sum += if term.weight == NONE { value } else { kept(value, positive, p.leak) };
            }
            if node.slope != NONE {
                sum *= slope[node.slope as usize + i];
            }
            delta[node.delta as usize + i] = sum;
        }
    }
}

pub(in crate::reference::twins) fn drop_gradients<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DropGradients>();
    let (by_task, mut gradients) = (a.numbers("task_gradients"), a.numbers_mut("gradients"));
    for run in runs(a, p.first, p.runs) {
        for i in 0..run.len {
            let of_tasks: Vec<T> = (0..p.tasks)
                .map(|task| by_task[(task * p.stride + run.place + i) as usize])
                .collect();
            let positive = keeps_positive(&of_tasks, drawn(a, run.parameter + i, 0xc000_0000));
            let at = (run.parameter + i) as usize;
            let before = if a.constant("ACCUMULATE") == 1 { gradients[at] } else { T::of(0.0) };
            let add = |sum: T, value: &T| sum + kept(*value, positive, p.leak);
            let sum = of_tasks.iter().fold(before, add);
            if !sum.value().is_finite() {
                a.raise(p.flag);
            }
            gradients[at] = sum;
        }
    }
}

pub(in crate::reference::twins) fn gradient_memory<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::GradientMemory>();
    let (by_task, gramian) = (a.numbers("task_gradients"), a.numbers("gramian"));
    let (memory, mut next) = (a.numbers("memory"), a.numbers_mut("next_memory"));
    let number = T::of(f64::from(a.step().number));
    let keep = T::from(p.beta) * (-T::from(p.power) * number.ln()).exp();
    for task in 0..a.dispatch.grid[1] {
        let loss = gramian[(p.losses + task) as usize];
        let divisor = if loss.value() > 1e-8 { loss } else { T::of(1e-8) };
        for i in (task * p.stride) as usize..((task + 1) * p.stride) as usize {
            next[i] = if a.constant("SQUARES") == 1 {
                memory[i] + by_task[i] * by_task[i]
            } else if loss.value() > 0.0 {
                keep * memory[i] + (T::of(1.0) - keep) * (by_task[i] / divisor)
            } else {
                memory[i]
            };
        }
    }
}

pub(in crate::reference::twins) fn parameter_change<T: Real>(a: &Arguments<T>) {
    let (p, is_after) = (a.params::<params::ParameterChange>(), a.constant("AFTER") == 1);
    let (parameters, mut by_task) = (a.numbers("parameters"), a.numbers_mut("task_gradients"));
    for run in runs(a, p.first, p.runs) {
        for i in 0..run.len {
            let (at, value) =
                ((p.change + run.place + i) as usize, parameters[(run.parameter + i) as usize]);
            by_task[at] = if is_after { value - by_task[at] } else { value };
        }
    }
}

pub(in crate::reference::twins) fn copy_numbers<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::CopyNumbers>();
    if p.latched == 1 && a.integers("flags")[0] != NONE {
        return;
    }
    let (source, mut target) = (a.numbers("source"), a.numbers_mut("copied"));
    for i in 0..p.count as usize {
        target[p.target_first as usize + i] = source[p.first as usize + i];
    }
}
