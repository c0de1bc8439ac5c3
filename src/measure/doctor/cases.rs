//! Small networks of awkward shapes: one, primes, tile minus and plus one, tall, wide; every
//! activation, optimizer and coupling; chunks of rows and segments of data.

use anyhow::Result;

use crate::config::{Activation, Architecture, Optimizer, OptimizerKind, Schedule, TaskKind};
use crate::data::Spread;
use crate::kernels::params::Step;
use crate::kernels::tuning::Tuning;
use crate::model::layout::Layout;
use crate::model::loss::{Factor, Loss};
use crate::model::network::{Embedding, Head, Network, Trunk};
use crate::objective::{COUPLINGS, Objective, Pair};
use crate::plan::PartShape;
use crate::step::{Built, LabelShape, Request, build};

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
    /// What each label word of a row is, for random labels.
    pub cells: Vec<Cell>,
    /// How the words of a row become inputs, for random data.
    pub spread: Vec<Spread>,
    /// Size of random numbers.
    pub scale: f64,
    /// Parameter blocks (offset, length); the gaps between them hold zeros for ever.
    pub blocks: Vec<(usize, usize)>,
}

/// A label word.
#[derive(Clone, Copy, Debug)]
pub enum Cell {
    /// One of so many classes.
    Class(usize),
    /// A number.
    Number,
    /// A count.
    Count,
    /// The weight of the row.
    Weight,
}

struct Shape {
    name: &'static str,
    architecture: Architecture,
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
    /// Heads of other types and losses, after the others.
    others: fn() -> Vec<Head>,
    /// Whether labels may be blank and rows have weights.
    labels: LabelShape,
    /// Columns of categories: (slots, inputs); as many numbers before them as make up the inputs.
    codes: &'static [(usize, usize)],
    /// Columns of categories with vectors: (slots, vectors, numbers of each).
    vectors: &'static [(usize, usize, usize)],
}

const ADAM: OptimizerKind = OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
const ADAMW: OptimizerKind = OptimizerKind::AdamW { beta1: 0.8, beta2: 0.99, eps: 1e-6 };
const NESTEROV: OptimizerKind = OptimizerKind::Sgd { momentum: 0.9, nesterov: true };
const SGD: OptimizerKind = OptimizerKind::Sgd { momentum: 0.5, nesterov: false };

