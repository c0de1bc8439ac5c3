//! Where each parameter block lies in the flat arenas of parameters, gradients and moments. The
//! only place where offsets are computed.

use super::network::Network;
use crate::config::Activation;

/// Blocks begin on multiples of this many elements (256 bytes), so that any block could be bound by
/// offset, and so that a table with one entry per run of this length says something about one block
/// alone.
pub const ALIGN: usize = 64;

/// A weight matrix or a bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Name in `model.safetensors`, e.g. `trunk.0.weight`.
    pub name: String,
    /// `[out, in]` or `[out]`.
    pub shape: Vec<usize>,
    /// First element in the arena.
    pub offset: usize,
    /// Number of elements.
    pub len: usize,
    /// Task that owns it; `None` = shared.
    pub task: Option<usize>,
}

impl Block {
    /// Whether it is a bias.
    pub fn is_bias(&self) -> bool {
        self.shape.len() == 1
    }
}

/// One dense layer of the network, in the order of the arena.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Name without `.weight` or `.bias`.
    pub name: String,
    /// Width of what it reads.
    pub inputs: usize,
    /// Width of what it makes.
    pub outputs: usize,
    /// Number of its weight block; the bias follows.
    pub weight: usize,
    /// Task that owns it; `None` = shared.
    pub task: Option<usize>,
    /// Place within the trunk or the head.
    pub depth: usize,
    /// Activation; identity for output layers.
    pub activation: Activation,
    /// Dropout rate after the activation.
    pub dropout: f64,
    /// Whether its outputs are logits.
    pub is_output: bool,
}

/// All blocks and layers of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// Embeddings first, then the trunk, then heads in task order; weight before bias.
    pub blocks: Vec<Block>,
    /// In the same order.
    pub layers: Vec<Layer>,
    /// How many blocks are of embeddings, `[values, width]`.
    pub embeddings: usize,
    /// Elements of an arena, a multiple of [`ALIGN`].
    pub len: usize,
    /// Whether what all tasks share, embeddings included, is not trained: it gets no gradient and
    /// does not decay.
    pub frozen: bool,
}

impl Layout {
    /// The layout of a network.
    pub fn new(network: &Network) -> Layout {
        let mut layout = Layout {
            blocks: Vec::new(),
            layers: Vec::new(),
            embeddings: network.embeddings.len(),
            len: 0,
            frozen: false,
        };
        for embedding in &network.embeddings {
            layout.push_block(
                format!("embedding.{}.weight", embedding.column),
                vec![embedding.values, embedding.width],
                None,
            );
        }
        let mut inputs = network.inputs;
        for (depth, &outputs) in network.trunk.layers.iter().enumerate() {
            let (activation, dropout) = (network.trunk.activation, network.trunk.dropout);
            let name = format!("trunk.{depth}");
            layout.push(Layer {
                name,
                inputs,
                outputs,
                weight: 0,
                task: None,
                depth,
                activation,
                dropout,
                is_output: false,
            });
            inputs = outputs;
        }
        for (task, head) in network.tasks.iter().enumerate() {
            let mut inputs = network.trunk_width();
            for (depth, outputs) in head.widths().enumerate() {
                let is_output = depth == head.layers.len();
                let activation = if is_output { Activation::Identity } else { head.activation };
                let dropout = if is_output { 0.0 } else { head.dropout };
                let name = format!("task.{}.{depth}", head.name);
                layout.push(Layer {
                    name,
                    inputs,
                    outputs,
                    weight: 0,
                    task: Some(task),
                    depth,
                    activation,
                    dropout,
                    is_output,
                });
                inputs = outputs;
            }
        }
        layout
    }

    fn push(&mut self, mut layer: Layer) {
        layer.weight = self.blocks.len();
        for (suffix, shape) in
            [("weight", vec![layer.outputs, layer.inputs]), ("bias", vec![layer.outputs])]
        {
            self.push_block(format!("{}.{suffix}", layer.name), shape, layer.task);
        }
        self.layers.push(layer);
    }

    fn push_block(&mut self, name: String, shape: Vec<usize>, task: Option<usize>) {
        let len = shape.iter().product();
        self.blocks.push(Block { name, shape, offset: self.len, len, task });
        self.len += usize::next_multiple_of(len, ALIGN);
    }

    /// Blocks of the embeddings, in order.
    pub fn embeddings(&self) -> &[Block] {
        &self.blocks[..self.embeddings]
    }

    /// Whether what belongs to this task, or to none, is not trained.
    pub fn is_frozen(&self, task: Option<usize>) -> bool {
        self.frozen && task.is_none()
    }

    /// Number of parameters, without the gaps between blocks.
    pub fn parameters(&self) -> usize {
        self.blocks.iter().map(|b| b.len).sum()
    }

    /// Blocks of a head (towers and output layer).
    pub fn head(&self, task: usize) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |b| b.task == Some(task))
    }

    /// A head's run of the arena, gaps included: (offset, length). Heads of equal shape have runs
    /// of equal length and inner places.
    pub fn head_run(&self, task: usize) -> (usize, usize) {
        let first = self.head(task).next().map_or(0, |b| b.offset);
        let end = self.head(task).last().map_or(0, |b| b.offset + b.len);
        (first, end - first)
    }
}
