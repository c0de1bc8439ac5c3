//! Which trial runs next.
//!
//! The course is a simulation with virtual workers, so what is found does not depend on how many
//! trials really run at once, or on which one is quicker. A job takes as long as the share of a
//! training that it does. The jobs end one after the other, of equal ends the one first that began
//! first; then each worker without a job takes one, decided from the jobs that have ended by then.
//! Real results are kept until their virtual time has come.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Scored;
use super::halving::Rungs;
use super::space::{Grid, Space};
use super::{sobol, tpe};

/// Virtual time of a whole training. Its factors are small, so the usual shares, such as 1/27 or
/// 1/64, are whole numbers, and jobs that end together do so exactly.
const WHOLE: f64 = (4096u64 * 6561 * 625 * 49) as f64;
/// Sobol points that are passed over at most because an earlier trial has their values.
const PASSED: u64 = 100;

/// How settings are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Every combination of a grid once.
    Grid,
    /// Sobol points.
    Random,
    /// Sobol points, of which the best are trained on (asynchronous successive halving).
    Halving,
    /// Points that the Parzen estimators propose, after some Sobol points.
    Tpe,
}

/// What a course is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How settings are chosen.
    pub method: Method,
    /// Number of trials; there are no more than the combinations of a grid, or of a space without
    /// ranges, and the fixed ones.
    pub trials: usize,
    /// The first so many trials have settings that the caller gives; they count among `trials`.
    pub fixed: usize,
    /// Number of virtual workers; at least 1.
    pub workers: usize,
    /// The seed.
    pub seed: u64,
    /// One of so many trials is promoted; at least 2.
    pub eta: u64,
    /// The share of a whole training that is done by the end of each rung, ascending, the last one
    /// 1.0. Only halving has more than one rung.
    pub shares: Vec<f64>,
}

/// The training of a trial from the rung before up to this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Job {
    /// The number of the trial.
    pub trial: usize,
    /// The number of the rung.
    pub rung: usize,
}

/// A job that runs in virtual time.
#[derive(Clone, Copy, Debug)]
struct Running {
    end: u64,
    job: Job,
}

/// Which trial runs next.
#[derive(Clone, Debug)]
pub struct Course {
    settings: Settings,
    space: Space,
    grid: Grid,
    /// The virtual time that each rung takes.
    times: Vec<u64>,
    /// Number of trials that there are at most.
    trials: usize,
    /// The point of each trial that has begun; none where the caller gives its settings.
    points: Vec<Option<Vec<f64>>>,
    /// The values of these points.
    seen: HashSet<Vec<String>>,
    /// Number of the next Sobol point.
    next_point: u64,
    rungs: Rungs,
    /// The trials that have ended in virtual time, in that order.
    ended: Vec<(usize, Option<f64>)>,
    /// The virtual time.
    now: u64,
    /// The jobs that run in virtual time, in the order in which they began.
    running: Vec<Running>,
    /// The results that were told and whose virtual time has not come.
    told: HashMap<Job, Option<f64>>,
    /// The jobs that can begin and were not handed out.
    ready: VecDeque<Job>,
}

impl Course {
    /// A course over a space, at its beginning.
    pub fn new(settings: Settings, space: Space) -> Course {
        let mut shares = settings.shares.clone();
        if settings.method != Method::Halving || shares.is_empty() {
            shares = vec![1.0];
        }
        let grid = if settings.method == Method::Grid { space.grid() } else { Grid::default() };
        let mut trials = settings.trials;
        if settings.method == Method::Grid {
            let combinations = grid.combinations().unwrap_or(usize::MAX);
            trials = trials.min(settings.fixed.saturating_add(combinations));
        }
        if settings.method != Method::Grid && space.dimensions.iter().all(|d| d.range.is_none()) {
            // Without a range a point of the grid is each combination.
            let combinations = space.combinations().unwrap_or(usize::MAX);
            trials = trials.min(settings.fixed.saturating_add(combinations));
        }
        let eta = usize::try_from(settings.eta).unwrap_or(usize::MAX).max(2);
        let mut course = Course {
            rungs: Rungs::new(shares.len(), eta),
            times: times(&shares),
            settings,
            space,
            grid,
            trials,
            points: Vec::new(),
            seen: HashSet::new(),
            next_point: 0,
            ended: Vec::new(),
            now: 0,
            running: Vec::new(),
            told: HashMap::new(),
            ready: VecDeque::new(),
        };
        course.advance();
        course
    }

    /// The jobs that can begin now and were not handed out before, in order. No more than `workers`
    /// of them are without a result at a time.
    pub fn ready(&mut self) -> Vec<Job> {
        self.ready.drain(..).collect()
    }

