//! `compare`: does sharing help? A configuration beside separate networks and plain sharing, or
//! runs that exist beside each other.

pub(super) mod runs;
pub(super) mod table;
mod trained;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::call::Call;
use super::console::Console;
use super::flags::{Common, TrainArgs};
use super::signals::Signals;
use crate::fault::{Exit, Fault};

/// Arguments of `compare`.
#[derive(Args)]
pub(super) struct CompareArgs {
    /// A configuration, or two run directories or more, the first of which is what the others are
    /// compared with
    #[arg(required_unless_present = "resume", value_name = "CONFIG|RUN")]
    what: Vec<PathBuf>,
    /// Go on with the comparison in this directory
    #[arg(long, value_name = "DIR")]
    #[arg(conflicts_with_all = ["what", "out", "against", "packed", "repeats"])]
    resume: Option<PathBuf>,
    /// The ways of training that a configuration is compared with [default: separate,equal]
    #[arg(long, value_name = "WHAT", value_delimiter = ',')]
    against: Option<Vec<Against>>,
    /// When the separate networks of a seed are trained as one graph; changes no result
    /// [default: auto]
    #[arg(long, value_name = "WHEN")]
    packed: Option<Packed>,
    #[command(flatten)]
    train: TrainArgs,
}

/// A way of training with which a configuration is compared.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Against {
    /// One network per task
    Separate,
    /// One trunk, every weight 1, no coupling, no balancer
    Equal,
}

/// The cases in which separate networks are one graph.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Packed {
    /// On, unless the numbers would be others
    Auto,
    /// On
    On,
    /// Off
    Off,
}

pub(super) fn compare(
    args: &CompareArgs,
    common: &Common,
    console: &Console,
) -> Result<Option<Exit>> {
    common.check_adapter(&args.train)?;
    let without_effect = [
        (args.train.init_from.is_some(), "--init-from", "all networks begin from their seeds"),
        (args.train.k_fold.is_some(), "--k-fold", "all are measured on the test part"),
        (args.train.freeze.is_some(), "--freeze", "it would keep a trunk at random weights"),
        (args.train.profile, "--profile", "nothing of it is shown"),
    ];
    if let Some((_, flag, why)) = without_effect.iter().find(|(is_there, ..)| *is_there) {
        let fault = Fault::new(Exit::Usage, format!("{flag} has no use in a comparison: {why}"));
        return Err(fault.hint("leave it out").into());
    }
    let signals = Signals::install()?;
    let call = Call::new(&args.train, common, console, &signals);
    if let Some(path) = &args.resume {
        return trained::go_on(path, &call);
    }
    match &args.what[..] {
        [config] if !config.is_dir() => trained::compare(config, args, &call),
        [_] => {
            let fault = Fault::new(Exit::Usage, "one run is compared with nothing");
            Err(fault.hint("name a configuration, or two runs or more").into())
        }
        all => match all.iter().find(|path| !path.is_dir()) {
            None => runs::compare(all, args, &call).map(|()| None),
            Some(path) => {
                let found = format!("{}: is no run directory", path.display());
                let hint = "name one configuration, or two runs or more";
                Err(Fault::new(Exit::Usage, found).hint(hint).into())
            }
        },
    }
}
