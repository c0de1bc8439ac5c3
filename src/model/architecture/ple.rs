//! `cgc` and `ple`: shared experts and experts of each task, mixed by a gate per task over both;
//! `ple` has several levels of it, with a gate of the shared experts below the top (Tang et al.,
//! "Progressive layered extraction (PLE)", RecSys 2020, sections 4.1 and 4.2).

use super::columns::{add_head, expert, gate, node};
use crate::model::graph::{By, Draft, NodeId, Owner, Rule, Source};
use crate::model::network::Network;

/// The number of experts per level.
#[derive(Clone, Copy, Debug)]
pub struct Experts {
    /// Experts that all tasks share.
    pub shared: usize,
    /// Experts of each task.
    pub own: usize,
}

/// Adds all nodes of a network.
pub fn nodes(
    network: &Network,
    draft: &mut Draft,
    experts: Experts,
    levels: usize,
) -> Result<(), String> {
    let mut own = vec![Source::Inputs; network.tasks.len()];
    let mut shared = Source::Inputs;
    for level in 0..levels {
        let place = if levels == 1 { String::new() } else { format!("level.{level}.") };
        let top = level + 1 == levels;
        (own, shared) = add_level(network, draft, experts, &place, (own, shared), top)?;
    }
    let tasks = network.tasks.iter().zip(own).enumerate();
    tasks.into_iter().try_for_each(|(task, (own, from))| add_head(draft, from, task, own))
}

/// Adds a level, whose tasks and shared experts read these values, and returns what it makes of
/// them. The top level makes none of the shared experts.
fn add_level(
    network: &Network,
    draft: &mut Draft,
    experts: Experts,
    place: &str,
    (own, shared): (Vec<Source>, Source),
    top: bool,
) -> Result<(Vec<Source>, Source), String> {
    let add = |draft: &mut Draft, from, prefix: &str, owner, count: usize| {
        let one = |number: usize| {
            let name = format!("{prefix}expert.{number}");
            node(draft.column(from, expert(&network.trunk, &name, owner))?)
        };
        (0..count).map(one).collect::<Result<Vec<NodeId>, String>>()
    };
    let prefixes: Vec<String> =
        network.tasks.iter().map(|task| format!("task.{}.{place}", task.name)).collect();
    let common = add(draft, shared, place, Owner::Shared, experts.shared)?;
    let mut of_tasks = Vec::with_capacity(own.len());
    for (task, (from, prefix)) in own.iter().zip(&prefixes).enumerate() {
        of_tasks.push(add(draft, *from, prefix, Owner::Task(task), experts.own)?);
    }
    let mixed = |draft: &mut Draft, from, prefix: &str, owner, terms: &[NodeId]| {
        let gate = draft.push(gate(format!("{prefix}gate"), from, terms.len(), owner))?;
        let by = By::Gate { gate, rule: Rule::Softmax };
        draft.mix(&format!("{prefix}mix"), terms, by).map(Source::Node)
    };
    let mut made = Vec::with_capacity(own.len());
    for (task, (from, prefix)) in own.iter().zip(&prefixes).enumerate() {
        let terms: Vec<NodeId> = of_tasks[task].iter().chain(&common).copied().collect();
        made.push(mixed(draft, *from, prefix, Owner::Task(task), &terms)?);
    }
    let shared = match top {
        true => shared,
        false => {
            let terms: Vec<NodeId> = of_tasks.iter().flatten().chain(&common).copied().collect();
            mixed(draft, shared, place, Owner::Shared, &terms)?
        }
    };
    Ok((made, shared))
}