    /// Takes the score of a job that has ended, higher is better; `None` where it failed, which is
    /// also what a score says that is not finite. Scores may be told in any order; a job that does
    /// not run is passed over.
    pub fn tell(&mut self, job: Job, score: Option<f64>) {
        if self.running.iter().any(|running| running.job == job) {
            let score = score.filter(|score| score.is_finite());
            self.told.entry(job).or_insert(score);
            self.advance();
        }
    }

    /// Whether every job has ended and no other will begin.
    pub fn is_over(&self) -> bool {
        self.running.is_empty()
    }

    /// Number of trials that there will be: no more ever begin.
    pub fn trials(&self) -> usize {
        self.trials
    }

    /// The coordinates of a trial that has begun; `None` for one whose settings the caller gives.
    pub fn point(&self, trial: usize) -> Option<&[f64]> {
        self.points.get(trial)?.as_deref()
    }

    /// Goes on in virtual time as far as the results allow.
    fn advance(&mut self) {
        loop {
            while self.running.len() < self.settings.workers.max(1) {
                let Some(job) = self.next_job() else { break };
                let time = self.times.get(job.rung).copied().unwrap_or(1);
                self.running.push(Running { end: self.now.saturating_add(time), job });
                self.ready.push_back(job);
            }
            // Of equal ends this finds the first.
            let first = self.running.iter().enumerate().min_by_key(|(_, running)| running.end);
            let Some((at, Running { end, job })) = first.map(|(at, running)| (at, *running)) else {
                return;
            };
            let Some(score) = self.told.remove(&job) else { return };
            self.running.remove(at);
            self.now = end;
            self.rungs.add(job.trial, job.rung, score);
            self.ended.push((job.trial, score));
        }
    }

    /// The job of a worker that has none; `None` where it waits.
    fn next_job(&mut self) -> Option<Job> {
        if let Some((trial, rung)) = self.rungs.promote() {
            return Some(Job { trial, rung });
        }
        let trial = self.points.len();
        if trial < self.trials {
            let point = if trial < self.settings.fixed { None } else { Some(self.new_point()?) };
            if let Some(point) = &point {
                self.seen.insert(self.space.texts(point));
            }
            self.points.push(point);
            return Some(Job { trial, rung: 0 });
        }
        let last = if self.running.is_empty() { self.rungs.promote_last() } else { None };
        last.map(|(trial, rung)| Job { trial, rung })
    }

    /// The point of the trial that begins.
    fn new_point(&mut self) -> Option<Vec<f64>> {
        match self.settings.method {
            Method::Grid => self.grid.point(self.points.len() - self.settings.fixed),
            Method::Random | Method::Halving => Some(self.sobol()),
            Method::Tpe => Some(self.proposed().unwrap_or_else(|| self.sobol())),
        }
    }

    /// The next Sobol point, one with values that no earlier trial has where there is one.
    fn sobol(&mut self) -> Vec<f64> {
        let dimensions = self.space.dimensions.len();
        let end = self.next_point + PASSED;
        loop {
            let point = sobol::point(self.settings.seed, self.next_point, dimensions);
            self.next_point += 1;
            if self.next_point >= end || !self.seen.contains(&self.space.texts(&point)) {
                return point;
            }
        }
    }

    /// The point that the Parzen estimators propose; `None` where too few trials have begun, or
    /// where they have none that is new.
    fn proposed(&self) -> Option<Vec<f64>> {
        let begun = self.points.len() - self.settings.fixed.min(self.points.len());
        let of = |trial: usize| self.point(trial);
        let scored: Vec<Scored> = self
            .ended
            .iter()
            .filter_map(|(trial, score)| of(*trial).map(|point| (point, *score)))
            .collect();
        let pending: Vec<&[f64]> =
            self.running.iter().filter_map(|running| of(running.job.trial)).collect();
        if begun < tpe::STARTS || scored.len() < 2 {
            return None;
        }
        let known = tpe::Known { scored: &scored, pending: &pending };
        let is_new = |point: &[f64]| !self.seen.contains(&self.space.texts(point));
        tpe::propose(&self.space, &known, is_new, self.settings.seed, self.points.len())
    }
}

/// The virtual time of each rung; at least 1.
fn times(shares: &[f64]) -> Vec<u64> {
    let ends = shares.iter().map(|share| (share * WHOLE).round() as u64);
    let mut before = 0;
    ends.map(|end| end.saturating_sub(std::mem::replace(&mut before, end)).max(1)).collect()
}
