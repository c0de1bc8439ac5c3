//! A run that is compared: its models, and what they predict of the rows of a part.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::sample::Sample;
use crate::data::{Dataset, Part, Parts};
use crate::fault::Fault;
use crate::model::file::{self, Model};
use crate::run::apply::favourites;
use crate::run::apply::together::{Predictor, Union};
use crate::run::directory::best_models;
use crate::run::machine::Machine;

/// The part that runs are compared on: the test part, or the validation part where there is none.
pub fn measured_part(parts: &Parts) -> Option<(Part, Arc<Dataset>)> {
    let test = parts.test.as_ref().map(|data| (Part::Test, Arc::clone(data)));
    test.or(parts.valid.as_ref().map(|data| (Part::Valid, Arc::clone(data))))
}

/// The models of a run that predict together: those that are best for single tasks, if the run has
/// kept them, else `model/`.
///
/// # Errors
/// 66 or 65 if one cannot be read.
pub fn models(run: &Path) -> Result<(Vec<Model>, Union)> {
    if !best_models(run).is_dir() {
        return Ok((vec![file::load(run)?], Union::Mean));
    }
    favourites::models(run, file::load).map(|(models, _)| (models, Union::ByTask))
}

/// The labels and predictions of each task of a run on a part.
///
/// # Errors
/// Those of [`models`]; 65 if the data does not fit them; those of the engine.
pub fn samples(run: &Path, data: &Dataset, machine: &Machine) -> Result<Vec<Sample>> {
    let (models, union) = models(run)?;
    let mut predictor = Predictor::new(&models, union, data, machine)?;
    let logits = predictor.logits(data)?;
    let model = models.first().ok_or_else(|| Fault::missing(run.display(), "has no model"))?;
    let (network, schema) = (&model.network, &model.schema);
    let sample = |(task, logits): (usize, &Vec<f32>)| {
        let first = network.first_cell(task);
        Sample::new(&network.tasks[task], &schema.targets[task], data, first, logits)
    };
    Ok(logits.iter().enumerate().map(sample).collect())
}
