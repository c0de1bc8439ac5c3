//! The training loop: epochs of many steps per submission, points, validation, the best model, and every way to stop.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::data::{upload, upload_rows};
use super::evaluate::{Measured, evaluate, evaluate_streamed};
use super::learning_rate::Course;
use super::machine::Machine;
use super::measure;
use super::point::{Point, Sums, TaskPoint, higher_is_better};
use super::profile::Profile;
use crate::config::{BatchSize, Config, Every, Select};
use crate::data::order::epoch_order;
use crate::data::{Dataset, Features, Parts};
use crate::fault::{Exit, Fault};
use crate::kernels::params::Step;
use crate::kernels::tuning::Tuning;
use crate::model::init;
use crate::model::layout::Layout;
use crate::model::network::{Head, Network};
use crate::objective::Objective;
use crate::schedule::build::{Built, LabelShape, PartShape, Request, build};
use crate::schedule::{Engine, NotFinite, Program, SLOTS, Slice};

/// Device time that a submission aims at, in seconds.
const SUBMISSION: f64 = 0.1;

/// Bytes of the rows that are brought to the device for one submission, where the data does not stay there.
pub const WINDOW: u64 = 16 << 20;

/// Everything that is settled before the first step.
#[derive(Debug)]
pub struct Plan {
    /// Settings.
    pub config: Config,
    /// Data.
    pub parts: Parts,
    /// Network.
    pub network: Network,
    /// Its layout.
    pub layout: Layout,
    /// Its objective.
    pub objective: Objective,
    /// Rows of a step.
    pub batch: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: u64,
    /// Steps of the run.
    pub total_steps: u64,
}

impl Plan {
    /// Settles a run.
    pub fn new(config: Config, parts: Parts) -> Result<Plan> {
        let network = Network::new(&config, &parts.schema)?;
        let layout = Layout::new(&network);
        let objective = Objective::new(&config, &network)?;
        let rows = parts.train.rows;
        let batch = match config.train.batch_size {
            BatchSize::Rows(n) => n.min(rows),
            BatchSize::Full => rows,
        };
        let steps_per_epoch = rows.div_ceil(batch) as u64;
        let total_steps = (config.train.epochs * steps_per_epoch).min(config.train.max_steps.unwrap_or(u64::MAX));
        Ok(Plan { config, parts, network, layout, objective, batch, steps_per_epoch, total_steps })
    }

    /// The parts in the order of the program: training first.
    pub fn named_parts(&self) -> Vec<(&'static str, &Arc<Dataset>)> {
        let others = [("valid", &self.parts.valid), ("test", &self.parts.test)];
        let others = others.into_iter().filter_map(|(name, part)| part.as_ref().map(|p| (name, p)));
        std::iter::once(("train", &self.parts.train)).chain(others).collect()
    }

    /// The program for a machine's choices, with all data on the device.
    pub fn build(&self, tuning: &Tuning) -> Result<Built> {
        self.build_for(tuning, None)
    }

    /// The program for a machine's choices. With a window the device holds so many rows of each part, and steps find theirs in it one after
    /// the other.
    pub fn build_for(&self, tuning: &Tuning, window: Option<usize>) -> Result<Built> {
        let rows = |rows: usize| window.map_or(rows, |window| rows.min(window));
        let parts: Vec<PartShape> = self.named_parts().iter().map(|(n, d)| PartShape::new(n, rows(d.rows), &d.features)).collect();
        build(&Request {
            network: &self.network,
            layout: &self.layout,
            objective: &self.objective,
            optimizer: Some(&self.config.optimizer),
            tuning,
            parts: &parts,
            batch: self.batch,
            shuffled: self.config.train.batch_size != BatchSize::Full && window.is_none(),
            spread: &self.parts.schema.input.spread(),
            labels: LabelShape::of(self.named_parts().iter().map(|(_, part)| part.as_ref())),
        })
    }

    /// Bytes of the features and labels of all parts on a device.
    pub fn data_bytes(&self) -> u64 {
        self.named_parts().iter().map(|(_, part)| part.rows as u64 * self.row_bytes(part)).sum()
    }

    fn row_bytes(&self, part: &Dataset) -> u64 {
        let feature = if matches!(part.features, Features::U8 { .. }) { 1 } else { 4 };
        feature * part.width() as u64 + 4 * (self.network.cells() + 1) as u64
    }

    /// Rows of a window of two halves, each for the steps of one submission: about so many bytes, and a batch at least.
    pub fn window(&self, bytes: u64) -> usize {
        let by_size = (bytes / self.row_bytes(&self.parts.train).max(1)) as usize;
        2 * by_size.clamp(self.batch, SLOTS * self.batch).next_multiple_of(4)
    }

