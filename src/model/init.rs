//! Initial weights, a function of the seed and of each parameter's place alone.

use super::layout::Layout;
use super::network::initial_variance;
use crate::config::Init;
use crate::rng::{Purpose, normal};

/// The arena of initial parameters: normal weights (He et al. 2015 or Glorot and Bengio 2010), zero biases.
pub fn parameters(layout: &Layout, init: Init, seed: u64) -> Vec<f32> {
    let mut arena = vec![0.0; layout.len];
    for layer in &layout.layers {
        let block = &layout.blocks[layer.weight];
        let deviation = initial_variance(init, layer.activation, layer.inputs, layer.outputs).sqrt();
        for (i, value) in arena[block.offset..block.offset + block.len].iter_mut().enumerate() {
            *value = (deviation * normal(seed, Purpose::Init, layer.weight as u64, i as u64)) as f32;
        }
    }
    arena
}
