//! The weights that `tests/pytorch/balance.py` has recorded, and how found ones are compared with
//! them.

use std::path::Path;

use safetensors::SafeTensors;
use serde_json::Value;
use tandem::run::train::Plan;

use super::{labelled, plan_of};

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
pub fn solver(balance: &str, tasks: usize) -> Plan {
    let heads: String = (0..tasks).map(|t| format!("[task.t{t}]\n")).collect();
    let tables = format!(
        "[balance]\n{balance}\n[trunk]\nlayers = [2]\n{heads}[train]\nbatch_size = \"full\"\n"
    );
    let classes = vec![2; tasks];
    let data = labelled(&tables, 3, 4, 2, &classes, 0.0);
    plan_of(&tables, data, None, &classes)
}

/// The products of the rows of a matrix.
pub fn products(jacobian: &[Vec<f64>]) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    jacobian.iter().flat_map(|a| jacobian.iter().map(move |b| dot(a, b))).collect()
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
pub fn says_something(method: &str, case: &Value, products: &[f64], tasks: usize) -> bool {
    let has = |key: &str| case[key].as_array().is_some_and(|list| list.iter().any(|m| m == method));
    let trace: f64 = (0..tasks).map(|t| products[t * (tasks + 1)]).sum();
    let is_small = matches!(method, "upgrad" | "dual_proj") && trace < 1e-4;
    // Where its sum vanishes imtl_g has no solution; we weigh equally, TorchJD by zeros.
    let has_no_sum =
        method == "imtl_g" && matches!(case["kind"].as_str(), Some("sum_is_zero" | "opposite"));
    !has("undefined") && case["kind"] != "zero_row" && !is_small && !has_no_sum
}

/// The distance of the direction of some weights from that of the expected ones, relative to its
/// length. A direction that is nothing is compared with the gradients.
pub fn error_of_direction(jacobian: &[Vec<f64>], found: &[f64], expected: &[f64]) -> f64 {
    let [found, expected] = [found, expected].map(|weights| direction(jacobian, weights));
    let parts: Vec<f64> = jacobian.iter().map(|row| norm(row) / jacobian.len() as f64).collect();
    let is_nothing = norm(&expected) <= 1e-9 * norm(&parts);
    let size = if is_nothing { norm(&parts) } else { norm(&expected) };
    let difference: Vec<f64> = found.iter().zip(&expected).map(|(a, b)| a - b).collect();
    norm(&difference) / size.max(1e-300)
}
