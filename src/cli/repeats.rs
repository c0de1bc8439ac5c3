//! `train --repeats N`: the same training from several seeds; means and spreads over them.
//! `predict` averages what their models predict.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::call::{Call, overrides};
use super::members::{Member, Members, Whole};
use super::summary::Summary;
use crate::config::{Config, read, write};
use crate::data::Part;
use crate::data::load::route;
use crate::fault::{Exit, Fault};
use crate::run::apply::group::Group;
use crate::run::checkpoint::changes;
use crate::run::directory::RunDirectory;
use crate::run::job::Done;
use crate::run::job::resume::check_changes;
use crate::run::train::point::tasks_json;

/// Trains `count` networks, in `repeat-1`, `repeat-2`, … of the run directory, the first with the
/// seed of the configuration and each other one with the next.
pub(super) fn train(config: Config, name: &str, count: usize, call: &Call) -> Result<Option<Exit>> {
    check_seed(&config, count)?;
    let parent = RunDirectory::create(call.args.out.as_deref(), name)?;
    let members = members(&config, parent, count, call);
    members.save(json!({}))?;
    members.save_settings(&config)?;
    run(members)
}

/// Such a run in a directory within that of a search, as far as it was trained.
///
/// # Errors
/// 78 if a network that was trained there has other settings; 73 if the directory cannot be made.
pub(super) fn within<'c>(
    path: &Path,
    name: &str,
    config: &Config,
    count: usize,
    call: &'c Call<'c>,
) -> Result<Members<'c>> {
    check_seed(config, count)?;
    let is_there = path.join(Group::Repeats.settings()).is_file();
    if !is_there && path.exists() {
        // It was not begun in earnest.
        std::fs::remove_dir_all(path)
            .map_err(|e| Fault::new(Exit::CantCreate, format!("{}: {e}", path.display())))?;
    }
    let parent = match is_there {
        true => RunDirectory::open(path)?,
        false => RunDirectory::create(Some(path), "repeats")?,
    };
    let mut members = members(config, parent, count, call);
    // The search says how it goes on, and its settings are all that there are.
    members.whole.go_on = None;
    members.overrides.clear();
    if let Some(fault) = members.other_settings()?.into_iter().next() {
        return Err(fault.into());
    }
    let labels = members.members.iter_mut().map(|member| &mut member.label);
    labels.for_each(|label| *label = format!("{name}, {label}"));
    match is_there {
        true => members.take_over(Group::Repeats.tested(path, count), false)?,
        false => {
            members.save(json!({}))?;
            members.save_settings(config)?;
        }
    }
    Ok(members)
}

/// Trains them, or what is left, and writes what they have in common; the exit if a signal stopped
/// one. Where one fails by an error for which `spares` is true, the others are trained all the
/// same.
///
/// # Errors
/// The first error of a network.
pub(super) fn train_within(
    mut members: Members,
    spares: fn(&anyhow::Error) -> bool,
) -> Result<Option<Exit>> {
    let stopped = members.train(|done, _| shown(done), spares)?;
    if stopped.is_none() {
        let tasks = Summary::of(&members.shown).json("repeats");
        members.save(json!({"tasks": tasks}))?;
    }
    Ok(stopped)
}

/// Goes on with such a run: networks that were trained are kept, the one under way goes on, the
/// others begin.
pub(super) fn go_on(path: &Path, count: usize, call: &Call) -> Result<Option<Exit>> {
    let settings = path.join(Group::Repeats.settings());
    let parent = RunDirectory::open(path)?;
    let before = read::from_file(&settings, &[])?;
    let config = read::from_file(&settings, &overrides(call.args))?;
    if before.train.seed != config.train.seed {
        let fault = Fault::config("train.seed", "a run that goes on cannot change its seeds");
        return Err(fault.hint("leave it as it was, or begin a new run").into());
    }
    if Group::Repeats.asked_for(path).is_none() {
        let place = path.join(Group::Repeats.summary());
        let found = "does not say how many repeats there are";
        return Err(Fault::data(place.display(), found)
            .hint("write {\"repeats\": N} into it: those that have ended are trained anew")
            .into());
    }
    let is_changed = check_changes(&changes(&write::to_toml(&before), &write::to_toml(&config))?)?;
    let hashes = route::hashes(&config.data)?;
    let mut members = members(&config, parent, count, call);
    members.check_data(&hashes)?;
    if !is_changed {
        for fault in members.other_settings()? {
            members.say(&format!("{}; it is kept as it is", fault.message))?;
        }
    }
    members.take_over(Group::Repeats.tested(path, count), is_changed)?;
    members.save_settings(&config)?;
    run(members)
}

/// Refuses a seed after which there are not enough others.
pub(super) fn check_seed(config: &Config, count: usize) -> Result<()> {
    let most = i64::MAX as u64 - count as u64;
    if config.train.seed <= most {
        return Ok(());
    }
    let found =
        format!("is {}, and {count} repeats need as many seeds from it on", config.train.seed);
    Err(Fault::config("train.seed", found).hint(format!("at most {most}")).into())
}

fn members<'c>(
    config: &Config,
    parent: RunDirectory,
    count: usize,
    call: &'c Call<'c>,
) -> Members<'c> {
    let member = |number: usize| {
        let mut config = config.clone();
        config.train.seed += number as u64 - 1;
        let label = format!("repeat {number} of {count}, seed {}", config.train.seed);
        Member { directory: format!("repeat-{number}"), label, config, initial: None }
    };
    Members::new(call, parent, Whole::of(Group::Repeats, count), (1..=count).map(member).collect())
}

/// The figures of each task on the test part, else on the validation part, by its name.
pub(super) fn shown(done: &Done) -> Value {
    let of = |part: Part| done.points.iter().find(|point| point.split == part.name());
    let point = of(Part::Test).or(of(Part::Valid));
    point.map_or(json!({}), |point| tasks_json(&done.plan.network, &point.tasks, true))
}

/// All repeats that have not ended, then what they have in common.
fn run(mut members: Members) -> Result<Option<Exit>> {
    if let Some(exit) = members.train(|done, _| shown(done), |_| false)? {
        return Ok(Some(exit));
    }
    let summary = Summary::of(&members.shown);
    let tasks = summary.json("repeats");
    members.save(json!({"tasks": tasks}))?;
    let (console, path) = (members.call.console, members.path());
    if console.json {
        let found = json!({"run": path, "repeats": members.shown.len(), "tasks": tasks});
        console.result_json(&found)?;
    } else {
        let table = summary.table("repeats", "repeat");
        let part = if members.members[0].config.data.has_test() { "test" } else { "validation" };
        console.result(&format!(
            "{table}\non the {part} part; tandem predict averages all repeats\nrun directory: {}",
            path.display()
        ))?;
    }
    Ok(None)
}
