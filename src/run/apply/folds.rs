//! The names of the files that a run of folds leaves, and the models of its folds.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use crate::data::Target;
use crate::fault::{Fault, quoted};
use crate::model::file::Model;

/// Name of the file with the settings of all folds.
pub const SETTINGS: &str = "folds.toml";
/// Name of the file with the test figures of each fold, and with the summary.
pub const SUMMARY: &str = "folds.json";
/// Name of the file with the predictions for each row, by the model that was not trained on it.
pub const PREDICTIONS: &str = "folds.csv";

/// The directory of a fold; folds are numbered from 1.
pub fn directory(run: &Path, fold: usize) -> PathBuf {
    run.join(format!("fold-{fold}"))
}

/// The number of folds of the run in a directory: the number in its settings, or the number of
/// directories of folds if it has no settings. `None` if it is no run of folds.
pub fn count(run: &Path) -> Option<usize> {
    if run.join("config.toml").exists()
        || run.join("config.json").exists()
        || run.join("model").exists()
    {
        return None;
    }
    let there = (1..).take_while(|&fold| directory(run, fold).is_dir()).count();
    let has_settings = run.join(SETTINGS).exists();
    (there > 0 || has_settings).then(|| folds_in_settings(run).unwrap_or(there))
}

/// The number of folds in the settings of a run.
fn folds_in_settings(run: &Path) -> Option<usize> {
    let settings: toml::Table = std::fs::read_to_string(run.join(SETTINGS)).ok()?.parse().ok()?;
    usize::try_from(settings.get("data")?.get("folds")?.as_integer()?).ok()
}

/// The test figures of each fold, from the summary; `None` for a fold that has not ended.
pub fn tested(run: &Path, folds: usize) -> Vec<Option<Value>> {
    let text = std::fs::read(run.join(SUMMARY)).unwrap_or_default();
    let found: Value = serde_json::from_slice(&text).unwrap_or_default();
    let of = |fold: usize| found["tested"].get(fold).filter(|tested| tested.is_object()).cloned();
    (0..folds).map(of).collect()
}

/// The models of the folds of a run, read by `load`.
///
/// # Errors
/// 66 if a fold has not ended; errors of `load`; 65 if the folds differ in tasks, columns or
/// classes.
pub fn models(
    run: &Path,
    folds: usize,
    load: impl Fn(&Path) -> Result<Model>,
) -> Result<Vec<Model>> {
    let mut models: Vec<Model> = Vec::with_capacity(folds.min(1000));
    // tandem 0.1.0 wrote neither settings nor a summary.
    let tested = run.join(SETTINGS).exists().then(|| tested(run, folds));
    let has_ended = |fold: usize| tested.as_ref().is_none_or(|tested| tested[fold - 1].is_some());
    let has_model = |fold: usize| directory(run, fold).join("model").is_dir();
    for fold in 1..=folds {
        let path = directory(run, fold);
        if !has_ended(fold) || !has_model(fold) {
            let found = if has_ended(fold) { "has no model yet" } else { "has not ended" };
            let other = (1..=folds)
                .find(|&fold| has_ended(fold) && has_model(fold))
                .map(|fold| directory(run, fold));
            let other = other.map_or_else(String::new, |fold| {
                format!("; or name a fold that has ended, such as {}", fold.display())
            });
            let hint = format!("end the run with: tandem train --resume {}{other}", run.display());
            return Err(Fault::missing(path.display(), format!("fold {fold} of {folds} {found}"))
                .hint(hint)
                .into());
        }
        let model = load(&path)?;
        if let Some(first) = models.first() {
            check_same(first, &model, &path)?;
        }
        models.push(model);
    }
    Ok(models)
}

/// Refuses a model whose predictions cannot be averaged with those of the first one.
fn check_same(first: &Model, other: &Model, path: &Path) -> Result<()> {
    let hint = "predict with each fold on its own: tandem predict RUN/fold-1";
    let what = |target: &Target| {
        (target.task.clone(), target.kind, target.columns.clone(), target.classes.clone())
    };
    let (before, now) = (&first.schema.targets, &other.schema.targets);
    if before.len() != now.len() {
        return Err(Fault::data(
            path.display(),
            format!("has {} tasks, fold 1 has {}", now.len(), before.len()),
        )
        .hint(hint)
        .into());
    }
    match before.iter().zip(now).find(|(before, now)| what(before) != what(now)) {
        None => Ok(()),
        Some((_, now)) => {
            let found = format!(
                "task {} has not the type, columns and classes that it has in fold 1",
                quoted(&now.task)
            );
            Err(Fault::data(path.display(), found).hint(hint).into())
        }
    }
}
