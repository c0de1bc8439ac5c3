//! `best/TASK/`: the place of the model that is best for a task.

use std::path::{Path, PathBuf};

use crate::model::network::Network;

/// The directory of the models that are best for single tasks, in that of a run.
pub fn best_models(run: &Path) -> PathBuf {
    run.join("best")
}

/// The directory of the model that is best for a task, by its number: `best/TASK`, or `best/%N`
/// with the number of the task where its name begins with a dot or differs from another one in case
/// alone.
pub fn best_for(run: &Path, network: &Network, task: usize) -> PathBuf {
    let name = &network.tasks[task].name;
    let mut others = network.tasks.iter().enumerate().filter(|(other, _)| *other != task);
    let is_taken = others.any(|(_, head)| head.name.eq_ignore_ascii_case(name));
    let is_plain = !is_taken && !name.starts_with('.');
    best_models(run).join(if is_plain { name.clone() } else { format!("%{task}") })
}
