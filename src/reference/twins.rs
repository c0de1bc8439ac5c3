//! The twins: each kernel's formula once more, as a plain loop over plain indices, so that it can be laid beside the WGSL.
//!
//! They say the same and not how: no tiles, no trees, textbook forms where the kernel uses a stable one that is more than a shift.

use anyhow::{Result, bail};

use super::Arguments;
use super::real::Real;
use crate::kernels::params::{self, AgreeingPair, Dense, Destination, Head, Metric, NONE, PER_ROW, SharedPair};

/// A twin.
type Twin<T> = fn(&Arguments<T>);

fn table<T: Real>() -> [(&'static str, Twin<T>); 12] {
    [
        ("gather_rows", gather_rows),
        ("dense_forward", dense_forward),
        ("dense_backward_input", dense_backward_input),
        ("dense_backward_weight", dense_backward_weight),
        ("heads_cross_entropy", heads_cross_entropy),
        ("softmax_cross_entropy", softmax_cross_entropy),
        ("soft_sharing", soft_sharing),
        ("agreement", agreement),
        ("gradient_norm", gradient_norm),
        ("reduce_metrics", reduce_metrics),
        ("adam", adam),
        ("sgd", sgd),
    ]
}

/// Runs the twin of a kernel.
pub(super) fn run<T: Real>(kernel: &str, arguments: &Arguments<T>) -> Result<()> {
    let Some((_, twin)) = table::<T>().into_iter().find(|(name, _)| *name == kernel) else { bail!("kernel {kernel} has no twin") };
    twin(arguments);
    Ok(())
}

fn gather_rows<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::GatherRows>(), a.step());
    let (data, data_labels, order) = (a.words("data"), a.words("data_labels"), a.words("order"));
    let (mut inputs, mut labels) = (a.numbers_mut("inputs"), a.words_mut("labels"));
    for r in 0..p.rows {
        let place = p.chunk_first + r;
        let real = place < step.rows;
        let row = if real && p.shuffled == 1 { order[(step.first + place) as usize] } else { step.first + place };
        let here = real && row >= p.segment_first && row < p.segment_first + p.segment_rows;
        if !here && p.fill == 1 {
            continue;
        }
        for c in 0..p.width {
            let value = if here { feature(&p, &data, ((row - p.segment_first) * p.width + c) as usize) } else { T::of(0.0) };
            inputs[(p.target_x + r * p.width + c) as usize] = value;
        }
        for t in 0..p.tasks {
            let label = if here { data_labels[((row - p.segment_first) * p.tasks + t) as usize] } else { NONE };
            labels[(r * p.tasks + t) as usize] = label;
        }
    }
}

fn feature<T: Real>(p: &params::GatherRows, data: &[u32], index: usize) -> T {
    if p.bytes == 0 {
        return T::from(f32::from_bits(data[index]));
    }
    let byte = data[index / 4].to_le_bytes()[index % 4];
    T::of(f64::from(byte)) * T::from(p.scale)
}

/// (y, dy/dz)
fn activate<T: Real>(kind: u32, z: T) -> (T, T) {
    let one = T::of(1.0);
    match kind {
        0 => (if z > T::of(0.0) { z } else { T::of(0.0) * z }, z.step()),
        1 => {
            let y = z.tanh();
            (y, one - y * y)
        }
        2 => {
            let half = T::of(0.5);
            let area = half * (one + (z * T::of(std::f64::consts::FRAC_1_SQRT_2)).erf());
            let density = T::of(1.0 / std::f64::consts::TAU.sqrt()) * (-half * z * z).exp();
            (z * area, area + z * density)
        }
        3 => {
            let s = one / (one + (-z).exp());
            (z * s, s * (one + z * (one - s)))
        }
        _ => (z, one),
    }
}

