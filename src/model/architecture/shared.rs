//! `shared`: one trunk that all tasks share, then each task's own layers. Hard parameter sharing
//! (Caruana, "Multitask learning", Machine Learning 28, 1997).

use super::columns::{add_head, trunk};
use crate::model::graph::{Draft, Owner, Source};
use crate::model::network::Network;

/// Adds all nodes of a network.
pub fn nodes(network: &Network, draft: &mut Draft) -> Result<(), String> {
    let shared = draft.column(Source::Inputs, trunk(&network.trunk, "trunk", Owner::Shared))?;
    for (task, own) in network.tasks.iter().enumerate() {
        add_head(draft, shared, task, own)?;
    }
    Ok(())
}
