//! The architectures. Each is a function from the description of a network to the nodes of its
//! graph, in a file of its own.

mod branched;
pub(crate) mod columns;
mod cross_stitch;
mod dselect_k;
mod mmoe;
mod mtan;
mod ple;
mod separate;
mod shared;

use super::graph::{Draft, Graph, Rule};
use super::network::Network;
use crate::config::Architecture;
use ple::Experts;

/// The graph of a network.
///
/// # Errors
/// A sentence if the network is too large, or breaks a law of graphs.
pub fn graph(network: &Network) -> Result<Graph, String> {
    let mut draft = Draft::default();
    let tasks: Vec<&str> = network.tasks.iter().map(|task| task.name.as_str()).collect();
    if let Some(problem) = network.architecture.problem(&network.trunk.layers, &tasks) {
        return Err(problem);
    }
    match &network.architecture {
        Architecture::Shared => shared::nodes(network, &mut draft),
        Architecture::Separate => separate::nodes(network, &mut draft),
        Architecture::Mmoe { experts, gates } => mmoe::nodes(network, &mut draft, *experts, *gates),
        Architecture::Cgc { experts, task_experts } => {
            let experts = Experts { shared: *experts, own: *task_experts };
            ple::nodes(network, &mut draft, experts, 1)
        }
        Architecture::Ple { experts, task_experts, levels } => {
            let experts = Experts { shared: *experts, own: *task_experts };
            ple::nodes(network, &mut draft, experts, *levels)
        }
        Architecture::CrossStitch { own, .. } => cross_stitch::nodes(network, &mut draft, *own),
        Architecture::Mtan => mtan::nodes(network, &mut draft),
        Architecture::DselectK { experts, select, gates, smooth, entropy } => {
            let rule = Rule::Select { select: *select, smooth: *smooth, entropy: *entropy };
            dselect_k::nodes(network, &mut draft, *experts, rule, *gates)
        }
        Architecture::Branched { learn: Some(falling), .. } => {
            branched::learned(network, &mut draft, *falling)
        }
        Architecture::Branched { branches, learn: None } => {
            branched::given(network, &mut draft, branches)
        }
    }?;
    draft.finish(network.tasks.len())
}
