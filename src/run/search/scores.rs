//! The score of a trial, and the steps after which trials are looked at.

use anyhow::Result;
use serde_json::Value;

use crate::run::job::Done;
use crate::run::train::Plan;
use crate::run::train::point::{Point, tasks_json};

/// The best model of a trial so far.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Its score; higher is better.
    pub score: f64,
    /// Its epoch, from 1.
    pub epoch: u64,
    /// The tasks with their figures on the validation part.
    pub tasks: Value,
}

/// The validation point of the highest score up to a step; `None` where none has a score.
///
/// # Errors
/// 65 if the points of the run cannot be read.
pub fn scored(done: &mut Done, until: u64) -> Result<Option<Scored>> {
    let Some(selection) = done.plan.selection.clone() else { return Ok(None) };
    let network = done.plan.network.clone();
    let mut best: Option<(f64, Point)> = None;
    for (json, _) in done.directory.points(u64::MAX)? {
        let Some(point) = Point::from_json(&json, &network) else { continue };
        if point.split != "valid" || point.step > until {
            continue;
        }
        let Ok(score) = selection.score(&network, &point) else { continue };
        if score.is_finite() && best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, point));
        }
    }
    Ok(best.map(|(score, point)| Scored {
        score,
        epoch: point.epoch,
        tasks: tasks_json(&network, &point.tasks, false),
    }))
}

/// Shares of a whole training after which trials are looked at: 1 and below it each `eta`th of the
/// share above, as long as an evaluation fits, four shares at most.
pub fn shares(plan: &Plan, eta: u64) -> Vec<f64> {
    let evaluations = plan.total_steps / plan.evaluation_interval().max(1);
    let mut parts = vec![1];
    while parts.len() < 4 && parts[parts.len() - 1] * eta <= evaluations {
        parts.push(parts[parts.len() - 1] * eta);
    }
    parts.iter().rev().map(|part| 1.0 / *part as f64).collect()
}

/// The step at which a share of a training is done: that of the next evaluation.
pub fn until(plan: &Plan, share: f64) -> u64 {
    let wanted = (share * plan.total_steps as f64).ceil() as u64;
    wanted.next_multiple_of(plan.evaluation_interval().max(1)).min(plan.total_steps)
}
