//! The trials of a search: each job of the course is trained, told, and written down.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use serde_json::Value;

use super::job::{Work, trained};
use crate::cli::call::Call;
use crate::cli::repeats::check_seed;
use crate::cli::side_by_side::{AtATime, Workers, at_a_time, with_workers};
use crate::config::{Config, Search, SearchMethod, Select};
use crate::data::load::route;
use crate::fault::{Exit, Fault, exit_of, is_no_room};
use crate::replace::replace;
use crate::run::directory::RunDirectory;
use crate::run::directory::data_hashes::{Difference, difference};
use crate::run::job::Done;
use crate::run::search::base::{Base, Trial};
use crate::run::search::journal::{FILE, Journal, SETTINGS, Told, hash};
use crate::run::search::preference::{figures, overrides, preferences, turned};
use crate::run::search::scores::{scored, shares};
use crate::run::search::settle::{Settled, settle};
use crate::run::train::Plan;
use crate::search::course::{Course, Job, Method, Settings};

/// A search under way.
pub(super) struct Searching<'c> {
    pub(super) call: &'c Call<'c>,
    pub(super) directory: RunDirectory,
    pub(super) base: Base,
    /// The settings as they stand, with what the search looks for.
    pub(super) config: Config,
    pub(super) search: Search,
    pub(super) settled: Settled,
    pub(super) journal: Journal,
    course: Course,
    /// Jobs that can begin.
    ready: VecDeque<Job>,
    /// The values of trials that were asked for.
    values: RefCell<BTreeMap<usize, Vec<Option<String>>>>,
    begun: Instant,
    /// Seconds of search before this process.
    seconds_before: f64,
}

