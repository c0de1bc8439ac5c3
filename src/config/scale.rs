//! `scale`: the scaling of a column of numbers.

use serde::{Deserialize, Serialize};

use super::keys::word::words;

/// Scaling of a numeric column, fitted on the training part alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// (x − mean) / standard deviation (population).
    Standard,
    /// (x − min) / (max − min).
    MinMax,
    /// (x − median) / (third quartile − first quartile).
    Robust,
    /// x itself.
    None,
}

words!(Scale: Standard = "standard", MinMax = "minmax", Robust = "robust", None = "none");
