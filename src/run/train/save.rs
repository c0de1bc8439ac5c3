//! Taking a snapshot of a run, and restoring it.

use anyhow::{Result, ensure};

use crate::config::KeepBest;
use crate::model::arena::Numbers;
use crate::run::checkpoint::Snapshot;
use crate::run::train::loss_scale::LossScale;
use crate::run::train::step_loop::Run;
use crate::schedule::Buffer;

impl Run<'_> {
    /// A snapshot of the run. All that was submitted must have been collected.
    pub(super) fn snapshot(&mut self) -> Result<Snapshot> {
        let moments = self
            .moments()
            .into_iter()
            .map(|buffer| self.engine.save(buffer))
            .collect::<Result<_>>()?;
        let states = self.balance_buffers().into_iter().map(|buffer| self.engine.save(buffer));
        let state =
            states.collect::<Result<Vec<Numbers>>>()?.into_iter().reduce(Numbers::followed_by);
        let method = self.plan.objective.solver().map(|method| method.name().to_owned());
        let balance = method.zip(state);
        Ok(Snapshot {
            steps: self.done,
            validated: self.validated,
            points: self.points,
            parameters: self.engine.save(self.built.buffers.parameters)?,
            moments,
            sums: self.sums.clone(),
            conflict: self.conflict.clone(),
            balance,
            worse: self.worse,
            best: self.best.clone(),
            tasks: self.tasks.clone(),
            seconds: self.seconds(),
            rate_factor: self.course.factor,
            rollbacks: self.rollbacks,
            skipped: self.skipped,
            scale: self.course.scale.grows.then_some(self.course.scale),
        })
    }

    /// Puts the run back to the state of a snapshot.
    pub(super) fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let moments = self.moments();
        let (found, expected) = (snapshot.moments.len(), moments.len());
        ensure!(
            found == expected,
            "a checkpoint with {found} moments for an optimizer with {expected}"
        );
        self.engine.restore(self.built.buffers.parameters, &snapshot.parameters)?;
        for (buffer, numbers) in moments.into_iter().zip(&snapshot.moments) {
            self.engine.restore(buffer, numbers)?;
        }
        self.restore_balance(snapshot)?;
        (self.submitted, self.done, self.validated) =
            (snapshot.steps, snapshot.steps, snapshot.validated);
        (self.points, self.sums) =
            (snapshot.points, snapshot.sums.clone().with_pairs(self.plan.objective.pairs.len()));
        (self.worse, self.best) = (snapshot.worse, snapshot.best.clone());
        let keeps = self.plan.config.train.keep_best == KeepBest::PerTask;
        self.tasks = self.plan.no_selections();
        for (task, before) in self.tasks.iter_mut().zip(&snapshot.tasks) {
            // Where no model was kept until now, scores without one begin anew.
            if !keeps || before.best.is_some() {
                task.clone_from(before);
            }
        }
        self.freeze_done()?;
        self.course.factor = snapshot.rate_factor;
        if self.course.scale.grows {
            // A run that was computed in f32 until now starts with the initial scale.
            self.course.scale =
                snapshot.scale.unwrap_or(LossScale { since: snapshot.steps, ..LossScale::HALF });
        }
        (self.rollbacks, self.skipped) = (snapshot.rollbacks, snapshot.skipped);
        self.seconds_before = snapshot.seconds;
        Ok(())
    }

    /// Puts back the state of the method that balances the tasks; a state of another method begins
    /// anew.
    fn restore_balance(&mut self, snapshot: &Snapshot) -> Result<()> {
        let layers = self.built.shared_layers.len();
        self.conflict =
            snapshot.conflict.clone().filter(|conflict| conflict.layers.len() == layers);
        let Some(method) = self.plan.objective.solver() else { return Ok(()) };
        let buffers = self.balance_buffers();
        let len = |buffer: &Buffer| self.engine.program().buffers[buffer.0].len;
        let lens: Vec<usize> = buffers.iter().map(len).collect();
        let whole: usize = lens.iter().sum();
        let known = snapshot.balance.as_ref();
        let known = known.filter(|(name, state)| name == method.name() && state.len() == whole);
        let mut rest = known.map(|(_, state)| state.clone());
        for (buffer, len) in buffers.into_iter().zip(lens) {
            match &rest {
                Some(state) => {
                    let [first, others] = state.split_at(len);
                    self.engine.restore(buffer, &first)?;
                    rest = Some(others);
                }
                None => {
                    let first = self.engine.program().buffers[buffer.0].initial.clone();
                    self.engine.upload(buffer, 0, &first)?;
                }
            }
        }
        Ok(())
    }

    /// The buffers of the state of the method that balances the tasks.
    fn balance_buffers(&self) -> Vec<Buffer> {
        let b = &self.built.buffers.balance;
        let method = self.plan.objective.solver();
        let memory = method.and_then(|method| method.memory()).map(|_| b.memory);
        method.map(|_| b.balance).into_iter().chain(memory).collect()
    }

    /// The buffers of the moments that the optimizer has.
    fn moments(&self) -> Vec<Buffer> {
        let b = &self.built.buffers;
        [b.first_moment, b.second_moment]
            .into_iter()
            .take(self.plan.config.optimizer.kind.moments())
            .collect()
    }
}
