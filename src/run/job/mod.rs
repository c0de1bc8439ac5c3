//! A run as a whole: its directory and lock, its checkpoints, going on after an interruption, and
//! another device where one is lost. [`super::train`] trains; a job leaves a run directory.

mod card;
mod environment;
mod listener;
mod record;
pub mod resume;
mod told;

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::Result;

use crate::config::{Config, Evaluated, Precision, read, write};
use crate::data::Parts;
use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault};
use crate::kernels::Unit;
use crate::kernels::tuning::Tuning;
use crate::measure::precision::{precise, wants_units};
use crate::measure::tune::{Choice, Mode, tuned};
use crate::model::file;
use crate::ranks::Share;
use crate::run::checkpoint::{Keeper, Loaded};
use crate::run::directory::{RunDirectory, best_for};
use crate::run::machine::Machine;
use crate::run::train::point::Point;
use crate::run::train::{Ended, Options, Outcome, Plan, WINDOW, train_with_retries};
use environment::{context, environment, parts_of};
use record::Recorder;
use resume::{Fit, Opened};

pub use listener::{Deaf, Listener};

/// Where the rows of the data are while a run trains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Residence {
    /// On the device where they fit, else on the host.
    #[default]
    Auto,
    /// On the device.
    Device,
    /// On the host, from where they are streamed to the device.
    Host,
}

/// Gives the arena of initial parameters of a new run.
pub type Initial<'a> = &'a dyn Fn(&Plan) -> Result<Vec<f32>>;

/// Makes the directory of a new run.
type Make<'a> = Box<dyn FnOnce(&Plan) -> Result<RunDirectory> + 'a>;

/// The directory that a run writes into.
pub struct Place<'a>(Kind<'a>);

enum Kind<'a> {
    New(Make<'a>),
    Resumed(Box<Opened>),
}

impl<'a> Place<'a> {
    /// A new run in the directory `out`, which must not exist or be empty; `None` = a directory
    /// with the date and `name` in `runs/`. It is made when the data has been checked.
    pub fn new(out: Option<&'a Path>, name: &'a str) -> Place<'a> {
        Place::made_by(move |_| RunDirectory::create(out, name))
    }

    /// A new run in a directory that `make` makes when the data has been checked.
    pub fn made_by(make: impl FnOnce(&Plan) -> Result<RunDirectory> + 'a) -> Place<'a> {
        Place(Kind::New(Box::new(make)))
    }

    /// A run that goes on after its newest checkpoint that is whole, and its settings with
    /// `overrides` (`section.key=value`) laid over them.
    ///
    /// # Errors
    /// 66 if `run` is no run directory; 75 if another process is using it; 65 if it has checkpoints
    /// and none is whole, or one is newer than this program; 78 if an override is wrong.
    pub fn resume(
        run: &Path,
        overrides: &[String],
        listener: &mut dyn Listener,
    ) -> Result<(Config, Place<'a>)> {
        let (config, opened) = resume::open(run, overrides, listener)?;
        Ok((config, Place(Kind::Resumed(Box::new(opened)))))
    }
}

/// How to run: everything that is not part of the configuration. One job may do several runs; they
/// share a machine.
#[derive(Default)]
pub struct Job {
    /// The adapter that is wanted.
    pub wish: Wish,
    /// How the tiles of products are chosen. Changes no result.
    pub tune: Mode,
    /// Where rows are during training. Changes no result.
    pub residence: Residence,
    /// Steps per submission; `None` = the run finds a number by time. Changes no result.
    pub steps_per_submission: Option<usize>,
    /// How often another device is opened after a device failed.
    pub retries: u64,
    /// Whether each dispatch is timed.
    pub profile: bool,
    /// The other ranks that train its runs, and how; `None` = this process trains them.
    pub ranks: Option<Share>,
    machine: OnceLock<Machine>,
}

/// A run that has ended.
pub struct Done {
    /// What was trained.
    pub plan: Plan,
    /// The directory of the run, still locked.
    pub directory: RunDirectory,
    /// How training ended, and the parameters.
    pub outcome: Outcome,
    /// The last point of each part: the figures of the model that is kept.
    pub points: Vec<Point>,
}

