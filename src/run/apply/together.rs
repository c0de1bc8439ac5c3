//! Several models that predict together.

use anyhow::Result;

use crate::config::TaskKind;
use crate::data::load::apply::apply_again;
use crate::data::{Dataset, Target};
use crate::model::file::Model;
use crate::model::network::Head;
use crate::objective::Objective;
use crate::run::apply::probability::{sigmoid, softmax};
use crate::run::apply::stored::{Applied, apply_to_pieces};
use crate::run::machine::Machine;

/// How several models predict together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Union {
    /// The mean of their probabilities, of their numbers in the units of the label, or of their
    /// rates. The logits are those with which the first model would predict that mean.
    Mean,
    /// Each predicts one task: model i task i.
    ByTask,
}

/// Several models, or one, ready to predict together.
pub struct Predictor<'m> {
    models: &'m [Model],
    union: Union,
    applied: Vec<Applied>,
}

impl<'m> Predictor<'m> {
    /// Uploads models to a machine, with room for some rows of data of the same kind as `first`.
    ///
    /// # Errors
    /// As [`apply_to_pieces`]; 65 if the data does not fit a model.
    pub fn new(
        models: &'m [Model],
        union: Union,
        first: &Dataset,
        machine: &Machine,
    ) -> Result<Predictor<'m>> {
        let mut applied = Vec::with_capacity(models.len());
        for (number, model) in models.iter().enumerate() {
            let again = encoded_for(models, number, first)?;
            applied.push(apply_to_pieces(model, again.as_ref().unwrap_or(first), machine.clone())?);
        }
        Ok(Predictor { models, union, applied })
    }

    /// Logits of rows that are encoded for the first model, per task [rows, outputs].
    ///
    /// # Errors
    /// 3 if a value is not finite; errors of the engine.
    pub fn logits(&mut self, data: &Dataset) -> Result<Vec<Vec<f32>>> {
        let mut all = Vec::with_capacity(self.models.len());
        for (number, (model, applied)) in self.models.iter().zip(&mut self.applied).enumerate() {
            let again = encoded_for(self.models, number, data)?;
            let data = again.as_ref().unwrap_or(data);
            all.push(
                applied
                    .evaluate_pieces(&model.network, &Objective::plain(&model.network), data)?
                    .logits,
            );
        }
        Ok(match self.union {
            Union::ByTask => {
                let own = |(task, mut logits): (usize, Vec<Vec<f32>>)| logits.swap_remove(task);
                all.into_iter().enumerate().map(own).collect()
            }
            Union::Mean if all.len() == 1 => all.swap_remove(0),
            Union::Mean => mean(self.models, &all),
        })
    }
}

/// Rows that are encoded for the first model, encoded for another one; `None` where its schema is
/// the same.
fn encoded_for(models: &[Model], number: usize, data: &Dataset) -> Result<Option<Dataset>> {
    let schema = &models[number].schema;
    if *schema == models[0].schema {
        return Ok(None);
    }
    apply_again(schema, data).map(Some)
}

/// The first of several models, with the thresholds by which they predict together: it describes
/// what they predict. `None` if there is no model.
pub fn spokesman(models: &[Model], union: Union) -> Option<Model> {
    let mut model = models.first()?.clone();
    for (number, head) in model.network.tasks.iter_mut().enumerate() {
        let of = |model: &Model| model.network.tasks[number].threshold();
        head.threshold = match union {
            Union::ByTask => models[number].network.tasks[number].threshold,
            Union::Mean => {
                head.threshold.map(|_| models.iter().map(of).sum::<f64>() / models.len() as f64)
            }
        };
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
        TaskKind::Multiclass | TaskKind::Tags => ln(mean(&|z, _| softmax(z)[i])),
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
