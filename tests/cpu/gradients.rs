//! The gradient of the whole step is compared with differences of an independent formula, in
//! float64.
//!
//! The step is the real schedule on the reference engine. The formula below shares no code with
//! schedule, engine or layout: it computes the loss from the settings, the rows and the named
//! parameters, with plain loops. So a schedule that has the same fault as its twins cannot agree
//! with it.
//!
//! Differences are of fourth order with a step of 1e-4; rounding leaves an error of about 1e-11.
//! Task weights, strengths and most numbers of rows are chosen so that f32 holds them (and 1 /
//! rows) exactly. The asserted error is below 1e-7 of max(1e-3, |g|).

use std::collections::BTreeMap;

use crate::common::{Bench, plan, synthetic, whole};
use tandem::config::{Activation, Config};
use tandem::data::{Dataset, Features, Parts, Schema, UNLABELLED};
use tandem::kernels::tuning::Tuning;
use tandem::run::apply::evaluate::evaluate;
use tandem::run::train::Plan;
use tandem::schedule::{Engine, MetricKind};

const BOUND: f64 = 1e-7;
/// The distance between the points of a difference quotient.
const DISTANCE: f64 = 1e-4;
/// Values before relu stay farther than this from its kink, which is more than any point of a
/// difference moves them.
const MARGIN: f64 = 1e-3;

// The independent formula.

/// Parameters by their names in `model.safetensors`: a weight is a list of rows, a bias has one
/// row.
type Parameters = BTreeMap<String, Vec<Vec<f64>>>;

/// The loss of a batch.
struct Formula<'a> {
    config: &'a Config,
    /// [B, I]
    x: Vec<Vec<f64>>,
    /// [T, B]
    labels: Vec<Vec<usize>>,
}

