//! The words that stand in a configuration for the values of an enumeration, and the lists of known
//! names.

use std::fmt;

use super::{
    Activation, Dates, Decimal, Evaluated, Every, FeatureKind, Init, Interval, Loss, OnNan,
    Precision, Scale, TaskKind, Version,
};

/// Kinds of coupling. This floor knows their names only; `objective::couplings` has one file for
/// each.
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

words!(Version: V0_1 = "0.1", V0_2 = "0.2");
words!(Decimal: Auto = "auto", Point = ".", Comma = ",");
words!(Dates: Auto = "auto", Ymd = "ymd", Mdy = "mdy", Dmy = "dmy");
words!(Scale: Standard = "standard", MinMax = "minmax", Robust = "robust", None = "none");
words!(
    FeatureKind:
    Numeric = "numeric", Category = "category", Binary = "binary", Date = "date", Text = "text",
    Ignore = "ignore"
);
words!(
    Activation:
    Relu = "relu", Tanh = "tanh", Gelu = "gelu", Silu = "silu", Identity = "identity"
);
words!(OnNan: Stop = "stop", Skip = "skip", Rollback = "rollback");
words!(Evaluated: Valid = "valid", Test = "test");
words!(Precision: F32 = "f32", F32Matrix = "f32-matrix", Mixed = "mixed");
words!(Init: Auto = "auto", He = "he", Xavier = "xavier");
words!(
    TaskKind:
    Multiclass = "multiclass", Binary = "binary", Multilabel = "multilabel",
    Regression = "regression", Count = "count"
);

impl TaskKind {
    /// Names of the losses that a task of this type can have, the default first.
    pub fn losses(self) -> &'static [&'static str] {
        match self {
            TaskKind::Multiclass | TaskKind::Binary | TaskKind::Multilabel => &["cross_entropy"],
            TaskKind::Regression => &["squared", "absolute", "huber", "quantile"],
            TaskKind::Count => &["poisson"],
        }
    }

    /// Whether its primary metric lies between 0 and 1, so that a mean of several says something of
    /// each.
    pub fn is_bounded(self) -> bool {
        matches!(self, TaskKind::Multiclass | TaskKind::Binary | TaskKind::Multilabel)
    }

    /// Names of the metrics that a task of this type has, the primary one first.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            TaskKind::Multiclass => &["accuracy", "top_k", "macro_f1", "log_loss"],
            TaskKind::Binary => {
                &["auc", "average_precision", "f1", "accuracy", "log_loss", "calibration_error"]
            }
            TaskKind::Multilabel => &["auc", "average_precision", "f1", "accuracy", "log_loss"],
            TaskKind::Regression => &["r2", "rmse", "mae"],
            TaskKind::Count => &["deviance", "rmse", "mae"],
        }
    }
}

/// The name of a loss.
pub(super) fn loss_word(loss: &Loss) -> &'static str {
    match loss {
        Loss::CrossEntropy { .. } | Loss::Logistic { .. } => "cross_entropy",
        Loss::Squared => "squared",
        Loss::Absolute => "absolute",
        Loss::Huber { .. } => "huber",
        Loss::Quantile { .. } => "quantile",
        Loss::Poisson { .. } => "poisson",
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

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Interval::Every(every) => every.fmt(f),
            Interval::Minutes(minutes) => write!(f, "{minutes}m"),
        }
    }
}

/// Whether TOML takes this key without quotes.
pub(super) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
