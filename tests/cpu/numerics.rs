//! The building blocks of the reference and of the training loop, compared with known numbers and
//! by statistics: erf, rounding bounds, the random generator, initial weights, dropout, learning
//! rate schedules, bias corrections.
//!
//! Statistics use fixed seeds, so they always pass or always fail; their bounds are four or five
//! standard deviations.

use crate::common::{Bench, config, plan, synthetic, whole};
use tandem::config::{Config, Init};
use tandem::data::split::order::{batches, epoch_order};
use tandem::kernels::params::Dense;
use tandem::model::init;
use tandem::reference::real::{Bounded, Real, erf};
use tandem::rng::{Purpose, below, bits, normal, permutation, uniform};
use tandem::run::train::learning_rate::Course;
use tandem::schedule::Engine;

fn assert_near(what: &str, found: f64, expected: f64, within: f64) {
    assert!(
        (found - expected).abs() <= within,
        "{what}: {found}, expected {expected} ± {within:e}"
    );
}

/// Mean and variance.
fn moments(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n)
}

/// Asserts that the share `hits` / `n` is `p` within `sigmas` standard deviations.
fn assert_share(what: &str, hits: usize, n: usize, p: f64, sigmas: f64) {
    let deviation = (p * (1.0 - p) / n as f64).sqrt();
    assert_near(what, hits as f64 / n as f64, p, sigmas * deviation);
}

// Functions.

/// Values of Abramowitz and Stegun, table 7.1, and of the C library.
#[test]
fn erf_has_the_known_values() {
    let known = [
        (0.0, 0.0),
        (1e-10, 1.128_379_167_095_512_6e-10),
        (0.1, 0.112_462_916_018_284_9),
        (0.5, 0.520_499_877_813_046_5),
        (1.0, 0.842_700_792_949_714_9),
        (1.5, 0.966_105_146_475_310_8),
        (2.0, 0.995_322_265_018_952_7),
        (2.5, 0.999_593_047_982_555),
        (3.0, 0.999_977_909_503_001_4),
        (4.0, 0.999_999_984_582_742_1),
        (5.5, 0.999_999_999_999_992_7),
        (6.5, 1.0),
        (1e300, 1.0),
    ];
    for (x, y) in known {
        assert_near(&format!("erf {x}"), erf(x), y, 1e-15 * y);
        assert_eq!(erf(-x), -erf(x), "erf −{x}");
    }
}

/// In f32, a sum of products and the logarithm of a sum of powers have an error of at most 4 eps
/// times the magnitude.
#[test]
fn bounds_hold_in_f32() {
    fn sum<T: Real>(seed: u64, of: fn(T, T) -> T) -> T {
        let value = |i: u64| T::from(normal(seed, Purpose::Synthetic, 0, i) as f32);
        (0..50).fold(T::of(0.0), |sum, i| sum + of(value(2 * i), value(2 * i + 1)))
    }
    let in_f32 = |seed: u64, of: fn(f32, f32) -> f32| {
        let value = |i: u64| normal(seed, Purpose::Synthetic, 0, i) as f32;
        (0..50).fold(0f32, |sum, i| sum + of(value(2 * i), value(2 * i + 1)))
    };
    for seed in 0..200 {
        let cases = [
            (
                "products",
                sum::<Bounded>(seed, |a, b| a * b),
                sum::<f64>(seed, |a, b| a * b),
                in_f32(seed, |a, b| a * b),
            ),
            (
                "powers",
                sum::<Bounded>(seed, |a, b| (a * b).exp()).ln(),
                sum::<f64>(seed, |a, b| (a * b).exp()).ln(),
                in_f32(seed, |a, b| (a * b).exp()).ln(),
            ),
        ];
        for (what, bounded, exact, rounded) in cases {
            assert_eq!(bounded.value(), exact, "{what}, seed {seed}: value");
            let bound = 4.0 * f64::from(f32::EPSILON) * bounded.magnitude();
            assert_near(&format!("{what}, seed {seed}"), f64::from(rounded), exact, bound);
        }
    }
}

