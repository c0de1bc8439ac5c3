//! Ranks of the command line: the first one does what the command says, the others serve it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::console::Console;
use super::flags::Common;
use super::signals::Signals;
use super::{Cli, Verb, code_of};
use crate::config::Config;
use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault};
use crate::ranks::{Beats, Net, Pace, Spent, end, greet, measure, serve};
use crate::run::machine::Machine;

/// Shards of a batch where ranks train and nobody says another number.
const SHARDS: usize = 8;

/// The time after which a rank that does not answer is given up, unless `TANDEM_WATCHDOG` says
/// another number of seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Variables by which launchers tell a process how many there are.
const SIZES: [&str; 4] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "PMIX_SIZE"];

/// A verb, done with the arguments of a process.
type Run = fn(Cli, &Console) -> Result<Option<Exit>>;

/// The number of processes that a launcher of MPI has started; `None` = this one was not.
fn launched() -> Option<usize> {
    let number = |name: &&str| std::env::var(name).ok()?.parse().ok();
    let pmix = || std::env::var_os("PMIX_RANK").map(|_| 0);
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

#[cfg(feature = "mpi")]
fn on_ranks(cli: Cli, console: &Console, run: Run, _: usize) -> Result<Option<Exit>> {
    use crate::ranks::mpi::Session;

    let session = Session::begin(patience()?)?;
    let Some(net) = session.net() else { return run(cli, console) };
    let ended = as_rank(&net, cli, console, run);
    let is_complete = net.lost().is_empty();
    drop(net);
    match &ended {
        // A rank that has not heard of the end would be waited for.
        Ok(None | Some(Exit::Interrupted | Exit::Terminated)) if is_complete => session.end(),
        _ => session.leave(),
    }
    ended
}

/// The time after which a rank is given up.
fn patience() -> Result<Duration> {
    let Ok(text) = std::env::var("TANDEM_WATCHDOG") else { return Ok(PATIENCE) };
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0);
    let fault = || {
        let found = format!("TANDEM_WATCHDOG={text}: expected a number of seconds from 1 on");
        Fault::new(Exit::Usage, found).hint("TANDEM_WATCHDOG=120")
    };
    Ok(seconds.map(Duration::from_secs).ok_or_else(fault)?)
}

/// What this rank does for a command.
pub(super) fn as_rank(
    net: &Arc<dyn Net>,
    mut cli: Cli,
    console: &Console,
    run: Run,
) -> Result<Option<Exit>> {
    cli.common.ranks = Some(Arc::clone(net));
    greet(&**net, &facts())?;
    cli.common.pace = (net.size() > 1).then(|| measure(&**net)).transpose()?;
    if net.rank() > 0 {
        return follow(net, &cli.common);
    }
    refuse_reference(net, &cli.common)?;
    let beats = Beats::begin(net);
    let ended = run(cli, console);
    drop(beats);
    end(&**net, code_of(&ended));
    ended
}

/// What must be alike of all ranks: the program, its arguments, and the files that these name.
fn facts() -> Vec<(&'static str, String)> {
    let version = format!("{} {}", env!("CARGO_PKG_VERSION"), env!("TANDEM_COMMIT"));
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|text| text.to_string_lossy().into_owned()).collect();
    let is_settings = |path: &&String| path.ends_with(".toml");
    let mut settings = blake3::Hasher::new();
    arguments.iter().filter(is_settings).for_each(|path| {
        settings.update(&std::fs::read(path).unwrap_or_default());
    });
    vec![
        ("version", version),
        ("command", arguments.join(" ")),
        ("configuration", settings.finalize().to_hex()[..16].to_string()),
    ]
}

/// Refuses an engine whose numbers do not fit into messages.
fn refuse_reference(net: &Arc<dyn Net>, common: &Common) -> Result<()> {
    let asked = common.wish().asked().filter(|(name, _)| name == "reference" && net.size() > 1);
    let Some((_, by)) = asked else { return Ok(()) };
    let found = format!("{by} reference computes in float64, and ranks send each other f32");
    Err(Fault::new(Exit::Usage, found).hint("start one process, or use --device cpu").into())
}

/// Serves the leader until it ends.
fn follow(net: &Arc<dyn Net>, common: &Common) -> Result<Option<Exit>> {
    // The leader hears of a signal, too, and says when all ends.
    let signals = Signals::install()?;
    signals.keep(true);
    let mut machine: Option<(bool, Machine)> = None;
    let mut open = |program: crate::schedule::Program| {
        let mut dispatches = program.schedules.iter().flat_map(|s| &s.dispatches);
        let units = dispatches.any(|dispatch| dispatch.kernel.unit.is_some());
        let opened = match machine.take().filter(|(has, _)| *has == units) {
            Some((_, machine)) => machine,
            None => Machine::open(&Wish { units, ..common.wish() })?,
        };
        machine = Some((units, opened.clone()));
        let name = opened.name();
        Ok((opened.engine(program)?, name))
    };
    let code = serve(net, &mut open).map_err(|e| e.context(format!("on rank {}", net.rank())))?;
    Ok(Exit::of_code(code))
}

/// The configuration of a run that ranks train together: its batches are cut.
pub(super) fn in_shards(mut config: Config, common: &Common, console: &Console) -> Config {
    if common.ranks.is_some() && config.train.shards == 1 {
        config.train.shards = SHARDS;
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