impl Formula<'_> {
    /// The loss, and the smallest |z| before a relu.
    fn evaluate(&self, p: &Parameters) -> (f64, f64) {
        let mut margin = f64::INFINITY;
        let tasks = &self.config.tasks;
        let z: Vec<Vec<Vec<f64>>> = (0..tasks.len())
            .map(|t| self.x.iter().map(|row| self.logits(p, t, row, &mut margin)).collect())
            .collect();
        let mut total = 0.0;
        for (t, task) in tasks.iter().enumerate() {
            let rows = z[t].iter().zip(&self.labels[t]);
            total += task.weight * mean(rows.map(|(z, label)| -log_softmax(z)[*label]));
        }
        for coupling in &self.config.couplings {
            for (a, b) in self.pairs(&coupling.pairs) {
                total += coupling.strength
                    * match coupling.kind.as_str() {
                        "soft_sharing" => half_squared_distance(p, &tasks[a].name, &tasks[b].name),
                        "agreement" => {
                            mean(z[a].iter().zip(&z[b]).map(|(a, b)| jensen_shannon(a, b)))
                        }
                        other => panic!("no formula for {other}"),
                    };
            }
        }
        (total, margin)
    }

    /// The named pairs, or all pairs.
    fn pairs(&self, named: &Option<Vec<[String; 2]>>) -> Vec<(usize, usize)> {
        let place = |name: &str| self.config.tasks.iter().position(|t| t.name == name).unwrap();
        let count = self.config.tasks.len();
        match named {
            Some(pairs) => pairs.iter().map(|[a, b]| (place(a), place(b))).collect(),
            None => (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect(),
        }
    }

    fn logits(&self, p: &Parameters, task: usize, row: &[f64], margin: &mut f64) -> Vec<f64> {
        let (trunk, task) = (&self.config.trunk, &self.config.tasks[task]);
        let mut y = row.to_vec();
        for i in 0..trunk.layers.len() {
            y = activate(trunk.activation, dense(p, &format!("trunk.{i}"), &y), margin);
        }
        for i in 0..task.layers.len() {
            y = activate(task.activation, dense(p, &format!("task.{}.{i}", task.name), &y), margin);
        }
        dense(p, &format!("task.{}.{}", task.name, task.layers.len()), &y)
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

fn dense(p: &Parameters, name: &str, x: &[f64]) -> Vec<f64> {
    let (weight, bias) = (&p[&format!("{name}.weight")], &p[&format!("{name}.bias")][0]);
    weight
        .iter()
        .zip(bias)
        .map(|(w, b)| b + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>())
        .collect()
}

fn activate(kind: Activation, z: Vec<f64>, margin: &mut f64) -> Vec<f64> {
    if kind == Activation::Relu {
        *margin = z.iter().fold(*margin, |least, z| least.min(z.abs()));
    }
    let one = |z: f64| match kind {
        Activation::Relu => z.max(0.0),
        Activation::Tanh => z.tanh(),
        Activation::Gelu => z * normal_distribution(z),
        Activation::Silu => z / (1.0 + (-z).exp()),
        Activation::Identity => z,
    };
    z.into_iter().map(one).collect()
}

/// Φ(z) by quadrature (Gauss–Legendre, five points in each of 16 panels), unlike the engine's
/// series.
fn normal_distribution(z: f64) -> f64 {
    let points = [
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.906_179_845_938_664, 0.236_926_885_056_189_1),
    ];
    let density = |x: f64| (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt();
    let half = z / 32.0;
    let panel = |middle: f64| {
        let sides = points[1..].iter().map(|(at, weight)| {
            weight * (density(middle + half * at) + density(middle - half * at))
        });
        half * (points[0].1 * density(middle) + sides.sum::<f64>())
    };
    0.5 + (0..16).map(|k| panel(half * f64::from(2 * k + 1))).sum::<f64>()
}

fn log_softmax(z: &[f64]) -> Vec<f64> {
    let sum: f64 = z.iter().map(|z| z.exp()).sum();
    z.iter().map(|z| z - sum.ln()).collect()
}

/// ½ Σ p ln(p / m) + ½ Σ q ln(q / m), m = (p + q) / 2
fn jensen_shannon(a: &[f64], b: &[f64]) -> f64 {
    let divergence = |p: f64, m: f64| p * (p / m).ln();
    let rows = log_softmax(a).into_iter().zip(log_softmax(b));
    rows.map(|(a, b)| (a.exp(), b.exp()))
        .map(|(p, q)| 0.5 * (divergence(p, (p + q) / 2.0) + divergence(q, (p + q) / 2.0)))
        .sum()
}

fn half_squared_distance(p: &Parameters, a: &str, b: &str) -> f64 {
    let own = |name: &str| {
        p.keys().filter(|k| k.starts_with(&format!("task.{name}."))).cloned().collect::<Vec<_>>()
    };
    let mut sum = 0.0;
    for (of_a, of_b) in own(a).into_iter().zip(own(b)) {
        for (a, b) in p[&of_a].iter().flatten().zip(p[&of_b].iter().flatten()) {
            sum += 0.5 * (a - b) * (a - b);
        }
    }
    sum
}

// The comparison.

/// The formula for some rows of a plan's data.
fn formula<'a>(bench: &'a Bench, rows: &[usize]) -> Formula<'a> {
    let data = &bench.plan.parts.train;
    let x = rows.iter().map(|&r| data.row(r).into_iter().map(f64::from).collect()).collect();
    let labels =
        data.labels.iter().map(|l| rows.iter().map(|&r| l[r] as usize).collect()).collect();
    Formula { config: &bench.plan.config, x, labels }
}

/// The values of an arena, by the names of the blocks.
fn named(bench: &Bench, arena: &[f64]) -> Parameters {
    let rows = |values: &[f64], width: usize| values.chunks(width).map(<[f64]>::to_vec).collect();
    let block = |b: &tandem::model::layout::Block| {
        (b.name.clone(), rows(&arena[b.offset..b.offset + b.len], *b.shape.last().unwrap()))
    };
    bench.plan.layout.blocks.iter().map(block).collect()
}

/// f′(x) from four values around x.
fn difference(f: impl Fn(f64) -> f64) -> f64 {
    let h = DISTANCE;
    (8.0 * (f(h) - f(-h)) - (f(2.0 * h) - f(-2.0 * h))) / (12.0 * h)
}

/// `trunk weight`, `tower bias`, …
fn family(bench: &Bench, block: usize) -> String {
    let layer = &bench.plan.layout.layers[block / 2];
    let place = if layer.role == tandem::model::graph::Role::Output {
        ["output", "output"]
    } else {
        ["trunk", "tower"]
    }[usize::from(layer.owner.task().is_some())];
    format!("{place} {}", if bench.plan.layout.blocks[block].is_bias() { "bias" } else { "weight" })
}

