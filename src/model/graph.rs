//! The network as a graph of few kinds of nodes. The files of `architecture` write it; layout and
//! plan are derived from it.

use std::ops::Index;

use crate::config::Activation;

/// The largest number of nodes of a graph; a model file has room for fewer.
pub const MAX_NODES: usize = 10_000;

/// The largest width of a node, as in a configuration.
pub const MAX_WIDTH: usize = 1_000_000_000;

/// A node, by its place in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// One node of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Name of its tensors without `.weight` or `.bias`, e.g. `trunk.0`.
    pub name: String,
    /// Name of the nodes of the same kind together, where one dispatch runs them all, e.g.
    /// `towers, layer 0`; `None` for a single node, which is called by its own name.
    pub series: Option<String>,
    /// Number of values per row.
    pub width: usize,
    /// How its values are computed.
    pub op: Op,
    /// The tasks that own it.
    pub owner: Owner,
    /// What its values are for.
    pub role: Role,
}

/// How the values of a node are computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `dropout(activation(W x + b))`.
    Dense {
        /// The values that it reads, x.
        source: Source,
        /// The activation.
        activation: Activation,
        /// The dropout rate, after the activation.
        dropout: f64,
    },
    /// `Σ_i c_i x_i` over terms of equal width.
    Mix {
        /// The nodes whose values it adds up, x_i.
        terms: Vec<NodeId>,
        /// Where the coefficients c_i come from.
        by: By,
    },
}

/// The values that a dense node reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The inputs of a row.
    Inputs,
    /// The values of another node.
    Node(NodeId),
}

/// The coefficients of a mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// All coefficients are 1.
    Sum,
    /// The softmax over the outputs of a gate, one output per term.
    Gate(NodeId),
    /// Learned numbers, one per term.
    Coefficients,
}

/// The owner of a node. It decides what `trunk.freeze` freezes, what `--init-part` takes over, and
/// what couplings of weights act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// All tasks together.
    Shared,
    /// One task, by its number.
    Task(usize),
}

impl Owner {
    /// The task, if the owner is one task.
    pub fn task(self) -> Option<usize> {
        match self {
            Owner::Shared => None,
            Owner::Task(task) => Some(task),
        }
    }
}

/// What the values of a node are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Its values are read by other nodes.
    Hidden,
    /// Its values are the weights of the terms of one mix, before the softmax.
    Gate,
    /// Its values are the logits of its owner.
    Output,
}

/// The nodes of a network, each after all nodes that it reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    nodes: Vec<Node>,
}

impl Index<NodeId> for Graph {
    type Output = Node;

    fn index(&self, node: NodeId) -> &Node {
        &self.nodes[node.0]
    }
}

impl Graph {
    /// All nodes with their places.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(place, node)| (NodeId(place), node))
    }

    /// The nodes whose values a node reads, including gates. Inputs are not among them.
    pub fn reads(&self, node: NodeId) -> Vec<NodeId> {
        reads(&self[node])
    }

    /// The level of each node: above the levels of all that it reads, with the inputs at level 0.
    /// The values of a node lie in one of two arenas, by the parity of its level. The values that
    /// it multiplies or adds up have the other parity, so no kernel writes the arena that it reads.
    pub fn levels(&self) -> Vec<usize> {
        levels(&self.nodes)
    }

    /// The width of a source; `inputs` is the width of the inputs.
    pub fn source_width(&self, source: Source, inputs: usize) -> usize {
        match source {
            Source::Inputs => inputs,
            Source::Node(node) => self[node].width,
        }
    }
}

/// The nodes whose values a node reads, including gates.
fn reads(node: &Node) -> Vec<NodeId> {
    match &node.op {
        Op::Dense { source: Source::Inputs, .. } => Vec::new(),
        Op::Dense { source: Source::Node(from), .. } => vec![*from],
        Op::Mix { terms, by: By::Gate(gate) } => terms.iter().copied().chain([*gate]).collect(),
        Op::Mix { terms, .. } => terms.clone(),
    }
}

/// The level of each node, as [`Graph::levels`].
fn levels(nodes: &[Node]) -> Vec<usize> {
    let mut levels: Vec<usize> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let highest = reads(node).into_iter().map(|from| levels[from.0]).max().unwrap_or(0);
        let level = match &node.op {
            Op::Dense { .. } => 1 + highest,
            // Above its gate too, and of the other parity than its terms have.
            Op::Mix { terms, .. } => {
                let term = terms.first().map_or(0, |term| levels[term.0]);
                highest + 1 + usize::from((highest + 1 - term) % 2 == 0)
            }
        };
        levels.push(level);
    }
    levels
}

/// A graph to which nodes are added. It never has more than [`MAX_NODES`], whatever a file asks
/// for.
#[derive(Debug, Default)]
pub struct Draft {
    nodes: Vec<Node>,
}

