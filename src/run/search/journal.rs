//! `search.json`: the record of a search. It is written after each job as a whole, so that a search
//! that goes on knows what it knew.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::base::Base;
use crate::fault::{Fault, quoted};
use crate::replace::replace;
use crate::search::course::Job;

/// Name of the file.
pub const FILE: &str = "search.json";
/// Name of the file with the configuration, as it was written.
pub const SETTINGS: &str = "search.toml";

/// The record of a search.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Journal {
    /// Version of tandem that began the search.
    pub version: String,
    /// The directory where relative paths of the configuration start.
    pub directory: PathBuf,
    /// Overrides of the command line.
    pub overrides: Vec<String>,
    /// BLAKE3 of the configuration as it was written, in hex.
    pub settings: String,
    /// The device that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// The machine that trials were trained on.
    #[serde(default)]
    pub machine: String,
    /// A run whose mean weights are tried, where the search began with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// BLAKE3 of each file of the data, in hex.
    pub data: Vec<String>,
    /// Shares of a whole training after which trials are looked at.
    pub shares: Vec<f64>,
    /// Seconds of search so far.
    pub seconds: f64,
    /// Whether no trial is to be trained any more.
    pub over: bool,
    /// The jobs that have ended, in the order of trials and rungs.
    pub jobs: Vec<Told>,
    /// What was found at the end; null until then.
    #[serde(default)]
    pub found: Value,
}

/// A run whose mean weights are tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Frozen {
    /// Its directory.
    pub run: PathBuf,
    /// The mean weight of each task, beside the one of its settings.
    pub weights: Vec<f64>,
    /// Number of seeds.
    pub seeds: u64,
}

/// A job that has ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Number of the trial, from 0.
    pub trial: usize,
    /// Number of the rung, from 0.
    pub rung: usize,
    /// The best score so far, higher is better; `None` for a trial that failed.
    pub score: Option<f64>,
    /// Steps done.
    pub steps: u64,
    /// Epoch of the model with that score, from 1.
    pub epoch: u64,
    /// Seconds of training.
    pub seconds: f64,
    /// Number of parameters.
    pub parameters: usize,
    /// The tasks with their figures on the validation part, at that epoch.
    pub tasks: Value,
    /// Why the trial failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

impl Told {
    /// The job.
    pub fn job(&self) -> Job {
        Job { trial: self.trial, rung: self.rung }
    }
}

impl Journal {
    /// The record of a search in a directory, with the configuration that it began with.
    ///
    /// # Errors
    /// 66 if the directory has none; 65 if it cannot be read.
    pub fn read(path: &Path) -> Result<(Journal, Base)> {
        let (file, settings) = (path.join(FILE), path.join(SETTINGS));
        if !file.is_file() || !settings.is_file() {
            let found = format!("is no search: it has no {FILE} or no {SETTINGS}");
            let hint = "name the directory that tandem search has printed";
            return Err(Fault::missing(path.display(), found).hint(hint).into());
        }
        let read = |path: &Path| {
            let failed = |e| Fault::data(path.display(), format!("cannot be read: {e}"));
            std::fs::read_to_string(path).map_err(failed)
        };
        let journal: Journal = serde_json::from_str(&read(&file)?).map_err(|e| {
            Fault::data(file.display(), format!("is not the record of a search: {e}"))
                .hint("begin a new search")
        })?;
        journal.check(&file)?;
        let text = read(&settings)?;
        if hash(&text) != journal.settings {
            let found = "is not what the search began with";
            return Err(Fault::config(&settings.display().to_string(), found)
                .hint("give it back, or begin a new search")
                .into());
        }
        let base = Base {
            text,
            name: settings.display().to_string(),
            directory: journal.directory.clone(),
            overrides: journal.overrides.clone(),
        };
        Ok((journal, base))
    }

    /// Whether the record is of this version, and its numbers are in order.
    fn check(&self, file: &Path) -> Result<(), Fault> {
        let own = env!("CARGO_PKG_VERSION");
        if self.version != own {
            let found = format!("is of tandem {}, this is {own}", quoted(&self.version));
            return Err(Fault::data(file.display(), found)
                .hint("go on with that version, which tries the same settings, or begin anew"));
        }
        let shares = &self.shares;
        let is_share = |share: &f64| *share > 0.0 && *share <= 1.0;
        let ascends = shares.windows(2).all(|pair| pair[0] < pair[1]);
        let is_whole = shares.last().is_none_or(|last| *last == 1.0);
        match shares.iter().all(is_share) && ascends && is_whole {
            true => Ok(()),
            false => {
                Err(Fault::data(file.display(), "has shares that are none")
                    .hint("begin a new search"))
            }
        }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// 73 or 74 if that fails.
    pub fn save(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        replace(&path.join(FILE), text.as_bytes())
    }

    /// Adds the record of a job. Records stand in the order of trials, whichever was done first.
    pub fn add(&mut self, told: Told) {
        let at = self.jobs.partition_point(|other| other.job() < told.job());
        self.jobs.insert(at, told);
    }

    /// The record of a job, if it has ended.
    pub fn told(&self, job: Job) -> Option<&Told> {
        self.jobs.iter().find(|told| told.job() == job)
    }

    /// The last record of each trial, by its number.
    pub fn last(&self, trial: usize) -> Option<&Told> {
        self.jobs.iter().filter(|told| told.trial == trial).max_by_key(|told| told.rung)
    }

    /// The best trial: of those that were trained furthest the one with the highest score; of
    /// equal ones the first.
    pub fn best(&self) -> Option<&Told> {
        let scored = || self.jobs.iter().filter_map(|told| Some((told, told.score?)));
        let furthest = scored().map(|(told, _)| told.rung).max()?;
        let mut best: Option<(&Told, f64)> = None;
        for (told, score) in scored().filter(|(told, _)| told.rung == furthest) {
            let is_better = best.is_none_or(|(other, most)| {
                score > most || (score == most && told.trial < other.trial)
            });
            if is_better {
                best = Some((told, score));
            }
        }
        best.map(|(told, _)| told)
    }
}

/// BLAKE3 of a text, in hex.
pub fn hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}
