//! The message when a run does not fit into the memory of the device.

use anyhow::Error;

use super::Plan;
use crate::fault::{Exit, Fault};
use crate::kernels::tuning::Tuning;
use crate::run::machine::Machine;

/// If the machine refused memory: a fault with the bytes that the run takes, the bytes in use, and
/// a batch size that fits. Any other error is returned as it is.
pub(super) fn explain(
    error: Error,
    plan: &Plan,
    tuning: &Tuning,
    window: Option<usize>,
    machine: &Machine,
) -> Error {
    let Some(refused) = machine.refused() else { return error };
    let bytes =
        |batch: usize| Some(plan.with_batch(batch).build_for(tuning, window).ok()?.program.bytes());
    let Some(estimate) = bytes(plan.batch) else { return error };
    let used =
        refused.used.map(|used| format!(" when {} were in use", mib(used))).unwrap_or_default();
    let message = format!(
        "{}: out of memory: the run takes {}, and {} for {} were refused{used}",
        machine.name(),
        mib(estimate),
        mib(refused.bytes),
        refused.what
    );
    let halves = std::iter::successors(Some(plan.batch / 2), |batch| Some(batch / 2))
        .take_while(|batch| *batch > 0);
    let fitting = halves
        .filter_map(|batch| Some((batch, bytes(batch)?)))
        .find(|(_, bytes)| refused.used.is_some_and(|used| *bytes <= used));
    let hint = match fitting {
        Some((batch, bytes)) => {
            let parts = plan.batch.div_ceil(batch);
            format!(
                "--accumulate {parts} trains on the same batches in parts of {batch} rows; that \
                 or batch_size = {batch} takes {}",
                mib(bytes)
            )
        }
        None => "the data leaves no room for any batch: --resident off keeps it on the host; else \
                 use narrower layers"
            .into(),
    };
    Fault::new(Exit::Internal, message).hint(hint).into()
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
