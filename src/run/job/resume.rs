//! Resuming: what a run was, and whether a run with the settings and data of now can be its
//! continuation.

use std::path::Path;

use anyhow::Result;

use super::listener::Listener;
use crate::config::{Config, Every, Schedule, Select, read, write};
use crate::fault::{Fault, quoted};
use crate::model::file;
use crate::run::checkpoint::{Loaded, Snapshot, changes, clean, newest};
use crate::run::directory::RunDirectory;
use crate::run::train::Plan;

/// What to do instead of changing a setting that cannot change: begin a new run with as much of the
/// old one as fits.
fn anew(loaded: &Loaded, plan: &Plan) -> &'static str {
    let (model, layout) = (&loaded.model, &plan.layout);
    if file::check_inputs(model, &plan.parts.schema.input).is_err() {
        "begin a new run"
    } else if file::initial_from(model, &plan.network, layout).is_ok() {
        "begin a new run from these weights with --init-from RUN/last"
    } else if plan
        .initial()
        .and_then(|initial| file::trunk_from(model, &plan.network, layout, initial))
        .is_ok()
    {
        "begin a new run from this trunk with --init-from RUN/last --init-part trunk"
    } else {
        "begin a new run"
    }
}

/// A run that was begun before: its directory, held by this process, and its newest checkpoint that
/// is whole.
pub(super) struct Opened {
    pub(super) directory: RunDirectory,
    pub(super) loaded: Option<Loaded>,
}

/// Opens the directory of a run; returns also its settings with the overrides laid over them.
///
/// # Errors
/// 66 if it is no run directory; 75 if another process is using it; 65 if it has checkpoints and
/// none is whole, or one is newer than this program.
pub(super) fn open(
    run: &Path,
    overrides: &[String],
    listener: &mut dyn Listener,
) -> Result<(Config, Opened)> {
    let config = run.join("config.toml");
    if run.is_dir() && !config.is_file() {
        let hint = "name the directory that a run has printed; runs are in runs/";
        return Err(Fault::missing(run.display(), "is no run directory: it has no config.toml")
            .hint(hint)
            .into());
    }
    let directory = RunDirectory::open(run)?;
    let config = read::from_file(&config, overrides)?;
    clean(&directory.checkpoints());
    let found = newest(&directory.checkpoints())?;
    for damaged in &found.damaged {
        listener.note(&format!("{damaged}; the checkpoint before it is used"));
    }
    Ok((config, Opened { directory, loaded: found.loaded }))
}

/// What the difference between the settings of a run and those that are wanted now comes to.
#[derive(Default)]
pub(super) struct Fit {
    /// What a user should know of the differences.
    pub(super) notes: Vec<String>,
    /// Why nothing is left to do; `None` if there is.
    pub(super) over: Option<String>,
}

/// Compares a checkpoint with what is to be trained now. `config` is the text of the settings as it
/// would be written.
///
/// # Errors
/// 78 if settings differ that make it another run; 65 if the data is other data.
pub(super) fn check(loaded: &mut Loaded, plan: &Plan, config: &str) -> Result<Fit> {
    // Keys that an earlier version did not know are filled in: it did what their defaults say.
    let whole = read::from_text(&loaded.config, "config.toml", Path::new("/"), &[])
        .map(|before| write::to_toml(&before));
    let differences = changes(whole.as_ref().unwrap_or(&loaded.config), config)?;
    if let Some((key, before, after)) =
        differences.iter().find(|(key, before, after)| !may_change(key, before, after))
    {
        let message = format!(
            "the run has {before}, now it is to be {after}; a run that goes on cannot change it"
        );
        return Err(Fault::config(key, message)
            .hint(format!("leave that as it was, or {}", anew(loaded, plan)))
            .into());
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
    let forgotten = forget_other_scores(loaded, plan, config)?;
    if let Some(why) = over(&loaded.snapshot, plan) {
        let settings = if differences.is_empty() { "" } else { "; settings stay as they were" };
        return Ok(Fit { notes: Vec::new(), over: Some(why + settings) });
    }
    let mut notes: Vec<String> = differences
        .iter()
        .map(|(key, before, after)| format!("changed: {key} = {after}, before {before}"))
        .collect();
    let is_longer = differences
        .iter()
        .any(|(key, ..)| matches!(key.as_str(), "train.epochs" | "train.max_steps"));
    if is_longer && plan.config.optimizer.schedule == Schedule::Cosine {
        notes.push(format!(
            "the learning rate now falls to 0 over {} steps, as in a run planned for that many",
            plan.total_steps
        ));
    }
    notes.extend(forgotten);
    Ok(Fit { notes, over: None })
}

/// Whether the settings of a run of folds differ from what they were; `differences` has (key,
/// before, after).
///
/// # Errors
/// 78 if one of them makes it another run.
pub fn check_changes(differences: &[(String, String, String)]) -> Result<bool> {
    match differences.iter().find(|(key, before, after)| !may_change(key, before, after)) {
        Some((key, before, after)) => {
            let message = format!(
                "the run has {before}, now it is to be {after}; a run that goes on cannot change \
                 it"
            );
            Err(Fault::config(key, message).hint("leave that as it was, or begin a new run").into())
        }
        None => Ok(!differences.is_empty()),
    }
}

/// Forgets the best score, and the number of evaluations since, where it was by another
/// `train.select` or by other weights that have a part in it: such scores cannot be compared. If
/// no evaluation will follow, it stays. Returns a sentence if the score was forgotten.
pub(super) fn forget_other_scores(
    loaded: &mut Loaded,
    plan: &Plan,
    config: &str,
) -> Result<Option<String>> {
    let changes = changes(&loaded.config, config)?;
    let is_other = |(key, ..): &&(String, String, String)| {
        key == "train.select" || key.starts_with("train.select.")
    };
    let by = match changes.iter().find(is_other) {
        Some(_) => Some("another train.select"),
        None => changes
            .iter()
            .any(|change| is_part_of(&plan.config.train.select, change))
            .then_some("other weights"),
    };
    let Some(by) = by else { return Ok(None) };
    let has_score = loaded.snapshot.best.is_some()
        || loaded.snapshot.tasks.iter().any(|task| task.score.is_some());
    if !has_score || is_done(&loaded.snapshot, plan) {
        return Ok(None);
    }
    (loaded.snapshot.best, loaded.snapshot.worse) = (None, 0);
    loaded.snapshot.tasks.clear();
    let what = format!(
        "the best score so far was by {by} and is forgotten, and so are the {} without improvement",
        evaluations(plan)
    );
    Ok(Some(format!("{what}: model/ will be of an epoch from here on")))
}

/// Whether a changed weight has a part in what picks the model: every weight in the combined loss;
/// in a mean over tasks only a weight that is 0 now or was 0.
fn is_part_of(select: &Select, (key, before, after): &(String, String, String)) -> bool {
    let is_weight = key.starts_with("task.") && key.ends_with(".weight");
    let is_zero = |weight: &str| weight.parse() == Ok(0.0);
    match select {
        Select::Loss => is_weight || key.starts_with("coupling"),
        Select::RelativeLoss | Select::Mean => is_weight && is_zero(before) != is_zero(after),
        Select::Metric { .. } | Select::Weighted(_) => false,
    }
}

/// The name of what patience counts.
fn evaluations(plan: &Plan) -> &'static str {
    if plan.config.train.evaluate_every == Every::Epochs(1) { "epochs" } else { "evaluations" }
}

