//! The figure of each task that selects for it alone.

use super::selection::{Figure, SelectionInputs};
use crate::config::{Config, KeepBest, Patience, Select};
use crate::data::Parts;
use crate::fault::quoted;
use crate::model::network::Network;

/// The figure of each task that selects for it; `None` for a task that has no label in the
/// validation part, or a weight of 0. Empty if tasks have no selection of their own.
pub type TaskFigures = Vec<Option<Figure>>;

/// Settles the figures, with lines for the user about tasks that have none. The figure of a task is
/// the one that `train.select` names for it, the primary metric with `"mean"`, else the loss.
pub(super) fn figures(
    config: &Config,
    network: &Network,
    parts: &Parts,
) -> (TaskFigures, Vec<String>) {
    let keeps = config.train.keep_best == KeepBest::PerTask;
    let counts = matches!(config.train.patience, Patience::PerTask(_));
    let Some(valid) = parts.valid.as_ref().filter(|_| keeps || counts) else {
        return (Vec::new(), Vec::new());
    };
    let inputs = SelectionInputs { config, network, parts, valid };
    let named = match &config.train.select {
        select @ (Select::Mean | Select::Metric { .. } | Select::Weighted(_)) => {
            inputs.figures(select)
        }
        Select::RelativeLoss | Select::Loss => Vec::new(),
    };
    let (mut figures, mut notes) = (Vec::new(), Vec::new());
    for (task, head) in network.tasks.iter().enumerate() {
        let own = named.iter().find(|figure| figure.task == task).cloned();
        let figure = own.unwrap_or_else(|| Figure { task, name: "loss".to_owned(), weight: 1.0 });
        let why = match (inputs.weighs(task), inputs.has_labels(task)) {
            (false, _) => Some("its weight is 0"),
            (_, false) => Some("it has no label in the validation part"),
            _ => None,
        };
        if let Some(why) = why {
            let name = quoted(&head.name);
            notes.push(format!("task {name} has no selection of its own: {why}"));
        }
        figures.push(why.is_none().then_some(figure));
    }
    (figures, notes)
}