/// The first word of pcg4d (Jarzynski and Olano, JCGT 2020).
fn hash(mut v: [u32; 4]) -> u32 {
    v = v.map(|x| x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    let round = |v: &mut [u32; 4]| {
        v[0] = v[0].wrapping_add(v[1].wrapping_mul(v[3]));
        v[1] = v[1].wrapping_add(v[2].wrapping_mul(v[0]));
        v[2] = v[2].wrapping_add(v[0].wrapping_mul(v[1]));
        v[3] = v[3].wrapping_add(v[1].wrapping_mul(v[2]));
    };
    round(&mut v);
    v = v.map(|x| x ^ (x >> 16));
    round(&mut v);
    v[0]
}

fn dense_forward<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::DenseForward>(), a.step());
    let (x, parameters, mut y) = (a.numbers("x"), a.numbers("parameters"), a.numbers_mut("y"));
    for layer in &a.table::<Dense>("layers")[p.first_layer as usize..][..p.layers as usize] {
        let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
        for r in 0..p.rows as usize {
            for o in 0..outputs {
                let mut z = T::of(0.0);
                for i in 0..inputs {
                    z += x[layer.x as usize + r * inputs + i] * parameters[layer.weight as usize + o * inputs + i];
                }
                z += parameters[layer.bias as usize + o];
                if !z.value().is_finite() {
                    a.raise(layer.z_flag);
                }
                let place = r * outputs + o;
                if layer.slope == NONE {
                    y[layer.y as usize + place] = z;
                    continue;
                }
                let (mut value, mut slope) = activate(a.constant("ACTIVATION"), z);
                if a.constant("DROPOUT") == 1 {
                    let h = hash([o as u32, p.chunk_first + r as u32, layer.layer ^ step.key_low, step.key_high]);
                    let factor = if h < layer.dropout_threshold { T::of(0.0) } else { T::from(layer.dropout_scale) };
                    (value, slope) = (value * factor, slope * factor);
                }
                y[layer.y as usize + place] = value;
                y[layer.slope as usize + place] = slope;
            }
        }
    }
}

fn dense_backward_input<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DenseBackwardInput>();
    let layers = a.table::<Dense>("layers");
    let (parameters, slope) = (a.numbers("parameters"), a.numbers("slope"));
    let (next_delta, logits_delta, mut delta) = (a.numbers("next_delta"), a.numbers("logits_delta"), a.numbers_mut("delta"));
    for d in &a.table::<Destination>("destinations")[p.first_destination as usize..][..p.destinations as usize] {
        let width = d.width as usize;
        for r in 0..p.rows as usize {
            for i in 0..width {
                let mut sum = T::of(0.0);
                for layer in &layers[d.first_source as usize..][..d.sources as usize] {
                    let from = if layer.delta_arena == 2 { &logits_delta } else { &next_delta };
                    let outputs = layer.outputs as usize;
                    for o in 0..outputs {
                        sum += from[layer.delta as usize + r * outputs + o] * parameters[layer.weight as usize + o * width + i];
                    }
                }
                delta[d.delta as usize + r * width + i] = sum * slope[d.slope as usize + r * width + i];
            }
        }
    }
}

fn dense_backward_weight<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::DenseBackwardWeight>();
    let activations = [a.numbers("even"), a.numbers("odd")];
    let deltas = [a.numbers("even_delta"), a.numbers("odd_delta"), a.numbers("logits_delta")];
    let mut gradients = a.numbers_mut("gradients");
    let mut store = |place: usize, sum: T, flag: u32| {
        let value = if p.accumulate == 1 { gradients[place] + sum } else { sum };
        if !value.value().is_finite() {
            a.raise(flag);
        }
        gradients[place] = value;
    };
    for layer in &a.table::<Dense>("layers")[p.first_layer as usize..][..p.layers as usize] {
        let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
        let x = |r: usize, i: usize| activations[layer.x_odd as usize][layer.x as usize + r * inputs + i];
        let delta = |r: usize, o: usize| deltas[layer.delta_arena as usize][layer.delta as usize + r * outputs + o];
        for o in 0..outputs {
            for i in 0..inputs {
                let sum = (0..p.rows as usize).fold(T::of(0.0), |sum, r| sum + delta(r, o) * x(r, i));
                store(layer.weight as usize + o * inputs + i, sum, layer.gradient_flag);
            }
            let sum = (0..p.rows as usize).fold(T::of(0.0), |sum, r| sum + delta(r, o));
            store(layer.bias as usize + o, sum, layer.gradient_flag);
        }
    }
}

/// (largest logit, Σ e^(z − largest)) of one row of a head, and where the largest is.
fn normaliser<T: Real>(logits: &[T]) -> (usize, T) {
    let best = (1..logits.len()).fold(0, |best, c| if logits[c] > logits[best] { c } else { best });
    (best, logits.iter().fold(T::of(0.0), |sum, z| sum + (*z - logits[best]).exp()))
}

fn heads_cross_entropy<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::HeadsCrossEntropy>();
    let mut all = a.numbers("logits").clone();
    let group = &a.table::<Dense>("layers")[p.first_layer as usize..][..p.layers as usize];
    for layer in group {
        output_layer(a, layer, p.rows as usize, &mut all);
        if a.constant("ALL_LOGITS") == 1 || a.table::<Head>("heads")[layer.task as usize].coupled == 1 {
            let run = layer.y as usize..(layer.y + p.rows * layer.outputs) as usize;
            a.numbers_mut("logits")[run.clone()].copy_from_slice(&all[run]);
        }
    }
    let (rows, tasks, loss, hits, capacity) = (p.rows, p.tasks, p.loss, p.hits, p.capacity);
    let p = params::SoftmaxCrossEntropy { rows, tasks, loss, hits, capacity };
    group.iter().for_each(|layer| cross_entropy(a, &p, layer.task as usize, &all));
}

