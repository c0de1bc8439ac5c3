//! A run of the command line: what it is made of, what it tells, what it leaves.

use super::console::Console;
use super::flags::{Common, DataCache, InitPart, Resident, TrainArgs};
use super::reading::read_data;
use super::resume;
use super::signals::Signals;
use super::watch::Watch;
use crate::config::{Config, Evaluated, Precision, read, write};
use crate::data::look::summary::{Labelled, label_summary};
use crate::data::{Column, Input, Part, Parts};
use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault};
use crate::kernels::tuning::Tuning;
use crate::measure::ceilings::Ceilings;
use crate::measure::precision::{precise, wants_units};
use crate::measure::profile::Profile;
use crate::measure::profile::against_ceilings;
use crate::measure::tune::{Choice, tuned};
use crate::model::file::{self, Model};
use crate::run::checkpoint::{Context, Keeper, Loaded};
use crate::run::directory::RunDirectory;
use crate::run::machine::Machine;
use crate::run::train::point::{Point, shown};
use crate::run::train::{Ended, Options, Outcome, Plan, WINDOW, train_with_retries};
use anyhow::Result;
use serde_json::{Value, json};
use std::cell::OnceCell;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

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
    ];
    args.set.iter().cloned().chain(flags.into_iter().flatten()).collect()
}

/// What all runs of one command have in common.
pub(super) struct Call<'a> {
    pub(super) args: &'a TrainArgs,
    pub(super) console: &'a Console,
    pub(super) common: &'a Common,
    pub(super) signals: &'a Signals,
    pub(super) machine: OnceCell<Machine>,
}

/// A run that has ended.
pub(super) struct Done {
    pub(super) plan: Plan,
    pub(super) directory: RunDirectory,
    pub(super) outcome: Outcome,
    /// The last point of each part.
    pub(super) points: Vec<Point>,
}

