//! Several runs of one command, each in a directory of its own within that of the whole: folds,
//! repeats, what is compared. A member that has ended is kept when the whole goes on.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::call::{Call, overrides};
use super::side_by_side::{AtATime, Worker, Workers, at_a_time, with_workers};
use crate::config::{Config, KeepBest, write};
use crate::fault::{Exit, Fault};
use crate::replace::replace;
use crate::run::apply::group::Group;
use crate::run::checkpoint::{list, other_setting};
use crate::run::directory::data_hashes::{Difference, data_hashes, difference};
use crate::run::directory::{RunDirectory, best_models};
use crate::run::job::{Done, Place};
use crate::run::train::Plan;
use crate::run::train::point::tasks_json;

/// Gives the arena of initial parameters of a configuration.
pub(super) type InitialOf = fn(&Config, &Plan) -> Result<Vec<f32>>;

/// One of the runs.
pub(super) struct Member {
    /// Name of its directory: `fold-1`.
    pub(super) directory: String,
    /// Its name in sentences: `fold 1 of 3`.
    pub(super) label: String,
    /// Its settings.
    pub(super) config: Config,
    /// The arena of initial parameters; `None` = they follow from the seed.
    pub(super) initial: Option<InitialOf>,
}

/// The files of the whole, and its words.
pub(super) struct Whole {
    /// What a member is called: `fold`.
    pub(super) word: &'static str,
    /// Name of the file with the settings.
    pub(super) settings: &'static str,
    /// Name of the file with what ended members have shown.
    pub(super) summary: &'static str,
    /// What that file begins with.
    pub(super) head: Value,
    /// The command that goes on with the whole, before its path; `None` = another one says that.
    pub(super) go_on: Option<&'static str>,
}

impl Whole {
    /// A run of `train`.
    pub(super) fn of(group: Group, count: usize) -> Whole {
        let (word, words) = (group.word(), group.words());
        let (settings, summary) = (group.settings(), group.summary());
        Whole {
            word,
            settings,
            summary,
            head: json!({words: count}),
            go_on: Some("train --resume"),
        }
    }
}

/// The runs of one command.
pub(super) struct Members<'c> {
    pub(super) call: &'c Call<'c>,
    pub(super) parent: RunDirectory,
    pub(super) whole: Whole,
    pub(super) members: Vec<Member>,
    /// What each member has shown, once it has ended.
    pub(super) shown: Vec<Option<Value>>,
    /// Settings that are laid over those of a member that goes on.
    pub(super) overrides: Vec<String>,
}

