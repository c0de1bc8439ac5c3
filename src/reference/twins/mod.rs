//! The twins: the formula of each kernel once more, as loops, to be read beside the WGSL.
//!
//! A twin states what its kernel computes: it has none of its tiles and trees of sums, and the
//! textbook form of a formula where the kernel uses a more stable one. A shift of exponents is
//! kept, since f64 overflows too. How it computes follows from the needs of f32 on a processor:
//! rows in blocks, matrices in tiles, sums of many terms in a wider type.
//!
//! The twin of a new kernel is a file here, with its line among the modules and in the table.

mod agreement;
mod balance;
mod dense_backward_input;
mod dense_backward_weight;
mod dense_forward;
mod embeddings;
mod gates;
mod gather_cells;
mod gather_images;
mod gather_rows;
mod label_sums;
mod metrics;
mod mixes;
mod optimizers;
mod pointwise_losses;
mod rows;
mod soft_sharing;
mod softmax_cross_entropy;

use anyhow::{Result, bail};

use super::Arguments;
use super::real::Real;

/// A twin: it reads its arguments and writes the buffers that are bound to be written.
type Twin<T> = fn(&Arguments<T>);

/// The twins by the names of their kernels.
fn table<T: Real>() -> [(&'static str, Twin<T>); 42] {
    [
        ("gather_rows", gather_rows::gather_rows),
        ("gather_images", gather_images::gather_images),
        ("gather_cells", gather_cells::gather_cells),
        ("label_sums", label_sums::label_sums),
        ("dense_forward", dense_forward::dense_forward),
        ("dense_backward_input", dense_backward_input::dense_backward_input),
        ("dense_backward_weight", dense_backward_weight::dense_backward_weight),
        ("gate_forward", gates::gate_forward),
        ("gate_backward", gates::gate_backward),
        ("constant_backward", gates::constant_backward),
        ("mix_forward", mixes::mix_forward),
        ("mix_dots", mixes::mix_dots),
        ("mix_backward", mixes::mix_backward),
        ("link_cells", embeddings::link_cells),
        ("embedding_backward", embeddings::embedding_backward),
        ("softmax_cross_entropy", softmax_cross_entropy::softmax_cross_entropy),
        ("heads_cross_entropy", softmax_cross_entropy::heads_cross_entropy),
        ("pointwise_losses", pointwise_losses::pointwise_losses),
        ("task_products", balance::task_products),
        ("row_products", balance::row_products),
        ("task_gramian", balance::task_gramian),
        ("task_losses", balance::task_losses),
        ("combine_deltas", balance::combine_deltas),
        ("combine_gradients", balance::combine_gradients),
        ("drop_deltas", balance::drop_deltas),
        ("drop_gradients", balance::drop_gradients),
        ("gradient_memory", balance::gradient_memory),
        ("parameter_change", balance::parameter_change),
        ("copy_numbers", balance::copy_numbers),
        ("loss_weights", balance::loss_weights),
        ("cone_projection", balance::cone_projection),
        ("pairwise_projection", balance::pairwise_projection),
        ("spectral_weights", balance::spectral_weights),
        ("bargaining", balance::bargaining),
        ("conflict_averse", balance::conflict_averse),
        ("soft_sharing", soft_sharing::soft_sharing),
        ("agreement", agreement::agreement),
        ("gradient_norm", metrics::gradient_norm),
        ("reduce_metrics", metrics::reduce_metrics),
        ("sum_shards", metrics::sum_shards),
        ("adam", optimizers::adam),
        ("sgd", optimizers::sgd),
    ]
}

/// Runs the twin of a kernel.
///
/// # Errors
/// A kernel without a twin.
pub(super) fn run<T: Real>(kernel: &str, arguments: &Arguments<T>) -> Result<()> {
    let Some((_, twin)) = table::<T>().into_iter().find(|(name, _)| *name == kernel) else {
        bail!("kernel {kernel} has no twin")
    };
    twin(arguments);
    Ok(())
}
