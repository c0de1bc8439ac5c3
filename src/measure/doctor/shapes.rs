//! The shapes of the cases: small networks of awkward sizes (one, primes, tile minus and plus one,
//! tall, wide), with every activation, optimizer, loss and coupling, with chunks of rows and
//! segments of data, and of every architecture.

use crate::config::{
    Activation, Architecture, Balance, Branches, Falling, Gates, OptimizerKind, Pool, SelectGates,
    TaskKind,
};
use crate::model::architecture::columns;
use crate::model::graph::{By, Draft, Graph, Owner, Source};
use crate::model::loss::{Factor, Loss};
use crate::model::network::{Head, Network};
use crate::plan::{Augmented, Shards};
use crate::step::LabelShape;

/// Makes the graph of a network.
type Architect = fn(&Network) -> Result<Graph, String>;

/// The shape of a case.
pub(super) struct CaseShape {
    pub(super) name: &'static str,
    pub(super) architecture: fn() -> Architecture,
    pub(super) balance: fn() -> Balance,
    /// A graph that no architecture makes, if there is one.
    pub(super) graph: Option<Architect>,
    pub(super) inputs: usize,
    pub(super) trunk: &'static [usize],
    /// Multiclass heads: (number of classes, widths of the tower).
    pub(super) heads: &'static [(usize, &'static [usize])],
    pub(super) activation: Activation,
    pub(super) dropout: f64,
    pub(super) optimizer: OptimizerKind,
    /// Rows of the training part, of a batch, and of the step that runs.
    pub(super) rows: [usize; 3],
    /// Factor on features that are bytes; `None` for f32.
    pub(super) bytes: Option<f32>,
    /// Whether all pairs of heads are coupled that can be, and the gradient is clipped.
    pub(super) coupled: bool,
    /// The size of random numbers.
    pub(super) scale: f64,
    /// The largest number of bytes of a binding; 0 for the limit of the adapter.
    pub(super) binding: u64,
    /// Heads of other types and losses, behind the multiclass ones.
    pub(super) others: fn() -> Vec<Head>,
    /// Whether labels may be missing, and whether rows have weights.
    pub(super) labels: LabelShape,
    /// Columns of categories: (slots, inputs). The other inputs are numbers before them.
    pub(super) codes: &'static [(usize, usize)],
    /// Columns of categories with vectors: (slots, vectors, numbers per vector).
    pub(super) vectors: &'static [(usize, usize, usize)],
    /// Rows on each side whose columns are inputs of a row, too.
    pub(super) window: usize,
    /// The random changes of images, which the inputs are then.
    pub(super) augmented: Option<Augmented>,
    /// How a batch is cut.
    pub(super) shards: Shards,
}

pub(super) const ADAM: OptimizerKind = OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, eps: 1e-8 };
pub(super) const ADAMW: OptimizerKind = OptimizerKind::AdamW { beta1: 0.8, beta2: 0.99, eps: 1e-6 };
const NESTEROV: OptimizerKind = OptimizerKind::Sgd { momentum: 0.9, nesterov: true };
pub(super) const SGD: OptimizerKind = OptimizerKind::Sgd { momentum: 0.5, nesterov: false };

pub(super) const BASE: CaseShape = CaseShape {
    name: "one of everything",
    architecture: || Architecture::Shared,
    balance: Balance::default,
    graph: None,
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
    window: 0,
    augmented: None,
    shards: Shards { count: 1, ranks: 1, rank: 0 },
};

/// A trunk whose layers are added to what they read.
fn sums(network: &Network) -> Result<Graph, String> {
    let mut draft = Draft::default();
    let layers = |from: usize| columns::trunk(&network.trunk, "trunk", Owner::Shared).skip(from);
    let mut here = columns::node(draft.column(Source::Inputs, layers(0).take(1))?)?;
    for depth in 1..network.trunk.layers.len() {
        let next = draft.column(Source::Node(here), layers(depth).take(1))?;
        let terms = [here, columns::node(next)?];
        here = draft.mix(&format!("trunk.{depth}.sum"), &terms, By::Sum)?;
    }
    for (task, own) in network.tasks.iter().enumerate() {
        draft.column(Source::Node(here), columns::head(task, own))?;
    }
    draft.finish(network.tasks.len())
}

