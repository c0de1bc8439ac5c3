//! `train` and `demo`.

use std::path::Path;

use anyhow::Result;

use super::call::{Call, overrides};
use super::console::Console;
use super::flags::{Common, TrainArgs};
use super::signals::Signals;
use super::{kfold, ranks, repeats};
use crate::config::{Config, read};
use crate::fault::Exit;
use crate::run::apply::group::Group;
use crate::run::job::Place;

/// The recipe of the demonstration.
const DEMO: &str = include_str!("../../examples/demo.toml");

pub(super) fn demo(args: &TrainArgs, common: &Common, console: &Console) -> Result<Option<Exit>> {
    let config = of_flag(args, read::from_text(DEMO, "demo.toml", Path::new("."), &keys(args)))?;
    start(config, "demo", args, common, console)
}

pub(super) fn train(
    path: &Path,
    args: &TrainArgs,
    common: &Common,
    console: &Console,
) -> Result<Option<Exit>> {
    let config = of_flag(args, read::from_file(path, &keys(args)))?;
    let name = path.file_stem().map_or("train".into(), |s| s.to_string_lossy().into_owned());
    start(config, &name, args, common, console)
}

/// `train --resume RUN`
pub(super) fn go_on(
    run: &Path,
    args: &TrainArgs,
    common: &Common,
    console: &Console,
) -> Result<Option<Exit>> {
    common.check_adapter(args)?;
    let signals = Signals::install()?;
    let call = Call::new(args, common, console, &signals);
    match Group::of(run) {
        Some((Group::Folds, _)) => return kfold::go_on(run, &call),
        Some((Group::Repeats, count)) => return repeats::go_on(run, count, &call),
        None => {}
    }
    let call = call.of_all_ranks();
    let (config, place) = Place::resume(run, &overrides(args), &mut call.front())?;
    let done = call.resume(config, place)?;
    call.tell(&done)
}

/// Keys that are laid over a configuration: those of the flags, and of the folds.
fn keys(args: &TrainArgs) -> Vec<String> {
    overrides(args).into_iter().chain(args.k_fold.map(kfold::keys).into_iter().flatten()).collect()
}

/// A configuration, or what is wrong with it; of folds it is the flag's fault.
fn of_flag(args: &TrainArgs, config: Result<Config>) -> Result<Config> {
    config.map_err(|error| if args.k_fold.is_some() { kfold::of_flag(error) } else { error })
}

fn start(
    config: Config,
    name: &str,
    args: &TrainArgs,
    common: &Common,
    console: &Console,
) -> Result<Option<Exit>> {
    common.check_adapter(args)?;
    let signals = Signals::install()?;
    let call = Call::new(args, common, console, &signals);
    if let Some(folds) = args.k_fold {
        return kfold::train(config, name, folds as usize, &call);
    }
    if let Some(count) = args.repeats {
        return repeats::train(config, name, count as usize, &call);
    }
    let call = call.of_all_ranks();
    let config = ranks::in_shards(config, common, console);
    let done = call.begin(config, Place::new(args.out.as_deref(), name))?;
    call.tell(&done)
}
