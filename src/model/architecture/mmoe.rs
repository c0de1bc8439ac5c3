//! `mmoe`: shared experts, mixed for each task by a gate of its own: `Σ_e softmax(G_t x)_e f_e(x)`
//! (Ma et al., "Modeling task relationships in multi-task learning with multi-gate
//! mixture-of-experts", KDD 2018, equations 4 to 6); with one gate for all tasks it is their OMoE.

use super::columns::{add_head, expert, gate, node};
use crate::config::Gates;
use crate::model::graph::{By, Draft, NodeId, Owner, Rule, Source};
use crate::model::network::Network;

/// Adds all nodes of a network.
pub fn nodes(
    network: &Network,
    draft: &mut Draft,
    experts: usize,
    gates: Gates,
) -> Result<(), String> {
    let experts = shared_experts(network, draft, experts)?;
    let mixed = |draft: &mut Draft, prefix: &str, owner| {
        let values = experts.len();
        let gate = draft.push(gate(format!("{prefix}gate"), Source::Inputs, values, owner))?;
        let by = By::Gate { gate, rule: Rule::Softmax };
        draft.mix(&format!("{prefix}mix"), &experts, by).map(Source::Node)
    };
    let common = match gates {
        Gates::One => Some(mixed(draft, "", Owner::Shared)?),
        Gates::Task => None,
    };
    for (task, own) in network.tasks.iter().enumerate() {
        let from = match common {
            Some(common) => common,
            None => mixed(draft, &format!("task.{}.", own.name), Owner::Task(task))?,
        };
        add_head(draft, from, task, own)?;
    }
    Ok(())
}

/// Adds experts that all tasks share and that read the inputs: their last layers.
pub fn shared_experts(
    network: &Network,
    draft: &mut Draft,
    count: usize,
) -> Result<Vec<NodeId>, String> {
    let one = |number: usize| {
        let name = format!("expert.{number}");
        node(draft.column(Source::Inputs, expert(&network.trunk, &name, Owner::Shared))?)
    };
    (0..count).map(one).collect()
}
