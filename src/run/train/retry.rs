//! Training that goes on with another device after a device failed.

use anyhow::Result;

use super::{Observer, Options, Outcome, Plan, train};
use crate::fault::{Exit, Fault, FaultKind, exit_of, hint_of, kind_of};
use crate::ranks::Share;
use crate::run::machine::Machine;

/// Trains. If the device is lost, hangs or drops work, opens a new one with `open` and goes on from
/// the last checkpoint, at most `retries` times. A run on a rank that is gone goes on here.
///
/// # Errors
/// As [`train`]; if `open` fails, a fault with both errors.
pub fn train_with_retries(
    plan: &Plan,
    mut machine: Machine,
    mut options: Options,
    retries: u64,
    open: &mut dyn FnMut() -> Result<Machine>,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    // A rank that fails leaves the others in the middle of a step.
    let mut left = if options.ranks.is_some() { 0 } else { retries };
    loop {
        let tried = machine.clone();
        let is_elsewhere = matches!(options.ranks, Some(Share::One(..)));
        let error = match train(plan, machine, options.clone(), observer) {
            Err(error) if is_elsewhere && kind_of(&error) == FaultKind::Gone => {
                options.resume = observer.lost(&error)?;
                (options.ranks, machine) = (None, tried);
                continue;
            }
            // Where memory was refused, another try would not have more of it.
            Err(error) if left > 0 && is_of_device(&error) && tried.refused().is_none() => error,
            ended => return ended,
        };
        left -= 1;
        options.resume = observer.lost(&error)?;
        machine = open().map_err(|none| no_other(&error, &none))?;
    }
}

/// Whether a new device may help: it is a known fault with the exit code of a failed device.
fn is_of_device(error: &anyhow::Error) -> bool {
    exit_of(error) == Exit::Internal && error.chain().any(|cause| cause.is::<Fault>())
}

/// The fault if the device failed with `error` and opening another one failed with `none`.
fn no_other(error: &anyhow::Error, none: &anyhow::Error) -> Fault {
    let fault =
        Fault::new(exit_of(error), format!("{error:#}; no new device could be opened: {none:#}"));
    Fault { hint: hint_of(none).or(hint_of(error)).map(str::to_owned), ..fault }
}
