//! The commands that members of a pack give its driver, and the handle by which they do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use crate::fault::{Exit, Fault};
use crate::schedule::{Buffer, Program, Slice, StepResult, Work};

/// The results of steps of a member.
#[derive(Debug)]
pub(super) struct Landing {
    pub(super) results: Vec<StepResult>,
    /// The flags of the member behind them.
    pub(super) flags: Vec<u32>,
    /// The submissions of the member that are done with them.
    pub(super) submissions: usize,
}

/// A command for the driver.
#[derive(Debug)]
pub(super) enum Command {
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
pub(super) enum Task {
    /// The reply says when it is done, where the member waits for that.
    Upload {
        buffer: Buffer,
        first: usize,
        words: Vec<u32>,
        reply: Option<Sender<Result<(), Fault>>>,
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
    pub(super) commands: Sender<Command>,
    pub(super) tally: Arc<Tally>,
}

/// The work that a pack has done.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Steps that were dispatched, each for one member or more.
    pub(super) steps: AtomicU64,
    /// Steps of members.
    pub(super) of_members: AtomicU64,
}

impl Pack {
    /// Members per step, on average over all steps so far; `None` before the first.
    pub fn members_per_step(&self) -> Option<f64> {
        let steps = self.tally.steps.load(Ordering::Relaxed);
        let of_members = self.tally.of_members.load(Ordering::Relaxed);
        (steps > 0).then(|| of_members as f64 / steps as f64)
    }
}

/// The fault of a pack whose driver has ended.
pub(super) fn ended() -> Fault {
    Fault::new(Exit::Internal, "the thread that trains several runs together has ended")
        .hint("run again; please report this")
}
