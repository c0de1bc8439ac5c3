//! `separate`: one network per task, each with its own copy of the layers of the trunk; nothing is
//! shared. This is the single-task baseline with which sharing is compared.

use super::columns::{add_head, trunk};
use crate::model::graph::{Draft, Owner, Source};
use crate::model::network::Network;

/// Adds all nodes of a network.
pub fn nodes(network: &Network, draft: &mut Draft) -> Result<(), String> {
    if let Some(embedding) = network.embeddings.first() {
        return Err(format!(
            "column \"{}\" has learned vectors, which separate networks would share: set embed = 0",
            embedding.column
        ));
    }
    for (task, own) in network.tasks.iter().enumerate() {
        let name = format!("task.{}.trunk", own.name);
        let from = draft.column(Source::Inputs, trunk(&network.trunk, &name, Owner::Task(task)))?;
        add_head(draft, from, task, own)?;
    }
    Ok(())
}
