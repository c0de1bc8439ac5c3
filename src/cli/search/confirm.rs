//! The best settings once more, from other seeds than the one that picked them, beside the settings
//! as they stand and beside λ = 0.

use std::path::PathBuf;

use anyhow::Result;

use super::trials::Searching;
use crate::cli::repeats;
use crate::config::Config;
use crate::fault::Exit;
use crate::run::search::base::Trial;
use crate::run::search::settle::{DEFAULTS, UNCOUPLED};

/// Settings that are trained from several seeds.
pub(super) struct Arm {
    /// Its name in tables.
    pub(super) name: String,
    /// The directory of its runs.
    pub(super) path: PathBuf,
    config: Config,
}

/// The settings as they stand, the best ones, and those without couplings where they have one.
pub(super) fn arms(searching: &Searching, best: &Trial) -> Result<Vec<Arm>> {
    // The seeds that follow: the first one has picked.
    let seeded = |config: &Config| {
        let mut config = config.clone();
        config.train.seed = config.train.seed.saturating_add(1);
        config
    };
    let path = |name: &str| searching.path().join(name);
    let defaults = seeded(&searching.config);
    let config = seeded(&best.config);
    let mut uncoupled = config.clone();
    uncoupled.couplings.iter_mut().for_each(|coupling| coupling.strength = 0.0);
    let mut arms = Vec::new();
    if defaults != config {
        arms.push(Arm { name: DEFAULTS.into(), path: path("beside/defaults"), config: defaults });
    }
    let is_searched = searching.keys().iter().any(|key| key.ends_with(".strength"));
    if is_searched && uncoupled != config && arms.iter().all(|arm| arm.config != uncoupled) {
        arms.push(Arm {
            name: UNCOUPLED.into(),
            path: path("beside/uncoupled"),
            config: uncoupled,
        });
    }
    arms.push(Arm { name: "best".into(), path: path("best"), config });
    Ok(arms)
}

/// Trains all of them, or what is left; the exit if a signal stopped one.
pub(super) fn train(searching: &mut Searching, arms: &[Arm]) -> Result<Option<Exit>> {
    let seeds = searching.search.seeds as usize;
    for arm in arms {
        let stopped = repeats::train_into(&arm.path, &arm.config, seeds, searching.call)?;
        if let Some(exit) = stopped {
            let path = searching.path().display().to_string();
            searching.say(&format!("go on with: tandem search --resume {path}"))?;
            return Ok(Some(exit));
        }
    }
    Ok(None)
}
