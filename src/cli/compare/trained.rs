//! A configuration beside separate networks and plain sharing: trains all of them from the same
//! seeds, and measures them on the same rows.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::table::{Arm, Comparison};
use super::{Against, CompareArgs, Packed};
use crate::cli::call::{Call, overrides};
use crate::cli::flags::DataCache;
use crate::cli::members::{InitialOf, Member, Members, Whole};
use crate::cli::reading::read_data;
use crate::cli::repeats::check_seed;
use crate::config::{Config, TaskKind, read, write};
use crate::data::load::route;
use crate::data::{Dataset, Part, Schema};
use crate::fault::{Exit, Fault, quoted};
use crate::model::file;
use crate::model::graph::Owner;
use crate::replace::replace;
use crate::run::apply::favourites::StandIns;
use crate::run::checkpoint::changes;
use crate::run::compare::sample::{Sample, units};
use crate::run::compare::subject::{measured_part, samples};
use crate::run::compare::variants;
use crate::run::directory::RunDirectory;
use crate::run::job::Done;
use crate::run::job::resume::check_changes;
use crate::run::machine::Machine;

/// Name of the file with the settings.
const SETTINGS: &str = "compare.toml";
/// Name of the file with what the comparison has found.
const SUMMARY: &str = "compare.json";
/// Seeds, if the flag does not say how many.
const REPEATS: u64 = 5;

/// The ways of training that are compared, and the number of seeds; the summary has them, and they
/// stay what they are.
struct Layout {
    repeats: usize,
    separate: bool,
    equal: bool,
    packed: bool,
}

impl Layout {
    /// The layout in a summary, or what is wrong with it.
    fn of(summary: &Value) -> Result<Layout, &'static str> {
        let flag = |key: &str| summary[key].as_bool().ok_or("does not say what is compared");
        let repeats = summary["repeats"].as_u64().ok_or("does not say what is compared")?;
        let (separate, equal, packed) = (flag("separate")?, flag("equal")?, flag("packed")?);
        match (2..=1000).contains(&repeats) && (separate || equal) {
            true => Ok(Layout { repeats: repeats as usize, separate, equal, packed }),
            false => Err("says what no comparison is"),
        }
    }
}

/// Trains all ways of training of a configuration, and compares them.
pub(super) fn compare(path: &Path, args: &CompareArgs, call: &Call) -> Result<Option<Exit>> {
    let config = read::from_file(path, &overrides(call.args))?;
    let repeats = call.args.repeats.unwrap_or(REPEATS) as usize;
    check_seed(&config, repeats)?;
    if learning(&config).count() == 0 {
        let fault =
            Fault::config("task", "no task has a weight above 0: there is nothing to compare");
        return Err(fault.hint("give one of them a weight above 0").into());
    }
    if config.trunk.freeze {
        let found = "would keep a trunk at random weights, which nothing is learned about";
        return Err(Fault::config("trunk.freeze", found).hint("leave it out").into());
    }
    let both = vec![Against::Separate, Against::Equal];
    let against = args.against.as_ref().unwrap_or(&both);
    let wants = |what: Against| against.contains(&what);
    let parts = read_data(&config, is_cached(call), call.console)?;
    let mut notes = Vec::new();
    let equal = wants(Against::Equal) && variants::equal(&config).is_some();
    if wants(Against::Equal) && !equal {
        notes.push("equal is what the configuration is: it stands once".to_owned());
    }
    let when = args.packed.unwrap_or(Packed::Auto);
    let packed = match (when, variants::packed(&config, &parts)) {
        (Packed::Off, _) => false,
        (Packed::Auto | Packed::On, Ok(_)) => true,
        (Packed::Auto, Err(why)) => {
            notes.extend(wants(Against::Separate).then(|| {
                format!("separate networks are trained one by one, not as one graph: {why}")
            }));
            false
        }
        (Packed::On, Err(why)) => {
            let fault =
                Fault::new(Exit::Usage, format!("--packed on would give other numbers: {why}"));
            return Err(fault.hint("leave it out").into());
        }
    };
    drop(parts);
    let layout = Layout { repeats, separate: wants(Against::Separate), equal, packed };
    if !layout.separate && !layout.equal {
        let fault = Fault::new(Exit::Usage, "the configuration is plain sharing: nothing differs");
        return Err(fault.hint("compare it with separate networks: --against separate").into());
    }
    let name = path.file_stem().map_or("compare".into(), |s| s.to_string_lossy().into_owned());
    let parent = RunDirectory::create(call.args.out.as_deref(), &format!("{name}-compare"))?;
    let mut members = members(&config, &layout, parent, call);
    members.save(json!({}))?;
    members.save_settings(&config)?;
    notes.iter().try_for_each(|note| members.say(note))?;
    run(members, &config, &layout)
}

