//! A member of a pack, as the engine that its run sees.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Result, bail, ensure};

use crate::device::asked::{Command, Landing, Task, ended};
use crate::fault::Fault;
use crate::kernels::params::Step;
use crate::schedule::{
    Buffer, Engine, IN_FLIGHT, NotFinite, Program, SLOTS, Slice, StepResult, Work, first_not_finite,
};

/// The engine of a member.
#[derive(Debug)]
pub struct Member {
    number: u64,
    program: Arc<Program>,
    commands: Sender<Command>,
    landed: Receiver<Result<Landing, Fault>>,
    /// Submissions of which not all results have landed.
    in_flight: usize,
    results: Vec<StepResult>,
    not_finite: Option<NotFinite>,
}

impl Member {
    pub(super) fn new(
        number: u64,
        program: Arc<Program>,
        commands: Sender<Command>,
        landed: Receiver<Result<Landing, Fault>>,
    ) -> Member {
        let (in_flight, results, not_finite) = (0, Vec::new(), None);
        Member { number, program, commands, landed, in_flight, results, not_finite }
    }

    fn ask(&self, task: Task) -> Result<()> {
        Ok(self.commands.send(Command::Do(self.number, task)).map_err(|_| ended())?)
    }

    /// Takes in results.
    fn land(&mut self, landing: Result<Landing, Fault>) -> Result<()> {
        let Landing { results, flags, submissions } = landing?;
        self.results.extend(results);
        self.not_finite = first_not_finite(&flags);
        self.in_flight -= submissions;
        Ok(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Leave(self.number));
    }
}

impl Engine for Member {
    fn program(&self) -> &Program {
        &self.program
    }

    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        self.program.check_write(buffer, first, words.len())?;
        // Behind steps that wait for those of others it would wait, too.
        if self.in_flight > 0 {
            let words = words.to_vec();
            return self.ask(Task::Upload { buffer, first, words, reply: None });
        }
        let (reply, done) = channel();
        self.ask(Task::Upload { buffer, first, words: words.to_vec(), reply: Some(reply) })?;
        Ok(done.recv().map_err(|_| ended())??)
    }

    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        ensure!(work.len() <= SLOTS, "{} steps in one submission, at most {SLOTS}", work.len());
        while self.in_flight >= IN_FLIGHT {
            let landing = self.landed.recv().map_err(|_| ended())?;
            self.land(landing)?;
        }
        self.in_flight += 1;
        self.ask(Task::Steps { work: work.to_vec(), slices: slices.to_vec() })
    }

    fn launch(&mut self, _: usize, _: usize, _: &Step, _: usize) -> Result<()> {
        bail!("a member of a pack launches no single dispatch")
    }

    fn words(&mut self, slice: Slice) -> Result<Vec<u32>> {
        let (reply, words) = channel();
        self.ask(Task::Read { slice, reply })?;
        Ok(words.recv().map_err(|_| ended())??)
    }

    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>> {
        while self.in_flight > 0 {
            let landing = if wait {
                self.landed.recv().map_err(|_| ended())?
            } else {
                match self.landed.try_recv() {
                    Ok(landing) => landing,
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return Err(ended().into()),
                }
            };
            self.land(landing)?;
        }
        Ok(std::mem::take(&mut self.results))
    }

    fn not_finite(&self) -> Option<NotFinite> {
        self.not_finite.clone()
    }

    fn download(&mut self, slice: Slice) -> Result<Vec<f32>> {
        Ok(self.words(slice)?.into_iter().map(f32::from_bits).collect())
    }

    fn forgive(&mut self) -> Result<()> {
        self.not_finite = None;
        let flags = self.program.flags_buffer;
        let clear = vec![crate::kernels::params::NONE; 1 + self.program.flags.len()];
        self.upload(flags, 0, &clear)
    }
}
