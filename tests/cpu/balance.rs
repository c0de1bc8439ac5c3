//! Balancing: gradients by differences with the weights held, the numbers of the papers, and the
//! properties that papers claim.

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;

use crate::common::{ARCHITECTURES, Bench, labelled, plan_of, whole};
use tandem::kernels::params::Step;
use tandem::kernels::tuning::Tuning;
use tandem::schedule::{MetricKind, check::check};

/// Every method, with keys that differ from their defaults where that makes a better test.
pub const METHODS: [&str; 21] = [
    "log",
    "geometric",
    "uncertainty",
    "dwa",
    "random",
    "imtl_l",
    "stch",
    "famo",
    "gradnorm",
    "mgda",
    "pcgrad",
    "gradvac",
    "cagrad",
    "imtl_g",
    "nash_mtl",
    "fairgrad",
    "aligned_mtl",
    "upgrad",
    "dual_proj",
    "config",
    "graddrop",
];

/// Whether a method is one on losses.
fn is_on_losses(method: &str) -> bool {
    let names = ["log", "geometric", "uncertainty", "dwa", "random", "imtl_l", "stch", "famo"];
    names.contains(&method) || method == "gradnorm"
}

/// Three tasks with towers, dropout and weights, balanced.
fn tables(balance: &str, architecture: &str) -> String {
    format!(
        r#"
[architecture]
{architecture}
[balance]
{balance}
[trunk]
layers = [5, 4]
activation = "silu"
dropout = 0.25
[task.a]
type = "multiclass"
target = "a"
layers = [4]
activation = "tanh"
dropout = 0.25
weight = 0.75
[task.b]
type = "multiclass"
target = "b"
weight = 1.5
[task.c]
type = "regression"
target = ["c", "d"]
weight = 0.5
[train]
batch_size = "full"
"#
    )
}

/// A plan with blanks and its data on the reference.
fn bench(balance: &str, architecture: &str, tuning: &Tuning) -> Bench {
    let tables = tables(balance, architecture);
    let data = labelled(&tables, 3, 16, 6, &[3, 3, 1], 0.2);
    Bench::new(plan_of(&tables, data, None, &[3, 3, 1]), tuning)
}

/// The losses of the tasks and the weights that they were given.
fn losses_and_weights(bench: &Bench, metrics: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (mut losses, mut weights) = (Vec::new(), Vec::new());
    for (kind, value) in bench.built.program.metrics.iter().zip(metrics) {
        match kind {
            MetricKind::Loss(_) => losses.push(*value),
            MetricKind::TaskWeight(_) => weights.push(*value),
            _ => {}
        }
    }
    (losses, weights)
}

/// Compares every gradient of a step with differences of the losses of the same step, weighed as
/// the step says: shared parameters by Σ c_t w_t L_t, those of one task by w_t L_t, or with the
/// weight too where the method is one on losses.
fn largest_error(method: &str, balance: &str, architecture: &str, tuning: &Tuning) -> f64 {
    let mut bench = bench(balance, architecture, tuning);
    check(&bench.built.program).unwrap();
    let parameters = bench.random_parameters(4);
    bench.poison();
    // A batch with fewer rows than the others, as the last one of an epoch.
    let step = bench.step(5, 0, 13);
    let metrics = bench.train(&parameters, &step);
    let (_, weights) = losses_and_weights(&bench, &metrics);
    let gradients = bench.gradients();
    let given: Vec<f64> = bench.plan.objective.weights.iter().map(|w| f64::from(*w)).collect();
    let (mut worst, distance) = (0.0f64, 1e-4);
    for block in bench.plan.layout.blocks.clone() {
        let slopes_at = |bench: &mut Bench, place: usize| -> Vec<f64> {
            let mut losses = |by: f64| {
                let mut moved = parameters.clone();
                moved[place] += by;
                let metrics = bench.train(&moved, &step);
                losses_and_weights(bench, &metrics).0
            };
            let moves = [distance, -distance, 2.0 * distance, -2.0 * distance];
            let [a, b, c, d] = moves.map(&mut losses);
            let slope = |t: usize| (8.0 * (a[t] - b[t]) - (c[t] - d[t])) / (12.0 * distance);
            (0..3).map(|t| slope(t) * given[t]).collect()
        };
        let places = block.offset..block.offset + block.len;
        let slopes: Vec<Vec<f64>> =
            places.clone().map(|place| slopes_at(&mut bench, place)).collect();
        // A block belongs to one task if the loss of no other one moves with it.
        let moves = |t: usize| slopes.iter().any(|of_place| of_place[t].abs() > 1e-9);
        let is_shared = (0..3).filter(|t| moves(*t)).count() > 1;
        for (place, slopes) in places.zip(&slopes) {
            let weigh = |t: usize| if is_shared || is_on_losses(method) { weights[t] } else { 1.0 };
            let expected: f64 = (0..3).map(|t| weigh(t) * slopes[t]).sum();
            let error = (gradients[place] - expected).abs() / expected.abs().max(1e-3);
            assert!(
                error < 1e-6,
                "{balance}, {architecture}: {} [{}]: gradient {:e}, by differences {expected:e}",
                block.name,
                place - block.offset,
                gradients[place]
            );
            worst = worst.max(error);
        }
    }
    worst
}

