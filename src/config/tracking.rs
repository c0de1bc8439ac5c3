//! `[tracking]`: what a run leaves behind for other tools.

use super::keys::form::flag;
use super::keys::item::Result;
use super::keys::{Keyed, Pass, names};

/// `[tracking]`: what a run leaves behind for other tools. It changes no result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracking {
    /// Whether the figures of `metrics.csv` are also written for TensorBoard, in `tb/`.
    pub tensorboard: bool,
}

impl Keyed for Tracking {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("tensorboard").value(&mut self.tensorboard, &flag())
    }
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut Tracking::default())
}
