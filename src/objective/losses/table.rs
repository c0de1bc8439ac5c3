//! What the kernels of task losses share: the table of heads, the table of class weights, and the
//! denominators.

use crate::config::TaskKind;
use crate::kernels::params::{self, loss};
use crate::model::network::{Head, Loss, Network};
use crate::objective::total::Objective;
use crate::plan::{Chunk, Scene};
use crate::schedule::Dispatch;
use crate::schedule::slices;

/// The table of heads. `inverses` is where the denominators stand among the partials, if they are
/// counted.
pub fn heads(
    network: &Network,
    objective: &Objective,
    capacity: usize,
    inverses: Option<usize>,
) -> Vec<params::Head> {
    let line = |task: usize| {
        let head = &network.tasks[task];
        let shape = Shape::of(&head.loss);
        params::Head {
            outputs: head.outputs() as u32,
            logits: (capacity * network.first_logit(task)) as u32,
            weight: objective.weights[task],
            coupled: u32::from(objective.couples_logits(task)),
            kind: shape.kind,
            cell: network.first_cell(task) as u32,
            cells: head.cells() as u32,
            parameter: shape.parameter as f32,
            gamma: shape.gamma as f32,
            smoothing: shape.smoothing as f32,
            weights: weights_before(network, task).map_or(params::NONE, |first| first as u32),
            share: (1.0 / head.cells() as f64) as f32,
            inverse: inverses.map_or(params::NONE, |first| (first + task) as u32),
        }
    };
    (0..network.tasks.len()).map(line).collect()
}

/// Class weights and weights of positives of all heads, as bits of f32.
pub fn class_weights(network: &Network) -> Vec<u32> {
    network
        .tasks
        .iter()
        .flat_map(|head| weights_of(&head.loss))
        .map(|w| (*w as f32).to_bits())
        .collect()
}

fn weights_of(loss: &Loss) -> &[f64] {
    match loss {
        Loss::CrossEntropy { class_weights, .. } => class_weights,
        Loss::Logistic { positive_weights, .. } => positive_weights,
        _ => &[],
    }
}

/// Where a head's weights begin; `None` if it has none.
fn weights_before(network: &Network, task: usize) -> Option<usize> {
    let before = network.tasks[..task].iter().map(|head| weights_of(&head.loss).len()).sum();
    (!weights_of(&network.tasks[task].loss).is_empty()).then_some(before)
}

/// Whether all classes of a head weigh the same, no target is smoothed and no row is in focus.
pub fn is_plain(head: &Head) -> bool {
    head.kind == TaskKind::Multiclass && head.loss == Loss::cross_entropy()
}

/// Whether a sum over labels depends on more than their number.
pub fn has_class_weights(head: &Head) -> bool {
    matches!(&head.loss, Loss::CrossEntropy { class_weights, .. } if !class_weights.is_empty())
}

/// A loss as numbers.
#[derive(Default)]
struct Shape {
    kind: u32,
    parameter: f64,
    gamma: f64,
    smoothing: f64,
}

impl Shape {
    fn of(from: &Loss) -> Shape {
        let kind = |kind| Shape { kind, ..Shape::default() };
        match from {
            Loss::CrossEntropy { label_smoothing, focal_gamma, .. } => {
                Shape { gamma: *focal_gamma, smoothing: *label_smoothing, ..kind(loss::MULTICLASS) }
            }
            Loss::Logistic { focal_gamma, .. } => {
                Shape { gamma: *focal_gamma, ..kind(loss::LOGISTIC) }
            }
            Loss::Squared => kind(loss::SQUARED),
            Loss::Absolute => kind(loss::ABSOLUTE),
            Loss::Huber { delta } => Shape { parameter: *delta, ..kind(loss::HUBER) },
            Loss::Quantile { quantile } => Shape { parameter: *quantile, ..kind(loss::QUANTILE) },
            Loss::Poisson { factor } => Shape { parameter: *factor, ..kind(loss::POISSON) },
        }
    }
}

/// Binds and states what both kernels of losses read and write.
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