// The generator.

#[test]
fn values_differ_by_every_part_of_their_key() {
    let all = [
        bits(0, Purpose::Init, 0, 0),
        bits(1, Purpose::Init, 0, 0),
        bits(0, Purpose::Order, 0, 0),
        bits(0, Purpose::Init, 1, 0),
        bits(0, Purpose::Init, 0, 1),
    ];
    for (i, a) in all.iter().enumerate() {
        for (j, b) in all.iter().enumerate().skip(i + 1) {
            assert_ne!(a, b, "keys {i} and {j}");
        }
    }
    assert_eq!(bits(0, Purpose::Init, 0, 0), all[0], "the same key again");
}

#[test]
fn uniform_and_normal_values_have_their_moments() {
    let n = 100_000;
    let u: Vec<f64> = (0..n).map(|i| uniform(7, Purpose::Synthetic, 3, i)).collect();
    assert!(u.iter().all(|u| (0.0..1.0).contains(u)));
    let (mean, variance) = moments(&u);
    assert_near("mean of uniform", mean, 0.5, 4.0 * (1.0 / 12.0 / n as f64).sqrt());
    assert_near("variance of uniform", variance, 1.0 / 12.0, 4.0 * (1.0 / 180.0 / n as f64).sqrt());
    let z: Vec<f64> = (0..n).map(|i| normal(7, Purpose::Synthetic, 4, i)).collect();
    let (mean, variance) = moments(&z);
    assert_near("mean of normal", mean, 0.0, 4.0 / (n as f64).sqrt());
    assert_near("variance of normal", variance, 1.0, 4.0 * (2.0 / n as f64).sqrt());
    for (bound, share) in [(1.0, 0.682_689_5), (2.0, 0.954_499_7), (3.0, 0.997_300_2)] {
        assert_share(
            &format!("|z| < {bound}"),
            z.iter().filter(|z| z.abs() < bound).count(),
            n as usize,
            share,
            4.0,
        );
    }
    let products: Vec<f64> = z.windows(2).map(|w| w[0] * w[1]).collect();
    assert_near("correlation of neighbours", moments(&products).0, 0.0, 4.0 / (n as f64).sqrt());
}

#[test]
fn below_is_uniform() {
    let n = 70_000;
    let mut counts = [0; 7];
    (0..n).for_each(|i| counts[below(7, 5, Purpose::Synthetic, 9, i) as usize] += 1);
    for (value, count) in counts.into_iter().enumerate() {
        assert_share(&format!("share of {value}"), count, n as usize, 1.0 / 7.0, 4.0);
    }
}

#[test]
fn the_order_of_an_epoch_is_a_permutation() {
    for rows in [0, 1, 2, 3, 64, 1009] {
        let mut order = epoch_order(rows, 3, 5);
        order.sort_unstable();
        assert_eq!(order, (0..rows as u32).collect::<Vec<_>>(), "{rows} rows");
    }
    let order = epoch_order(1009, 3, 5);
    assert_eq!(order, epoch_order(1009, 3, 5), "the same epoch again");
    for (what, other) in [("epoch", epoch_order(1009, 3, 6)), ("seed", epoch_order(1009, 4, 5))] {
        let fixed = order.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(
            fixed < 10,
            "{fixed} of 1009 rows keep their place in another {what}, expected about one"
        );
    }
}

/// Every row is equally likely in every place.
#[test]
fn orders_are_unbiased() {
    let (rows, draws) = (5, 20_000);
    let mut counts = [[0; 5]; 5];
    for stream in 0..draws {
        permutation(rows, 11, Purpose::Order, stream)
            .into_iter()
            .enumerate()
            .for_each(|(place, row)| counts[place][row as usize] += 1);
    }
    for (place, row) in (0..rows).flat_map(|place| (0..rows).map(move |row| (place, row))) {
        assert_share(
            &format!("row {row} in place {place}"),
            counts[place][row],
            draws as usize,
            0.2,
            4.0,
        );
    }
}

