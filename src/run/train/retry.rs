//! A run that outlives its device.

use anyhow::Result;

use super::{Observer, Options, Outcome, Plan, train};
use crate::fault::{Exit, Fault, exit_of};
use crate::run::machine::Machine;

/// Trains; where the device is lost, hangs or drops work, goes on with a new one from the last checkpoint, at most `retries` times.
///
/// # Errors
/// Those of [`train`], and of `open`.
pub fn persist(
    plan: &Plan,
    mut machine: Machine,
    mut options: Options,
    retries: u64,
    open: &mut dyn FnMut() -> Result<Machine>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let mut left = retries;
    loop {
        let error = match train(plan, machine, options.clone(), observer) {
            Err(error) if left > 0 && is_of_device(&error) => error,
            ended => return ended,
        };
        left -= 1;
        options.resume = observer.lost(&error)?;
        machine = open()?;
    }
}

/// Whether a new device may help: what went wrong is known, and is neither the user's nor ours.
fn is_of_device(error: &anyhow::Error) -> bool {
    exit_of(error) == Exit::Internal && error.chain().any(|cause| cause.is::<Fault>())
}