/// Compares gradients with differences of `loss(name, element, by)`, the loss with one parameter
/// moved by `by`. Returns the largest error.
fn compare(bench: &Bench, gradients: &[f64], loss: impl Fn(usize, usize, f64) -> f64) -> f64 {
    let mut worst: BTreeMap<String, f64> = BTreeMap::new();
    for (number, block) in bench.plan.layout.blocks.iter().enumerate() {
        for i in 0..block.len {
            let (found, expected) =
                (gradients[block.offset + i], difference(|by| loss(number, i, by)));
            let error = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(
                error < BOUND,
                "{} [{i}]: gradient {found:e}, by differences {expected:e}, error {error:.1e}",
                block.name
            );
            let worst = worst.entry(family(bench, number)).or_default();
            *worst = worst.max(error);
        }
    }
    worst.iter().for_each(|(family, error)| println!("{family}: {error:.1e}"));
    worst.into_values().fold(0.0, f64::max)
}

/// Compares the gradients of the last step with the formula for its rows.
fn compare_with_formula(bench: &Bench, parameters: &[f64], rows: &[usize]) {
    let formula = formula(bench, rows);
    let here = named(bench, parameters);
    let (_, margin) = formula.evaluate(&here);
    assert!(
        margin > MARGIN,
        "a value is only {margin:e} from the kink of relu: choose another seed"
    );
    compare(bench, &bench.gradients(), |block, element, by| {
        let (name, width) = (
            &bench.plan.layout.blocks[block].name,
            *bench.plan.layout.blocks[block].shape.last().unwrap(),
        );
        let mut moved = here.clone();
        moved.get_mut(name).unwrap()[element / width][element % width] += by;
        formula.evaluate(&moved).0
    });
}

/// The total loss of a step, from its metrics.
fn total(bench: &Bench, metrics: &[f64]) -> f64 {
    let of = |wanted: fn(&MetricKind) -> Option<usize>| {
        let mut found: Vec<(usize, f64)> = bench
            .built
            .program
            .metrics
            .iter()
            .zip(metrics)
            .filter_map(|(kind, value)| Some((wanted(kind)?, *value)))
            .collect();
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
    };
    let losses = of(|k| if let MetricKind::Loss(t) = k { Some(*t) } else { None });
    let couplings = of(|k| if let MetricKind::Coupling(p) = k { Some(*p) } else { None });
    bench
        .plan
        .objective
        .total(&losses.into_iter().map(Some).collect::<Vec<_>>(), &couplings, 0.0)
        .unwrap()
}

/// Runs one step over all rows from random parameters: compares gradients with differences and the
/// loss with the formula, and asserts that every block has a gradient.
fn check(tables: &str, data: Dataset, classes: &[usize], seed: u64) {
    let rows: Vec<usize> = (0..data.rows).collect();
    let mut bench = Bench::new(
        plan(&format!("{tables}\n[train]\nbatch_size = \"full\""), data, classes),
        &whole(),
    );
    let parameters = bench.random_parameters(seed);
    bench.poison();
    let step = bench.step(0, 0, rows.len());
    let metrics = bench.train(&parameters, &step);
    compare_with_formula(&bench, &parameters, &rows);
    let (found, expected) =
        (total(&bench, &metrics), formula(&bench, &rows).evaluate(&named(&bench, &parameters)).0);
    assert!((found - expected).abs() < BOUND * expected, "loss {found}, by the formula {expected}");
    for block in &bench.plan.layout.blocks {
        assert!(largest(&bench, &block.name) > 1e-3, "{}: no gradient above 1e-3", block.name);
    }
    assert_gaps_are_zero(&bench);
}

/// The largest |g| of a block.
fn largest(bench: &Bench, name: &str) -> f64 {
    let block = bench
        .plan
        .layout
        .blocks
        .iter()
        .find(|b| b.name == name)
        .unwrap_or_else(|| panic!("no block {name}"));
    let gradients = bench.gradients()[block.offset..block.offset + block.len].to_vec();
    assert!(gradients.iter().all(|g| g.is_finite()), "{name}: {gradients:?}");
    gradients.into_iter().fold(0.0, |most, g| most.max(g.abs()))
}

fn assert_gaps_are_zero(bench: &Bench) {
    let mut gradients = bench.gradients();
    bench.plan.layout.blocks.iter().for_each(|b| gradients[b.offset..b.offset + b.len].fill(0.0));
    let stray = gradients.iter().position(|g| *g != 0.0);
    assert!(stray.is_none(), "element {stray:?} lies between blocks and has a gradient");
}

// The cases.

