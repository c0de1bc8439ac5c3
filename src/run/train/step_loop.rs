//! The training loop: many steps per submission, training points, checkpoints, and all reasons to
//! stop.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use crate::config::{Acts, BatchSize, Every, Interval, OnNan};
use crate::data::Part;
use crate::data::split::order::{sentence_batches, sentence_order};
use crate::kernels::Unit;
use crate::kernels::params::Step;
use crate::model::network::Head;
use crate::run::checkpoint::{Best, Snapshot, TaskSelection};
use crate::run::data::{upload, upload_rows};
use crate::run::train::conflict::Conflict;
use crate::run::train::learning_rate::Course;
use crate::run::train::loss_scale::LossScale;
use crate::run::train::outcome::Next;
use crate::run::train::point::{Figures, Point};
use crate::run::train::sums::Sums;
use crate::run::train::{Ended, Observer, Options, Plan};
use crate::schedule::{Engine, MetricKind, SLOTS, StepResult, Work};
use crate::step::Built;

/// Device time that a submission should take, in seconds.
const SUBMISSION: f64 = 0.1;

/// A run in progress. Everything that decides how it goes on is in a [`Snapshot`], or follows from
/// the plan.
pub(crate) struct Run<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) built: Built,
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) course: Course,
    start: Instant,
    /// Steps per submission.
    per_submission: usize,
    /// Timed submissions that are left until `per_submission` is set.
    calibrating: usize,
    /// How often profiling is still to be started: at the first submission, which warms up, and
    /// again at the second.
    to_profile: usize,
    /// Whether dispatches are timed.
    profiles: bool,
    /// Steps handed to the engine.
    pub(crate) submitted: u64,
    /// Steps whose results were collected.
    pub(crate) done: u64,
    /// As [`Snapshot::validated`].
    pub(crate) validated: u64,
    /// As [`Snapshot::points`].
    pub(crate) points: u64,
    /// As [`Snapshot::sums`].
    pub(crate) sums: Sums,
    /// As [`Snapshot::conflict`].
    pub(crate) conflict: Option<Conflict>,
    /// As [`Snapshot::worse`].
    pub(crate) worse: u64,
    /// As [`Snapshot::best`].
    pub(crate) best: Option<Arc<Best>>,
    /// As [`Snapshot::tasks`].
    pub(crate) tasks: Vec<TaskSelection>,
    /// As [`Snapshot::rollbacks`].
    pub(crate) rollbacks: u64,
    /// As [`Snapshot::skipped`].
    pub(crate) skipped: u64,
    /// Seconds of training before this process.
    pub(crate) seconds_before: f64,
    /// Step and time of the last checkpoint.
    checkpointed: (u64, Instant),
    /// The last checkpoint, where the run may go back to it.
    pub(crate) good: Option<Arc<Snapshot>>,
    /// Labels per row of each task.
    pub(crate) cells: Vec<usize>,
    /// Seconds from the start to the first finished step.
    pub(crate) first_step_seconds: Option<f64>,
    /// Sums over the first epoch; `None` after its end.
    pub(crate) first: Option<Sums>,
    /// A figure that `train.select` needs and that was not defined at an evaluation.
    pub(crate) undefined: Option<String>,
    /// Rows of half a window, where data is streamed.
    pub(crate) streamed: Option<usize>,
    /// Whether the last submission used the second half of the window.
    second_half: bool,
    /// The order of the training rows in the current epoch.
    pub(crate) order: Vec<u32>,
    /// The step after which the run stops.
    until: Option<u64>,
    /// Where each step of the epoch begins in that order, and behind them the number of rows;
    /// empty where all steps have equally many rows.
    begins: Vec<u32>,
    /// The epoch of that order.
    order_epoch: Option<u64>,
}

/// The course of the learning rate; gradients are scaled if the program rounds operands to f16.
fn course(plan: &Plan, built: &Built) -> Course {
    let mut course = Course::new(
        &plan.config.optimizer,
        plan.config.train.seed,
        plan.steps_per_epoch,
        plan.total_steps,
    );
    let mut dispatches = built.program.schedules.iter().flat_map(|s| &s.dispatches);
    if dispatches.any(|d| d.kernel.unit.is_some_and(Unit::is_half)) {
        course.scale = LossScale::HALF;
    }
    course
}

