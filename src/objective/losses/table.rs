//! The common parts of the kernels of losses: the table of heads, the table of class weights, and
//! the denominators.

use crate::kernels::params;
use crate::model::loss::Loss;
use crate::model::network::{Head, Network};
use crate::objective::total::Objective;
use crate::plan::{Chunk, Scene};
use crate::schedule::Dispatch;
use crate::schedule::slices;

/// The table of heads. `inverses` is the first of the inverse denominators among the partial sums,
/// where labels are counted.
pub fn heads(
    network: &Network,
    objective: &Objective,
    capacity: usize,
    inverses: Option<usize>,
) -> Vec<params::Head> {
    let line = |task: usize| {
        let head = &network.tasks[task];
        let (kind, parameter) = head.loss.code();
        let (smoothing, gamma) = head.loss.smoothing_and_focus();
        params::Head {
            outputs: head.outputs() as u32,
            logits: (capacity * network.first_logit(task)) as u32,
            weight: objective.weights[task],
            coupled: u32::from(objective.couples_logits(task)),
            kind,
            cell: network.first_cell(task) as u32,
            cells: head.cells() as u32,
            parameter: parameter as f32,
            gamma: gamma as f32,
            smoothing: smoothing as f32,
            weights: weights_before(network, task).map_or(params::NONE, |first| first as u32),
            share: (1.0 / head.cells() as f64) as f32,
            inverse: inverses.map_or(params::NONE, |first| (first + task) as u32),
        }
    };
    (0..network.tasks.len()).map(line).collect()
}

/// The class weights and weights of positives of all heads, as bits of f32.
pub fn class_weights(network: &Network) -> Vec<u32> {
    network
        .tasks
        .iter()
        .flat_map(|head| head.loss.weights())
        .map(|w| (*w as f32).to_bits())
        .collect()
}

/// The first of a head's weights; `None` where it has none.
fn weights_before(network: &Network, task: usize) -> Option<usize> {
    let before = network.tasks[..task].iter().map(|head| head.loss.weights().len()).sum();
    (!network.tasks[task].loss.weights().is_empty()).then_some(before)
}

/// Whether a multiclass head has neither class weights nor label smoothing nor a focal loss.
pub fn is_plain(head: &Head) -> bool {
    head.kind.has_logits_of_classes() && head.loss == Loss::cross_entropy()
}

/// Binds the buffers of both kernels of losses, and states what they read and write.
pub fn bind(dispatch: Dispatch, scene: &Scene, tasks: &[usize], chunk: Chunk) -> Dispatch {
    let (b, count, capacity) = (&scene.buffers, scene.network.tasks.len(), scene.plan.capacity);
    let logits = tasks.iter().map(|&t| (scene.logits(t).0, chunk.rows * scene.logits(t).1));
    let partials = tasks.iter().flat_map(|t| [*t, count + t]).map(|i| (i * capacity, chunk.rows));
    let inverses = scene.counts.map(|first| (first + 2 * count, count));
    dispatch
        .bind([
            ("heads", b.heads),
            ("logits", b.logits),
            ("labels", b.labels),
            ("class_weights", b.class_weights),
        ])
        .bind([("logits_delta", b.logits_delta), ("partials", b.partials)])
        .reads(slices(b.logits, logits.clone()))
        .reads(slices(b.labels, [(0, chunk.rows * scene.counting.cells)]))
        .reads(slices(b.partials, inverses))
        .overwrites(slices(b.logits_delta, logits))
        .overwrites(slices(b.partials, partials))
}