const BASE: Shape = Shape {
    name: "one of everything",
    architecture: Architecture::Shared,
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
    others: Vec::new,
    labels: LabelShape { weighted: false, blanks: false },
    codes: &[],
    vectors: &[],
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
        name: "separate networks",
        architecture: Architecture::Separate,
        inputs: 13,
        trunk: &[9, 6],
        heads: &[(4, &[]), (4, &[5]), (4, &[5]), (3, &[])],
        activation: Activation::Tanh,
        dropout: 0.2,
        optimizer: ADAM,
        rows: [60, 40, 37],
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
    Shape {
        name: "more classes than one lane holds",
        inputs: 5,
        trunk: &[6],
        heads: &[(36, &[])],
        rows: [40, 19, 19],
        ..BASE
    },
    Shape {
        name: "bytes in whole words",
        inputs: 12,
        trunk: &[4],
        heads: &[(3, &[])],
        rows: [20, 9, 9],
        bytes: Some(0.5),
        ..BASE
    },
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
    Shape {
        name: "several columns, nothing counted",
        inputs: 5,
        trunk: &[6],
        heads: &[(3, &[])],
        rows: [40, 30, 27],
        others: || vec![numbers("r", 2, Loss::Squared), numbers("s", 3, Loss::Absolute)],
        ..BASE
    },
    Shape {
        name: "every loss, all labelled",
        inputs: 9,
        trunk: &[14],
        heads: &[(3, &[])],
        optimizer: ADAM,
        rows: [90, 70, 65],
        coupled: true,
        others: every_loss,
        ..BASE
    },
    Shape {
        name: "every loss, large values",
        inputs: 9,
        heads: &[(3, &[])],
        rows: [150, 100, 97],
        coupled: true,
        scale: 30.0,
        others: every_loss,
        labels: LabelShape { weighted: false, blanks: true },
        ..BASE
    },
    Shape {
        name: "every loss, blanks, weights, categories",
        inputs: 60,
        trunk: &[14],
        heads: &[(3, &[5])],
        optimizer: ADAM,
        rows: [190, 70, 65],
        coupled: true,
        others: every_loss,
        labels: LabelShape { weighted: true, blanks: true },
        codes: &[(1, 17), (3, 30), (1, 2)],
        ..BASE
    },
    Shape {
        name: "categories and blanks in segments and chunks",
        inputs: 40,
        trunk: &[24],
        heads: &[(4, &[])],
        optimizer: ADAM,
        rows: [800, 200, 190],
        others: || vec![numbers("r", 2, Loss::Squared)],
        labels: LabelShape { weighted: false, blanks: true },
        codes: &[(1, 37)],
        binding: 8 << 10,
        ..BASE
    },
    Shape {
        name: "embeddings and bags under a trunk",
        inputs: 41,
        trunk: &[24, 11],
        heads: &[(4, &[]), (3, &[6])],
        optimizer: ADAM,
        rows: [500, 230, 215],
        coupled: true,
        labels: LabelShape { weighted: false, blanks: true },
        codes: &[(1, 9)],
        binding: 24 << 10,
        vectors: &[(1, 300, 8), (5, 23, 12), (1, 3, 1), (2, 7, 5)],
        ..BASE
    },
    Shape {
        name: "embeddings under heads alone, in segments and chunks",
        inputs: 13,
        heads: &[(4, &[]), (4, &[6]), (3, &[])],
        optimizer: ADAM,
        rows: [800, 200, 190],
        coupled: true,
        vectors: &[(1, 40, 8), (3, 33, 4)],
        binding: 6 << 10,
        ..BASE
    },
    Shape {
        name: "embeddings, large values",
        inputs: 16,
        trunk: &[12],
        heads: &[(2, &[])],
        rows: [150, 100, 97],
        vectors: &[(1, 5, 16)],
        scale: 30.0,
        ..BASE
    },
];

fn classes(name: &str, classes: usize, loss: Loss) -> Head {
    Head { loss, ..Head::multiclass(name, (0..classes).map(|c| c.to_string()).collect()) }
}

fn numbers(name: &str, columns: usize, loss: Loss) -> Head {
    let columns = (0..columns).map(|c| format!("{name}{c}")).collect();
    Head {
        kind: TaskKind::Regression,
        classes: Vec::new(),
        columns,
        loss,
        ..Head::multiclass(name, Vec::new())
    }
}

fn every_loss() -> Vec<Head> {
    let softmax = |label_smoothing, focal_gamma, class_weights: &[f64]| Loss::CrossEntropy {
        label_smoothing,
        focal_gamma,
        class_weights: class_weights.to_vec(),
    };
    let logistic = |focal_gamma, positive: &[f64]| Loss::Logistic {
        focal_gamma,
        positive_weights: positive.to_vec(),
    };
    let binary = |name: &str, loss| Head { kind: TaskKind::Binary, ..classes(name, 2, loss) };
    vec![
        classes("weights", 4, softmax(0.0, 0.0, &[0.5, 2.0, 1.0, 3.0])),
        classes("smooth", 5, softmax(0.1, 0.0, &[])),
        classes("both", 3, softmax(0.2, 0.0, &[0.3, 1.0, 2.5])),
        classes("focal", 4, softmax(0.0, 2.0, &[1.0, 0.4, 2.0, 1.0])),
        classes("all", 4, softmax(0.1, 1.5, &[2.0, 1.0, 0.4, 1.0])),
        binary("plain", logistic(0.0, &[1.0])),
        classes("two", 2, Loss::cross_entropy()),
        binary("positive", logistic(0.0, &[3.5])),
        binary("focus", logistic(1.5, &[0.7])),
        Head {
            kind: TaskKind::Multilabel,
            ..numbers("labels", 3, logistic(0.0, &[1.0, 2.0, 0.5]))
        },
        numbers("squared", 2, Loss::Squared),
        numbers("absolute", 1, Loss::Absolute),
        numbers("huber", 1, Loss::Huber { delta: 0.7 }),
        numbers("quantile", 1, Loss::Quantile { quantile: 0.9 }),
        Head {
            kind: TaskKind::Count,
            columns: Vec::new(),
            ..numbers("count", 1, Loss::Poisson { factor: Factor(0.25) })
        },
    ]
}

