//! The deltas of each task apart: what balancing needs where tasks share layers.
//!
//! A node is *shared* if the outputs of at least two tasks depend on it, and *private* if those of
//! one do. A shared node that private nodes read is a *boundary*: the values that cross it are the
//! representation. Two views of the backward pass follow from that:
//!
//! - *planes*: for each boundary node and task the gradient that the private nodes of the task give
//!   its values. A weighted sum of them is the delta of the node, and all below it is as usual.
//! - *deep views*: for each shared node and task the delta that it has if the task is alone, and
//!   with it the gradient of each shared parameter by task, in an arena of its own.
//!
//! Both are further entries of the tables that the kernels of the backward pass read: no kernel
//! knows of them.

use super::groups::Backward;
use crate::kernels::params::{Combination, PlaneTerm, Region, RowSource, Run};
use crate::model::graph::{NodeId, Op, Source};
use crate::model::layout::Layout;

/// The views that a program needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whether deltas of boundary nodes are combined from planes.
    pub planes: bool,
    /// The shared layers whose gradients are wanted by task.
    pub deep: Option<Depth>,
    /// Whether the couplings are one more objective beside the tasks.
    pub couplings: bool,
    /// Rows of the only chunk of a batch, where products of gradients may come from those of rows.
    pub rows: Option<usize>,
}

impl Wanted {
    pub(super) fn any(self) -> bool {
        self.planes || self.deep.is_some()
    }
}

/// Shared layers whose gradients are wanted by task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// All of them.
    All,
    /// The last ones, whose values private nodes read.
    Last,
}

/// The nodes by the tasks that need them. The learned inputs stand behind the nodes of the graph.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// For each node the tasks whose outputs depend on it.
    tasks: Vec<Vec<usize>>,
}

/// The name of a node, or of the learned inputs.
pub fn layer_name(layout: &Layout, node: usize) -> String {
    match node == layout.graph.len() {
        true => "embeddings".to_owned(),
        false => layout.graph[NodeId(node)].name.clone(),
    }
}

impl Sharing {
    /// The sharing of a layout.
    pub fn of(layout: &Layout, tasks: usize) -> Sharing {
        let graph = &layout.graph;
        let mut of_node = vec![Vec::new(); graph.len() + 1];
        for task in 0..tasks {
            let needed = graph.needed_by(task);
            let reads_inputs = |(id, node): (NodeId, &crate::model::graph::Node)| {
                needed[id.0] && matches!(node.op, Op::Dense { source: Source::Inputs, .. })
            };
            let inputs = graph.nodes().any(reads_inputs);
            for (node, _) in needed.iter().chain([&inputs]).enumerate().filter(|(_, n)| **n) {
                of_node[node].push(task);
            }
        }
        Sharing { tasks: of_node }
    }

    /// The tasks that need a node.
    pub fn tasks(&self, node: usize) -> &[usize] {
        &self.tasks[node]
    }

    /// Whether at least two tasks need a node.
    pub fn is_shared(&self, node: usize) -> bool {
        self.tasks[node].len() > 1
    }

    /// The only task that needs a node.
    pub(super) fn owner(&self, node: usize) -> Option<usize> {
        match self.tasks[node][..] {
            [task] => Some(task),
            _ => None,
        }
    }

    /// The names of the nodes with shared parameters that are trained.
    pub fn layers(&self, layout: &Layout) -> Vec<String> {
        let mut nodes: Vec<usize> = self.blocks(layout).iter().map(|(_, node)| *node).collect();
        nodes.dedup();
        nodes.into_iter().map(|node| layer_name(layout, node)).collect()
    }

    /// The blocks of parameters that several tasks share and that are trained, by place, each with
    /// its node; the learned vectors belong to the inputs.
    pub fn blocks(&self, layout: &Layout) -> Vec<(usize, usize)> {
        let inputs = layout.graph.len();
        let embeddings = (0..layout.embeddings).map(|block| (block, inputs));
        let layers =
            layout.layers.iter().flat_map(|l| [(l.weight, l.node.0), (l.weight + 1, l.node.0)]);
        let constants = layout.constants.iter().map(|c| (c.block, c.node.0));
        let mut blocks: Vec<(usize, usize)> = embeddings
            .chain(layers)
            .chain(constants)
            .filter(|(block, node)| {
                self.is_shared(*node) && !layout.is_frozen(layout.blocks[*block].owner)
            })
            .collect();
        blocks.sort_unstable();
        blocks
    }
}

/// A run of a table of layers whose weight gradients one dispatch computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct WeightRun {
    /// Place of its first layer.
    pub first: usize,
    /// Number of its layers.
    pub count: usize,
    /// Number of their tiles.
    pub tiles: usize,
}

/// A run of the table of constants whose gradients one dispatch computes.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConstantRun {
    /// Place of its first constant.
    pub first: usize,
    /// Number of its constants.
    pub count: usize,
}

