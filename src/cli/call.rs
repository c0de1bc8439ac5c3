//! A run of the command line: from flags to a job, with a console that listens.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use indicatif::ProgressBar;

use super::console::Console;
use super::flags::{Common, DataCache, InitPart, Progress, Resident, TrainArgs};
use super::ranks;
use super::reading::read_data;
use super::report;
use super::result;
use super::signals::Signals;
use crate::config::{Activation, Config, Data, Precision, Task};
use crate::data::Parts;
use crate::fault::Exit;
use crate::measure::profile::against_ceilings;
use crate::model::file::{self, Model};
use crate::ranks::{Net, Pace, Share};
use crate::report::facts::importance;
use crate::run::job::{Done, Initial, Job, Listener, Place, Residence};
use crate::run::machine::Machine;
use crate::run::train::{Ended, Plan};

/// `--set` in their order, then the flags that stand for a key.
pub(super) fn overrides(args: &TrainArgs) -> Vec<String> {
    let number = |key: &str, value: Option<u64>| value.map(|v| format!("train.{key}={v}"));
    let text =
        |key: &str, value: &Option<String>| value.as_ref().map(|v| format!("train.{key}={v}"));
    let flags = [
        number("seed", args.seed),
        number("epochs", args.epochs),
        number("max_steps", args.max_steps),
        number("keep", args.keep),
        text("max_time", &args.max_time),
        text("checkpoint_every", &args.checkpoint_every),
        text("on_nan", &args.on_nan),
        number("accumulate", args.accumulate),
        args.freeze.map(|_| "trunk.freeze=true".to_owned()),
        args.tensorboard.then(|| "tracking.tensorboard=true".to_owned()),
    ];
    args.set.iter().cloned().chain(flags.into_iter().flatten()).collect()
}

/// What all runs of one command have in common.
pub(super) struct Call<'a> {
    pub(super) args: &'a TrainArgs,
    pub(super) console: &'a Console,
    pub(super) signals: &'a Signals,
    job: Job,
    /// The state of a search whose runs these are; `None` for other runs.
    search: Option<OfSearch>,
    /// Held while data is read: runs at a time read one after the other.
    reading: Mutex<()>,
    /// The other ranks, if there are some.
    ranks: Option<Arc<dyn Net>>,
    /// The pace of their messages.
    pace: Option<Pace>,
}

/// The state that all runs of a search share.
#[derive(Default)]
struct OfSearch {
    /// True once runs see the test part.
    shows_test: AtomicBool,
    /// The data of the last run.
    kept: Mutex<Option<Kept>>,
    /// Lines that were told already.
    lines: Mutex<BTreeSet<String>>,
}

