//! One job of a search: a trial, trained as far as the search wants it now.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::call::Front;
use crate::cli::side_by_side::Worker;
use crate::config::{Config, write};
use crate::fault::{Exit, Fault, exit_of};
use crate::run::checkpoint::{list, other_setting};
use crate::run::directory::RunDirectory;
use crate::run::job::{Done, Listener, Place};
use crate::run::machine::Machine;
use crate::run::search::scores::until;
use crate::run::train::{Ended, Plan};

/// Takes from a run that has ended, of which so many steps count, what it has shown.
pub(super) type Show<T> = Box<dyn FnOnce(&mut Done, u64) -> Result<T> + Send>;

/// A run that is to be done.
pub(super) struct Work<T> {
    pub(super) config: Config,
    /// Its directory.
    pub(super) out: PathBuf,
    /// The share of a whole training after which it ends.
    pub(super) share: f64,
    pub(super) show: Show<T>,
}

/// Does a run, or what is left of it; `None` if it was stopped before its end.
///
/// # Errors
/// 65 if there is a run of other settings; those of a run.
pub(super) fn trained<T>(worker: &Worker, work: Work<T>) -> Result<Option<T>> {
    let Work { config, out, share, show } = work;
    let (call, job) = (worker.call, worker.job);
    let front = worker.front("");
    let mut listener = TrialFront { front, share, has_begun: false };
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
        call.run_for(job, config, place, None, &mut listener)?
    } else {
        if out.exists() {
            fs::remove_dir_all(&out).map_err(|e| cannot_remove(&out, &e))?;
        }
        let place = Place::made_by(|_| RunDirectory::create(Some(&out), "trial"));
        call.run_for(job, config, place, None, &mut listener)?
    };
    let until = until(&done.plan, share);
    if matches!(done.outcome.ended, Ended::Stopped) && done.outcome.steps < until {
        return Ok(None);
    }
    call.report(&done)?;
    show(&mut done, until).map(Some)
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
        self.front.stop()
    }
}
