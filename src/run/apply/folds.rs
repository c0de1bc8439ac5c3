//! A run of folds as a model: the models of its folds, whose predictions are averaged, and what is
//! tested where.

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
use crate::run::apply::judge::probability;
use crate::run::apply::predict::softmax;
use crate::run::apply::stored::{Applied, apply_to_pieces};
use crate::run::machine::Machine;

/// The settings of all folds, in the directory of a run of folds.
pub const SETTINGS: &str = "folds.toml";
/// What its folds showed, and what they have in common.
pub const SUMMARY: &str = "folds.json";
/// What was predicted of each row by the model that was not trained on it.
pub const PREDICTIONS: &str = "folds.csv";

/// The directory of a fold, from 1 up.
pub fn directory(run: &Path, fold: usize) -> PathBuf {
    run.join(format!("fold-{fold}"))
}

/// How many folds a run has whose directory this is: as its settings say, and without any as many
/// as stand there. `None` if it is not that of a run of folds.
pub fn count(run: &Path) -> Option<usize> {
    if run.join("config.toml").exists()
        || run.join("config.json").exists()
        || run.join("model").exists()
    {
        return None;
    }
    let there = (1..).take_while(|&fold| directory(run, fold).is_dir()).count();
    let has_settings = run.join(SETTINGS).exists();
    (there > 0 || has_settings).then(|| wanted(run).unwrap_or(there))
}

/// How many folds the settings of a run ask for.
fn wanted(run: &Path) -> Option<usize> {
    let settings: toml::Table = std::fs::read_to_string(run.join(SETTINGS)).ok()?.parse().ok()?;
    usize::try_from(settings.get("data")?.get("folds")?.as_integer()?).ok()
}

/// What the folds of a run showed that have ended, by the summary; of the others `None`.
pub fn tested(run: &Path, folds: usize) -> Vec<Option<Value>> {
    let text = std::fs::read(run.join(SUMMARY)).unwrap_or_default();
    let found: Value = serde_json::from_slice(&text).unwrap_or_default();
    let of = |fold: usize| found["tested"].get(fold).filter(|tested| tested.is_object()).cloned();
    (0..folds).map(of).collect()
}

/// The models of the folds of a run, read by `load`.
///
/// # Errors
/// 66 if a fold has not ended; those of `load`; 65 if the folds predict different things.
pub fn models(
    run: &Path,
    folds: usize,
    load: impl Fn(&Path) -> Result<Model>,
) -> Result<Vec<Model>> {
    let mut models: Vec<Model> = Vec::with_capacity(folds.min(1000));
    // Tandem 0.1.0 wrote neither settings nor a summary.
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

/// Predictions of two models can be averaged if they are of the same things.
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

/// What predicts: one model, or those of several folds.
pub struct Predictor<'m> {
    models: &'m [Model],
    applied: Vec<Applied>,
}

impl<'m> Predictor<'m> {
    /// Brings models onto a machine, with room for some rows of data such as this.
    ///
    /// # Errors
    /// Those of [`apply_to_pieces`]; 65 if the data does not fit a model.
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

    /// Logits of rows that are encoded for the first model, per task [rows, outputs]. Those of
    /// several models are the ones that the first would give where it predicts the mean: of
    /// probabilities, of numbers in the units of the label, of rates.
    ///
    /// # Errors
    /// 3 if a value is not finite; those of the engine.
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

/// The first of several models, with the means of their thresholds.
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

/// Logits of the means over some models; `logits` has for each model and task [rows, outputs].
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

/// The same of one row, in f64.
fn mean_of_row(head: &Head, first: &Target, each: Vec<(&[f32], &Target)>) -> Vec<f32> {
    let n = each.len() as f64;
    let mean = |value: &dyn Fn(&[f32], &Target) -> f64| {
        each.iter().map(|(z, target)| value(z, target)).sum::<f64>() / n
    };
    let ln = |x: f64| x.max(f64::MIN_POSITIVE).ln();
    let output = |i: usize| match head.kind {
        TaskKind::Multiclass => ln(mean(&|z, _| softmax(z)[i])),
        TaskKind::Binary | TaskKind::Multilabel => {
            ln(mean(&|z, _| probability(z[i]))) - ln(mean(&|z, _| probability(-z[i])))
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