impl<'a> Run<'a> {
    /// A run at its beginning, or where `options.resume` says; data and parameters are uploaded.
    pub(crate) fn new(
        plan: &'a Plan,
        built: Built,
        mut engine: Box<dyn Engine>,
        options: Options,
        start: Instant,
    ) -> Result<Run<'a>> {
        let streamed = options.streamed.map(|bytes| plan.window(bytes) / 2);
        let parts = built.parts.iter().zip(plan.named_parts()).filter(|_| streamed.is_none());
        for (part, (_, data)) in parts {
            upload(engine.as_mut(), part, data, built.counting)?;
        }
        let initial = options.initial.map_or_else(|| plan.initial(), Ok)?;
        engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&initial))?;
        let no_sums = Sums::new(plan.network.tasks.len(), plan.objective.pairs.len());
        let mut run = Run {
            plan,
            course: course(plan, &built),
            built,
            engine,
            start,
            per_submission: options.steps_per_submission.unwrap_or(1).clamp(1, SLOTS),
            calibrating: if options.steps_per_submission.is_none() { 2 } else { 0 },
            to_profile: if options.profile { 2 } else { 0 },
            profiles: options.profile,
            submitted: 0,
            done: 0,
            validated: 0,
            points: 0,
            sums: no_sums.clone(),
            conflict: None,
            worse: 0,
            best: None,
            tasks: plan.no_selections(),
            rollbacks: 0,
            skipped: 0,
            seconds_before: 0.0,
            checkpointed: (0, start),
            good: None,
            cells: plan.network.tasks.iter().map(Head::cells).collect(),
            first_step_seconds: None,
            first: Some(no_sums),
            undefined: None,
            streamed,
            second_half: false,
            order: Vec::new(),
            until: options.until,
            begins: Vec::new(),
            order_epoch: None,
        };
        if let Some(snapshot) = &options.resume {
            run.restore(snapshot)?;
            run.checkpointed.0 = snapshot.steps;
        }
        Ok(run)
    }

    /// Runs to the end.
    pub(crate) fn run(&mut self, observer: &mut dyn Observer) -> Result<Ended> {
        if self.plan.config.train.on_nan == OnNan::Rollback {
            self.good = Some(Arc::new(self.snapshot()?));
        }
        loop {
            if self.is_out_of_patience() {
                return Ok(Ended::EarlyStopping);
            }
            let Some(end) = self.next_stop() else { return Ok(Ended::Finished) };
            if self.until.is_some_and(|until| self.done >= until) && end > self.done {
                return Ok(Ended::Stopped);
            }
            match self.steps_to(end, observer)? {
                Next::Continue => {}
                Next::RolledBack => continue,
                Next::Stop(ended) => return Ok(ended),
            }
            if self.plan.is_evaluated_at(self.done) {
                let improved = self.evaluate_parts(observer)?;
                match self.trouble(observer)? {
                    Next::Continue => {}
                    Next::RolledBack => continue,
                    Next::Stop(ended) => return Ok(ended),
                }
                self.worse = if improved { 0 } else { self.worse + 1 };
                self.validated = self.done;
            }
            if self.layer_interval().is_some_and(|interval| self.done.is_multiple_of(interval)) {
                let parameters = self.parameters()?;
                observer.layers(self.done, self.seconds(), &parameters)?;
            }
            if self.next_stop().is_some() && !self.is_out_of_patience() {
                let is_end = self.done.is_multiple_of(self.plan.steps_per_epoch);
                if is_end || self.plan.is_evaluated_at(self.done) {
                    observer.end_epoch()?;
                }
                let epochs = self
                    .done
                    .is_multiple_of(self.plan.steps_per_epoch)
                    .then(|| self.done / self.plan.steps_per_epoch);
                if self.is_checkpoint_due(epochs) {
                    self.checkpoint(observer)?;
                }
            }
        }
    }

    /// The step after which the run stops next, for an evaluation or the end of an epoch; `None`
    /// when all steps are done.
    fn next_stop(&self) -> Option<u64> {
        let Plan { steps_per_epoch, total_steps, .. } = *self.plan;
        // A run may be resumed with fewer steps than it has done; then nothing is left to do.
        if self.done > total_steps {
            return None;
        }
        if self.done > self.validated && self.plan.is_evaluated_at(self.done) {
            return Some(self.done);
        }
        let next = |interval: u64| (self.done / interval + 1).saturating_mul(interval);
        let layers = self.layer_interval().map_or(total_steps, next);
        let until = self.until.filter(|until| *until > self.done).unwrap_or(total_steps);
        let evaluation = next(self.plan.evaluation_interval());
        let stops = [next(steps_per_epoch), evaluation, layers, until, total_steps];
        (self.done < total_steps).then(|| stops.into_iter().min()).flatten()
    }

    /// Steps from one histogram of the layers to the next, if there are some.
    fn layer_interval(&self) -> Option<u64> {
        let histograms = self.plan.config.tracking.histograms;
        histograms.map(|every| every.steps(self.plan.steps_per_epoch))
    }

    /// Does the steps up to `end`, a step of the same epoch.
    fn steps_to(&mut self, end: u64, observer: &mut dyn Observer) -> Result<Next> {
        self.enter((end - 1) / self.plan.steps_per_epoch)?;
        loop {
            while self.submitted < end {
                if let Some(ended) = self.interruption(observer) {
                    self.take(true, observer)?;
                    return Ok(self.trouble(observer)?.or(ended));
                }
                self.submit(self.next_steps(end))?;
                // At `end` parts are evaluated first, and the checkpoint follows that: there is one
                // checkpoint per step.
                let is_due = self.submitted < end && self.is_checkpoint_due(None);
                self.take(is_due, observer)?;
                let before = self.submitted;
                match self.trouble(observer)? {
                    Next::Continue if is_due && self.submitted == before => {
                        self.checkpoint(observer)?
                    }
                    Next::Continue => {}
                    next => return Ok(next),
                }
            }
            self.take(true, observer)?;
            match self.trouble(observer)? {
                // After a skipped step the ones behind it have to be submitted again.
                Next::Continue if self.submitted < end => {}
                next => return Ok(next),
            }
        }
    }

    /// Computes the order of the rows in an epoch, and uploads it.
    fn enter(&mut self, epoch: u64) -> Result<()> {
        if self.plan.config.train.batch_size == BatchSize::Full || self.order_epoch == Some(epoch) {
            return Ok(());
        }
        let (rows, seed) = (self.plan.parts.train.rows, self.plan.config.train.seed);
        match (&self.plan.parts.train.tokens, self.plan.sentence_rows) {
            (Some(tokens), Some(size)) => {
                let (order, begins) = sentence_order(&tokens.starts, seed, epoch);
                let steps = self.plan.steps_per_epoch as usize;
                self.begins = sentence_batches(&begins, rows, size, steps);
                self.order = order;
            }
            _ => self.order = self.plan.order(epoch),
        }
        self.order_epoch = Some(epoch);
        if self.streamed.is_none() {
            self.engine.upload(self.built.buffers.order, 0, &self.order)?;
        }
        Ok(())
    }

    /// Number of steps of the next submission, which ends at `end` or at the next checkpoint at the
    /// latest.
    fn next_steps(&self, end: u64) -> usize {
        let room = self.streamed.map_or(SLOTS, |rows| (rows / self.plan.batch).max(1));
        let left = match self.plan.config.train.checkpoint_every {
            Interval::Every(Every::Steps(n)) => (n - self.submitted % n).min(end - self.submitted),
            _ => end - self.submitted,
        };
        let most = self.per_submission.min(room).min(usize::try_from(left).unwrap_or(usize::MAX));
        self.up_to_turn(most)
    }

    /// Number of steps up to the next one that observes, that included, of at most `most`. While
    /// dispatches are timed, a submission has steps of one schedule.
    fn up_to_turn(&self, most: usize) -> usize {
        let Some(turns) = self.built.turns else { return most };
        let (first, is_timed) = (turns.at(self.submitted), self.profiles);
        for i in 0..most {
            let step = self.submitted + i as u64;
            if is_timed && i > 0 && turns.at(step) != first {
                return i;
            }
            if turns.observes(step) {
                return i + 1;
            }
        }
        most
    }

    /// Whether it is time for a checkpoint; `epochs` is the number of epochs done, at the end of
    /// one.
    fn is_checkpoint_due(&self, epochs: Option<u64>) -> bool {
        match self.plan.config.train.checkpoint_every {
            Interval::Every(Every::Steps(n)) => {
                self.submitted.is_multiple_of(n) && self.submitted > self.checkpointed.0
            }
            Interval::Every(Every::Epochs(n)) => {
                epochs.is_some_and(|epochs| epochs.is_multiple_of(n))
            }
            Interval::Minutes(minutes) => {
                self.checkpointed.1.elapsed().as_secs_f64() >= 60.0 * minutes
            }
        }
    }

    /// Offers a snapshot to the observer. All that was submitted must have been collected.
    fn checkpoint(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let goes_back = self.plan.config.train.on_nan == OnNan::Rollback;
        self.checkpointed = (self.done, Instant::now());
        if !goes_back && !observer.wants_checkpoints() {
            return Ok(());
        }
        let snapshot = Arc::new(self.snapshot()?);
        self.good = goes_back.then(|| Arc::clone(&snapshot));
        observer.checkpoint(&snapshot)
    }

    /// The reason to stop before the next submission, if there is one.
    fn interruption(&self, observer: &mut dyn Observer) -> Option<Ended> {
        if observer.stop() {
            return Some(Ended::Stopped);
        }
        let limit = self.plan.config.train.max_time?;
        (self.start.elapsed().as_secs_f64() >= limit).then_some(Ended::TimeOver)
    }

    /// The places of a step in the order of its epoch.
    pub(crate) fn places_of(&self, step: u64) -> Range<usize> {
        let (rows, batch) = (self.plan.parts.train.rows, self.plan.batch);
        let step = (step % self.plan.steps_per_epoch) as usize;
        match self.begins.get(step..step + 2) {
            Some(ends) => ends[0] as usize..ends[1] as usize,
            None => step * batch..rows.min((step + 1) * batch),
        }
    }

    /// Submits the next `count` steps of the epoch.
    pub(crate) fn submit(&mut self, count: usize) -> Result<()> {
        let first = self.places_of(self.submitted).start;
        let end = self.places_of(self.submitted + count as u64 - 1).end;
        let moved = self.bring(first, end - first)?;
        let place = |row: usize| row - first + moved.unwrap_or(first);
        let step = |slot: usize| {
            let number = self.submitted + slot as u64;
            let places = self.places_of(number);
            self.course.step(number, place(places.start), places.len(), slot)
        };
        let steps: Vec<Step> = (0..count).map(step).collect();
        let first_step = self.submitted;
        self.submitted += count as u64;
        if self.to_profile > 0 {
            self.to_profile -= 1;
            self.engine.start_profile()?;
        }
        let turns = self.built.turns;
        let schedule = |i: usize| turns.map_or(0, |turns| turns.at(first_step + i as u64));
        let work: Vec<Work> = steps
            .iter()
            .enumerate()
            .map(|(i, step)| Work { schedule: schedule(i), step: *step })
            .collect();
        // What an observed step finds is read behind it: it ends its submission.
        let observes = turns.is_some_and(|turns| turns.observes(self.submitted - 1));
        let conflict = self.built.buffers.balance.conflict;
        let read = observes.then(|| self.engine.program().whole(conflict));
        self.engine.submit_work(&work, read.as_slice())
    }

    /// Where data is streamed, uploads `count` rows from the place `first` of the order on to the
    /// half of the window that the last submission did not use. Returns the first row of that half.
    fn bring(&mut self, first: usize, count: usize) -> Result<Option<usize>> {
        let Some(half) = self.streamed else { return Ok(None) };
        let rows: Vec<u32> = match self.order.is_empty() {
            true => (first as u32..(first + count) as u32).collect(),
            false => self.order[first..first + count].to_vec(),
        };
        let part = &self.built.parts[0];
        // A part that is smaller than the window may have no second half.
        self.second_half = !self.second_half && half + count <= part.shape.rows;
        let place = if self.second_half { half } else { 0 };
        let end = (place + half).min(part.shape.rows);
        upload_rows(
            self.engine.as_mut(),
            part,
            &self.plan.parts.train,
            &rows,
            place..end,
            self.built.counting,
        )?;
        Ok(Some(place))
    }

    /// Collects results; with `wait`, of all steps. While the number of steps per submission is not
    /// set yet, it waits for them and times them.
    pub(crate) fn take(&mut self, wait: bool, observer: &mut dyn Observer) -> Result<()> {
        let begun = Instant::now();
        let results = self.engine.collect(wait || self.calibrating > 0)?;
        if !results.is_empty() {
            self.first_step_seconds.get_or_insert(self.start.elapsed().as_secs_f64());
        }
        if self.calibrating > 0 && !results.is_empty() {
            self.calibrating -= 1;
            if self.calibrating == 0 {
                let each = begun.elapsed().as_secs_f64().max(1e-6) / results.len() as f64;
                self.per_submission = ((SUBMISSION / each) as usize).clamp(1, SLOTS);
            }
        }
        let bad = self.engine.not_finite().map_or(u32::MAX, |n| n.step);
        for result in results.iter().filter(|r| r.number < bad) {
            self.sums.add(&self.built.program.metrics, result, &self.cells);
            self.add_conflict(result);
            self.done += 1;
            self.skipped = 0;
            self.compare_tasks(result, observer);
            self.log(observer)?;
        }
        if !self.sums.is_empty() {
            observer.progress(
                self.done,
                self.sums.means(&self.plan.objective, &self.plan.network).loss,
            );
        }
        Ok(())
    }

    /// Adds what an observed step found.
    fn add_conflict(&mut self, result: &StepResult) {
        let (tasks, layers) = (self.plan.objective.objectives(), self.built.shared_layers.len());
        if result.numbers.is_empty() || layers == 0 {
            return;
        }
        // Methods on losses scale gradients before they are measured. With couplings of logits,
        // which are not scaled, they stay scaled.
        let mut scales = vec![1.0; tasks];
        let objective = &self.plan.objective;
        let acts = objective.balance.method.acts();
        let is_coupled = (0..tasks).any(|task| objective.couples_logits(task));
        if matches!(acts, Acts::Losses | Acts::Before) && !is_coupled {
            for (kind, value) in self.built.program.metrics.iter().zip(&result.metrics) {
                if let MetricKind::TaskWeight(task) = kind {
                    scales[*task] = *value;
                }
            }
        }
        let mut of_step = Conflict::new(tasks, layers);
        of_step.add(&result.numbers, &scales);
        for sums in [&mut self.sums.conflict, &mut self.conflict] {
            sums.get_or_insert_with(|| Conflict::new(tasks, layers)).merge(&of_step);
        }
    }

    /// Makes a training point of the steps since the last one, if one is due.
    pub(crate) fn log(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let every = self.plan.config.train.log_every.steps(self.plan.steps_per_epoch);
        let is_due = self.done.is_multiple_of(every) || self.done == self.plan.total_steps;
        if is_due && !self.sums.is_empty() { self.train_point(observer) } else { Ok(()) }
    }

    /// Makes a training point of the steps since the last one.
    pub(crate) fn train_point(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let figures = self.sums.means(&self.plan.objective, &self.plan.network);
        self.sums = Sums::new(self.plan.network.tasks.len(), self.plan.objective.pairs.len());
        let point = self.point(Part::Train, self.done, figures);
        self.tell(&point, observer)
    }

    /// Counts a point and gives it to the observer.
    pub(crate) fn tell(&mut self, point: &Point, observer: &mut dyn Observer) -> Result<()> {
        self.points += 1;
        observer.point(point)
    }

    /// A point of a part after `step` steps.
    pub(crate) fn point(&self, part: Part, step: u64, figures: Figures) -> Point {
        let Figures { loss, tasks, couplings, gate_entropy, gates, weights, residual, conflict } =
            figures;
        let layers = &self.built.shared_layers;
        let names = self.plan.objective.names(&self.plan.network);
        let conflict = conflict.map(|conflict| conflict.json(&names, layers));
        Point {
            step,
            epoch: step.saturating_sub(1) / self.plan.steps_per_epoch + 1,
            split: part.name().into(),
            loss,
            tasks,
            couplings,
            gate_entropy,
            gates,
            weights,
            residual,
            conflict,
            learning_rate: self.course.learning_rate(step.saturating_sub(1)),
            seconds: self.seconds(),
        }
    }

    /// Seconds of training, in this process and those before it.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds_before + self.start.elapsed().as_secs_f64()
    }
}
