//! The facts of a run: at its end from what the run has measured, or later from its data.

use std::path::Path;

use anyhow::Result;

use super::facts::importance::{Importance, measure};
use super::facts::{Facts, Judged, Kept, close_part};
use super::files::{RunFiles, hash};
use crate::data::{Dataset, Parts};
use crate::fault::Fault;
use crate::model::file::{self, Model};
use crate::objective::Objective;
use crate::run::apply::evaluate::Measured;
use crate::run::apply::judge::task_points;
use crate::run::apply::stored::{apply_to_pieces, check_schema};
use crate::run::checkpoint::newest;
use crate::run::directory::data_hashes::{data_hashes, difference};
use crate::run::job::Done;
use crate::run::machine::Machine;
use crate::run::train::Plan;
use crate::run::train::point::TaskPoint;

/// Is told how many columns of how many were permuted.
pub type Tell<'a> = &'a mut dyn FnMut(usize, usize);

/// The facts of a run that has just ended; `None` if its kept model was not measured. With
/// `importance` the columns that matter are measured on the machine.
///
/// # Errors
/// Those of [`measure`].
pub fn ended(done: &Done, importance: Option<(&Machine, Tell)>) -> Result<Option<Facts>> {
    let (plan, outcome) = (&done.plan, &done.outcome);
    let Some(((part, measured), model)) = outcome.close.as_ref().zip(hash(done.directory.path()))
    else {
        return Ok(None);
    };
    let points = outcome.kept.iter();
    let judged = Judged {
        model,
        network: &outcome.network,
        part: *part,
        measured,
        figures: points.map(|p| (p.split.as_str(), p.loss, &p.tasks[..])).collect(),
        kept: Some(Kept {
            epoch: outcome.best_epoch,
            step: outcome.best_step,
            selected: outcome.selected,
        }),
    };
    let Some(facts) = Facts::of(&plan.parts, &judged, &plan.notices) else { return Ok(None) };
    let importance = match importance {
        None => None,
        Some((machine, tell)) => {
            let model = Model {
                network: outcome.network.clone(),
                layout: plan.layout.clone(),
                schema: plan.parts.schema.clone(),
                parameters: outcome.best.clone(),
                directory: done.directory.path().join("model"),
            };
            Some(which_matter(plan, &model, machine, tell)?)
        }
    };
    Ok(Some(Facts { importance, ..facts }))
}

fn which_matter(plan: &Plan, model: &Model, machine: &Machine, tell: Tell) -> Result<Importance> {
    let (part, data) = close_part(&plan.parts);
    measure(model, (part.name(), data), plan.config.train.seed, machine, tell)
}

/// The facts of a run whose data was read again: its kept model is measured on each part.
///
/// # Errors
/// 65 if the data is not that of the run; errors of the model and of the machine.
pub fn again(
    run: &Path,
    files: &RunFiles,
    parts: Parts,
    machine: &Machine,
    importance: Option<Tell>,
) -> Result<Option<Facts>> {
    check_hashes(run, &parts)?;
    let model = file::load(run)?;
    let plan = Plan::new(files.config.clone(), parts)?;
    check_schema(run, &model, &plan.parts.schema)?;
    let (close, _) = close_part(&plan.parts);
    let (mut seen, mut all) = (None, Vec::new());
    for (part, data) in plan.parts.there() {
        let (measured, tasks) = judge(&model, data, machine)?;
        all.push((part.name(), loss(&plan, &measured), tasks));
        if part == close {
            seen = Some(measured);
        }
    }
    let Some((measured, hash)) = seen.as_ref().zip(hash(run)) else { return Ok(None) };
    let judged = Judged {
        model: hash,
        network: &model.network,
        part: close,
        measured,
        figures: all.iter().map(|(part, loss, tasks)| (*part, *loss, &tasks[..])).collect(),
        kept: kept(run, &plan),
    };
    let facts = Facts::of(&plan.parts, &judged, &plan.notices);
    let importance = match importance {
        None => None,
        Some(tell) => Some(which_matter(&plan, &model, machine, tell)?),
    };
    Ok(facts.map(|facts| Facts { importance, ..facts }))
}

fn judge(model: &Model, data: &Dataset, machine: &Machine) -> Result<(Measured, Vec<TaskPoint>)> {
    let objective = Objective::plain(&model.network);
    let measured = apply_to_pieces(model, data, machine.clone())?.evaluate_pieces(
        &model.network,
        &objective,
        data,
    )?;
    let tasks = task_points(&model.network, &model.schema, data, &measured);
    Ok((measured, tasks))
}

/// The combined loss; `None` where couplings or gates are part of it, which only the run measures.
fn loss(plan: &Plan, measured: &Measured) -> Option<f64> {
    let objective = &plan.objective;
    let is_plain = objective.pairs.is_empty() && objective.entropy == 0.0;
    is_plain.then(|| objective.total(&measured.losses, &[], 0.0)).flatten()
}

/// The kept model by the newest checkpoint, if there is one.
fn kept(run: &Path, plan: &Plan) -> Option<Kept> {
    let snapshot = newest(&run.join("checkpoints")).ok()?.loaded?.snapshot;
    let per_epoch = plan.steps_per_epoch;
    Some(match &snapshot.best {
        Some(best) => Kept {
            epoch: best.epoch,
            step: best.step.unwrap_or(best.epoch * per_epoch).min(snapshot.steps),
            selected: true,
        },
        None => Kept {
            epoch: snapshot.steps.saturating_sub(1) / per_epoch + 1,
            step: snapshot.steps,
            selected: false,
        },
    })
}

/// Refuses other data than that of the run, by the hashes of `environment.json`.
fn check_hashes(run: &Path, parts: &Parts) -> Result<()> {
    let before = data_hashes(run).unwrap_or_default();
    if difference(&parts.hashes, &before).is_none() {
        return Ok(());
    }
    let found = "the data that its config.toml names is not that of the run";
    Err(Fault::data(run.display(), found)
        .hint("give back the files that the run began with")
        .into())
}