#[test]
fn batches_cover_an_epoch_once() {
    let cut = |rows, size| batches(rows, size).collect::<Vec<_>>();
    assert_eq!(cut(10, 4), [(0, 4), (4, 4), (8, 2)]);
    assert_eq!(cut(8, 4), [(0, 4), (4, 4)]);
    assert_eq!(cut(3, 10), [(0, 3)]);
    assert_eq!(cut(0, 4), []);
}

// Initial weights.

/// 300 inputs, a trunk of 200 and a tower of 100, 10 classes.
fn initial(init: Init, activation: &str, seed: u64) -> (Bench, Vec<f32>) {
    let text = format!(
        "[trunk]\nlayers = [200]\nactivation = \"{activation}\"\n[task.a]\nlayers = \
         [100]\n[task.b]\n"
    );
    let bench = Bench::new(plan(&text, synthetic(1, 2, 300, &[10, 10]), &[10, 10]), &whole());
    let arena = init::parameters(&bench.plan.layout, init, seed);
    (bench, arena)
}

/// The variance of each layer is He's 2 / inputs or Xavier's 2 / (inputs + outputs), chosen by the
/// activation if the configuration leaves it open; output layers have no activation.
#[test]
fn initial_weights_have_their_variance() {
    let he = [2.0 / 300.0, 2.0 / 200.0, 2.0 / 100.0, 2.0 / 200.0];
    let xavier = [2.0 / 500.0, 2.0 / 300.0, 2.0 / 110.0, 2.0 / 210.0];
    let hidden_he = [he[0], he[1], xavier[2], xavier[3]];
    let cases = [
        (Init::He, "tanh", he),
        (Init::Xavier, "relu", xavier),
        (Init::Auto, "relu", hidden_he),
        (Init::Auto, "gelu", hidden_he),
        (Init::Auto, "silu", hidden_he),
        (Init::Auto, "tanh", xavier),
        (Init::Auto, "identity", xavier),
    ];
    for (kind, activation, variances) in cases {
        let (bench, arena) = initial(kind, activation, 17);
        for (layer, expected) in bench.plan.layout.layers.iter().zip(variances) {
            let block = &bench.plan.layout.blocks[layer.weight];
            let weights: Vec<f64> = arena[block.offset..block.offset + block.len]
                .iter()
                .map(|w| f64::from(*w))
                .collect();
            let (n, what) =
                (weights.len() as f64, format!("{kind:?}, {activation}, {}", block.name));
            let (mean, variance) = moments(&weights);
            assert_near(&format!("{what}: mean"), mean, 0.0, 4.0 * (expected / n).sqrt());
            assert_near(
                &format!("{what}: variance"),
                variance,
                expected,
                4.0 * expected * (2.0 / n).sqrt(),
            );
            let near = weights.iter().filter(|w| w.abs() < expected.sqrt()).count();
            assert_share(
                &format!("{what}: within a deviation"),
                near,
                weights.len(),
                0.682_689_5,
                4.0,
            );
        }
    }
}

#[test]
fn biases_and_gaps_start_at_zero() {
    let (bench, mut arena) = initial(Init::Auto, "relu", 17);
    for block in bench.plan.layout.blocks.iter().filter(|b| !b.is_bias()) {
        let weights = &mut arena[block.offset..block.offset + block.len];
        assert!(weights.iter().all(|w| *w != 0.0), "{}: a weight is zero", block.name);
        weights.fill(0.0);
    }
    assert_eq!(
        arena.iter().position(|w| *w != 0.0),
        None,
        "first nonzero element outside the weights"
    );
}