fn output_layer<T: Real>(a: &Arguments<T>, layer: &Dense, rows: usize, logits: &mut [T]) {
    let (x, parameters) = (a.numbers("x"), a.numbers("parameters"));
    let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
    for (r, o) in (0..rows).flat_map(|r| (0..outputs).map(move |o| (r, o))) {
        let term = |i| x[layer.x as usize + r * inputs + i] * parameters[layer.weight as usize + o * inputs + i];
        let z = (0..inputs).fold(T::of(0.0), |sum, i| sum + term(i)) + parameters[layer.bias as usize + o];
        if !z.value().is_finite() {
            a.raise(layer.z_flag);
        }
        logits[layer.y as usize + r * outputs + o] = z;
    }
}

fn softmax_cross_entropy<T: Real>(a: &Arguments<T>) {
    let (p, logits) = (a.params::<params::SoftmaxCrossEntropy>(), a.numbers("logits"));
    (0..p.tasks as usize).for_each(|task| cross_entropy(a, &p, task, &logits));
}

fn cross_entropy<T: Real>(a: &Arguments<T>, p: &params::SoftmaxCrossEntropy, task: usize, logits: &[T]) {
    let (step, head, labels) = (a.step(), a.table::<Head>("heads")[task], a.words("labels"));
    let (mut logits_delta, mut partials) = (a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    for r in 0..p.rows as usize {
        let classes = head.classes as usize;
        let first = head.logits as usize + r * classes;
        let z = &logits[first..first + classes];
        let label = labels[r * p.tasks as usize + task] as usize;
        let (best, sum) = normaliser(z);
        let labelled = label < classes;
        for c in 0..classes {
            let probability = (z[c] - z[best]).exp() / sum;
            let target = T::of(if c == label { 1.0 } else { 0.0 });
            let scale = T::from(head.weight) * T::from(step.inverse_rows);
            logits_delta[first + c] = if labelled { scale * (probability - target) } else { T::of(0.0) };
        }
        let place = task * p.capacity as usize + r;
        partials[p.loss as usize + place] = if labelled { sum.ln() + (z[best] - z[label]) } else { T::of(0.0) };
        partials[p.hits as usize + place] = T::of(if label == best { 1.0 } else { 0.0 });
    }
}

fn soft_sharing<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::SoftSharing>();
    let (parameters, mut gradients, mut partials) = (a.numbers("parameters"), a.numbers_mut("gradients"), a.numbers_mut("partials"));
    for pair in &a.table::<SharedPair>("shared_pairs")[..p.pairs as usize] {
        for group in 0..(pair.count as usize).div_ceil(64) {
            partials[pair.partials as usize + group] = T::of(0.0);
        }
        for e in 0..pair.count as usize {
            let (i, j) = (pair.first as usize + e, pair.second as usize + e);
            let difference = parameters[i] - parameters[j];
            partials[pair.partials as usize + e / 64] += T::of(0.5) * difference * difference;
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

fn agreement<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::Agreement>(), a.step());
    let (logits, mut logits_delta, mut partials) = (a.numbers("logits"), a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    let log_probabilities = |first: usize, classes: usize| {
        let z = &logits[first..first + classes];
        let (best, sum) = normaliser(z);
        z.iter().map(|v| *v - z[best] - sum.ln()).collect::<Vec<T>>()
    };
    for pair in &a.table::<AgreeingPair>("agreeing_pairs")[..p.pairs as usize] {
        let classes = pair.classes as usize;
        for r in 0..p.rows as usize {
            let (first, second) = (pair.first as usize + r * classes, pair.second as usize + r * classes);
            let (ln_p, ln_q) = (log_probabilities(first, classes), log_probabilities(second, classes));
            let half_ln_ratio = |x: T, y: T| {
                let mean = T::of(0.5) * (x.exp() + y.exp());
                if x.exp() > T::of(0.0) { T::of(0.5) * (x - mean.ln()) } else { T::of(0.0) }
            };
            let g: Vec<T> = ln_p.iter().zip(&ln_q).map(|(x, y)| half_ln_ratio(*x, *y)).collect();
            let h: Vec<T> = ln_p.iter().zip(&ln_q).map(|(x, y)| half_ln_ratio(*y, *x)).collect();
            let mean = |ln: &[T], g: &[T]| ln.iter().zip(g).fold(T::of(0.0), |sum, (l, g)| sum + l.exp() * *g);
            let (mean_p, mean_q) = (mean(&ln_p, &g), mean(&ln_q, &h));
            let inside = p.chunk_first + (r as u32) < step.rows;
            partials[pair.partials as usize + r] = if inside { mean_p + mean_q } else { T::of(0.0) };
            if inside && p.gradient == 1 {
                let scale = T::from(pair.strength) * T::from(step.inverse_rows);
                for c in 0..classes {
                    logits_delta[first + c] += scale * ln_p[c].exp() * (g[c] - mean_p);
                    logits_delta[second + c] += scale * ln_q[c].exp() * (h[c] - mean_q);
                }
            }
        }
    }
}

fn gradient_norm<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::GradientNorm>();
    let (gradients, mut partials) = (a.numbers("gradients"), a.numbers_mut("partials"));
    for group in 0..p.groups as usize {
        partials[p.partials as usize + group] = T::of(0.0);
    }
    for i in 0..p.count as usize {
        partials[p.partials as usize + (i / 64) % p.groups as usize] += gradients[i] * gradients[i];
    }
}

fn reduce_metrics<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::ReduceMetrics>(), a.step());
    let (partials, mut metrics) = (a.numbers("partials"), a.numbers_mut("metrics"));
    let count = a.dispatch.grid[0] as usize;
    let row = step.slot as usize * p.stride as usize;
    for (i, metric) in a.table::<Metric>("metric_table")[p.first as usize..][..count].iter().enumerate() {
        let terms = if metric.count == PER_ROW { p.rows } else { metric.count };
        let terms = &partials[metric.partials as usize..][..terms as usize];
        let mut value = terms.iter().fold(T::of(0.0), |sum, term| sum + *term);
        if metric.mean == 1 {
            value *= T::from(step.inverse_rows);
        }
        let place = row + 1 + p.first as usize + i;
        if p.accumulate == 1 {
            value += metrics[place];
        }
        if metric.flag != NONE && !value.value().is_finite() {
            a.raise(metric.flag);
        }
        metrics[place] = value;
    }
    metrics[row] = T::of(f64::from(step.number & 0x00ff_ffff));
}

