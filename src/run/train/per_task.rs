//! The selection of each task by a figure of its own: the model that is best for it, and the
//! patience after which it is done.

use std::sync::Arc;

use anyhow::Result;

use super::outcome::{BestForTask, Observer};
use super::plan::Plan;
use crate::config::KeepBest;
use crate::fault::quoted;
use crate::kernels::params;
use crate::model::layout::ALIGN;
use crate::model::network::Network;
use crate::run::checkpoint::TaskSelection;
use crate::run::train::point::Point;
use crate::run::train::step_loop::Run;
use crate::schedule::Buffer;

impl Plan {
    /// The selections of tasks before the first evaluation.
    pub(super) fn no_selections(&self) -> Vec<TaskSelection> {
        vec![TaskSelection::default(); self.task_figures.len()]
    }

    /// Whether a task is done: it has not improved for as many evaluations as its patience says.
    pub fn is_task_done(&self, task: usize, selections: &[TaskSelection]) -> bool {
        let patience = self.config.train.patience.of_task(&self.network.tasks[task].name);
        patience.zip(selections.get(task)).is_some_and(|(most, task)| task.worse >= most)
    }

    /// Whether patience ends the run, given the evaluations since the best model, and the
    /// selections of tasks.
    pub fn is_out_of_patience(&self, worse: u64, selections: &[TaskSelection]) -> bool {
        if let Some(most) = self.config.train.patience.common() {
            return worse >= most;
        }
        let figures = self.task_figures.iter().enumerate();
        let mut learning = figures.filter(|(_, figure)| figure.is_some()).peekable();
        learning.peek().is_some() && learning.all(|(task, _)| self.is_task_done(task, selections))
    }
}

impl Run<'_> {
    /// Whether patience ends the run.
    pub(super) fn is_out_of_patience(&self) -> bool {
        self.plan.is_out_of_patience(self.worse, &self.tasks)
    }

    /// Keeps the model for each task for which it is the best so far, by its validation point.
    /// A task that is done keeps what it has.
    pub(super) fn pick_for_tasks(
        &mut self,
        point: &Point,
        thresholds: &[Option<f64>],
        network: &Network,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let plan = self.plan;
        let keeps = plan.config.train.keep_best == KeepBest::PerTask;
        let mut parameters = None;
        for (task, figure) in plan.task_figures.iter().enumerate() {
            let Some(figure) = figure.as_ref().filter(|_| !plan.is_task_done(task, &self.tasks))
            else {
                continue;
            };
            let score = figure.of(point).filter(|score| score.is_finite());
            let before = self.tasks[task].score;
            let Some(score) = score.filter(|score| before.is_none_or(|before| *score > before))
            else {
                self.tasks[task].worse += 1;
                self.tell_if_done(task, observer);
                continue;
            };
            let best = if keeps {
                let parameters = match &parameters {
                    Some(parameters) => parameters,
                    None => parameters.insert(self.parameters()?),
                };
                observer.improved_for(task, network, parameters)?;
                Some(Arc::new(self.best(point, parameters.clone(), thresholds.to_vec(), score)))
            } else {
                None
            };
            self.tasks[task] = TaskSelection { score: Some(score), worse: 0, best };
        }
        self.freeze_done()
    }

    fn tell_if_done(&self, task: usize, observer: &mut dyn Observer) {
        if self.plan.is_task_done(task, &self.tasks) {
            let name = quoted(&self.plan.network.tasks[task].name);
            let worse = self.tasks[task].worse;
            observer.notice(&format!(
                "task {name} is done: {worse} evaluations without a better figure, the last one \
                 after step {}",
                self.done
            ));
        }
    }

    /// Puts tasks that are done out of training, if the settings say so: their weights in the loss
    /// are 0, and the parameters that they own neither learn nor decay. Others are as they were.
    pub(super) fn freeze_done(&mut self) -> Result<()> {
        let plan = self.plan;
        if !plan.config.train.freeze_finished {
            return Ok(());
        }
        let initial = |buffer: Buffer| self.built.program.buffers[buffer.0].initial.clone();
        let (heads, decay) = (self.built.buffers.heads, self.built.buffers.decay);
        let (mut lines, mut rates) = (initial(heads), initial(decay));
        let done = (0..plan.network.tasks.len()).filter(|t| plan.is_task_done(*t, &self.tasks));
        for task in done {
            bytemuck::cast_slice_mut::<u32, params::Head>(&mut lines)[task].weight = 0.0;
            for block in plan.layout.owned(task) {
                let runs = block.offset / ALIGN..(block.offset + block.len).div_ceil(ALIGN);
                rates[2 * runs.start..2 * runs.end].fill(0);
            }
        }
        self.engine.upload(heads, 0, &lines)?;
        self.engine.upload(decay, 0, &rates)
    }

    /// The models that are best for single tasks, each evaluated if `is_measured`.
    pub(super) fn best_for_tasks(&mut self, is_measured: bool) -> Result<Vec<BestForTask>> {
        let mut found = Vec::new();
        for (task, selection) in std::mem::take(&mut self.tasks).into_iter().enumerate() {
            let Some(best) = selection.best else { continue };
            let kept = self.kept_of(&best);
            let points = if is_measured { self.measure_unseen(&kept)? } else { Vec::new() };
            let (network, step) = (kept.network, kept.step);
            let parameters = kept.parameters;
            found.push(BestForTask { task, network, parameters, epoch: best.epoch, step, points });
        }
        Ok(found)
    }
}
