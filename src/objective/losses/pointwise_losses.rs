//! `L_i` of tasks whose outputs have one label each: the losses of two classes, of numbers and of
//! counts. The WGSL states the formulas.

use super::table;

use crate::kernels::{self, params};
use crate::plan::{Chunk, Scene};
use crate::schedule::Dispatch;

/// Losses, hits and gradients of these tasks for a chunk of rows.
pub fn dispatch(scene: &Scene, tasks: &[usize], chunk: Chunk) -> Dispatch {
    let (count, capacity) = (scene.network.tasks.len(), scene.plan.capacity);
    let parameters = params::PointwiseLosses {
        rows: chunk.rows as u32,
        cells: scene.counting.cells as u32,
        weighted: u32::from(scene.counting.weighted),
        loss: 0,
        hits: (count * capacity) as u32,
        capacity: capacity as u32,
    };
    let grid = [chunk.rows.div_ceil(64) as u32, count as u32, 1];
    table::bind(
        Dispatch::new(&kernels::pointwise_losses, "heads", parameters, grid),
        scene,
        tasks,
        chunk,
    )
}
