//! The shapes of the cases that balance tasks: every kernel that finds weights, planes and
//! gradients by task of every kind of shared node, with chunks, blanks and learned vectors.

use super::shapes::{ADAM, ADAMW, BASE, CaseShape, SGD};
use crate::config::{
    Activation, Architecture, Balance, Balancer, Couplings, Gates, Metric, Normalize, Scaling,
    Space,
};
use crate::model::loss::Loss;
use crate::model::network::Head;
use crate::plan::Shards;
use crate::step::LabelShape;

/// A method with everything else as by default.
fn method(method: Balancer) -> Balance {
    Balance { method, ..Balance::default() }
}

/// A method on gradients of parameters.
fn exact(method: Balancer) -> Balance {
    Balance { method, space: Space::Parameters, ..Balance::default() }
}

/// A regression beside classes.
fn regression() -> Vec<Head> {
    vec![super::shapes::numbers("r", 2, Loss::Squared)]
}

const BLANKS: LabelShape = LabelShape { weighted: false, blanks: true };

const SMALL: CaseShape = CaseShape {
    inputs: 9,
    trunk: &[6, 5],
    heads: &[(3, &[]), (4, &[4]), (2, &[])],
    activation: Activation::Tanh,
    dropout: 0.25,
    optimizer: ADAM,
    rows: [40, 21, 19],
    ..BASE
};

