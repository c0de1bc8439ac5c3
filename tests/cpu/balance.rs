//! Balancing: gradients by differences with the weights held, the numbers of the papers, and the
//! properties that papers claim.

use crate::common::recorded::{
    Recorded, error_of_direction, products, says_something, solver, table_of,
};
use crate::common::{ARCHITECTURES, Bench, labelled, plan_of, whole};
use tandem::kernels::Unit;
use tandem::kernels::params::Step;
use tandem::kernels::tuning::Tuning;
use tandem::schedule::{MetricKind, check::check};

/// Every method, with keys that differ from their defaults where that makes a better test.
pub const METHODS: [&str; 23] = [
    "log",
    "geometric",
    "uncertainty",
    "dwa",
    "random",
    "imtl_l",
    "stch",
    "famo",
    "gradnorm",
    "excess_mtl",
    "db_mtl",
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

/// Whether a method compares gradients in a space of choice.
fn has_spaces(method: &str) -> bool {
    !is_on_losses(method) && !["none", "excess_mtl", "db_mtl"].contains(&method)
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
    let mut tables = tables(balance, architecture);
    if architecture.contains("coupled") {
        tables = tables.replace("coupled", "");
        tables += "[[coupling]]\nkind = \"agreement\"\nstrength = 0.5\npairs = [[\"a\", \"b\"]]\n";
    }
    // Few rows of many columns, so that products come from those of rows.
    let is_wide = architecture.contains("wide");
    if is_wide {
        tables = tables.replace("wide", "").replace("[5, 4]", "[10, 8]");
    }
    let (rows, columns) = if is_wide { (7, 30) } else { (16, 6) };
    let data = labelled(&tables, 3, rows, columns, &[3, 3, 1], 0.2);
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
    let parameters = bench.random_parameters(if architecture.contains("= 0.25") { 5 } else { 4 });
    bench.poison();
    // A batch with fewer rows than the others, as the last one of an epoch. The factor 1 / 13 of
    // the entropy is one of f32, and its logarithms are steep.
    let has_entropy = architecture.contains("= 0.25");
    let (rows, most) = match has_entropy {
        true => (16, 1e-4),
        false if architecture.contains("wide") => (6, 1e-6),
        false => (13, 1e-6),
    };
    let step = bench.step(5, 0, rows);
    let metrics = bench.train(&parameters, &step);
    let (losses, weights) = losses_and_weights(&bench, &metrics);
    let gradients = bench.gradients();
    let given: Vec<f64> = bench.plan.objective.weights.iter().map(|w| f64::from(*w)).collect();
    let (mut worst, distance) = (0.0f64, 1e-4);
    let is_balanced = balance.contains("balanced");
    assert_eq!(weights.len() > 3, is_balanced, "{balance}: {weights:?}");
    // What the sum of the losses has besides: the coupling, and the entropy of gates.
    let others = |bench: &Bench, metrics: &[f64]| -> [f64; 2] {
        let kinds = || bench.built.program.metrics.iter().zip(metrics);
        let coupling = kinds().filter(|(kind, _)| matches!(kind, MetricKind::Coupling(_)));
        let entropy = kinds().filter(|(kind, _)| matches!(kind, MetricKind::GateEntropy(_)));
        let factor = bench.plan.objective.entropy;
        [0.5 * coupling.map(|(_, v)| v).sum::<f64>(), factor * entropy.map(|(_, v)| v).sum::<f64>()]
    };
    for block in bench.plan.layout.blocks.clone() {
        // The slopes of the losses, and behind them those of the coupling and of the entropy.
        let slopes_at = |bench: &mut Bench, place: usize| -> Vec<f64> {
            let mut losses = |by: f64| {
                let mut moved = parameters.clone();
                moved[place] += by;
                let metrics = bench.train(&moved, &step);
                let mut losses = losses_and_weights(bench, &metrics).0;
                losses.extend(others(bench, &metrics));
                losses
            };
            let moves = [distance, -distance, 2.0 * distance, -2.0 * distance];
            let [a, b, c, d] = moves.map(&mut losses);
            let slope = |t: usize| (8.0 * (a[t] - b[t]) - (c[t] - d[t])) / (12.0 * distance);
            (0..5).map(|t| slope(t) * given.get(t).unwrap_or(&1.0)).collect()
        };
        let places = block.offset..block.offset + block.len;
        let slopes: Vec<Vec<f64>> =
            places.clone().map(|place| slopes_at(&mut bench, place)).collect();
        // A block belongs to one task if the loss of no other one moves with it.
        let moves = |t: usize| slopes.iter().any(|of_place| of_place[t].abs() > 1e-9);
        let is_shared = (0..3).filter(|t| moves(*t)).count() > 1;
        for (place, slopes) in places.zip(&slopes) {
            // Averages of the gradients of logarithms, of one step of the sixth step's weight.
            let kept = if method == "db_mtl" { 1.0 - 0.9 / 6f64.sqrt() } else { 1.0 };
            let size = |t: usize| if method == "db_mtl" { kept / losses[t] } else { 1.0 };
            let weigh = |t: usize| match is_shared || is_on_losses(method) {
                true => weights[t] * size(t),
                false => 1.0,
            };
            let of_coupling = if is_balanced && is_shared { weights[3] } else { 1.0 };
            let expected: f64 = (0..3).map(|t| weigh(t) * slopes[t]).sum::<f64>()
                + of_coupling * slopes[3]
                + slopes[4];
            let error = (gradients[place] - expected).abs() / expected.abs().max(1e-3);
            assert!(
                error < most,
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
        let spaces: &[&str] = match has_spaces(method) {
            true => &["", "space = \"parameters\""],
            false => &[""],
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
        ("excess_mtl", ""),
        ("db_mtl", ""),
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
fn gradients_from_products_of_rows_are_those_of_the_weighed_losses() {
    for (method, more) in [("upgrad", ""), ("mgda", "observe = 1"), ("nash_mtl", "every = 2")] {
        for architecture in ["kind = \"shared\"", "kind = \"cgc\"", "coupled\nkind = \"shared\""] {
            let balance = format!("method = \"{method}\"\nspace = \"parameters\"\n{more}");
            let architecture = format!("wide\n{architecture}");
            let found = bench(&balance, &architecture, &whole());
            let dispatches = &found.built.program.schedules[0].dispatches;
            assert!(dispatches.iter().any(|d| d.kernel.twin == "row_products"), "{architecture}");
            let error = largest_error(method, &balance, &architecture, &whole());
            println!("{balance}, {architecture}: {error:.1e}");
        }
    }
}

/// The weights that a method gives the tasks in a step.
fn weights_of(method: &str, rows: usize) -> Vec<f64> {
    let balance = format!("method = \"{method}\"\nspace = \"parameters\"");
    let mut bench = bench(&balance, "wide\nkind = \"shared\"", &Tuning { rows, ..whole() });
    let dispatches = bench.built.program.schedules[0].dispatches.iter();
    let by_rows = dispatches.filter(|d| d.kernel.twin == "row_products").count();
    assert_eq!(by_rows > 0, rows > 4, "{rows} rows");
    let (parameters, step) = (bench.random_parameters(4), bench.step(5, 0, 6));
    let metrics = bench.train(&parameters, &step);
    losses_and_weights(&bench, &metrics).1
}

#[test]
fn products_of_rows_are_not_rounded_to_f16() {
    for (unit, is_by_rows) in [(Unit::F32x8, true), (Unit::F16x8, false)] {
        let balance = "method = \"upgrad\"\nspace = \"parameters\"";
        let tuning = whole().with_unit(unit, 32);
        let bench = bench(balance, "wide\nkind = \"shared\"", &tuning);
        let mut dispatches = bench.built.program.schedules[0].dispatches.iter();
        assert_eq!(dispatches.any(|d| d.kernel.twin == "row_products"), is_by_rows, "{unit:?}");
    }
}

#[test]
fn products_of_rows_give_the_weights_of_gradients() {
    for method in ["mgda", "cagrad", "imtl_g", "nash_mtl", "aligned_mtl", "upgrad", "config"] {
        // In chunks of four rows there is a gradient per task.
        let (by_rows, by_gradients) = (weights_of(method, 16), weights_of(method, 4));
        for (a, b) in by_rows.iter().zip(&by_gradients) {
            assert!((a - b).abs() < 1e-9 * b.abs().max(1.0), "{by_rows:?} {by_gradients:?}");
        }
        assert!(by_rows.windows(2).any(|w| w[0] != w[1]), "{by_rows:?}");
    }
}

#[test]
fn couplings_of_logits_are_added_to_balanced_gradients() {
    for rows in [16, 8] {
        let tuning = Tuning { rows, ..whole() };
        for (method, space) in [
            ("log", ""),
            ("gradnorm", ""),
            ("db_mtl", ""),
            ("mgda", ""),
            ("upgrad", "space = \"parameters\"\nobserve = 1"),
        ] {
            let balance = format!("method = \"{method}\"\n{space}");
            let architecture = "coupled\nkind = \"mmoe\"\nexperts = 2";
            let error = largest_error(method, &balance, architecture, &tuning);
            println!("{balance} with a coupling: {error:.1e}");
        }
    }
}

#[test]
fn couplings_of_logits_can_be_one_more_objective() {
    for rows in [16, 8] {
        let tuning = Tuning { rows, ..whole() };
        let kinds = ["shared", "mmoe\"\nexperts = 2#", "dselect_k\"\nexperts = 4\nentropy = 0.25#"];
        for kind in kinds {
            for (method, more) in [
                ("mgda", ""),
                ("upgrad", "space = \"parameters\""),
                ("cagrad", "observe = 1"),
                ("upgrad", "space = \"parameters\"\nobserve = 1"),
            ] {
                let balance = format!("method = \"{method}\"\ncouplings = \"balanced\"\n{more}");
                let architecture = format!("coupled\nkind = \"{kind}\"").replace("#\"", "");
                let error = largest_error(method, &balance, &architecture, &tuning);
                println!("{balance}, {kind}: {error:.1e}");
            }
        }
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
            let more: &[&str] = match method {
                "graddrop" => &["", "space = \"parameters\""],
                method if has_spaces(method) => &[
                    "",
                    "space = \"parameters\"",
                    "every = 3",
                    "space = \"parameters\"\nevery = 3",
                ],
                _ => &[""],
            };
            for more in more {
                let balance = format!("method = \"{method}\"\n{more}\nobserve = 2");
                let mut tables = vec![(balance.clone(), "kind = \"shared\"")];
                if has_spaces(method) {
                    let balance = format!("{balance}\ncouplings = \"balanced\"");
                    tables.push((balance, "coupled\nkind = \"shared\""));
                }
                for (balance, architecture) in tables {
                    let bench = bench(&balance, architecture, &tuning);
                    check(&bench.built.program).unwrap_or_else(|e| panic!("{balance}: {e}"));
                }
            }
        }
    }
}

/// The weights that the twin finds for these products, in a step with this key.
pub fn solve(bench: &mut Bench, products: &[f64], losses: &[f64], step: &Step) -> Vec<f64> {
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
            let mut bench = Bench::new(solver(&table_of(method), tasks), &whole());
            let key = (1000 + number as u32, 7);
            let step = Step { key_low: key.0, key_high: key.1, number: 1, ..Step::default() };
            let found = solve(&mut bench, &products, &vec![1.0; tasks], &step);
            let error = error_of_direction(&jacobian, &found, &weights);
            assert!(error < 1e-6, "{method}, case {number}, {}: {error:e}", case["kind"]);
            (worst, seen) = (worst.max(error), seen + 1);
        }
        assert!(seen > 130, "{method}: {seen} cases");
        println!("{method}: {seen} cases, worst {worst:.1e}");
    }
}

/// The weights that a method gives four tasks in twenty steps with recorded losses and gradients.
fn in_sequence(balance: &str, recorded: &Recorded) -> Vec<Vec<f64>> {
    let heads: String = (0..4).map(|t| format!("[task.t{t}]\n")).collect();
    let tables = format!(
        "[balance]\n{balance}\n[trunk]\nlayers = [2]\n{heads}[optimizer]\nlearning_rate = \
         0.01\n[train]\nbatch_size = 4\n"
    );
    let data = labelled(&tables, 3, 20, 2, &[2; 4], 0.0);
    let mut bench = Bench::new(plan_of(&tables, data, None, &[2; 4]), &whole());
    let b = bench.built.buffers.balance.clone();
    let kernel = bench.plan.objective.method().unwrap().kernel().name;
    let dispatches = bench.built.program.schedules[0].dispatches.iter().enumerate();
    let places: Vec<usize> =
        dispatches.filter(|(_, d)| d.kernel.name == kernel).map(|(place, _)| place).collect();
    let (jacobians, losses, after) = (
        recorded.rows("sequence.jacobians"),
        recorded.rows("sequence.losses"),
        recorded.rows("sequence.losses_after"),
    );
    let mut found = Vec::new();
    for t in 0..20 {
        let state = bench.engine.numbers(bench.built.program.whole(b.balance));
        // What a method scales is measured scaled.
        let is_scaled = balance.contains("gradnorm");
        let scale = |task: usize| if is_scaled { state[task] } else { 1.0 };
        let jacobian: Vec<Vec<f64>> = (0..4)
            .map(|task| jacobians[4 * t + task].iter().map(|x| scale(task) * x).collect())
            .collect();
        let products = products(&jacobian);
        let all = [&products[..], &products, &[1.0; 4], &losses[t], &after[t]].concat();
        bench.engine.set_numbers(b.gramian, 0, &all);
        let step = Step { key_low: 2000 + t as u32, key_high: 7, ..bench.step(t as u64, 0, 4) };
        for place in &places {
            bench.engine.run_dispatch(0, *place, &step).unwrap();
        }
        let next = bench.engine.numbers(bench.built.program.whole(b.next_balance));
        found.push(if is_scaled { state[..4].to_vec() } else { next[..4].to_vec() });
        bench.engine.set_numbers(b.balance, 0, &next);
    }
    found
}

#[test]
fn weights_over_many_steps_are_those_of_the_papers() {
    let recorded = Recorded::read();
    for (name, balance) in [
        ("gradvac", "method = \"gradvac\""),
        ("gradvac_0.5", "method = \"gradvac\"\nbeta = 0.5"),
        ("uncertainty", "method = \"uncertainty\""),
        ("imtl_l", "method = \"imtl_l\""),
        ("log", "method = \"log\""),
        ("geometric", "method = \"geometric\""),
        ("dwa", "method = \"dwa\""),
        ("stch", "method = \"stch\""),
        ("famo", "method = \"famo\""),
        ("gradnorm", "method = \"gradnorm\""),
    ] {
        let expected = recorded.rows(&format!("sequence.{name}"));
        let found = in_sequence(balance, &recorded);
        let mut worst = 0.0f64;
        for (t, (found, expected)) in found.iter().zip(&expected).enumerate() {
            for (found, expected) in found.iter().zip(expected) {
                let error = (found - expected).abs() / expected.abs().max(1e-3);
                assert!(error < 1e-6, "{name}, step {t}: {found} instead of {expected}");
                worst = worst.max(error);
            }
        }
        println!("{name}: {worst:.1e}");
    }
}

#[test]
fn what_is_kept_of_gradients_is_that_of_the_papers() {
    let recorded = Recorded::read();
    for (name, balance) in [
        ("excess_mtl_authors_1", "method = \"excess_mtl\"\nlearning_rate = 1.0"),
        ("excess_mtl_authors_0.01", "method = \"excess_mtl\""),
        ("db_mtl", "method = \"db_mtl\""),
        ("db_mtl_constant", "method = \"db_mtl\"\npower = 0.0"),
    ] {
        let expected = recorded.rows(&format!("sequence.{name}"));
        let mut bench = Bench::new(solver(balance, 4), &whole());
        let b = bench.built.buffers.balance.clone();
        let stride = bench.engine.numbers(bench.built.program.whole(b.memory)).len() / 4;
        let dispatches = &bench.built.program.schedules[0].dispatches;
        let first = dispatches.iter().position(|d| d.kernel.name == "gradient_memory").unwrap();
        let last = dispatches.iter().position(|d| d.kernel.name == "loss_weights").unwrap();
        let (jacobians, losses) =
            (recorded.rows("sequence.jacobians"), recorded.rows("sequence.losses"));
        let mut worst = 0.0f64;
        for (t, expected) in expected.iter().enumerate() {
            for (task, row) in jacobians[4 * t..4 * t + 4].iter().enumerate() {
                bench.engine.set_numbers(b.task_gradients, task * stride, row);
            }
            bench.engine.set_numbers(b.gramian, 2 * 16 + 4, &losses[t]);
            let step = bench.step(t as u64, 0, 4);
            (first..=last).for_each(|place| bench.engine.run_dispatch(0, place, &step).unwrap());
            let next = bench.engine.numbers(bench.built.program.whole(b.next_balance));
            bench.engine.set_numbers(b.balance, 0, &next);
            let memory = bench.engine.numbers(bench.built.program.whole(b.next_memory));
            bench.engine.set_numbers(b.memory, 0, &memory);
            let found = match expected.len() {
                4 => next[..4].to_vec(),
                width => (0..width)
                    .map(|i| (0..4).map(|task| next[task] * memory[task * stride + i]).sum())
                    .collect(),
            };
            let size = expected.iter().fold(0.0f64, |size, x| size.max(x.abs()));
            for (found, expected) in found.iter().zip(expected) {
                let error = (found - expected).abs() / size;
                assert!(error < 1e-6, "{name}, step {t}: {found} instead of {expected}");
                worst = worst.max(error);
            }
        }
        println!("{name}: {worst:.1e}");
    }
}
