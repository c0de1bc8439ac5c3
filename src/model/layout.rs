//! The place of each block of parameters in the flat arenas of parameters, gradients and moments.
//! Offsets are computed only here.

use anyhow::Result;

use super::architecture;
use super::graph::{Graph, Node, NodeId, Op, Owner, Role, Source, Start};
use super::network::Network;
use crate::config::Activation;
use crate::fault::{Exit, Fault};

/// Blocks begin at multiples of this many elements (256 bytes). So any block can be bound by its
/// offset, and a table with one entry per run of this length has entries about single blocks.
pub const ALIGN: usize = 64;

/// A weight matrix, a bias, or the vectors of an embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Name in `model.safetensors`, e.g. `trunk.0.weight`.
    pub name: String,
    /// `[outputs, inputs]` of a weight matrix, `[outputs]` of a bias, `[values, width]` of an
    /// embedding.
    pub shape: Vec<usize>,
    /// First element in the arena.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
    /// The tasks that own it.
    pub owner: Owner,
}

impl Block {
    /// Whether it is a bias, or a constant, which decays as biases do.
    pub fn is_bias(&self) -> bool {
        self.shape.len() == 1
    }
}

/// One dense layer of the network, in the order of the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its node in the graph.
    pub node: NodeId,
    /// Name of its tensors without `.weight` or `.bias`.
    pub name: String,
    /// The values that it reads.
    pub source: Source,
    /// Number of values that it reads per row.
    pub inputs: usize,
    /// Number of values that it writes per row.
    pub outputs: usize,
    /// Place of its weight matrix in `blocks`; the bias is the next block.
    pub weight: usize,
    /// The tasks that own it.
    pub owner: Owner,
    /// What its values are for.
    pub role: Role,
    /// Activation; identity for gates and output layers.
    pub activation: Activation,
    /// Dropout rate after the activation.
    pub dropout: f64,
    /// How its parameters start.
    pub start: Start,
}

/// Learned numbers that are equal for all rows: a node [`Op::Constant`].
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its node in the graph.
    pub node: NodeId,
    /// Place of its numbers in `blocks`.
    pub block: usize,
    /// How they start.
    pub start: Start,
}

/// All blocks and layers of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// The blocks of the embeddings, then the shared ones, then those of each task in task order;
    /// the weight of a layer comes before its bias.
    pub blocks: Vec<Block>,
    /// The dense layers in the order of their blocks.
    pub layers: Vec<Layer>,
    /// The constants in the order of their blocks.
    pub constants: Vec<Constant>,
    /// The graph; the layers are its dense nodes.
    pub graph: Graph,
    /// Number of embeddings, which are the first blocks.
    pub embeddings: usize,
    /// Elements of an arena, a multiple of [`ALIGN`].
    pub len: usize,
    /// Whether the shared blocks, including embeddings, are not trained: they get no gradient and
    /// do not decay.
    pub frozen: bool,
}

impl Layout {
    /// The layout of a network.
    ///
    /// # Errors
    /// 78 if its graph breaks a law, or is too large.
    pub fn new(network: &Network) -> Result<Layout> {
        let graph = architecture::graph(network).map_err(|problem| {
            Fault::new(Exit::Config, format!("the network cannot be built: {problem}"))
                .hint("give it fewer or smaller layers in [trunk], [task.*] and [architecture]")
        })?;
        Ok(Layout::of(network, graph))
    }

    /// The layout of a network with this graph.
    pub fn of(network: &Network, graph: Graph) -> Layout {
        let mut layout = Layout {
            blocks: Vec::new(),
            layers: Vec::new(),
            constants: Vec::new(),
            graph: graph.clone(),
            embeddings: network.embeddings.len(),
            len: 0,
            frozen: false,
        };
        for embedding in &network.embeddings {
            layout.push_block(
                format!("embedding.{}.weight", embedding.column),
                vec![embedding.values, embedding.width],
                Owner::Shared,
            );
        }
        // The blocks of a task are one run of the arena, whatever the order of the nodes.
        let mut nodes: Vec<(NodeId, &Node)> = graph.nodes().collect();
        nodes.sort_by_key(|(_, node)| node.owner);
        for (id, node) in nodes {
            layout.push_node(id, node, network.inputs);
        }
        layout
    }

    /// Adds the blocks of a node; mixes have none.
    fn push_node(&mut self, id: NodeId, node: &Node, inputs: usize) {
        let (name, outputs, owner) = (node.name.clone(), node.width, node.owner);
        let (first, role, start) = (self.blocks.len(), node.role, node.start);
        let Op::Dense { source, activation, dropout } = node.op else {
            if node.op == Op::Constant {
                self.push_block(format!("{name}.weight"), vec![outputs], owner);
                self.constants.push(Constant { node: id, block: first, start });
            }
            return;
        };
        let inputs = self.graph.source_width(source, inputs);
        for (suffix, shape) in [("weight", vec![outputs, inputs]), ("bias", vec![outputs])] {
            self.push_block(format!("{name}.{suffix}"), shape, owner);
        }
        self.layers.push(Layer {
            node: id,
            name,
            source,
            inputs,
            outputs,
            weight: first,
            owner,
            role,
            activation,
            dropout,
            start,
        });
    }

    fn push_block(&mut self, name: String, shape: Vec<usize>, owner: Owner) {
        let len = shape.iter().product();
        self.blocks.push(Block { name, shape, offset: self.len, len, owner });
        self.len += usize::next_multiple_of(len, ALIGN);
    }

    /// The blocks of the embeddings, in order.
    pub fn embeddings(&self) -> &[Block] {
        &self.blocks[..self.embeddings]
    }

    /// Whether the blocks of this owner are not trained.
    pub fn is_frozen(&self, owner: Owner) -> bool {
        self.frozen && owner == Owner::Shared
    }

    /// Number of parameters, without the gaps between blocks.
    pub fn parameters(&self) -> usize {
        self.blocks.iter().map(|b| b.len).sum()
    }

    /// The blocks that a task owns: its head, and its own trunk where it has one.
    pub fn owned(&self, task: usize) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |b| b.owner == Owner::Task(task))
    }

    /// The run of the arena that a task owns, including gaps: (offset, length). Tasks whose layers
    /// have equal shapes have runs of equal length, with each block at the same place in the run.
    pub fn owned_run(&self, task: usize) -> (usize, usize) {
        let first = self.owned(task).next().map_or(0, |b| b.offset);
        let end = self.owned(task).last().map_or(0, |b| b.offset + b.len);
        (first, end - first)
    }
}
