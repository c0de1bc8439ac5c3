//! An engine that takes part in the exchanges of a step.
//!
//! A schedule with exchanges is cut behind them. After each part a rank sends each other one what
//! that is to have, gets what the others send, and agrees with them on the flags.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use super::net::{Net, all_gather, all_to_all};
use super::order::{heard, told};
use super::wire::{Eye, Pen};
use crate::fault::{Exit, Fault};
use crate::kernels::params::{NONE, Step};
use crate::model::arena::Numbers;
use crate::schedule::{
    Buffer, Encoded, Engine, NotFinite, Peer, Program, Schedule, Slice, StepResult, Timings, Work,
};

/// What exchanges have cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spent {
    /// Their number.
    pub exchanges: u64,
    /// Bytes that this rank sent to each of the others.
    pub bytes: u64,
    /// Seconds in which ranks waited until all had come so far.
    pub waiting: f64,
    /// Seconds in which messages were on their way.
    pub sending: f64,
    /// Seconds in which numbers came from the device and went there.
    pub staging: f64,
}

/// A schedule, cut behind its exchanges.
#[derive(Debug)]
struct Parts {
    /// The numbers of its parts in the program of the engine, each with the exchange behind it.
    parts: Vec<(usize, Vec<Peer>)>,
}

/// An engine that takes part in exchanges.
#[derive(Debug)]
pub(super) struct Exchanging {
    net: Arc<dyn Net>,
    inner: Box<dyn Engine>,
    schedules: Vec<Parts>,
    results: Vec<StepResult>,
    pub(super) spent: Spent,
}

/// A program whose schedules are cut behind their exchanges, and the parts of each.
fn cut(program: &Program) -> (Program, Vec<Parts>) {
    let mut cut = program.clone();
    let mut all = Vec::new();
    for (number, schedule) in program.schedules.iter().enumerate() {
        let mut parts = Vec::new();
        let mut rest = &schedule.dispatches[..];
        while !rest.is_empty() || parts.is_empty() {
            let end =
                rest.iter().position(|d| !d.exchange.is_empty()).map_or(rest.len(), |at| at + 1);
            let (dispatches, behind) = rest.split_at(end);
            let exchange = dispatches.last().map(|dispatch| dispatch.exchange.clone());
            let part = Schedule { dispatches: dispatches.to_vec(), ..schedule.clone() };
            if parts.is_empty() {
                cut.schedules[number] = part;
                parts.push((number, exchange.unwrap_or_default()));
            } else {
                cut.schedules.push(part);
                parts.push((cut.schedules.len() - 1, exchange.unwrap_or_default()));
            }
            rest = behind;
        }
        all.push(Parts { parts });
    }
    (cut, all)
}

impl Exchanging {
    /// The engine that `open` makes, with exchanges.
    ///
    /// # Errors
    /// The errors of `open`.
    pub(super) fn new(
        net: &Arc<dyn Net>,
        program: &Program,
        open: &mut dyn FnMut(Program) -> Result<Box<dyn Engine>>,
    ) -> Result<Exchanging> {
        let (program, schedules) = cut(program);
        let inner = open(program)?;
        let (results, spent) = (Vec::new(), Spent::default());
        Ok(Exchanging { net: Arc::clone(net), inner, schedules, results, spent })
    }

    /// True if a step by this schedule has exchanges.
    pub(super) fn exchanges(&self, schedule: usize) -> bool {
        self.schedules[schedule].parts.iter().any(|(_, peers)| !peers.is_empty())
    }

    /// Does a step whose schedule has exchanges.
    fn step(&mut self, work: &Work, slices: &[Slice]) -> Result<()> {
        let program = self.inner.program();
        // Parts come back like steps, and only the last ones write the stamp.
        let (metrics, stamp) = (program.metrics_buffer, (work.step.number & 0x00ff_ffff) as f32);
        self.inner.upload(metrics, 0, &[stamp.to_bits()])?;
        // Each part is a submission of its own, whose first row of metrics comes back.
        let step = Step { slot: 0, ..work.step };
        for (schedule, peers) in self.schedules[work.schedule].parts.clone() {
            let part = Work { schedule, step };
            let mut sent: Vec<Slice> = peers.iter().map(|peer| peer.sends).collect();
            // All may be sent the same.
            sent.dedup();
            let read = if peers.is_empty() { slices } else { &sent };
            self.inner.submit_work(&[part], read)?;
            let mut results = self.inner.collect(true)?;
            let Some(last) = results.pop() else { bail!("a part of a step has no result") };
            if peers.is_empty() {
                self.results.push(last);
                continue;
            }
            let mut rest = &last.numbers[..];
            let mut own = Vec::new();
            for slice in &sent {
                let (numbers, behind) = rest.split_at(slice.len);
                own.push(numbers);
                rest = behind;
            }
            own.resize(peers.len(), own[0]);
            self.exchange(&peers, &own)?;
        }
        Ok(())
    }