/// Combinations of planes that one dispatch computes.
#[derive(Clone, Debug)]
pub struct CombineGroup {
    /// Its name in tables.
    pub label: String,
    /// Place of its first combination.
    pub first: usize,
    /// Number of its combinations.
    pub count: usize,
    /// Whether its deltas lie in the odd arena.
    pub odd: bool,
}

/// A dispatch of the backward pass through shared nodes.
#[derive(Clone, Debug)]
pub enum SharedBackward {
    /// As in the usual pass.
    Usual(Backward),
    /// Deltas of boundary nodes from planes.
    Combine(CombineGroup),
}

/// A run of the arena of gradients by task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskBlock {
    /// Place of the block among the blocks of the layout.
    pub block: usize,
    /// First element within the gradients of a task.
    pub place: usize,
    /// The node that it belongs to; the number of nodes for learned vectors.
    pub node: usize,
}

/// The planes of boundary nodes, and what is done with them.
#[derive(Clone, Debug, Default)]
pub struct Planes {
    /// The dispatches that make them; all private nodes have their deltas before.
    pub backward: Vec<Backward>,
    /// The dispatches that make the planes of the couplings, from deltas of couplings alone.
    pub couplings: Vec<Backward>,
    /// The backward pass of the shared nodes, from the weights of the tasks on.
    pub shared: Vec<SharedBackward>,
    /// The regions that are compared, first those of even planes: (first, number) for each arena.
    pub regions: [(usize, usize); 2],
}

/// The deltas of shared nodes by task, and the gradients of shared parameters by task.
#[derive(Clone, Debug, Default)]
pub struct Deep {
    /// The dispatches that make the deltas.
    pub backward: Vec<Backward>,
    /// The weight gradients by task, in runs that take no dispatch too long.
    pub weights: Vec<WeightRun>,
    /// The gradients of constants by task.
    pub constants: ConstantRun,
    /// The weight gradients of the couplings, from the usual deltas.
    pub coupling_weights: Vec<WeightRun>,
    /// The gradients of constants of the couplings.
    pub coupling_constants: ConstantRun,
    /// The deltas of the learned inputs: (task, first element) in the even arena.
    pub learned: Vec<(usize, usize)>,
    /// The blocks in the order of the arena.
    pub blocks: Vec<TaskBlock>,
    /// Elements of the gradients of one task.
    pub stride: usize,
    /// The regions that are compared, one per node: (first, number).
    pub regions: (usize, usize),
    /// Number of regions of the last shared layers, which stand first.
    pub last: usize,
    /// The node of each region.
    pub region_nodes: Vec<usize>,
    /// Runs of parameters: (first, number).
    pub runs: (usize, usize),
    /// How the products of the gradients come from those of rows, if they do.
    pub by_rows: Option<ByRows>,
}

/// The products of gradients by task from those of rows.
#[derive(Clone, Debug, Default)]
pub struct ByRows {
    /// The table of what layers read, first what lies in the even arena.
    pub sources: Vec<RowSource>,
    /// Number of sources in each arena of activations.
    pub of_arenas: [usize; 2],
    /// Elements of all products of rows.
    pub products: usize,
    /// The products of rows times deltas of each arena, as weight gradients of layers whose deltas
    /// are the products of rows: those lie in the other arena, as kernels have it.
    pub crossed: [Vec<WeightRun>; 2],
    /// Elements of the buffer of these products.
    pub crossed_len: usize,
    /// The regions that are compared: (first, number) for each arena of deltas. Places of deltas
    /// stand behind those of crossed deltas.
    pub regions: [(usize, usize); 2],
    /// The deltas of shared nodes from those by task.
    pub combine: Vec<CombineGroup>,
}

impl Deep {
    /// The first element of a block of the layout within the gradients of a task.
    pub(super) fn place_of(&self, block: usize) -> Option<usize> {
        self.blocks.iter().find(|b| b.block == block).map(|b| b.place)
    }
}

/// All views of a plan, with the tables that only they have.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// Number of objectives that are compared: the tasks, and behind them perhaps the couplings.
    pub objectives: usize,
    /// The backward pass of the private nodes.
    pub private: Vec<Backward>,
    /// The weight gradients of private layers.
    pub private_weights: WeightRun,
    /// The gradients of private constants.
    pub private_constants: ConstantRun,
    /// The weight gradients of shared layers.
    pub shared_weights: WeightRun,
    /// The gradients of shared constants.
    pub shared_constants: ConstantRun,
    /// The planes of boundary nodes.
    pub planes: Option<Planes>,
    /// The deep views.
    pub deep: Option<Deep>,
    /// The table of combinations.
    pub combinations: Vec<Combination>,
    /// The terms of all combinations.
    pub terms: Vec<PlaneTerm>,
    /// The table of regions.
    pub regions: Vec<Region>,
    /// The first element of each task in each region, or NONE.
    pub places: Vec<u32>,
    /// The table of runs.
    pub runs: Vec<Run>,
}
