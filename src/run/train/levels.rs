//! A notice about tasks whose losses are far apart: the gradients of the large one dominate the
//! shared layers, and a task weight would level them.

use super::{Observer, Plan};
use crate::measure::chart::rounded;
use crate::run::apply::baseline::{TaskLabels, least};
use crate::run::train::point::TaskPoint;
use crate::run::train::step_loop::Run;
use crate::schedule::StepResult;

/// The user is told about losses that differ by more than this factor.
const FAR: f64 = 100.0;

impl Run<'_> {
    /// Adds a step of the first epoch; at its end tells the user which losses are far apart.
    pub(super) fn compare_tasks(&mut self, result: &StepResult, observer: &mut dyn Observer) {
        let end = self.plan.steps_per_epoch.min(self.plan.total_steps);
        let Some(mut sums) = self.first.take().filter(|_| self.done <= end) else { return };
        sums.add(&self.built.program.metrics, result, &self.cells);
        if self.done < end {
            self.first = Some(sums);
            return;
        }
        let tasks = sums.means(&self.plan.objective, &self.plan.network).tasks;
        far_apart(self.plan, &tasks).iter().for_each(|line| observer.notice(line));
    }
}

/// A sentence for each task whose weighted loss is more than [`FAR`] times the smallest one.
fn far_apart(plan: &Plan, tasks: &[TaskPoint]) -> Vec<String> {
    let weight = |task: usize| plan.config.tasks[task].weight;
    let name = |task: usize| &plan.network.tasks[task].name;
    let losses = (0..tasks.len()).filter_map(|task| {
        Some((task, weight(task) * above_least(plan, task, tasks[task].loss?)?))
    });
    let losses: Vec<(usize, f64)> =
        losses.filter(|(_, loss)| loss.is_finite() && *loss > 0.0).collect();
    let Some((small, least)) = losses.iter().copied().reduce(|a, b| if b.1 < a.1 { b } else { a })
    else {
        return Vec::new();
    };
    let far =
        losses.iter().map(|(task, loss)| (*task, loss / least)).filter(|(_, times)| *times > FAR);
    let line = |(task, times): (usize, f64)| {
        let (shown, level) = (rounded(times, 3), rounded(weight(task) / times, 2));
        format!(
            "task {}: its loss is {shown} times that of {}; weight = {level} would level them",
            name(task),
            name(small)
        )
    };
    far.map(line).collect()
}

/// The loss of a task minus the lowest possible one, which is not 0 for counts. `None` for a robust
/// loss.
fn above_least(plan: &Plan, task: usize, loss: f64) -> Option<f64> {
    let head = &plan.network.tasks[task];
    // The gradients of robust losses do not grow with the loss, so there is nothing to level.
    if head.loss.is_robust() {
        return None;
    }
    Some(
        loss - least(head, TaskLabels::of(&plan.parts.train, head, plan.network.first_cell(task)))?,
    )
}