/// Data, and the settings that it was read by.
struct Kept {
    data: Data,
    tasks: Vec<Task>,
    parts: Parts,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        args: &'a TrainArgs,
        common: &Common,
        console: &'a Console,
        signals: &'a Signals,
    ) -> Call<'a> {
        let residence = match args.resident {
            Resident::On => Residence::Device,
            Resident::Off => Residence::Host,
            Resident::Auto => Residence::Auto,
        };
        let mut job = Job::new(common.wish());
        job.tune = args.tune.into();
        job.residence = residence;
        job.steps_per_submission = args.steps_per_submission.map(|n| n as usize);
        job.retries = args.retry_device;
        job.profile = args.profile;
        let (ranks, reading) = (common.ranks.clone(), Mutex::default());
        Call {
            args,
            console,
            signals,
            job,
            search: None,
            reading,
            ranks,
            pace: common.pace.clone(),
        }
    }

    /// The call of a single run, which all ranks train together.
    pub(super) fn of_all_ranks(mut self) -> Call<'a> {
        self.job.ranks = self.ranks.clone().map(|net| Share::All(net, Arc::default()));
        self
    }

    /// The ranks for runs side by side, if there are several.
    pub(super) fn ranks(&self) -> Option<&Arc<dyn Net>> {
        self.ranks.as_ref().filter(|net| net.size() > 1)
    }

    /// The runs of a search: they do without the test part, data is read once, and lines that many
    /// of them have are told once.
    pub(super) fn of_search(self) -> Call<'a> {
        Call { search: Some(OfSearch::default()), ..self }
    }

    /// From now on runs of a search see the test part.
    pub(super) fn show_test(&self) {
        if let Some(search) = &self.search {
            search.shows_test.store(true, Ordering::Relaxed);
            *locked(&search.kept) = None;
        }
    }

    /// The data of a configuration, as its runs see it.
    pub(super) fn parts(&self, config: &Config) -> Result<Parts> {
        let is_cached = self.args.data_cache == DataCache::On;
        let read = || -> Result<Parts> {
            let _turn = locked(&self.reading);
            let parts = read_data(config, is_cached, self.console)?;
            let is_hidden = self
                .search
                .as_ref()
                .is_some_and(|search| !search.shows_test.load(Ordering::Relaxed));
            Ok(if is_hidden { Parts { test: None, ..parts } } else { parts })
        };
        let Some(OfSearch { kept, .. }) = &self.search else { return read() };
        // What a task learns with is nothing that its labels are read by.
        let of_labels = |task: &Task| Task {
            layers: Vec::new(),
            activation: Activation::Relu,
            dropout: 0.0,
            weight: 1.0,
            ..task.clone()
        };
        let tasks: Vec<Task> = config.tasks.iter().map(of_labels).collect();
        // Other runs wait: they want the same data.
        let mut kept = locked(kept);
        if let Some(same) = kept.as_ref().filter(|k| k.data == config.data && k.tasks == tasks) {
            return Ok(same.parts.clone());
        }
        let parts = read()?;
        *kept = Some(Kept { data: config.data.clone(), tasks, parts: parts.clone() });
        Ok(parts)
    }

    /// The console as a listener.
    pub(super) fn front(&self) -> Front<'_> {
        let told = self.search.as_ref().map(|search| &search.lines);
        let (console, signals) = (self.console, self.signals);
        Front { console, signals, bar: None, beside: None, told, stops: None }
    }

    /// The machine, opened when it is first wanted.
    pub(super) fn machine(&self, precision: Precision) -> Result<&Machine> {
        self.job.machine(precision, &mut self.front())
    }

    /// Begins a run.
    pub(super) fn begin(&self, config: Config, place: Place) -> Result<Done> {
        self.signals.keep(false);
        self.run_for(&self.job, config, place, None, &mut self.front())
    }

    /// The job of runs that have the machine for themselves.
    pub(super) fn job(&self) -> &Job {
        &self.job
    }

    /// The device that was asked for.
    pub(super) fn asked_device(&self) -> Option<String> {
        self.job.wish.asked().map(|(name, _)| name)
    }

    /// The flags by which a command goes on with the same machine.
    pub(super) fn flags_of_machine(&self) -> String {
        let device = self.job.wish.device.as_ref().map(|device| format!(" --device {device}"));
        let backend = self.job.wish.backend.as_ref().map(|name| format!(" --backend {name}"));
        let no_report = self.args.no_report.then(|| " --no-report".to_owned());
        [device, backend, no_report].into_iter().flatten().collect()
    }

    /// Goes on with a run. It holds its directory already, so that a signal while data is read
    /// does not end the program at once.
    pub(super) fn resume(&self, config: Config, place: Place) -> Result<Done> {
        self.signals.keep(true);
        self.run_for(&self.job, config, place, None, &mut self.front())
    }

    /// Begins a run, or goes on with one, by a job, and tells a listener of it; with initial
    /// parameters unless they follow from the flags or the seed.
    pub(super) fn run_for(
        &self,
        job: &Job,
        config: Config,
        place: Place,
        initial: Option<Initial>,
        listener: &mut dyn Listener,
    ) -> Result<Done> {
        let (args, console) = (self.args, self.console);
        if args.importance && config.data.sentences.is_some() {
            return Err(importance::of_tokens("data.train").into());
        }
        let begun = std::time::Instant::now();
        let parts = self.parts(&config)?;
        self.signals.keep(true);
        listener.detail(&format!("data read in {:.2} s", begun.elapsed().as_secs_f64()));
        let from_model = |plan: &Plan| match &args.init_from {
            Some(path) => from_flags(&args.weights().load(path, console)?, plan, args.init_part),
            None => plan.initial(),
        };
        let own = args.init_from.as_ref().map(|_| &from_model as &dyn Fn(&Plan) -> _);
        let initial = initial.or(own);
        job.run(config, parts, place, initial, listener)
    }

    /// Writes the page of a run, unless that is not wanted.
    pub(super) fn report(&self, done: &Done) -> Result<()> {
        if !self.args.no_report {
            let importance = self.args.importance;
            let precision = done.plan.config.train.precision;
            let machine = importance.then(|| self.machine(precision)).transpose()?;
            report::at_end(done, machine, self.console, self.search.is_some());
        }
        Ok(())
    }

    /// Writes the page and prints the result; returns the exit of a run that a signal stopped.
    pub(super) fn tell(&self, done: &Done) -> Result<Option<Exit>> {
        let machine = self.machine(done.plan.config.train.precision)?;
        let profiled = against_ceilings(machine, done.outcome.profile.clone())?;
        result::print(done, profiled, self.console)?;
        if let Some(Share::All(net, spent)) = &self.job.ranks {
            let line =
                ranks::cost(&**net, self.pace.as_ref(), *locked(spent), done.outcome.seconds);
            line.iter().for_each(|line| self.console.note(line));
        }
        self.report(done)?;
        let stopped = self.stopped(done);
        if stopped.is_some() {
            let (run, steps) = (done.directory.path().display(), done.outcome.steps);
            self.console.note(&format!(
                "stopped by a signal after step {steps}; go on with: tandem train --resume {run}"
            ));
        }
        Ok(stopped)
    }

    /// The exit of a run that a signal stopped.
    pub(super) fn stopped(&self, done: &Done) -> Option<Exit> {
        matches!(done.outcome.ended, Ended::Stopped)
            .then(|| self.signals.arrived().unwrap_or(Exit::Interrupted))
    }
}