/// Three heads of two shapes; `b` is in three pairs; no weight or strength is one.
const MIXED: &str = r#"
[task.a]
layers = [4]
weight = 0.75
[task.b]
layers = [4]
weight = 1.5
[task.c]
weight = 0.625
[[coupling]]
kind = "soft_sharing"
strength = 0.375
pairs = [["a", "b"]]
[[coupling]]
kind = "agreement"
strength = 2.5
pairs = [["a", "b"], ["b", "c"]]
"#;

fn check_activation(word: &str, seed: u64) {
    let trunk = format!("[trunk]\nlayers = [6, 5]\nactivation = \"{word}\"\n");
    check(&(trunk + MIXED), synthetic(seed, 16, 7, &[3, 3, 3]), &[3, 3, 3], seed);
}

#[test]
fn gradients_with_relu() {
    check_activation("relu", 1);
}

#[test]
fn gradients_with_tanh() {
    check_activation("tanh", 2);
}

#[test]
fn gradients_with_gelu() {
    check_activation("gelu", 3);
}

#[test]
fn gradients_with_silu() {
    check_activation("silu", 4);
}

#[test]
fn gradients_with_identity() {
    check_activation("identity", 5);
}

/// All pairs of three heads of one shape under both couplings; the towers have their own
/// activation.
#[test]
fn gradients_with_every_pair() {
    let head = |name: &str, weight: f64| {
        format!("[task.{name}]\nlayers = [5, 3]\nactivation = \"silu\"\nweight = {weight:?}\n")
    };
    let couplings = "[[coupling]]\nkind = \"agreement\"\nstrength = 1.75\n[[coupling]]\nkind = \
                     \"soft_sharing\"\nstrength = 0.125\n";
    let text = format!(
        "[trunk]\nlayers = [6]\nactivation = \"tanh\"\n{}{}{}{couplings}",
        head("p", 0.5),
        head("q", 2.0),
        head("r", 1.25)
    );
    check(&text, synthetic(6, 8, 5, &[4, 4, 4]), &[4, 4, 4], 6);
}

/// Towers of depth 0 to 3, heads with different numbers of classes, and two couplings of one kind
/// with different strengths on one pair.
#[test]
fn gradients_with_mixed_depths() {
    let text = r#"
[trunk]
layers = [7]
activation = "gelu"
[task.flat]
weight = 1.75
[task.deep]
layers = [6, 4, 5]
activation = "tanh"
weight = 0.5
[task.other]
layers = [3]
activation = "identity"
weight = 0.875
[task.twin]
layers = [3]
weight = 1.125
[[coupling]]
kind = "soft_sharing"
strength = 0.25
pairs = [["twin", "other"]]
[[coupling]]
kind = "soft_sharing"
strength = 0.5
pairs = [["other", "twin"]]
[[coupling]]
kind = "agreement"
strength = 3.0
pairs = [["other", "deep"]]
"#;
    check(text, synthetic(7, 16, 6, &[2, 3, 3, 3]), &[2, 3, 3, 3], 7);
}

#[test]
fn gradients_without_trunk() {
    let text = format!("[trunk]\nlayers = []\nactivation = \"silu\"\n{MIXED}");
    check(&text, synthetic(8, 8, 6, &[3, 3, 3]), &[3, 3, 3], 8);
}

#[test]
fn gradients_of_one_task() {
    check(
        "[trunk]\nlayers = [4]\nactivation = \"tanh\"\n[task.only]\nweight = 2.5\n",
        synthetic(9, 8, 3, &[5]),
        &[5],
        9,
    );
}

/// The step table holds 1 / 9 as f32, with an error of 7e-9, which is within the bound.
#[test]
fn gradients_of_an_odd_number_of_rows() {
    let text = format!("[trunk]\nlayers = [5]\nactivation = \"tanh\"\n{MIXED}");
    check(&text, synthetic(10, 9, 4, &[3, 3, 3]), &[3, 3, 3], 10);
}

/// With dropout, gradients are compared with differences of the engine's own loss: the same key
/// gives the same masks.
#[test]
fn gradients_with_dropout() {
    let text = format!(
        "[trunk]\nlayers = [9, 8]\nactivation = \"tanh\"\ndropout = \
         0.25\n{MIXED}\n[train]\nbatch_size = \"full\""
    )
    .replace("layers = [4]", "layers = [4]\ndropout = 0.5");
    let make = || Bench::new(plan(&text, synthetic(11, 16, 5, &[3, 3, 3]), &[3, 3, 3]), &whole());
    let mut bench = make();
    let parameters = bench.random_parameters(11);
    let step = bench.step(3, 0, 16);
    bench.train(&parameters, &step);
    let gradients = bench.gradients();

    let moving = std::cell::RefCell::new(make());
    let loss = |block: usize, element: usize, by: f64| {
        let mut moved = parameters.clone();
        moved[bench.plan.layout.blocks[block].offset + element] += by;
        let mut moving = moving.borrow_mut();
        let metrics = moving.train(&moved, &step);
        total(&moving, &metrics)
    };
    compare(&bench, &gradients, loss);

    let other = bench.step(4, 0, 16);
    bench.train(&parameters, &other);
    let same =
        bench.gradients().iter().zip(&gradients).filter(|(a, b)| a == b && **a != 0.0).count();
    assert_eq!(same, 0, "{same} gradients did not change with the key of the step");
}