#[test]
fn gradients_of_every_method_are_those_of_the_weighed_losses() {
    for method in METHODS.into_iter().filter(|method| *method != "graddrop") {
        let spaces: &[&str] = match is_on_losses(method) {
            true => &[""],
            false => &["", "space = \"parameters\""],
        };
        for space in spaces {
            let balance = format!("method = \"{method}\"\n{space}");
            let error = largest_error(method, &balance, "kind = \"shared\"", &whole());
            println!("{balance}: {error:.1e}");
        }
    }
}

#[test]
fn gradients_in_chunks_are_those_of_the_weighed_losses() {
    let tuning = Tuning { rows: 8, ..whole() };
    for (method, space) in [
        ("log", ""),
        ("famo", ""),
        ("gradnorm", ""),
        ("upgrad", ""),
        ("upgrad", "space = \"parameters\""),
        ("mgda", "normalize = \"loss_norm\""),
    ] {
        let balance = format!("method = \"{method}\"\n{space}");
        let error = largest_error(method, &balance, "kind = \"shared\"", &tuning);
        println!("{balance} in chunks: {error:.1e}");
    }
}

#[test]
fn gradients_of_every_architecture_are_those_of_the_weighed_losses() {
    let kinds = ARCHITECTURES.into_iter().filter(|kind| !kind.contains("separate"));
    for kind in kinds {
        let kind = kind
            .replace("experts = 5", "experts = 5\nentropy = 0.0")
            .replace("entropy = 0.25", "entropy = 0.0")
            .replace("[[\"a\", \"b\"]]", "[[\"a\", \"b\", \"c\"]]")
            .replace("[[\"b\"], [\"a\"]]", "[[\"b\", \"c\"], [\"a\"]]");
        for space in ["representation", "parameters"] {
            let balance = format!("method = \"upgrad\"\nspace = \"{space}\"\nobserve = 1");
            let error = largest_error("upgrad", &balance, &kind, &whole());
            println!("{kind}, {space}: {error:.1e}");
        }
    }
}

#[test]
fn the_laws_hold_for_every_turn_of_every_method() {
    for rows in [16, 8] {
        let tuning = Tuning { rows, ..whole() };
        for method in METHODS.into_iter().chain(["none"]) {
            let on_gradients = !is_on_losses(method) && method != "none";
            let more: &[&str] = match on_gradients {
                true => &[
                    "",
                    "space = \"parameters\"",
                    "every = 3",
                    "space = \"parameters\"\nevery = 3",
                ],
                false => &[""],
            };
            for more in more {
                let balance = format!("method = \"{method}\"\n{more}\nobserve = 2");
                let bench = bench(&balance, "kind = \"shared\"", &tuning);
                check(&bench.built.program).unwrap_or_else(|e| panic!("{balance}: {e}"));
            }
        }
    }
}

/// A fixture that `tests/pytorch/balance.py` has recorded.
pub struct Recorded {
    bytes: Vec<u8>,
    pub json: Value,
}

impl Recorded {
    pub fn read() -> Recorded {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch");
        Recorded {
            bytes: std::fs::read(folder.join("balance.safetensors")).unwrap(),
            json: serde_json::from_slice(&std::fs::read(folder.join("balance.json")).unwrap())
                .unwrap(),
        }
    }

    /// The rows of a tensor of f32 or f64.
    pub fn rows(&self, name: &str) -> Vec<Vec<f64>> {
        let tensors = SafeTensors::deserialize(&self.bytes).unwrap();
        let tensor = tensors.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let all: Vec<f64> = match tensor.data().len() / tensor.shape().iter().product::<usize>() {
            4 => tensor
                .data()
                .chunks(4)
                .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())))
                .collect(),
            _ => {
                tensor.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
            }
        };
        let width = *tensor.shape().last().unwrap();
        all.chunks(width).map(<[f64]>::to_vec).collect()
    }
}

/// The `[balance]` table of a recorded method.
pub fn table_of(recorded: &str) -> String {
    let (method, more) = match recorded {
        "fairgrad_alpha_1" => ("fairgrad", "alpha = 1.0"),
        "aligned_mtl_min" => ("aligned_mtl", ""),
        "aligned_mtl_median" => ("aligned_mtl", "scale = \"median\""),
        "aligned_mtl_rmse" => ("aligned_mtl", "scale = \"rmse\""),
        "upgrad_exact" => ("upgrad", "regularization = 1e-13"),
        "dual_proj_exact" => ("dual_proj", "regularization = 1e-13"),
        other => (other, ""),
    };
    format!("method = \"{method}\"\n{more}")
}

