//! Every architecture: its gradient by differences of the step's own loss, how many dispatches its
//! step takes, and what its configuration refuses.

use crate::common::{Bench, labelled, plan, plan_of, synthetic, whole};
use tandem::kernels::tuning::Tuning;
use tandem::schedule::MetricKind;

/// The tables `[architecture]` of all kinds, each with a name for messages.
const KINDS: [(&str, &str); 12] = [
    ("separate", "kind = \"separate\""),
    ("mmoe", "kind = \"mmoe\"\nexperts = 3"),
    ("omoe", "kind = \"mmoe\"\nexperts = 2\ngates = \"one\""),
    ("cgc", "kind = \"cgc\"\nexperts = 1\ntask_experts = 2"),
    ("ple", "kind = \"ple\"\nexperts = 2\ntask_experts = 1\nlevels = 2"),
    ("cross_stitch", "kind = \"cross_stitch\"\nown = 0.8"),
    ("mtan", "kind = \"mtan\""),
    ("dselect_k", "kind = \"dselect_k\"\nexperts = 4\nsmooth = 16.0\nentropy = 0.5"),
    (
        "dselect_k by task",
        "kind = \"dselect_k\"\nexperts = 5\nselect = 3\ngates = \"task\"\nsmooth = 16.0\n\
         entropy = 0.5",
    ),
    ("dselect_k of one", "kind = \"dselect_k\"\nexperts = 1\nselect = 1"),
    (
        "branched",
        "kind = \"branched\"\nbranches = [[[\"a\", \"b\", \"c\"]], [[\"b\"], [\"a\", \"c\"]]]",
    ),
    ("branched, learned", "kind = \"branched\"\nlearn = true\ntemperature = [2.0, 0.5]"),
];

/// Three tasks of three types with towers, dropout, weights and couplings.
fn tables(architecture: &str) -> String {
    format!(
        r#"
[architecture]
{architecture}
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
layers = [4]
activation = "tanh"
weight = 1.5
[task.c]
type = "regression"
target = ["c", "d"]
weight = 0.5
[[coupling]]
kind = "agreement"
strength = 0.5
[train]
batch_size = "full"
"#
    )
}

/// The total loss of a step, from its metrics.
fn total(bench: &Bench, metrics: &[f64]) -> f64 {
    let objective = &bench.plan.objective;
    let all = bench.built.program.metrics.iter().zip(metrics);
    all.map(|(kind, value)| match kind {
        MetricKind::Loss(task) => f64::from(objective.weights[*task]) * value,
        MetricKind::Coupling(pair) => f64::from(objective.pairs[*pair].strength) * value,
        MetricKind::GateEntropy(_) => objective.entropy * value,
        _ => 0.0,
    })
    .sum()
}

/// Compares every gradient of a step with differences of the loss of the same step, and returns the
/// largest error. The step has dropout, towers, a task of each shape, and blanks.
fn largest_error(name: &str, architecture: &str, tuning: &Tuning) -> f64 {
    let tables = tables(architecture);
    let data = labelled(&tables, 3, 16, 6, &[3, 3, 1], 0.2);
    let mut bench = Bench::new(plan_of(&tables, data, None, &[3, 3, 1]), tuning);
    let parameters = bench.random_parameters(4);
    bench.poison();
    // A batch with fewer rows than the others, as the last one of an epoch.
    let step = bench.step(5, 0, 13);
    bench.train(&parameters, &step);
    let gradients = bench.gradients();
    let (mut worst, distance) = (0.0f64, 1e-4);
    for block in bench.plan.layout.blocks.clone() {
        let mut largest = 0.0f64;
        for place in block.offset..block.offset + block.len {
            let mut loss = |by: f64| {
                let mut moved = parameters.clone();
                moved[place] += by;
                let metrics = bench.train(&moved, &step);
                total(&bench, &metrics)
            };
            let near = loss(distance) - loss(-distance);
            let far = loss(2.0 * distance) - loss(-2.0 * distance);
            let expected = (8.0 * near - far) / (12.0 * distance);
            let error = (gradients[place] - expected).abs() / expected.abs().max(1e-3);
            assert!(
                error < 1e-6,
                "{name}: {} [{}]: gradient {:e}, by differences {expected:e}",
                block.name,
                place - block.offset,
                gradients[place]
            );
            (worst, largest) = (worst.max(error), largest.max(expected.abs()));
        }
        // The weights of one expert alone are always 1.
        let moves = !name.contains("of one") || !block.name.contains("gate");
        assert!(largest > 1e-5 || !moves, "{name}: {} has no gradient", block.name);
    }
    worst
}

#[test]
fn gradients_of_every_architecture_are_those_of_its_loss() {
    for (name, architecture) in KINDS {
        let error = largest_error(name, architecture, &whole());
        println!("{name}: {error:.1e}");
    }
}

#[test]
fn gradients_of_every_architecture_add_up_over_chunks() {
    for (name, architecture) in KINDS {
        let tuning = Tuning { rows: 8, ..whole() };
        let error = largest_error(name, architecture, &tuning);
        println!("{name} in chunks: {error:.1e}");
    }
}

/// The kernels of a training step of two-layer experts or columns for this many tasks.
fn step_of(architecture: &str, tasks: usize, coupling: &str) -> Vec<&'static str> {
    let task = |t: usize| format!("[task.t{t}]\n");
    let tasks: String = (0..tasks).map(task).collect();
    let text = format!(
        "[architecture]\n{architecture}\n[trunk]\nlayers = [8, 6]\n{tasks}{coupling}[train]\n\
         batch_size = 16\n"
    );
    let classes = vec![3; text.matches("[task.").count()];
    let plan = plan(&text, synthetic(1, 32, 5, &classes), &classes);
    let built = plan.build(&whole()).unwrap();
    let schedule = &built.program.schedules[built.train.unwrap()];
    schedule.dispatches.iter().map(|dispatch| dispatch.kernel.name).collect()
}

#[test]
fn dispatches_of_a_step_grow_neither_with_experts_nor_with_tasks() {
    let coupling = "[[coupling]]\nkind = \"soft_sharing\"\n";
    let kinds: [(&str, &[&str]); 9] = [
        ("kind = \"separate\"", &[]),
        ("kind = \"mmoe\"", &["experts = 2", "experts = 16"]),
        ("kind = \"mmoe\"\ngates = \"one\"", &["experts = 2", "experts = 16"]),
        ("kind = \"cgc\"", &["task_experts = 2", "task_experts = 16"]),
        ("kind = \"ple\"", &["experts = 2", "experts = 16"]),
        ("kind = \"cross_stitch\"", &[]),
        ("kind = \"mtan\"", &[]),
        ("kind = \"dselect_k\"", &["experts = 2", "experts = 16"]),
        ("kind = \"branched\"\nlearn = true", &[]),
    ];
    for (kind, variants) in kinds {
        let expected = step_of(kind, 2, coupling);
        println!("{kind}: {} dispatches", expected.len());
        assert_eq!(step_of(kind, 32, coupling), expected, "{kind}, 32 tasks");
        for variant in variants {
            let architecture = format!("{kind}\n{variant}");
            assert_eq!(step_of(&architecture, 2, coupling), expected, "{architecture}");
        }
    }
    let mmoe = step_of("kind = \"mmoe\"", 2, coupling).len();
    assert!(mmoe <= 22, "{mmoe} dispatches");
}