/// One layer for all three tasks, then one for the first two.
fn branches() -> Branches {
    let groups = |groups: &[&[&str]]| -> Vec<Vec<String>> {
        groups.iter().map(|group| group.iter().map(|name| name.to_string()).collect()).collect()
    };
    vec![groups(&[&["t0", "t1", "t2"]]), groups(&[&["t0", "t1"], &["t2"]])]
}

/// The shapes of all cases.
pub(super) const SHAPES: &[CaseShape] = &[
    BASE,
    CaseShape {
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
    CaseShape {
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
    CaseShape {
        name: "separate networks",
        architecture: || Architecture::Separate,
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
    CaseShape {
        name: "experts and gates",
        architecture: || Architecture::Mmoe { experts: 3, gates: Gates::Task },
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
    CaseShape {
        name: "many experts, one gate",
        architecture: || Architecture::Mmoe { experts: 17, gates: Gates::One },
        inputs: 33,
        trunk: &[130],
        heads: &[(3, &[]), (2, &[])],
        rows: [150, 130, 130],
        ..BASE
    },
    CaseShape {
        name: "masks in turns",
        architecture: || Architecture::Mtan,
        inputs: 5,
        trunk: &[132],
        rows: [260, 256, 256],
        ..BASE
    },
    CaseShape {
        name: "sums and copies",
        graph: Some(sums),
        inputs: 6,
        trunk: &[7, 7, 7],
        heads: &[(3, &[]), (2, &[4])],
        activation: Activation::Tanh,
        rows: [40, 35, 35],
        ..BASE
    },
    CaseShape {
        name: "levels of experts",
        architecture: || Architecture::Ple { experts: 2, task_experts: 1, levels: 2 },
        inputs: 21,
        trunk: &[7],
        heads: &[(3, &[4]), (5, &[])],
        activation: Activation::Silu,
        dropout: 0.1,
        optimizer: ADAMW,
        rows: [50, 41, 41],
        labels: LabelShape { weighted: true, blanks: true },
        codes: &[(1, 4)],
        vectors: &[(2, 9, 6)],
        ..BASE
    },
    CaseShape {
        name: "stitches",
        architecture: || Architecture::CrossStitch { own: 0.8, learning_rate_factor: 3.0 },
        inputs: 11,
        trunk: &[16, 9],
        heads: &[(4, &[]), (4, &[]), (3, &[5])],
        activation: Activation::Gelu,
        optimizer: ADAMW,
        rows: [90, 84, 83],
        ..BASE
    },
    CaseShape {
        name: "stitches in chunks",
        architecture: || Architecture::CrossStitch { own: 0.5, learning_rate_factor: 0.25 },
        inputs: 40,
        trunk: &[24],
        heads: &[(4, &[]), (4, &[]), (4, &[])],
        optimizer: NESTEROV,
        rows: [90, 84, 83],
        coupled: true,
        binding: 16_640,
        ..BASE
    },
    CaseShape {
        name: "masks",
        architecture: || Architecture::Mtan,
        inputs: 12,
        trunk: &[9, 16, 7],
        heads: &[(3, &[]), (2, &[6])],
        activation: Activation::Silu,
        dropout: 0.2,
        optimizer: NESTEROV,
        rows: [40, 35, 35],
        ..BASE
    },
    CaseShape {
        name: "choice of experts by row",
        architecture: || Architecture::DselectK {
            experts: 5,
            select: 3,
            gates: SelectGates::Row,
            smooth: 40.0,
            entropy: 0.5,
        },
        inputs: 9,
        trunk: &[8],
        heads: &[(3, &[]), (2, &[])],
        activation: Activation::Tanh,
        optimizer: ADAMW,
        rows: [40, 35, 29],
        ..BASE
    },
    CaseShape {
        name: "choice of experts by task",
        architecture: || Architecture::DselectK {
            experts: 4,
            select: 2,
            gates: SelectGates::Task,
            smooth: 4.0,
            entropy: 0.5,
        },
        inputs: 9,
        trunk: &[10],
        heads: &[(3, &[]), (2, &[])],
        rows: [40, 35, 33],
        ..BASE
    },
    CaseShape {
        name: "branches",
        architecture: || Architecture::Branched { branches: branches(), learn: None },
        inputs: 9,
        trunk: &[10, 6],
        heads: &[(3, &[]), (2, &[]), (4, &[])],
        optimizer: ADAM,
        rows: [40, 35, 35],
        ..BASE
    },
    CaseShape {
        name: "branches to be learned",
        architecture: || Architecture::Branched {
            branches: Vec::new(),
            learn: Some(Falling { from: 3.0, to: 0.5 }),
        },
        inputs: 9,
        trunk: &[10, 6],
        heads: &[(3, &[]), (2, &[]), (4, &[5])],
        activation: Activation::Silu,
        optimizer: SGD,
        rows: [90, 83, 83],
        coupled: true,
        ..BASE
    },
    CaseShape {
        name: "gelu, one below the tile",
        inputs: 63,
        trunk: &[32, 31, 17],
        heads: &[(7, &[])],
        activation: Activation::Gelu,
        optimizer: NESTEROV,
        rows: [64, 31, 31],
        ..BASE
    },
    CaseShape {
        name: "more classes than one lane holds",
        inputs: 5,
        trunk: &[6],
        heads: &[(36, &[])],
        rows: [40, 19, 19],
        ..BASE
    },
    CaseShape {
        name: "bytes in whole words",
        inputs: 12,
        trunk: &[4],
        heads: &[(3, &[])],
        rows: [20, 9, 9],
        bytes: Some(0.5),
        ..BASE
    },
    CaseShape {
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
    CaseShape {
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
    CaseShape {
        name: "no trunk, small values",
        inputs: 12,
        heads: &[(3, &[]), (3, &[]), (3, &[])],
        optimizer: ADAM,
        rows: [90, 40, 33],
        coupled: true,
        scale: 1e-3,
        ..BASE
    },
    CaseShape {
        name: "shards, in chunks",
        inputs: 11,
        trunk: &[24],
        heads: &[(4, &[]), (4, &[6])],
        dropout: 0.25,
        optimizer: ADAM,
        rows: [300, 200, 190],
        coupled: true,
        binding: 4200,
        shards: Shards { count: 8, ranks: 1, rank: 0 },
        ..BASE
    },
    CaseShape {
        name: "the shards of one of four ranks",
        inputs: 7,
        trunk: &[12],
        heads: &[(3, &[]), (2, &[])],
        rows: [90, 43, 40],
        shards: Shards { count: 8, ranks: 4, rank: 2 },
        ..BASE
    },
    CaseShape {
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
    CaseShape {
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
    CaseShape {
        name: "several columns, nothing counted",
        inputs: 5,
        trunk: &[6],
        heads: &[(3, &[])],
        rows: [40, 30, 27],
        others: || vec![numbers("r", 2, Loss::Squared), numbers("s", 3, Loss::Absolute)],
        ..BASE
    },
    CaseShape {
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
    CaseShape {
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
    CaseShape {
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
    CaseShape {
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
    CaseShape {
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
    CaseShape {
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
    CaseShape {
        name: "windows of tokens, in segments and chunks",
        inputs: 3 * (7 + 5 + 8 + 3),
        heads: &[(4, &[]), (3, &[6])],
        trunk: &[12],
        optimizer: ADAM,
        rows: [400, 130, 117],
        labels: LabelShape { weighted: false, blanks: true },
        codes: &[(1, 7)],
        vectors: &[(1, 19, 8), (2, 9, 3)],
        window: 1,
        binding: 16 << 10,
        ..BASE
    },
    CaseShape {
        name: "pooled sentences",
        inputs: 5 * (6 + 4 + 4),
        trunk: &[12, 7],
        heads: &[(4, &[])],
        others: || vec![pooled("mean", Pool::Mean), pooled("max", Pool::Max)],
        activation: Activation::Tanh,
        dropout: 0.1,
        optimizer: ADAM,
        rows: [300, 90, 83],
        labels: LabelShape { weighted: true, blanks: true },
        codes: &[(1, 6)],
        vectors: &[(1, 13, 4)],
        window: 2,
        ..BASE
    },
    CaseShape {
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

/// A head of sentences.
fn pooled(name: &str, pool: Pool) -> Head {
    Head { layers: vec![5], pool: Some(pool), ..classes(name, 3, Loss::cross_entropy()) }
}

/// A head with classes.
fn classes(name: &str, classes: usize, loss: Loss) -> Head {
    Head { loss, ..Head::multiclass(name, (0..classes).map(|c| c.to_string()).collect()) }
}

/// A head with columns of numbers.
pub(super) fn numbers(name: &str, columns: usize, loss: Loss) -> Head {
    let columns = (0..columns).map(|c| format!("{name}{c}")).collect();
    Head {
        kind: TaskKind::Regression,
        classes: Vec::new(),
        columns,
        loss,
        ..Head::multiclass(name, Vec::new())
    }
}

/// Heads with all losses and their options.
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
