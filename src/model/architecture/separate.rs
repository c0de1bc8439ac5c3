//! `separate`: one network per task, each with the layers of the trunk to itself; nothing is
//! shared. The single-task baseline that sharing is compared with.

use super::columns::{head, trunk};
use crate::model::graph::{Draft, Owner, Source};
use crate::model::network::Network;

pub fn nodes(network: &Network, draft: &mut Draft) -> Result<(), String> {
    if let Some(embedding) = network.embeddings.first() {
        return Err(format!(
            "column \"{}\" has learned vectors, which separate networks would share",
            embedding.column
        ));
    }
    for (task, own) in network.tasks.iter().enumerate() {
        let name = format!("task.{}.trunk", own.name);
        let from = draft.column(Source::Inputs, trunk(&network.trunk, &name, Owner::Task(task)))?;
        draft.column(from, head(task, own))?;
    }
    Ok(())
}
