//! `version`, which stands at the top of a configuration.

use super::keys::word::words;

/// Which version's guesses and defaults hold. They are never changed, since a run is reproduced
/// only with those that it was made with, and every `config.toml` names its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// The guesses and defaults of tandem 0.1.0, which wrote no `version`.
    V0_1,
    /// The guesses and defaults of today.
    V0_2,
}

words!(Version: V0_1 = "0.1", V0_2 = "0.2");
