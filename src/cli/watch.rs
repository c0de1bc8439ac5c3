//! What a run shows while it goes on, and what it writes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use indicatif::ProgressBar;

use super::Progress;
use super::console::Console;
use super::resume::forget_other_scores;
use super::signals::Signals;
use crate::config::write;
use crate::fault::{Exit, Fault, exit_of, hint_of};
use crate::model::network::Network;
use crate::run::checkpoint::{Keeper, Loaded, Snapshot, newest};
use crate::run::directory::RunDirectory;
use crate::run::point::{Point, headline};
use crate::run::train::{Ended, Observer, Outcome, Plan};

/// Watches a run for the console and the run directory.
pub(super) struct Watch<'a> {
    plan: &'a Plan,
    directory: &'a mut RunDirectory,
    console: &'a Console,
    signals: Signals,
    keeper: Keeper,
    bar: ProgressBar,
    /// Steps that were done before this process.
    before: u64,
    begun: Instant,
    latest: Vec<Point>,
    /// Whether there is a point that no line has told of yet.
    fresh: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        directory: &'a mut RunDirectory,
        console: &'a Console,
        signals: Signals,
        keeper: Keeper,
    ) -> Watch<'a> {
        let bar = console.bar(plan.total_steps);
        Watch { plan, directory, console, signals, keeper, bar, before: 0, begun: Instant::now(), latest: Vec::new(), fresh: false }
    }

    /// A line for the console and for `train.log`.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        self.bar.suspend(|| self.console.note(line));
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
        let found = self.cut(points, steps, snapshot.as_ref().is_some_and(|s| s.steps == s.validated))?;
        if let Some(snapshot) = snapshot.filter(|_| found < points) {
            snapshot.points = found;
            let path = self.directory.path().join("metrics.jsonl");
            self.say(&format!("{}: {found} lines up to step {steps} where there were {points}: the others are lost", path.display()))?;
        }
        (self.before, self.begun) = (steps, Instant::now());
        self.bar.set_position(steps);
        self.bar.reset_eta();
        Ok(())
    }

    /// Forgets all points but the first so many, up to a step; how many are left.
    fn cut(&mut self, points: u64, steps: u64, is_whole: bool) -> Result<u64> {
        let kept = self.directory.cut_back(points, steps, is_whole)?;
        self.latest.clear();
        let pairs = self.plan.objective.pairs.len();
        let points = kept.iter().filter_map(|json| Point::from_json(json, &self.plan.network));
        points.filter(|point| point.couplings.len() == pairs).for_each(|point| self.keep_latest(point));
        self.fresh = false;
        Ok(kept.len() as u64)
    }

    fn keep_latest(&mut self, point: Point) {
        self.latest.retain(|p| p.split != point.split);
        self.latest.push(point);
    }

    /// An error with the way to go on, where there is one.
    pub(super) fn with_way_on(&mut self, error: anyhow::Error) -> anyhow::Error {
        // A second error would hide the first one.
        let _ = self.keeper.finish();
        self.bar.finish_and_clear();
        if self.keeper.last().is_none() || !matches!(exit_of(&error), Exit::Internal | Exit::Io) {
            return error;
        }
        let run = self.directory.path().display();
        let hint = hint_of(&error).map(|hint| format!("{hint}; ")).unwrap_or_default();
        let hint = format!("{hint}go on with: tandem train --resume {run}");
        Fault::new(exit_of(&error), format!("{error:#}")).hint(hint).into()
    }

    /// The points of the model that is kept, one a part, and the last checkpoint, when all is committed.
    pub(super) fn finish(mut self, outcome: &Outcome) -> Result<(Vec<Point>, Option<PathBuf>)> {
        self.bar.finish_and_clear();
        match self.keeper.finish() {
            // The cause matters more than what could not be saved because of it.
            Err(error) if !matches!(outcome.ended, Ended::NotFinite(_)) => return Err(self.with_way_on(error)),
            _ => {}
        }
        if self.of("valid").is_some_and(|valid| valid.epoch != outcome.best_epoch) {
            self.show_epoch(outcome.best_epoch)?;
        }
        Ok((std::mem::take(&mut self.latest), self.keeper.last().map(Path::to_owned)))
    }

    /// Takes the points of an epoch for the last ones; test points are of the model that is kept in any case.
    fn show_epoch(&mut self, epoch: u64) -> Result<()> {
        let points = self.directory.points(u64::MAX)?;
        let points = points.iter().filter_map(|(json, _)| Point::from_json(json, &self.plan.network));
        points.filter(|point| point.epoch == epoch && point.split != "test").for_each(|point| self.keep_latest(point));
        Ok(())
    }

    fn rate(&self, steps: u64) -> f64 {
        steps.saturating_sub(self.before) as f64 * self.plan.batch as f64 / self.begun.elapsed().as_secs_f64().max(1e-9)
    }

    fn of(&self, split: &str) -> Option<&Point> {
        self.latest.iter().find(|p| p.split == split)
    }

    /// One plain line for an epoch, of the points that it reached.
    fn line(&self) -> Option<String> {
        let epoch = self.latest.iter().filter(|p| p.split != "test").map(|p| p.epoch).max()?;
        let of = |split: &str| self.of(split).filter(|p| p.epoch == epoch);
        let (train, valid) = (of("train"), of("valid"));
        let shown = valid.or(train)?;
        let mut line = format!("epoch {epoch}/{}", self.plan.config.train.epochs);
        line += &train.map(|p| format!(" loss {:.4}", p.loss)).unwrap_or_default();
        line += &valid.map(|p| format!(" valid {:.4}", p.loss)).unwrap_or_default();
        Some(format!("{line}{} {:.0} rows/s", headlines(self.plan, shown), self.rate(shown.step)))
    }
}

