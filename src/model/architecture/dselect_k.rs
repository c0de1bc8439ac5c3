//! `dselect_k`: shared experts, of which a gate per task chooses at most k by binary codes and a
//! smooth step (Hazimeh et al., "DSelect-k: differentiable selection in the mixture of experts",
//! NeurIPS 2021). The gate reads the row, or is the same for all rows.

use super::columns::{add_head, constant, gate};
use super::mmoe::shared_experts;
use crate::config::SelectGates;
use crate::model::graph::{By, Draft, Node, Owner, Rule, Source, Start};
use crate::model::network::Network;

/// Adds all nodes of a network; `rule` is that of all gates.
pub fn nodes(
    network: &Network,
    draft: &mut Draft,
    experts: usize,
    rule: Rule,
    gates: SelectGates,
) -> Result<(), String> {
    let experts = shared_experts(network, draft, experts)?;
    let values = rule.values(experts.len());
    for (task, own) in network.tasks.iter().enumerate() {
        let (name, owner) = (format!("task.{}.gate", own.name), Owner::Task(task));
        // Inside the smooth step, where its slope is not zero.
        let start = match rule {
            Rule::Select { smooth, .. } => Start::Uniform(smooth / 100.0),
            _ => Start::Usual,
        };
        let gate = draft.push(match gates {
            SelectGates::Row => Node { start, ..gate(name, Source::Inputs, values, owner) },
            SelectGates::Task => constant(name, values, owner, start),
        })?;
        let mix =
            draft.mix(&format!("task.{}.mix", own.name), &experts, By::Gate { gate, rule })?;
        add_head(draft, Source::Node(mix), task, own)?;
    }
    Ok(())
}