impl Call<'_> {
    fn wish(&self, precision: Precision) -> Wish {
        Wish { units: wants_units(precision), ..self.common.wish() }
    }

    /// The machine, opened when it is first wanted: what is wrong with the data is said before.
    pub(super) fn machine(&self, precision: Precision) -> Result<&Machine> {
        if let Some(machine) = self.machine.get() {
            return Ok(machine);
        }
        let machine = Machine::open(&self.wish(precision))?;
        self.console.machine(&machine);
        Ok(self.machine.get_or_init(|| machine))
    }

    /// Trains; the directory is made when the data has been read. `before` is what there is of a
    /// run that goes on: its newest checkpoint, if there was one already.
    pub(super) fn run(
        &self,
        config: Config,
        directory: impl FnOnce(&Plan) -> Result<RunDirectory>,
        before: Option<Option<Loaded>>,
    ) -> Result<Done> {
        let (args, console) = (self.args, self.console);
        let begun = Instant::now();
        // A run that goes on holds its directory already: it ends with its own words, and not at
        // once.
        self.signals.keep(before.is_some());
        let parts = read_data(&config, args.data_cache == DataCache::On, console)?;
        self.signals.keep(true);
        let told = told_of(&parts);
        let plan = Plan::new(config, parts)?;
        let told: Vec<String> = told.into_iter().chain(plan.notices.iter().cloned()).collect();
        file::check_savable(&plan.network)?;
        let goes_on = before.is_some();
        let mut loaded = before.flatten();
        let text = write::to_toml(&plan.config);
        read::check_length("config.toml, with every key written out,", text.as_bytes())?;
        let (mut notes, over) = loaded
            .as_mut()
            .map(|loaded| resume::check(loaded, &plan, &text))
            .transpose()?
            .unwrap_or_default();
        // Settings by which nothing is done are not those of the run.
        let text =
            loaded.as_ref().filter(|_| over.is_some()).map_or(text, |loaded| loaded.config.clone());
        let initial = args
            .init_from
            .as_deref()
            .map(|path| initial(&args.weights().load(path, console)?, &plan, args.init_part))
            .transpose()?;
        let machine = self.machine(plan.config.train.precision)?;
        told.iter().for_each(|line| console.note(line));
        let (by_unit, fallback) = precise(machine, machine.tuning(), plan.config.train.precision)?;
        notes.extend(fallback);
        let unit = by_unit.unit;
        let (tuning, choices) = match unit {
            // It has one tile.
            Some(_) => (by_unit, Vec::new()),
            None => tuned(machine, &plan.layout, plan.batch, plan.total_steps, args.tune.into())?,
        };
        let context = context(&plan, machine, &tuning, text);
        if let Some(loaded) = loaded.as_ref().filter(|loaded| loaded.adapter != context.adapter) {
            notes.push(format!(
                "the run was on {}: results agree within rounding, not bit by bit",
                loaded.adapter
            ));
        }
        let mut directory = directory(&plan)?;
        let settings = context.config.clone();
        let mut keeper = Keeper::new(directory.checkpoints(), context, plan.config.train.keep)?;
        if let Some(initial) = &initial {
            // There is no run to go on with before this is committed: going on never begins with
            // other weights.
            keeper.keep(Arc::new(plan.beginning(initial.clone())))?;
            keeper.finish()?;
        }
        if over.is_none() {
            directory.write_config(&settings)?;
        }
        directory.write_environment(&environment(&plan, machine, &tuning, &choices))?;
        directory.begin(&plan.network, &plan.objective, &parts_of(&plan))?;
        if plan.config.train.evaluate.contains(&Evaluated::Test) {
            directory.tests_between()?;
        }
        directory.log(&format!("adapter: {}", machine.describe()))?;
        console.detail(&format!("data read in {:.2} s", begun.elapsed().as_secs_f64()));
        let mut watch = Watch::new(&plan, &mut directory, console, self.signals.clone(), keeper);
        for note in notes {
            watch.say(&note)?;
        }
        if goes_on {
            watch.resume(loaded.as_mut())?;
        }
        if let Some(why) = over {
            watch.say(&why)?;
        }
        let options = Options {
            tuning: Some(tuning),
            initial,
            steps_per_submission: args.steps_per_submission.map(|n| n as usize),
            profile: args.profile,
            streamed: self.streamed(machine, &plan),
            resume: loaded.map(|loaded| loaded.snapshot),
        };
        let wish = self.wish(plan.config.train.precision);
        let mut open = || {
            let machine = Machine::open(&wish)?;
            let (again, _) = precise(&machine, machine.tuning(), plan.config.train.precision)?;
            if again.unit != unit {
                let message = format!(
                    "{} has not the matrix unit that the run computes with",
                    machine.name()
                );
                return Err(Fault::new(Exit::Unavailable, message)
                    .hint("resume the run on an adapter that has it")
                    .into());
            }
            Ok(machine)
        };
        let outcome = train_with_retries(
            &plan,
            machine.clone(),
            options,
            args.retry_device,
            &mut open,
            &mut watch,
        );
        let outcome = outcome.map_err(|error| watch.with_way_on(error))?;
        let (points, last) = watch.finish(&outcome)?;
        let outcome = save(&plan, &directory, outcome, last.as_deref(), console)?;
        Ok(Done { plan, directory, outcome, points })
    }

    /// Prints the result; the exit of a run that a signal stopped.
    pub(super) fn tell(&self, done: &Done) -> Result<Option<Exit>> {
        let machine = self.machine(done.plan.config.train.precision)?;
        let profiled = against_ceilings(machine, done.outcome.profile.clone())?;
        finish(&done.plan, &done.directory, &done.outcome, &done.points, profiled, self.console)?;
        let stopped = self.stopped(done);
        if stopped.is_some() {
            let (run, steps) = (done.directory.path().display(), done.outcome.steps);
            self.console.note(&format!(
                "stopped by a signal after step {steps}; go on with: tandem train --resume {run}"
            ));
        }
        Ok(stopped)
    }

    /// Bytes of a window, where data is not to stay on the device.
    fn streamed(&self, machine: &Machine, plan: &Plan) -> Option<u64> {
        let streamed = match self.args.resident {
            Resident::On => false,
            Resident::Off => true,
            Resident::Auto => {
                plan.parts.train.stored().is_some()
                    || machine.most_data().is_some_and(|most| plan.data_bytes() > most)
            }
        };
        if streamed {
            let rows = plan.window(WINDOW);
            self.console.detail(&format!(
                "data stays on the host, {rows} rows on their way to the device at once"
            ));
        }
        streamed.then_some(WINDOW)
    }

    /// The exit of a run that a signal stopped.
    pub(super) fn stopped(&self, done: &Done) -> Option<Exit> {
        matches!(done.outcome.ended, Ended::Stopped)
            .then(|| self.signals.arrived().unwrap_or(Exit::Interrupted))
    }
}

