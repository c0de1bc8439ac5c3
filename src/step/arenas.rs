//! The buffers of a program: arenas, tables, and the names of the flags.

use super::buffers::{spec, table_spec};
use super::embed;
use super::request::Request;
use crate::config::{Optimizer, OptimizerKind};
use crate::kernels::params;
use crate::model::layout::{ALIGN, Block, Layout};
use crate::objective::losses;
use crate::plan::{Buffers, Plan};
use crate::schedule::{Buffer, Flag, FlagKind, Kind, Program};

pub(super) fn place_arenas(
    program: &mut Program,
    request: &Request,
    plan: &Plan,
    embeddings: &[params::Embedding],
) -> Buffers {
    let (len, cells) = (request.layout.len, request.counting().cells);
    let mut arena = |name: &str, len: usize| spec(program, name, len, Kind::F32, Vec::new());
    let parameters = arena("parameters", len);
    // An evaluation has neither gradients nor moments; couplings bind the gradients all the same.
    let trains = request.optimizer.is_some();
    let has_second =
        request.optimizer.is_some_and(|o| !matches!(o.kind, OptimizerKind::Sgd { .. }));
    let gradients = arena("gradients", if trains { len } else { 1 });
    let first_moment = arena("first moment", if trains { len } else { 1 });
    let second_moment = arena("second moment", if has_second { len } else { 1 });
    let activations = [
        arena("activations, even", plan.activations[0]),
        arena("activations, odd", plan.activations[1]),
    ];
    let deltas = [arena("deltas, even", plan.deltas[0]), arena("deltas, odd", plan.deltas[1])];
    let (logits, logits_delta) =
        (arena("logits", plan.logits), arena("logits' gradients", plan.logits));
    let labels = spec(program, "labels", plan.capacity * cells, Kind::U32, Vec::new());
    let order =
        spec(program, "order", request.parts.first().map_or(1, |p| p.rows), Kind::U32, Vec::new());
    let decay = request.optimizer.map_or(Vec::new(), |o| decay_table(request.layout, o));
    let decay = spec(program, "decay", len / ALIGN, Kind::F32, decay);
    let layers = table_spec(program, "layers", &plan.layers);
    let destinations = table_spec(program, "destinations", &plan.destinations);
    let heads = head_table(program, request, plan);
    let class_weights = spec(
        program,
        "class weights",
        losses::class_weights(request.network).len(),
        Kind::F32,
        losses::class_weights(request.network),
    );
    let spreads = table_spec(program, "columns", &embed::lines(request.spread, embeddings));
    let cells = plan.capacity * embed::cells_per_row(request.spread);
    let [codes, next_cells, first_cells] =
        [("codes", cells), ("next cells", cells), ("first cells", vectors(embeddings))]
            .map(|(name, len)| spec(program, name, len, Kind::U32, Vec::new()));
    let embeddings = table_spec(program, "embeddings", embeddings);
    let later = Buffer(usize::MAX);
    Buffers {
        parameters,
        gradients,
        first_moment,
        second_moment,
        decay,
        activations,
        deltas,
        logits,
        logits_delta,
        labels,
        order,
        partials: later,
        metrics: later,
        flags: later,
        layers,
        destinations,
        heads,
        class_weights,
        spreads,
        embeddings,
        codes,
        next_cells,
        first_cells,
        metric_table: later,
    }
}

fn head_table(program: &mut Program, request: &Request, plan: &Plan) -> Buffer {
    let counts = request.counts(plan.capacity).map(|first| first + 2 * request.network.tasks.len());
    let lines = losses::heads(request.network, request.objective, plan.capacity, counts);
    table_spec(program, "heads", &lines)
}

/// Vectors of all embeddings.
fn vectors(embeddings: &[params::Embedding]) -> usize {
    embeddings.iter().map(|e| e.values as usize).sum()
}

/// Weight decay of every run of [`ALIGN`] parameters, as bits.
fn decay_table(layout: &Layout, optimizer: &Optimizer) -> Vec<u32> {
    let mut table = vec![0.0f32; layout.len / ALIGN];
    for block in layout
        .blocks
        .iter()
        .filter(|b| (optimizer.decay_biases || !b.is_bias()) && !layout.is_frozen(b.owner))
    {
        table[block.offset / ALIGN..(block.offset + block.len).div_ceil(ALIGN)]
            .fill(optimizer.weight_decay as f32);
    }
    table.into_iter().map(f32::to_bits).collect()
}

/// Names of the flags of the layers, two a layer in table order: pre-activation, gradient; then the
/// gradients of the embeddings.
pub(super) fn layer_flags(plan: &Plan, request: &Request) -> Vec<Flag> {
    let names = |&l: &usize| {
        let layer = &request.layout.layers[l];
        let task = layer.owner.task().map(|t| request.network.tasks[t].name.clone());
        [FlagKind::PreActivation, FlagKind::Gradient].map(|kind| Flag {
            kind,
            name: layer.name.clone(),
            task: task.clone(),
        })
    };
    let embeddings = request.layout.embeddings().iter();
    let gradient = |b: &Block| Flag {
        kind: FlagKind::Gradient,
        name: b.name.trim_end_matches(".weight").to_owned(),
        task: None,
    };
    plan.order.iter().flat_map(names).chain(embeddings.map(gradient)).collect()
}
