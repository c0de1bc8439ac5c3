//! The engine of the leader, where all ranks work on one run: its own engine, whose calls the others
//! follow.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;

use super::exchange::{Exchanging, Spent};
use super::net::Net;
use super::order::{Order, answer};
use crate::fault::{Exit, Fault};
use crate::kernels::params::{NONE, Step};
use crate::model::arena::Numbers;
use crate::schedule::{
    Buffer, Encoded, Engine, NotFinite, Program, Slice, StepResult, Timings, Work,
};

/// Steps from one comparison of the parameters to the next.
const COMPARED: u64 = 50;

/// Elements of an upload that one message has at most.
const MOST_WORDS: usize = 16 << 20;

/// What the leader needs to know of a program beside it.
#[derive(Clone, Debug)]
pub struct Ways {
    /// The buffer of parameters, which all ranks have alike.
    pub parameters: Buffer,
    /// Buffers that the leader alone needs: the data of other parts than the one that trains.
    pub own: Vec<Buffer>,
    /// What the leader computes on; the others must have the like.
    pub machine: String,
    /// Where that is.
    pub place: Option<String>,
    /// What exchanges have cost, for who wants to know.
    pub spent: Arc<Mutex<Spent>>,
}

#[derive(Debug)]
struct Leader {
    net: Arc<dyn Net>,
    engine: Exchanging,
    ways: Ways,
    /// Steps since the last comparison.
    compared: u64,
}

/// The engine of the leader, and the number of ranks that share an adapter with another one.
/// `programs` are those of all ranks, the own one first; `open` makes the own engine.
///
/// # Errors
/// Errors of any rank, with its number.
pub fn lead(
    net: &Arc<dyn Net>,
    programs: Vec<Program>,
    ways: Ways,
    open: &mut dyn FnMut(Program) -> Result<Box<dyn Engine>>,
) -> Result<(Box<dyn Engine>, usize)> {
    let mut programs = programs.into_iter();
    let own = programs.next().unwrap_or_else(|| Program::empty(false));
    for (rank, program) in (1..).zip(programs) {
        net.send(rank, Order::Program(Arc::new(program)).bytes())?;
    }
    let engine = Exchanging::new(net, &own, open)?;
    let mut places = vec![ways.place.clone()];
    for rank in 1..net.size() {
        places.push(check_machine(rank, &answer(&**net, rank)?, &ways.machine)?);
    }
    let is_shared = |place: &&Option<String>| {
        place.is_some() && places.iter().filter(|other| other == place).count() > 1
    };
    let shared = places.iter().filter(is_shared).count();
    Ok((Box::new(Leader { net: Arc::clone(net), engine, ways, compared: 0 }), shared))
}

/// Checks that a rank computes on what the leader does: the place of that.
///
/// # Errors
/// 78 if it does not.
pub(super) fn check_machine(rank: usize, found: &[u8], leader: &str) -> Result<Option<String>> {
    let found = String::from_utf8_lossy(found);
    let (found, place) = found.split_once('\n').unwrap_or((&found, ""));
    if found == leader {
        return Ok((!place.is_empty()).then(|| place.to_owned()));
    }
    let found = format!("rank {rank} computes on {found}, and rank 0 on {leader}");
    Err(Fault::new(Exit::Config, found)
        .hint("ranks give equal bits on adapters of one kind: see --device")
        .into())
}

impl Leader {
    fn ask(&self, order: &Order) -> Result<()> {
        let bytes = order.bytes();
        (1..self.net.size()).try_for_each(|rank| self.net.send(rank, bytes.clone()))
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let _ = self.ask(&Order::Forget);
    }
}

impl Engine for Leader {
    fn program(&self) -> &Program {
        self.engine.program()
    }

    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        self.engine.program().check_write(buffer, first, words.len())?;
        if !self.ways.own.contains(&buffer) {
            for (i, words) in words.chunks(MOST_WORDS).enumerate() {
                let (first, words) = (first + i * MOST_WORDS, words.to_vec());
                self.ask(&Order::Upload { buffer, first, words })?;
            }
        }
        self.engine.upload(buffer, first, words)
    }

    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        // Parts are evaluated by the leader alone.
        if !work.iter().any(|work| self.engine.exchanges(work.schedule)) {
            return self.engine.submit_work(work, slices);
        }
        self.ask(&Order::Work { work: work.to_vec(), slices: Vec::new(), answers: false })?;
        let done = self.engine.submit_work(work, slices);
        done.map_err(|error| self.engine.tell(error))?;
        *self.ways.spent.lock().unwrap_or_else(PoisonError::into_inner) = self.engine.spent;
        self.compared += work.len() as u64;
        if self.compared >= COMPARED {
            self.compared = 0;
            let steps = work.last().map_or(0, |work| u64::from(work.step.number));
            self.ask(&Order::Compare(self.ways.parameters, steps))?;
            self.engine.compare(self.ways.parameters, steps)?;
        }
        Ok(())
    }

    fn launch(&mut self, schedule: usize, at: usize, step: &Step, times: usize) -> Result<()> {
        self.engine.launch(schedule, at, step, times)
    }

    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>> {
        self.engine.collect(wait)
    }

    fn not_finite(&self) -> Option<NotFinite> {
        self.engine.not_finite()
    }

    fn take_encoded(&mut self) -> Vec<Encoded> {
        self.engine.take_encoded()
    }

    fn start_profile(&mut self) -> Result<()> {
        self.engine.start_profile()
    }

    fn profile(&self) -> Option<Timings> {
        self.engine.profile()
    }

    fn allocated(&mut self) -> Result<Option<u64>> {
        self.engine.allocated()
    }

    fn download(&mut self, slice: Slice) -> Result<Vec<f32>> {
        self.engine.download(slice)
    }

    fn words(&mut self, slice: Slice) -> Result<Vec<u32>> {
        self.engine.words(slice)
    }

    fn save(&mut self, buffer: Buffer) -> Result<Numbers> {
        self.engine.save(buffer)
    }

    fn forgive(&mut self) -> Result<()> {
        let flags = self.engine.program().flags_buffer;
        let words = vec![NONE; self.engine.program().buffers[flags.0].len];
        self.ask(&Order::Upload { buffer: flags, first: 0, words })?;
        self.engine.forgive()
    }
}
