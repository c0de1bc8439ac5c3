//! This process as one of several that a launcher of MPI has started.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::cli::console::Console;
use crate::cli::flags::Common;
use crate::cli::signals::Signals;
use crate::cli::{Cli, Run, code_of};
use crate::device::adapter::Wish;
use crate::fault::{Exit, Fault, exit_of};
use crate::ranks::mpi::Session;
use crate::ranks::{Beats, Net, end, greet, look_around, measure, serve};
use crate::run::machine::Machine;
use crate::schedule::Program;

/// The time after which a rank that does not answer is given up, unless `TANDEM_WATCHDOG` says
/// another number of seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a verb as one of the ranks that a launcher has started.
pub(super) fn on_ranks(cli: Cli, console: &Console, run: Run, _: usize) -> Result<Option<Exit>> {
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
fn as_rank(net: &Arc<dyn Net>, mut cli: Cli, console: &Console, run: Run) -> Result<Option<Exit>> {
    cli.common.ranks = Some(Arc::clone(net));
    match greet(&**net, &facts()) {
        // The leader says it.
        Err(error) if net.rank() > 0 => return Ok(Some(exit_of(&error))),
        greeted => greeted?,
    }
    cli.common.pace = (net.size() > 1).then(|| measure(&**net)).transpose()?;
    if net.rank() > 0 {
        return follow(net, &cli.common);
    }
    refuse_reference(net, &cli.common)?;
    let beats = Beats::begin(net);
    let ended = run(cli, console);
    drop(beats);
    let gone = if ended.is_ok() { look_around(&**net) } else { Vec::new() };
    gone.iter().for_each(|gone| console.note(&format!("{gone:#}: nothing is lost by that")));
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
    Signals::ignore()?;
    let mut machine: Option<(bool, Machine)> = None;
    let mut open = |program: Program| {
        let mut dispatches = program.schedules.iter().flat_map(|s| &s.dispatches);
        let units = dispatches.any(|dispatch| dispatch.kernel.unit.is_some());
        let opened = match machine.take().filter(|(has, _)| *has == units) {
            Some((_, machine)) => machine,
            None => Machine::open(&Wish { units, ..common.wish() })?,
        };
        machine = Some((units, opened.clone()));
        let name = [Some(opened.name()), opened.place()];
        let name = name.into_iter().flatten().collect::<Vec<_>>().join("\n");
        Ok((opened.engine(program)?, name))
    };
    let code = serve(net, &mut open).map_err(|e| e.context(format!("on rank {}", net.rank())))?;
    Ok(Exit::of_code(code))
}
