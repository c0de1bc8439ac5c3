//! The engine of the leader where all ranks work on one run: its own engine, whose calls the
//! others follow.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, bail, ensure};

use super::exchange::{Exchanging, Spent, joined};
use super::net::{Net, is_beat};
use super::order::{Order, Results, answer, heard};
use crate::fault::{Exit, Fault};
use crate::kernels::params::{NONE, Step};
use crate::model::arena::Numbers;
use crate::schedule::{
    Buffer, Encoded, Engine, IN_FLIGHT, NotFinite, Program, Slice, StepResult, Timings, Work,
};

/// Steps from one comparison of the parameters to the next.
const COMPARED: u64 = 50;

/// Elements of an upload that one message has at most.
const MOST_WORDS: usize = 16 << 20;

/// A buffer that has the rows of the next steps, where data is streamed. They are uploaded right
/// before their steps, and a rank gets those of its own shards alone.
#[derive(Clone, Copy, Debug)]
pub struct Rows {
    /// The buffer.
    pub buffer: Buffer,
    /// The place of its first row.
    pub first: usize,
    /// Bytes of a row.
    pub bytes: usize,
}

/// What the leader needs to know of a program beside it.
#[derive(Clone, Debug)]
pub struct Ways {
    /// The buffer of parameters, which all ranks have alike.
    pub parameters: Buffer,
    /// Where rows are streamed, their buffers; else empty.
    pub rows: Vec<Rows>,
    /// The rows of a step that each rank needs, by rank, counted from the first one of the step.
    pub shares: Vec<Range<usize>>,
    /// Where rows are streamed, the buffers of the other parts. They, too, are uploaded right
    /// before their steps, and the rank that does such a step gets them alone.
    pub measured: Vec<Buffer>,
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
    /// Rows that the next steps need: buffer, first word, words.
    rows: Vec<(Buffer, usize, Vec<u32>)>,
    /// Submissions without exchanges that are not collected yet, each of a rank alone.
    turns: VecDeque<Turn>,
    /// Results that have been collected.
    results: Vec<StepResult>,
    /// What other ranks found in such a submission.
    not_finite: Option<NotFinite>,
    /// Steps since the last comparison.
    compared: u64,
}

/// A submission of one rank.
#[derive(Debug)]
struct Turn {
    rank: usize,
    /// The number of its steps.
    steps: usize,
    /// The results of those that are done.
    results: Vec<StepResult>,
}

impl Turn {
    fn is_done(&self) -> bool {
        self.results.len() >= self.steps
    }
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
    let leader = Leader {
        net: Arc::clone(net),
        engine,
        ways,
        rows: Vec::new(),
        turns: VecDeque::new(),
        results: Vec::new(),
        not_finite: None,
        compared: 0,
    };
    Ok((Box::new(leader), shared))
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

impl Rows {
    /// The words of the buffer that have some rows of a step.
    fn words_of(&self, step: &Step, rows: &Range<usize>) -> Range<usize> {
        let place = |row: usize| (step.first as usize + row.min(step.rows as usize)) * self.bytes;
        let word = |byte: usize| byte.saturating_sub(self.first * self.bytes);
        word(place(rows.start)) / 4..word(place(rows.end)).div_ceil(4)
    }
}

impl Leader {
    fn ask(&self, order: &Order) -> Result<()> {
        let bytes = order.bytes();
        (1..self.net.size()).try_for_each(|rank| self.net.send(rank, bytes.clone()))
    }