/// What the label words of a row are.
fn cells(network: &Network, labels: LabelShape) -> Vec<Cell> {
    let of_head = |head: &Head| {
        let cell = match head.kind {
            TaskKind::Multiclass => Cell::Class(head.classes.len()),
            TaskKind::Binary | TaskKind::Multilabel => Cell::Class(2),
            TaskKind::Regression => Cell::Number,
            TaskKind::Count => Cell::Count,
        };
        vec![cell; head.cells()]
    };
    network.tasks.iter().flat_map(of_head).chain(labels.weighted.then_some(Cell::Weight)).collect()
}

/// The columns of a shape: numbers first, then codes, then codes with vectors, whose inputs come
/// before all others; none where all are numbers.
fn spread(shape: &Shape) -> Vec<Spread> {
    if shape.codes.is_empty() && shape.vectors.is_empty() {
        return Vec::new();
    }
    let learned = shape.vectors.iter().map(|(_, _, width)| width).sum::<usize>();
    let numbers =
        shape.inputs - learned - shape.codes.iter().map(|(_, width)| width).sum::<usize>();
    let mut columns = vec![Spread {
        slot: 0,
        slots: numbers,
        input: learned,
        width: numbers,
        codes: false,
        scale: 1.0,
        vectors: 0,
    }];
    let (mut slot, mut input) = (numbers, learned + numbers);
    for &(slots, width) in shape.codes {
        columns.push(Spread { slot, slots, input, width, codes: true, scale: 0.5, vectors: 0 });
        (slot, input) = (slot + slots, input + width);
    }
    input = 0;
    for &(slots, vectors, width) in shape.vectors {
        columns.push(Spread { slot, slots, input, width, codes: true, scale: 0.75, vectors });
        (slot, input) = (slot + slots, input + width);
    }
    columns
}

/// All cases, for an adapter's choices.
pub fn cases(tuning: &Tuning) -> Result<Vec<Case>> {
    SHAPES.iter().map(|s| case(s, tuning)).collect()
}

fn case(shape: &Shape, tuning: &Tuning) -> Result<Case> {
    let network = network(shape);
    let layout = Layout::new(&network)?;
    let objective = Objective {
        weights: (0..network.tasks.len()).map(|t| 0.7 + 0.4 * t as f32).collect(),
        pairs: pairs(shape, &network),
    };
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
        spread: &spread(shape),
        labels: shape.labels,
    })?;
    let (cells, spread) = (cells(&network, shape.labels), spread(shape));
    let blocks = layout.blocks.iter().map(|b| (b.offset, b.len)).collect();
    Ok(Case {
        name: shape.name,
        built,
        step: step(rows, present),
        rows,
        cells,
        spread,
        scale: shape.scale,
        blocks,
    })
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
        delta_scale: 64.0,
        inverse_scale: 1.0 / 64.0,
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
    let trunk = Trunk {
        layers: shape.trunk.to_vec(),
        activation: shape.activation,
        dropout: shape.dropout,
    };
    let embedding = |(i, &(_, values, width)): (usize, &(usize, usize, usize))| Embedding {
        column: format!("c{i}"),
        values,
        width,
    };
    let embeddings = shape.vectors.iter().enumerate().map(embedding).collect();
    Network {
        inputs: shape.inputs,
        embeddings,
        architecture: shape.architecture,
        trunk,
        tasks: shape.heads.iter().enumerate().map(head).chain((shape.others)()).collect(),
    }
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
