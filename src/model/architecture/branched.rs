//! `branched`: a tree of layers. The groups of tasks that share a layer are given, or the tree is
//! learned: each layer has as many nodes as there are tasks, and each node, and each task, chooses
//! one node of the layer below (Guo, Lee and Ulbricht, "Learning to branch for multi-task
//! learning", ICML 2020).

use std::collections::HashMap;

use super::columns::{add_head, constant, layer, node};
use crate::config::{Branches, Falling};
use crate::model::graph::{By, Draft, NodeId, Owner, Rule, Source, Start};
use crate::model::network::Network;

/// Adds all nodes of a network with a given tree. All its layers count as shared, also those of
/// one task alone.
pub fn given(network: &Network, draft: &mut Draft, branches: &Branches) -> Result<(), String> {
    let mut from = vec![Source::Inputs; network.tasks.len()];
    let names = network.tasks.iter().map(|task| task.name.as_str());
    let places: HashMap<&str, usize> = names.zip(0..).collect();
    for (depth, groups) in branches.iter().enumerate() {
        for (number, group) in groups.iter().enumerate() {
            let place = |name: &String| places.get(name.as_str()).copied();
            let tasks: Vec<usize> = group.iter().filter_map(place).collect();
            let below = tasks.first().map_or(Source::Inputs, |task| from[*task]);
            let name = format!("branch.{depth}.{number}");
            let layer = layer(&network.trunk, depth, name, Owner::Shared, "branches");
            let here = draft.column(below, [layer])?;
            tasks.into_iter().for_each(|task| from[task] = here);
        }
    }
    let tasks = network.tasks.iter().zip(from).enumerate();
    tasks.into_iter().try_for_each(|(task, (own, from))| add_head(draft, from, task, own))
}

/// Adds all nodes of a network whose tree is learned.
pub fn learned(network: &Network, draft: &mut Draft, falling: Falling) -> Result<(), String> {
    let count = network.tasks.len();
    let rule = Rule::Gumbel { from: falling.from, to: falling.to };
    let chosen = |draft: &mut Draft, name: String, owner, below: &[NodeId]| {
        let gate = draft.push(constant(name.clone(), below.len(), owner, Start::Usual))?;
        draft.mix(&format!("{name}.mix"), below, By::Gate { gate, rule })
    };
    let mut below: Vec<NodeId> = Vec::new();
    for depth in 0..network.trunk.layers.len() {
        let mut here = Vec::with_capacity(count);
        for number in 0..count {
            let name = format!("branch.{depth}.{number}");
            let from = match below.is_empty() {
                true => Source::Inputs,
                false => {
                    let parent = format!("{name}.parent");
                    Source::Node(chosen(draft, parent, Owner::Shared, &below)?)
                }
            };
            let layer = layer(&network.trunk, depth, name, Owner::Shared, "branches");
            here.push(node(draft.column(from, [layer])?)?);
        }
        below = here;
    }
    for (task, own) in network.tasks.iter().enumerate() {
        let parent = format!("task.{}.parent", own.name);
        let mix = chosen(draft, parent, Owner::Task(task), &below)?;
        add_head(draft, Source::Node(mix), task, own)?;
    }
    Ok(())
}
