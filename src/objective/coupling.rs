//! A kind of coupling between two tasks: what it acts on, when it applies, what it dispatches.

use std::fmt::Debug;

use crate::model::network::Head;
use crate::plan::{Chunk, Scene};
use crate::schedule::{Buffer, Dispatch};

/// What a coupling acts on, which decides its place in the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Logits: after the losses, before the backward pass; once a chunk of rows.
    Logits,
    /// Weights: after the backward pass; once a step.
    Weights,
}

/// A kind of coupling between two tasks.
pub trait Coupling: Sync + Debug {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;
    /// Whether it is defined for two heads; if not, why not.
    fn applies(&self, a: &Head, b: &Head) -> Result<(), String>;
    /// What it acts on.
    fn phase(&self) -> Phase;
    /// Partials of a pair's value.
    fn partials(&self, scene: &Scene, pair: &Pair) -> usize;
    /// The table of its pairs, as words.
    fn table(&self, scene: &Scene, pairs: &[Placed]) -> Vec<u32>;
    /// Its one dispatch for all pairs; without `gradient` it computes values alone.
    fn dispatch(
        &self,
        scene: &Scene,
        table: Buffer,
        pairs: &[Placed],
        chunk: Chunk,
        gradient: bool,
    ) -> Dispatch;
}

/// Two coupled tasks.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    /// The kind.
    pub coupling: &'static dyn Coupling,
    /// T_i.
    pub a: usize,
    /// T_j.
    pub b: usize,
    /// λ.
    pub strength: f32,
}

/// A pair with the place of its partials.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The pair.
    pub pair: Pair,
    /// First partial.
    pub partials: usize,
}
