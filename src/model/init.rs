//! Initial weights, a function of the seed and of each parameter's place alone.

use super::graph::{Role, Source};
use super::layout::Layout;
use super::loss::Loss;
use super::network::{Head, Network, initial_variance};
use crate::config::Init;
use crate::data::Input;
use crate::data::seen::Seen;
use crate::rng::{Purpose, normal};

/// The arena of initial parameters: normal weights (He et al. 2015 or Glorot and Bengio 2010), zero
/// biases. Vectors of embeddings are normal with variance 1 / width: they begin with a length of
/// about one, that of the one-hot row which they stand for.
pub fn parameters(layout: &Layout, init: Init, seed: u64) -> Vec<f32> {
    let mut arena = vec![0.0; layout.len];
    let mut fill = |number: usize, variance: f64| {
        let block = &layout.blocks[number];
        for (i, value) in arena[block.offset..block.offset + block.len].iter_mut().enumerate() {
            *value =
                (variance.sqrt() * normal(seed, Purpose::Init, number as u64, i as u64)) as f32;
        }
    };
    layout
        .embeddings()
        .iter()
        .enumerate()
        .for_each(|(number, block)| fill(number, 1.0 / block.shape[1] as f64));
    for layer in &layout.layers {
        fill(layer.weight, initial_variance(init, layer.activation, layer.inputs, layer.outputs));
    }
    arena
}

/// The vectors of rare and unseen values become zeros: what training never met is to say nothing.
pub fn silence_the_rest(arena: &mut [f32], layout: &Layout, input: &Input) {
    let Input::Columns { columns } = input else { return };
    for (column, block) in
        columns.iter().filter(|column| column.vectors() > 0).zip(layout.embeddings())
    {
        let width = block.shape[1];
        column
            .rest()
            .into_iter()
            .for_each(|rest| arena[block.offset + rest * width..][..width].fill(0.0));
    }
}

/// Counts whose loss is per unit of their mean begin at it, as numbers that are standardised do:
/// their output's bias is its logarithm. So what there is to learn is the same, whatever a count is
/// a count of.
pub fn begin_at_the_mean(arena: &mut [f32], layout: &Layout, network: &Network) {
    for layer in layout.layers.iter().filter(|layer| layer.role == Role::Output) {
        let head = layer.owner.task().and_then(|task| network.tasks.get(task));
        if let Some(Head { loss: Loss::Poisson { factor }, .. }) = head {
            let bias = &layout.blocks[layer.weight + 1];
            arena[bias.offset..][..bias.len].fill(factor.recip().ln() as f32);
        }
    }
}

/// What no training row has becomes zeros: the weights of inputs in the layers that read them, and
/// learned vectors. All other weights are what they are without this.
pub fn silence_the_unseen(arena: &mut [f32], layout: &Layout, seen: &Seen) {
    for (codes, block) in seen.vectors.iter().zip(layout.embeddings()) {
        let width = block.shape[1];
        let unseen = (0..codes.len()).filter(|&code| !codes[code]);
        unseen.for_each(|code| arena[block.offset + code * width..][..width].fill(0.0));
    }
    for layer in layout.layers.iter().filter(|layer| layer.source == Source::Inputs) {
        let weights =
            &mut arena[layout.blocks[layer.weight].offset..][..layer.inputs * layer.outputs];
        for of_output in weights.chunks_exact_mut(layer.inputs.max(1)) {
            of_output
                .iter_mut()
                .zip(&seen.inputs)
                .filter(|(_, seen)| !**seen)
                .for_each(|(weight, _)| *weight = 0.0);
        }
    }
}