    /// Initial parameters by the seed.
    pub fn initial(&self) -> Vec<f32> {
        init::parameters(&self.layout, self.config.trunk.init, self.config.train.seed)
    }
}

/// Why a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// All epochs or steps were done.
    Finished,
    /// No improvement for `patience` epochs.
    EarlyStopping,
    /// `max_time` was over.
    TimeOver,
    /// The observer asked for it.
    Stopped,
    /// A value was not finite.
    NotFinite(Fault),
}

/// What a run leaves in memory.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub ended: Ended,
    /// Parameters after the last step.
    pub last: Vec<f32>,
    /// Parameters of the model: best by validation, or the last.
    pub best: Vec<f32>,
    /// The network with the thresholds that go with it.
    pub network: Network,
    /// Epoch of the best model; 1-based.
    pub best_epoch: u64,
    /// Steps done.
    pub steps: u64,
    /// Seconds from the start of training to the first finished step.
    pub first_step_seconds: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// Evaluation of the model on the test part.
    pub test: Option<Point>,
    /// Times of the dispatches of the training step, where [`Options::profile`] asks for them and the engine has them.
    pub profile: Option<Profile>,
}

/// What watches a run.
pub trait Observer {
    /// Some steps were done: (steps done, running mean of the loss).
    fn progress(&mut self, _steps: u64, _loss: f64) {}
    /// A point was reached.
    fn point(&mut self, _point: &Point) -> Result<()> {
        Ok(())
    }
    /// A better model was found; the network has the thresholds that go with it.
    fn improved(&mut self, _network: &Network, _parameters: &[f32], _epoch: u64) -> Result<()> {
        Ok(())
    }
    /// All points of an epoch were reached.
    fn end_epoch(&mut self) -> Result<()> {
        Ok(())
    }
    /// Whether to stop before the next submission.
    fn stop(&mut self) -> bool {
        false
    }
}

/// An observer that does nothing.
#[derive(Debug)]
pub struct Silent;

impl Observer for Silent {}

/// How to run a plan, beyond its configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Choices of kernels; else those of the machine without measurement. Changes no result.
    pub tuning: Option<Tuning>,
    /// Initial parameters; else by the seed.
    pub initial: Option<Vec<f32>>,
    /// Steps per submission; else by time. Changes no result.
    pub steps_per_submission: Option<usize>,
    /// Time each dispatch. Changes no result.
    pub profile: bool,
    /// Bring rows to the device for one submission after the other, so many bytes each, as for data that does not fit there. Changes no
    /// result.
    pub streamed: Option<u64>,
}

/// Trains.
pub fn train(plan: &Plan, machine: Machine, options: Options, observer: &mut dyn Observer) -> Result<Outcome> {
    let start = Instant::now();
    let tuning = options.tuning.clone().unwrap_or_else(|| machine.tuning());
    let built = plan.build_for(&tuning, options.streamed.map(|bytes| plan.window(bytes)))?;
    let engine = machine.engine(built.program.clone())?;
    let mut run = Run::new(plan, built, engine, options, start)?;
    let ended = run.epochs(observer)?;
    run.outcome(ended, observer)
}

struct Run<'a> {
    plan: &'a Plan,
    built: Built,
    engine: Box<dyn Engine>,
    course: Course,
    start: Instant,
    /// Steps per submission, and whether it is still being found.
    per_submission: usize,
    calibrating: usize,
    /// Times that profiling is still to be started: at the first submission, and anew at the second, for the first one warms up.
    to_profile: usize,
    /// Steps handed to the engine, and steps whose results are in.
    submitted: u64,
    done: u64,
    sums: Sums,
    /// Labels that a row has for each task.
    cells: Vec<usize>,
    first_step_seconds: f64,
    best: Option<Best>,
    /// Rows of half a window where data is streamed, and the order of the epoch.
    streamed: Option<usize>,
    second_half: bool,
    order: Vec<u32>,
}

