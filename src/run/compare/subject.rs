//! A run that is compared: its models, and what they predict of the rows of a part.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::sample::Sample;
use crate::config::{Config, KeepBest};
use crate::data::{Dataset, Part, Parts, Schema};
use crate::fault::Fault;
use crate::model::file::{self, Model};
use crate::run::apply::favourites::{self, StandIns};
use crate::run::apply::stored::check_schema;
use crate::run::apply::together::{Predictor, Union};
use crate::run::machine::Machine;

/// The part that runs are compared on: the test part, or the validation part where there is none.
pub fn measured_part(parts: &Parts) -> Option<(Part, Arc<Dataset>)> {
    let test = parts.test.as_ref().map(|data| (Part::Test, Arc::clone(data)));
    test.or(parts.valid.as_ref().map(|data| (Part::Valid, Arc::clone(data))))
}

/// The models of a run that predict together: those that are best for single tasks, if its settings
/// keep them, else `model/`; with a line for each task for which `model/` stands in.
///
/// # Errors
/// 66 or 65 if one cannot be read.
fn models(run: &Path, config: &Config) -> Result<(Vec<Model>, Union, StandIns)> {
    if config.train.keep_best == KeepBest::Common {
        return Ok((vec![file::load(run)?], Union::Mean, Vec::new()));
    }
    let (models, notes) = favourites::models(run, file::load)?;
    Ok((models, Union::ByTask, notes))
}

/// The labels and predictions of each task of a run with these settings on a part of data that has
/// this schema, and lines about models that stand in for others.
///
/// # Errors
/// 66 or 65 if a model cannot be read, or the data does not fit it; those of the engine.
pub fn samples(
    run: &Path,
    config: &Config,
    (schema, data): (&Schema, &Dataset),
    machine: &Machine,
) -> Result<(Vec<Sample>, StandIns)> {
    let (models, union, notes) = models(run, config)?;
    models.iter().try_for_each(|model| check_schema(run, model, schema))?;
    let mut predictor = Predictor::new(&models, union, data, machine)?;
    let logits = predictor.logits(data)?;
    let model = models.first().ok_or_else(|| Fault::missing(run.display(), "has no model"))?;
    let (network, schema) = (&model.network, &model.schema);
    let sample = |(task, logits): (usize, &Vec<f32>)| {
        let first = network.first_cell(task);
        Sample::new(&network.tasks[task], &schema.targets[task], data, first, logits)
    };
    Ok((logits.iter().enumerate().map(sample).collect(), notes))
}
