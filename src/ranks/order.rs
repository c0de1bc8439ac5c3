//! What the leader asks of the others, and their answers.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};

use super::net::{BEAT, Net, all_gather, receive};
use super::wire::{Eye, Pen};
use crate::fault::{Exit, Fault, FaultKind, exit_of, hint_of, kind_of};
use crate::kernels::params::Step;
use crate::schedule::{Buffer, NotFinite, Program, Slice, StepResult, Work};

/// What the leader asks of another rank.
#[derive(Debug)]
pub(super) enum Order {
    /// Make an engine for a program, in place of the one before. It is answered.
    Program(Arc<Program>),
    /// Write to a buffer.
    Upload { buffer: Buffer, first: usize, words: Vec<u32> },
    /// Do steps. With `answers` their results are the answer.
    Work { work: Vec<Work>, slices: Vec<Slice>, answers: bool },
    /// Read from a buffer. It is answered.
    Read(Slice),
    /// Compare a buffer with those of the other ranks, after so many steps.
    Compare(Buffer, u64),
    /// Forget the engine.
    Forget,
    /// Say that this rank is there. It is answered.
    Ready,
    /// Nothing: the leader is there.
    Beat,
    /// End, with an exit code; 0 = all went well. It says whether some rank has been given up, so
    /// that nobody waits for it.
    End(u8, bool),
}

impl Order {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut pen = Pen::default();
        let kind = match self {
            Order::Program(_) => 0,
            Order::Upload { .. } => 1,
            Order::Work { .. } => 2,
            Order::Read(_) => 3,
            Order::Compare(..) => 4,
            Order::Forget => 5,
            Order::End(..) => 6,
            Order::Ready => 7,
            Order::Beat => BEAT,
        };
        pen.0.push(kind);
        match self {
            Order::Program(program) => pen.program(program),
            Order::Upload { buffer, first, words } => {
                [buffer.0, *first].iter().for_each(|number| pen.number(*number));
                pen.words(words);
            }
            Order::Work { work, slices, answers } => {
                pen.list(work, |pen, work| {
                    pen.number(work.schedule);
                    pen.words(bytemuck::cast_slice(std::slice::from_ref(&work.step)));
                });
                pen.list(slices, Pen::slice);
                pen.number(usize::from(*answers));
            }
            Order::Read(slice) => pen.slice(slice),
            Order::Compare(buffer, steps) => {
                [buffer.0, *steps as usize].iter().for_each(|number| pen.number(*number));
            }
            Order::End(code, incomplete) => {
                pen.number(usize::from(*code));
                pen.number(usize::from(*incomplete));
            }
            Order::Forget | Order::Ready | Order::Beat => {}
        }
        pen.0
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Order> {
        let mut eye = Eye(bytes.get(1..).unwrap_or_default());
        Ok(match bytes.first() {
            Some(0) => Order::Program(Arc::new(eye.program()?)),
            Some(1) => Order::Upload {
                buffer: Buffer(eye.number()?),
                first: eye.number()?,
                words: eye.words()?,
            },
            Some(2) => Order::Work {
                work: eye.list(|eye| {
                    let (schedule, words) = (eye.number()?, eye.words()?);
                    let step: Vec<Step> = bytemuck::pod_collect_to_vec(&words);
                    Ok(Work { schedule, step: step[0] })
                })?,
                slices: eye.list(Eye::slice)?,
                answers: eye.number()? == 1,
            },
            Some(3) => Order::Read(eye.slice()?),
            Some(4) => Order::Compare(Buffer(eye.number()?), eye.number()? as u64),
            Some(5) => Order::Forget,
            Some(6) => Order::End(eye.number()? as u8, eye.number()? == 1),
            Some(7) => Order::Ready,
            Some(&BEAT) => Order::Beat,
            _ => bail!("a message between ranks is none of this version"),
        })
    }
}

/// The time in which ranks that have nothing to do answer.
const READY: Duration = Duration::from_secs(10);

/// Asks the other ranks, which have nothing to do, whether they are there: those that have died
/// unnoticed are given up, so that nobody waits for them. Gives the faults of these.
pub fn look_around(net: &dyn Net) -> Vec<anyhow::Error> {
    let others = (1..net.size()).filter(|rank| !net.lost().has(*rank));
    let asked: Vec<(usize, Result<()>)> =
        others.map(|rank| (rank, net.send(rank, Order::Ready.bytes()))).collect();
    let patience = net.patience().min(READY);
    let is_there =
        |(rank, sent): (usize, Result<()>)| sent.and_then(|()| receive(net, rank, patience));
    asked.into_iter().filter_map(|asked| is_there(asked).err()).collect()
}

