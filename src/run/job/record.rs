//! Records a run: its points, models, checkpoints and log go to the run directory, and a listener
//! is told of them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::card;
use super::listener::Listener;
use super::resume::forget_other_scores;
use crate::config::write;
use crate::fault::{Exit, Fault, FaultKind, exit_of, hint_of, kind_of};
use crate::model::network::Network;
use crate::run::checkpoint::{Keeper, Loaded, Snapshot, newest};
use crate::run::directory::RunDirectory;
use crate::run::train::point::{Point, headline};
use crate::run::train::{Ended, Observer, Outcome, Plan};

/// Observes a training, writes its run directory, and tells a listener.
pub(super) struct Recorder<'a> {
    plan: &'a Plan,
    directory: &'a mut RunDirectory,
    listener: &'a mut dyn Listener,
    keeper: Keeper,
    /// Number of steps that were done before this process.
    before: u64,
    begun: Instant,
    /// The last point of each part.
    latest: Vec<Point>,
    /// Step of the last line of figures; no line has told of later points.
    told: u64,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        directory: &'a mut RunDirectory,
        listener: &'a mut dyn Listener,
        keeper: Keeper,
    ) -> Recorder<'a> {
        listener.begin(0, plan.total_steps);
        let begun = Instant::now();
        Recorder { plan, directory, listener, keeper, before: 0, begun, latest: vec![], told: 0 }
    }

    /// Tells the listener a sentence, and writes it to `train.log`.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        self.listener.note(line);
        self.directory.log(line)
    }

    /// The run goes on from a checkpoint, or from its beginning where there was none yet.
    pub(super) fn resume(&mut self, loaded: Option<&mut Loaded>) -> Result<()> {
        let place = match &loaded {
            Some(loaded) => {
                self.keeper.resumed(loaded.path.clone(), &loaded.snapshot);
                format!("going on after step {} ({})", loaded.snapshot.steps, loaded.path.display())
            }
            None => "the run has no checkpoint yet: it begins anew".into(),
        };
        self.say(&place)?;
        self.go_back(loaded.map(|loaded| &mut loaded.snapshot))
    }

    fn go_back(&mut self, snapshot: Option<&mut Snapshot>) -> Result<()> {
        let (points, steps) = snapshot.as_ref().map_or((0, 0), |s| (s.points, s.steps));
        let found = self.cut(points, steps, snapshot.as_deref())?;
        if let Some(snapshot) = snapshot.filter(|_| found < points) {
            snapshot.points = found;
            let path = self.directory.path().join("metrics.jsonl");
            self.say(&format!(
                "{}: {found} lines up to step {steps} where there were {points}: the others are \
                 lost",
                path.display()
            ))?;
        }
        (self.before, self.begun) = (steps, Instant::now());
        self.listener.begin(steps, self.plan.total_steps);
        Ok(())
    }

    /// Forgets all points but the first `points` ones up to a step; returns how many are left.
    fn cut(&mut self, points: u64, steps: u64, snapshot: Option<&Snapshot>) -> Result<u64> {
        let mut is_whole = false;
        let plan = self.plan;
        let kept = self.directory.cut_back(points, steps, |last| {
            is_whole = snapshot.is_some_and(|snapshot| plan.is_end_of_row(snapshot, last));
            is_whole
        })?;
        self.latest.clear();
        let pairs = self.plan.objective.pairs.len();
        let points = kept.iter().filter_map(|json| Point::from_json(json, &self.plan.network));
        points
            .filter(|point| point.couplings.len() == pairs)
            .for_each(|point| self.keep_latest(point));
        // Points of an unfinished row of metrics.csv are told of when the row is complete.
        let is_of_row = |point: &&Point| is_whole || point.split != "train";
        self.told = self.latest.iter().filter(is_of_row).map(|point| point.step).max().unwrap_or(0);
        Ok(kept.len() as u64)
    }

    fn keep_latest(&mut self, point: Point) {
        self.latest.retain(|p| p.split != point.split);
        self.latest.push(point);
    }

    /// The error, with the command that goes on with the run where there is a checkpoint.
    pub(super) fn with_way_on(&mut self, error: anyhow::Error) -> anyhow::Error {
        // A second error would hide the first one.
        let _ = self.keeper.finish();
        self.listener.end();
        if self.keeper.last().is_none() || !matches!(exit_of(&error), Exit::Internal | Exit::Io) {
            return error;
        }
        let run = self.directory.path().display();
        let hint = hint_of(&error).map(|hint| format!("{hint}; ")).unwrap_or_default();
        let hint = format!("{hint}go on with: tandem train --resume {run}");
        Fault::new(exit_of(&error), format!("{error:#}")).hint(hint).into()
    }

    /// Commits everything; returns the points of the model that is kept, one per part, and the last
    /// checkpoint.
    pub(super) fn finish(mut self, outcome: &Outcome) -> Result<(Vec<Point>, Option<PathBuf>)> {
        self.listener.end();
        match self.keeper.finish() {
            // The cause matters more than what could not be saved because of it.
            Err(error) if !matches!(outcome.ended, Ended::NotFinite(_)) => {
                return Err(self.with_way_on(error));
            }
            _ => {}
        }
        self.latest.clear();
        if !outcome.measured_training() {
            self.show_epoch(outcome)?;
        }
        outcome.kept.iter().cloned().for_each(|point| self.keep_latest(point));
        Ok((std::mem::take(&mut self.latest), self.keeper.last().map(Path::to_owned)))
    }

    /// Makes the points of the kept model the latest ones: for the training part the last point of
    /// its epoch that is not later than the model.
    fn show_epoch(&mut self, outcome: &Outcome) -> Result<()> {
        let points = self.directory.points(u64::MAX)?;
        let points =
            points.iter().filter_map(|(json, _)| Point::from_json(json, &self.plan.network));
        let (epoch, step) = (outcome.best_epoch, outcome.best_step);
        let is_kept = |point: &Point| {
            if point.split == "train" {
                point.epoch == epoch && point.step <= step
            } else {
                point.step == step
            }
        };
        points.filter(is_kept).for_each(|point| self.keep_latest(point));
        Ok(())
    }

    fn rate(&self, steps: u64) -> f64 {
        steps.saturating_sub(self.before) as f64 * self.plan.rows_per_step() as f64
            / self.begun.elapsed().as_secs_f64().max(1e-9)
    }

    fn of(&self, split: &str) -> Option<&Point> {
        self.latest.iter().find(|p| p.split == split)
    }

    /// One plain line for the points since the last line: `epoch 3/20 loss 0.5123 valid 0.4711
    /// rings r2 0.5400 9120 rows/s`.
    fn line(&self) -> Option<String> {
        let step = self.latest.iter().map(|p| p.step).filter(|step| *step > self.told).max()?;
        let of = |split: &str| self.of(split).filter(|p| p.step > self.told);
        let (train, valid, test) = (of("train"), of("valid"), of("test"));
        let shown = valid.or(test).or(train)?;
        let loss = |name: &str, point: Option<&Point>| {
            point.and_then(|p| p.loss).map_or(String::new(), |loss| format!(" {name} {loss:.4}"))
        };
        let figures = loss("loss", train)
            + &loss("valid", valid)
            + &loss("test", test)
            + &headlines(self.plan, shown);
        Some(format!("{}{figures} {:.0} rows/s", self.place(step, shown.epoch), self.rate(step)))
    }

    /// The place of a line: the end of an epoch, or a step within it.
    fn place(&self, step: u64, epoch: u64) -> String {
        let total = self.plan.total_steps;
        let epochs = format!("epoch {epoch}/{}", self.plan.config.train.epochs);
        let is_end = step.is_multiple_of(self.plan.steps_per_epoch) || step == total;
        if is_end { epochs } else { format!("step {step}/{total} {epochs}") }
    }
}