/// What the data is: its columns, what was noticed of them, and how many rows have a label for each
/// task.
fn told_of(parts: &Parts) -> Vec<String> {
    let mut lines = Vec::new();
    if let Input::Columns { columns } = &parts.schema.input {
        let mut types: Vec<(&str, Vec<&str>)> = Vec::new();
        for column in columns {
            let word = column.encoding.word();
            match types.iter_mut().find(|(known, _)| *known == word) {
                Some((_, names)) => names.push(&column.name),
                None => types.push((word, vec![&column.name])),
            }
        }
        let named: Vec<String> =
            types.iter().map(|(word, names)| format!("{word}: {}", some(names))).collect();
        let types: Vec<String> =
            types.iter().map(|(word, names)| format!("{} {word}", names.len())).collect();
        let learned: Vec<&Column> = columns.iter().filter(|column| column.vectors() > 0).collect();
        let (inputs, of_them): (usize, usize) =
            (parts.schema.input.width(), learned.iter().map(|column| column.width()).sum());
        let vectors: usize = learned.iter().map(|column| column.vectors()).sum();
        let note = if vectors > 0 {
            format!(", {of_them} of them from {vectors} learned vectors")
        } else {
            String::new()
        };
        lines.push(format!(
            "{} columns ({}) make {inputs} inputs{note}",
            columns.len(),
            types.join(", ")
        ));
        lines.push(format!("taken for {}", named.join("; ")));
    }
    lines.extend(parts.notices.iter().cloned());
    for labelled in
        label_summary(parts).chunk_by(|a, b| (&a.task, &a.column) == (&b.task, &b.column))
    {
        let of_part = |l: &Labelled| format!("{} {} of {}", l.part.name(), l.labelled, l.rows);
        let parts: Vec<String> = labelled.iter().map(of_part).collect();
        let column = if labelled[0].column == labelled[0].task {
            String::new()
        } else {
            format!(" (column {})", labelled[0].column)
        };
        lines.push(format!("labelled for {}{column}: {}", labelled[0].task, parts.join(", ")));
    }
    lines
}

/// Names on one line; of many the first few.
fn some(names: &[&str]) -> String {
    const FEW: usize = 12;
    let rest = if names.len() > FEW {
        format!(" and {} more (tandem inspect MODEL has all)", names.len() - FEW)
    } else {
        String::new()
    };
    names.iter().take(FEW).copied().collect::<Vec<_>>().join(", ") + &rest
}

fn initial(model: &Model, plan: &Plan, part: InitPart) -> Result<Vec<f32>> {
    file::check_inputs(model, &plan.parts.schema.input)?;
    match part {
        InitPart::All => file::initial_from(model, &plan.network, &plan.layout),
        InitPart::Trunk => file::trunk_from(model, &plan.network, &plan.layout, plan.initial()?),
    }
}

fn parts_of(plan: &Plan) -> Vec<Part> {
    let given = [true, plan.parts.valid.is_some(), plan.parts.test.is_some()];
    Part::ALL.into_iter().zip(given).filter(|(_, given)| *given).map(|(part, _)| part).collect()
}

/// What is written with every checkpoint.
fn context(plan: &Plan, machine: &Machine, tuning: &Tuning, config: String) -> Context {
    Context {
        network: plan.network.clone(),
        layout: plan.layout.clone(),
        schema: plan.parts.schema.clone(),
        config,
        data: plan.parts.hashes.clone(),
        adapter: machine.name(),
        kernels: [tuning.forward, tuning.backward_input, tuning.backward_weight]
            .map(|p| p.kernel.name.to_owned())
            .into(),
    }
}

fn environment(plan: &Plan, machine: &Machine, tuning: &Tuning, choices: &[Choice]) -> Value {
    let kernels =
        [tuning.forward, tuning.backward_input, tuning.backward_weight].map(|p| p.kernel.name);
    let (adapter, limits) = match machine {
        Machine::Device(gpu) => (
            json!(gpu.entry),
            json!({"storage_binding_bytes": gpu.limits.max_storage_buffer_binding_size, "buffer_bytes": gpu.limits.max_buffer_size}),
        ),
        Machine::Reference => (json!("reference"), Value::Null),
    };
    let hashes: serde_json::Map<String, Value> =
        plan.parts.hashes.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    json!({
        "version": env!("CARGO_PKG_VERSION"), "adapter": adapter, "reason": machine.describe(), "limits": limits,
        "kernels": {"class": tuning.class, "products": kernels, "tiles": choices}, "data": hashes,
        "rows": plan.named_parts().iter().map(|(n, d)| (n.to_string(), json!(d.rows))).collect::<serde_json::Map<_, _>>(),
    })
}