/// ` left .912 right .923`
fn headlines(plan: &Plan, point: &Point) -> String {
    let text = |(head, task)| headline(head, task).map(|(_, value)| format!(" {} {value:.4}", head.name));
    plan.network.tasks.iter().zip(&point.tasks).filter_map(text).collect()
}

impl Observer for Watch<'_> {
    fn progress(&mut self, steps: u64, loss: f64) {
        self.bar.set_position(steps);
        let shown = self.of("valid").or(self.of("train")).map(|p| headlines(self.plan, p)).unwrap_or_default();
        self.bar.set_message(format!("loss {loss:.4}{shown} {:.0} rows/s", self.rate(steps)));
    }

    fn point(&mut self, point: &Point) -> Result<()> {
        self.directory.point(point)?;
        self.keep_latest(point.clone());
        self.fresh = true;
        Ok(())
    }

    fn improved(&mut self, network: &Network, parameters: &[f32], _epoch: u64) -> Result<()> {
        self.directory.save_model(network, &self.plan.layout, &self.plan.parts.schema, parameters)
    }

    fn end_epoch(&mut self) -> Result<()> {
        if let Some(line) = self.line().filter(|_| std::mem::take(&mut self.fresh)) {
            self.directory.log(&line)?;
            if self.console.progress() == Progress::Plain {
                self.console.note(&line);
            }
        }
        self.directory.end_epoch()
    }

    fn stop(&mut self) -> bool {
        self.signals.arrived().is_some()
    }

    fn keeps(&self) -> bool {
        true
    }

    fn checkpoint(&mut self, snapshot: &Arc<Snapshot>) -> Result<()> {
        self.directory.sync()?;
        self.keeper.keep(Arc::clone(snapshot))
    }

    fn trouble(&mut self, fault: &Fault, done: &str) {
        // What cannot be written to the log is on the console at least.
        let _ = self.say(&format!("{}: {done}", fault.message));
    }

    fn rescaled(&mut self, step: u64, scale: f64) {
        let _ = self.say(&format!("step {step}: its gradients overflow f16; it is left out, and they are scaled by {scale} from now on"));
    }

    fn lost(&mut self, error: &anyhow::Error) -> Result<Option<Snapshot>> {
        self.say(&format!("{error:#}; going on with a new device"))?;
        self.keeper.finish()?;
        let mut loaded = newest(&self.directory.checkpoints())?.loaded;
        if let Some(loaded) = &mut loaded {
            forget_other_scores(loaded, self.plan, &write::to_toml(&self.plan.config))?;
        }
        self.resume(loaded.as_mut())?;
        Ok(loaded.map(|loaded| loaded.snapshot))
    }

    fn cut_back(&mut self, points: u64, is_whole: bool) -> Result<()> {
        self.cut(points, u64::MAX, is_whole).map(|_| ())
    }
}
