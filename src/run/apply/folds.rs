//! A run of folds as a model: the predictions of the models of its folds are averaged. Also the
//! names of the files that such a run leaves.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use crate::config::TaskKind;
use crate::data::load::apply::apply_again;
use crate::data::{Dataset, Target};
use crate::fault::{Fault, quoted};
use crate::model::file::Model;
use crate::model::network::Head;
use crate::objective::Objective;
use crate::run::apply::probability::{sigmoid, softmax};
use crate::run::apply::stored::{Applied, apply_to_pieces};
use crate::run::machine::Machine;

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

/// One model or the models of several folds, ready to predict.
pub struct Predictor<'m> {
    models: &'m [Model],
    applied: Vec<Applied>,
}

impl<'m> Predictor<'m> {
    /// Uploads models to a machine, with room for some rows of data of the same kind as `first`.
    ///
    /// # Errors
    /// As [`apply_to_pieces`]; 65 if the data does not fit a model.
    pub fn new(models: &'m [Model], first: &Dataset, machine: &Machine) -> Result<Predictor<'m>> {
        let mut applied = Vec::with_capacity(models.len());
        for (number, model) in models.iter().enumerate() {
            applied.push(match number {
                0 => apply_to_pieces(model, first, machine.clone())?,
                _ => apply_to_pieces(model, &apply_again(&model.schema, first)?, machine.clone())?,
            });
        }
        Ok(Predictor { models, applied })
    }

    /// Logits of rows that are encoded for the first model, per task [rows, outputs]. Several
    /// models predict the mean of their probabilities, of their numbers in the units of the label,
    /// or of their rates; the logits are those with which the first model would predict that mean.
    ///
    /// # Errors
    /// 3 if a value is not finite; errors of the engine.
    pub fn logits(&mut self, data: &Dataset) -> Result<Vec<Vec<f32>>> {
        let mut all = Vec::with_capacity(self.models.len());
        for (number, (model, applied)) in self.models.iter().zip(&mut self.applied).enumerate() {
            let again = if number > 0 { Some(apply_again(&model.schema, data)?) } else { None };
            let data = again.as_ref().unwrap_or(data);
            all.push(
                applied
                    .evaluate_pieces(&model.network, &Objective::plain(&model.network), data)?
                    .logits,
            );
        }
        Ok(if all.len() == 1 { all.swap_remove(0) } else { mean(self.models, &all) })
    }
}

/// The first of several models, with the mean of their thresholds: it describes what they predict
/// together.
pub fn spokesman(models: &[Model]) -> Option<Model> {
    let mut model = models.first()?.clone();
    for (number, head) in
        model.network.tasks.iter_mut().enumerate().filter(|(_, head)| head.threshold.is_some())
    {
        let sum: f64 = models.iter().map(|model| model.network.tasks[number].threshold()).sum();
        head.threshold = Some(sum / models.len() as f64);
    }
    Some(model)
}

/// Logits of the mean prediction of several models; `logits` has [rows, outputs] for each model and
/// task.
pub fn mean(models: &[Model], logits: &[Vec<Vec<f32>>]) -> Vec<Vec<f32>> {
    let Some(first) = models.first() else { return Vec::new() };
    let task = |(number, head): (usize, &Head)| {
        let outputs = head.outputs();
        let rows = logits[0][number].len() / outputs.max(1);
        let mut found = Vec::with_capacity(rows * outputs);
        for row in 0..rows {
            let each = logits.iter().zip(models).map(|(logits, model)| {
                (&logits[number][row * outputs..][..outputs], &model.schema.targets[number])
            });
            found.extend(mean_of_row(head, &first.schema.targets[number], each.collect()));
        }
        found
    };
    first.network.tasks.iter().enumerate().map(task).collect()
}

/// Logits of the mean prediction for one row, computed in f64.
fn mean_of_row(head: &Head, first: &Target, each: Vec<(&[f32], &Target)>) -> Vec<f32> {
    let n = each.len() as f64;
    let mean = |value: &dyn Fn(&[f32], &Target) -> f64| {
        each.iter().map(|(z, target)| value(z, target)).sum::<f64>() / n
    };
    let ln = |x: f64| x.max(f64::MIN_POSITIVE).ln();
    let output = |i: usize| match head.kind {
        TaskKind::Multiclass => ln(mean(&|z, _| softmax(z)[i])),
        TaskKind::Binary | TaskKind::Multilabel => {
            ln(mean(&|z, _| sigmoid(z[i]))) - ln(mean(&|z, _| sigmoid(-z[i])))
        }
        TaskKind::Regression => {
            let number = |z: &[f32], target: &Target| {
                f64::from(z[i]) / target.scales[i].factor + target.scales[i].offset
            };
            (mean(&number) - first.scales[i].offset) * first.scales[i].factor
        }
        TaskKind::Count => ln(mean(&|z, _| f64::from(z[i]).exp())),
    };
    (0..head.outputs()).map(|i| output(i) as f32).collect()
}