    /// Sends each peer its numbers of `own`, and takes in what the peers send.
    fn exchange(&mut self, peers: &[Peer], own: &[&[f32]]) -> Result<()> {
        let mine = self.inner.not_finite();
        let mut messages = vec![told(Ok(&[])); self.net.size()];
        for (peer, numbers) in peers.iter().zip(own) {
            let mut pen = Pen::default();
            pen.list(mine.as_slice(), |pen, found| {
                pen.number(found.step as usize);
                pen.list(&found.flags, |pen, flag| pen.number(*flag));
            });
            pen.words(bytemuck::cast_slice(numbers));
            messages[peer.rank] = told(Ok(&pen.0));
        }
        let begun = Instant::now();
        all_gather(&*self.net, told(Ok(&[])))?
            .into_iter()
            .enumerate()
            .try_for_each(|(rank, message)| heard(rank, message).map(drop))?;
        let all_here = Instant::now();
        let mut all = all_to_all(&*self.net, messages)?;
        let arrived = Instant::now();
        let mut raised = mine.clone();
        for peer in peers {
            let message = heard(peer.rank, std::mem::take(&mut all[peer.rank]))?;
            let mut eye = Eye(&message);
            let found = eye.list(|eye| {
                Ok(NotFinite { step: eye.number()? as u32, flags: eye.list(Eye::number)? })
            })?;
            found.into_iter().for_each(|found| raised = Some(joined(raised.take(), found)));
            let words = eye.words()?;
            let fits = words.len() == peer.gets.len;
            ensure!(fits, "rank {} sent another step than this one", peer.rank);
            self.inner.upload(peer.gets.buffer, peer.gets.first, &words)?;
        }
        if let Some(raised) = raised.filter(|raised| Some(raised) != mine.as_ref()) {
            let mut flags = vec![NONE; 1 + self.inner.program().flags.len()];
            [0].iter().chain(&raised.flags).for_each(|flag| flags[*flag] = raised.step);
            self.inner.upload(self.inner.program().flags_buffer, 0, &flags)?;
        }
        self.spent.exchanges += 1;
        self.spent.bytes += 4 * peers.iter().map(|peer| peer.sends.len).max().unwrap_or(0) as u64;
        self.spent.waiting += (all_here - begun).as_secs_f64();
        self.spent.sending += (arrived - all_here).as_secs_f64();
        self.spent.staging += arrived.elapsed().as_secs_f64();
        Ok(())
    }

    /// Compares a buffer with those of the other ranks.
    ///
    /// # Errors
    /// 78 with the ranks that differ from the first one.
    pub(super) fn compare(&mut self, buffer: Buffer, steps: u64) -> Result<()> {
        let words = self.inner.words(self.inner.program().whole(buffer))?;
        let hash = blake3::hash(bytemuck::cast_slice::<u32, u8>(&words));
        let all = all_gather(&*self.net, told(Ok(hash.as_bytes())))?;
        let all: Vec<Vec<u8>> = all
            .into_iter()
            .enumerate()
            .map(|(rank, message)| heard(rank, message))
            .collect::<Result<_>>()?;
        let others: Vec<String> = (1..all.len())
            .filter(|rank| all[*rank] != all[0])
            .map(|rank| rank.to_string())
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let word = if others.len() == 1 { "rank" } else { "ranks" };
        let found = format!(
            "after step {steps} {word} {} had other parameters than rank 0",
            others.join(", ")
        );
        Err(Fault::new(Exit::Config, found)
            .hint("all ranks need adapters of one kind, with one driver: see tandem doctor")
            .into())
    }

    /// Tells the others of a fault where they wait for what this rank has.
    pub(super) fn tell(&self, error: anyhow::Error) -> anyhow::Error {
        let message = told(Err(&error));
        let rank = self.net.rank();
        for other in (0..self.net.size()).filter(|other| *other != rank) {
            let _ = self.net.send(other, message.clone());
        }
        error
    }
}

/// The earlier of two values that were not finite; of one step all flags.
pub(super) fn joined(before: Option<NotFinite>, found: NotFinite) -> NotFinite {
    match before {
        Some(before) if before.step < found.step => before,
        Some(before) if before.step == found.step => {
            let mut flags = [before.flags, found.flags].concat();
            flags.sort_unstable();
            flags.dedup();
            NotFinite { step: found.step, flags }
        }
        _ => found,
    }
}

impl Engine for Exchanging {
    fn program(&self) -> &Program {
        self.inner.program()
    }

    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        self.inner.upload(buffer, first, words)
    }

    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        if !work.iter().any(|work| self.exchanges(work.schedule)) {
            return self.inner.submit_work(work, slices);
        }
        let before = self.inner.collect(true)?;
        self.results.extend(before);
        for (i, one) in work.iter().enumerate() {
            let read = if i + 1 == work.len() { slices } else { &[] };
            self.step(one, read)?;
        }
        Ok(())
    }

    fn launch(&mut self, schedule: usize, at: usize, step: &Step, times: usize) -> Result<()> {
        self.inner.launch(schedule, at, step, times)
    }

    fn collect(&mut self, wait: bool) -> Result<Vec<StepResult>> {
        let mut results = std::mem::take(&mut self.results);
        results.extend(self.inner.collect(wait)?);
        Ok(results)
    }

    fn not_finite(&self) -> Option<NotFinite> {
        self.inner.not_finite()
    }

    fn take_encoded(&mut self) -> Vec<Encoded> {
        self.inner.take_encoded()
    }

    fn start_profile(&mut self) -> Result<()> {
        self.inner.start_profile()
    }

    fn profile(&self) -> Option<Timings> {
        self.inner.profile()
    }

    fn allocated(&mut self) -> Result<Option<u64>> {
        self.inner.allocated()
    }

    fn download(&mut self, slice: Slice) -> Result<Vec<f32>> {
        self.inner.download(slice)
    }

    fn words(&mut self, slice: Slice) -> Result<Vec<u32>> {
        self.inner.words(slice)
    }

    fn save(&mut self, buffer: Buffer) -> Result<Numbers> {
        self.inner.save(buffer)
    }

    fn restore(&mut self, buffer: Buffer, numbers: &Numbers) -> Result<()> {
        self.inner.restore(buffer, numbers)
    }

    fn forgive(&mut self) -> Result<()> {
        self.inner.forgive()
    }
}