/// The choices of kernels for a run.
struct Kernels {
    tuning: Tuning,
    choices: Vec<Choice>,
    unit: Option<Unit>,
}

/// What a run begins with.
struct Start {
    /// `None` = the run is new; `Some(None)` = it goes on and has no checkpoint yet.
    before: Option<Option<Loaded>>,
    initial: Option<Vec<f32>>,
    fit: Fit,
}

impl Job {
    /// A job on the adapter that is wished for, with every other setting at its default.
    pub fn new(wish: Wish) -> Job {
        Job { wish, ..Job::default() }
    }

    /// A job for one of several runs at a time, on a machine that it does not share where there is
    /// one: with the processor a thread of its own.
    ///
    /// # Errors
    /// A system that starts no more threads.
    pub fn beside_others(&self, machine: &Machine) -> Result<Job> {
        Ok(Job {
            wish: self.wish.clone(),
            tune: self.tune,
            residence: self.residence,
            steps_per_submission: self.steps_per_submission,
            retries: self.retries,
            profile: false,
            ranks: None,
            machine: OnceLock::from(machine.beside_others()?),
        })
    }

    /// A job for one of several runs at a time, on another rank or on this one.
    pub fn beside_ranks(&self, machine: &Machine, share: Option<Share>) -> Job {
        Job {
            wish: self.wish.clone(),
            tune: self.tune,
            residence: self.residence,
            steps_per_submission: self.steps_per_submission,
            retries: 0,
            profile: false,
            ranks: share,
            machine: OnceLock::from(machine.clone()),
        }
    }

    fn wish(&self, precision: Precision) -> Wish {
        Wish { units: wants_units(precision), ..self.wish.clone() }
    }

    /// The machine, which is opened when it is first wanted, so that faults of settings and data
    /// come before faults of adapters.
    ///
    /// # Errors
    /// 69 if there is no such adapter.
    pub fn machine(&self, precision: Precision, listener: &mut dyn Listener) -> Result<&Machine> {
        if let Some(machine) = self.machine.get() {
            return Ok(machine);
        }
        let machine = Machine::open(&self.wish(precision))?;
        listener.machine(&machine);
        Ok(self.machine.get_or_init(|| machine))
    }

    /// Trains on the rows of `parts` into the directory of `place`. `initial` gives the arena of
    /// initial parameters of a new run; `None` = they follow from the seed.
    ///
    /// # Errors
    /// 78 or 65 if the settings or the data do not fit each other, or the run that goes on; 69 if
    /// there is no such adapter; 73 or 74 if the directory cannot be written; those of
    /// [`train_with_retries`].
    pub fn run(
        &self,
        config: Config,
        parts: Parts,
        place: Place,
        initial: Option<Initial>,
        listener: &mut dyn Listener,
    ) -> Result<Done> {
        let told = told::told_of(&parts);
        let plan = Plan::new(config, parts)?;
        file::check_savable(&plan.network)?;
        if let Some(Share::All(net, _)) = &self.ranks {
            plan.shards_of(net.size(), net.rank())?;
        }
        let text = write::to_toml(&plan.config);
        read::check_length("config.toml, with every key written out,", text.as_bytes())?;
        let (make, mut before): (Make, _) = match place.0 {
            Kind::New(make) => (make, None),
            Kind::Resumed(opened) => {
                let Opened { directory, loaded } = *opened;
                (Box::new(|_| Ok(directory)), Some(loaded))
            }
        };
        let fit = match before.as_mut().and_then(Option::as_mut) {
            Some(loaded) => resume::check(loaded, &plan, &text)?,
            None => Fit::default(),
        };
        let initial = initial.map(|initial| initial(&plan)).transpose()?;
        let machine = self.machine(plan.config.train.precision, listener)?;
        told.iter().chain(&plan.notices).for_each(|line| listener.note(line));
        let start = Start { before, initial, fit };
        self.train(plan, text, make, start, machine, listener)
    }