/// Writes what was learned; an error where training ended in one.
fn save(
    plan: &Plan,
    directory: &RunDirectory,
    outcome: Outcome,
    last: Option<&Path>,
    console: &Console,
) -> Result<Outcome> {
    let (network, layout, schema) = (&plan.network, &plan.layout, &plan.parts.schema);
    let saved = directory.save_last(network, layout, schema, &outcome.last);
    let saved =
        saved.and_then(|()| directory.save_model(&outcome.network, layout, schema, &outcome.best));
    if let Ended::NotFinite(fault) = outcome.ended {
        // The cause matters more than what could not be saved because of it: weights may be
        // infinite themselves.
        if saved.is_ok() {
            console.note(&format!(
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
    saved.map(|()| outcome)
}

fn finish(
    plan: &Plan,
    directory: &RunDirectory,
    outcome: &Outcome,
    points: &[Point],
    profiled: Option<(Profile, Ceilings)>,
    console: &Console,
) -> Result<()> {
    if console.json {
        let mut document = summary(plan, directory, outcome, points);
        let added = profiled.iter().flat_map(|(profile, best)| profile.json(best));
        added.for_each(|(key, value)| document[key] = value);
        return console.result_json(&document);
    }
    let table = table(plan, directory, outcome, points);
    console.result(
        &profiled.map_or(table.clone(), |(profile, best)| {
            format!("{table}\n\n{}", profile.table(&best))
        }),
    )
}

fn ended(outcome: &Outcome) -> &'static str {
    match outcome.ended {
        Ended::Finished => "finished",
        Ended::EarlyStopping => "early stopping",
        Ended::TimeOver => "time over",
        Ended::Stopped => "stopped by a signal",
        Ended::NotFinite(_) => "not finite",
    }
}

fn summary(plan: &Plan, directory: &RunDirectory, outcome: &Outcome, points: &[Point]) -> Value {
    let point = |split: &str| {
        points.iter().find(|p| p.split == split).map(|p| p.json(&plan.network, &plan.objective))
    };
    json!({
        "run": directory.path(), "ended": ended(outcome), "steps": outcome.steps, "best_epoch": outcome.best_epoch,
        "best_step": outcome.best_step,
        "seconds": outcome.seconds, "first_step_seconds": outcome.first_step_seconds,
        "train": point("train"), "valid": point("valid"), "test": point("test"),
    })
}

/// What the model is of, and with it every figure of the table: `epoch 12, the kept one`.
fn kept(plan: &Plan, outcome: &Outcome) -> String {
    let (epoch, step) = (outcome.best_epoch, outcome.best_step);
    let is_whole = step.is_multiple_of(plan.steps_per_epoch) || step == plan.total_steps;
    let place =
        if is_whole { format!("epoch {epoch}") } else { format!("step {step} in epoch {epoch}") };
    let why = if outcome.selected { "the kept one" } else { "the last one, which is kept" };
    let means = if !outcome.measured_training() { " (train: means over its steps)" } else { "" };
    format!("{place}, {why}{means}")
}

/// The result as a table: a line a task, a column a part.
fn table(plan: &Plan, directory: &RunDirectory, outcome: &Outcome, points: &[Point]) -> String {
    let splits: Vec<&Point> = ["train", "valid", "test"]
        .iter()
        .filter_map(|s| points.iter().find(|p| p.split == *s))
        .collect();
    let width = plan.network.tasks.iter().map(|t| t.name.len()).max().unwrap_or(4).max(8);
    let longest = plan.network.tasks.iter().map(|t| t.kind.metrics()[0].len()).max().unwrap_or(0);
    let width_of_metrics = longest + " -0.0000".len();
    let mut text = format!("{:width$}", "task");
    for point in &splits {
        text +=
            &format!("  {:>10} {:>width_of_metrics$}", format!("{} loss", point.split), "metric");
    }
    for (i, head) in plan.network.tasks.iter().enumerate() {
        text += &format!("\n{:width$}", head.name);
        // One metric a row, so that its columns compare: the primary one, if some part has it.
        let of_parts =
            |name: &&&str| splits.iter().any(|point| point.tasks[i].metric(name).is_some());
        let name = head.kind.metrics().iter().find(of_parts).copied().unwrap_or_default();
        for point in &splits {
            let metric = point.tasks[i]
                .metric(name)
                .map_or(String::new(), |value| format!("{name} {value:.4}"));
            text += &format!("  {:>10} {metric:>width_of_metrics$}", shown(point.tasks[i].loss));
        }
    }
    text += &format!("\n{:width$}", "combined");
    for point in &splits {
        text += &format!("  {:>10} {:>width_of_metrics$}", shown(point.loss), "");
    }
    for (i, pair) in plan.objective.pairs.iter().enumerate() {
        let names = format!(
            "{} {} {}",
            pair.coupling.name(),
            plan.network.tasks[pair.a].name,
            plan.network.tasks[pair.b].name
        );
        let values: Vec<String> =
            splits.iter().map(|p| format!("{} {:.6}", p.split, p.couplings[i])).collect();
        text += &format!("\ncoupling {names}: {}", values.join(", "));
    }
    text += &format!(
        "\n{} after {} steps, {:.1} s; table and model: {}",
        ended(outcome),
        outcome.steps,
        outcome.seconds,
        kept(plan, outcome)
    );
    text + &format!("\nrun directory: {}", directory.path().display())
}