// Gradients that must be zero, and some that must not.

/// The gradients of one full step of 16 rows.
fn bench_after_step(text: &str, data: Dataset, classes: &[usize]) -> Bench {
    let mut bench = Bench::new(
        plan(&format!("{text}\n[train]\nbatch_size = \"full\""), data, classes),
        &whole(),
    );
    let (parameters, step) = (bench.random_parameters(20), bench.step(0, 0, 16));
    bench.poison();
    bench.train(&parameters, &step);
    bench
}

const THREE: &str = "[trunk]\nlayers = [5]\nactivation = \"tanh\"\n[task.a]\nlayers = \
                     [4]\n[task.b]\nlayers = [4]\n[task.c]\nlayers = [4]\n";

fn three(extra: &str) -> Bench {
    bench_after_step(&format!("{THREE}{extra}"), synthetic(20, 16, 6, &[3, 3, 3]), &[3, 3, 3])
}

/// The bits of the gradients of all blocks whose name begins with `start`.
fn bits(bench: &Bench, start: &str) -> Vec<u64> {
    let gradients = bench.gradients();
    let blocks = bench.plan.layout.blocks.iter().filter(|b| b.name.starts_with(start));
    let bits: Vec<u64> =
        blocks.flat_map(|b| &gradients[b.offset..b.offset + b.len]).map(|g| g.to_bits()).collect();
    assert!(!bits.is_empty(), "no block starts with {start}");
    bits
}

const HEAD: [&str; 4] = ["0.weight", "0.bias", "1.weight", "1.bias"];

#[test]
fn a_head_of_weight_zero_has_no_gradient() {
    let bench = three("weight = 0.0\n");
    for block in HEAD {
        let [b, c] = ["b", "c"].map(|task| largest(&bench, &format!("task.{task}.{block}")));
        assert!(c == 0.0, "task.c.{block}: {c:e}, though the task's weight is 0");
        assert!(b > 1e-3, "task.b.{block}: {b:e}");
    }
    let alone =
        bench_after_step(&THREE.replace("[task.c]\nlayers = [4]\n", ""), two_of_three(), &[3, 3]);
    assert_eq!(
        bits(&bench, "trunk."),
        bits(&alone, "trunk."),
        "a task of weight 0 changes the trunk's gradient"
    );
}

/// The synthetic data without the third task.
fn two_of_three() -> Dataset {
    let mut data = synthetic(20, 16, 6, &[3, 3, 3]);
    data.labels.truncate(2);
    data
}

#[test]
fn a_coupling_reaches_a_head_of_weight_zero() {
    for kind in ["soft_sharing", "agreement"] {
        let bench = three(&format!(
            "weight = 0.0\n[[coupling]]\nkind = \"{kind}\"\nstrength = 0.5\npairs = [[\"b\", \
             \"c\"]]\n"
        ));
        for block in HEAD {
            let g = largest(&bench, &format!("task.c.{block}"));
            assert!(g > 1e-4, "{kind}: task.c.{block}: {g:e}, though it is coupled");
        }
    }
}

#[test]
fn a_coupling_leaves_other_heads_alone() {
    let free = three("");
    for kind in ["soft_sharing", "agreement"] {
        let coupled = three(&format!(
            "[[coupling]]\nkind = \"{kind}\"\nstrength = 0.5\npairs = [[\"a\", \"c\"]]\n"
        ));
        assert_eq!(
            bits(&free, "task.b."),
            bits(&coupled, "task.b."),
            "{kind} of a and c changes the gradient of b"
        );
        assert_ne!(
            bits(&free, "task.a."),
            bits(&coupled, "task.a."),
            "{kind} of a and c does not change the gradient of a"
        );
        assert_ne!(
            bits(&free, "task.c."),
            bits(&coupled, "task.c."),
            "{kind} of a and c does not change the gradient of c"
        );
        let trunk_changed = bits(&free, "trunk.") != bits(&coupled, "trunk.");
        assert_eq!(
            trunk_changed,
            kind == "agreement",
            "{kind}: the trunk's gradient changed: {trunk_changed}"
        );
    }
}

