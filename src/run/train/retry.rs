//! A run that outlives its device.

use anyhow::Result;

use super::{Observer, Options, Outcome, Plan, train};
use crate::fault::{Exit, Fault, exit_of, hint_of};
use crate::run::machine::Machine;

/// Trains; where the device is lost, hangs or drops work, goes on with a new one from the last
/// checkpoint, at most `retries` times.
///
/// # Errors
/// Those of [`train`]; where `open` fails, what the device failed with and that.
pub fn train_with_retries(
    plan: &Plan,
    mut machine: Machine,
    mut options: Options,
    retries: u64,
    open: &mut dyn FnMut() -> Result<Machine>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let mut left = retries;
    loop {
        let tried = machine.clone();
        let error = match train(plan, machine, options.clone(), observer) {
            // Where memory was refused another try has no more of it.
            Err(error) if left > 0 && is_of_device(&error) && tried.refused().is_none() => error,
            ended => return ended,
        };
        left -= 1;
        options.resume = observer.lost(&error)?;
        machine = open().map_err(|none| no_other(&error, &none))?;
    }
}

/// Whether a new device may help: what went wrong is known, and is neither the user's nor ours.
fn is_of_device(error: &anyhow::Error) -> bool {
    exit_of(error) == Exit::Internal && error.chain().any(|cause| cause.is::<Fault>())
}

/// The device failed, and there is no other one.
fn no_other(error: &anyhow::Error, none: &anyhow::Error) -> Fault {
    let fault =
        Fault::new(exit_of(error), format!("{error:#}; no new device could be opened: {none:#}"));
    Fault { hint: hint_of(none).or(hint_of(error)).map(str::to_owned), ..fault }
}
