//! What runs programs, and what comes back of a step.

use anyhow::Result;

use super::buffer::{Buffer, Slice};
use super::program::Program;
use super::timing::{Encoded, Timings};
use crate::kernels::params::{NONE, Step};
use crate::model::arena::Numbers;

/// What came back of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// Number of the step.
    pub number: u32,
    /// Rows of its batch.
    pub rows: u32,
    /// Its metrics, in the program's order.
    pub metrics: Vec<f64>,
}

/// A value that was not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// The step.
    pub step: u32,
    /// Numbers of the flags that were raised in it, in schedule order, first cause first.
    pub flags: Vec<usize>,
}

/// Runs programs. Both engines implement it, and the loops of `run` see nothing else.
pub trait Engine: std::fmt::Debug {
    /// The program that it was made for.
    fn program(&self) -> &Program;

    /// Writes words to a buffer (bits of f32 for [`Kind::F32`]), in order with what was submitted
    /// before.
    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()>;

    /// Runs a schedule once per step, at most [`SLOTS`] of them. May return before they are done.
    fn submit(&mut self, schedule: usize, steps: &[Step]) -> Result<()>;

    /// Results of steps that are done, in order; with `wait`, of all that were submitted.
    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>>;

    /// The first step with a value that was not finite, as of the results collected so far.
    fn not_finite(&self) -> Option<NotFinite>;

    /// What the host spent on each submission since the last call, at most the last [`SUBMISSIONS`]
    /// of them; empty = this engine has none.
    fn take_encoded(&mut self) -> Vec<Encoded> {
        Vec::new()
    }

    /// Times each dispatch from now on, where the engine can.
    fn start_profile(&mut self) -> Result<()> {
        Ok(())
    }

    /// What was timed since [`Engine::start_profile`]; `None` = this engine does not.
    fn profile(&self) -> Option<Timings> {
        None
    }

    /// Bytes that the device's allocator has handed out, when all work is done; `None` = nobody
    /// counts.
    fn allocated(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Reads numbers of a buffer of [`Kind::F32`], after all that was submitted.
    fn download(&mut self, slice: Slice) -> Result<Vec<f32>>;

    /// All numbers of a buffer of [`Kind::F32`], exactly, after all that was submitted.
    fn save(&mut self, buffer: Buffer) -> Result<Numbers> {
        Ok(Numbers::F32(self.download(self.program().whole(buffer))?))
    }

    /// Gives a buffer the numbers that [`Engine::save`] read; those of the other engine are
    /// rounded.
    fn restore(&mut self, buffer: Buffer, numbers: &Numbers) -> Result<()> {
        self.upload(buffer, 0, bytemuck::cast_slice(&numbers.to_f32()))
    }

    /// Forgets that a value was not finite, so that steps change parameters again; when all results
    /// were collected.
    fn forgive(&mut self) -> Result<()> {
        let flags = self.program().flags_buffer;
        let clear = vec![NONE; self.program().buffers[flags.0].len];
        self.upload(flags, 0, &clear)
    }
}

/// Reads the flags as they sit in the buffer: the latch, then one word per flag, each the number of
/// the step that raised it.
pub fn first_not_finite(flags: &[u32]) -> Option<NotFinite> {
    let step = *flags.first()?;
    if step == NONE {
        return None;
    }
    let raised =
        flags.iter().enumerate().skip(1).filter(|(_, s)| **s == step).map(|(i, _)| i).collect();
    Some(NotFinite { step, flags: raised })
}
