//! `type` of a task.

use serde::{Deserialize, Serialize};

use super::keys::word::words;

/// Type of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskKind {
    /// One of C classes, C logits.
    Multiclass,
    /// One of two classes, one logit: that of the positive class.
    Binary,
    /// Several columns, each yes or no, one logit each.
    Multilabel,
    /// One number or several, one output each.
    Regression,
    /// Labels of tokens that mark spans of them: one of C labels, C logits.
    Tags,
    /// A count, 0, 1, 2, …; the output is the logarithm of its rate.
    Count,
}

words!(
    TaskKind:
    Multiclass = "multiclass", Binary = "binary", Multilabel = "multilabel",
    Regression = "regression", Count = "count", Tags = "tags",
);

impl TaskKind {
    /// Whether the primary metric lies between 0 and 1, so that a mean of several metrics says
    /// something of each.
    pub fn is_bounded(self) -> bool {
        self.has_logits_of_classes() || matches!(self, TaskKind::Binary | TaskKind::Multilabel)
    }

    /// Whether it has one logit per class.
    pub fn has_logits_of_classes(self) -> bool {
        matches!(self, TaskKind::Multiclass | TaskKind::Tags)
    }

    /// Names of the metrics of a task of this type, the primary one first.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            TaskKind::Multiclass => &["accuracy", "top_k", "macro_f1", "log_loss"],
            TaskKind::Binary => {
                &["auc", "average_precision", "f1", "accuracy", "log_loss", "calibration_error"]
            }
            TaskKind::Multilabel => &["auc", "average_precision", "f1", "accuracy", "log_loss"],
            TaskKind::Regression => &["r2", "rmse", "mae"],
            TaskKind::Count => &["deviance", "rmse", "mae"],
            TaskKind::Tags => &["f1", "precision", "recall", "accuracy", "log_loss"],
        }
    }
}
