//! The models of a run that are best for single tasks, and predict together: each its task.

use std::path::Path;

use anyhow::Result;

use crate::fault::{Fault, quoted};
use crate::model::file::Model;
use crate::run::apply::group::Group;
use crate::run::directory::{best_for, best_models};

/// Tasks for which `model/` stands in, by number, each with a line about it.
pub type StandIns = Vec<(usize, String)>;

/// The models of a run, one per task, read by `load`; with number and a line for each task without
/// one, for which `model/` stands.
///
/// # Errors
/// 66 if the run has kept no such models; errors of `load`; 65 if one is of another network.
pub fn models(run: &Path, load: impl Fn(&Path) -> Result<Model>) -> Result<(Vec<Model>, StandIns)> {
    if !best_models(run).is_dir() {
        if let Some((group, count)) = Group::of(run) {
            let found =
                format!("is a run of {count} {}, each with best models of its own", group.words());
            let first = group.directory(run, 1);
            return Err(Fault::missing(run.display(), found)
                .hint(format!("name one of them: {}", first.display()))
                .into());
        }
        let found = "has no models that are best for single tasks";
        return Err(Fault::missing(run.display(), found)
            .hint("train with --set train.keep_best=per_task, and name the directory of the run")
            .into());
    }
    let common = load(run)?;
    let (mut models, mut notes) = (Vec::new(), Vec::new());
    for (task, head) in common.network.tasks.iter().enumerate() {
        let path = best_for(run, &common.network, task);
        if !path.is_dir() {
            let name = quoted(&head.name);
            let note = format!("task {name} has no best model of its own: model/ predicts it");
            notes.push((task, note));
            models.push(common.clone());
            continue;
        }
        let model = load(&path)?;
        if model.layout != common.layout || model.schema != common.schema {
            let found = "is a model of another network, or of other data, than model/";
            return Err(Fault::data(path.display(), found).hint("copy the run again").into());
        }
        models.push(model);
    }
    Ok((models, notes))
}
