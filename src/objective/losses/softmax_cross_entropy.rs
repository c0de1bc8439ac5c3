//! `L_i` of a multiclass task: the mean over the rows of `−ln softmax(z)[label]`, with its gradient
//! by the logits, for all heads at once.

use super::table;
use crate::kernels;
use crate::kernels::params::{self, Dense};
use crate::objective::total::Objective;
use crate::plan::variants::{bits, forward_loop, product};
use crate::plan::{Chunk, ForwardGroup, Scene, block};
use crate::schedule::{Dispatch, slices};

/// Rows of a tile of `heads_cross_entropy`.
const FUSED_ROWS: usize = 16;

/// Whether the output layers and their loss are one dispatch.
pub fn is_fused(scene: &Scene) -> bool {
    scene.counts.is_none()
        && scene
            .network
            .tasks
            .iter()
            .all(|t| table::is_plain(t) && t.outputs() <= scene.tuning.fused_classes)
}

/// Output layers with losses, hits and gradients, for a chunk of rows. In training, only the logits
/// of coupled heads are kept.
pub fn fused(
    scene: &Scene,
    objective: &Objective,
    group: &ForwardGroup,
    chunk: Chunk,
    training: bool,
) -> Dispatch {
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
    let run = |d: &Dense| block(d.y, chunk.rows, d.outputs);
    let is_read = |d: &&Dense| !training || objective.couples_logits(d.task as usize);
    let partials = layers
        .iter()
        .flat_map(|d| [d.task as usize, tasks + d.task as usize])
        .map(|i| (i * capacity, chunk.rows));
    let grid = [group.count as u32, chunk.rows.div_ceil(FUSED_ROWS) as u32, 1];
    Dispatch::new(&kernels::heads_cross_entropy, group.label.clone(), parameters, grid)
        .bind([("layers", b.layers), ("parameters", b.parameters), ("x", x)])
        .bind([("heads", b.heads), ("labels", b.labels), ("logits", b.logits)])
        .bind([("logits_delta", b.logits_delta), ("partials", b.partials), ("flags", b.flags)])
        .reads(slices(x, layers.iter().map(|d| block(d.x, chunk.rows, d.inputs))))
        .reads(slices(b.parameters, layers.iter().flat_map(|d| [scene.weights(d), scene.bias(d)])))
        .reads(slices(b.labels, [(0, chunk.rows * tasks)]))
        .overwrites(slices(b.logits, layers.iter().filter(is_read).map(run)))
        .overwrites(slices(b.logits_delta, layers.iter().map(run)))
        .overwrites(slices(b.partials, partials))
        .constant("ALL_LOGITS", f64::from(u8::from(!training)))
        .constant("LOOPS", bits(layers.iter().map(forward_loop)))
        .constant("CLASSES", f64::from(layers.iter().map(|d| d.outputs).max().unwrap_or(0)))
        .flop(layers.iter().map(|d| product(d, chunk.rows)).sum())
}

/// Losses, hits and gradients of these tasks for a chunk of rows.
pub fn dispatch(scene: &Scene, tasks: &[usize], chunk: Chunk) -> Dispatch {
    let (count, capacity) = (scene.network.tasks.len(), scene.plan.capacity);
    let parameters = params::SoftmaxCrossEntropy {
        rows: chunk.rows as u32,
        cells: scene.counting.cells as u32,
        weighted: u32::from(scene.counting.weighted),
        loss: 0,
        hits: (count * capacity) as u32,
        capacity: capacity as u32,
    };
    let grid = [chunk.rows.div_ceil(64) as u32, count as u32, 1];
    let is_shaped = tasks.iter().any(|&t| !table::is_plain(&scene.network.tasks[t]));
    table::bind(
        Dispatch::new(&kernels::softmax_cross_entropy, "heads", parameters, grid),
        scene,
        tasks,
        chunk,
    )
    .constant("SHAPED", f64::from(u8::from(is_shaped)))
}