impl<'c> Searching<'c> {
    /// Begins a search.
    ///
    /// # Errors
    /// 78 if the settings, the space or the objective are wrong; those of the data and of the
    /// directory.
    pub(super) fn begin(base: Base, name: &str, call: &'c Call<'c>) -> Result<Searching<'c>> {
        let (config, search, settled) = read(&base)?;
        let parts = call.parts(&config)?;
        let data: Vec<String> = parts.hashes.iter().map(|(_, hash)| hash.clone()).collect();
        let plan = Plan::new(config.clone(), parts)?;
        if plan.selection.is_none() {
            let found = "no model can be picked, so no trial is better than another";
            let notice = plan.notices.first().cloned().unwrap_or_default();
            return Err(Fault::config("search", format!("{found}: {notice}"))
                .hint("give validation rows that have labels")
                .into());
        }
        let shares = match search.method {
            SearchMethod::Halving => shares(&plan, search.eta),
            _ => vec![1.0],
        };
        let directory = RunDirectory::create(call.args.out.as_deref(), name)?;
        let text = base.text.as_bytes();
        replace(&directory.path().join(SETTINGS), text)?;
        let journal = Journal {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            directory: base.directory.clone(),
            overrides: base.overrides.clone(),
            settings: hash(&base.text),
            device: call.asked_device(),
            data,
            shares,
            ..Journal::default()
        };
        journal.save(directory.path())?;
        let mut this = Searching::new(call, directory, base, (config, search, settled), journal);
        this.settled.notes.clone().iter().try_for_each(|note| this.say(note))?;
        let plan = this.plan();
        this.say(&plan)?;
        Ok(this)
    }

    /// Opens a search that was begun before.
    ///
    /// # Errors
    /// 66 if it is none; 65 if its record cannot be read, or the data is other data; 75 if another
    /// process is at it.
    pub(super) fn open(
        path: &Path,
        (journal, base): (Journal, Base),
        call: &'c Call<'c>,
    ) -> Result<Searching<'c>> {
        let directory = RunDirectory::open(path)?;
        let settled = read(&base)?;
        let now = route::hashes(&settled.0.data)?;
        let other = match difference(&now, &journal.data) {
            None => None,
            Some(Difference::File(name)) => Some(name),
            Some(Difference::Files(..)) => Some("data".to_owned()),
        };
        if let Some(name) = other {
            return Err(Fault::data(name, "is not the data that the search began with")
                .hint("give back the files, or begin a new search")
                .into());
        }
        let mut this = Searching::new(call, directory, base, settled, journal);
        this.replay()?;
        Ok(this)
    }

    /// Tells the course what the record knows, so that it is where it was.
    ///
    /// # Errors
    /// 65 if the record has a job that this search does not do.
    fn replay(&mut self) -> Result<()> {
        let mut known = 0;
        loop {
            let ready = self.course.ready();
            if ready.is_empty() {
                break;
            }
            for job in ready {
                match self.journal.told(job) {
                    None => self.ready.push_back(job),
                    Some(told) => {
                        known += 1;
                        self.course.tell(job, told.score);
                    }
                }
            }
        }
        if known == self.journal.jobs.len() {
            return Ok(());
        }
        let found = "has jobs that a search of these settings does not do";
        Err(Fault::data(self.path().join(FILE).display(), found)
            .hint("give back the file, or begin a new search")
            .into())
    }

    fn new(
        call: &'c Call<'c>,
        directory: RunDirectory,
        base: Base,
        (config, search, settled): (Config, Search, Settled),
        journal: Journal,
    ) -> Searching<'c> {
        let course =
            Course::new(course_settings(&search, &settled, &journal), settled.space.clone());
        let seconds_before = journal.seconds;
        Searching {
            call,
            directory,
            base,
            config,
            search,
            settled,
            journal,
            course,
            ready: VecDeque::new(),
            values: RefCell::default(),
            begun: Instant::now(),
            seconds_before,
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The keys that are searched.
    pub(super) fn keys(&self) -> Vec<String> {
        self.settled.space.dimensions.iter().map(|dimension| dimension.key.clone()).collect()
    }

    /// A line for the console and for the log of the search.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        self.call.console.note(line);
        self.directory.log(line)
    }

    /// The number of trials, at most.
    fn trials(&self) -> usize {
        course_settings(&self.search, &self.settled, &self.journal).trials
    }

    /// A sentence about what is going to be done.
    fn plan(&self) -> String {
        let keys = self.settled.space.dimensions.len();
        let shares = self.journal.shares.iter().map(|share| format!("1/{:.0}", 1.0 / share));
        let shares: Vec<String> = shares.map(|s| if s == "1/1" { "1".into() } else { s }).collect();
        let rungs = match (self.search.method, shares.len()) {
            (SearchMethod::Halving, 1) => {
                ", each trained whole: there are too few evaluations to look at earlier".to_owned()
            }
            (SearchMethod::Halving, _) => {
                format!(", looked at after {} of a training", shares.join(", "))
            }
            _ => String::new(),
        };
        let (trials, method) = (self.trials(), self.search.method);
        let most = match self.search.max_time {
            Some(seconds) => format!("{seconds} seconds of trials, {trials} at most"),
            None => format!("{trials} trials"),
        };
        let keys = if keys == 1 { "one key".to_owned() } else { format!("{keys} keys") };
        format!("searching {keys} by {method}: {most}{rungs}")
    }

    /// Seconds of search so far.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.begun.elapsed().as_secs_f64()
    }

    /// Trains all trials; the exit if a signal stopped one.
    ///
    /// # Errors
    /// Those of a run that no other trial would be spared: of the device, the disk, the directory.
    pub(super) fn train(&mut self) -> Result<Option<Exit>> {
        let call = self.call;
        if self.journal.over {
            return Ok(None);
        }
        let machine = call.machine(self.config.train.precision)?;
        let name = machine.name();
        if !self.journal.machine.is_empty() && self.journal.machine != name {
            let before = self.journal.machine.clone();
            self.say(&format!(
                "the search was on {before}: further trials agree within rounding, not bit by bit"
            ))?;
        }
        self.journal.machine = name;
        // With halving each rung takes about as many steps as the first one.
        let (trials, shares) = (self.trials(), &self.journal.shares);
        let share = shares.first().map_or(1.0, |first| first * shares.len() as f64).min(1.0);
        let trainings = trials as f64 * share;
        let workers = course_settings(&self.search, &self.settled, &self.journal).workers;
        let runs = trials.min(workers);
        let AtATime { count, line } = at_a_time(&self.config, machine, call, runs, trainings)?;
        line.map_or(Ok(()), |line| self.say(&line))?;
        let stopped = with_workers(call, machine, count, trained, |workers| self.decide(workers))?;
        self.journal.seconds = self.seconds();
        self.save()?;
        match stopped {
            Some(exit) => self.stopped(exit).map(Some),
            None => Ok(None),
        }
    }

    /// Hands out jobs and takes in what came of them, until all are done, or a signal has come. An
    /// error waits until the jobs that are under way have stopped.
    fn decide(&mut self, mut workers: Workers<Job, Work<Told>, Told>) -> Result<Option<Exit>> {
        let (mut exit, mut fault): (Option<Exit>, Option<anyhow::Error>) = (None, None);
        loop {
            let goes_on = exit.is_none() && fault.is_none() && !self.journal.over;
            if goes_on {
                match self.hand_out(&mut workers) {
                    Ok(signal) => exit = signal,
                    Err(error) => fault = Some(error),
                }
            }
            if fault.is_some() {
                workers.stop();
            }
            let Some((job, told)) = workers.next() else { break };
            let told = match told {
                Err(error) if is_of_trial(&error) => Ok(Some(failed(job, &error))),
                told => told,
            };
            let taken = match told {
                Ok(Some(told)) => self.take(told),
                Ok(None) => {
                    exit = self.call.signals.arrived().or(exit);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                fault.get_or_insert(error);
            }
        }
        match fault {
            Some(error) => Err(error),
            None => {
                self.journal.over |= exit.is_none();
                Ok(exit)
            }
        }
    }

    /// Hands out jobs as long as a worker is free; the exit of a signal that has come.
    fn hand_out(&mut self, workers: &mut Workers<Job, Work<Told>, Told>) -> Result<Option<Exit>> {
        while workers.is_free() {
            let Some(job) = self.next_job() else { return Ok(None) };
            if let Some(exit) = self.call.signals.arrived() {
                return Ok(Some(exit));
            }
            if self.search.max_time.is_some_and(|most| self.seconds() >= most) {
                self.journal.over = true;
                self.say("the time of the search is over")?;
                return Ok(None);
            }
            match self.trial(job.trial) {
                Ok(trial) => {
                    let objectives = self.search.pareto.clone();
                    let work = Work {
                        config: trial.config,
                        out: self.trial_directory(job.trial),
                        share: self.journal.shares.get(job.rung).copied().unwrap_or(1.0),
                        show: Box::new(move |done, until| told(job, until, &objectives, done)),
                    };
                    workers.begin(job, work);
                }
                Err(error) => self.take(failed(job, &error))?,
            }
        }
        Ok(None)
    }

    /// The next job.
    fn next_job(&mut self) -> Option<Job> {
        self.ready.extend(self.course.ready());
        self.ready.pop_front()
    }

    /// Takes in what a job has shown.
    fn take(&mut self, told: Told) -> Result<()> {
        self.course.tell(told.job(), told.score);
        self.journal.add(told.clone());
        self.journal.seconds = self.seconds();
        self.save()?;
        let line = self.line(&told);
        self.say(&line)
    }

    fn stopped(&mut self, exit: Exit) -> Result<Exit> {
        self.journal.seconds = self.seconds();
        self.journal.save(self.path())?;
        let path = self.path().display().to_string();
        let flags = self.call.flags_of_machine();
        self.say(&format!(
            "stopped by a signal; go on with: tandem search --resume {path}{flags}"
        ))?;
        Ok(exit)
    }

    /// One line about a job that has ended.
    fn line(&self, told: &Told) -> String {
        let name = self.name(told.trial);
        let share = self.journal.shares.get(told.rung).copied().unwrap_or(1.0);
        let part = match share < 1.0 {
            true => format!(", {} steps", told.steps),
            false => String::new(),
        };
        let values = shown(&self.keys(), &self.values(told.trial));
        match (told.score, &told.failed) {
            (Some(_), _) => {
                let best = self.journal.best().filter(|best| best.trial == told.trial);
                let mark = if best.is_some() { " (best so far)" } else { "" };
                format!("{name}{part}: {}{mark}  {values}", self.shown(told))
            }
            (None, Some(why)) => format!("{name}{part} failed: {why}  {values}"),
            (None, None) => format!("{name}{part}: no score  {values}"),
        }
    }

    /// The name of a trial in sentences.
    pub(super) fn name(&self, trial: usize) -> String {
        let fixed = self.settled.fixed.get(trial).map(|(name, _)| format!(" ({name})"));
        format!("trial {}{}", trial + 1, fixed.unwrap_or_default())
    }

    /// The directory of a trial.
    pub(super) fn trial_directory(&self, trial: usize) -> PathBuf {
        self.path().join(format!("trial-{}", trial + 1))
    }

    /// The point of the space that a trial tries; `None` where its settings are given.
    pub(super) fn point(&self, trial: usize) -> Option<Vec<f64>> {
        self.course.point(trial).map(<[f64]>::to_vec)
    }

    /// The settings of a trial.
    ///
    /// # Errors
    /// 78 if its values do not fit each other.
    pub(super) fn trial(&self, trial: usize) -> Result<Trial> {
        let mut more = self.settled.common.clone();
        let keys = self.keys();
        let Some((_, given)) = self.settled.fixed.get(trial) else {
            let point = self.course.point(trial).ok_or_else(|| {
                let found = format!("has a trial {} that did not begin", trial + 1);
                Fault::data(self.path().join(FILE).display(), found)
            })?;
            let mut texts = self.settled.space.texts(point);
            let own = keys.len() + 1 - self.search.pareto.len().max(1);
            let numbers: Vec<f64> = texts.iter().skip(own).filter_map(|t| t.parse().ok()).collect();
            let preferences = preferences(&numbers);
            if !self.search.pareto.is_empty() {
                more = overrides(&self.config, &self.search, &preferences);
            }
            texts.truncate(own);
            let values: Vec<_> = keys.iter().cloned().zip(texts).collect();
            let mut trial = Trial::new(self.base.with(&values, &more, None)?, &keys);
            let own = trial.values.iter_mut().skip(own).zip(&preferences);
            own.for_each(|(value, preference)| *value = Some(format!("{preference:.4}")));
            return Ok(trial);
        };
        Ok(Trial::new(self.base.with(given, &more, None)?, &keys))
    }

    /// The values of a trial, one per key. They are read from its settings once: the table of all
    /// trials is written after each job.
    pub(super) fn values(&self, trial: usize) -> Vec<Option<String>> {
        let of_settings = || {
            let none = || vec![None; self.settled.space.dimensions.len()];
            self.trial(trial).map_or_else(|_| none(), |trial| trial.values)
        };
        self.values.borrow_mut().entry(trial).or_insert_with(of_settings).clone()
    }

    /// Writes the record and the table of trials.
    pub(super) fn save(&self) -> Result<()> {
        self.journal.save(self.path())?;
        replace(&self.path().join("trials.csv"), self.table().as_bytes())
    }
}