/// Ends all other ranks, with an exit code; 0 = all went well.
pub fn end(net: &dyn Net, code: u8) {
    let order = Order::End(code, !net.lost().is_empty()).bytes();
    for rank in 1..net.size() {
        // One that is gone has ended.
        let _ = net.send(rank, order.clone());
    }
}

/// A message with what a rank has, or with its fault.
pub(super) fn told(found: Result<&[u8], &anyhow::Error>) -> Vec<u8> {
    match found {
        Ok(body) => [&[0], body].concat(),
        Err(error) => {
            let mut pen = Pen(vec![1]);
            pen.number(exit_of(error) as usize);
            pen.number(usize::from(kind_of(error) == FaultKind::Gone));
            pen.text(&format!("{error:#}"));
            pen.text(hint_of(error).unwrap_or_default());
            pen.0
        }
    }
}

/// What a rank has, from its message.
///
/// # Errors
/// Its fault, with its name.
pub(super) fn heard(rank: usize, message: Vec<u8>) -> Result<Vec<u8>> {
    if message.first() == Some(&0) {
        return Ok(message[1..].to_vec());
    }
    let mut eye = Eye(message.get(1..).unwrap_or_default());
    let exit = Exit::of_code(eye.number()? as u8).unwrap_or(Exit::Internal);
    let (is_gone, text, hint) = (eye.number()? == 1, eye.text()?, eye.text()?);
    // Of a rank that is gone, who tells of it makes no difference.
    let fault = match is_gone {
        true => Fault { kind: FaultKind::Gone, ..Fault::new(exit, text) },
        false => Fault::new(exit, format!("rank {rank}: {text}")),
    };
    Err(if hint.is_empty() { fault } else { fault.hint(hint) }.into())
}

/// The answer of a rank.
///
/// # Errors
/// Its fault; 70 if it does not answer.
pub(super) fn answer(net: &dyn Net, from: usize) -> Result<Vec<u8>> {
    heard(from, receive(net, from, net.patience())?)
}

/// The results of steps, and the value that was not finite.
#[derive(Debug)]
pub(super) struct Results {
    pub(super) results: Vec<StepResult>,
    pub(super) not_finite: Option<NotFinite>,
}

impl Results {
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut pen = Pen::default();
        pen.list(&self.results, |pen, result| {
            pen.words(&[result.number, result.rows]);
            pen.doubles(&result.metrics);
            pen.words(bytemuck::cast_slice(&result.numbers));
        });
        pen.list(self.not_finite.as_slice(), |pen, found| {
            pen.number(found.step as usize);
            pen.list(&found.flags, |pen, flag| pen.number(*flag));
        });
        pen.0
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Results> {
        let mut eye = Eye(bytes);
        let results = eye.list(|eye| {
            let (place, metrics, numbers) = (eye.words()?, eye.doubles()?, eye.words()?);
            let numbers = numbers.into_iter().map(f32::from_bits).collect();
            Ok(StepResult { number: place[0], rows: place[1], metrics, numbers })
        })?;
        let not_finite = eye.list(|eye| {
            Ok(NotFinite { step: eye.number()? as u32, flags: eye.list(Eye::number)? })
        })?;
        Ok(Results { results, not_finite: not_finite.into_iter().next() })
    }
}

/// Checks that all ranks have been started alike: `facts` are pairs of what is compared and what
/// this rank has, such as the version.
///
/// # Errors
/// 78 with the ranks that differ from the first one, and in what.
pub fn greet(net: &dyn Net, facts: &[(&str, String)]) -> Result<()> {
    let mut pen = Pen::default();
    pen.list(facts, |pen, (_, fact)| pen.text(fact));
    let all = all_gather(net, pen.0)?;
    let all: Vec<Vec<String>> =
        all.iter().map(|bytes| Eye(bytes).list(Eye::text)).collect::<Result<_>>()?;
    for (rank, of_rank) in all.iter().enumerate() {
        let differs = |i: &usize| of_rank.get(*i) != all[0].get(*i);
        if let Some(i) = (0..facts.len()).find(differs) {
            let (what, first) = (facts[i].0, all[0].get(i).map_or("", String::as_str));
            let other = of_rank.get(i).map_or("", String::as_str);
            let found = format!("rank {rank} has another {what} than rank 0: {other}, not {first}");
            return Err(Fault::new(Exit::Config, found)
                .hint("start all ranks with one program, one command and one configuration")
                .into());
        }
    }
    Ok(())
}