#[test]
fn initial_weights_depend_on_seed_and_layer() {
    let (bench, arena) = initial(Init::He, "relu", 17);
    assert_eq!(arena, initial(Init::He, "relu", 17).1, "the same seed again");
    let (_, other) = initial(Init::He, "relu", 18);
    let equal = arena.iter().zip(&other).filter(|(a, b)| a == b && **a != 0.0).count();
    assert!(equal < 5, "{equal} weights are those of another seed");
    let first = |name: &str| {
        arena[bench.plan.layout.blocks.iter().find(|b| b.name == name).unwrap().offset]
    };
    assert_ne!(first("task.a.0.weight"), first("task.b.0.weight"), "two heads start alike");
}

// Dropout.

const ROWS: usize = 200;

/// Two trunk layers of 100 with rate 0.25, a tower of 100 with rate 0.5.
fn dropout_bench() -> Bench {
    let text = "[trunk]\nlayers = [100, 100]\nactivation = \"tanh\"\ndropout = \
                0.25\n[task.a]\nlayers = [100]\ndropout = 0.5\n";
    Bench::new(
        plan(&format!("{text}[train]\nbatch_size = \"full\""), synthetic(3, ROWS, 6, &[3]), &[3]),
        &whole(),
    )
}

/// The activations of the three hidden layers after a training step or an evaluation.
fn activations(bench: &mut Bench, step: Option<u64>) -> Vec<Vec<f64>> {
    let parameters = bench.random_parameters(4);
    match step {
        Some(t) => drop(bench.train(&parameters, &bench.step(t, 0, ROWS))),
        None => {
            bench.engine.set_numbers(bench.built.buffers.parameters, 0, &parameters);
            bench.engine.submit(bench.built.evaluate[0], &[bench.step(0, 0, ROWS)]).unwrap();
        }
    }
    let (program, buffers) = (&bench.built.program, &bench.built.buffers);
    let words = bench.engine.integers(program.whole(buffers.layers));
    let layers: &[Dense] = bytemuck::cast_slice(&words);
    let of = |layer: &Dense| {
        let arena =
            bench.engine.numbers(program.whole(buffers.activations[layer.delta_arena as usize]));
        arena[layer.y as usize..][..ROWS * 100].to_vec()
    };
    layers[..3].iter().map(of).collect()
}

/// Which units were dropped.
fn masks(bench: &mut Bench, t: u64) -> Vec<Vec<bool>> {
    activations(bench, Some(t))
        .iter()
        .map(|layer| layer.iter().map(|y| *y == 0.0).collect())
        .collect()
}

fn count(mask: impl IntoIterator<Item = bool>) -> usize {
    mask.into_iter().filter(|dropped| *dropped).count()
}

#[test]
fn dropout_has_its_rate() {
    for (mask, (name, rate)) in masks(&mut dropout_bench(), 0).iter().zip([
        ("trunk.0", 0.25),
        ("trunk.1", 0.25),
        ("tower", 0.5),
    ]) {
        assert_share(name, count(mask.iter().copied()), ROWS * 100, rate, 4.0);
        for row in 0..ROWS {
            assert_share(
                &format!("{name}, row {row}"),
                count(mask[row * 100..][..100].iter().copied()),
                100,
                rate,
                5.0,
            );
        }
        for unit in 0..100 {
            assert_share(
                &format!("{name}, unit {unit}"),
                count(mask.iter().skip(unit).step_by(100).copied()),
                ROWS,
                rate,
                5.0,
            );
        }
    }
}

