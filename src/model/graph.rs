//! The network as a graph of few kinds of nodes. The files of `architecture` write it; layout and
//! plan are derived from it.

use std::collections::HashSet;
use std::ops::Index;

use crate::config::{Activation, Pool};

/// The largest number of nodes of a graph; a model file has room for fewer.
pub const MAX_NODES: usize = 10_000;

/// The largest width of a node, as in a configuration.
pub const MAX_WIDTH: usize = 1_000_000_000;

/// The largest number of connections between nodes.
pub const MAX_TERMS: usize = 200_000;

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
    /// How its parameters start.
    pub start: Start,
}

/// How the parameters of a node start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Start {
    /// Weights by `trunk.init`, biases and constants at zero.
    Usual,
    /// All uniform in `[−limit, limit]`.
    Uniform(f64),
    /// Constants: `share` at one place, the rest of 1 in equal parts at the others.
    Own {
        /// The place.
        place: usize,
        /// The share of the place.
        share: f64,
    },
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
    /// Learned numbers: the values of a gate that is the same for every row.
    Constant,
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
#[derive(Clone, Debug, PartialEq)]
pub enum By {
    /// All coefficients are 1.
    Sum,
    /// One coefficient per term, from the values of a gate.
    Gate {
        /// The gate, a dense node or a constant.
        gate: NodeId,
        /// The way from its values to coefficients.
        rule: Rule,
    },
    /// One coefficient per value of the only term: the sigmoid of the sum of these gates.
    Mask(Vec<NodeId>),
    /// No coefficients: the values of the only term, over all tokens of a sentence, become one in
    /// the row of its first token. In other rows they are 0.
    Pool(Pool),
}

/// The way from the values of a gate to the coefficients of `n` terms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// The values themselves, one per term (Misra et al., "Cross-stitch networks for multi-task
    /// learning", CVPR 2016).
    Linear,
    /// The softmax of the values, one per term (Ma et al., "Modeling task relationships in
    /// multi-task learning with multi-gate mixture-of-experts", KDD 2018).
    Softmax,
    /// At most `select` terms (Hazimeh et al., "DSelect-k: differentiable selection in the mixture
    /// of experts", NeurIPS 2021). The values are α, one per selector, then z, `⌈log₂ n⌉` per
    /// selector: `c = Σ_s softmax(α)_s r(z_s)`, where `r(z)_e = Π_j S(z_j)` or `1 − S(z_j)` by bit
    /// `j` of `e`, and S is the smooth step (equation 3 of the paper).
    Select {
        /// Number of selectors, k.
        select: usize,
        /// Width of the smooth step, γ.
        smooth: f64,
        /// Factor of the entropy of the selectors in the objective, λ.
        entropy: f64,
    },
    /// In training the Gumbel-softmax of the values, one per term, with one noise for all rows of a
    /// step; elsewhere 1 for the largest and 0 for the others (Guo, Lee and Ulbricht, "Learning to
    /// branch for multi-task learning", ICML 2020).
    Gumbel {
        /// Temperature at the first step.
        from: f64,
        /// Temperature at the end of the run, to which it falls by equal factors.
        to: f64,
    },
}

impl Rule {
    /// Number of values of a gate over this many terms.
    pub fn values(self, terms: usize) -> usize {
        match self {
            Rule::Linear | Rule::Softmax | Rule::Gumbel { .. } => terms,
            Rule::Select { select, .. } => select.saturating_mul(1 + code_bits(terms)),
        }
    }
}

/// Number of bits of the codes of this many terms, `⌈log₂ n⌉`.
pub fn code_bits(terms: usize) -> usize {
    terms.max(1).next_power_of_two().trailing_zeros() as usize
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
    /// The coefficients of one mix follow from its values.
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

    /// The number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes, which a finished graph never is.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes whose values a node reads, including gates. Inputs are not among them.
    pub fn reads(&self, node: NodeId) -> Vec<NodeId> {
        reads(&self[node])
    }

    /// The level of each node: above the levels of all that it reads, with the inputs at level 0; a
    /// mix may be on the level of its gates. The values of a node lie in one of two arenas, by the
    /// parity of its level. The values that it multiplies or adds up have the other parity, so no
    /// kernel writes the arena that it reads; those of gates lie in a third one.
    pub fn levels(&self) -> Vec<usize> {
        levels(&self.nodes)
    }

    /// Whether tokens of sentences are pooled, so that a batch has whole sentences.
    pub fn pools(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.op, Op::Mix { by: By::Pool(_), .. }))
    }

    /// The nodes on which the output of a task depends, its own included, by place.
    pub fn needed_by(&self, task: usize) -> Vec<bool> {
        let is_output = |n: &Node| n.role == Role::Output && n.owner == Owner::Task(task);
        let mut needed: Vec<bool> = self.nodes.iter().map(is_output).collect();
        for place in (0..self.nodes.len()).rev() {
            if needed[place] {
                reads(&self.nodes[place]).iter().for_each(|from| needed[from.0] = true);
            }
        }
        needed
    }

    /// The mixes, by level.
    pub fn mixes(&self) -> Vec<NodeId> {
        let levels = self.levels();
        let is_mix = |id: &NodeId| matches!(self[*id].op, Op::Mix { .. });
        let mut mixes: Vec<NodeId> = (0..self.len()).map(NodeId).filter(is_mix).collect();
        mixes.sort_by_key(|id| (levels[id.0], *id));
        mixes
    }

    /// The names of the gates of all mixes, in the order of the mixes.
    pub fn gate_names(&self) -> Vec<GateNames> {
        let of_mix = |id: NodeId| {
            let Op::Mix { terms, by } = &self[id].op else { return None };
            let gate = self[*gates(by).first()?].name.clone();
            let terms = match by {
                By::Mask(_) => Vec::new(),
                _ => terms.iter().map(|term| term_name(&self[*term].name)).collect(),
            };
            Some(GateNames { gate, terms })
        };
        self.mixes().into_iter().filter_map(of_mix).collect()
    }

    /// The width of a source; `inputs` is the width of the inputs.
    pub fn source_width(&self, source: Source, inputs: usize) -> usize {
        match source {
            Source::Inputs => inputs,
            Source::Node(node) => self[node].width,
        }
    }
}

