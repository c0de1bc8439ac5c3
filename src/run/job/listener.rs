//! Whoever is told what a run does.

use crate::run::machine::Machine;
use crate::run::train::Plan;

/// Is told what a run does. Every method does nothing unless it is overridden.
pub trait Listener {
    /// A machine was opened.
    fn machine(&mut self, _machine: &Machine) {}
    /// Training begins, or goes on, after `steps` of `total` steps.
    fn begin(&mut self, _steps: u64, _total: u64) {}
    /// `steps` steps are done; `figures` are the latest losses and metrics on one line.
    fn progress(&mut self, _steps: u64, _figures: &str) {}
    /// The figures of an evaluation or of an epoch, on one line.
    fn figures(&mut self, _line: &str) {}
    /// A sentence that the user should read.
    fn note(&mut self, _line: &str) {}
    /// A sentence for a user who wants to know more.
    fn detail(&mut self, _line: &str) {}
    /// Training has ended, or has failed.
    fn end(&mut self) {}
    /// The step after which the run is to stop; `None` = when it is done. It is asked once, before
    /// training begins.
    fn until(&mut self, _plan: &Plan) -> Option<u64> {
        None
    }
    /// Whether the run is to stop after the current step.
    fn stop(&mut self) -> bool {
        false
    }
}

/// A listener that does nothing.
#[derive(Debug)]
pub struct Deaf;

impl Listener for Deaf {}
