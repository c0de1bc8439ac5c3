//! The trait of a coupling between two tasks: what it acts on, when it applies, and its dispatches.

use std::fmt::Debug;

use crate::model::network::Head;
use crate::plan::{Chunk, Scene};
use crate::schedule::{Buffer, Dispatch};

/// The place of a coupling in the step, by what it acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It acts on logits: after the losses, before the backward pass, once per chunk of rows.
    Logits,
    /// It acts on weights: after the backward pass, once per step.
    Weights,
}

/// A kind of coupling between two tasks.
pub trait Coupling: Sync + Debug {
    /// Its name in the configuration.
    fn name(&self) -> &'static str;
    /// Whether it is defined for two heads.
    ///
    /// # Errors
    /// Why it is not, as the end of a sentence.
    fn applies(&self, a: &Head, b: &Head) -> Result<(), String>;
    /// Its place in the step.
    fn phase(&self) -> Phase;
    /// Number of partial sums of a pair's value.
    fn partials(&self, scene: &Scene, pair: &Pair) -> usize;
    /// The table of its pairs that its kernel reads, as u32.
    fn table(&self, scene: &Scene, pairs: &[Placed]) -> Vec<u32>;
    /// Its one dispatch for all pairs. Without `gradient` it computes values alone.
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
    /// The kind of coupling.
    pub coupling: &'static dyn Coupling,
    /// Number of the task T_i.
    pub a: usize,
    /// Number of the task T_j.
    pub b: usize,
    /// λ, the factor of its value in the objective.
    pub strength: f32,
}

/// A pair with the place of its partials.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// The coupled tasks.
    pub pair: Pair,
    /// Place of its first partial sum.
    pub partials: usize,
}
