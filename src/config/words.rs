//! The words that stand in a configuration for the values of an enumeration, and the lists of known names.

use std::fmt;

use super::{Activation, Every, Init, Scale, TaskKind};

/// Kinds of coupling. This floor knows their names only; `objective::couplings` has one file for each.
pub const COUPLING_KINDS: &[&str] = &["soft_sharing", "agreement"];

/// Data sets that the program carries with it; each has its own training, validation and test part.
pub const BUILT_IN: &[&str] = &["digits-overlay"];

/// An enumeration whose values have names in the configuration.
pub trait Word: Copy + 'static {
    /// Every value, in the order in which messages list them.
    const ALL: &'static [Self];
    /// The name of this value.
    fn word(self) -> &'static str;
}

/// States each name once; the match makes the compiler ask for a value that has none.
macro_rules! words {
    ($type:ident: $($value:ident = $word:literal),+) => {
        impl Word for $type {
            const ALL: &'static [Self] = &[$($type::$value),+];
            fn word(self) -> &'static str {
                match self {
                    $($type::$value => $word),+
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

words!(Scale: Standard = "standard", MinMax = "minmax", Robust = "robust", None = "none");
words!(Activation: Relu = "relu", Tanh = "tanh", Gelu = "gelu", Silu = "silu", Identity = "identity");
words!(Init: Auto = "auto", He = "he", Xavier = "xavier");
words!(TaskKind: Multiclass = "multiclass");

impl TaskKind {
    /// Names of the metrics that a task of this type has, the primary one first.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            TaskKind::Multiclass => &["accuracy", "log_loss"],
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Every::Steps(n) => write!(f, "{n}s"),
            Every::Epochs(n) => write!(f, "{n}e"),
        }
    }
}

/// Whether TOML takes this key without quotes.
pub(super) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
