//! `[architecture]`: how the layers of the network are shared between the tasks.

use serde::{Deserialize, Serialize};

/// Kinds of network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// One trunk for all tasks, then each task's own layers.
    #[default]
    Shared,
    /// One network per task.
    Separate,
}

impl Architecture {
    /// Whether all tasks share one trunk.
    pub fn is_shared(&self) -> bool {
        *self == Architecture::Shared
    }
}
