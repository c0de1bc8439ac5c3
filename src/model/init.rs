//! Initial weights. Each depends only on the seed and on the place of the parameter.

use super::graph::{Role, Source, Start};
use super::layout::{Block, Layout};
use super::loss::Loss;
use super::network::{Head, Network, initial_variance};
use crate::config::Init;
use crate::data::encode::seen::Seen;
use crate::data::{Encoding, Input};
use crate::rng::{Purpose, normal, uniform};

/// Deviation of the initial numbers of the vectors of words.
const WORD_DEVIATION: f64 = 0.001;

/// The arena of initial parameters: weights are normal with the variance of [`initial_variance`],
/// biases are zero. Vectors of embeddings are normal with variance 1 / width: so their length is
/// about 1, as that of the one-hot row in whose place they stand. A [`Start`] other than the usual
/// one comes before these rules.
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
    for layer in layout.layers.iter().filter(|layer| layer.start == Start::Usual) {
        fill(layer.weight, initial_variance(init, layer.activation, layer.inputs, layer.outputs));
    }
    let layers = layout.layers.iter().flat_map(|l| [(l.weight, l.start), (l.weight + 1, l.start)]);
    for (number, start) in layers.chain(layout.constants.iter().map(|c| (c.block, c.start))) {
        begin(&mut arena, &layout.blocks[number], number, start, seed);
    }
    arena
}

/// Sets the values of a block that does not start as usual.
fn begin(arena: &mut [f32], block: &Block, number: usize, start: Start, seed: u64) {
    let values = &mut arena[block.offset..][..block.len];
    match start {
        Start::Usual => {}
        Start::Uniform(limit) => values.iter_mut().enumerate().for_each(|(i, value)| {
            let u = uniform(seed, Purpose::Init, number as u64, i as u64);
            *value = (limit * (2.0 * u - 1.0)) as f32;
        }),
        Start::Own { place, share } => {
            let others = (1.0 - share) / (block.len.max(2) - 1) as f64;
            values.fill(others as f32);
            values[place] = share as f32;
        }
    }
}

/// Sets the vectors of rare and unseen values to zero: a value that never occurs in training then
/// has no effect.
pub fn zero_rest_vectors(arena: &mut [f32], layout: &Layout, input: &Input) {
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

/// Sets the output bias of each count whose loss is divided by its mean to the logarithm of that
/// mean. So the predictions of a count start at its mean, as those of a standardised number do.
pub fn start_counts_at_mean(arena: &mut [f32], layout: &Layout, network: &Network) {
    for layer in layout.layers.iter().filter(|layer| layer.role == Role::Output) {
        let head = layer.owner.task().and_then(|task| network.tasks.get(task));
        if let Some(Head { loss: Loss::Poisson { factor }, .. }) = head {
            let bias = &layout.blocks[layer.weight + 1];
            arena[bias.offset..][..bias.len].fill(factor.0.recip().ln() as f32);
        }
    }
}

/// Makes the vectors of words small, so that a word counts for nothing until it has learned
/// something: else the random vectors of rare words, of which a text has many, are fitted instead.
pub fn shrink_words(arena: &mut [f32], layout: &Layout, input: &Input) {
    let Input::Columns { columns } = input else { return };
    let learned = columns.iter().filter(|column| column.vectors() > 0);
    for (column, block) in learned.zip(layout.embeddings()) {
        if matches!(column.encoding, Encoding::Text { .. }) {
            let factor = (WORD_DEVIATION * (block.shape[1] as f64).sqrt()) as f32;
            arena[block.offset..][..block.len].iter_mut().for_each(|value| *value *= factor);
        }
    }
}

/// Sets to zero the parameters that no training row uses: the weights of inputs that are always 0,
/// and learned vectors of codes that do not occur. All other parameters stay as they are.
pub fn zero_unseen(arena: &mut [f32], layout: &Layout, seen: &Seen) {
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
