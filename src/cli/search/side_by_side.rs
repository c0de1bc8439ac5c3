//! Trials side by side: as many at a time as the machine does best, each a run of its own with the
//! bytes that it has alone.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use crate::cli::call::{Call, Front};
use crate::config::{Config, Select};
use crate::fault::{Exit, Fault, exit_of};
use crate::run::checkpoint::list;
use crate::run::directory::RunDirectory;
use crate::run::job::{Done, Job as RunJob, Listener, Place};
use crate::run::machine::Machine;
use crate::run::search::journal::Told;
use crate::run::search::preference::{figures, turned};
use crate::run::search::scores::{scored, until};
use crate::run::train::Plan;
use crate::search::course::Job;

/// A job with all that it takes to do it.
pub(super) struct Work {
    pub(super) job: Job,
    /// The settings of the trial.
    pub(super) config: Config,
    /// The directory of the trial.
    pub(super) out: PathBuf,
    /// The share of a whole training that is done at the end of the job.
    pub(super) share: f64,
    /// Objectives that trials of different preferences are ordered by; else each is ordered by what
    /// picks its model.
    pub(super) objectives: Vec<Select>,
}

/// What came of a job: `None` if it was stopped before its end.
pub(super) type Ended = (Job, Result<Option<Told>>);

/// The workers of a search, as the thread that decides sees them.
pub(super) struct Workers<'w> {
    works: Sender<Work>,
    ended: Receiver<Ended>,
    stops: &'w AtomicBool,
    count: usize,
    running: usize,
}

impl Workers<'_> {
    /// Whether a worker has nothing to do.
    pub(super) fn is_free(&self) -> bool {
        self.running < self.count
    }

    /// Hands out a job.
    pub(super) fn begin(&mut self, work: Work) {
        // Workers live as long as this sender.
        self.running += usize::from(self.works.send(work).is_ok());
    }

    /// The next job that ends; `None` if none is under way.
    pub(super) fn next(&mut self) -> Option<Ended> {
        if self.running == 0 {
            return None;
        }
        self.running -= 1;
        self.ended.recv().ok()
    }

    /// Asks all jobs to stop after their current steps.
    pub(super) fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }
}

/// Runs `decide` beside so many workers.
///
/// # Errors
/// Those of `decide`; a system that starts no more threads.
pub(super) fn with_workers<T>(
    call: &Call,
    machine: &Machine,
    count: usize,
    decide: impl FnOnce(Workers) -> Result<T>,
) -> Result<T> {
    let jobs: Vec<RunJob> =
        (0..count).map(|_| call.job_beside_others(machine)).collect::<Result<_>>()?;
    let (works, to_do) = channel::<Work>();
    let (done, ended) = channel::<Ended>();
    let (to_do, stops) = (Mutex::new(to_do), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for job in jobs {
            let (done, to_do, stops) = (done.clone(), &to_do, &stops);
            scope.spawn(move || {
                let worker = Worker { call, job, stops, is_alone: count == 1 };
                let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(work) = next() {
                    let of = work.job;
                    if done.send((of, worker.trained(work))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(done);
        decide(Workers { works, ended, stops: &stops, count, running: 0 })
    })
}

/// One of those who train.
struct Worker<'w> {
    call: &'w Call<'w>,
    job: RunJob,
    stops: &'w AtomicBool,
    is_alone: bool,
}

impl Worker<'_> {
    /// Trains a trial up to a rung; `None` if it was stopped before.
    fn trained(&self, work: Work) -> Result<Option<Told>> {
        let Work { job, config, out, share, objectives } = work;
        let front = match self.is_alone {
            true => self.call.front(),
            false => self.call.front_beside_others(),
        };
        let mut listener = TrialFront { front, share, stops: self.stops, has_begun: false };
        let begun = out.join("config.toml").is_file() && !list(&out.join("checkpoints")).is_empty();
        let resumed = match begun {
            false => None,
            true => match Place::resume(&out, &[], &mut listener) {
                Ok((config, place)) => Some((config, place)),
                // Checkpoints that are damaged, or none at all: it is trained anew.
                Err(error) if exit_of(&error) == Exit::Data => None,
                Err(error) => return Err(error),
            },
        };
        let mut done = if let Some((config, place)) = resumed {
            self.call.run_for(&self.job, config, place, &mut listener)?
        } else {
            if out.exists() {
                fs::remove_dir_all(&out)
                    .map_err(|e| Fault::new(Exit::CantCreate, format!("{}: {e}", out.display())))?;
            }
            let place = Place::made_by(|_| RunDirectory::create(Some(&out), "trial"));
            self.call.run_for(&self.job, config, place, &mut listener)?
        };
        let until = until(&done.plan, share);
        if matches!(done.outcome.ended, crate::run::train::Ended::Stopped)
            && done.outcome.steps < until
        {
            return Ok(None);
        }
        self.call.report(&done)?;
        let mut told = told(job, until, &mut done)?;
        if !objectives.is_empty() {
            let found = figures(&objectives, &told.tasks);
            let turned = found.map(|found| turned(&objectives, &found));
            told.score = turned.map(|all| all.iter().sum::<f64>() / all.len() as f64);
        }
        Ok(Some(told))
    }
}

/// What a job has shown.
fn told(job: Job, until: u64, done: &mut Done) -> Result<Told> {
    let found = scored(done, until)?;
    let none = "train.select was defined at no evaluation";
    Ok(Told {
        trial: job.trial,
        rung: job.rung,
        score: found.as_ref().map(|found| found.score),
        // A trial may have gone further before the record was lost.
        steps: done.outcome.steps.min(until),
        epoch: found.as_ref().map_or(0, |found| found.epoch),
        seconds: done.outcome.seconds,
        parameters: done.plan.layout.parameters(),
        failed: found.is_none().then(|| none.to_owned()),
        tasks: found.map(|found| found.tasks).unwrap_or_default(),
    })
}

/// Listens to a trial, which stops at its rung.
struct TrialFront<'a> {
    front: Front<'a>,
    share: f64,
    stops: &'a AtomicBool,
    has_begun: bool,
}

impl Listener for TrialFront<'_> {
    fn machine(&mut self, machine: &Machine) {
        self.front.machine(machine);
    }

    fn begin(&mut self, steps: u64, total: u64) {
        self.has_begun = true;
        self.front.begin(steps, total);
    }

    fn progress(&mut self, steps: u64, figures: &str) {
        self.front.progress(steps, figures);
    }

    fn figures(&mut self, line: &str) {
        self.front.figures(line);
    }

    fn note(&mut self, line: &str) {
        // What it says of itself stands in its own log.
        match self.has_begun {
            true => self.front.detail(line),
            false => self.front.note(line),
        }
    }

    fn detail(&mut self, line: &str) {
        self.front.detail(line);
    }

    fn end(&mut self) {
        self.front.end();
    }

    fn until(&mut self, plan: &Plan) -> Option<u64> {
        (self.share < 1.0).then(|| until(plan, self.share))
    }

    fn stop(&mut self) -> bool {
        self.stops.load(Ordering::Relaxed) || self.front.stop()
    }
}