/// The contents of a mutex, also where a thread that held it has died.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Initial parameters from a model, for the whole network or its trunk.
fn from_flags(model: &Model, plan: &Plan, part: InitPart) -> Result<Vec<f32>> {
    file::check_inputs(model, &plan.parts.schema.input)?;
    match part {
        InitPart::All => file::initial_from(model, &plan.network, &plan.layout),
        InitPart::Trunk => file::trunk_from(model, &plan.network, &plan.layout, plan.initial()?),
    }
}

/// Shows on the console what a run does, and stops it after a signal.
pub(super) struct Front<'a> {
    console: &'a Console,
    signals: &'a Signals,
    bar: Option<ProgressBar>,
    /// The beginning of the lines of a run beside which others run; it has no bar.
    beside: Option<String>,
    /// Lines that earlier runs of a search have told.
    told: Option<&'a Mutex<BTreeSet<String>>>,
    /// True once runs are to stop.
    stops: Option<&'a AtomicBool>,
}

impl<'a> Front<'a> {
    /// The console for a run beside which others run; each of its lines begins with `label`.
    pub(super) fn beside_others(self, label: &str) -> Front<'a> {
        let begin = if label.is_empty() { String::new() } else { format!("{label}: ") };
        Front { beside: Some(begin), ..self }
    }

    /// The console for a run that stops once `stops` is true.
    pub(super) fn stopped_by(self, stops: &'a AtomicBool) -> Front<'a> {
        Front { stops: Some(stops), ..self }
    }

    fn line(&self, line: &str) -> String {
        format!("{}{line}", self.beside.as_deref().unwrap_or_default())
    }
}

impl Listener for Front<'_> {
    fn machine(&mut self, machine: &Machine) {
        self.console.machine(machine);
    }

    fn begin(&mut self, steps: u64, total: u64) {
        if self.beside.is_some() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| self.console.bar(total));
        bar.set_position(steps);
        bar.reset_eta();
    }

    fn progress(&mut self, steps: u64, figures: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(steps);
            bar.set_message(figures.to_owned());
        }
    }

    fn figures(&mut self, line: &str) {
        let line = self.line(line);
        match self.console.progress() {
            _ if self.told.is_some() => self.console.detail(&line),
            Progress::Plain => self.console.note(&line),
            Progress::Bar if self.beside.is_some() => self.console.note(&line),
            _ => {}
        }
    }

    fn note(&mut self, line: &str) {
        if self.told.is_some_and(|told| !locked(told).insert(line.to_owned())) {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| self.console.note(line)),
            None => self.console.note(&self.line(line)),
        }
    }

    fn detail(&mut self, line: &str) {
        self.console.detail(&self.line(line));
    }

    fn end(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }

    fn stop(&mut self) -> bool {
        let stops = self.stops.is_some_and(|stops| stops.load(Ordering::Relaxed));
        stops || self.signals.arrived().is_some()
    }
}
