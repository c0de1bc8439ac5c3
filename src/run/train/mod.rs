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

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use crate::fault::is_no_room;
use crate::plan::Shards;
use crate::ranks::{Rows, Share, Ways, lead, remote};
use crate::run::data::feature_bytes;
use crate::run::machine::Machine;
use crate::run::train::step_loop::Run;
use crate::schedule::Program;
use crate::step::Built;

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
    let shared = Cell::new((0, 0));
    let begun = |machine: &Machine| {
        let built = plan.build_for(&tuning, window)?;
        let mut own = |program: Program| {
            let engine = machine.clone().engine(program);
            engine.map_err(|error| memory::explain(error, plan, &tuning, window, machine))
        };
        let (built, engine) = match &options.ranks {
            None => {
                let engine = own(built.program.clone())?;
                (built, engine)
            }
            Some(Share::One(net, rank)) if net.lost().has(*rank) => {
                let engine = own(built.program.clone())?;
                (built, engine)
            }
            Some(Share::One(net, rank)) => {
                let engine = remote(net, *rank, built.program.clone(), &machine.name())?;
                (built, engine)
            }
            Some(Share::All(net, spent)) => {
                let shards = (0..net.size()).map(|rank| plan.shards_of(net.size(), rank));
                let shards = shards.collect::<Result<Vec<Shards>>>()?;
                let of_rank = |shards: &Shards| plan.build_share(&tuning, window, *shards);
                let mut all = shards.iter().map(of_rank).collect::<Result<Vec<Built>>>()?;
                let programs = all.iter().map(|built| built.program.clone()).collect();
                let built = all.swap_remove(0);
                let others = built.parts.iter().skip(1).flat_map(|part| &part.segments);
                let others = others.filter(|_| window.is_some());
                // Tokens are read by their neighbours, too, which other ranks may have.
                let is_cut = window.is_some() && plan.parts.train.tokens.is_none();
                let trained = built.parts[0].segments.iter().filter(|_| is_cut);
                let bytes = feature_bytes(&plan.parts.train);
                let ways = Ways {
                    parameters: built.buffers.parameters,
                    rows: trained
                        .map(|s| Rows { buffer: s.features, first: s.first, bytes })
                        .collect(),
                    shares: shards.iter().map(|shards| shards.rows(plan.batch)).collect(),
                    measured: others.flat_map(|s| [s.features, s.labels]).collect(),
                    machine: machine.name(),
                    place: machine.place(),
                    spent: Arc::clone(spent),
                };
                let (engine, sharing) = lead(net, programs, ways, &mut own)?;
                shared.set((sharing, net.size()));
                (built, engine)
            }
        };
        Run::new(plan, built, engine, options.clone(), start)
    };
    // Beside others there may be no room for its data, which is uploaded at its beginning.
    let mut run = match begun(&machine) {
        Err(error) if is_no_room(&error) => begun(&machine.alone())?,
        run => run?,
    };
    if let (sharing @ 1.., all) = shared.get() {
        observer.notice(&format!("{sharing} of {all} ranks share an adapter with another one"));
    }
    let ended = run.run(observer)?;
    run.outcome(ended, observer)
}