    /// Trains when everything has been checked. `settings` is the text of the configuration.
    fn train(
        &self,
        plan: Plan,
        settings: String,
        make: Make,
        start: Start,
        machine: &Machine,
        listener: &mut dyn Listener,
    ) -> Result<Done> {
        let Start { before, initial, fit: Fit { mut notes, over } } = start;
        let (goes_on, mut loaded) = (before.is_some(), before.flatten());
        let (kernels, fallback) = self.kernels(&plan, machine)?;
        notes.extend(fallback);
        // Settings by which nothing is done are not those of the run.
        let text = loaded
            .as_ref()
            .filter(|_| over.is_some())
            .map_or(settings, |loaded| loaded.config.clone());
        let context = context(&plan, machine, &kernels.tuning, text.clone());
        notes.extend(loaded.as_ref().and_then(|loaded| on_another(loaded, &context.adapter)));
        let mut directory = make(&plan)?;
        let mut keeper = Keeper::new(directory.checkpoints(), context, plan.config.train.keep)?;
        if let Some(initial) = &initial {
            // There is no run to go on with before this is committed: going on never begins with
            // other weights.
            keeper.keep(Arc::new(plan.beginning(initial.clone())))?;
            keeper.finish()?;
        }
        begin(&mut directory, &plan, machine, &kernels, over.is_none().then_some(&text))?;
        let streamed = self.streamed(machine, &plan, listener);
        let until = listener.until(&plan);
        let mut recorder = Recorder::new(&plan, &mut directory, listener, keeper);
        notes.iter().try_for_each(|note| recorder.say(note))?;
        if goes_on {
            recorder.resume(loaded.as_mut())?;
        }
        over.iter().try_for_each(|why| recorder.say(why))?;
        let options = Options {
            tuning: Some(kernels.tuning.clone()),
            initial,
            steps_per_submission: self.steps_per_submission,
            profile: self.profile,
            streamed,
            resume: loaded.map(|loaded| loaded.snapshot),
            until,
            ranks: self.ranks.clone(),
        };
        let mut open = || self.reopen(plan.config.train.precision, kernels.unit);
        let (first, retries) = (machine.clone(), self.retries);
        let outcome = train_with_retries(&plan, first, options, retries, &mut open, &mut recorder)
            .map_err(|error| recorder.with_way_on(error))?;
        let (points, last) = recorder.finish(&outcome)?;
        let outcome = save(&plan, &directory, outcome, last.as_deref(), listener)?;
        Ok(Done { plan, directory, outcome, points })
    }

    /// The choices of kernels, with a notice where they are not those of the precision.
    fn kernels(&self, plan: &Plan, machine: &Machine) -> Result<(Kernels, Option<String>)> {
        let (tuning, notice) = precise(machine, machine.tuning(), plan.config.train.precision)?;
        let unit = tuning.unit;
        let (tuning, choices) = match unit {
            // A matrix unit has one tile.
            Some(_) => (tuning, Vec::new()),
            None => tuned(machine, &plan.layout, plan.batch, plan.total_steps, self.tune)?,
        };
        Ok((Kernels { tuning, choices, unit }, notice))
    }

    /// Another device in place of one that failed, which must have the same matrix unit.
    fn reopen(&self, precision: Precision, unit: Option<Unit>) -> Result<Machine> {
        let machine = Machine::open(&self.wish(precision))?;
        let (again, _) = precise(&machine, machine.tuning(), precision)?;
        if again.unit == unit {
            return Ok(machine);
        }
        let message =
            format!("{} has not the matrix unit that the run computes with", machine.name());
        Err(Fault::new(Exit::Unavailable, message)
            .hint("resume the run on an adapter that has it")
            .into())
    }

    /// Whether the rows of a plan stay on the host while it is trained on a machine.
    pub fn streams(&self, machine: &Machine, plan: &Plan) -> bool {
        match self.residence {
            Residence::Device => false,
            Residence::Host => true,
            Residence::Auto => {
                plan.parts.train.stored().is_some()
                    || machine.most_data().is_some_and(|most| plan.data_bytes() > most)
            }
        }
    }