/// The names of a gate and of the terms that it weighs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateNames {
    /// Name of the gate, e.g. `task.income.gate`.
    pub gate: String,
    /// Names of the terms, e.g. `expert.0`; none for a mask.
    pub terms: Vec<String>,
}

/// Whether a name is that of an expert or of one of its layers: `expert.0`, `task.a.expert.1.0`.
pub fn is_expert(name: &str) -> bool {
    name.starts_with("expert.") || name.contains(".expert.")
}

/// The name of an expert, by that of its last layer; other layers keep their names.
fn term_name(layer: &str) -> String {
    match layer.rsplit_once('.') {
        Some((expert, _)) if is_expert(layer) => expert.into(),
        _ => layer.into(),
    }
}

/// The nodes whose values a node reads, including gates.
fn reads(node: &Node) -> Vec<NodeId> {
    match &node.op {
        Op::Dense { source: Source::Inputs, .. } | Op::Constant => Vec::new(),
        Op::Dense { source: Source::Node(from), .. } => vec![*from],
        Op::Mix { terms, by } => terms.iter().chain(gates(by)).copied().collect(),
    }
}

/// The gates of a mix.
pub fn gates(by: &By) -> &[NodeId] {
    match by {
        By::Sum | By::Pool(_) => &[],
        By::Gate { gate, .. } => std::slice::from_ref(gate),
        By::Mask(gates) => gates,
    }
}

/// The level of each node, as [`Graph::levels`].
fn levels(nodes: &[Node]) -> Vec<usize> {
    let mut all = Vec::with_capacity(nodes.len());
    for node in nodes {
        let own = level(node, &all);
        all.push(own);
    }
    all
}

/// The level of a node that reads nodes of these levels.
fn level(node: &Node, levels: &[usize]) -> usize {
    let highest = |nodes: &[NodeId]| nodes.iter().map(|n| levels[n.0]).max().unwrap_or(0);
    match &node.op {
        Op::Constant => 0,
        Op::Dense { .. } => 1 + highest(&reads(node)),
        Op::Mix { terms, by } => {
            let term = highest(terms);
            let least = (term + 1).max(highest(gates(by)));
            least + (least + 1 - term) % 2
        }
    }
}

/// A graph to which nodes are added. It never has more than [`MAX_NODES`] nodes, whatever a file
/// asks for.
#[derive(Debug, Default)]
pub struct Draft {
    nodes: Vec<Node>,
    levels: Vec<usize>,
    terms: usize,
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
        let read = reads(&node);
        if let Some(NodeId(later)) = read.iter().find(|n| n.0 >= self.nodes.len()) {
            return Err(format!("{}: reads node {later}, which is not before it", node.name));
        }
        self.terms += read.len();
        if self.terms > MAX_TERMS {
            return Err(format!("more than {MAX_TERMS} connections between layers"));
        }
        self.levels.push(level(&node, &self.levels));
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

    /// Adds a mix of hidden nodes of equal width, whatever their levels; it takes width and owner
    /// from the first of them. A term that would lie in the arena of the mix is copied into the
    /// other one first. With [`By::Sum`] it has no gate. Its name is that of what it makes, with
    /// `.mix` or `.sum`.
    ///
    /// # Errors
    /// As [`Draft::push`].
    pub fn mix(&mut self, name: &str, terms: &[NodeId], by: By) -> Result<NodeId, String> {
        let Some(highest) = terms.iter().map(|term| self.levels[term.0]).max() else {
            return Err(format!("{name}: no terms"));
        };
        let mut aligned = Vec::with_capacity(terms.len());
        for (place, &term) in terms.iter().enumerate() {
            let lies_apart = self.levels[term.0] % 2 != highest % 2;
            aligned.push(match lies_apart {
                true => self.push_mix(format!("{name}.copy.{place}"), vec![term], By::Sum)?,
                false => term,
            });
        }
        self.push_mix(name.into(), aligned, by)
    }

