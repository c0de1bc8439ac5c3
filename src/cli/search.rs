//! `search`: finds settings on validation data, trains the best ones from several seeds beside the
//! defaults, and measures them on the test part, once.

mod confirm;
mod frozen;
mod job;
mod outcome;
mod page;
mod trials;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::call::{Call, overrides};
use super::console::Console;
use super::flags::{Common, TrainArgs};
use super::signals::Signals;
use crate::config::{Domain, read, write};
use crate::fault::{Exit, Fault, quoted};
use crate::run::search::base::Base;
use crate::run::search::journal::Journal;
use trials::Searching;

/// Arguments of `search`.
#[derive(Args)]
pub(super) struct SearchArgs {
    /// The configuration, TOML; its table [search] says what is tried
    #[arg(required_unless_present_any = ["resume", "from"])]
    config: Option<PathBuf>,
    /// Go on with the search in this directory
    #[arg(long, value_name = "DIR")]
    #[arg(conflicts_with_all = ["config", "out", "param", "trials", "method", "objective"])]
    resume: Option<PathBuf>,
    /// Take the mean weights that the balancer of a run has found as static weights, and train with
    /// them beside the balancer
    #[arg(long, value_name = "RUN", conflicts_with_all = ["config", "resume"])]
    from: Option<PathBuf>,
    /// Search a key (repeatable): KEY=log:1e-4..1e-2, KEY=linear:0..0.5 or KEY=V|V|V; further
    /// values stand behind a range, KEY=log:1e-4..10|0
    #[arg(long, value_name = "KEY=VALUES")]
    param: Vec<String>,
    /// Most trials [default: search.trials]
    #[arg(long, value_name = "N")]
    trials: Option<u64>,
    /// The order of trials [default: search.method]
    #[arg(long, value_name = "METHOD")]
    method: Option<Method>,
    /// The figure that is looked for [default: search.objective, or train.select]
    #[arg(long, value_name = "TASK.METRIC")]
    objective: Option<String>,
    #[command(flatten)]
    train: TrainArgs,
}

/// The order of trials, as a flag.
#[derive(Clone, Copy, ValueEnum)]
enum Method {
    /// All combinations of points
    Grid,
    /// Points of a Sobol sequence
    Random,
    /// Such points, of which the better ones are trained further (ASHA)
    Halving,
    /// Points where earlier trials were good (tree-structured Parzen estimator)
    Tpe,
}

pub(super) fn search(
    args: &SearchArgs,
    common: &Common,
    console: &Console,
) -> Result<Option<Exit>> {
    check(args, common)?;
    // What the flag says is the time of the whole search.
    let train = TrainArgs { max_time: None, repeats: None, ..args.train.clone() };
    let signals = Signals::install()?;
    let known = args.resume.as_deref().map(Journal::read).transpose()?;
    let common = known.as_ref().map_or(common.clone(), |(journal, _)| as_before(common, journal));
    let call = Call::new(&train, &common, console, &signals).of_search();
    if let Some(run) = &args.from {
        return frozen::begin(run, &keys(args, &train)?, &call);
    }
    let searching = match (args.resume.as_ref().zip(known), &args.config) {
        (Some((path, (journal, base))), _) => {
            if journal.frozen.is_some() {
                return frozen::go_on(path, journal, &base, &call);
            }
            Searching::open(path, (journal, base), &call)?
        }
        (None, Some(config)) => {
            let (text, directory) = read::text_of(config)?;
            let name = config.display().to_string();
            let overrides = keys(args, &train)?;
            let stem = config.file_stem().map_or("train".into(), |s| s.to_string_lossy());
            let directory = std::env::current_dir()?.join(directory);
            let base = Base { text, name, directory, overrides };
            let (base, idle) =
                if args.method.is_some() { base.for_method() } else { (base, vec![]) };
            idle.iter()
                .for_each(|key| console.note(&format!("{key} has no use with this --method")));
            Searching::begin(base, &format!("{stem}-search"), &call)?
        }
        (None, None) => return Err(Fault::new(Exit::Usage, "no configuration is named").into()),
    };
    outcome::run(searching)
}

