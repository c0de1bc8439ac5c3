//! `cross_stitch`: a column of layers per task; after each layer `x̃_i = Σ_j α_ij x_j` over the
//! columns, with learned α (Misra et al., "Cross-stitch networks for multi-task learning", CVPR
//! 2016, equation 1, with one α per pair of tasks and layer).

use super::columns::{add_head, constant, layer, node};
use crate::model::graph::{By, Draft, NodeId, Owner, Rule, Source, Start};
use crate::model::network::Network;

/// Adds all nodes of a network.
pub fn nodes(network: &Network, draft: &mut Draft, own: f64) -> Result<(), String> {
    let mut columns = vec![Source::Inputs; network.tasks.len()];
    let name = |task: usize| format!("task.{}", network.tasks[task].name);
    for depth in 0..network.trunk.layers.len() {
        let mut layers = Vec::with_capacity(columns.len());
        for (task, from) in columns.iter().enumerate() {
            let owner = Owner::Task(task);
            let called = format!("{}.trunk.{depth}", name(task));
            let layer = layer(&network.trunk, depth, called, owner, "trunks");
            layers.push(node(draft.column(*from, [layer])?)?);
        }
        for (task, column) in columns.iter_mut().enumerate() {
            *column = Source::Node(stitch(draft, task, depth, &name(task), &layers, own)?);
        }
    }
    let tasks = network.tasks.iter().zip(columns).enumerate();
    tasks.into_iter().try_for_each(|(task, (own, from))| add_head(draft, from, task, own))
}

/// Adds what a task reads after a layer of all columns.
fn stitch(
    draft: &mut Draft,
    task: usize,
    depth: usize,
    name: &str,
    layers: &[NodeId],
    own: f64,
) -> Result<NodeId, String> {
    let start = Start::Own { place: task, share: own };
    let called = format!("{name}.stitch.{depth}");
    let gate = draft.push(constant(called.clone(), layers.len(), Owner::Task(task), start))?;
    draft.mix(&format!("{called}.mix"), layers, By::Gate { gate, rule: Rule::Linear })
}
