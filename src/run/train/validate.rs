//! Evaluation of parts during training and at its end, and the model that is kept.

use std::sync::Arc;

use anyhow::Result;

use super::outcome::Close;
use super::{Ended, Observer, Outcome};
use crate::config::Evaluated;
use crate::data::{Dataset, Part};
use crate::measure::profile::Profile;
use crate::model::network::Network;
use crate::run::apply::evaluate::{Measured, evaluate, evaluate_streamed};
use crate::run::apply::judge;
use crate::run::checkpoint::Best;
use crate::run::train::idle::idle_experts;
use crate::run::train::point::{Figures, Point};
use crate::run::train::step_loop::Run;
use crate::run::train::verdict::verdict;
use crate::schedule::Slice;

/// The model that is kept at the end of a run.
pub(super) struct Kept {
    pub(super) parameters: Vec<f32>,
    pub(super) network: Network,
    /// The step after which it had these parameters.
    pub(super) step: u64,
    /// Whether validation picked it.
    selected: bool,
}

/// The points of a model, and what was measured on the part that is looked at closely.
type Looked = (Vec<Point>, Option<Close>);

impl<'a> Run<'a> {
    /// Evaluates the parts that the settings name, the validation part first. Returns whether the
    /// model is the best so far; without a validation part every model is.
    pub(super) fn evaluate_parts(&mut self, observer: &mut dyn Observer) -> Result<bool> {
        let is_named = |part: Evaluated| self.plan.config.train.evaluate.contains(&part);
        let (valid, test) = (is_named(Evaluated::Valid), is_named(Evaluated::Test));
        let (mut network, mut picked) = (self.plan.network.clone(), None);
        if let Some((data, measured)) = self.measure(Part::Valid, valid)? {
            let thresholds =
                judge::thresholds(&self.plan.network, &self.plan.parts.schema, data, &measured);
            network = self.plan.with_thresholds(&thresholds);
            let point = self.measured_point(Part::Valid, self.done, &network, (data, &measured));
            self.tell(&point, observer)?;
            picked = Some((point, thresholds));
        }
        if let Some((data, measured)) = self.measure(Part::Test, test)? {
            let point = self.measured_point(Part::Test, self.done, &network, (data, &measured));
            self.tell(&point, observer)?;
        }
        let Some((point, thresholds)) = picked else { return Ok(true) };
        self.pick_for_tasks(&point, &thresholds, &network, observer)?;
        self.pick(&point, thresholds, &network, observer)
    }

    /// Keeps the model if it is the best so far by its validation point; returns whether it is.
    fn pick(
        &mut self,
        point: &Point,
        thresholds: Vec<Option<f64>>,
        network: &Network,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let Some(selection) = &self.plan.selection else { return Ok(true) };
        let score = match selection.score(&self.plan.network, point) {
            Ok(score) => score,
            Err(what) => {
                if self.undefined.is_none() {
                    observer.notice(&format!(
                        "train.select: {what} is not defined after step {}: this model cannot be \
                         picked",
                        point.step
                    ));
                }
                self.undefined = Some(what);
                return Ok(false);
            }
        };
        let is_finite = score.is_finite() && point.loss.is_none_or(f64::is_finite);
        if !is_finite || self.best.as_ref().is_some_and(|b| score <= b.score) {
            return Ok(false);
        }
        let parameters = self.parameters()?;
        observer.improved(network, &parameters, point.epoch)?;
        self.best = Some(Arc::new(self.best(point, parameters, thresholds, score)));
        Ok(true)
    }

    /// The model of a validation point.
    pub(super) fn best(
        &self,
        point: &Point,
        parameters: Vec<f32>,
        thresholds: Vec<Option<f64>>,
        score: f64,
    ) -> Best {
        let step = (!point.step.is_multiple_of(self.plan.steps_per_epoch)).then_some(point.step);
        Best { parameters, thresholds, epoch: point.epoch, step, score }
    }

    /// The rows of a part, with losses and logits; `None` if the run does not have the part, or it
    /// is not wanted.
    fn measure(&mut self, part: Part, wanted: bool) -> Result<Option<(&'a Dataset, Measured)>> {
        let mut parts = self.built.parts.iter();
        let number = parts.position(|p| p.shape.name == part.name()).filter(|_| wanted);
        let (plan, step) = (self.plan, self.done.max(1));
        let (Some(number), Some(data)) = (number, plan.data(part)) else { return Ok(None) };
        let (engine, network, objective) = (self.engine.as_mut(), &plan.network, &plan.objective);
        let measured = match self.streamed {
            None => evaluate(engine, &self.built, network, objective, number, step)?,
            Some(_) => {
                evaluate_streamed(engine, &self.built, network, objective, number, step, data)?
            }
        };
        Ok(Some((data, measured)))
    }