/// Goes on with a comparison: networks that were trained are kept.
pub(super) fn go_on(path: &Path, call: &Call) -> Result<Option<Exit>> {
    let settings = path.join(SETTINGS);
    if !settings.is_file() {
        let found = format!("is no comparison: it has no {SETTINGS}");
        let hint = "name the directory that tandem compare has printed";
        return Err(Fault::missing(path.display(), found).hint(hint).into());
    }
    let parent = RunDirectory::open(path)?;
    let text = std::fs::read(path.join(SUMMARY)).unwrap_or_default();
    let found: Value = serde_json::from_slice(&text).unwrap_or_default();
    let layout = Layout::of(&found)
        .map_err(|message| Fault::data(path.join(SUMMARY).display(), message))
        .map_err(|fault| fault.hint("begin a new comparison"))?;
    let before = read::from_file(&settings, &[])?;
    let config = read::from_file(&settings, &overrides(call.args))?;
    let changed = changes(&write::to_toml(&before), &write::to_toml(&config))?;
    check_changes(&changed)?;
    if let Some((key, ..)) = changed.first() {
        let fault = Fault::config(key, "a comparison that goes on cannot change its settings");
        return Err(fault.hint("leave it as it was, or begin a new one").into());
    }
    check_seed(&config, layout.repeats)?;
    let hashes = route::hashes(&config.data)?;
    let mut members = members(&config, &layout, parent, call);
    members.check_data(&hashes)?;
    if let Some(fault) = members.other_settings()?.into_iter().next() {
        return Err(fault.into());
    }
    let tested = found["tested"].as_array().cloned().unwrap_or_default();
    let tested = tested.into_iter().map(|shown| Some(shown).filter(Value::is_object)).collect();
    members.take_over(tested, false)?;
    run(members, &config, &layout)
}

/// The tasks that are trained and compared, by number.
fn learning(config: &Config) -> impl Iterator<Item = usize> {
    (0..config.tasks.len()).filter(|task| config.tasks[*task].weight > 0.0)
}

/// All networks: of each seed the configured one, separate ones, plain sharing.
fn members<'c>(
    config: &Config,
    layout: &Layout,
    parent: RunDirectory,
    call: &'c Call<'c>,
) -> Members<'c> {
    let mut all = Vec::new();
    for repeat in 1..=layout.repeats {
        let seed = config.train.seed + repeat as u64 - 1;
        let mut add = |name: String, mut config: Config, initial| {
            config.train.seed = seed;
            let label = format!("{name} of {}, seed {seed}", layout.repeats);
            all.push(Member { directory: name, label, config, initial });
        };
        add(directory("configured", repeat), config.clone(), None);
        if layout.separate {
            match variants::unchecked(config).ok().filter(|_| layout.packed) {
                Some(packed) => {
                    let initial: InitialOf = variants::packed_initial;
                    add(directory("separate", repeat), packed, Some(initial));
                }
                None => learning(config).for_each(|task| {
                    add(
                        alone(repeat, &config.tasks[task].name),
                        variants::alone(config, task),
                        None,
                    )
                }),
            }
        }
        if let Some(equal) = variants::equal(config).filter(|_| layout.equal) {
            add(directory("equal", repeat), equal, None);
        }
    }
    let head = json!({
        "repeats": layout.repeats,
        "separate": layout.separate,
        "equal": layout.equal,
        "packed": layout.packed,
        "members": all.iter().map(|member| &member.directory).collect::<Vec<_>>(),
    });
    let whole = Whole {
        word: "network",
        settings: SETTINGS,
        summary: SUMMARY,
        head,
        go_on: Some("compare --resume"),
    };
    Members::new(call, parent, whole, all)
}

fn directory(name: &str, repeat: usize) -> String {
    format!("{name}-{repeat}")
}

/// The directory of the network of one task.
fn alone(repeat: usize, task: &str) -> String {
    format!("separate-{repeat}-{task}")
}

/// The flag of the call by which encoded tables are read from the cache directory.
fn is_cached(call: &Call) -> bool {
    call.args.data_cache == DataCache::On
}

/// The figures of a trained network that the summary keeps. The time of one that was trained beside
/// others is not its own.
fn shown(done: &Done, is_beside: bool) -> Value {
    let outcome = &done.outcome;
    json!({
        "steps": outcome.steps,
        "best_epoch": outcome.best_epoch,
        "seconds": (!is_beside).then_some(outcome.seconds),
    })
}

/// Trains what is left, and compares.
fn run(mut members: Members, config: &Config, layout: &Layout) -> Result<Option<Exit>> {
    if let Some(exit) = members.train(shown, |_| false)? {
        return Ok(Some(exit));
    }
    let call = members.call;
    let parts = read_data(config, is_cached(call), call.console)?;
    members.check_data(&parts.hashes)?;
    let Some((part, data)) = measured_part(&parts) else {
        let message = "there is neither a test part nor a validation part to measure on";
        return Err(Fault::config("data.split", message).hint("give data.test, or a share").into());
    };
    let machine = call.machine(config.train.precision)?;
    let measuring = Measuring { members: &members, config, layout, schema: &parts.schema, machine };
    let comparison = measuring.all(part, &data)?;
    let found = comparison.found();
    let (mut document, text) = (found.json(), found.text());
    members.save(json!({"found": document}))?;
    let path = members.path();
    replace(&path.join("compare.txt"), format!("{text}\n").as_bytes())?;
    if call.console.json {
        document["directory"] = json!(path);
        call.console.result_json(&document)?;
    } else {
        call.console.result(&format!("{text}\ndirectory: {}", path.display()))?;
    }
    Ok(None)
}

