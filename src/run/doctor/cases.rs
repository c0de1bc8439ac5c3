//! Small networks of awkward shapes: one, primes, tile minus and plus one, tall, wide; every activation, optimizer and coupling; chunks
//! of rows and segments of data.

use anyhow::Result;

use crate::config::{Activation, Optimizer, OptimizerKind, Schedule};
use crate::kernels::params::Step;
use crate::kernels::tuning::Tuning;
use crate::model::layout::Layout;
use crate::model::network::{Head, Network, Trunk};
use crate::objective::{COUPLINGS, Objective, Pair};
use crate::schedule::build::{Built, PartShape, Request, build};

/// A program to check.
#[derive(Debug)]
pub struct Case {
    /// What is awkward about it.
    pub name: &'static str,
    /// The program.
    pub built: Built,
    /// The step that its dispatches run as.
    pub step: Step,
    /// Rows of the training part.
    pub rows: usize,
    /// Number of classes per task, for random labels.
    pub classes: Vec<usize>,
    /// Size of random numbers.
    pub scale: f64,
    /// Parameter blocks (offset, length); the gaps between them hold zeros for ever.
    pub blocks: Vec<(usize, usize)>,
}

struct Shape {
    name: &'static str,
    inputs: usize,
    trunk: &'static [usize],
    /// (classes, tower)
    heads: &'static [(usize, &'static [usize])],
    activation: Activation,
    dropout: f64,
    optimizer: OptimizerKind,
    /// Rows of the data, of a batch, of the step at hand.
    rows: [usize; 3],
    bytes: Option<f32>,
    coupled: bool,
    scale: f64,
    /// Most bytes of a binding; 0 = as the adapter has it.
    binding: u64,
}

const ADAM: OptimizerKind = OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
const ADAMW: OptimizerKind = OptimizerKind::AdamW { beta1: 0.8, beta2: 0.99, eps: 1e-6 };
const NESTEROV: OptimizerKind = OptimizerKind::Sgd { momentum: 0.9, nesterov: true };
const SGD: OptimizerKind = OptimizerKind::Sgd { momentum: 0.5, nesterov: false };

const BASE: Shape = Shape {
    name: "one of everything",
    inputs: 1,
    trunk: &[],
    heads: &[(2, &[])],
    activation: Activation::Relu,
    dropout: 0.0,
    optimizer: SGD,
    rows: [1, 1, 1],
    bytes: None,
    coupled: false,
    scale: 1.0,
    binding: 0,
};

const SHAPES: &[Shape] = &[
    BASE,
    Shape {
        name: "around the tile",
        inputs: 33,
        trunk: &[31, 65],
        heads: &[(10, &[]), (10, &[]), (3, &[]), (10, &[])],
        dropout: 0.3,
        optimizer: ADAM,
        rows: [150, 67, 61],
        coupled: true,
        ..BASE
    },
    Shape {
        name: "mixed towers",
        inputs: 7,
        trunk: &[16],
        heads: &[(5, &[9, 8]), (5, &[9, 8]), (4, &[]), (6, &[11])],
        activation: Activation::Tanh,
        dropout: 0.2,
        optimizer: ADAMW,
        rows: [40, 32, 32],
        coupled: true,
        ..BASE
    },
    Shape {
        name: "gelu, one below the tile",
        inputs: 63,
        trunk: &[32, 31, 17],
        heads: &[(7, &[])],
        activation: Activation::Gelu,
        optimizer: NESTEROV,
        rows: [64, 31, 31],
        ..BASE
    },
    Shape { name: "bytes in whole words", inputs: 12, trunk: &[4], heads: &[(3, &[])], rows: [20, 9, 9], bytes: Some(0.5), ..BASE },
    Shape {
        name: "bytes, silu, tall",
        inputs: 50,
        trunk: &[3],
        heads: &[(2, &[13]), (2, &[13])],
        activation: Activation::Silu,
        optimizer: ADAM,
        rows: [300, 257, 257],
        bytes: Some(1.0 / 255.0),
        coupled: true,
        ..BASE
    },
    Shape {
        name: "wide, many classes, large values",
        inputs: 785,
        trunk: &[5],
        heads: &[(257, &[]), (257, &[])],
        activation: Activation::Identity,
        optimizer: ADAMW,
        rows: [16, 9, 8],
        coupled: true,
        scale: 30.0,
        ..BASE
    },
    Shape {
        name: "no trunk, small values",
        inputs: 12,
        heads: &[(3, &[]), (3, &[]), (3, &[])],
        optimizer: ADAM,
        rows: [90, 40, 33],
        coupled: true,
        scale: 1e-3,
        ..BASE
    },
    Shape {
        name: "chunks and segments",
        inputs: 11,
        trunk: &[24],
        heads: &[(4, &[]), (4, &[6])],
        dropout: 0.25,
        optimizer: SGD,
        rows: [500, 200, 190],
        coupled: true,
        binding: 16 << 10,
        ..BASE
    },
    Shape {
        name: "whole vec4s",
        inputs: 20,
        trunk: &[24, 36],
        heads: &[(4, &[12, 8]), (4, &[12, 8])],
        dropout: 0.25,
        optimizer: NESTEROV,
        rows: [150, 70, 64],
        coupled: true,
        ..BASE
    },
];