/// A plan with this many tasks of two classes.
fn solver(balance: &str, tasks: usize) -> Bench {
    let heads: String = (0..tasks).map(|t| format!("[task.t{t}]\n")).collect();
    let tables = format!(
        "[balance]\n{balance}\n[trunk]\nlayers = [2]\n{heads}[train]\nbatch_size = \"full\"\n"
    );
    let classes = vec![2; tasks];
    let data = labelled(&tables, 3, 4, 2, &classes, 0.0);
    Bench::new(plan_of(&tables, data, None, &classes), &whole())
}

/// The products of the rows of a matrix.
pub fn products(jacobian: &[Vec<f64>]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    jacobian.iter().flat_map(|a| jacobian.iter().map(move |b| dot(a, b))).collect()
}

/// The weights that the twin finds for these products, in a step with this key.
fn solve(bench: &mut Bench, products: &[f64], losses: &[f64], step: &Step) -> Vec<f64> {
    let tasks = bench.plan.network.tasks.len();
    let b = bench.built.buffers.balance.clone();
    let kernel = bench.plan.objective.method().unwrap().kernel().name;
    let dispatches = &bench.built.program.schedules[0].dispatches;
    let place = dispatches.iter().position(|d| d.kernel.name == kernel).unwrap();
    let squares: Vec<f64> = (0..tasks).map(|t| products[t * (tasks + 1)]).collect();
    let scales: Vec<f64> = squares.iter().map(|s| f64::from(u8::from(*s > 0.0))).collect();
    bench.engine.set_numbers(b.gramian, 0, products);
    bench.engine.set_numbers(b.gramian, tasks * tasks, products);
    bench.engine.set_numbers(b.gramian, 2 * tasks * tasks, &scales);
    bench.engine.set_numbers(b.gramian, 2 * tasks * tasks + tasks, losses);
    bench.engine.run_dispatch(0, place, step).unwrap();
    bench.engine.numbers(bench.built.program.whole(b.next_balance))[..tasks].to_vec()
}

/// The weighted sum of the rows of a matrix.
pub fn direction(jacobian: &[Vec<f64>], weights: &[f64]) -> Vec<f64> {
    (0..jacobian[0].len())
        .map(|i| jacobian.iter().zip(weights).map(|(row, w)| w * row[i]).sum())
        .collect()
}

pub fn norm(values: &[f64]) -> f64 {
    let size = values.iter().fold(0.0, |size: f64, x| size.max(x.abs()));
    if size == 0.0 {
        0.0
    } else {
        size * values.iter().map(|x| (x / size).powi(2)).sum::<f64>().sqrt()
    }
}

/// Whether a recorded case says something of a method as we have it. Tasks whose gradient is zero
/// are left out by us; TorchJD takes them for tasks whose gradients are zero, and small gradients
/// for none at all.
fn says_something(method: &str, case: &Value, products: &[f64], tasks: usize) -> bool {
    let has = |key: &str| case[key].as_array().is_some_and(|list| list.iter().any(|m| m == method));
    let trace: f64 = (0..tasks).map(|t| products[t * (tasks + 1)]).sum();
    let is_small = matches!(method, "upgrad" | "dual_proj") && trace < 1e-4;
    // Where its sum vanishes imtl_g has no solution; we weigh equally, TorchJD by zeros.
    let has_no_sum =
        method == "imtl_g" && matches!(case["kind"].as_str(), Some("sum_is_zero" | "opposite"));
    !has("undefined") && case["kind"] != "zero_row" && !is_small && !has_no_sum
}

#[test]
fn weights_are_those_of_the_papers() {
    let recorded = Recorded::read();
    let methods = recorded.json["methods"].as_array().unwrap().clone();
    for (row, method) in methods.iter().map(|m| m.as_str().unwrap()).enumerate() {
        let (mut worst, mut seen) = (0.0f64, 0);
        for (number, case) in recorded.json["cases"].as_array().unwrap().iter().enumerate() {
            let jacobian = recorded.rows(&format!("case.{number:03}.jacobian"));
            let (tasks, products) = (jacobian.len(), products(&jacobian));
            if !says_something(method, case, &products, tasks) {
                continue;
            }
            let weights = recorded.rows(&format!("case.{number:03}.weights"))[row].clone();
            let mut bench = solver(&table_of(method), tasks);
            let key = (1000 + number as u32, 7);
            let step = Step { key_low: key.0, key_high: key.1, number: 1, ..Step::default() };
            let found = solve(&mut bench, &products, &vec![1.0; tasks], &step);
            let [found, expected] = [&found, &weights].map(|weights| direction(&jacobian, weights));
            // A direction that is nothing is compared with the gradients.
            let parts: Vec<f64> = jacobian.iter().map(|row| norm(row) / tasks as f64).collect();
            let is_nothing = norm(&expected) <= 1e-9 * norm(&parts);
            let size = if is_nothing { norm(&parts) } else { norm(&expected) };
            let difference: Vec<f64> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
            let error = norm(&difference) / size.max(1e-300);
            assert!(error < 1e-6, "{method}, case {number}, {}: {error:e}", case["kind"]);
            (worst, seen) = (worst.max(error), seen + 1);
        }
        assert!(seen > 130, "{method}: {seen} cases");
        println!("{method}: {seen} cases, worst {worst:.1e}");
    }
}
