//! The engine of a run that another rank has for itself.

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::lead::check_machine;
use super::net::{Net, is_beat};
use super::order::{Order, Results, answer, heard};
use super::wire::Eye;
use crate::kernels::params::Step;
use crate::schedule::{
    Buffer, Engine, IN_FLIGHT, NotFinite, Program, SLOTS, Slice, StepResult, Work,
};

/// An engine on another rank.
#[derive(Debug)]
struct Remote {
    net: Arc<dyn Net>,
    rank: usize,
    program: Program,
    /// Submissions that are not answered yet.
    in_flight: usize,
    results: Vec<StepResult>,
    not_finite: Option<NotFinite>,
}

/// An engine for a program on a rank, which computes on the like of `machine`.
///
/// # Errors
/// Errors of that rank, with its number.
pub fn remote(
    net: &Arc<dyn Net>,
    rank: usize,
    program: Program,
    machine: &str,
) -> Result<Box<dyn Engine>> {
    net.send(rank, Order::Program(Arc::new(program.clone())).bytes())?;
    check_machine(rank, &answer(&**net, rank)?, machine)?;
    let (net, results) = (Arc::clone(net), Vec::new());
    Ok(Box::new(Remote { net, rank, program, in_flight: 0, results, not_finite: None }))
}

impl Remote {
    fn ask(&self, order: &Order) -> Result<()> {
        self.net.send(self.rank, order.bytes())
    }

    /// Takes in the results of the oldest submission.
    fn land(&mut self, message: &[u8]) -> Result<()> {
        let Results { results, not_finite } = Results::read(message)?;
        self.results.extend(results);
        self.not_finite = not_finite;
        self.in_flight -= 1;
        Ok(())
    }

    fn wait(&mut self) -> Result<()> {
        let message = answer(&*self.net, self.rank)?;
        self.land(&message)
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // Answers that nobody wants would be taken for those of the next engine.
        while self.in_flight > 0 && self.wait().is_ok() {}
        let _ = self.ask(&Order::Forget);
    }
}

impl Engine for Remote {
    fn program(&self) -> &Program {
        &self.program
    }

    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        self.program.check_write(buffer, first, words.len())?;
        self.ask(&Order::Upload { buffer, first, words: words.to_vec() })
    }

    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        ensure!(work.len() <= SLOTS, "{} steps in one submission, at most {SLOTS}", work.len());
        while self.in_flight >= IN_FLIGHT {
            self.wait()?;
        }
        self.in_flight += 1;
        self.ask(&Order::Work { work: work.to_vec(), slices: slices.to_vec(), answers: true })
    }

    fn launch(&mut self, _: usize, _: usize, _: &Step, _: usize) -> Result<()> {
        bail!("an engine on another rank launches no single dispatch")
    }

    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>> {
        while self.in_flight > 0 {
            if wait {
                self.wait()?;
                continue;
            }
            match self.net.poll(self.rank)? {
                None => break,
                Some(message) if is_beat(&message) => {}
                Some(message) => self.land(&heard(self.rank, message)?)?,
            }
        }
        Ok(std::mem::take(&mut self.results))
    }

    fn not_finite(&self) -> Option<NotFinite> {
        self.not_finite.clone()
    }

    fn download(&mut self, slice: Slice) -> Result<Vec<f32>> {
        Ok(self.words(slice)?.into_iter().map(f32::from_bits).collect())
    }

    fn words(&mut self, slice: Slice) -> Result<Vec<u32>> {
        // Results come first.
        while self.in_flight > 0 {
            self.wait()?;
        }
        self.ask(&Order::Read(slice))?;
        Eye(&answer(&*self.net, self.rank)?).words()
    }

    fn forgive(&mut self) -> Result<()> {
        self.not_finite = None;
        let flags = self.program.flags_buffer;
        let clear = vec![crate::kernels::params::NONE; self.program.buffers[flags.0].len];
        self.upload(flags, 0, &clear)
    }
}
