//! `[tracking]`: what a run leaves behind for other tools.

use super::interval::{Every, every};
use super::keys::form::flag;
use super::keys::item::Result;
use super::keys::{Keyed, Pass, names};

/// `[tracking]`: what a run leaves behind for other tools. It changes no result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tracking {
    /// Whether the figures of `metrics.csv` are also written for TensorBoard, in `tb/`.
    pub tensorboard: bool,
    /// How often the weights of each layer are counted into a histogram, for TensorBoard.
    pub histograms: Option<Every>,
}

impl Keyed for Tracking {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("tensorboard").value(&mut self.tensorboard, &flag())?;
        let has_file = self.tensorboard || !pass.reads();
        pass.key("histograms")
            .only_or(
                has_file,
                "tracking.tensorboard is false",
                "set tracking.tensorboard = true, or leave it out",
            )
            .maybe(&mut self.histograms, &every())
    }
}

pub(super) fn keys() -> Vec<&'static str> {
    names(&mut Tracking::default())
}
