//! Runs side by side: as many at a time as the machine does best, each with the bytes that it has
//! alone.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

use crate::cli::call::{Call, Front};
use crate::config::{Config, write};
use crate::fault::{Exit, Fault, exit_of};
use crate::run::checkpoint::{list, other_setting};
use crate::run::directory::RunDirectory;
use crate::run::job::{Done, Job as RunJob, Listener, Place};
use crate::run::machine::Machine;
use crate::run::search::scores::until;
use crate::run::train::Plan;

/// Takes from a run that has ended, of which so many steps count, what it has shown.
pub(super) type Show<T> = Box<dyn FnOnce(&mut Done, u64) -> Result<T> + Send>;

/// A run that is to be done.
pub(super) struct Work<K, T> {
    /// What it is known by.
    pub(super) key: K,
    pub(super) config: Config,
    /// Its directory.
    pub(super) out: PathBuf,
    /// The share of a whole training after which it ends.
    pub(super) share: f64,
    pub(super) show: Show<T>,
}

/// What came of a run: `None` if it was stopped before its end.
pub(super) type Ended<K, T> = (K, Result<Option<T>>);

/// The workers, as the thread that decides sees them.
pub(super) struct Workers<'w, K, T> {
    works: Sender<Work<K, T>>,
    ended: Receiver<Ended<K, T>>,
    stops: &'w AtomicBool,
    count: usize,
    running: usize,
}

impl<K, T> Workers<'_, K, T> {
    /// Whether a worker has nothing to do.
    pub(super) fn is_free(&self) -> bool {
        self.running < self.count
    }

    /// Hands out a run.
    pub(super) fn begin(&mut self, work: Work<K, T>) {
        // Workers live as long as this sender.
        self.running += usize::from(self.works.send(work).is_ok());
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

/// Runs `decide` beside so many workers.
///
/// # Errors
/// Those of `decide`; a system that starts no more threads.
pub(super) fn with_workers<K: Copy + Send, T: Send, R>(
    call: &Call,
    machine: &Machine,
    count: usize,
    decide: impl FnOnce(Workers<K, T>) -> Result<R>,
) -> Result<R> {
    let machine = if count > 1 { machine.packing(count)? } else { machine.clone() };
    let jobs: Vec<RunJob> =
        (0..count).map(|_| call.job_beside_others(&machine)).collect::<Result<_>>()?;
    let (works, to_do) = channel::<Work<K, T>>();
    let (done, ended) = channel::<Ended<K, T>>();
    let (to_do, stops) = (Mutex::new(to_do), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for job in jobs {
            let (done, to_do, stops) = (done.clone(), &to_do, &stops);
            scope.spawn(move || {
                let worker = Worker { call, job, stops, is_alone: count == 1 };
                let next = || to_do.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(work) = next() {
                    let key = work.key;
                    // A worker that died would be waited for.
                    let ended = catch_unwind(AssertUnwindSafe(|| worker.trained(work)));
                    let ended = ended.unwrap_or_else(|_| Err(anyhow!("a run has panicked")));
                    if done.send((key, ended)).is_err() {
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
    /// Does a run, or what is left of it; `None` if it was stopped before its end.
    fn trained<K, T>(&self, work: Work<K, T>) -> Result<Option<T>> {
        let Work { config, out, share, show, .. } = work;
        let front = match self.is_alone {
            true => self.call.front(),
            false => self.call.front_beside_others(),
        };
        let mut listener = TrialFront { front, share, stops: self.stops, has_begun: false };
        let begun = out.join("config.toml").is_file() && !list(&out.join("checkpoints")).is_empty();
        let resumed = match begun {
            false => None,
            true => match Place::resume(&out, &[], &mut listener) {
                Ok((own, place)) => {
                    check_own(&out, &own, &config)?;
                    Some((own, place))
                }
                // Checkpoints or settings that are damaged: it is trained anew.
                Err(error) if matches!(exit_of(&error), Exit::Data | Exit::Config) => None,
                Err(error) => return Err(error),
            },
        };
        let mut done = if let Some((config, place)) = resumed {
            self.call.run_for(&self.job, config, place, &mut listener)?
        } else {
            if out.exists() {
                fs::remove_dir_all(&out).map_err(|e| cannot_remove(&out, &e))?;
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
        show(&mut done, until).map(Some)
    }
}

fn cannot_remove(out: &Path, error: &std::io::Error) -> Fault {
    Fault::new(Exit::CantCreate, format!("{}: cannot be begun anew: {error}", out.display()))
        .hint("remove it, and go on with the search")
}

/// Refuses to go on with a run that has other settings than it is to have.
fn check_own(out: &Path, own: &Config, config: &Config) -> Result<()> {
    match other_setting(&write::to_toml(own), &write::to_toml(config))? {
        None => Ok(()),
        Some((key, own, wanted)) => {
            let found = format!("{key} is {own} there, and {wanted} for the search");
            Err(Fault::data(out.join("config.toml").display(), found)
                .hint("give the file back, or remove that directory to train it anew")
                .into())
        }
    }
}

/// Listens to a run, which stops at its share.
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