/// Two units drop together as often as by chance: neighbours in a row and in a column, in two
/// layers, in two steps.
#[test]
fn masks_are_independent() {
    let mut bench = dropout_bench();
    let (now, next) = (masks(&mut bench, 0), masks(&mut bench, 1));
    let both = |a: &[bool], b: &[bool]| {
        (count(a.iter().zip(b).map(|(a, b)| *a && *b)), a.len().min(b.len()))
    };
    let first = &now[0];
    let cases = [
        ("neighbouring units", both(first, &first[1..]), 0.0625),
        ("neighbouring rows", both(first, &first[100..]), 0.0625),
        ("two layers of the trunk", both(first, &now[1]), 0.0625),
        ("trunk and tower", both(first, &now[2]), 0.125),
        ("two steps", both(first, &next[0]), 0.0625),
        ("two steps of the tower", both(&now[2], &next[2]), 0.25),
    ];
    for (what, (hits, n), expected) in cases {
        assert_share(what, hits, n, expected, 4.0);
    }
    assert_eq!(now, masks(&mut bench, 0), "the same step again");
}

/// Units that stay are multiplied by 1 / (1 − rate); evaluation drops nothing.
#[test]
fn dropout_keeps_the_mean() {
    let mut bench = dropout_bench();
    let evaluated = activations(&mut bench, None);
    assert!(evaluated.iter().flatten().all(|y| *y != 0.0), "evaluation drops units");
    let trained = activations(&mut bench, Some(0));
    let scale = f64::from((1.0 / 0.75) as f32);
    for (i, (found, whole)) in trained[0].iter().zip(&evaluated[0]).enumerate() {
        assert!(
            *found == 0.0 || *found == whole * scale,
            "trunk.0 [{i}]: {found}, in evaluation {whole}"
        );
    }
}

// What changes from step to step.

fn settings(optimizer: &str) -> Config {
    config(&format!("[task.a]\n[optimizer]\nlearning_rate = 0.01\n{optimizer}"))
}

fn course(optimizer: &str, steps_per_epoch: u64, total: u64) -> Course {
    Course::new(&settings(optimizer).optimizer, 0, steps_per_epoch, total)
}

fn assert_rates(what: &str, course: &Course, rates: &[(u64, f64)]) {
    for (t, expected) in rates {
        assert_near(
            &format!("{what}: learning rate of step {t}"),
            course.learning_rate(*t),
            *expected,
            1e-15,
        );
    }
}

#[test]
fn constant_course() {
    assert_rates(
        "constant",
        &course("", 10, 100),
        &[(0, 0.01), (1, 0.01), (99, 0.01), (1000, 0.01)],
    );
}

/// ½ (1 + cos π t / 100) at 0, ¼, ½, ¾, the last step and after the end.
#[test]
fn cosine_course() {
    let rates = [
        (0, 0.01),
        (25, 0.008_535_533_905_932_738),
        (50, 0.005),
        (75, 0.001_464_466_094_067_262_7),
        (99, 2.467_198_171_342e-6),
    ];
    let cosine = course("schedule = \"cosine\"", 10, 100);
    assert_rates("cosine", &cosine, &rates);
    assert_rates("cosine", &cosine, &[(100, 0.0), (150, 0.0)]);
}

#[test]
fn course_by_steps_and_by_epochs() {
    let steps = course("schedule = \"step\"\nstep_size = \"20s\"\ngamma = 0.5", 7, 100);
    assert_rates(
        "by steps",
        &steps,
        &[(0, 0.01), (19, 0.01), (20, 0.005), (39, 0.005), (40, 0.0025), (99, 0.000_625)],
    );
    let epochs = course("schedule = \"step\"\nstep_size = \"2e\"\ngamma = 0.1", 7, 100);
    assert_rates(
        "by epochs",
        &epochs,
        &[(0, 0.01), (13, 0.01), (14, 0.001), (27, 0.001), (28, 0.0001)],
    );
}

