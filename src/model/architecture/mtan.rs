//! `mtan`: a shared net, and for each task masks on its layers: a task's features of a layer are
//! `sigmoid(A [previous; shared]) ⊙ shared`, with the task's own features of the layer before as
//! `previous` (Liu, Johns and Davison, "End-to-end multi-task learning with attention", CVPR 2019,
//! equations 1 and 2, for dense layers and with one matrix per attention).

use super::columns::{add_head, gate, node, trunk};
use crate::model::graph::{By, Draft, NodeId, Owner, Source};
use crate::model::network::Network;

/// Adds all nodes of a network.
pub fn nodes(network: &Network, draft: &mut Draft) -> Result<(), String> {
    let mut shared = Vec::new();
    let mut from = Source::Inputs;
    for layer in trunk(&network.trunk, "trunk", Owner::Shared) {
        from = draft.column(from, [layer])?;
        shared.push(node(from)?);
    }
    for (task, own) in network.tasks.iter().enumerate() {
        let mut previous = None;
        for (depth, &values) in shared.iter().enumerate() {
            previous = Some(masked(network, draft, task, depth, values, previous)?);
        }
        let from = previous.map_or(Source::Inputs, Source::Node);
        add_head(draft, from, task, own)?;
    }
    Ok(())
}

/// Adds a task's features of a layer, and the gates of their mask.
fn masked(
    network: &Network,
    draft: &mut Draft,
    task: usize,
    depth: usize,
    shared: NodeId,
    previous: Option<NodeId>,
) -> Result<NodeId, String> {
    let name = format!("task.{}.mask.{depth}", network.tasks[task].name);
    let width = network.trunk.layers[depth];
    let read = [("shared", Some(shared)), ("previous", previous)];
    let gates = read.into_iter().filter_map(|(word, from)| Some((word, from?)));
    let gates = gates.map(|(word, from)| {
        draft.push(gate(format!("{name}.{word}"), Source::Node(from), width, Owner::Task(task)))
    });
    let gates = gates.collect::<Result<Vec<NodeId>, String>>()?;
    draft.mix(&format!("{name}.mix"), &[shared], By::Mask(gates))
}