/// Why a run has nothing left to do, and what changes that.
fn over(snapshot: &Snapshot, plan: &Plan) -> Option<String> {
    let (steps, worse) = (snapshot.steps, snapshot.worse);
    if plan.is_out_of_patience(worse, &snapshot.tasks) {
        let counted = evaluations(plan);
        let Some(patience) = plan.config.train.patience.common() else {
            return Some(format!(
                "nothing to do, early stopping ended the run, all tasks are done by their \
                 {counted} without improvement: a larger train.patience takes it further"
            ));
        };
        let why = format!(
            "early stopping ended the run, {worse} {counted} without improvement at a patience of \
             {patience}"
        );
        return Some(format!(
            "nothing to do, {why}: --set train.patience={} or more takes it further, 0 to the \
             last epoch",
            worse + 1
        ));
    }
    let wanted = plan.total_steps;
    is_done(snapshot, plan).then(|| {
        let more = match plan.config.train.max_steps {
            Some(_) => "a larger --max-steps takes it further",
            None => "--epochs or --max-steps take it further",
        };
        format!(
            "nothing to do, {steps} steps are done and {wanted} wanted; the run is finished: {more}"
        )
    })
}

/// Whether all steps are done, and validated.
fn is_done(snapshot: &Snapshot, plan: &Plan) -> bool {
    snapshot.steps > plan.total_steps
        || (snapshot.steps == plan.total_steps && snapshot.validated == snapshot.steps)
}

/// Whether a setting may change within a run. A file may move, since its contents are compared.
fn may_change(key: &str, before: &str, after: &str) -> bool {
    let is_adam = |kind: &str| matches!(kind, "\"adam\"" | "\"adamw\"");
    match key.split('.').collect::<Vec<&str>>()[..] {
        ["data", "train" | "valid" | "test"] => before != "-" && after != "-",
        ["trunk", "freeze"] => true,
        ["train", "batch_size"] => false,
        // The models in best/ would not be those of the run any more.
        ["train", "keep_best"] => after == "\"per_task\"",
        ["optimizer", "kind"] => is_adam(before) && is_adam(after),
        ["optimizer", ..] | ["train", ..] | ["tracking", ..] => true,
        [first, ..] if first.starts_with("coupling") => true,
        [source, "train" | "valid" | "test"] if source.starts_with("source[") => {
            before != "-" && after != "-"
        }
        [source, ..] if source.starts_with("source[") => false,
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
    Err(Fault::data(loaded.path.display(), message)
        .hint("remove the checkpoint: the one before it is used then")
        .into())
}

fn check_data(loaded: &Loaded, plan: &Plan) -> Result<()> {
    let (before, now) = (&loaded.data, &plan.parts.hashes);
    let hint = format!("give back the files that the run began with, or {}", anew(loaded, plan));
    if before.len() != now.len() {
        let message =
            format!("the run reads {} files of data, now there are {}", before.len(), now.len());
        return Err(Fault::data(loaded.path.display(), message).hint(hint).into());
    }
    let differs = before.iter().zip(now).find(|((_, before), (_, now))| before != now);
    let Some(((_, before), (name, now))) = differs else { return Ok(()) };
    let short = |hash: &str| quoted(&hash.chars().take(12).collect::<String>());
    let message = format!(
        "is not the data that the run began with: BLAKE3 {} …, then {} …",
        short(now),
        short(before)
    );
    Err(Fault::data(name, message).hint(hint).into())
}