impl Draft {
    /// Adds a node.
    ///
    /// # Errors
    /// A sentence if there are too many, its width is out of range, or it reads a later node.
    pub fn push(&mut self, node: Node) -> Result<NodeId, String> {
        if self.nodes.len() == MAX_NODES {
            return Err(format!("more than {MAX_NODES} layers"));
        }
        if !(1..=MAX_WIDTH).contains(&node.width) {
            let Node { name, width, .. } = &node;
            return Err(format!("{name}: {width} outputs, expected 1 to {MAX_WIDTH}"));
        }
        if let Some(NodeId(later)) = reads(&node).into_iter().find(|n| n.0 >= self.nodes.len()) {
            return Err(format!("{}: reads node {later}, which is not before it", node.name));
        }
        self.nodes.push(node);
        Ok(NodeId(self.nodes.len() - 1))
    }

    /// Adds dense layers, each of which reads the one before it; the first reads `from`. Returns
    /// the last of them as a source, or `from` if there is none.
    ///
    /// # Errors
    /// As [`Draft::push`].
    pub fn column(
        &mut self,
        from: Source,
        layers: impl IntoIterator<Item = Node>,
    ) -> Result<Source, String> {
        layers.into_iter().try_fold(from, |from, mut node| {
            if let Op::Dense { source, .. } = &mut node.op {
                *source = from;
            }
            self.push(node).map(Source::Node)
        })
    }

    /// The graph, if it keeps the laws that layout, plan and kernels rely on.
    ///
    /// # Errors
    /// A sentence about the first law that it breaks.
    pub fn finish(self, tasks: usize) -> Result<Graph, String> {
        outputs_problem(&self.nodes, tasks)
            .or_else(|| readers_problem(&self.nodes))
            .or_else(|| mixes_problem(&self.nodes))
            .map_or(Ok(Graph { nodes: self.nodes }), Err)
    }
}

/// The law of outputs: each task has one, in the order of the tasks, and neither an output nor a
/// gate is a mix.
fn outputs_problem(nodes: &[Node], tasks: usize) -> Option<String> {
    let outputs: Vec<Owner> =
        nodes.iter().filter(|n| n.role == Role::Output).map(|n| n.owner).collect();
    if outputs != (0..tasks).map(Owner::Task).collect::<Vec<_>>() {
        return Some(format!("outputs of {outputs:?}, expected one of each of {tasks} tasks"));
    }
    let is_mix = |n: &&Node| n.role != Role::Hidden && matches!(n.op, Op::Mix { .. });
    nodes.iter().find(is_mix).map(|n| format!("{}: a mix writes no logits and no gate", n.name))
}

/// The law of readers: a hidden node is read by dense nodes or by mixes, not by both; a gate is
/// read by one mix as its gate; an output is not read.
fn readers_problem(nodes: &[Node]) -> Option<String> {
    let mut readers = vec![[0_usize; 3]; nodes.len()];
    for node in nodes {
        for from in reads(node) {
            let kind = match &node.op {
                Op::Dense { .. } => 0,
                Op::Mix { by: By::Gate(gate), .. } if *gate == from => 2,
                Op::Mix { .. } => 1,
            };
            readers[from.0][kind] += 1;
        }
    }
    let is_wrong = |(node, readers): &(&Node, [usize; 3])| match (node.role, readers) {
        (Role::Hidden, [dense, mixes, 0]) => (*dense > 0) == (*mixes > 0),
        (Role::Gate, readers) => *readers != [0, 0, 1],
        (Role::Output, readers) => *readers != [0, 0, 0],
        (Role::Hidden, _) => true,
    };
    nodes.iter().zip(readers).find(is_wrong).map(|(node, [dense, mixes, gated])| {
        format!(
            "{}: read by {dense} dense nodes, by {mixes} mixes, and as the gate of {gated}",
            node.name
        )
    })
}

/// The law of mixes: the terms have the width of the mix and lie in one arena, and its gate has one
/// output per term.
fn mixes_problem(nodes: &[Node]) -> Option<String> {
    let levels = levels(nodes);
    nodes.iter().find_map(|node| {
        let Op::Mix { terms, by } = &node.op else { return None };
        let Some(first) = terms.first() else { return Some(format!("{}: no terms", node.name)) };
        let alike = |term: &NodeId| {
            nodes[term.0].width == node.width && levels[term.0] % 2 == levels[first.0] % 2
        };
        let gate = match by {
            By::Gate(gate) => nodes[gate.0].width == terms.len(),
            By::Sum | By::Coefficients => true,
        };
        let fits = terms.iter().all(alike) && gate;
        (!fits).then(|| format!("{}: its terms or its gate do not fit it", node.name))
    })
}