    /// Sends each rank the rows that it needs for some steps of all ranks.
    fn share_rows(&mut self, work: &[Work]) -> Result<()> {
        for (buffer, at, words) in std::mem::take(&mut self.rows) {
            self.engine.upload(buffer, at, &words)?;
            let rows = self.ways.rows.iter().find(|rows| rows.buffer == buffer);
            for (rank, rows) in (1..self.net.size()).flat_map(|rank| rows.map(|r| (rank, r))) {
                for work in work {
                    let needed = rows.words_of(&work.step, &self.ways.shares[rank]);
                    let (first, end) = (needed.start.max(at), needed.end.min(at + words.len()));
                    if first < end {
                        let words = words[first - at..end - at].to_vec();
                        let order = Order::Upload { buffer: rows.buffer, first, words };
                        self.net.send(rank, order.bytes())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives a rank a submission of its own, with the rows that it needs: each in turn, the leader
    /// last, since its engine may return only when it is done.
    fn deal(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        if self.turns.is_empty() {
            let before = self.engine.collect(true)?;
            self.results.extend(before);
        }
        let rank = self.turns.back().map_or(1, |turn| turn.rank + 1) % self.net.size();
        let is_open = |turn: &&Turn| turn.rank == rank && !turn.is_done();
        while rank > 0 && self.turns.iter().filter(is_open).count() >= IN_FLIGHT {
            self.land(rank)?;
        }
        let rows = std::mem::take(&mut self.rows);
        self.turns.push_back(Turn { rank, steps: work.len(), results: Vec::new() });
        if rank == 0 {
            rows.iter()
                .try_for_each(|(buffer, at, words)| self.engine.upload(*buffer, *at, words))?;
            return self.engine.submit_work(work, slices);
        }
        for (buffer, first, words) in rows {
            self.net.send(rank, Order::Upload { buffer, first, words }.bytes())?;
        }
        let (work, slices) = (work.to_vec(), slices.to_vec());
        self.net.send(rank, Order::Work { work, slices, answers: true }.bytes())
    }

    /// Waits for the results of the first submission of a rank that is not done.
    fn land(&mut self, rank: usize) -> Result<()> {
        let message = answer(&*self.net, rank)?;
        self.take_in(rank, &message)
    }

    /// Takes in the results of the first submission of a rank that is not done.
    fn take_in(&mut self, rank: usize, message: &[u8]) -> Result<()> {
        let found = Results::read(message)?;
        let is_open = |turn: &&mut Turn| turn.rank == rank && !turn.is_done();
        let Some(turn) = self.turns.iter_mut().find(is_open) else {
            bail!("rank {rank} has results of steps that it was not given")
        };
        ensure!(found.results.len() == turn.steps, "rank {rank} did another number of steps");
        turn.results = found.results;
        if let Some(found) = found.not_finite {
            self.not_finite = Some(joined(self.not_finite.take(), found));
        }
        Ok(())
    }

    /// Collects the results of submissions of single ranks, in their order.
    fn collect_turns(&mut self, wait: bool) -> Result<()> {
        for result in self.engine.collect(wait)? {
            match self.turns.iter_mut().find(|turn| turn.rank == 0 && !turn.is_done()) {
                Some(turn) => turn.results.push(result),
                None => self.results.push(result),
            }
        }
        while let Some(turn) = self.turns.front() {
            let rank = turn.rank;
            if !turn.is_done() && rank > 0 && wait {
                self.land(rank)?;
            } else if !turn.is_done() && rank > 0 {
                let Some(message) = self.net.poll(rank)? else { break };
                if !is_beat(&message) {
                    self.take_in(rank, &heard(rank, message)?)?;
                }
            } else if !turn.is_done() {
                break;
            } else if let Some(turn) = self.turns.pop_front() {
                self.results.extend(turn.results);
            }
        }
        Ok(())
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        // Answers that nobody wants would be taken for those of the next engine.
        let ranks: Vec<usize> =
            self.turns.iter().filter(|turn| !turn.is_done()).map(|turn| turn.rank).collect();
        for rank in ranks.into_iter().filter(|rank| *rank > 0) {
            if self.land(rank).is_err() {
                break;
            }
        }
        let _ = self.ask(&Order::Forget);
    }
}

impl Engine for Leader {
    fn program(&self) -> &Program {
        self.engine.program()
    }

    fn upload(&mut self, buffer: Buffer, first: usize, words: &[u32]) -> Result<()> {
        self.engine.program().check_write(buffer, first, words.len())?;
        let is_rows = self.ways.rows.iter().any(|rows| rows.buffer == buffer);
        if is_rows || self.ways.measured.contains(&buffer) {
            self.rows.push((buffer, first, words.to_vec()));
            return Ok(());
        }
        for (i, words) in words.chunks(MOST_WORDS).enumerate() {
            let (first, words) = (first + i * MOST_WORDS, words.to_vec());
            self.ask(&Order::Upload { buffer, first, words })?;
        }
        self.engine.upload(buffer, first, words)
    }

    fn submit_work(&mut self, work: &[Work], slices: &[Slice]) -> Result<()> {
        if !work.iter().any(|work| self.engine.exchanges(work.schedule)) {
            return self.deal(work, slices);
        }
        self.collect_turns(!self.turns.is_empty())?;
        self.share_rows(work)?;
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
        self.collect_turns(wait)?;
        Ok(std::mem::take(&mut self.results))
    }

    fn not_finite(&self) -> Option<NotFinite> {
        let found = [self.engine.not_finite(), self.not_finite.clone()];
        found.into_iter().flatten().fold(None, |before, found| Some(joined(before, found)))
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
        self.not_finite = None;
        let flags = self.engine.program().flags_buffer;
        let words = vec![NONE; self.engine.program().buffers[flags.0].len];
        self.ask(&Order::Upload { buffer: flags, first: 0, words })?;
        self.engine.forgive()
    }
}