/// min(1, clip_norm / (norm + 1e-6)), as PyTorch's `clip_grad_norm_`.
fn clip_factor<T: Real>(a: &Arguments<T>, clip_norm: f32, place: u32) -> T {
    if clip_norm == 0.0 {
        return T::of(1.0);
    }
    let norm = a.numbers("metrics")[place as usize].sqrt();
    let factor = T::from(clip_norm) / (norm + T::of(1e-6));
    if factor < T::of(1.0) { factor } else { T::of(1.0) }
}

fn adam<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::Adam>(), a.step());
    if a.words("flags")[0] != NONE {
        return;
    }
    let clip = clip_factor(a, p.clip_norm, step.slot * p.stride + p.norm_metric);
    let (gradients, decay, mut parameters) = (a.numbers("gradients"), a.numbers("decay"), a.numbers_mut("parameters"));
    let (mut first_moment, mut second_moment) = (a.numbers_mut("first_moment"), a.numbers_mut("second_moment"));
    let of = |x: f32| T::from(x);
    for i in 0..p.count as usize {
        let mut theta = parameters[i];
        let mut g = gradients[i] * clip;
        if p.decoupled == 1 {
            theta -= of(step.learning_rate) * decay[i / 64] * theta;
        } else {
            g += decay[i / 64] * theta;
        }
        first_moment[i] = of(p.beta1) * first_moment[i] + of(p.one_minus_beta1) * g;
        second_moment[i] = of(p.beta2) * second_moment[i] + of(p.one_minus_beta2) * g * g;
        let denominator = second_moment[i].sqrt() * of(step.root_correction) + of(p.eps);
        parameters[i] = theta - of(step.step_size) * first_moment[i] / denominator;
    }
}

fn sgd<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::Sgd>(), a.step());
    if a.words("flags")[0] != NONE {
        return;
    }
    let clip = clip_factor(a, p.clip_norm, step.slot * p.stride + p.norm_metric);
    let (gradients, decay) = (a.numbers("gradients"), a.numbers("decay"));
    let (mut parameters, mut first_moment) = (a.numbers_mut("parameters"), a.numbers_mut("first_moment"));
    for i in 0..p.count as usize {
        let g = gradients[i] * clip + decay[i / 64] * parameters[i];
        let m = T::from(p.momentum) * first_moment[i] + g;
        first_moment[i] = m;
        let direction = if p.nesterov == 1 { g + T::from(p.momentum) * m } else { m };
        parameters[i] -= T::from(step.learning_rate) * direction;
    }
}