impl<'c> Members<'c> {
    pub(super) fn new(
        call: &'c Call<'c>,
        parent: RunDirectory,
        whole: Whole,
        members: Vec<Member>,
    ) -> Members<'c> {
        let shown = vec![None; members.len()];
        let overrides = overrides(call.args);
        Members { call, parent, whole, members, shown, overrides }
    }

    pub(super) fn path(&self) -> &Path {
        self.parent.path()
    }

    /// The directory of a member.
    pub(super) fn directory(&self, number: usize) -> PathBuf {
        self.path().join(&self.members[number].directory)
    }

    /// A line for the console and for the log of the whole.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        self.call.console.note(line);
        self.parent.log(line)
    }

    pub(super) fn save_settings(&self, config: &Config) -> Result<()> {
        replace(&self.path().join(self.whole.settings), write::to_toml(config).as_bytes())
    }

    /// Takes over what ended members have shown, unless the settings have changed since. That is
    /// written down before the settings are: whoever is interrupted now trains too much, and never
    /// too little.
    pub(super) fn take_over(&mut self, shown: Vec<Option<Value>>, is_changed: bool) -> Result<()> {
        if is_changed {
            return self.save(json!({}));
        }
        for (number, shown) in shown.into_iter().enumerate().take(self.members.len()) {
            let out = self.directory(number);
            let keeps_best = self.members[number].config.train.keep_best == KeepBest::PerTask;
            let has_models =
                out.join("model").is_dir() && (!keeps_best || best_models(&out).is_dir());
            self.shown[number] = shown.filter(|_| has_models);
        }
        Ok(())
    }

    /// Trains all members that have not ended, as many at a time as the machine does best; the exit
    /// if a signal stopped one. `show` says what a member has shown, given whether others were
    /// trained beside it. Where one fails by an error for which `spares` is true, the others are
    /// trained all the same.
    ///
    /// # Errors
    /// The first error of a member that spares no other, else the first error.
    pub(super) fn train(
        &mut self,
        show: impl Fn(&Done, bool) -> Value,
        spares: fn(&anyhow::Error) -> bool,
    ) -> Result<Option<Exit>> {
        let (ended, left): (Vec<usize>, Vec<usize>) =
            (0..self.members.len()).partition(|number| self.shown[*number].is_some());
        let mut left = VecDeque::from(left);
        for number in ended {
            self.say(&format!("{} has ended: it is kept", self.members[number].label))?;
        }
        let Some(first) = left.front() else { return Ok(None) };
        let (call, config) = (self.call, self.members[*first].config.clone());
        let machine = call.machine(config.train.precision)?;
        let AtATime { count, line } =
            at_a_time(&config, machine, call, left.len(), left.len() as f64)?;
        line.map_or(Ok(()), |line| self.say(&line))?;
        let hashes = self.hashes();
        let train = |worker: &Worker, work: Work| trained(worker, work);
        let decide = |mut workers: Workers<usize, Work, Done>| {
            let (mut exit, mut fault, mut broken) = (None, None, None);
            let mut stopped: Vec<usize> = Vec::new();
            loop {
                while workers.is_free() && exit.is_none() && fault.is_none() {
                    // One that arrived when the member before had been trained.
                    exit = call.signals.arrived();
                    let Some(number) = left.front().copied() else { break };
                    if exit.is_some() {
                        stopped.push(number);
                        break;
                    }
                    left.pop_front();
                    self.say(&self.members[number].label.clone())?;
                    workers.begin(number, self.work(number, hashes.clone().or(self.hashes())));
                }
                match workers.next() {
                    None => break,
                    Some((number, Ok(Some(done)))) => {
                        let own = &done.plan.parts.hashes;
                        let same = check_hashes(self.whole.word, own, self.hashes().as_ref());
                        self.shown[number] = Some(show(&done, count > 1));
                        if let Err(error) = same.and_then(|()| self.save(json!({}))) {
                            workers.stop();
                            fault.get_or_insert(error);
                        }
                    }
                    Some((number, Ok(None))) => {
                        stopped.push(number);
                        exit = call.signals.arrived().or(exit);
                    }
                    Some((number, Err(error))) => {
                        let is_spared = spares(&error);
                        // The last line on the console may be another member's.
                        let error = match count {
                            1 => error,
                            _ => error.context(self.members[number].label.clone()),
                        };
                        if is_spared {
                            broken.get_or_insert(error);
                        } else {
                            workers.stop();
                            fault.get_or_insert(error);
                        }
                    }
                }
            }
            match (fault, exit, broken) {
                (Some(error), ..) | (None, None, Some(error)) => Err(error),
                (None, exit, _) => Ok((exit, stopped.into_iter().min())),
            }
        };
        let (exit, stopped) = with_workers(call, machine, count, train, decide)?;
        if let (Some(_), Some(number), Some(go_on)) = (exit, stopped, self.whole.go_on) {
            let (label, path) = (&self.members[number].label, self.path().display());
            self.say(&format!(
                "stopped by a signal in {label}; go on with: tandem {go_on} {path}"
            ))?;
        }
        Ok(exit)
    }

    /// The work that is to be done for a member.
    fn work(&self, number: usize, hashes: Option<Vec<String>>) -> Work {
        let Member { label, config, initial, .. } = &self.members[number];
        // The seed is the member's own, whatever a flag says of the whole.
        let seed = format!("train.seed={}", config.train.seed);
        Work {
            label: label.clone(),
            out: self.directory(number),
            config: config.clone(),
            initial: *initial,
            overrides: self.overrides.iter().cloned().chain([seed]).collect(),
            word: self.whole.word,
            hashes,
        }
    }

    /// Writes what ended members have shown, and more at the end.
    pub(super) fn save(&self, more: Value) -> Result<()> {
        let mut summary = self.whole.head.clone();
        summary["tested"] = json!(self.shown);
        more.as_object().into_iter().flatten().for_each(|(k, v)| summary[k] = v.clone());
        let text = serde_json::to_string_pretty(&summary)? + "\n";
        replace(&self.path().join(self.whole.summary), text.as_bytes())
    }

    /// Hashes of the data that a member was trained on, the first that has begun.
    pub(super) fn hashes(&self) -> Option<Vec<String>> {
        (0..self.members.len()).find_map(|number| data_hashes(&self.directory(number)))
    }

    /// Refuses data that one of the members was not trained on.
    pub(super) fn check_data(&self, now: &[(String, String)]) -> Result<()> {
        (0..self.members.len()).try_for_each(|number| {
            check_hashes(self.whole.word, now, data_hashes(&self.directory(number)).as_ref())
        })
    }

    /// A fault for each member whose settings are not those that the whole gives it: it has got
    /// others since, or kept its own where there was nothing left to do.
    pub(super) fn other_settings(&self) -> Result<Vec<Fault>> {
        let mut found = Vec::new();
        for (number, member) in self.members.iter().enumerate() {
            let path = self.directory(number);
            let Ok(text) = fs::read_to_string(path.join("config.toml")) else { continue };
            let other = other_setting(&text, &write::to_toml(&member.config)).map_err(|error| {
                Fault::config(&path.join("config.toml").display().to_string(), format!("{error:#}"))
                    .hint("give the file back, or remove that directory to train it anew")
            })?;
            found.extend(other.map(|(key, own, whole)| {
                let message = format!("{key} is {own} there, and {whole} for the whole");
                Fault::config(&path.display().to_string(), message)
                    .hint("remove that directory to train it anew, or begin a new run")
            }));
        }
        Ok(found)
    }
}