/// ` rings r2 0.5400 sex accuracy 0.5300`
fn headlines(plan: &Plan, point: &Point) -> String {
    let text = |(head, task)| {
        headline(head, task).map(|(name, value)| format!(" {} {name} {value:.4}", head.name))
    };
    plan.network.tasks.iter().zip(&point.tasks).filter_map(text).collect()
}

impl Observer for Recorder<'_> {
    fn progress(&mut self, steps: u64, loss: Option<f64>) {
        let shown = self
            .of("valid")
            .or(self.of("train"))
            .map(|p| headlines(self.plan, p))
            .unwrap_or_default();
        let loss = loss.map_or(String::new(), |loss| format!("loss {loss:.4}"));
        let figures = format!("{loss}{shown} {:.0} rows/s", self.rate(steps));
        self.listener.progress(steps, &figures);
    }

    fn point(&mut self, point: &Point) -> Result<()> {
        self.directory.point(point)?;
        self.keep_latest(point.clone());
        Ok(())
    }

    fn improved(&mut self, network: &Network, parameters: &[f32], _epoch: u64) -> Result<()> {
        let (layout, schema) = (&self.plan.layout, &self.plan.parts.schema);
        // Figures of another model must not stand beside this one; its own come at the end.
        self.directory.save_beside("model", card::FILE, &card::card(self.plan, network, &[]))?;
        self.directory.save_model(network, layout, schema, parameters)
    }

    fn improved_for(&mut self, task: usize, network: &Network, parameters: &[f32]) -> Result<()> {
        let (layout, schema) = (&self.plan.layout, &self.plan.parts.schema);
        self.directory.save_best_for(task, network, layout, schema, parameters)
    }

    fn layers(&mut self, step: u64, seconds: f64, parameters: &[f32]) -> Result<()> {
        self.directory.layers(step, seconds, &self.plan.layout, parameters)
    }

    fn end_epoch(&mut self) -> Result<()> {
        if let Some(line) = self.line() {
            self.told = self.latest.iter().map(|p| p.step).max().unwrap_or(0).max(self.told);
            self.directory.log(&line)?;
            self.listener.figures(&line);
        }
        self.directory.end_epoch()
    }

    fn stop(&mut self) -> bool {
        self.listener.stop()
    }

    fn wants_checkpoints(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.directory.sync()?;
        self.keeper.keep(Arc::clone(snapshot))
    }

    fn trouble(&mut self, fault: &Fault, done: &str) {
        // A sentence that cannot be written to the log has reached the listener at least.
        let _ = self.say(&format!("{}: {done}", fault.message));
    }

    fn notice(&mut self, line: &str) {
        let _ = self.say(line);
    }

    fn rescaled(&mut self, step: u64, scale: f64) {
        let _ = self.say(&format!(
            "step {step}: its gradients overflow f16; it is left out, and they are scaled by \
             {scale} from now on"
        ));
    }

    fn lost(&mut self, error: &anyhow::Error) -> Result<Option<Snapshot>> {
        let with = match kind_of(error) {
            FaultKind::Gone => "here",
            _ => "with a new device",
        };
        self.say(&format!("{error:#}; going on {with}"))?;
        self.keeper.finish()?;
        let mut loaded = newest(&self.directory.checkpoints())?.loaded;
        if let Some(loaded) = &mut loaded {
            forget_other_scores(loaded, self.plan, &write::to_toml(&self.plan.config))?;
        }
        self.resume(loaded.as_mut())?;
        Ok(loaded.map(|loaded| loaded.snapshot))
    }

    fn cut_back(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.cut(snapshot.points, snapshot.steps, Some(snapshot)).map(|_| ())
    }
}