/// Everything that trained networks are measured with.
struct Measuring<'c> {
    members: &'c Members<'c>,
    config: &'c Config,
    layout: &'c Layout,
    schema: &'c Schema,
    machine: &'c Machine,
}

impl Measuring<'_> {
    /// Measures all networks on a part.
    fn all(&self, part: Part, data: &Dataset) -> Result<Comparison> {
        let Layout { repeats, separate, equal, .. } = *self.layout;
        let names = [("separate", separate), ("configured", true), ("equal", equal)];
        let mut arms = Vec::new();
        for (name, _) in names.into_iter().filter(|(_, is_there)| *is_there) {
            arms.push(self.arm(name, data)?);
        }
        let task = |task: usize| (self.config.tasks[task].name.clone(), self.kind(task));
        // Without separate networks plain sharing is what the configuration is compared with.
        let base =
            arms.iter().position(|arm| arm.name == if separate { "separate" } else { "equal" });
        Ok(Comparison {
            part,
            rows: data.rows,
            units: units(data),
            seeds: (0..repeats as u64).map(|repeat| self.config.train.seed + repeat).collect(),
            tasks: learning(self.config).map(task).collect(),
            arms,
            base: base.unwrap_or(0),
            group: self.config.data.group.clone(),
        })
    }

    fn kind(&self, task: usize) -> TaskKind {
        self.config.tasks[task].kind
    }

    /// All networks of one way of training.
    fn arm(&self, name: &str, data: &Dataset) -> Result<Arm> {
        let (mut all, mut seconds, mut parameters) = (Vec::new(), Some(0.0), 0);
        for repeat in 1..=self.layout.repeats {
            let own = self.networks(name, repeat);
            let mut of_seed: Vec<Option<Sample>> = vec![None; self.config.tasks.len()];
            parameters = 0;
            for (number, task) in own {
                let path = self.members.directory(number);
                let config = &self.members.members[number].config;
                let (found, notes) = samples(&path, config, (self.schema, data), self.machine)?;
                self.tell(&path, name, &notes)?;
                found
                    .into_iter()
                    .enumerate()
                    .filter(|(at, _)| task.is_none_or(|task| task == *at))
                    .for_each(|(at, sample)| of_seed[at] = Some(sample));
                parameters += self.parameters(number, task)?;
                let shown = self.members.shown[number].as_ref();
                // A network that was trained beside others has no time of its own.
                let own = shown.and_then(|shown| shown["seconds"].as_f64());
                seconds = seconds.zip(own).map(|(sum, own)| sum + own);
            }
            all.push(learning(self.config).filter_map(|task| of_seed[task].take()).collect());
        }
        let seconds = seconds.map(|seconds| seconds / self.layout.repeats as f64);
        Ok(Arm { name: name.to_owned(), samples: all, parameters, seconds })
    }

    /// Tells of tasks for which another model stands in. A packed network has one of its own for
    /// each task that is trained.
    fn tell(&self, path: &Path, name: &str, notes: &StandIns) -> Result<(), Fault> {
        let is_packed = self.layout.packed && name == "separate";
        let lost = notes.iter().find(|(task, _)| self.config.tasks[*task].weight > 0.0);
        if let Some((task, _)) = lost.filter(|_| is_packed) {
            let task = quoted(&self.config.tasks[*task].name);
            return Err(Fault::missing(
                path.display(),
                format!("has lost the best model of {task}"),
            )
            .hint("remove that directory: it is trained anew then"));
        }
        notes.iter().for_each(|(_, note)| self.members.call.console.note(note));
        Ok(())
    }

    /// The networks of a way of training and a seed, each with the only task that it is for.
    fn networks(&self, name: &str, repeat: usize) -> Vec<(usize, Option<usize>)> {
        let at = |directory: String| {
            self.members.members.iter().position(|member| member.directory == directory)
        };
        match at(directory(name, repeat)) {
            Some(number) => vec![(number, None)],
            None => learning(self.config)
                .filter_map(|task| {
                    Some((at(alone(repeat, &self.config.tasks[task].name))?, Some(task)))
                })
                .collect(),
        }
    }

    /// The number of parameters of a network that its only task has, or all tasks that are trained.
    fn parameters(&self, number: usize, task: Option<usize>) -> Result<usize> {
        let layout = file::load(&self.members.directory(number))?.layout;
        let is_meant = |owner: Owner| match (owner.task(), task) {
            (None, _) => true,
            (Some(owner), Some(task)) => owner == task,
            (Some(owner), None) => self.config.tasks[owner].weight > 0.0,
        };
        let meant = layout.blocks.iter().filter(|block| is_meant(block.owner));
        Ok(meant.map(|block| block.len).sum())
    }
}