/// Shapes of the same network with methods that differ in one line.
pub(super) const BALANCED: &[CaseShape] = &[
    CaseShape { name: "log", balance: || method(Balancer::Log), ..SMALL },
    CaseShape {
        name: "geometric, blanks",
        balance: || method(Balancer::Geometric),
        labels: BLANKS,
        others: regression,
        ..SMALL
    },
    CaseShape {
        name: "uncertainty",
        balance: || method(Balancer::Uncertainty { most: 10.0 }),
        ..SMALL
    },
    CaseShape {
        name: "imtl_l by gradient descent",
        balance: || method(Balancer::ImtlL { most: 3.0 }),
        optimizer: SGD,
        ..SMALL
    },
    CaseShape {
        name: "dwa",
        balance: || method(Balancer::Dwa { temperature: 2.0 }),
        rows: [200, 100, 95],
        ..SMALL
    },
    CaseShape { name: "random", balance: || method(Balancer::Random), ..SMALL },
    CaseShape { name: "stch", balance: || method(Balancer::Stch { smoothing: 0.5 }), ..SMALL },
    CaseShape {
        name: "famo in chunks",
        balance: || method(Balancer::Famo { learning_rate: 0.025, decay: 0.01 }),
        binding: 4200,
        rows: [200, 100, 95],
        ..SMALL
    },
    CaseShape {
        name: "gradnorm",
        balance: || method(Balancer::Gradnorm { alpha: 1.5, learning_rate: 0.025 }),
        ..SMALL
    },
    CaseShape {
        name: "excess_mtl, blanks",
        balance: || method(Balancer::ExcessMtl { learning_rate: 0.5 }),
        labels: BLANKS,
        ..SMALL
    },
    CaseShape {
        name: "db_mtl, observed",
        balance: || Balance { observe: 3, ..method(Balancer::DbMtl { beta: 0.9, power: 0.5 }) },
        ..SMALL
    },
    CaseShape {
        name: "db_mtl in chunks",
        balance: || method(Balancer::DbMtl { beta: 0.9, power: 0.5 }),
        binding: 6000,
        rows: [200, 100, 95],
        ..SMALL
    },
    CaseShape { name: "mgda", balance: || method(Balancer::Mgda), ..SMALL },
    CaseShape {
        name: "mgda, observed, in shards",
        balance: || Balance { observe: 3, ..method(Balancer::Mgda) },
        rows: [200, 100, 95],
        shards: Shards { count: 4, ranks: 1, rank: 0 },
        ..SMALL
    },
    CaseShape {
        name: "gradnorm in shards",
        balance: || method(Balancer::Gradnorm { alpha: 1.5, learning_rate: 0.025 }),
        rows: [200, 100, 95],
        shards: Shards { count: 4, ranks: 2, rank: 0 },
        ..SMALL
    },
    CaseShape {
        name: "upgrad, exact, observed",
        balance: || Balance {
            observe: 3,
            every: 2,
            ..exact(Balancer::Upgrad { regularization: 1e-4 })
        },
        ..SMALL
    },
    CaseShape {
        name: "dual_proj in chunks",
        balance: || Balance {
            normalize: Normalize::LossNorm,
            ..method(Balancer::DualProj { regularization: 1e-4 })
        },
        binding: 4200,
        rows: [200, 100, 95],
        ..SMALL
    },
    CaseShape { name: "pcgrad", balance: || method(Balancer::Pcgrad), ..SMALL },
    CaseShape {
        name: "gradvac, exact",
        balance: || Balance {
            normalize: Normalize::Norm,
            ..exact(Balancer::Gradvac { beta: 0.25 })
        },
        ..SMALL
    },
    CaseShape { name: "cagrad", balance: || method(Balancer::Cagrad { c: 0.4 }), ..SMALL },
    CaseShape { name: "imtl_g", balance: || method(Balancer::ImtlG), ..SMALL },
    CaseShape {
        name: "nash_mtl in Adam's metric",
        balance: || Balance { metric: Metric::Adam, ..exact(Balancer::NashMtl { max_norm: 1.0 }) },
        ..SMALL
    },
    CaseShape { name: "fairgrad", balance: || method(Balancer::Fairgrad { alpha: 2.0 }), ..SMALL },
    CaseShape {
        name: "aligned_mtl, median",
        balance: || method(Balancer::AlignedMtl { scale: Scaling::Median }),
        others: regression,
        ..SMALL
    },
    CaseShape {
        name: "aligned_mtl, rmse",
        balance: || method(Balancer::AlignedMtl { scale: Scaling::Rmse }),
        ..SMALL
    },
    CaseShape {
        name: "aligned_mtl",
        balance: || method(Balancer::AlignedMtl { scale: Scaling::Min }),
        ..SMALL
    },
    CaseShape { name: "config", balance: || method(Balancer::Config), ..SMALL },
    CaseShape { name: "graddrop", balance: || method(Balancer::Graddrop { leak: 0.25 }), ..SMALL },
    CaseShape {
        name: "graddrop, exact",
        balance: || exact(Balancer::Graddrop { leak: 0.25 }),
        ..SMALL
    },
    CaseShape {
        name: "products of rows, observed",
        balance: || Balance { observe: 3, ..exact(Balancer::Upgrad { regularization: 1e-4 }) },
        inputs: 19,
        trunk: &[18, 12],
        rows: [20, 9, 7],
        ..SMALL
    },
    CaseShape {
        name: "products of rows in tiles",
        balance: || exact(Balancer::Mgda),
        inputs: 88,
        trunk: &[80],
        heads: &[(3, &[]), (4, &[4]), (2, &[]), (3, &[])],
        labels: BLANKS,
        rows: [60, 37, 33],
        ..SMALL
    },
    CaseShape {
        name: "couplings among the objectives",
        coupled: true,
        balance: || Balance {
            couplings: Couplings::Balanced,
            observe: 2,
            ..method(Balancer::Upgrad { regularization: 1e-4 })
        },
        heads: &[(3, &[]), (3, &[4]), (2, &[])],
        ..SMALL
    },
    CaseShape {
        name: "couplings apart in chunks",
        coupled: true,
        balance: || exact(Balancer::Mgda),
        heads: &[(3, &[]), (3, &[4]), (2, &[])],
        binding: 4200,
        rows: [200, 100, 95],
        ..SMALL
    },
    CaseShape {
        name: "couplings apart, graddrop",
        coupled: true,
        balance: || exact(Balancer::Graddrop { leak: 0.25 }),
        heads: &[(3, &[]), (3, &[4]), (2, &[])],
        ..SMALL
    },
    CaseShape {
        name: "upgrad of many tasks",
        balance: || method(Balancer::Upgrad { regularization: 1e-4 }),
        heads: &[
            (2, &[]),
            (3, &[]),
            (2, &[]),
            (4, &[]),
            (3, &[]),
            (2, &[]),
            (2, &[]),
            (3, &[]),
            (2, &[]),
        ],
        ..SMALL
    },
    CaseShape {
        name: "balanced embeddings",
        balance: || exact(Balancer::Mgda),
        inputs: 16,
        labels: BLANKS,
        vectors: &[(1, 5, 4), (2, 7, 3)],
        optimizer: ADAMW,
        ..SMALL
    },
    CaseShape {
        name: "balanced experts",
        balance: || exact(Balancer::Pcgrad),
        architecture: || Architecture::Mmoe { experts: 3, gates: Gates::One },
        ..SMALL
    },
    CaseShape {
        name: "planes of experts",
        balance: || Balance { observe: 1, ..method(Balancer::Pcgrad) },
        architecture: || Architecture::Ple { experts: 2, task_experts: 1, levels: 2 },
        ..SMALL
    },
    CaseShape {
        name: "balanced stitches",
        balance: || Balance { observe: 1, ..exact(Balancer::Pcgrad) },
        architecture: || Architecture::CrossStitch { own: 0.75, learning_rate_factor: 5.0 },
        ..SMALL
    },
    CaseShape {
        name: "planes under masks",
        balance: || Balance { observe: 1, ..method(Balancer::Pcgrad) },
        architecture: || Architecture::Mtan,
        ..SMALL
    },
];
