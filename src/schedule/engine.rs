//! The trait of the interpreters of programs, and the results of a step.

use anyhow::Result;

use super::buffer::{Buffer, Slice};
use super::program::Program;
use super::timing::{Encoded, Timings};
use crate::kernels::params::{NONE, Step};
use crate::model::arena::Numbers;

/// The results of one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepResult {
    /// The step's number.
    pub number: u32,
    /// Number of rows in its batch.
    pub rows: u32,
    /// Its metrics, in the program's order.
    pub metrics: Vec<f64>,
    /// The numbers that [`Engine::submit_reading`] asked for, slice after slice; else empty.
    pub numbers: Vec<f32>,
}

/// A step with the schedule that does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// The number of the schedule.
    pub schedule: usize,
    /// The step.
    pub step: Step,
}

/// A value that was not finite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotFinite {
    /// Number of the step in which it appeared.
    pub step: u32,
    /// The flags that the step raised, in the order of the schedule: the first cause is first.
    pub flags: Vec<usize>,
}

/// An interpreter of programs. The loops of `run` see nothing else of an engine.
pub trait Engine: std::fmt::Debug {
    /// The program that the engine was made for.
    fn program(&self) -> &Program;

    /// Writes u32 to a buffer, from an element on; bits of f32 for [`Kind::F32`](super::Kind::F32).
    /// Work that was submitted before sees the old contents.
    ///
    /// # Errors
    /// A device that is lost or out of memory.
    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()>;

    /// Runs a schedule once per step, for up to [`SLOTS`](super::SLOTS) steps. It may return before
    /// they are done.
    ///
    /// # Errors
    /// A device that is lost or out of memory.
    fn submit(&mut self, schedule: usize, steps: &[Step]) -> Result<()> {
        self.submit_reading(schedule, steps, &[])
    }

    /// Like [`Engine::submit`], and reads slices of buffers of [`Kind::F32`](super::Kind::F32) as
    /// the last of the steps leaves them. The numbers come back with the result of that step.
    ///
    /// # Errors
    /// A device that is lost or out of memory.
    fn submit_reading(&mut self, schedule: usize, steps: &[Step], slices: &[Slice]) -> Result<()> {
        let work: Vec<Work> = steps.iter().map(|step| Work { schedule, step: *step }).collect();
        self.submit_work(&work, slices)
    }

    /// Like [`Engine::submit_reading`], with a schedule for each step. An engine that times
    /// dispatches takes only steps of one schedule at once.
    ///
    /// # Errors
    /// A device that is lost or out of memory.
    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()>;

    /// Runs one dispatch of a schedule `times` times and waits for it, as `doctor` and `bench gemm`
    /// do with a single kernel.
    ///
    /// # Errors
    /// A device that is lost.
    fn launch(&mut self, schedule: usize, dispatch: usize, step: &Step, times: usize)
    -> Result<()>;

    /// The results of steps that are done, in order; with `wait`, of all that were submitted.
    ///
    /// # Errors
    /// A device that is lost, or a step that was not done.
    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>>;

    /// The first step with a value that was not finite, among the results collected so far.
    fn not_finite(&self) -> Option<NotFinite>;

    /// The time that the host spent on each submission since the last call, up to
    /// [`SUBMISSIONS`](super::SUBMISSIONS) of the latest; empty for engines without submissions.
    fn take_encoded(&mut self) -> Vec<Encoded> {
        Vec::new()
    }

    /// Begins to time each dispatch, where the engine can.
    ///
    /// # Errors
    /// A device that is lost or out of memory.
    fn start_profile(&mut self) -> Result<()> {
        Ok(())
    }

    /// The times since [`Engine::start_profile`]; `None` for engines that take none.
    fn profile(&self) -> Option<Timings> {
        None
    }

    /// Bytes that the device's allocator has handed out when all work is done; `None` for engines
    /// without an allocator of their own.
    ///
    /// # Errors
    /// A device that is lost.
    fn allocated(&mut self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Reads numbers of a buffer of [`Kind::F32`](super::Kind::F32), after all that was submitted.
    ///
    /// # Errors
    /// A device that is lost.
    fn download(&mut self, slice: Slice) -> Result<Vec<f32>>;

    /// Reads u32 of a buffer, after all that was submitted; bits of f32 for
    /// [`Kind::F32`](super::Kind::F32).
    ///
    /// # Errors
    /// A device that is lost.
    fn words(&mut self, slice: Slice) -> Result<Vec<u32>>;

    /// Reads all numbers of a buffer of [`Kind::F32`](super::Kind::F32) exactly, after all that was
    /// submitted.
    ///
    /// # Errors
    /// A device that is lost.
    fn save(&mut self, buffer: Buffer) -> Result<Numbers> {
        Ok(Numbers::F32(self.download(self.program().whole(buffer))?))
    }

    /// Gives a buffer the numbers that [`Engine::save`] read; numbers of another engine are
    /// rounded.
    ///
    /// # Errors
    /// A device that is lost or out of memory.
    fn restore(&mut self, buffer: Buffer, numbers: &Numbers) -> Result<()> {
        self.upload(buffer, 0, bytemuck::cast_slice(&numbers.to_f32()))
    }

    /// Forgets that a value was not finite, so that steps change parameters again. All results
    /// must have been collected.
    ///
    /// # Errors
    /// A device that is lost.
    fn forgive(&mut self) -> Result<()> {
        let flags = self.program().flags_buffer;
        let clear = vec![NONE; self.program().buffers[flags.0].len];
        self.upload(flags, 0, &clear)
    }
}

/// The first step that raised a flag, from the contents of the buffer of flags: the latch, then the
/// number of the step that raised each flag.
pub fn first_not_finite(flags: &[u32]) -> Option<NotFinite> {
    let step = *flags.first()?;
    if step == NONE {
        return None;
    }
    let raised =
        flags.iter().enumerate().skip(1).filter(|(_, s)| **s == step).map(|(i, _)| i).collect();
    Some(NotFinite { step, flags: raised })
}
