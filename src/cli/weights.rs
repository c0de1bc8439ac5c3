//! Loads the models that the command line names, and handles weights that are not finite.

use std::path::Path;

use anyhow::Result;

use super::console::Console;
use super::flags::Weights;
use crate::fault::{Fault, address};
use crate::model::file::{self, Model};
use crate::run::apply::group::Group;

impl Weights {
    /// Loads a model.
    ///
    /// # Errors 66 if there is none, or the path names a run of several folds; 65 if a file is
    /// malformed or a weight is not finite and that is not allowed.
    pub(super) fn load(self, path: &Path, console: &Console) -> Result<Model> {
        if let Some(fault) = path.to_str().and_then(|text| address(text, text)) {
            return Err(fault.into());
        }
        if let Some((group, count)) = Group::of(path) {
            let found =
                format!("is a run of {count} {}, each with a model of its own", group.words());
            let hint = format!(
                "name one of them: {}; tandem predict averages all of them",
                group.directory(path, 1).display()
            );
            return Err(Fault::missing(path.display(), found).hint(hint).into());
        }
        if !self.allow_nonfinite {
            return file::load(path);
        }
        let model = file::load_allowing_nonfinite(path)?;
        if model.not_finite() > 0 {
            console.note(&format!(
                "{}: {} of its {} weights are not finite",
                path.display(),
                model.not_finite(),
                model.layout.parameters()
            ));
        }
        Ok(model)
    }
}