#[test]
fn strength_zero_is_no_coupling() {
    let free = three("");
    for kind in ["soft_sharing", "agreement"] {
        let coupled = three(&format!("[[coupling]]\nkind = \"{kind}\"\nstrength = 0.0\n"));
        let differing =
            free.gradients().iter().zip(coupled.gradients()).filter(|(a, b)| **a != *b).count();
        assert_eq!(differing, 0, "{differing} gradients differ for {kind} of strength 0");
    }
}

#[test]
fn a_task_without_labels_has_no_gradient() {
    let mut data = synthetic(20, 16, 6, &[3, 3, 3]);
    data.labels[2].fill(UNLABELLED);
    let bench = bench_after_step(THREE, data, &[3, 3, 3]);
    for block in HEAD {
        let g = largest(&bench, &format!("task.c.{block}"));
        assert!(g == 0.0, "task.c.{block}: {g:e}, though no row is labelled");
    }
    assert!(largest(&bench, "task.b.0.weight") > 1e-3);
}

/// In a batch that is shorter than the schedule's, the contents of the missing rows' places are not
/// read and do not count.
#[test]
fn missing_rows_have_no_gradient() {
    let mut data = synthetic(21, 16, 6, &[3, 3, 3]);
    let Features::F32(values) = &mut data.features else { unreachable!() };
    values[8 * 6..].fill(1e6);
    let text = format!(
        "[trunk]\nlayers = [6, 5]\nactivation = \"tanh\"\n{MIXED}\n[train]\nbatch_size = \"full\""
    );
    let mut bench = Bench::new(plan(&text, data, &[3, 3, 3]), &whole());
    let parameters = bench.random_parameters(21);
    let (full, short) = (bench.step(0, 0, 16), bench.step(1, 0, 8));
    bench.train(&parameters, &full);
    bench.train(&parameters, &short);
    compare_with_formula(&bench, &parameters, &(0..8).collect::<Vec<_>>());
    let after_full = bench.gradients();
    bench.poison();
    bench.train(&parameters, &short);
    assert_eq!(bench.gradients(), after_full, "the step before shows in the gradients");
}

/// With p and q on different classes the divergence is ln 2, and no logarithm of zero reaches the
/// gradient.
#[test]
fn agreement_saturates_at_ln_2() {
    let text = "[trunk]\nlayers = []\n[task.a]\n[task.b]\n[[coupling]]\nkind = \
                \"agreement\"\nstrength = 2.0\n";
    for size in [60.0, 400.0, 2000.0] {
        let mut bench = Bench::new(
            plan(
                &format!("{text}[train]\nbatch_size = \"full\""),
                synthetic(22, 4, 3, &[2, 2]),
                &[2, 2],
            ),
            &whole(),
        );
        let mut parameters = vec![0.0; bench.plan.layout.len];
        for (name, bias) in [("task.a.0.bias", [size, -size]), ("task.b.0.bias", [-size, size])] {
            let block = bench.plan.layout.blocks.iter().find(|b| b.name == name).unwrap();
            parameters[block.offset..block.offset + 2].copy_from_slice(&bias);
        }
        let step = bench.step(0, 0, 4);
        let metrics = bench.train(&parameters, &step);
        let place =
            bench.built.program.metrics.iter().position(|m| *m == MetricKind::Coupling(0)).unwrap();
        assert!(
            (metrics[place] - std::f64::consts::LN_2).abs() < 1e-12,
            "logits of ±{size}: agreement {}",
            metrics[place]
        );
        assert!(
            bench.gradients().iter().all(|g| g.is_finite()),
            "logits of ±{size}: a gradient is not finite"
        );
    }
}

// Chunks, segments, the order of an epoch.

/// 200 rows in batches of 75, all kinds of dispatches, dropout, clipping.
fn minibatch() -> Bench {
    let text = format!(
        "[trunk]\nlayers = [9, 8]\nactivation = \"silu\"\ndropout = \
         0.25\n{MIXED}\n[optimizer]\nclip_norm = 0.5\n[train]\nbatch_size = 75\n"
    );
    Bench::new(plan(&text, synthetic(30, 200, 7, &[3, 3, 3]), &[3, 3, 3]), &whole())
}

