//! Whole trainings are compared with PyTorch: fifty full-batch steps of each case from given
//! parameters, through the training loop that users run. Balanced cases follow TorchJD, or the
//! formulas of LibMTL, in float64.
//!
//! The numbers in `pytorch/` are from PyTorch in float64. PyTorch's own float32 run differs from
//! them by up to 2e-7 in a loss and 3e-7 in the parameters (norm). The reference differs in what
//! the step table rounds to f32 (learning rate, 1 / rows) and in the update's constants.

use std::path::PathBuf;

use crate::common::{cpu, device};
use anyhow::Result;
use safetensors::{SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use tandem::data::Dataset;
use tandem::run::machine::Machine;
use tandem::run::train::point::Point;
use tandem::run::train::{Ended, Observer, Options, Plan, train};

/// The largest relative differences from PyTorch; the parameters' is in norm, that of the weights
/// of the tasks beside the largest weight of the step.
#[derive(Debug)]
struct Deviation {
    loss: f64,
    parameters: f64,
    weights: f64,
}

/// How far the reference may deviate: some roundings to f32.
const REFERENCE: Deviation = Deviation { loss: 1e-6, parameters: 1e-6, weights: 1e-5 };
/// How far a device may deviate: it computes in f32 for fifty steps.
const DEVICE: Deviation = Deviation { loss: 1e-5, parameters: 1e-4, weights: 1e-4 };

fn check(name: &str, machine: Machine, most: &Deviation) {
    let found = run_case(name, machine);
    println!("{name}: {found:?}");
    assert!(
        found.parameters <= most.parameters,
        "{name}: final parameters deviate by {:e}, at most {:e}",
        found.parameters,
        most.parameters
    );
    assert!(
        found.loss <= most.loss,
        "{name}: a loss deviates by {:e}, at most {:e}",
        found.loss,
        most.loss
    );
    assert!(
        found.weights <= most.weights,
        "{name}: the weight of a task deviates by {:e}, at most {:e}",
        found.weights,
        most.weights
    );
}

/// Trains a case and compares every step.
fn run_case(name: &str, machine: Machine) -> Deviation {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch");
    let record: Value =
        serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json"))).unwrap())
            .unwrap();
    let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();

    let plan = plan_of(&record, &tensors);
    let options =
        Options { initial: Some(arena(&plan, &tensors, "initial")), ..Options::default() };
    let mut points = Points::default();
    let outcome =
        train(&plan, machine, options, &mut points).unwrap_or_else(|e| panic!("{name}: {e:#}"));
    assert!(matches!(outcome.ended, Ended::Finished), "{name}: {:?}", outcome.ended);

    let expected = arena(&plan, &tensors, "final");
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let distance =
        square(&mut outcome.last.iter().zip(&expected).map(|(a, b)| f64::from(*a) - f64::from(*b)));
    let parameters = distance / square(&mut expected.iter().map(|x| f64::from(*x)));
    let loss = compare_points(name, &plan, &record, &points.0);
    Deviation { loss, parameters, weights: compare_weights(name, &tensors, &points.0) }
}

/// The largest difference of a weight that a balancer gave a task.
fn compare_weights(name: &str, tensors: &SafeTensors, points: &[Point]) -> f64 {
    let Ok(expected) = tensors.tensor("weights") else { return 0.0 };
    let expected: Vec<f64> = expected
        .data()
        .chunks_exact(8)
        .map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let mut worst: f64 = 0.0;
    let tasks = expected.len() / points.len();
    for (point, expected) in points.iter().zip(expected.chunks_exact(tasks)) {
        assert_eq!(point.weights.len(), tasks, "{name}: step {}: weights", point.step);
        let most = expected.iter().fold(0.0f64, |most, w| most.max(w.abs()));
        for (found, expected) in point.weights.iter().zip(expected) {
            worst = worst.max((found - expected).abs() / most);
        }
    }
    worst
}

/// Keeps the points of a run.
#[derive(Default)]
struct Points(Vec<Point>);

impl Observer for Points {
    fn point(&mut self, point: &Point) -> Result<()> {
        self.0.push(point.clone());
        Ok(())
    }
}

/// The largest relative difference of a total loss, a task's loss or a coupling's value.
fn compare_points(name: &str, plan: &Plan, record: &Value, points: &[Point]) -> f64 {
    let steps = record["loss"].as_array().unwrap().len();
    let numbers: Vec<u64> = points.iter().map(|p| p.step).collect();
    assert_eq!(numbers, (1..=steps as u64).collect::<Vec<_>>(), "{name}: steps with a point");
    let mut worst: f64 = 0.0;
    for (i, point) in points.iter().enumerate() {
        let mut compare = |what: &str, found: f64, expected: &Value| {
            let expected = expected.as_f64().unwrap();
            let error = (found - expected).abs() / expected.abs();
            assert!(
                error < 1e-3,
                "{name}: step {}: {what} is {found}, in PyTorch {expected}",
                i + 1
            );
            worst = worst.max(error);
        };
        compare("the loss", point.loss.unwrap(), &record["loss"][i]);
        for (task, found) in plan.config.tasks.iter().zip(&point.tasks) {
            compare(
                &format!("the loss of {}", task.name),
                found.loss.unwrap(),
                &record["task_loss"][&task.name][i],
            );
        }
        for (pair, found) in point.couplings.iter().enumerate() {
            compare(&format!("coupling {pair}"), *found, &record["coupling"][pair][i]);
        }
        if let Some(entropy) = record.get("gate_entropy") {
            compare("the entropy of the gates", point.gate_entropy.unwrap(), &entropy[i]);
        }
        let rate = record["learning_rate"][i].as_f64().unwrap();
        assert!(
            (point.learning_rate - rate).abs() <= 1e-15,
            "{name}: step {}: learning rate {}, {rate}",
            i + 1,
            point.learning_rate
        );
    }
    worst
}

/// The case as settings and data of this program.
fn plan_of(record: &Value, tensors: &SafeTensors) -> Plan {
    let tasks = record["tasks"].as_array().unwrap();
    let classes: Vec<usize> =
        tasks.iter().map(|t| t["classes"].as_u64().unwrap() as usize).collect();
    let width = record["inputs"].as_u64().unwrap() as usize;
    let labels: Vec<u32> = words(&tensors.tensor("labels").unwrap()).collect();
    let column = |task: usize| labels.iter().skip(task).step_by(classes.len()).copied().collect();
    let features = floats(&tensors.tensor("features").unwrap());
    let data =
        Dataset::from_arrays(width, features, (0..classes.len()).map(column).collect()).unwrap();
    assert_eq!(data.rows as u64, record["rows"].as_u64().unwrap());
    crate::common::plan(&settings(record), data, &classes)
}

/// The settings of a case as TOML; numbers, texts and lists are written the same in JSON and TOML.
fn settings(record: &Value) -> String {
    let mut text = format!(
        "[trunk]\nlayers = {}\nactivation = {}\n",
        record["trunk"]["layers"], record["trunk"]["activation"]
    );
    if let Some(architecture) = record["architecture"].as_object() {
        text += "[architecture]\n";
        for (key, value) in architecture {
            text += &format!("{key} = {value}\n");
        }
    }
    for task in record["tasks"].as_array().unwrap() {
        text += &format!(
            "[task.{}]\nlayers = {}\nweight = {}\n",
            task["name"].as_str().unwrap(),
            task["layers"],
            task["weight"]
        );
    }
    for coupling in record["couplings"].as_array().unwrap() {
        let (kind, strength, pairs) =
            (&coupling["kind"], &coupling["strength"], &coupling["pairs"]);
        text += &format!("[[coupling]]\nkind = {kind}\nstrength = {strength}\npairs = {pairs}\n");
    }
    for table in ["optimizer", "balance"] {
        let Some(keys) = record[table].as_object() else { continue };
        text += &format!("[{table}]\n");
        for (key, value) in keys {
            text += &format!("{key} = {value}\n");
        }
    }
    let whole = json!({"epochs": record["steps"], "batch_size": "full"});
    text += "[train]\nlog_every = \"1s\"\n";
    for (key, value) in record["train"].as_object().or(whole.as_object()).unwrap() {
        text += &format!("{key} = {value}\n");
    }
    text
}

/// The tensors `STAGE.NAME` as an arena.
fn arena(plan: &Plan, tensors: &SafeTensors, stage: &str) -> Vec<f32> {
    let mut arena = vec![0.0; plan.layout.len];
    for block in &plan.layout.blocks {
        let tensor = tensors.tensor(&format!("{stage}.{}", block.name)).unwrap();
        assert_eq!(tensor.shape(), block.shape, "{stage}.{}", block.name);
        arena[block.offset..block.offset + block.len].copy_from_slice(&floats(&tensor));
    }
    let of_stage =
        tensors.names().into_iter().filter(|n| n.starts_with(&format!("{stage}."))).count();
    assert_eq!(of_stage, plan.layout.blocks.len(), "tensors and blocks");
    arena
}

fn words(tensor: &TensorView) -> impl Iterator<Item = u32> {
    tensor.data().chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

fn floats(tensor: &TensorView) -> Vec<f32> {
    words(tensor).map(f32::from_bits).collect()
}

#[test]
fn reference_adam_relu() {
    check("adam_relu", Machine::Reference, &REFERENCE);
}

#[test]
fn reference_adamw_gelu_towers() {
    check("adamw_gelu_towers", Machine::Reference, &REFERENCE);
}

#[test]
fn reference_sgd_tanh_clip() {
    check("sgd_tanh_clip", Machine::Reference, &REFERENCE);
}

#[test]
fn reference_adam_silu_notrunk() {
    check("adam_silu_notrunk", Machine::Reference, &REFERENCE);
}

#[test]
fn device_adam_relu() {
    check("adam_relu", device(), &DEVICE);
}

#[test]
fn device_adamw_gelu_towers() {
    check("adamw_gelu_towers", device(), &DEVICE);
}

#[test]
fn device_sgd_tanh_clip() {
    check("sgd_tanh_clip", device(), &DEVICE);
}

#[test]
fn device_adam_silu_notrunk() {
    check("adam_silu_notrunk", device(), &DEVICE);
}

/// The recorded runs of the usual network.
const PLAIN: [&str; 4] = ["adam_relu", "adamw_gelu_towers", "sgd_tanh_clip", "adam_silu_notrunk"];

#[test]
fn cpu_all() {
    let names = PLAIN.iter().chain(&ARCHITECTURES).chain(&BALANCERS);
    names.for_each(|name| check(name, cpu(2), &DEVICE));
}

/// The recorded architectures.
const ARCHITECTURES: [&str; 11] = [
    "arch_separate",
    "arch_mmoe",
    "arch_omoe",
    "arch_cgc",
    "arch_ple",
    "arch_cross_stitch",
    "arch_mtan",
    "arch_dselect_k_row",
    "arch_dselect_k_task",
    "arch_branched",
    "arch_branched_learned",
];

#[test]
fn reference_architectures() {
    ARCHITECTURES.iter().for_each(|name| check(name, Machine::Reference, &REFERENCE));
}

#[test]
fn device_architectures() {
    ARCHITECTURES.iter().for_each(|name| check(name, device(), &DEVICE));
}

/// The recorded balancers.
const BALANCERS: [&str; 20] = [
    "balance_aligned_mtl_representation",
    "balance_cagrad_representation",
    "balance_config",
    "balance_couplings",
    "balance_couplings_added",
    "balance_couplings_representation",
    "balance_dual_proj_representation",
    "balance_dwa",
    "balance_famo",
    "balance_geometric",
    "balance_imtl_g",
    "balance_imtl_l",
    "balance_log",
    "balance_mgda",
    "balance_nash_mtl",
    "balance_rows",
    "balance_stch",
    "balance_uncertainty",
    "balance_upgrad",
    "balance_upgrad_representation",
];

#[test]
fn reference_balancers() {
    BALANCERS.iter().for_each(|name| check(name, Machine::Reference, &REFERENCE));
}

#[test]
fn device_balancers() {
    BALANCERS.iter().for_each(|name| check(name, device(), &DEVICE));
}
