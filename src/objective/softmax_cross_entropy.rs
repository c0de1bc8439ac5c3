//! `L_i` of a multiclass task: mean over the rows of `−ln softmax(z)[label]`, with its gradient by the logits, for all heads at once.

use super::Objective;
use crate::kernels;
use crate::kernels::params::{self, Head};
use crate::model::network::Network;
use crate::schedule::Dispatch;
use crate::schedule::build::{Chunk, Scene};
use crate::schedule::plan::slices;

/// The table of heads.
pub fn table(network: &Network, objective: &Objective, capacity: usize) -> Vec<Head> {
    let line = |task: usize| Head {
        classes: network.tasks[task].classes.len() as u32,
        logits: (capacity * network.first_logit(task)) as u32,
        weight: objective.weights[task],
    };
    (0..network.tasks.len()).map(line).collect()
}

/// Loss, hits and gradients of all heads for one chunk of rows.
pub fn dispatch(scene: &Scene, chunk: Chunk) -> Dispatch {
    let b = &scene.buffers;
    let tasks = scene.network.tasks.len();
    let capacity = scene.plan.capacity;
    let (loss, hits) = (0, tasks * capacity);
    let parameters = params::SoftmaxCrossEntropy {
        rows: chunk.rows as u32,
        tasks: tasks as u32,
        loss: loss as u32,
        hits: hits as u32,
        capacity: capacity as u32,
    };
    let logits: Vec<_> = (0..tasks).map(|t| (scene.logits(t).0, chunk.rows * scene.logits(t).1)).collect();
    let partials = (0..2 * tasks).map(|i| (i * capacity, chunk.rows));
    Dispatch::new(&kernels::softmax_cross_entropy, "heads", parameters, [chunk.rows.div_ceil(64) as u32, tasks as u32, 1])
        .bind([("heads", b.heads), ("logits", b.logits), ("labels", b.labels), ("logits_delta", b.logits_delta), ("partials", b.partials)])
        .reads(slices(b.logits, logits.clone()))
        .reads(slices(b.labels, [(0, chunk.rows * tasks)]))
        .overwrites(slices(b.logits_delta, logits))
        .overwrites(slices(b.partials, partials))
}
