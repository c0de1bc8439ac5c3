//! The twins: each kernel's formula once more, as a plain loop over plain indices, so that it can
//! be laid beside the WGSL.
//!
//! They say the same and not how: no tiles, no trees, textbook forms where the kernel uses a stable
//! one that is more than a shift.

use anyhow::{Result, bail};

use super::Arguments;
use super::real::Real;
use crate::kernels::params::{
    self, AgreeingPair, Dense, Destination, Embedding, Head, Metric, NONE, PER_ROW, SharedPair,
    Spread, loss, spread,
};

/// A twin.
type Twin<T> = fn(&Arguments<T>);

fn table<T: Real>() -> [(&'static str, Twin<T>); 17] {
    [
        ("gather_rows", gather_rows),
        ("dense_forward", dense_forward),
        ("dense_backward_input", dense_backward_input),
        ("dense_backward_weight", dense_backward_weight),
        ("heads_cross_entropy", heads_cross_entropy),
        ("gather_cells", gather_cells),
        ("link_cells", link_cells),
        ("embedding_backward", embedding_backward),
        ("label_sums", label_sums),
        ("softmax_cross_entropy", softmax_cross_entropy),
        ("pointwise_losses", pointwise_losses),
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
    let Some((_, twin)) = table::<T>().into_iter().find(|(name, _)| *name == kernel) else {
        bail!("kernel {kernel} has no twin")
    };
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
        let row = if real && p.shuffled == 1 {
            order[(step.first + place) as usize]
        } else {
            step.first + place
        };
        let here = real && row >= p.segment_first && row < p.segment_first + p.segment_rows;
        if !here && p.fill == 1 {
            continue;
        }
        for c in 0..p.width {
            let value = if here {
                feature(&p, &data, ((row - p.segment_first) * p.width + c) as usize)
            } else {
                T::of(0.0)
            };
            inputs[(p.target_x + r * p.width + c) as usize] = value;
        }
        for t in 0..p.tasks {
            let label = if here {
                data_labels[((row - p.segment_first) * p.tasks + t) as usize]
            } else {
                NONE
            };
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
        0 => (z * z.step(), z.step()),
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
                    z += x[layer.x as usize + r * inputs + i]
                        * parameters[layer.weight as usize + o * inputs + i];
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
                    let h = hash([
                        o as u32,
                        p.chunk_first + r as u32,
                        layer.layer ^ step.key_low,
                        step.key_high,
                    ]);
                    let factor = if h < layer.dropout_threshold {
                        T::of(0.0)
                    } else {
                        T::from(layer.dropout_scale)
                    };
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
    let (next_delta, logits_delta, mut delta) =
        (a.numbers("next_delta"), a.numbers("logits_delta"), a.numbers_mut("delta"));
    for d in &a.table::<Destination>("destinations")[p.first_destination as usize..]
        [..p.destinations as usize]
    {
        let width = d.width as usize;
        for r in 0..p.rows as usize {
            for i in 0..width {
                let mut sum = T::of(0.0);
                for layer in readers(&layers, d) {
                    let from = if layer.delta_arena == 2 { &logits_delta } else { &next_delta };
                    let outputs = layer.outputs as usize;
                    for o in 0..outputs {
                        sum += a.in_range(from[layer.delta as usize + r * outputs + o])
                            * parameters[layer.weight as usize + o * layer.inputs as usize + i];
                    }
                }
                let has_slope = a.constant("SLOPES") == 1;
                let slope =
                    if has_slope { slope[d.slope as usize + r * width + i] } else { T::of(1.0) };
                delta[d.delta as usize + r * width + i] = sum * slope;
            }
        }
    }
}

/// The layers that read a destination, each naming the next one.
fn readers<'l>(layers: &'l [Dense], of: &Destination) -> impl Iterator<Item = &'l Dense> {
    let at = |place: u32| layers.get(place as usize);
    std::iter::successors(at(of.first_source), move |layer| at(layer.next_reader))
        .take(of.sources as usize)
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
    let table = a.table::<Dense>("layers");
    let layers = &table[p.first_layer as usize..][..p.layers as usize];
    let first_tiles = layers.iter().map(|layer| layer.weight_tile).chain([p.tiles]);
    for (layer, end) in layers.iter().zip(first_tiles.skip(1)) {
        // A layer without tiles is not trained.
        if layer.weight_tile == end {
            continue;
        }
        let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
        let x = |r: usize, i: usize| {
            activations[layer.x_odd as usize][layer.x as usize + r * inputs + i]
        };
        let delta = |r: usize, o: usize| {
            deltas[layer.delta_arena as usize][layer.delta as usize + r * outputs + o]
        };
        for o in 0..outputs {
            for i in 0..inputs {
                let sum = (0..p.rows as usize)
                    .fold(T::of(0.0), |sum, r| sum + a.in_range(delta(r, o)) * x(r, i));
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
        if a.constant("ALL_LOGITS") == 1
            || a.table::<Head>("heads")[layer.task as usize].coupled == 1
        {
            let run = layer.y as usize..(layer.y + p.rows * layer.outputs) as usize;
            a.numbers_mut("logits")[run.clone()].copy_from_slice(&all[run]);
        }
    }
    let (rows, cells, weighted, loss, hits, capacity) =
        (p.rows, p.tasks, 0, p.loss, p.hits, p.capacity);
    let p = params::SoftmaxCrossEntropy { rows, cells, weighted, loss, hits, capacity };
    group.iter().for_each(|layer| cross_entropy(a, &p, layer.task as usize, &all));
}

fn output_layer<T: Real>(a: &Arguments<T>, layer: &Dense, rows: usize, logits: &mut [T]) {
    let (x, parameters) = (a.numbers("x"), a.numbers("parameters"));
    let (inputs, outputs) = (layer.inputs as usize, layer.outputs as usize);
    for (r, o) in (0..rows).flat_map(|r| (0..outputs).map(move |o| (r, o))) {
        let term = |i| {
            x[layer.x as usize + r * inputs + i]
                * parameters[layer.weight as usize + o * inputs + i]
        };
        let z = (0..inputs).fold(T::of(0.0), |sum, i| sum + term(i))
            + parameters[layer.bias as usize + o];
        if !z.value().is_finite() {
            a.raise(layer.z_flag);
        }
        logits[layer.y as usize + r * outputs + o] = z;
    }
}

fn softmax_cross_entropy<T: Real>(a: &Arguments<T>) {
    let (p, logits) = (a.params::<params::SoftmaxCrossEntropy>(), a.numbers("logits"));
    let heads = a.table::<Head>("heads");
    let of_classes = (0..heads.len()).filter(|task| heads[*task].kind == loss::MULTICLASS);
    of_classes.for_each(|task| cross_entropy(a, &p, task, &logits));
}

fn cross_entropy<T: Real>(
    a: &Arguments<T>,
    p: &params::SoftmaxCrossEntropy,
    task: usize,
    logits: &[T],
) {
    let (step, head, labels) = (a.step(), a.table::<Head>("heads")[task], a.words("labels"));
    let (mut logits_delta, mut partials) =
        (a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    let inverse = if head.inverse == NONE {
        T::from(step.inverse_rows)
    } else {
        partials[head.inverse as usize]
    };
    let classes = head.outputs as usize;
    let one = T::of(1.0);
    let weight = |class: usize| {
        if head.weights == NONE {
            one
        } else {
            a.numbers("class_weights")[head.weights as usize + class]
        }
    };
    for r in 0..p.rows as usize {
        let first = head.logits as usize + r * classes;
        let z = &logits[first..first + classes];
        let words = &labels[r * p.cells as usize..][..p.cells as usize];
        let label = words[head.cell as usize] as usize;
        let (best, sum) = normaliser(z);
        let place = task * p.capacity as usize + r;
        partials[p.hits as usize + place] = T::of(if label == best { 1.0 } else { 0.0 });
        if label >= classes {
            logits_delta[first..first + classes].fill(T::of(0.0));
            partials[p.loss as usize + place] = T::of(0.0);
            continue;
        }
        let norm = if p.weighted == 1 {
            T::from(f32::from_bits(words[words.len() - 1])) * inverse
        } else {
            inverse
        };
        let nll = |c: usize| sum.ln() + (z[best] - z[c]);
        let probability = |c: usize| (z[c] - z[best]).exp() / sum;
        let spread = T::from(head.smoothing) / T::of(classes as f64);
        let target = |c: usize| {
            let own =
                if c == label { (one - T::from(head.smoothing)) * weight(c) } else { T::of(0.0) };
            if head.smoothing > 0.0 { own + spread * weight(c) } else { own }
        };
        let total = (0..classes).fold(T::of(0.0), |total, c| {
            if head.smoothing > 0.0 || c == label { total + target(c) } else { total }
        });
        let plain = (0..classes)
            .filter(|c| head.smoothing > 0.0 || *c == label)
            .fold(T::of(0.0), |sum, c| sum + target(c) * nll(c));
        let others = (0..classes)
            .filter(|c| *c != label)
            .fold(T::of(0.0), |sum, c| sum + (z[c] - z[best]).exp());
        let q = others / sum;
        let (power, slope) = focal(head.gamma, q);
        let pull = probability(label) * slope * plain;
        for c in 0..classes {
            let off = if c == label { -q } else { probability(c) };
            logits_delta[first + c] = T::from(head.weight)
                * norm
                * (power * (probability(c) * total - target(c)) + pull * off);
        }
        partials[p.loss as usize + place] = norm * power * plain;
    }
}

/// (q^γ, γ q^(γ − 1)); q = 1 − p.
fn focal<T: Real>(gamma: f32, q: T) -> (T, T) {
    match (gamma > 0.0, q > T::of(1e-30)) {
        (false, _) => (T::of(1.0), T::of(0.0)),
        (true, false) => (T::of(0.0), T::of(0.0)),
        (true, true) => {
            let power = (T::from(gamma) * q.ln()).exp();
            (power, T::from(gamma) * (power / q))
        }
    }
}

fn pointwise_losses<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::PointwiseLosses>();
    let (step, labels, logits, weights) =
        (a.step(), a.words("labels"), a.numbers("logits"), a.numbers("class_weights"));
    let (mut logits_delta, mut partials) =
        (a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    for (task, head) in a
        .table::<Head>("heads")
        .iter()
        .enumerate()
        .filter(|(_, head)| head.kind != loss::MULTICLASS)
    {
        let inverse = match head.inverse {
            NONE => T::from(step.inverse_rows) * T::from(head.share),
            place => partials[place as usize],
        };
        for r in 0..p.rows as usize {
            let words = &labels[r * p.cells as usize..][..p.cells as usize];
            let (mut sum, mut hits) = (T::of(0.0), 0.0);
            for k in 0..head.outputs as usize {
                let place = head.logits as usize + r * head.outputs as usize + k;
                let (z, label) = (logits[place], words[head.cell as usize + k]);
                logits_delta[place] = T::of(0.0);
                if label == NONE {
                    continue;
                }
                let row = if p.weighted == 1 {
                    T::from(f32::from_bits(words[words.len() - 1]))
                } else {
                    T::of(1.0)
                };
                let (value, slope) = match head.kind {
                    loss::LOGISTIC => {
                        logistic(z, label == 1, weights[head.weights as usize + k], head.gamma)
                    }
                    kind => {
                        of_number(kind, z, T::from(f32::from_bits(label)), T::from(head.parameter))
                    }
                };
                if head.kind == loss::LOGISTIC && (z > T::of(0.0)) == (label == 1) {
                    hits += 1.0;
                }
                sum += row * inverse * value;
                logits_delta[place] = T::from(head.weight) * (row * inverse) * slope;
            }
            let place = task * p.capacity as usize + r;
            partials[p.loss as usize + place] = sum;
            partials[p.hits as usize + place] = T::of(hits);
        }
    }
}

fn logistic<T: Real>(z: T, positive: bool, weight: T, gamma: f32) -> (T, T) {
    let one = T::of(1.0);
    let (u, weight) = if positive { (z, weight) } else { (-z, one) };
    // For large u the textbook forms lose every digit of q: it is e^−u there.
    let (q, nll) = if u > T::of(0.0) {
        let small = (-u).exp();
        (small / (one + small), (one + small).ln())
    } else {
        let small = u.exp();
        (one / (one + small), (one + small).ln() - u)
    };
    let (power, by_q) = focal(gamma, q);
    let slope = -(weight * (power + by_q * (one - q) * nll) * q);
    (weight * power * nll, if positive { slope } else { -slope })
}

fn of_number<T: Real>(kind: u32, z: T, y: T, parameter: T) -> (T, T) {
    let (e, zero, one) = (z - y, T::of(0.0), T::of(1.0));
    let sign = T::of(if e > zero {
        1.0
    } else if e < zero {
        -1.0
    } else {
        0.0
    });
    let size = if e < zero { -e } else { e };
    match kind {
        loss::SQUARED => (e * e, T::of(2.0) * e),
        loss::ABSOLUTE => (size, sign),
        loss::HUBER if size > parameter => {
            (parameter * (size - T::of(0.5) * parameter), parameter * sign)
        }
        loss::HUBER => (T::of(0.5) * e * e, e),
        loss::QUANTILE if e > zero => ((one - parameter) * e, one - parameter),
        loss::QUANTILE => (-(parameter * e), if e < zero { -parameter } else { zero }),
        _ => (parameter * (z.exp() - y * z), parameter * (z.exp() - y)),
    }
}

fn label_sums<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::LabelSums>(), a.step());
    let (labels, order, weights, mut partials) = (
        a.words("data_labels"),
        a.words("order"),
        a.numbers("class_weights"),
        a.numbers_mut("partials"),
    );
    for (task, head) in a.table::<Head>("heads").iter().enumerate() {
        let (mut weight, mut number) = (T::of(0.0), T::of(0.0));
        for i in step.first..step.first + step.rows {
            let row = if p.shuffled == 1 { order[i as usize] } else { i };
            if row < p.segment_first || row >= p.segment_first + p.segment_rows {
                continue;
            }
            let words = &labels[((row - p.segment_first) * p.cells) as usize..][..p.cells as usize];
            for label in words[head.cell as usize..][..head.cells as usize]
                .iter()
                .filter(|label| **label != NONE)
            {
                let of_row = if p.weighted == 1 {
                    T::from(f32::from_bits(words[words.len() - 1]))
                } else {
                    T::of(1.0)
                };
                let has_weights = head.kind == loss::MULTICLASS && head.weights != NONE;
                weight += if has_weights {
                    of_row * weights[(head.weights + label) as usize]
                } else {
                    of_row
                };
                number += T::of(1.0);
            }
        }
        let places = [0, 1, 2].map(|k| p.counts as usize + k * p.tasks as usize + task);
        if p.accumulate == 1 {
            weight += partials[places[0]];
            number += partials[places[1]];
        }
        partials[places[0]] = weight;
        partials[places[1]] = number;
        partials[places[2]] = if weight > T::of(0.0) { T::of(1.0) / weight } else { T::of(0.0) };
    }
}

fn gather_cells<T: Real>(a: &Arguments<T>) {
    let (p, step) = (a.params::<params::GatherCells>(), a.step());
    let (data, data_labels, order) = (a.words("data"), a.words("data_labels"), a.words("order"));
    let (parameters, mut codes) = (a.numbers("parameters"), a.words_mut("codes"));
    let (mut inputs, mut labels) = (a.numbers_mut("inputs"), a.words_mut("labels"));
    let spreads = &a.table::<Spread>("spreads")[..p.columns as usize];
    for r in 0..p.rows {
        let place = p.chunk_first + r;
        let real = place < step.rows;
        let row = if real && p.shuffled == 1 {
            order[(step.first + place) as usize]
        } else {
            step.first + place
        };
        let here = real && row >= p.segment_first && row < p.segment_first + p.segment_rows;
        if !here && p.fill == 1 {
            continue;
        }
        let first = (p.target_x + r * p.width) as usize;
        inputs[first..first + p.width as usize].fill(T::of(0.0));
        labels[(r * p.tasks) as usize..][..p.tasks as usize].fill(NONE);
        for kept in spreads.iter().filter(|s| s.kind == spread::KEPT) {
            codes[(kept.input + r * kept.slots) as usize..][..kept.slots as usize].fill(NONE);
        }
        if !here {
            continue;
        }
        let words = &data[((row - p.segment_first) * p.slots) as usize..][..p.slots as usize];
        for s in spreads {
            let words = &words[s.slot as usize..][..s.slots as usize];
            for (i, &word) in words.iter().enumerate() {
                let input = first + s.input as usize;
                match s.kind {
                    spread::NUMBERS => inputs[input + i] = T::from(f32::from_bits(word)),
                    spread::ONE_HOT if word < s.width => {
                        inputs[input + word as usize] += T::from(s.scale)
                    }
                    spread::KEPT => codes[(s.input + r * s.slots) as usize + i] = word,
                    _ => {}
                }
            }
            for d in (0..s.width).filter(|_| s.kind == spread::VECTOR) {
                let vectors = words
                    .iter()
                    .filter(|word| **word < s.values)
                    .map(|word| parameters[(s.weight + word * s.stride + d) as usize]);
                inputs[first + (s.input + d) as usize] =
                    vectors.fold(T::of(0.0), |sum, x| sum + x) * T::from(s.scale);
            }
        }
        for t in 0..p.tasks {
            labels[(r * p.tasks + t) as usize] =
                data_labels[((row - p.segment_first) * p.tasks + t) as usize];
        }
    }
}

fn link_cells<T: Real>(a: &Arguments<T>) {
    let (p, codes) = (a.params::<params::LinkCells>(), a.words("codes"));
    let (mut next, mut first) = (a.words_mut("next"), a.words_mut("first"));
    for e in a.table::<Embedding>("embeddings").iter().filter(|e| e.values > 0) {
        let mut seen = vec![NONE; e.values as usize];
        for cell in (0..p.rows * e.slots).rev() {
            let code = codes[(e.codes + cell) as usize];
            next[(e.codes + cell) as usize] = NONE;
            if code < e.values {
                next[(e.codes + cell) as usize] = std::mem::replace(&mut seen[code as usize], cell);
                first[(e.first + code) as usize] = cell;
            }
        }
    }
}

fn embedding_backward<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::EmbeddingBackward>();
    let (codes, delta, mut gradients) =
        (a.words("codes"), a.numbers("delta"), a.numbers_mut("gradients"));
    for e in &a.table::<Embedding>("embeddings")[..p.embeddings as usize] {
        let width = e.width as usize;
        let mut sums = vec![T::of(0.0); e.values as usize * width];
        for cell in 0..p.rows * e.slots {
            let code = codes[(e.codes + cell) as usize];
            for d in (0..width).filter(|_| code < e.values) {
                sums[code as usize * width + d] +=
                    delta[(p.delta + cell / e.slots * p.width + e.input) as usize + d];
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            let (place, sum) = (e.weight as usize + i, sum * T::from(e.scale));
            gradients[place] = if p.accumulate == 1 { gradients[place] + sum } else { sum };
            if !gradients[place].value().is_finite() {
                a.raise(e.flag);
            }
        }
    }
}

fn soft_sharing<T: Real>(a: &Arguments<T>) {
    let p = a.params::<params::SoftSharing>();
    let (parameters, mut gradients, mut partials) =
        (a.numbers("parameters"), a.numbers_mut("gradients"), a.numbers_mut("partials"));
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
    let (logits, mut logits_delta, mut partials) =
        (a.numbers("logits"), a.numbers_mut("logits_delta"), a.numbers_mut("partials"));
    let log_probabilities = |first: usize, classes: usize| {
        // One logit for two classes: the first one has 0.
        let z: Vec<T> = if classes == 1 {
            vec![T::of(0.0), logits[first]]
        } else {
            logits[first..first + classes].to_vec()
        };
        let (best, sum) = normaliser(&z);
        z.iter().map(|v| *v - z[best] - sum.ln()).collect::<Vec<T>>()
    };
    for pair in &a.table::<AgreeingPair>("agreeing_pairs")[..p.pairs as usize] {
        let classes = pair.classes as usize;
        let [of_a, of_b] = [1, 2].map(|bit| if pair.one & bit != 0 { 1 } else { classes });
        for r in 0..p.rows as usize {
            let (first, second) = (pair.first as usize + r * of_a, pair.second as usize + r * of_b);
            let (ln_p, ln_q) = (log_probabilities(first, of_a), log_probabilities(second, of_b));
            let half_ln_ratio = |x: T, y: T| {
                let mean = T::of(0.5) * (x.exp() + y.exp());
                if x.exp() > T::of(0.0) { T::of(0.5) * (x - mean.ln()) } else { T::of(0.0) }
            };
            let g: Vec<T> = ln_p.iter().zip(&ln_q).map(|(x, y)| half_ln_ratio(*x, *y)).collect();
            let h: Vec<T> = ln_p.iter().zip(&ln_q).map(|(x, y)| half_ln_ratio(*y, *x)).collect();
            let mean = |ln: &[T], g: &[T]| {
                ln.iter().zip(g).fold(T::of(0.0), |sum, (l, g)| sum + l.exp() * *g)
            };
            let (mean_p, mean_q) = (mean(&ln_p, &g), mean(&ln_q, &h));
            let inside = p.chunk_first + (r as u32) < step.rows;
            partials[pair.partials as usize + r] =
                if inside { mean_p + mean_q } else { T::of(0.0) };
            if inside && p.gradient == 1 {
                let scale = T::from(pair.strength) * T::from(step.inverse_rows);
                for c in 0..classes {
                    if of_a > 1 || c == 1 {
                        logits_delta[first + c.min(of_a - 1)] +=
                            scale * ln_p[c].exp() * (g[c] - mean_p);
                    }
                    if of_b > 1 || c == 1 {
                        logits_delta[second + c.min(of_b - 1)] +=
                            scale * ln_q[c].exp() * (h[c] - mean_q);
                    }
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
    for (i, metric) in
        a.table::<Metric>("metric_table")[p.first as usize..][..count].iter().enumerate()
    {
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
    let (gradients, decay, mut parameters) =
        (a.numbers("gradients"), a.numbers("decay"), a.numbers_mut("parameters"));
    let (mut first_moment, mut second_moment) =
        (a.numbers_mut("first_moment"), a.numbers_mut("second_moment"));
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
    let (mut parameters, mut first_moment) =
        (a.numbers_mut("parameters"), a.numbers_mut("first_moment"));
    for i in 0..p.count as usize {
        let g = gradients[i] * clip + decay[i / 64] * parameters[i];
        let m = T::from(p.momentum) * first_moment[i] + g;
        first_moment[i] = m;
        let direction = if p.nesterov == 1 { g + T::from(p.momentum) * m } else { m };
        parameters[i] -= T::from(step.learning_rate) * direction;
    }
}
