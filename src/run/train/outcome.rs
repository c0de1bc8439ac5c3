//! What watches a training, how it may end, and what it leaves.

use crate::data::Part;
use crate::fault::Fault;
use crate::kernels::tuning::Tuning;
use crate::measure::profile::Profile;
use crate::model::network::Network;
use crate::run::checkpoint::Snapshot;
use crate::run::train::point::Point;
use anyhow::Result;
use std::sync::Arc;

/// Why a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    /// All epochs or steps were done.
    Finished,
    /// No improvement for `patience` evaluations.
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
    /// Epoch of that model; 1-based.
    pub best_epoch: u64,
    /// Its step.
    pub best_step: u64,
    /// Whether validation picked it; else it is that of the last step.
    pub selected: bool,
    /// Steps done.
    pub steps: u64,
    /// Seconds from the start of training to the first finished step.
    pub first_step_seconds: f64,
    /// Seconds of training.
    pub seconds: f64,
    /// What the model shows on each part, the training part included after one epoch at least,
    /// without dropout; empty for a run that was stopped or was not finite.
    pub kept: Vec<Point>,
    /// The one of them on the test part.
    pub test: Option<Point>,
    /// Times of the dispatches of the training step, where [`Options::profile`] asks for them and
    /// the engine has them.
    pub profile: Option<Profile>,
}

impl Outcome {
    /// Whether the training part was measured with the model.
    pub fn measured_training(&self) -> bool {
        self.kept.iter().any(|point| point.split == Part::Train.name())
    }
}

/// What watches a run.
pub trait Observer {
    /// Some steps were done: (steps done, running mean of the loss).
    fn progress(&mut self, _steps: u64, _loss: Option<f64>) {}
    /// Something that the user should know.
    fn notice(&mut self, _line: &str) {}
    /// A point was reached.
    fn point(&mut self, _point: &Point) -> Result<()> {
        Ok(())
    }
    /// A better model was found; the network has the thresholds that go with it.
    fn improved(&mut self, _network: &Network, _parameters: &[f32], _epoch: u64) -> Result<()> {
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
    /// Whether it wants checkpoints.
    fn wants_checkpoints(&self) -> bool {
        false
    }
    /// The run can go on from here.
    fn checkpoint(&mut self, _snapshot: &Arc<Snapshot>) -> Result<()> {
        Ok(())
    }
    /// A value was not finite, and the run goes on: what it was, and what was done about it.
    fn trouble(&mut self, _fault: &Fault, _done: &str) {}
    /// The gradients of a step overflowed f16: it is left out, and from now on they are scaled by
    /// so much.
    fn rescaled(&mut self, _step: u64, _scale: f64) {}
    /// The device failed, and the run is to go on with another one: from where? `None` = from the
    /// beginning.
    fn lost(&mut self, _error: &anyhow::Error) -> Result<Option<Snapshot>> {
        Ok(None)
    }
    /// The run went back: all points but the first so many are void. `is_whole` says that with them
    /// a row of `metrics.csv` ended.
    fn cut_back(&mut self, _points: u64, _is_whole: bool) -> Result<()> {
        Ok(())
    }
}

/// An observer that does nothing.
#[derive(Debug)]
pub struct Silent;

impl Observer for Silent {}

/// How to run a plan, beyond its configuration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Choices of kernels; else those of the machine without measurement. Those of one class change
    /// no result, a matrix unit does.
    pub tuning: Option<Tuning>,
    /// Initial parameters; else by the seed.
    pub initial: Option<Vec<f32>>,
    /// Steps per submission; else by time. Changes no result.
    pub steps_per_submission: Option<usize>,
    /// Time each dispatch. Changes no result.
    pub profile: bool,
    /// Bring rows to the device for one submission after the other, so many bytes each, as for data
    /// that does not fit there. Changes no result.
    pub streamed: Option<u64>,
    /// Go on from here instead of beginning.
    pub resume: Option<Snapshot>,
}

/// How a run goes on.
pub(crate) enum Next {
    /// Forward.
    Continue,
    /// From an earlier step.
    RolledBack,
    /// Not at all.
    Stop(Ended),
}

impl Next {
    /// The end, where there is no other reason for one.
    pub(crate) fn or(self, ended: Ended) -> Next {
        if let Next::Stop(_) = self { self } else { Next::Stop(ended) }
    }
}