    /// The bytes of a window of rows where data stays on the host.
    fn streamed(&self, machine: &Machine, plan: &Plan, listener: &mut dyn Listener) -> Option<u64> {
        let streamed = self.streams(machine, plan);
        if streamed {
            let rows = plan.window(WINDOW);
            listener.detail(&format!(
                "data stays on the host, {rows} rows on their way to the device at once"
            ));
        }
        streamed.then_some(WINDOW)
    }
}

/// A sentence if a run goes on with another adapter.
fn on_another(loaded: &Loaded, adapter: &str) -> Option<String> {
    let before = &loaded.adapter;
    (before != adapter)
        .then(|| format!("the run was on {before}: results agree within rounding, not bit by bit"))
}

/// Begins the files of a run directory; `settings` is the text of a changed `config.toml`.
fn begin(
    directory: &mut RunDirectory,
    plan: &Plan,
    machine: &Machine,
    kernels: &Kernels,
    settings: Option<&String>,
) -> Result<()> {
    let Kernels { tuning, choices, .. } = kernels;
    settings.map_or(Ok(()), |text| directory.write_config(text))?;
    directory.write_environment(&environment(plan, machine, tuning, choices))?;
    directory.begin(&plan.network, &plan.objective, &parts_of(plan))?;
    directory.track(&plan.config.tracking)?;
    if plan.config.train.evaluate.contains(&Evaluated::Test) {
        directory.tests_between()?;
    }
    directory.log(&format!("adapter: {}", machine.describe()))
}

/// Whether an exported model is there and does not name the weights that stand beside it.
fn is_of_other_weights(export: &Path, weights: &Path) -> bool {
    let (Ok(export), Ok(weights)) = (std::fs::read(export), std::fs::read(weights)) else {
        return false;
    };
    let hash = blake3::hash(&weights).to_hex();
    !export.windows(hash.len()).any(|bytes| bytes == hash.as_bytes())
}

/// Writes `model/` and `last/`; the error of a training that ended in one.
fn save(
    plan: &Plan,
    directory: &RunDirectory,
    outcome: Outcome,
    last: Option<&Path>,
    listener: &mut dyn Listener,
) -> Result<Outcome> {
    let (network, layout, schema) = (&plan.network, &plan.layout, &plan.parts.schema);
    let saved = directory.save_last(network, layout, schema, &outcome.last);
    let saved =
        saved.and_then(|()| directory.save_model(&outcome.network, layout, schema, &outcome.best));
    let saved = outcome.best_for_tasks.iter().fold(saved, |saved, best| {
        let (network, parameters) = (&best.network, &best.parameters);
        saved.and_then(|()| directory.save_best_for(best.task, network, layout, schema, parameters))
    });
    let saved = saved.and_then(|()| {
        let best = card::card(plan, &outcome.network, &outcome.kept);
        directory.save_beside("last", card::FILE, &card::card(plan, network, &[]))?;
        directory.save_beside("model", card::FILE, &best)?;
        outcome.best_for_tasks.iter().try_for_each(|best| {
            let place = best_for(Path::new(""), &plan.network, best.task);
            let card = card::card(plan, &best.network, &best.points);
            directory.save_beside(&place.to_string_lossy(), card::FILE, &card)
        })
    });
    if let Ended::NotFinite(fault) = outcome.ended {
        // The cause matters more than what could not be saved because of it: weights may be
        // infinite themselves.
        if saved.is_ok() {
            listener.note(&format!(
                "the weights before that step are in {}",
                directory.path().join("last").display()
            ));
        }
        let kept = last
            .map(|last| format!("; last good checkpoint: {}", last.display()))
            .unwrap_or_default();
        let fault = Fault { message: fault.message + &kept, ..fault };
        return Err(fault.into());
    }
    saved?;
    let model = directory.path().join("model");
    let export = model.join(file::ONNX);
    if is_of_other_weights(&export, &model.join(file::TENSORS)) {
        listener.note(&format!(
            "{} was made from the model before: tandem export makes it again",
            export.display()
        ));
    }
    Ok(outcome)
}
