//! What exports ask of a trained network: its parameters by node, and which nodes outputs need.

use crate::model::file::Model;
use crate::model::graph::{By, Node, NodeId, Op, Role, Rule};
use crate::model::layout::Block;

/// Whether an output depends on each node, by place: of the terms of a choice, on the one alone
/// that was chosen.
pub(super) fn needed(model: &Model) -> Vec<bool> {
    let nodes: Vec<(NodeId, &Node)> = model.layout.graph.nodes().collect();
    let mut needed: Vec<bool> = nodes.iter().map(|(_, node)| node.role == Role::Output).collect();
    for (id, node) in nodes.into_iter().rev().filter(|(_, node)| !matches!(node.op, Op::Constant)) {
        if needed[id.0] {
            let reads =
                chosen(model, node).map_or_else(|| model.layout.graph.reads(id), |t| vec![t]);
            reads.into_iter().for_each(|from| needed[from.0] = true);
        }
    }
    needed
}

/// The term that a mix passes on alone: its only one, or the one of the largest learned number.
pub(super) fn chosen(model: &Model, node: &Node) -> Option<NodeId> {
    let Op::Mix { terms, by } = &node.op else { return None };
    match (by, &terms[..]) {
        (By::Sum, [only]) => Some(*only),
        (By::Gate { rule: Rule::Select { .. }, .. }, [only]) => Some(*only),
        (By::Gate { gate, rule: Rule::Gumbel { .. } }, _) => {
            let z = constant(model, *gate);
            let best = (1..z.len()).fold(0, |best, i| if z[i] > z[best] { i } else { best });
            terms.get(best).copied()
        }
        _ => None,
    }
}

/// The parameters of a block.
pub(super) fn numbers<'m>(model: &'m Model, block: &Block) -> &'m [f32] {
    &model.parameters[block.offset..][..block.len]
}

/// The learned numbers of a constant.
pub(super) fn constant(model: &Model, id: NodeId) -> &[f32] {
    let found = model.layout.constants.iter().find(|constant| constant.node == id);
    found.map_or(&[], |constant| numbers(model, &model.layout.blocks[constant.block]))
}
