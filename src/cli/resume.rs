//! `train --resume RUN`: what a run was, and whether what it is now to be can be the same run.

use std::path::Path;

use anyhow::Result;

use super::console::Console;
use crate::config::{Config, Schedule, read};
use crate::fault::{Fault, quoted};
use crate::model::file;
use crate::run::checkpoint::{Loaded, changes, clean, newest};
use crate::run::directory::RunDirectory;
use crate::run::train::Plan;

/// What can be begun instead of changing what cannot be changed: as much of the run as fits what is wanted now.
fn anew(loaded: &Loaded, plan: &Plan) -> &'static str {
    let (model, layout) = (&loaded.model, &plan.layout);
    if file::check_inputs(model, &plan.parts.schema.input).is_err() {
        "begin a new run"
    } else if file::initial_from(model, &plan.network, layout).is_ok() {
        "begin a new run from these weights with --init-from RUN/last"
    } else if file::trunk_from(model, &plan.network, layout, plan.initial()).is_ok() {
        "begin a new run from this trunk with --init-from RUN/last --init-part trunk"
    } else {
        "begin a new run"
    }
}

/// The directory of a run, held by this process, its settings with what is laid over them, and its newest checkpoint that is whole.
///
/// # Errors
/// 66 if it is no run directory; 75 if another process is using it; 65 if it has checkpoints and none is whole, or one is newer than this
/// program.
pub(super) fn open(run: &Path, overrides: &[String], console: &Console) -> Result<(RunDirectory, Config, Option<Loaded>)> {
    let config = run.join("config.toml");
    if run.is_dir() && !config.is_file() {
        let hint = "name the directory that a run has printed; runs are in runs/";
        return Err(Fault::missing(run.display(), "is no run directory: it has no config.toml").hint(hint).into());
    }
    let directory = RunDirectory::open(run)?;
    let config = read::from_file(&config, overrides)?;
    clean(&directory.checkpoints());
    let found = newest(&directory.checkpoints())?;
    for damaged in &found.damaged {
        console.note(&format!("{damaged}; the checkpoint before it is used"));
    }
    Ok((directory, config, found.loaded))
}

/// Whether a checkpoint fits what is now to be trained, and what a user should know of the differences; `config` are the settings as they
/// will be written.
///
/// # Errors
/// 78 if settings differ that make it another run; 65 if the data is other data.
pub(super) fn check(loaded: &Loaded, plan: &Plan, config: &str) -> Result<Vec<String>> {
    let differences = changes(&loaded.config, config)?;
    if let Some((key, before, after)) = differences.iter().find(|(key, before, after)| !may_change(key, before, after)) {
        let message = format!("the run has {before}, now it is to be {after}; a run that goes on cannot change it");
        return Err(Fault::config(key, message).hint(format!("leave that as it was, or {}", anew(loaded, plan))).into());
    }
    check_data(loaded, plan)?;
    file::initial_from(&loaded.model, &plan.network, &plan.layout)?;
    check_moments(loaded, plan)?;
    if loaded.model.schema != plan.parts.schema {
        let message = "its columns, scaling or class names are not those that the data makes now";
        return Err(Fault::data(loaded.path.join("schema.json").display(), message)
            .hint(format!("give back the files and settings of the run, or {}", anew(loaded, plan)))
            .into());
    }
    let mut notes: Vec<String> =
        differences.iter().map(|(key, before, after)| format!("changed: {key} = {after}, before {before}")).collect();
    let is_longer = differences.iter().any(|(key, ..)| matches!(key.as_str(), "train.epochs" | "train.max_steps"));
    if is_longer && plan.config.optimizer.schedule == Schedule::Cosine {
        notes.push(format!("the learning rate now falls to 0 over {} steps, as if that had been the plan", plan.total_steps));
    }
    Ok(notes)
}

/// Settings that may change within a run. A file may move; what is in it is compared.
fn may_change(key: &str, before: &str, after: &str) -> bool {
    let is_adam = |kind: &str| matches!(kind, "\"adam\"" | "\"adamw\"");
    match key.split('.').collect::<Vec<&str>>()[..] {
        ["data", "train" | "valid" | "test"] => before != "-" && after != "-",
        ["trunk", "freeze"] => true,
        ["train", "batch_size"] => false,
        ["optimizer", "kind"] => is_adam(before) && is_adam(after),
        ["optimizer", ..] | ["train", ..] => true,
        [first, ..] if first.starts_with("coupling") => true,
        [.., "weight" | "dropout"] => !key.starts_with("data") && !key.starts_with("feature"),
        _ => false,
    }
}

fn check_moments(loaded: &Loaded, plan: &Plan) -> Result<()> {
    let (found, expected) = (loaded.snapshot.moments.len(), plan.config.optimizer.kind.moments());
    if found == expected {
        return Ok(());
    }
    let message = format!("has {found} moments, the optimizer has {expected}");
    Err(Fault::data(loaded.path.display(), message).hint("remove the checkpoint: the one before it is used then").into())
}

fn check_data(loaded: &Loaded, plan: &Plan) -> Result<()> {
    let (before, now) = (&loaded.data, &plan.parts.hashes);
    let hint = format!("give back the files that the run began with, or {}", anew(loaded, plan));
    if before.len() != now.len() {
        let message = format!("the run reads {} files of data, now there are {}", before.len(), now.len());
        return Err(Fault::data(loaded.path.display(), message).hint(hint).into());
    }
    let differs = before.iter().zip(now).find(|((_, before), (_, now))| before != now);
    let Some(((_, before), (name, now))) = differs else { return Ok(()) };
    let short = |hash: &str| quoted(&hash.chars().take(12).collect::<String>());
    let message = format!("is not the data that the run began with: BLAKE3 {} …, then {} …", short(now), short(before));
    Err(Fault::data(name, message).hint(hint).into())
}
