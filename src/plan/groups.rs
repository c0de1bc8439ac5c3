//! The dispatches of the forward and the backward pass, as runs of the tables of a plan.

use super::mixing::{MixGroup, TermGroup};
use crate::model::graph::Role;

/// The arena that a group of layers writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arena {
    /// Activations of even level; the inputs are level 0.
    Even,
    /// Activations of odd level.
    Odd,
    /// Logits of all heads.
    Logits,
}

/// Layers that run in one forward dispatch.
#[derive(Clone, Debug)]
pub struct ForwardGroup {
    /// Its name in tables.
    pub label: String,
    /// Place of its first layer in the table.
    pub first: usize,
    /// Number of its layers.
    pub count: usize,
    /// Number of its column tiles.
    pub tiles: usize,
    /// Whether the level that it reads is odd.
    pub reads_odd: bool,
    /// The arena that it writes.
    pub writes: Arena,
    /// What the values of its layers are for.
    pub role: Role,
    /// Code of the activation that its layers share.
    pub activation: u32,
}

/// Activations whose gradients come from one dispatch.
#[derive(Clone, Debug)]
pub struct BackwardGroup {
    /// Its name in tables.
    pub label: String,
    /// Place of its first destination in the table.
    pub first: usize,
    /// Number of its destinations.
    pub count: usize,
    /// Number of its column tiles.
    pub tiles: usize,
    /// Whether the level of its destinations is odd.
    pub odd: bool,
    /// Whether its destinations have slopes: the learned inputs have none, nor have mixes.
    pub slopes: bool,
}

/// A dispatch of the forward pass, or two for mixes with gates.
#[derive(Clone, Debug)]
pub enum Forward {
    /// Layers.
    Layers(ForwardGroup),
    /// The weights of gates, then mixes.
    Mixes(MixGroup),
}

/// A dispatch of the backward pass, or two for gates.
#[derive(Clone, Debug)]
pub enum Backward {
    /// The deltas of activations that layers read.
    Inputs(BackwardGroup),
    /// The deltas of terms of mixes.
    Terms(TermGroup),
    /// The gradients of the weights of mixes, then those of the values of their gates.
    Gates(MixGroup),
}
