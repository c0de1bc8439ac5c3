//! The architectures. Each is a function from the description of a network to the nodes of its
//! graph, in a file of its own.

mod columns;
mod separate;
mod shared;

use super::graph::{Draft, Graph};
use super::network::Network;
use crate::config::Architecture;

/// The graph of a network.
///
/// # Errors
/// A sentence if the network is too large, or breaks a law of graphs.
pub fn graph(network: &Network) -> Result<Graph, String> {
    let mut draft = Draft::default();
    match network.architecture {
        Architecture::Shared => shared::nodes(network, &mut draft),
        Architecture::Separate => separate::nodes(network, &mut draft),
    }?;
    draft.finish(network.tasks.len())
}