/// The settings, the search and its space.
fn read(base: &Base) -> Result<(Config, Search, Settled)> {
    let (config, search) = base.read(&[])?;
    let search = search.unwrap_or_default();
    if config.train.max_time.is_some() {
        let found = "trials that the clock ends cannot be compared";
        return Err(Fault::config("train.max_time", found)
            .hint("bound them by train.epochs; search.max_time bounds the search")
            .into());
    }
    if !config.data.has_validation() {
        let found = "there is no validation data, and trials are compared on it";
        return Err(Fault::config("data", found)
            .hint("give data.valid, or a share of data.split")
            .into());
    }
    check_seed(&config, search.seeds as usize + 1)?;
    let settled = settle(base, &config, &search)?;
    let (config, _) = base.read(&settled.common)?;
    Ok((config, search, settled))
}

fn course_settings(search: &Search, settled: &Settled, journal: &Journal) -> Settings {
    let method = match search.method {
        SearchMethod::Grid => Method::Grid,
        SearchMethod::Random => Method::Random,
        SearchMethod::Halving => Method::Halving,
        SearchMethod::Tpe => Method::Tpe,
    };
    let fixed = settled.fixed.len();
    let trials = match search.method {
        SearchMethod::Grid => settled.space.combinations().unwrap_or(0) + fixed,
        _ => search.trials as usize,
    };
    let workers = match search.method {
        SearchMethod::Halving | SearchMethod::Tpe => search.workers,
        _ => trials.clamp(1, 64),
    };
    let shares = journal.shares.clone();
    Settings { method, trials, fixed, workers, seed: search.seed, eta: search.eta, shares }
}