/// A member that is to be trained.
struct Work {
    label: String,
    out: PathBuf,
    config: Config,
    initial: Option<InitialOf>,
    /// Settings that are laid over its own where it goes on.
    overrides: Vec<String>,
    /// The word for a member.
    word: &'static str,
    /// Hashes of the data that others were trained on.
    hashes: Option<Vec<String>>,
}

/// Trains a member, or what is left of it; `None` if it was stopped before its end.
fn trained(worker: &Worker, work: Work) -> Result<Option<Done>> {
    let Work { label, out, config, initial, overrides, word, hashes } = work;
    let (call, job) = (worker.call, worker.job);
    let mut front = worker.front(&label);
    // A member without a checkpoint begins anew, with the weights that it began with.
    let is_begun = out.join("config.toml").is_file() && !list(&out.join("checkpoints")).is_empty();
    let done = if is_begun {
        let (config, place) = Place::resume(&out, &overrides, &mut front)?;
        call.run_for(job, config, place, None, &mut front)?
    } else {
        if out.exists() {
            fs::remove_dir_all(&out)
                .map_err(|e| Fault::new(Exit::CantCreate, format!("{}: {e}", out.display())))?;
        }
        let begin = |plan: &Plan| {
            check_hashes(word, &plan.parts.hashes, hashes.as_ref())?;
            RunDirectory::create(Some(&out), "member")
        };
        let initial = initial.map(|initial| {
            let config = config.clone();
            move |plan: &Plan| initial(&config, plan)
        });
        let initial = initial.as_ref().map(|initial| initial as &dyn Fn(&Plan) -> _);
        call.run_for(job, config.clone(), Place::made_by(begin), initial, &mut front)?
    };
    call.report(&done)?;
    Ok(call.stopped(&done).is_none().then_some(done))
}

/// The figures of each task on the test part, by its name; empty without a test part. A task
/// without a label there has the loss null.
pub(super) fn tested(done: &Done) -> Value {
    let tested = done.outcome.test.as_ref().map(|point| {
        let mut tasks = tasks_json(&done.plan.network, &point.tasks, true);
        let unlabelled =
            done.plan.network.tasks.iter().zip(&point.tasks).filter(|(_, task)| task.rows == 0);
        unlabelled.for_each(|(head, _)| tasks[&head.name]["loss"] = Value::Null);
        tasks
    });
    tested.unwrap_or_else(|| json!({}))
}

/// All members, each a `word`, are of the same data.
///
/// # Errors
/// 65 with the first file that is another one, or with their number.
pub(super) fn check_hashes(
    word: &str,
    now: &[(String, String)],
    before: Option<&Vec<String>>,
) -> Result<()> {
    let hint = "give back the files that the run began with, or begin anew";
    let fault = match before.and_then(|before| difference(now, before)) {
        None => return Ok(()),
        Some(Difference::Files(now, before)) => {
            let found = format!(
                "the first {word} was trained on {before} files of data, now there are {now}"
            );
            Fault::data("data", found)
        }
        Some(Difference::File(name)) => {
            Fault::data(name, format!("is not the data that the first {word} was trained on"))
        }
    };
    Err(fault.hint(hint).into())
}
