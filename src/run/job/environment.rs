//! What a run writes about itself: `environment.json`, and the manifest of each checkpoint.

use serde_json::{Value, json};

use crate::cpu::instructions;
use crate::data::Part;
use crate::kernels::tuning::Tuning;
use crate::measure::tune::Choice;
use crate::run::checkpoint::Context;
use crate::run::machine::Machine;
use crate::run::train::Plan;

/// The parts that the data has.
pub(super) fn parts_of(plan: &Plan) -> Vec<Part> {
    let given = [true, plan.parts.valid.is_some(), plan.parts.test.is_some()];
    Part::ALL.into_iter().zip(given).filter(|(_, given)| *given).map(|(part, _)| part).collect()
}

/// What is written with every checkpoint; `config` is the text of the settings.
pub(super) fn context(plan: &Plan, machine: &Machine, tuning: &Tuning, config: String) -> Context {
    Context {
        network: plan.network.clone(),
        layout: plan.layout.clone(),
        schema: plan.parts.schema.clone(),
        config,
        data: plan.parts.hashes.clone(),
        adapter: machine.name(),
        kernels: [tuning.forward, tuning.backward_input, tuning.backward_weight]
            .map(|p| p.kernel.name.to_owned())
            .into(),
    }
}

/// The contents of `environment.json`.
pub(super) fn environment(
    plan: &Plan,
    machine: &Machine,
    tuning: &Tuning,
    choices: &[Choice],
) -> Value {
    let kernels =
        [tuning.forward, tuning.backward_input, tuning.backward_weight].map(|p| p.kernel.name);
    let (adapter, limits) = match machine {
        Machine::Device(gpu) => (
            json!(gpu.entry),
            json!({
                "storage_binding_bytes": gpu.limits.max_storage_buffer_binding_size,
                "buffer_bytes": gpu.limits.max_buffer_size,
            }),
        ),
        Machine::Cpu(cpu) => (
            json!({
                "name": "cpu",
                "threads": cpu.threads.number(),
                "instructions": instructions(),
            }),
            Value::Null,
        ),
        Machine::Reference => (json!("reference"), Value::Null),
    };
    let hashes: serde_json::Map<String, Value> =
        plan.parts.hashes.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let rows: serde_json::Map<String, Value> =
        plan.named_parts().iter().map(|(n, d)| (n.to_string(), json!(d.rows))).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "commit": Some(env!("TANDEM_COMMIT")).filter(|commit| !commit.is_empty()),
        "adapter": adapter,
        "reason": machine.describe(),
        "limits": limits,
        "kernels": {"class": tuning.class, "products": kernels, "tiles": choices},
        "data": hashes,
        "rows": rows,
    })
}
