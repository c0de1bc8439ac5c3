//! Several runs of one command, each in a directory of its own within that of the whole: folds,
//! repeats, what is compared. A member that has ended is kept when the whole goes on.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use super::call::{Call, overrides};
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
    /// The command that goes on with the whole, before its path.
    pub(super) go_on: &'static str,
}

impl Whole {
    /// A run of `train`.
    pub(super) fn of(group: Group, count: usize) -> Whole {
        let (word, words) = (group.word(), group.words());
        let (settings, summary) = (group.settings(), group.summary());
        Whole { word, settings, summary, head: json!({words: count}), go_on: "train --resume" }
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
}

impl<'c> Members<'c> {
    pub(super) fn new(
        call: &'c Call<'c>,
        parent: RunDirectory,
        whole: Whole,
        members: Vec<Member>,
    ) -> Members<'c> {
        let shown = vec![None; members.len()];
        Members { call, parent, whole, members, shown }
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

    /// Trains all members that have not ended; the exit if a signal stopped one. `show` says what a
    /// member has shown.
    pub(super) fn train(&mut self, show: impl Fn(&Done) -> Value) -> Result<Option<Exit>> {
        for number in 0..self.members.len() {
            let label = self.members[number].label.clone();
            if self.shown[number].is_some() {
                self.say(&format!("{label} has ended: it is kept"))?;
                continue;
            }
            let stopped = match self.call.signals.arrived() {
                // One that arrived when the member before had been trained.
                Some(exit) => Some(exit),
                None => self.train_one(number, &show)?,
            };
            if let Some(exit) = stopped {
                let (go_on, path) = (self.whole.go_on, self.path().display().to_string());
                let line =
                    format!("stopped by a signal in {label}; go on with: tandem {go_on} {path}");
                self.say(&line)?;
                return Ok(Some(exit));
            }
        }
        Ok(None)
    }

    /// Trains a member, or what is left of it; the exit of one that a signal stopped.
    fn train_one(&mut self, number: usize, show: impl Fn(&Done) -> Value) -> Result<Option<Exit>> {
        let (call, out) = (self.call, self.directory(number));
        let line = self.members[number].label.clone();
        self.say(&line)?;
        // A member without a checkpoint begins anew, with the weights that it began with.
        let is_begun =
            out.join("config.toml").is_file() && !list(&out.join("checkpoints")).is_empty();
        let done = if is_begun {
            // The seed is the member's own, whatever a flag says of the whole.
            let seed = format!("train.seed={}", self.members[number].config.train.seed);
            let own: Vec<String> = overrides(call.args).into_iter().chain([seed]).collect();
            let (config, place) = Place::resume(&out, &own, &mut call.front())?;
            call.resume(config, place)?
        } else {
            if out.exists() {
                fs::remove_dir_all(&out)
                    .map_err(|e| Fault::new(Exit::CantCreate, format!("{}: {e}", out.display())))?;
            }
            let member = &self.members[number];
            let config = member.config.clone();
            let (word, hashes) = (self.whole.word, self.hashes());
            let begin = |plan: &Plan| {
                check_hashes(word, &plan.parts.hashes, hashes.as_ref())?;
                RunDirectory::create(Some(&out), "member")
            };
            let initial = member.initial.map(|initial| {
                let config = config.clone();
                move |plan: &Plan| initial(&config, plan)
            });
            let initial = initial.as_ref().map(|initial| initial as &dyn Fn(&Plan) -> _);
            call.begin_with(config, Place::made_by(begin), initial)?
        };
        call.report(&done)?;
        if let Some(exit) = call.stopped(&done) {
            return Ok(Some(exit));
        }
        self.shown[number] = Some(show(&done));
        self.save(json!({}))?;
        Ok(None)
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
