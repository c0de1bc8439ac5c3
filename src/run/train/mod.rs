//! Training: the plan that is settled before it, the loop, its observer, and its outcome.

pub mod conflict;
mod idle;
pub mod learning_rate;
mod levels;
pub mod loss_scale;
mod memory;
mod outcome;
mod per_task;
mod plan;
pub mod point;
mod retry;
mod save;
pub mod selection;
mod step_loop;
pub mod sums;
mod task_figures;
mod trouble;
mod validate;
mod vectors;
mod verdict;

use std::time::Instant;

use anyhow::Result;

use crate::fault::is_no_room;
use crate::run::machine::Machine;
use crate::run::train::step_loop::Run;

pub use outcome::{BestForTask, Ended, Observer, Options, Outcome, Silent};
pub use plan::{Plan, WINDOW};
pub use retry::train_with_retries;
pub use task_figures::TaskFigures;
pub use trouble::not_finite;

/// Trains as the plan says.
///
/// # Errors
/// 70 if the device is lost or out of memory; 74 if rows on disk cannot be read; errors of the
/// observer.
pub fn train(
    plan: &Plan,
    machine: Machine,
    options: Options,
    observer: &mut dyn Observer,
) -> Result<Outcome> {
    let start = Instant::now();
    let tuning = options.tuning.clone().unwrap_or_else(|| machine.tuning());
    let window = options.streamed.map(|bytes| plan.window(bytes));
    let begun = |machine: &Machine| {
        let built = plan.build_for(&tuning, window)?;
        let engine = machine.clone().engine(built.program.clone());
        let engine =
            engine.map_err(|error| memory::explain(error, plan, &tuning, window, machine))?;
        Run::new(plan, built, engine, options.clone(), start)
    };
    // Beside others there may be no room for its data, which is uploaded at its beginning.
    let mut run = match begun(&machine) {
        Err(error) if is_no_room(&error) => begun(&machine.alone())?,
        run => run?,
    };
    let ended = run.run(observer)?;
    run.outcome(ended, observer)
}
