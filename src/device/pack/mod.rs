//! A *pack*: runs that are trained in the same dispatches, each with the bits that it has alone.
//!
//! Each run has a thread with the loop that it has alone, and as its engine a [`member`] of the
//! pack, which hands uploads, steps and read-backs to one thread, the [`driver`]. When the members
//! wait for their results, the driver takes those whose next steps are of one schedule and submits
//! the steps that they have in common. Members whose programs have the same dispatches are of one
//! [`kind`]: each of their buffers is a region of one [`store`], and the kernels are those of
//! [`crate::kernels::packed`].
//!
//! A run comes and goes at any time; who is there when changes no bit of the others. A program that
//! finds no room runs alone on the same device.

mod driver;
mod kind;
mod member;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};

use anyhow::Result;

use super::gpu::Gpu;
use super::session::Session;
use crate::fault::{Exit, Fault};
use crate::schedule::{Buffer, Engine, Program, Slice, StepResult, Work};
use driver::Driver;

pub use member::Member;

/// The largest number of members: their records fit into the tables of all kernels.
pub const MOST: usize = 64;

/// The results of steps of a member.
#[derive(Debug)]
struct Landing {
    results: Vec<StepResult>,
    /// The flags of the member behind them.
    flags: Vec<u32>,
    /// The submissions of the member that are done with them.
    submissions: usize,
}

/// What members ask of the driver.
#[derive(Debug)]
enum Command {
    /// Takes up a program; the answer is the number of the member, or `None` where there is no
    /// room.
    Join {
        program: Arc<Program>,
        landed: Sender<Result<Landing, Fault>>,
        reply: Sender<Result<Option<u64>, Fault>>,
    },
    /// Does something for a member when all that it asked for before is submitted.
    Do(u64, Task),
    /// The member is gone.
    Leave(u64),
}

/// Work for a member.
#[derive(Debug)]
enum Task {
    /// The reply says when it is done.
    Upload {
        buffer: Buffer,
        first: usize,
        words: Vec<u32>,
        reply: Sender<Result<(), Fault>>,
    },
    Steps {
        work: Vec<Work>,
        slices: Vec<Slice>,
    },
    Read {
        slice: Slice,
        reply: Sender<Result<Vec<u32>, Fault>>,
    },
}

/// A pack on a device. It ends when the last of those who hold it is gone.
#[derive(Debug)]
pub struct Pack {
    commands: Sender<Command>,
    tally: Arc<Tally>,
}

/// What a pack has done.
#[derive(Debug, Default)]
struct Tally {
    /// Steps that were dispatched, each for one member or more.
    steps: AtomicU64,
    /// Steps of members.
    of_members: AtomicU64,
}

impl Pack {
    /// Begins a pack of up to `most` members, [`MOST`] at most.
    ///
    /// # Errors
    /// A system that starts no more threads.
    pub fn begin(gpu: &Gpu, most: usize) -> Result<Arc<Pack>> {
        let (commands, taken) = channel();
        let tally = Arc::new(Tally::default());
        let driver = Driver::new(gpu.alone(), most.clamp(1, MOST), taken, Arc::clone(&tally));
        std::thread::Builder::new().name("pack".into()).spawn(move || driver.run())?;
        Ok(Arc::new(Pack { commands, tally }))
    }

    /// Members per step, on average over all steps so far; `None` before the first.
    pub fn members_per_step(&self) -> Option<f64> {
        let steps = self.tally.steps.load(Ordering::Relaxed);
        let of_members = self.tally.of_members.load(Ordering::Relaxed);
        (steps > 0).then(|| of_members as f64 / steps as f64)
    }

    /// The engine of a member with a program on the device of the pack; `None` where there is no
    /// room for it, or where it cannot be packed.
    ///
    /// # Errors
    /// A device that is lost; a kernel that cannot be rewritten.
    pub fn join(&self, gpu: &Gpu, program: Program) -> Result<Option<Member>> {
        if !kind::can_be_packed(gpu, &program) {
            return Ok(None);
        }
        let (program, (landed, results)) = (Arc::new(program), channel());
        let (reply, answer) = channel();
        let join = Command::Join { program: Arc::clone(&program), landed, reply };
        self.commands.send(join).map_err(|_| ended())?;
        let number = answer.recv().map_err(|_| ended())??;
        Ok(number.map(|number| Member::new(number, program, self.commands.clone(), results)))
    }
}

/// The fault of a pack whose driver has ended.
fn ended() -> Fault {
    Fault::new(Exit::Internal, "the thread that trains several runs together has ended")
        .hint("run again; please report this")
}

/// An engine for a program on a device: a member of its pack where it has one with room, else a
/// [`Session`].
///
/// # Errors
/// As [`Session::new`].
pub fn engine(gpu: Gpu, program: Program) -> Result<Box<dyn Engine>> {
    if let Some(pack) = gpu.pack.clone()
        && let Some(member) = pack.join(&gpu, program.clone())?
    {
        return Ok(Box::new(member));
    }
    Ok(Box::new(Session::new(gpu.alone(), program)?))
}