/// What a job has shown. Trials of different preferences are ordered by all `objectives` alike.
fn told(job: Job, until: u64, objectives: &[Select], done: &mut Done) -> Result<Told> {
    let found = scored(done, until)?;
    let none = "train.select was defined at no evaluation";
    let mut told = Told {
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
    };
    if !objectives.is_empty() {
        let turned = figures(objectives, &told.tasks).map(|found| turned(objectives, &found));
        told.score = turned.map(|all| all.iter().sum::<f64>() / all.len() as f64);
    }
    Ok(told)
}

/// The record of a trial that failed.
fn failed(job: Job, error: &anyhow::Error) -> Told {
    Told {
        trial: job.trial,
        rung: job.rung,
        score: None,
        steps: 0,
        epoch: 0,
        seconds: 0.0,
        parameters: 0,
        tasks: Value::Null,
        failed: Some(format!("{error:#}")),
    }
}

/// Whether an error is of one trial's settings, so that others may go on.
pub(super) fn is_of_trial(error: &anyhow::Error) -> bool {
    matches!(exit_of(error), Exit::NotFinite | Exit::Config | Exit::Unavailable)
        && !is_no_room(error)
}

/// Values of keys on one line.
pub(super) fn shown(keys: &[String], values: &[Option<String>]) -> String {
    let pairs = keys.iter().zip(values);
    let pairs = pairs.filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)));
    pairs.collect::<Vec<_>>().join(" ")
}