    /// Adds the values of a node pooled over the tokens of each sentence.
    ///
    /// # Errors
    /// As [`Draft::push`].
    pub fn pool(
        &mut self,
        name: &str,
        from: NodeId,
        pool: Pool,
        owner: Owner,
    ) -> Result<NodeId, String> {
        let (width, start) = (self.nodes[from.0].width, Start::Usual);
        let op = Op::Mix { terms: vec![from], by: By::Pool(pool) };
        let (name, role) = (name.to_owned(), Role::Hidden);
        self.push(Node { name, series: None, width, op, owner, role, start })
    }

    fn push_mix(&mut self, name: String, terms: Vec<NodeId>, by: By) -> Result<NodeId, String> {
        let first = &self.nodes[terms[0].0];
        let (width, owner, start) = (first.width, first.owner, Start::Usual);
        let op = Op::Mix { terms, by };
        self.push(Node { name, series: None, width, op, owner, role: Role::Hidden, start })
    }

    /// The graph, if it keeps the laws that layout, plan and kernels rely on.
    ///
    /// # Errors
    /// A sentence about the first law that it breaks.
    pub fn finish(self, tasks: usize) -> Result<Graph, String> {
        outputs_problem(&self.nodes, tasks)
            .or_else(|| readers_problem(&self.nodes))
            .or_else(|| mixes_problem(&self.nodes, &self.levels))
            .or_else(|| names_problem(&self.nodes))
            .map_or(Ok(Graph { nodes: self.nodes }), Err)
    }
}

/// The law of names: no two nodes have one, since their tensors would.
fn names_problem(nodes: &[Node]) -> Option<String> {
    let mut seen = HashSet::new();
    let twice = nodes.iter().find(|node| !seen.insert(node.name.as_str()))?;
    Some(format!("two layers are called {}: rename a task", twice.name))
}

/// The law of outputs: each task has one, in the order of the tasks. Outputs and gates are dense,
/// or gates are constants; constants are gates.
fn outputs_problem(nodes: &[Node], tasks: usize) -> Option<String> {
    let outputs: Vec<Owner> =
        nodes.iter().filter(|n| n.role == Role::Output).map(|n| n.owner).collect();
    if outputs != (0..tasks).map(Owner::Task).collect::<Vec<_>>() {
        return Some(format!("outputs of {outputs:?}, expected one of each of {tasks} tasks"));
    }
    nodes.iter().find_map(|n| match (&n.op, n.role) {
        (Op::Mix { .. }, Role::Gate | Role::Output) => {
            Some(format!("{}: a mix writes no logits and no gate", n.name))
        }
        (Op::Constant, Role::Hidden | Role::Output) => {
            Some(format!("{}: a constant is a gate", n.name))
        }
        _ => None,
    })
}

/// The law of readers: a hidden node is read; a gate is read by one mix, as its gate; an output is
/// not read.
fn readers_problem(nodes: &[Node]) -> Option<String> {
    let mut readers = vec![[0_usize; 2]; nodes.len()];
    for node in nodes {
        let of_mix = match &node.op {
            Op::Mix { by, .. } => gates(by),
            _ => &[],
        };
        reads(node).iter().for_each(|from| readers[from.0][0] += 1);
        for gate in of_mix {
            readers[gate.0][0] -= 1;
            readers[gate.0][1] += 1;
        }
    }
    let is_wrong = |(node, readers): &(&Node, [usize; 2])| match (node.role, readers) {
        (Role::Hidden, [others, 0]) => *others == 0,
        (Role::Gate, readers) => *readers != [0, 1],
        (Role::Output, readers) => *readers != [0, 0],
        (Role::Hidden, _) => true,
    };
    nodes.iter().zip(readers).find(is_wrong).map(|(node, [others, gated])| {
        format!("{}: read by {others} nodes, and as the gate of {gated}", node.name)
    })
}

/// The law of mixes: the terms have the width of the mix and lie in one arena; a gate has the
/// values that its rule needs, and a mask one gate or two as wide as its only term.
fn mixes_problem(nodes: &[Node], levels: &[usize]) -> Option<String> {
    nodes.iter().find_map(|node| {
        let Op::Mix { terms, by } = &node.op else { return None };
        let Some(first) = terms.first() else { return Some(format!("{}: no terms", node.name)) };
        let alike = |term: &NodeId| {
            nodes[term.0].width == node.width && levels[term.0] % 2 == levels[first.0] % 2
        };
        let gate = match by {
            By::Sum => true,
            By::Pool(_) => terms.len() == 1,
            By::Gate { gate, rule } => nodes[gate.0].width == rule.values(terms.len()),
            By::Mask(gates) => {
                let fits = |gate: &NodeId| {
                    let dense = matches!(nodes[gate.0].op, Op::Dense { .. });
                    dense && nodes[gate.0].width == node.width
                };
                terms.len() == 1 && (1..=2).contains(&gates.len()) && gates.iter().all(fits)
            }
        };
        let fits = terms.iter().all(alike) && gate;
        (!fits).then(|| format!("{}: its terms or its gate do not fit it", node.name))
    })
}