/// All cases, for an adapter's choices.
pub fn cases(tuning: &Tuning) -> Result<Vec<Case>> {
    SHAPES.iter().map(|s| case(s, tuning)).collect()
}

fn case(shape: &Shape, tuning: &Tuning) -> Result<Case> {
    let network = network(shape);
    let layout = Layout::new(&network);
    let objective = Objective { weights: (0..network.tasks.len()).map(|t| 0.7 + 0.4 * t as f32).collect(), pairs: pairs(shape, &network) };
    let optimizer = Optimizer {
        kind: shape.optimizer,
        learning_rate: 0.01,
        weight_decay: 0.02,
        decay_biases: false,
        clip_norm: if shape.coupled { 0.5 } else { 0.0 },
        schedule: Schedule::Constant,
        warmup_steps: 0,
    };
    let mut tuning = tuning.clone();
    if shape.binding > 0 {
        tuning.binding_bytes = shape.binding;
    }
    let [rows, batch, present] = shape.rows;
    let part = |name: &str, rows| PartShape { name: name.into(), rows, bytes: shape.bytes };
    let built = build(&Request {
        network: &network,
        layout: &layout,
        objective: &objective,
        optimizer: Some(&optimizer),
        tuning: &tuning,
        parts: &[part("train", rows), part("valid", rows / 2 + 1)],
        batch,
        shuffled: true,
    })?;
    let classes = shape.heads.iter().map(|(c, _)| *c).collect();
    let blocks = layout.blocks.iter().map(|b| (b.offset, b.len)).collect();
    Ok(Case { name: shape.name, built, step: step(rows, present), rows, classes, scale: shape.scale, blocks })
}

fn step(rows: usize, present: usize) -> Step {
    Step {
        number: 3,
        first: (rows - present) as u32 / 2,
        rows: present as u32,
        slot: 1,
        learning_rate: 0.01,
        inverse_rows: (1.0 / present as f64) as f32,
        step_size: 0.02,
        root_correction: 1.5,
        key_low: 0x1234_5678,
        key_high: 0x9abc_def1,
    }
}

fn network(shape: &Shape) -> Network {
    let head = |(i, (classes, tower)): (usize, &(usize, &'static [usize]))| Head {
        layers: tower.to_vec(),
        activation: shape.activation,
        dropout: shape.dropout,
        ..Head::multiclass(&format!("t{i}"), (0..*classes).map(|c| c.to_string()).collect())
    };
    let trunk = Trunk { layers: shape.trunk.to_vec(), activation: shape.activation, dropout: shape.dropout };
    Network { inputs: shape.inputs, trunk, tasks: shape.heads.iter().enumerate().map(head).collect() }
}

/// Every pair that a kind applies to, each with a strength of its own.
fn pairs(shape: &Shape, network: &Network) -> Vec<Pair> {
    let count = if shape.coupled { network.tasks.len() } else { 0 };
    let mut pairs = Vec::new();
    for &coupling in COUPLINGS {
        for (a, b) in (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))) {
            if coupling.applies(&network.tasks[a], &network.tasks[b]).is_ok() {
                pairs.push(Pair { coupling, a, b, strength: 0.3 + 0.1 * pairs.len() as f32 });
            }
        }
    }
    pairs
}
