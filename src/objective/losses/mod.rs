//! The losses of the tasks: one file per kernel of losses.

mod count;
mod pointwise_losses;
mod softmax_cross_entropy;
mod table;

use crate::model::network::Head;
use crate::plan::{Chunk, Scene};
use crate::schedule::Dispatch;

pub use count::count;
pub use softmax_cross_entropy::{fused, is_fused};
pub use table::{class_weights, heads, is_plain};

/// Losses, hits and gradients of the logits of all heads for a chunk of rows: a dispatch for
/// multiclass heads, and one for the others.
pub fn dispatches(scene: &Scene, chunk: Chunk) -> Vec<Dispatch> {
    let classes = |head: &Head| head.kind.has_logits_of_classes();
    let of = |wanted: bool| {
        (0..scene.network.tasks.len())
            .filter(move |t| classes(&scene.network.tasks[*t]) == wanted)
            .collect()
    };
    let (multiclass, pointwise): (Vec<usize>, Vec<usize>) = (of(true), of(false));
    let (softmax, numbers) = (softmax_cross_entropy::dispatch, pointwise_losses::dispatch);
    let some = |tasks: &[usize], dispatch: fn(&Scene, &[usize], Chunk) -> Dispatch| {
        (!tasks.is_empty()).then(|| dispatch(scene, tasks, chunk))
    };
    some(&multiclass, softmax).into_iter().chain(some(&pointwise, numbers)).collect()
}
