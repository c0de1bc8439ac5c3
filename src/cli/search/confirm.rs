//! The best settings once more, from other seeds than the one that picked them, beside the settings
//! as they stand and beside λ = 0.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::trials::{Searching, is_of_trial};
use crate::cli::call::Call;
use crate::cli::repeats;
use crate::config::Config;
use crate::fault::Exit;
use crate::run::search::base::Trial;
use crate::run::search::settle::{DEFAULTS, strengths};

/// The name of the best settings in tables.
pub(super) const BEST: &str = "best";
/// The name of the best settings without the couplings whose strength is searched.
const BEST_UNCOUPLED: &str = "best, λ = 0";

/// Words behind the name of settings that cannot be trained from every seed.
pub(super) const BREAKS: &str = ", from another seed, failed";

/// Settings that are trained from several seeds.
pub(super) struct Arm {
    /// Its name in tables.
    pub(super) name: String,
    /// The directory of its runs.
    pub(super) path: PathBuf,
    config: Config,
}

impl Arm {
    /// Settings that are trained from the seeds behind theirs: the first one has picked.
    pub(super) fn new(name: &str, path: PathBuf, config: &Config) -> Arm {
        let mut config = config.clone();
        config.train.seed = config.train.seed.saturating_add(1);
        Arm { name: name.to_owned(), path, config }
    }
}

/// The settings as they stand, the best ones, and those without couplings where they have one.
pub(super) fn arms(searching: &Searching, best: &Trial) -> Vec<Arm> {
    let arm = |name: &str, place: &str, config: &Config| {
        Arm::new(name, searching.path().join(place), config)
    };
    let (defaults, mut uncoupled) = (&searching.config, best.config.clone());
    let searched = strengths(&searching.keys());
    let of_best = uncoupled.couplings.iter_mut().enumerate();
    of_best.filter(|(at, _)| searched.contains(at)).for_each(|(_, one)| one.strength = 0.0);
    let mut arms = Vec::new();
    if *defaults != best.config {
        arms.push(arm(DEFAULTS, "beside/defaults", defaults));
    }
    if !searched.is_empty() && uncoupled != best.config && uncoupled != *defaults {
        arms.push(arm(BEST_UNCOUPLED, "beside/uncoupled", &uncoupled));
    }
    arms.push(arm(BEST, "best", &best.config));
    arms
}

/// Trains all of them, or what is left; the exit if a signal stopped one. Settings that cannot be
/// trained from one of the seeds leave the list, with a line each. `path` is the directory of the
/// search.
pub(super) fn train_arms(
    arms: &mut Vec<Arm>,
    seeds: usize,
    path: &Path,
    call: &Call,
) -> Result<(Option<Exit>, Vec<String>)> {
    let mut failed = Vec::new();
    for arm in std::mem::take(arms) {
        let members = repeats::within(&arm.path, &arm.name, &arm.config, seeds, call)?;
        match repeats::train_within(members, is_of_trial) {
            Ok(None) => arms.push(arm),
            Ok(Some(exit)) => {
                let flags = call.flags_of_machine();
                let line = format!("go on with: tandem search --resume {}{flags}", path.display());
                call.console.note(&line);
                return Ok((Some(exit), failed));
            }
            Err(error) if is_of_trial(&error) => {
                let line = format!("{}{BREAKS}: {error:#}", arm.name);
                call.console.note(&line);
                failed.push(line);
            }
            Err(error) => return Err(error),
        }
    }
    Ok((None, failed))
}