    /// The point of an evaluated part.
    fn measured_point(
        &self,
        part: Part,
        step: u64,
        network: &Network,
        (data, measured): (&Dataset, &Measured),
    ) -> Point {
        let tasks = judge::task_points(network, &self.plan.parts.schema, data, measured);
        let figures = Figures {
            loss: measured.loss,
            tasks,
            couplings: measured.couplings.clone(),
            gate_entropy: measured.gate_entropy,
            gates: measured.gates.clone(),
            ..Figures::default()
        };
        self.point(part, step, figures)
    }

    /// The parameters as they are now.
    pub(super) fn parameters(&mut self) -> Result<Vec<f32>> {
        self.engine.download(Slice {
            buffer: self.built.buffers.parameters,
            first: 0,
            len: self.plan.layout.len,
        })
    }

    /// The best model by validation, or the model of the last step.
    fn kept(&mut self, last: &[f32], observer: &mut dyn Observer) -> Kept {
        if let Some(best) = self.best.take() {
            return self.kept_of(&best);
        }
        if let Some(what) = &self.undefined {
            observer.notice(&format!(
                "train.select: {what} was never defined: the model of the last step is kept"
            ));
        }
        Kept {
            parameters: last.to_vec(),
            network: self.plan.network.clone(),
            step: self.done,
            selected: false,
        }
    }

    /// A model that validation picked.
    pub(super) fn kept_of(&self, best: &Best) -> Kept {
        let end_of_epoch = best.epoch.saturating_mul(self.plan.steps_per_epoch);
        Kept {
            parameters: best.parameters.clone(),
            network: self.plan.with_thresholds(&best.thresholds),
            step: best.step.unwrap_or(end_of_epoch).min(self.done),
            selected: true,
        }
    }

    /// Evaluates a model on the parts that it was not trained on.
    pub(super) fn measure_unseen(&mut self, kept: &Kept) -> Result<Vec<Point>> {
        Ok(self.measure_on(kept, |part| part != Part::Train)?.0)
    }

    /// Evaluates the kept model on each part. The training part is left out if less than one epoch
    /// was trained: to evaluate all of it could take longer than the run.
    fn measure_kept(&mut self, kept: &Kept) -> Result<Looked> {
        let is_epoch = self.done >= self.plan.steps_per_epoch;
        self.measure_on(kept, |part| part != Part::Train || is_epoch)
    }

    /// Evaluates a model on some parts; also returns what was measured on the part that is looked
    /// at closely.
    fn measure_on(&mut self, kept: &Kept, is_wanted: impl Fn(Part) -> bool) -> Result<Looked> {
        self.engine.upload(
            self.built.buffers.parameters,
            0,
            bytemuck::cast_slice(&kept.parameters),
        )?;
        let (mut points, mut close) = (Vec::new(), None);
        for part in Part::ALL {
            if let Some((data, measured)) = self.measure(part, is_wanted(part))? {
                let found = (data, &measured);
                points.push(self.measured_point(part, kept.step, &kept.network, found));
                // The parts come in the order train, valid, test: only test yields to valid.
                if !matches!(close, Some((Part::Valid, _))) {
                    close = Some((part, measured));
                }
            }
        }
        Ok((points, close))
    }

    /// Ends the run: writes its last checkpoint and its last points, and returns its models.
    pub(super) fn outcome(mut self, ended: Ended, observer: &mut dyn Observer) -> Result<Outcome> {
        if observer.wants_checkpoints() {
            let snapshot = Arc::new(self.snapshot()?);
            observer.checkpoint(&snapshot)?;
        }
        if !self.sums.is_empty() {
            self.train_point(observer)?;
        }
        observer.end_epoch()?;
        let (last, seconds) = (self.parameters()?, self.seconds());
        let kept = self.kept(&last, observer);
        let is_measured = !matches!(ended, Ended::NotFinite(_) | Ended::Stopped);
        let best_for_tasks = self.best_for_tasks(is_measured)?;
        let (points, close) =
            if is_measured { self.measure_kept(&kept)? } else { (Vec::new(), None) };
        let valid = points.iter().find(|point| point.split == Part::Valid.name());
        let idle = valid.or(points.first()).and_then(idle_experts);
        let method = self.plan.objective.balance.method;
        let names = self.plan.objective.names(&self.plan.network);
        let verdict = self
            .conflict
            .as_ref()
            .and_then(|conflict| verdict(conflict, &names, &self.built.shared_layers, method));
        idle.iter().chain(&verdict).for_each(|line| observer.notice(line));
        let test = points.iter().find(|point| point.split == Part::Test.name()).cloned();
        if let Some(test) = &test {
            self.tell(test, observer)?;
        }
        observer.end_epoch()?;
        let profile = Profile::of(self.engine.as_ref(), self.built.train.unwrap_or(0));
        Ok(Outcome {
            ended,
            last,
            best: kept.parameters,
            network: kept.network,
            best_epoch: kept.step.saturating_sub(1) / self.plan.steps_per_epoch + 1,
            best_step: kept.step,
            selected: kept.selected,
            steps: self.done,
            first_step_seconds: self.first_step_seconds.unwrap_or(0.0),
            seconds,
            kept: points,
            close,
            test,
            best_for_tasks,
            profile,
        })
    }
}
