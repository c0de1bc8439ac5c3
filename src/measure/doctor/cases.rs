//! The cases of the self-test: programs of small networks, built from their shapes.

use anyhow::Result;

use super::balanced::BALANCED;
use super::pictures::PICTURES;
use super::shapes::{CaseShape, SHAPES};
use crate::config::{Optimizer, Schedule, TaskKind};
use crate::data::Spread;
use crate::kernels::params::Step;
use crate::kernels::tuning::Tuning;
use crate::model::layout::Layout;
use crate::model::network::{Embedding, Head, Network, Trunk};
use crate::objective::{COUPLINGS, Objective, Pair};
use crate::plan::PartShape;
use crate::step::{Built, LabelShape, Request, build};

/// A program to check.
#[derive(Debug)]
pub struct Case {
    /// Its name: what is awkward about it.
    pub name: &'static str,
    /// The program.
    pub built: Built,
    /// The step that its dispatches run in.
    pub step: Step,
    /// Rows of the training part.
    pub rows: usize,
    /// The kind of each label of a row, for random labels.
    pub cells: Vec<LabelKind>,
    /// How the cells of a row become inputs, for random data.
    pub spread: Vec<Spread>,
    /// Rows that the arenas have room for.
    pub capacity: usize,
    /// The first of the places of rows in their sentences among the codes, if there are some.
    pub spans: Option<usize>,
    /// The size of random numbers.
    pub scale: f64,
    /// The blocks of parameters, (offset, length); the gaps between them always hold zeros.
    pub blocks: Vec<(usize, usize)>,
}

/// The kind of a label of a row.
#[derive(Clone, Copy, Debug)]
pub enum LabelKind {
    /// One of this many classes.
    Class(usize),
    /// A number.
    Number,
    /// A count.
    Count,
    /// The weight of the row.
    Weight,
}

/// The kinds of the labels of a row.
fn cells(network: &Network, labels: LabelShape) -> Vec<LabelKind> {
    let of_head = |head: &Head| {
        let cell = match head.kind {
            TaskKind::Multiclass | TaskKind::Tags => LabelKind::Class(head.classes.len()),
            TaskKind::Binary | TaskKind::Multilabel => LabelKind::Class(2),
            TaskKind::Regression => LabelKind::Number,
            TaskKind::Count => LabelKind::Count,
        };
        vec![cell; head.cells()]
    };
    network
        .tasks
        .iter()
        .flat_map(of_head)
        .chain(labels.weighted.then_some(LabelKind::Weight))
        .collect()
}

/// The columns of a shape: first numbers, then codes, then codes with vectors, whose inputs come
/// before all others; the place in a sentence, where columns have windows. Empty where all columns
/// are numbers.
fn spread(shape: &CaseShape) -> Vec<Spread> {
    if shape.codes.is_empty() && shape.vectors.is_empty() {
        return Vec::new();
    }
    let (window, places) = (shape.window, 2 * shape.window + 1);
    let learned = places * shape.vectors.iter().map(|(_, _, width)| width).sum::<usize>();
    let coded = places * shape.codes.iter().map(|(_, width)| width).sum::<usize>();
    let numbers = (shape.inputs - learned - coded) / places;
    let plain = Spread {
        slot: 0,
        slots: numbers,
        input: learned,
        width: numbers,
        codes: false,
        scale: 1.0,
        vectors: 0,
        window,
        beyond: None,
        is_span: false,
    };
    let mut columns = vec![plain];
    let beyond = |codes: usize| (window > 0).then(|| codes as u32 - 1);
    let (mut slot, mut input) = (numbers, learned + places * numbers);
    for &(slots, width) in shape.codes {
        let (codes, scale, beyond) = (true, 0.5, beyond(width));
        columns.push(Spread { slot, slots, input, width, codes, scale, beyond, ..plain });
        (slot, input) = (slot + slots, input + places * width);
    }
    input = 0;
    for &(slots, vectors, width) in shape.vectors {
        let column = Spread { slot, slots, input, width, vectors, ..plain };
        columns.push(Spread { codes: true, scale: 0.75, beyond: beyond(vectors), ..column });
        (slot, input) = (slot + slots, input + places * width);
    }
    if window > 0 {
        let column = Spread { slot, slots: 1, input, width: 0, window: 0, ..plain };
        columns.push(Spread { is_span: true, ..column });
    }
    columns
}

/// All cases, for the choices of an adapter.
///
/// # Errors
/// A network that does not fit the bindings of the adapter.
pub fn cases(tuning: &Tuning) -> Result<Vec<Case>> {
    SHAPES.iter().chain(PICTURES).chain(BALANCED).map(|s| case(s, tuning)).collect()
}

fn case(shape: &CaseShape, tuning: &Tuning) -> Result<Case> {
    let network = network(shape);
    let layout = match shape.graph {
        None => Layout::new(&network)?,
        Some(graph) => Layout::of(&network, graph(&network).map_err(anyhow::Error::msg)?),
    };
    let objective = Objective {
        weights: (0..network.tasks.len()).map(|t| 0.7 + 0.4 * t as f32).collect(),
        pairs: pairs(shape, &network),
        entropy: network.architecture.entropy(),
        balance: (shape.balance)(),
        per_epoch: 5,
    };
    let optimizer = optimizer(shape);
    let mut tuning = tuning.clone();
    if shape.binding > 0 {
        tuning.binding_bytes = shape.binding;
    }
    let [rows, batch, present] = shape.rows;
    let part =
        |name: &str, rows| PartShape { name: name.into(), rows, bytes: shape.bytes, tokens: None };
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
        augmented: shape.augmented,
        labels: shape.labels,
        shards: shape.shards,
    })?;
    let (cells, spread) = (cells(&network, shape.labels), spread(shape));
    let blocks = layout.blocks.iter().map(|b| (b.offset, b.len)).collect();
    Ok(Case {
        name: shape.name,
        step: step(rows, present),
        rows,
        cells,
        capacity: built.capacity,
        spans: built.spans,
        built,
        spread,
        scale: shape.scale,
        blocks,
    })
}

fn optimizer(shape: &CaseShape) -> Optimizer {
    Optimizer {
        kind: shape.optimizer,
        learning_rate: 0.01,
        weight_decay: 0.02,
        decay_biases: !shape.coupled,
        clip_norm: if shape.coupled { 0.5 } else { 0.0 },
        schedule: Schedule::Constant,
        warmup_steps: 0,
    }
}

/// A step over `present` rows in the middle of `rows`.
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
        progress: 0.375,
    }
}

fn network(shape: &CaseShape) -> Network {
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
        places: 2 * shape.window + 1,
        kept: false,
    };
    let embeddings = shape.vectors.iter().enumerate().map(embedding).collect();
    Network {
        inputs: shape.inputs,
        embeddings,
        architecture: (shape.architecture)(),
        trunk,
        tasks: shape.heads.iter().enumerate().map(head).chain((shape.others)()).collect(),
    }
}

/// All pairs that a kind of coupling applies to, each with a strength of its own.
fn pairs(shape: &CaseShape, network: &Network) -> Vec<Pair> {
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