struct Best {
    parameters: Vec<f32>,
    network: Network,
    epoch: u64,
    score: f64,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, built: Built, mut engine: Box<dyn Engine>, options: Options, start: Instant) -> Result<Run<'a>> {
        let tasks = plan.network.tasks.len();
        let streamed = options.streamed.map(|bytes| plan.window(bytes) / 2);
        let parts = built.parts.iter().zip(plan.named_parts()).filter(|_| streamed.is_none());
        for (part, (_, data)) in parts {
            upload(engine.as_mut(), part, data, built.counting)?;
        }
        let initial = options.initial.unwrap_or_else(|| plan.initial());
        engine.upload(built.buffers.parameters, 0, bytemuck::cast_slice(&initial))?;
        let train = &plan.config.train;
        let course = Course::new(&plan.config.optimizer, train.seed, plan.steps_per_epoch, plan.total_steps);
        let sums = Sums::new(tasks, plan.objective.pairs.len());
        Ok(Run {
            plan,
            built,
            engine,
            course,
            start,
            per_submission: options.steps_per_submission.unwrap_or(1).clamp(1, SLOTS),
            calibrating: if options.steps_per_submission.is_none() { 2 } else { 0 },
            to_profile: if options.profile { 2 } else { 0 },
            submitted: 0,
            done: 0,
            sums,
            cells: plan.network.tasks.iter().map(Head::cells).collect(),
            first_step_seconds: 0.0,
            best: None,
            streamed,
            second_half: false,
            order: Vec::new(),
        })
    }

    fn epochs(&mut self, observer: &mut dyn Observer) -> Result<Ended> {
        let train = &self.plan.config.train;
        let mut worse = 0;
        for epoch in 0..train.epochs {
            if let Some(ended) = self.epoch(epoch, observer)? {
                return Ok(ended);
            }
            let improved = self.validate(epoch, observer)?;
            if let Some(fault) = self.fault() {
                return Ok(Ended::NotFinite(fault));
            }
            worse = if improved { 0 } else { worse + 1 };
            if train.patience > 0 && worse >= train.patience {
                return Ok(Ended::EarlyStopping);
            }
            if self.done >= self.plan.total_steps {
                break;
            }
            if epoch + 1 < train.epochs {
                observer.end_epoch()?;
            }
        }
        Ok(Ended::Finished)
    }

    /// One epoch; `Some` if the run is to end within it.
    fn epoch(&mut self, epoch: u64, observer: &mut dyn Observer) -> Result<Option<Ended>> {
        let (rows, batch) = (self.plan.parts.train.rows, self.plan.batch);
        if self.plan.config.train.batch_size != BatchSize::Full {
            self.order = epoch_order(rows, self.plan.config.train.seed, epoch);
            if self.streamed.is_none() {
                self.engine.upload(self.built.buffers.order, 0, &self.order)?;
            }
        }
        let batches: Vec<usize> = (0..rows).step_by(batch).collect();
        let mut next = 0;
        while next < batches.len() && self.submitted < self.plan.total_steps {
            if let Some(ended) = self.interruption(observer) {
                self.take(true, observer)?;
                return Ok(Some(ended));
            }
            let left = (self.plan.total_steps - self.submitted) as usize;
            let room = self.streamed.map_or(SLOTS, |rows| (rows / batch).max(1));
            let count = self.per_submission.min(batches.len() - next).min(left).min(room);
            self.submit(&batches[next..next + count])?;
            next += count;
            self.take(false, observer)?;
            if let Some(fault) = self.fault() {
                return Ok(Some(Ended::NotFinite(fault)));
            }
        }
        self.take(true, observer)?;
        Ok(self.fault().map(Ended::NotFinite))
    }

    fn interruption(&self, observer: &mut dyn Observer) -> Option<Ended> {
        if observer.stop() {
            return Some(Ended::Stopped);
        }
        let limit = self.plan.config.train.max_time?;
        (self.start.elapsed().as_secs_f64() >= limit).then_some(Ended::TimeOver)
    }

    fn submit(&mut self, batches: &[usize]) -> Result<()> {
        let (rows, batch) = (self.plan.parts.train.rows, self.plan.batch);
        let moved = self.bring(batches[0], (batches.len() * batch).min(rows - batches[0]))?;
        let place = |first: usize| first - batches[0] + moved.unwrap_or(batches[0]);
        let step =
            |(slot, &first): (usize, &usize)| self.course.step(self.submitted + slot as u64, place(first), batch.min(rows - first), slot);
        let steps: Vec<Step> = batches.iter().enumerate().map(step).collect();
        self.submitted += steps.len() as u64;
        if self.to_profile > 0 {
            self.to_profile -= 1;
            self.engine.start_profile()?;
        }
        self.engine.submit(self.built.train.unwrap_or(0), &steps)
    }

    /// Where data is streamed, brings the rows of the next steps to the half of the window that the last ones did not use, and says where
    /// that begins.
    fn bring(&mut self, first: usize, count: usize) -> Result<Option<usize>> {
        let Some(half) = self.streamed else { return Ok(None) };
        let rows: Vec<u32> = match self.order.is_empty() {
            true => (first as u32..(first + count) as u32).collect(),
            false => self.order[first..first + count].to_vec(),
        };
        let part = &self.built.parts[0];
        // A part that is smaller than the window has no second half.
        self.second_half = !self.second_half && half + count <= part.shape.rows;
        let place = if self.second_half { half } else { 0 };
        upload_rows(self.engine.as_mut(), part, &self.plan.parts.train, &rows, place, self.built.counting)?;
        Ok(Some(place))
    }

    /// Takes in results; while the number of steps per submission is being found, waits for them and times them.
    fn take(&mut self, wait: bool, observer: &mut dyn Observer) -> Result<()> {
        let begun = Instant::now();
        let results = self.engine.collect(wait || self.calibrating > 0)?;
        if self.done == 0 && !results.is_empty() {
            self.first_step_seconds = self.start.elapsed().as_secs_f64();
        }
        if self.calibrating > 0 && !results.is_empty() {
            self.calibrating -= 1;
            if self.calibrating == 0 {
                let each = begun.elapsed().as_secs_f64().max(1e-6);
                self.per_submission = ((SUBMISSION / each) as usize).clamp(1, SLOTS);
            }
        }
        let bad = self.engine.not_finite().map_or(u32::MAX, |n| n.step);
        for result in results.iter().filter(|r| r.number < bad) {
            self.sums.add(&self.built.program.metrics, result, &self.cells);
            self.done += 1;
            if self.is_logged(self.done) {
                self.train_point(observer)?;
            }
        }
        if !self.sums.is_empty() {
            observer.progress(self.done, self.sums.means(&self.plan.objective, &self.plan.network).0);
        }
        Ok(())
    }

    fn is_logged(&self, done: u64) -> bool {
        let every = match self.plan.config.train.log_every {
            Every::Steps(n) => n,
            Every::Epochs(n) => n * self.plan.steps_per_epoch,
        };
        done.is_multiple_of(every.max(1)) || done == self.plan.total_steps
    }

    fn train_point(&mut self, observer: &mut dyn Observer) -> Result<()> {
        let (loss, tasks, couplings) = self.sums.means(&self.plan.objective, &self.plan.network);
        self.sums = Sums::new(self.plan.network.tasks.len(), self.plan.objective.pairs.len());
        let point = self.point("train", (self.done - 1) / self.plan.steps_per_epoch, loss, tasks, couplings);
        observer.point(&point)
    }

    fn point(&self, split: &str, epoch: u64, loss: f64, tasks: Vec<TaskPoint>, couplings: Vec<f64>) -> Point {
        Point {
            step: self.done,
            epoch: epoch + 1,
            split: split.into(),
            loss,
            tasks,
            couplings,
            learning_rate: self.course.learning_rate(self.done.saturating_sub(1)),
            seconds: self.start.elapsed().as_secs_f64(),
        }
    }

    /// Evaluates the validation part; whether the model became better. Without one every epoch is the best so far.
    fn validate(&mut self, epoch: u64, observer: &mut dyn Observer) -> Result<bool> {
        let Some((data, measured)) = self.measure("valid")? else { return Ok(true) };
        let network =
            with_thresholds(&self.plan.network, measure::thresholds(&self.plan.network, &self.plan.parts.schema, data, &measured));
        let point = self.measured_point("valid", epoch, &network, data, &measured);
        observer.point(&point)?;
        let score = score(&self.plan.network, &self.plan.config.train.select, &point);
        if self.best.as_ref().is_some_and(|b| score <= b.score) || !point.loss.is_finite() {
            return Ok(false);
        }
        let parameters = self.parameters()?;
        observer.improved(&network, &parameters, epoch + 1)?;
        self.best = Some(Best { parameters, network, epoch: epoch + 1, score });
        Ok(true)
    }

    fn measure(&mut self, part: &str) -> Result<Option<(&'a Dataset, Measured)>> {
        let Some(number) = self.built.parts.iter().position(|p| p.shape.name == part) else { return Ok(None) };
        let (plan, step) = (self.plan, self.done.max(1));
        let Some((_, data)) = plan.named_parts().into_iter().find(|(name, _)| *name == part) else { return Ok(None) };
        let (engine, network, objective) = (self.engine.as_mut(), &plan.network, &plan.objective);
        let measured = match self.streamed {
            None => evaluate(engine, &self.built, network, objective, number, step)?,
            Some(_) => evaluate_streamed(engine, &self.built, network, objective, number, step, data)?,
        };
        Ok(Some((data, measured)))
    }

    fn measured_point(&self, part: &str, epoch: u64, network: &Network, data: &Dataset, measured: &Measured) -> Point {
        let tasks = measure::tasks(network, &self.plan.parts.schema, data, measured);
        self.point(part, epoch, measured.loss, tasks, measured.couplings.clone())
    }

    fn parameters(&mut self) -> Result<Vec<f32>> {
        self.engine.download(Slice { buffer: self.built.buffers.parameters, first: 0, len: self.plan.layout.len })
    }

    fn fault(&self) -> Option<Fault> {
        let found = self.engine.not_finite()?;
        Some(not_finite(&self.built.program, &found, self.course.learning_rate(u64::from(found.step.max(1)) - 1)))
    }

    fn outcome(mut self, ended: Ended, observer: &mut dyn Observer) -> Result<Outcome> {
        if !self.sums.is_empty() {
            self.train_point(observer)?;
        }
        let last = self.parameters()?;
        let epoch = self.done.saturating_sub(1) / self.plan.steps_per_epoch;
        let seconds = self.start.elapsed().as_secs_f64();
        let Best { parameters: best, network, epoch: best_epoch, .. } = self.best.take().unwrap_or_else(|| Best {
            parameters: last.clone(),
            network: self.plan.network.clone(),
            epoch: epoch + 1,
            score: f64::NAN,
        });
        let is_tested = !matches!(ended, Ended::NotFinite(_) | Ended::Stopped);
        let test = if is_tested { self.test(&best, &network, best_epoch, observer)? } else { None };
        observer.end_epoch()?;
        let profile = Profile::of(self.engine.as_ref(), self.built.train.unwrap_or(0));
        let (steps, first_step_seconds) = (self.done, self.first_step_seconds);
        Ok(Outcome { ended, last, best, network, best_epoch, steps, first_step_seconds, seconds, test, profile })
    }

    fn test(&mut self, best: &[f32], network: &Network, best_epoch: u64, observer: &mut dyn Observer) -> Result<Option<Point>> {
        self.engine.upload(self.built.buffers.parameters, 0, bytemuck::cast_slice(best))?;
        let Some((data, measured)) = self.measure("test")? else { return Ok(None) };
        let point = self.measured_point("test", best_epoch - 1, network, data, &measured);
        observer.point(&point)?;
        Ok(Some(point))
    }
}