/// The flags with the device that a search began with, unless they ask for another one.
fn as_before(common: &Common, journal: &Journal) -> Common {
    let is_asked = [common.device.is_some(), common.backend.is_some()].contains(&true)
        || common.wish().asked().is_some();
    let before = journal.device.clone().filter(|_| !is_asked);
    Common { device: before.or(common.device.clone()), ..common.clone() }
}

/// Refuses flags that have no use in a search.
fn check(args: &SearchArgs, common: &Common) -> Result<()> {
    common.check_adapter(&args.train)?;
    let train = &args.train;
    let without_effect = [
        (train.init_from.is_some(), "--init-from", "all trials begin from their seeds"),
        (train.k_fold.is_some(), "--k-fold", "trials are compared on the validation part"),
        (train.freeze.is_some(), "--freeze", "it would keep a trunk at random weights"),
        (train.profile, "--profile", "nothing of it is shown"),
        (train.importance, "--importance", "tandem report DIR/best/repeat-1 --importance has it"),
    ];
    let resumed = [
        (!overrides(train).is_empty(), "a setting", "a search that goes on keeps its settings"),
        (train.repeats.is_some(), "--repeats", "a search that goes on keeps its settings"),
    ];
    let resumed = resumed.iter().filter(|_| args.resume.is_some());
    let all = without_effect.iter().chain(resumed);
    match all.into_iter().find(|(is_there, ..)| *is_there) {
        None => Ok(()),
        Some((_, flag, why)) => {
            let fault = Fault::new(Exit::Usage, format!("{flag} has no use in this search: {why}"));
            Err(fault.hint("leave it out").into())
        }
    }
}

/// The keys that flags stand for, those of `[search]` among them.
fn keys(args: &SearchArgs, train: &TrainArgs) -> Result<Vec<String>> {
    let mut all = overrides(train);
    for (number, spec) in args.param.iter().enumerate() {
        let key = |spec: &String| read::override_parts(spec).map(|(key, _)| key.to_owned());
        if args.param[..number].iter().any(|other| key(other) == key(spec)) {
            let found = format!("--param {}: its key stands twice", quoted(spec));
            return Err(Fault::new(Exit::Usage, found).hint("give each key once").into());
        }
        all.push(param(spec)?);
    }
    all.extend(args.trials.map(|n| format!("search.trials={n}")));
    let method = args.method.and_then(|method| method.to_possible_value());
    all.extend(method.map(|method| format!("search.method={}", method.get_name())));
    let objective = |text: &String| match text.split_once(',') {
        None => format!("search.objective={}", write::quote(text)),
        Some(_) => {
            let texts: Vec<String> = text.split(',').map(|one| one.trim().to_owned()).collect();
            format!("search.objective={}", write::texts(&texts))
        }
    };
    all.extend(args.objective.as_ref().map(objective));
    all.extend(args.train.max_time.as_ref().map(|time| format!("search.max_time={time}")));
    all.extend(args.train.repeats.map(|n| format!("search.seeds={n}")));
    Ok(all)
}

/// `--param KEY=VALUES` as an override of the space.
fn param(spec: &str) -> Result<String, Fault> {
    let wrong = |what: &str| {
        Fault::new(Exit::Usage, format!("--param {}: {what}", quoted(spec))).hint(
            "for example --param optimizer.learning_rate=log:1e-4..1e-2, or \
             --param \"trunk.layers=[64]|[128, 64]\"",
        )
    };
    let (key, values) = read::override_parts(spec).ok_or_else(|| wrong("must read KEY=VALUES"))?;
    let values = Domain::of_flag(values).map_err(|what| wrong(&what))?;
    let as_table = format!("v = {values}").parse::<toml::Table>();
    as_table.map_err(|_| wrong("must have numbers as ends of a range"))?;
    // The key stands in quotes of the kind that it does not have.
    let quote = match (key.contains('"'), key.contains('\'')) {
        (true, true) => return Err(wrong("has both kinds of quotes in its key")),
        (true, false) => '\'',
        _ => '"',
    };
    Ok(format!("search.space.{quote}{key}{quote}={values}"))
}