/// An order of `rows` rows.
fn order(rows: usize) -> Vec<u32> {
    (0..rows as u32).map(|i| (i * 77 + 13) % rows as u32).collect()
}

fn upload_order(bench: &mut Bench) {
    let order = order(bench.plan.parts.train.rows);
    bench.engine.upload(bench.built.buffers.order, 0, &order).unwrap();
}

/// The gradients and metrics of one step with a given tuning.
fn under(tuning: &Tuning, rows: usize) -> (Bench, Vec<f64>) {
    let mut bench = Bench::new(minibatch().plan, tuning);
    upload_order(&mut bench);
    bench.poison();
    let (parameters, step) = (bench.random_parameters(30), bench.step(5, 75, rows));
    let metrics = bench.train(&parameters, &step);
    (bench, metrics)
}

fn assert_close(what: &str, found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!((f - e).abs() <= 1e-12 * e.abs().max(1.0), "{what} {i}: {f} in pieces, {e} in one");
    }
}

fn count(bench: &Bench, kernel: &str) -> usize {
    let schedule = &bench.built.program.schedules[bench.built.train.unwrap()];
    schedule.dispatches.iter().filter(|d| d.kernel.name == kernel).count()
}

/// Chunks by time (32 rows), by the size of a binding (fewer than 32 rows), and data in several
/// buffers; full batches, and short ones whose last chunks are empty.
#[test]
fn pieces_change_nothing() {
    let least = 4 * minibatch().plan.layout.len as u64;
    let by_time = Tuning { flop_per_dispatch: 1, ..whole() };
    let by_binding = Tuning { binding_bytes: least, ..whole() };
    for rows in [75, 50, 20, 1] {
        let (one, metrics) = under(&whole(), rows);
        assert_eq!(
            (count(&one, "dense_backward_weight"), one.built.parts[0].segments.len()),
            (1, 1)
        );
        for (name, tuning) in [("by time", &by_time), ("by binding", &by_binding)] {
            let (pieces, in_pieces) = under(tuning, rows);
            assert!(
                count(&pieces, "dense_backward_weight") > 2,
                "{name}: {} chunks",
                count(&pieces, "dense_backward_weight")
            );
            assert_close(
                &format!("{rows} rows, {name}: gradient"),
                &pieces.gradients(),
                &one.gradients(),
            );
            assert_close(&format!("{rows} rows, {name}: metric"), &in_pieces, &metrics);
        }
        assert!(
            under(&by_binding, rows).0.built.parts[0].segments.len() > 1,
            "the data lie in one segment"
        );
    }
}

/// An evaluation takes more rows at once than a step. What it leaves in the buffers does not count
/// in the next step, nor the other way round.
#[test]
fn an_evaluation_leaves_nothing_behind() {
    let mut bench = minibatch();
    upload_order(&mut bench);
    let (parameters, step) = (bench.random_parameters(30), bench.step(5, 75, 75));
    let before = bench.train(&parameters, &step);
    let gradients = bench.gradients();
    let evaluate = |bench: &mut Bench, parameters: &[f64]| {
        bench.engine.set_numbers(bench.built.buffers.parameters, 0, parameters);
        evaluate(&mut bench.engine, &bench.built, &bench.plan.network, &bench.plan.objective, 0, 1)
            .unwrap()
    };
    let first = evaluate(&mut bench, &parameters);
    assert_eq!(
        bench.train(&parameters, &step),
        before,
        "metrics of a step before and after an evaluation"
    );
    assert_eq!(bench.gradients(), gradients, "gradients before and after an evaluation");
    assert_eq!(evaluate(&mut bench, &parameters), first, "an evaluation before and after a step");
    let rows: Vec<usize> = (0..200).collect();
    let expected = formula(&bench, &rows).evaluate(&named(&bench, &parameters)).0;
    let loss = first.loss.unwrap();
    assert!(
        (loss - expected).abs() < BOUND * expected,
        "evaluated loss {loss}, by the formula {expected}"
    );
}

/// A batch from the middle of an epoch's order.
#[test]
fn gradients_through_the_order() {
    let text = format!(
        "[trunk]\nlayers = [6]\nactivation = \"gelu\"\n{MIXED}\n[train]\nbatch_size = 64\n"
    );
    let make = || plan(&text, synthetic(31, 200, 7, &[3, 3, 3]), &[3, 3, 3]);
    let small = Tuning { binding_bytes: 4 * make().layout.len as u64, ..whole() };
    for tuning in [whole(), small] {
        let mut bench = Bench::new(make(), &tuning);
        upload_order(&mut bench);
        let (parameters, step) = (bench.random_parameters(31), bench.step(1, 64, 64));
        bench.train(&parameters, &step);
        let rows: Vec<usize> = order(200)[64..128].iter().map(|r| *r as usize).collect();
        compare_with_formula(&bench, &parameters, &rows);
    }
}

