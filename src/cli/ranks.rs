//! Ranks of the command line: the first one does what the command says, the others serve it.

#[cfg(feature = "mpi")]
mod started;

use anyhow::Result;

use super::console::Console;
use super::flags::Common;
use super::{Cli, Run, Verb};
use crate::config::Config;
use crate::fault::Exit;
#[cfg(not(feature = "mpi"))]
use crate::fault::Fault;
use crate::ranks::{Net, Pace, Spent};
#[cfg(feature = "mpi")]
use started::on_ranks;

/// Shards of a batch where ranks train and nobody says another number.
const SHARDS: usize = 8;

/// Variables by which launchers tell a process how many there are.
const SIZES: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS"];

/// The number of processes that a launcher of MPI has started; `None` = this one was not.
fn launched() -> Option<usize> {
    let number = |name: &&str| std::env::var(name).ok()?.parse().ok();
    // PMIx tells the rank alone in its variables, and Slurm the number.
    let of_slurm = || number(&"SLURM_STEP_NUM_TASKS").unwrap_or(1);
    let pmix = || std::env::var_os("PMIX_RANK").map(|_| of_slurm());
    SIZES.iter().find_map(number).or_else(pmix)
}

/// Whether ranks have something to do for a verb.
fn trains(verb: &Verb) -> bool {
    matches!(verb, Verb::Demo(_) | Verb::Train { .. } | Verb::Compare(_) | Verb::Search(_))
}

/// Runs a verb, on all ranks where a launcher has started several.
pub(super) fn run_on_ranks(cli: Cli, console: &Console, run: Run) -> Result<Option<Exit>> {
    match launched().filter(|_| trains(&cli.verb)) {
        None => run(cli, console),
        Some(size) => on_ranks(cli, console, run, size),
    }
}

#[cfg(not(feature = "mpi"))]
fn on_ranks(cli: Cli, console: &Console, run: Run, size: usize) -> Result<Option<Exit>> {
    if size == 1 {
        return run(cli, console);
    }
    let found = "a launcher of MPI started several of this program, which is built without MPI";
    Err(Fault::new(Exit::Unavailable, found)
        .hint("build it with MPI (make mpi), or start it alone")
        .into())
}

/// The configuration of a run that ranks train together: its batches are cut.
pub(super) fn in_shards(mut config: Config, common: &Common, console: &Console) -> Config {
    if common.ranks.is_some() && config.train.shards.is_none() {
        config.train.shards = Some(SHARDS);
        console.note(&format!(
            "batches are cut into {SHARDS} shards (train.shards), which ranks share"
        ));
    }
    config
}

/// The line about what exchanges have cost; `None` where there was none.
pub(super) fn cost(net: &dyn Net, pace: Option<&Pace>, spent: Spent, all: f64) -> Option<String> {
    let Spent { exchanges, bytes, waiting, sending, staging } = spent;
    let pace = pace.filter(|_| exchanges > 0)?;
    let share = |part: f64| format!("{:.0} %", 100.0 * part / all.max(1e-9));
    Some(format!(
        "{} ranks: {} of the time in messages, {} between device and messages, {} in waiting for \
         the slowest; {exchanges} exchanges of {:.0} kB took {:.2} ms each, expected {:.2}",
        net.size(),
        share(sending),
        share(staging),
        share(waiting),
        bytes as f64 / exchanges as f64 / 1e3,
        1e3 * sending / exchanges as f64,
        1e3 * pace.seconds(bytes as f64 / exchanges as f64),
    ))
}