fn with_thresholds(network: &Network, thresholds: Vec<Option<f64>>) -> Network {
    let mut network = network.clone();
    network.tasks.iter_mut().zip(thresholds).for_each(|(head, threshold)| head.threshold = threshold);
    network
}

/// What picks the model: larger is better. A metric that is not defined on the part counts nothing.
fn score(network: &Network, select: &Select, point: &Point) -> f64 {
    let of = |task: usize, name: &str| {
        let value = point.tasks[task].metric(name);
        value.map(|value| if higher_is_better(name) { value } else { -value })
    };
    let number = |task: &String| network.tasks.iter().position(|t| t.name == *task).unwrap_or(0);
    let mean = |terms: Vec<(Option<f64>, f64)>| {
        let known = terms.iter().filter_map(|(value, weight)| Some(((*value)?, *weight)));
        let (sum, weights) = known.fold((0.0, 0.0), |(sum, weights), (value, weight)| (sum + weight * value, weights + weight));
        if weights > 0.0 { sum / weights } else { -point.loss }
    };
    match select {
        Select::Mean => mean(network.tasks.iter().enumerate().map(|(i, head)| (of(i, head.kind.metrics()[0]), 1.0)).collect()),
        Select::Metric { task, metric } => mean(vec![(of(number(task), metric), 1.0)]),
        Select::Weighted(terms) => mean(terms.iter().map(|t| (of(number(&t.task), &t.metric), t.weight)).collect()),
    }
}

/// The sentence for a value that was not finite.
pub fn not_finite(program: &Program, found: &NotFinite, learning_rate: f64) -> Fault {
    let flag = found.flags.iter().filter_map(|i| program.flags.get(i - 1)).min_by_key(|f| rank(&f.tensor));
    let what = match flag {
        Some(f) => match &f.task {
            Some(task) => format!("task \"{task}\": {}", f.tensor),
            None => format!("trunk: {}", f.tensor),
        },
        None => "a value".into(),
    };
    let message = format!("step {}: {what} is not finite (learning rate {learning_rate:e})", found.step);
    let hint = "lower optimizer.learning_rate, set optimizer.clip_norm, or look for extreme feature values";
    Fault::new(Exit::NotFinite, message).hint(hint)
}

/// Order in which values are made within a step: the first cause is named.
fn rank(tensor: &str) -> usize {
    ["pre-activation", "loss", "agreement", "gradient of", "soft_sharing", "gradient norm"]
        .iter()
        .position(|k| tensor.starts_with(k))
        .unwrap_or(6)
}
