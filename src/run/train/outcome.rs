//! The observer of a training, its options, the reasons to end, and its outcome.

use crate::data::Part;
use crate::fault::Fault;
use crate::kernels::tuning::Tuning;
use crate::measure::profile::Profile;
use crate::model::network::Network;
use crate::ranks::Share;
use crate::run::apply::evaluate::Measured;
use crate::run::checkpoint::Snapshot;
use crate::run::train::point::Point;
use anyhow::Result;
use std::sync::Arc;

/// The reason why a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// All epochs or steps were done.
    Finished,
    /// No improvement for `patience` evaluations.
    EarlyStopping,
    /// `max_time` had passed.
    TimeOver,
    /// The observer asked for it.
    Stopped,
    /// A value was not finite.
    NotFinite(Fault),
}

/// A part, and what was measured on it.
pub type Close = (Part, Measured);

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The reason why it ended.
    pub ended: Ended,
    /// The arena of parameters after the last step.
    pub last: Vec<f32>,
    /// The arena of parameters of the kept model: the best by validation, or that of the last step.
    pub best: Vec<f32>,
    /// The network, with the thresholds of the kept model.
    pub network: Network,
    /// Epoch of the kept model; 1-based.
    pub best_epoch: u64,
    /// Step of the kept model.
    pub best_step: u64,
    /// Whether validation picked the kept model; else it is that of the last step.
    pub selected: bool,
    /// Steps done.
    pub steps: u64,
    /// Seconds from the start of training to the first finished step.
    pub first_step_seconds: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// The kept model on each part, without dropout; on the training part only if at least one
    /// epoch was trained. Empty for a run that was stopped, or that ended because a value was not
    /// finite.
    pub kept: Vec<Point>,
    /// Losses and logits of the kept model on the part that is looked at closely: the validation
    /// part, else the test part, else the training part. `None` where `kept` is empty.
    pub close: Option<Close>,
    /// The point of the test part among these.
    pub test: Option<Point>,
    /// The models that are best for single tasks, where such models are kept.
    pub best_for_tasks: Vec<BestForTask>,
    /// Times of the dispatches of the training step, if [`Options::profile`] asks for them and the
    /// engine can time them.
    pub profile: Option<Profile>,
}

impl Outcome {
    /// Whether the kept model was evaluated on the training part.
    pub fn measured_training(&self) -> bool {
        self.kept.iter().any(|point| point.split == Part::Train.name())
    }
}

/// The model that is best for a task.
#[derive(Clone, Debug)]
pub struct BestForTask {
    /// Number of the task.
    pub task: usize,
    /// The network, with the thresholds of this model.
    pub network: Network,
    /// The arena of parameters.
    pub parameters: Vec<f32>,
    /// Its epoch, 1-based.
    pub epoch: u64,
    /// The step after which it had these parameters.
    pub step: u64,
    /// This model on the validation and the test part, as far as the run has them. Empty for a run
    /// that was stopped, or that ended because a value was not finite.
    pub points: Vec<Point>,
}

/// An observer of a run. The run calls its methods; by default they do nothing.
pub trait Observer {
    /// Steps were done: their number so far, and the mean loss since the last training point.
    fn progress(&mut self, _steps: u64, _loss: Option<f64>) {}
    /// A line that the user should read.
    fn notice(&mut self, _line: &str) {}
    /// A point was reached.
    fn point(&mut self, _point: &Point) -> Result<()> {
        Ok(())
    }
    /// A better model for a task was found; the network has its thresholds.
    fn improved_for(
        &mut self,
        _task: usize,
        _network: &Network,
        _parameters: &[f32],
    ) -> Result<()> {
        Ok(())
    }
    /// A better model was found; the network has its thresholds.
    fn improved(&mut self, _network: &Network, _parameters: &[f32], _epoch: u64) -> Result<()> {
        Ok(())
    }
    /// The parameters of all layers after a step, `seconds` after the start of the run, as often as
    /// `[tracking]` says.
    fn layers(&mut self, _step: u64, _seconds: f64, _parameters: &[f32]) -> Result<()> {
        Ok(())
    }
    /// All points of an evaluation or of an epoch were reached.
    fn end_epoch(&mut self) -> Result<()> {
        Ok(())
    }
    /// Whether to stop before the next submission.
    fn stop(&mut self) -> bool {
        false
    }
    /// Whether it wants [`Observer::checkpoint`] to be called.
    fn wants_checkpoints(&self) -> bool {
        false
    }
    /// A snapshot from which the run can go on.
    fn checkpoint(&mut self, _snapshot: &Arc<Snapshot>) -> Result<()> {
        Ok(())
    }
    /// A value was not finite, and the run goes on: the fault, and what was done about it.
    fn trouble(&mut self, _fault: &Fault, _done: &str) {}
    /// The gradients of a step overflowed f16: the step is left out, and from now on gradients have
    /// this scale.
    fn rescaled(&mut self, _step: u64, _scale: f64) {}
    /// The device failed, and the run is to go on with another one. Returns the snapshot to go on
    /// from; `None` = from the beginning.
    fn lost(&mut self, _error: &anyhow::Error) -> Result<Option<Snapshot>> {
        Ok(None)
    }
    /// The run went back to a snapshot: only the points that it knows of are still valid.
    fn cut_back(&mut self, _snapshot: &Snapshot) -> Result<()> {
        Ok(())
    }
}

/// An observer that does nothing.
#[derive(Debug)]
pub struct Silent;

impl Observer for Silent {}

/// Options of a training that are not part of its configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The choices of kernels; else those of the machine without a measurement. Choices of one
    /// class of adapter change no result; a matrix unit changes results.
    pub tuning: Option<Tuning>,
    /// The arena of initial parameters; else they follow from the seed.
    pub initial: Option<Vec<f32>>,
    /// Steps per submission; else the run finds a number by time. Changes no result.
    pub steps_per_submission: Option<usize>,
    /// Whether each dispatch is timed. Changes no result.
    pub profile: bool,
    /// Bytes of the rows that are uploaded for each submission, where the data is not to stay on
    /// the device. Changes no result.
    pub streamed: Option<u64>,
    /// The snapshot to go on from; else the run starts at its beginning.
    pub resume: Option<Snapshot>,
    /// The step after which the run stops, as if the observer had asked for it; at an evaluation
    /// it stops behind that.
    pub until: Option<u64>,
    /// The other ranks that train it, and how; `None` = this process trains it.
    pub ranks: Option<Share>,
}

/// How a run goes on after some steps.
pub(crate) enum Next {
    /// It does the next steps.
    Continue,
    /// It went back to an earlier step.
    RolledBack,
    /// It ends.
    Stop(Ended),
}

impl Next {
    /// Stops the run, for its own reason if it has one, else because of `ended`.
    pub(crate) fn or(self, ended: Ended) -> Next {
        if let Next::Stop(_) = self { self } else { Next::Stop(ended) }
    }
}
