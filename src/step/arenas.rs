//! The buffers of a program: arenas, tables, and the names of the flags.

use super::balancing;
use super::buffers::{spec, table_spec};
use super::embed;
use super::request::Request;
use crate::config::Optimizer;
use crate::kernels::params;
use crate::model::layout::{ALIGN, Block};
use crate::objective::losses;
use crate::plan::{Buffers, LayerPlan};
use crate::schedule::{Buffer, Flag, FlagKind, Kind, Program};

/// Makes the arenas and the tables of a program. The buffers of metrics come later, when their
/// number is known.
pub(super) fn place_arenas(
    program: &mut Program,
    request: &Request,
    plan: &LayerPlan,
    embeddings: &[params::Embedding],
) -> Buffers {
    let [parameters, gradients, first_moment, second_moment] = parameter_arenas(program, request);
    program.gradients_buffer = gradients;
    let mut arena = |name: &str, len: usize| spec(program, name, len, Kind::F32, Vec::new());
    let activations = ["even", "odd"].map(|parity| format!("activations, {parity}"));
    let activations = [0, 1].map(|odd| arena(&activations[odd], plan.activations[odd]));
    let deltas = ["deltas, even", "deltas, odd"];
    let deltas = [0, 1].map(|odd| arena(deltas[odd], plan.deltas[odd]));
    let [logits, logits_delta] =
        ["logits", "logits' gradients"].map(|name| arena(name, plan.logits));
    let mut integers = |name: &str, len: usize| spec(program, name, len, Kind::U32, Vec::new());
    let labels = integers("labels", plan.capacity * request.counting().cells);
    let order = integers("order", request.parts.first().map_or(1, |part| part.rows));
    let decay = request.optimizer.map_or(Vec::new(), |o| decay_table(request, o));
    let decay = spec(program, "decay", 2 * request.layout.len / ALIGN, Kind::F32, decay);
    let layers = table_spec(program, "layers", &plan.layers);
    let destinations = table_spec(program, "destinations", &plan.destinations);
    let [gates, mixes, terms, receivers, shares, constants] = mixing_tables(program, plan);
    let heads = head_table(program, request, plan);
    let weights = losses::class_weights(request.network);
    let class_weights = spec(program, "class weights", weights.len(), Kind::F32, weights);
    let spans = embed::spans(request, plan.capacity);
    let spreads = embed::lines(request.spread, embeddings, spans);
    let spreads = table_spec(program, "columns", &spreads);
    let cells = plan.capacity * embed::cells_per_row(request.spread);
    let spans = spans.map_or(0, |_| plan.capacity);
    let [codes, next_cells, first_cells] =
        [("codes", cells + spans), ("next cells", cells), ("first cells", vectors(embeddings))]
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
        gates,
        mixes,
        terms,
        receivers,
        shares,
        constants,
        embeddings,
        codes,
        next_cells,
        first_cells,
        metric_table: later,
        balance: balancing::place_buffers(program, request, plan),
    }
}

/// Parameters, gradients and the two moments. An evaluation has neither gradients nor moments;
/// couplings bind the gradients in any case.
fn parameter_arenas(program: &mut Program, request: &Request) -> [Buffer; 4] {
    let len = request.layout.len;
    let trained = if request.optimizer.is_some() { len } else { 1 };
    let has_second = request.optimizer.is_some_and(|o| o.kind.moments() > 1);
    let second = if has_second { len } else { 1 };
    [
        ("parameters", len),
        ("gradients", trained),
        ("first moment", trained),
        ("second moment", second),
    ]
    .map(|(name, len)| spec(program, name, len, Kind::F32, Vec::new()))
}

/// The tables of gates, mixes, terms, receivers, shares and constants. A network without mixes has
/// no kernel that binds them.
fn mixing_tables(program: &mut Program, plan: &LayerPlan) -> [Buffer; 6] {
    let mixing = &plan.mixing;
    if mixing.mixes.is_empty() {
        return [Buffer(usize::MAX); 6];
    }
    [
        table_spec(program, "gates", &mixing.gates),
        table_spec(program, "mixes", &mixing.mixes),
        table_spec(program, "terms", &mixing.terms),
        table_spec(program, "receivers", &mixing.receivers),
        table_spec(program, "shares", &mixing.shares),
        table_spec(program, "constants", &mixing.constants),
    ]
}

/// The table of heads.
fn head_table(program: &mut Program, request: &Request, plan: &LayerPlan) -> Buffer {
    let counts = request.counts(plan.capacity).map(|first| first + 2 * request.network.tasks.len());
    let lines = losses::heads(request.network, request.objective, plan.capacity, counts);
    table_spec(program, "heads", &lines)
}

/// Number of vectors of all embeddings together.
fn vectors(embeddings: &[params::Embedding]) -> usize {
    embeddings.iter().map(|e| e.values as usize).sum()
}

/// For each run of [`ALIGN`] parameters weight decay and factor on the learning rate, as bits of
/// f32.
fn decay_table(request: &Request, optimizer: &Optimizer) -> Vec<u32> {
    let layout = request.layout;
    let mut table = vec![[0.0f32, 1.0]; layout.len / ALIGN];
    let runs = |block: &Block| block.offset / ALIGN..(block.offset + block.len).div_ceil(ALIGN);
    for block in layout
        .blocks
        .iter()
        .filter(|b| (optimizer.decay_biases || !b.is_bias()) && !layout.is_frozen(b.owner))
    {
        table[runs(block)].iter_mut().for_each(|run| run[0] = optimizer.weight_decay as f32);
    }
    for (embedding, block) in request.network.embeddings.iter().zip(layout.embeddings()) {
        if embedding.kept {
            table[runs(block)].iter_mut().for_each(|run| *run = [0.0, 0.0]);
        }
    }
    let rate = request.network.architecture.constants_rate() as f32;
    for constant in &layout.constants {
        let block = &layout.blocks[constant.block];
        table[runs(block)].iter_mut().for_each(|run| run[1] = rate);
    }
    table.into_iter().flatten().map(f32::to_bits).collect()
}

/// The flags of the layers, two per layer in the order of the table (pre-activation, gradient),
/// then one per embedding and one per constant (gradient).
pub(super) fn layer_flags(plan: &LayerPlan, request: &Request) -> Vec<Flag> {
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
        task: b.owner.task().map(|t| request.network.tasks[t].name.clone()),
    };
    let constants = request.layout.constants.iter().map(|c| &request.layout.blocks[c.block]);
    let others = embeddings.chain(constants).map(gradient);
    plan.order.iter().flat_map(names).chain(others).collect()
}