/// Features stored as bytes give the same bits as the same features stored as numbers; rows of odd
/// width do not end at a u32.
#[test]
fn bytes_are_numbers() {
    let bytes: Vec<u8> = (0..400 * 7u32).map(|i| (i * i * 31 + i * 7 + i / 5) as u8).collect();
    let data = |features: Features| Dataset { features, ..synthetic(32, 400, 7, &[3, 3, 3]) };
    let numbers = Features::F32(bytes.iter().map(|b| f32::from(*b) / 64.0).collect());
    let bytes = Features::U8 { values: bytes, scale: 1.0 / 64.0 };
    let text = format!(
        "[trunk]\nlayers = [6]\nactivation = \"gelu\"\n{MIXED}\n[train]\nbatch_size = 32\n"
    );
    let gradients = |features: &Features, tuning: &Tuning| {
        let mut bench = Bench::new(plan(&text, data(features.clone()), &[3, 3, 3]), tuning);
        upload_order(&mut bench);
        let (parameters, step) = (bench.random_parameters(32), bench.step(1, 75, 32));
        bench.train(&parameters, &step);
        (bench.built.parts[0].segments.len(), bench.gradients())
    };
    let (_, expected) = gradients(&numbers, &whole());
    let small = Tuning {
        binding_bytes: 4 * plan(&text, data(bytes.clone()), &[3, 3, 3]).layout.len as u64,
        ..whole()
    };
    let (segments, in_segments) = gradients(&bytes, &small);
    assert!(segments > 1, "the data lie in one segment");
    assert_eq!(gradients(&bytes, &whole()).1, expected, "bytes in one segment");
    assert_eq!(in_segments, expected, "bytes in {segments} segments");
}

/// The inputs of a row of [`crate::common::every_plan`], expanded on the host: three numbers, then
/// one-hot places for each category.
fn spread_out(words: &[u32]) -> Vec<f32> {
    let mut inputs: Vec<f32> = words[..3].iter().map(|word| f32::from_bits(*word)).collect();
    for (code, width) in words[3..].iter().zip(crate::common::CATEGORIES) {
        inputs.extend((0..width).map(|place| f32::from(u8::from(place as u32 == *code))));
    }
    inputs
}

/// Categories give the same bits as the same one-hot inputs stored as numbers; in chunks and
/// segments the numbers are close.
#[test]
fn categories_are_numbers() {
    let coded = || crate::common::every_plan("[train]\nbatch_size = 32\n", 400);
    let (plan, parts) = (coded(), coded().parts);
    let Features::Cells { values: words, slots } = &parts.train.features else { unreachable!() };
    let features = Features::F32(words.chunks(*slots).flat_map(spread_out).collect());
    let train = Dataset { features, ..Dataset::clone(&parts.train) };
    let input = Schema::for_arrays(train.width(), &[]).input;
    let schema = Schema { input, ..parts.schema.clone() };
    let numbers =
        Plan::new(plan.config, Parts { train: train.into(), valid: None, schema, ..parts })
            .unwrap();
    let gradients = |plan: Plan, tuning: &Tuning| {
        let mut bench = Bench::new(plan, tuning);
        upload_order(&mut bench);
        bench.poison();
        let (parameters, step) = (bench.random_parameters(33), bench.step(1, 75, 32));
        let metrics = bench.train(&parameters, &step);
        (bench.built.parts[0].segments.len(), (metrics, bench.gradients()))
    };
    let small = Tuning { binding_bytes: 4 * plan.layout.len as u64, ..whole() };
    let (_, expected) = gradients(numbers, &whole());
    assert!(expected.1.iter().all(|g| g.is_finite()));
    let (segments, in_segments) = gradients(coded(), &small);
    assert!(segments > 1, "the data lie in one segment");
    assert!(gradients(coded(), &whole()).1 == expected, "categories in one segment");
    // A small binding also cuts the batch into chunks, whose sums round in another order.
    assert_close("metric", &in_segments.0, &expected.0);
    assert_close("gradient", &in_segments.1, &expected.1);
}
