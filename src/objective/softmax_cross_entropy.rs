//! `L_i` of a multiclass task: mean over the rows of `−ln softmax(z)[label]`, with its gradient by the logits, for all heads at once.

use super::{Objective, Phase};
use crate::kernels;
use crate::kernels::params::{self, Dense, Head};
use crate::model::network::Network;
use crate::schedule::Dispatch;
use crate::schedule::build::{Chunk, Scene};
use crate::schedule::emit::{loops_forward, product};
use crate::schedule::plan::{Group, slices};

/// The table of heads.
pub fn table(network: &Network, objective: &Objective, capacity: usize) -> Vec<Head> {
    let line = |task: usize| Head {
        classes: network.tasks[task].classes.len() as u32,
        logits: (capacity * network.first_logit(task)) as u32,
        weight: objective.weights[task],
        coupled: u32::from(objective.pairs.iter().any(|p| p.coupling.phase() == Phase::Logits && [p.a, p.b].contains(&task))),
    };
    (0..network.tasks.len()).map(line).collect()
}

/// Rows of a tile of `heads_cross_entropy`.
const FUSED_ROWS: usize = 16;

/// Whether the output layers and their loss are one dispatch.
pub fn is_fused(scene: &Scene) -> bool {
    scene.network.tasks.iter().all(|t| t.classes.len() <= scene.tuning.fused_classes)
}

/// Output layers with loss, hits and gradients, for one chunk of rows. Training keeps the logits of coupled heads alone.
pub fn fused(scene: &Scene, group: &Group, chunk: Chunk, training: bool) -> Dispatch {
    let (b, tasks, capacity) = (&scene.buffers, scene.network.tasks.len(), scene.plan.capacity);
    let layers = &scene.plan.layers[group.first..group.first + group.count];
    let parameters = params::HeadsCrossEntropy {
        rows: chunk.rows as u32,
        first_layer: group.first as u32,
        layers: group.count as u32,
        tasks: tasks as u32,
        loss: 0,
        hits: (tasks * capacity) as u32,
        capacity: capacity as u32,
    };
    let x = b.activations[usize::from(group.reads_odd)];
    let table = table(scene.network, scene.objective, capacity);
    let run = |d: &Dense| (d.y as usize, chunk.rows * d.outputs as usize);
    let is_read = |d: &&Dense| !training || table[d.task as usize].coupled == 1;
    let partials = layers.iter().flat_map(|d| [d.task as usize, tasks + d.task as usize]).map(|i| (i * capacity, chunk.rows));
    let grid = [group.count as u32, chunk.rows.div_ceil(FUSED_ROWS) as u32, 1];
    Dispatch::new(&kernels::heads_cross_entropy, group.label.clone(), parameters, grid)
        .bind([("layers", b.layers), ("parameters", b.parameters), ("x", x), ("heads", b.heads), ("labels", b.labels)])
        .bind([("logits", b.logits), ("logits_delta", b.logits_delta), ("partials", b.partials), ("flags", b.flags)])
        .reads(slices(x, layers.iter().map(|d| (d.x as usize, chunk.rows * d.inputs as usize))))
        .reads(slices(b.parameters, layers.iter().flat_map(|d| [scene.weights(d), scene.bias(d)])))
        .reads(slices(b.labels, [(0, chunk.rows * tasks)]))
        .overwrites(slices(b.logits, layers.iter().filter(is_read).map(run)))
        .overwrites(slices(b.logits_delta, layers.iter().map(run)))
        .overwrites(slices(b.partials, partials))
        .constant("ALL_LOGITS", f64::from(u8::from(!training)))
        .constant("LOOPS", loops_forward(layers))
        .flop(layers.iter().map(|d| product(d, chunk.rows)).sum())
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