/// The rate grows linearly during the warm-up; the schedule begins after it.
#[test]
fn warm_up() {
    let rise = [(0, 0.001), (1, 0.002), (4, 0.005), (8, 0.009), (9, 0.01), (10, 0.01)];
    for schedule in
        ["", "schedule = \"cosine\"\n", "schedule = \"step\"\nstep_size = \"20s\"\ngamma = 0.5\n"]
    {
        assert_rates(schedule, &course(&format!("{schedule}warmup_steps = 10"), 7, 110), &rise);
    }
    assert_rates(
        "cosine",
        &course("schedule = \"cosine\"\nwarmup_steps = 10", 7, 110),
        &[(60, 0.005), (110, 0.0)],
    );
    let steps =
        course("schedule = \"step\"\nstep_size = \"20s\"\ngamma = 0.5\nwarmup_steps = 10", 7, 110);
    assert_rates("by steps", &steps, &[(29, 0.01), (30, 0.005), (50, 0.0025)]);
}

/// Learning rate / (1 − β₁ᵗ) and 1 / √(1 − β₂ᵗ), at steps 1, 2, 10, 1000, 100 000.
#[test]
fn bias_corrections() {
    let known = [
        (1, 0.1, 31.622_776_601_683_793),
        (2, 0.01 / 0.19, 22.366_272_042_129_37),
        (10, 0.015_353_399_327_876_297, 10.022_515_922_231_536),
        (1000, 0.01, 1.257_583_520_961_77),
        (100_000, 0.01, 1.0),
    ];
    for kind in ["adam", "adamw"] {
        let course = course(&format!("kind = \"{kind}\""), 10, 200_000);
        for (number, step_size, root_correction) in known {
            let step = course.step(number - 1, 0, 8, 0);
            assert_eq!(u64::from(step.number), number);
            assert_near(
                &format!("{kind}, step {number}: step size"),
                f64::from(step.step_size),
                step_size,
                6e-8 * step_size,
            );
            let found = f64::from(step.root_correction);
            assert_near(
                &format!("{kind}, step {number}: root correction"),
                found,
                root_correction,
                6e-8 * root_correction,
            );
        }
    }
    let step = course("kind = \"sgd\"", 10, 100).step(0, 0, 8, 0);
    assert_eq!(
        (step.step_size, step.root_correction, step.learning_rate),
        (0.01, 1.0, 0.01),
        "sgd"
    );
}

#[test]
fn entries_of_the_step_table() {
    let course = course("", 10, 100);
    let step = course.step(41, 96, 32, 5);
    assert_eq!(
        (step.number, step.first, step.rows, step.slot, step.inverse_rows),
        (42, 96, 32, 5, 1.0 / 32.0)
    );
    let key = |step: tandem::kernels::params::Step| (step.key_low, step.key_high);
    assert_eq!(key(step), key(course.step(41, 0, 8, 0)), "the key depends on more than the step");
    assert_ne!(key(step), key(course.step(42, 96, 32, 5)), "two steps have one key");
    let other = Course::new(&settings("").optimizer, 1, 10, 100);
    assert_ne!(key(step), key(other.step(41, 96, 32, 5)), "two seeds have one key");
}

/// Adam's first step moves each parameter by the learning rate, against the sign of its gradient:
/// both corrections cancel.
#[test]
fn first_step_of_adam() {
    let text = "[trunk]\nlayers = [5]\nactivation = \
                \"tanh\"\n[task.a]\n[optimizer]\nlearning_rate = 0.01\n[train]\nbatch_size = \
                \"full\"";
    let mut bench = Bench::new(plan(text, synthetic(6, 16, 4, &[3]), &[3]), &whole());
    let (before, step) = (bench.random_parameters(6), bench.step(0, 0, 16));
    bench.train(&before, &step);
    let after = bench.engine.numbers(bench.built.program.whole(bench.built.buffers.parameters));
    for (i, gradient) in bench.gradients().into_iter().enumerate() {
        let expected =
            if gradient == 0.0 { 0.0 } else { -0.01 * gradient / (gradient.abs() + 1e-8) };
        assert_near(&format!("parameter {i}"), after[i] - before[i], expected, 1e-8);
    }
}
