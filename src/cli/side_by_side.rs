//! Runs side by side: as many at a time as the machine does best, each with the bytes that it has
//! alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, anyhow};

use super::call::{Call, Front};
use crate::config::Config;
use crate::data::store::budget::MemoryBudget;
use crate::measure::pack::{Pace, best, paces};
use crate::ranks::Share;
use crate::run::job::Job;
use crate::run::machine::Machine;
use crate::run::train::Plan;

/// Bytes that a run is taken to need beside the rows of the data.
const OF_RUN: u64 = 256 << 20;

/// The number of runs that train at a time.
pub(super) struct AtATime {
    pub(super) count: usize,
    /// The line that the user is told of it.
    pub(super) line: Option<String>,
}

/// How many of `runs` runs, with as many steps as `trainings` whole trainings, train at a time: as
/// many as the machine does best, and as fit into half of the memory, the rows of the data once for
/// each. Runs that the clock ends, or whose dispatches are timed, train one after the other; so do
/// runs on an adapter whose rows stay on the host.
///
/// # Errors
/// The errors of the data and of the settings; a device that is lost.
pub(super) fn at_a_time(
    config: &Config,
    machine: &Machine,
    call: &Call,
    runs: usize,
    trainings: f64,
) -> Result<AtATime> {
    let alone = AtATime { count: 1, line: None };
    if let Some(net) = call.ranks().filter(|_| runs > 1) {
        let count = net.size().min(runs);
        let line = format!("{count} runs at a time, each on a rank of its own");
        return Ok(AtATime { count, line: Some(line) });
    }
    if runs < 2 || config.train.max_time.is_some() || call.args.profile {
        return Ok(alone);
    }
    let plan = Plan::new(config.clone(), call.parts(config)?)?;
    let bytes = plan.data_bytes() + OF_RUN;
    let fits = usize::try_from(MemoryBudget::of_machine().0 / bytes).unwrap_or(usize::MAX);
    let most = fits.min(runs).max(1);
    if most == 1 {
        return Ok(alone);
    }
    if let Machine::Device(gpu) = machine {
        if call.job().streams(machine, &plan) {
            return Ok(alone);
        }
        let paces = match paces(gpu, &plan, most, trainings) {
            Ok(paces) => paces,
            // A run alone may need less, and says itself what it lacks.
            Err(error) => {
                gpu.forget_refusal();
                let line = format!("one run after the other: several were not measured: {error:#}");
                return Ok(AtATime { count: 1, line: Some(line) });
            }
        };
        let count = best(&paces);
        let line = (paces.len() > 1).then(|| in_words(count, &paces));
        return Ok(AtATime { count, line });
    }
    let count = machine.runs_at_a_time().min(most);
    let line = format!("{count} runs at a time, each on a thread of its own");
    Ok(AtATime { count, line: (count > 1).then_some(line) })
}

/// The sentence about what was measured, and what follows from it.
fn in_words(count: usize, paces: &[Pace]) -> String {
    let speed = |pace: &Pace| format!("{:.0} with {}", pace.steps_per_second, pace.runs);
    let speeds: Vec<String> = paces.iter().map(speed).collect();
    let what = match count {
        1 => "one run after the other".to_owned(),
        _ => format!("{count} runs at a time, in the same dispatches"),
    };
    format!("{what}: steps per second, all runs together, {}", speeds.join(", "))
}

/// The end of a run, with `None` if it was stopped before it.
pub(super) type Ended<K, T> = (K, Result<Option<T>>);

/// The workers, as the thread that decides sees them. They do works `W`, known by keys `K`.
pub(super) struct Workers<'w, K, W, T> {
    works: Sender<(K, W)>,
    ended: Receiver<Ended<K, T>>,
    stops: &'w AtomicBool,
    count: usize,
    running: usize,
}

impl<K, W, T> Workers<'_, K, W, T> {
    /// True if a worker has nothing to do.
    pub(super) fn is_free(&self) -> bool {
        self.running < self.count
    }

    /// Hands out a run.
    pub(super) fn begin(&mut self, key: K, work: W) {
        // Workers live as long as this sender.
        self.running += usize::from(self.works.send((key, work)).is_ok());
    }

    /// The next run that ends; `None` if none is under way.
    pub(super) fn next(&mut self) -> Option<Ended<K, T>> {
        if self.running == 0 {
            return None;
        }
        self.running -= 1;
        self.ended.recv().ok()
    }

    /// Asks all runs to stop after their current steps.
    pub(super) fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }
}

/// One of those who train.
pub(super) struct Worker<'w> {
    pub(super) call: &'w Call<'w>,
    pub(super) job: &'w Job,
    /// True once all runs are to stop.
    stops: &'w AtomicBool,
    is_alone: bool,
}

impl<'w> Worker<'w> {
    /// The console as the listener of a run, which is called `label` where others run beside it.
    pub(super) fn front(&self, label: &str) -> Front<'w> {
        let front = self.call.front().stopped_by(self.stops);
        if self.is_alone { front } else { front.beside_others(label) }
    }
}

/// A job for each of so many workers.
fn jobs(call: &Call, machine: &Machine, count: usize) -> Result<Vec<Job>> {
    if let Some(net) = call.ranks() {
        let share = |rank: usize| (rank > 0).then(|| Share::One(Arc::clone(net), rank));
        return Ok((0..count).map(|rank| call.job().beside_ranks(machine, share(rank))).collect());
    }
    (0..count).map(|_| call.job().beside_others(machine)).collect()
}

/// Runs `decide` beside so many workers, which do what they are handed by `train`.
///
/// # Errors
/// The errors of `decide`; a system that starts no more threads.
pub(super) fn with_workers<K: Copy + Send, W: Send, T: Send, R>(
    call: &Call,
    machine: &Machine,
    count: usize,
    train: impl Fn(&Worker, W) -> Result<Option<T>> + Sync,
    decide: impl FnOnce(Workers<K, W, T>) -> Result<R>,
) -> Result<R> {
    let packs = count > 1 && call.ranks().is_none();
    let machine = if packs { machine.packing(count)? } else { machine.clone() };
    let own = if count > 1 { jobs(call, &machine, count)? } else { Vec::new() };
    let jobs: Vec<&Job> = if count > 1 { own.iter().collect() } else { vec![call.job()] };
    let (works, to_do) = channel::<(K, W)>();
    let (done, ended) = channel::<Ended<K, T>>();
    let (to_do, stops) = (Mutex::new(to_do), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for job in jobs {
            let (done, to_do, stops, train) = (done.clone(), &to_do, &stops, &train);
            scope.spawn(move || {
                let worker = Worker { call, job, stops, is_alone: count == 1 };
                let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok((key, work)) = next() {
                    // A worker that died would be waited for.
                    let ended = catch_unwind(AssertUnwindSafe(|| train(&worker, work)));
                    let ended = ended.unwrap_or_else(|_| Err(anyhow!("a run has panicked")));
                    if done.send((key, ended)).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        let decided = decide(Workers { works, ended, stops: &stops, count, running: 0 });
        if decided.is_err() {
            stops.store(true, Ordering::Relaxed);
        }
        if let Some(runs) = machine.runs_per_step() {
            call.console.detail(&format!("{runs:.1} runs shared a step on average"));
        }
        decided
    })
}
