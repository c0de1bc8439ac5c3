//! Preferences between objectives: each trial weighs the tasks in its own way, so that trials
//! spread along a front.

use crate::config::{Config, Search, Select};
use crate::run::train::point::higher_is_better;
use crate::search::space::{Dimension, Range, Scale};
use serde_json::Value;

/// The smallest preference: a task that nothing is asked of is not learned at all.
const LEAST: f64 = 0.02;

/// The dimensions of the preferences, one fewer than there are objectives: they add up to 1.
pub fn dimensions(search: &Search) -> Vec<Dimension> {
    let names = search.pareto.iter().skip(1).zip(&search.pareto).map(|(_, one)| name(one));
    let range = || Range { low: 0.0, high: 1.0, scale: Scale::Linear, whole: false, points: 9 };
    names
        .map(|name| Dimension {
            key: format!("preference.{name}"),
            range: Some(range()),
            others: Vec::new(),
        })
        .collect()
}

/// The name of an objective: `income.auc`.
pub fn name(objective: &Select) -> String {
    match objective {
        Select::Metric { task, metric } => format!("{task}.{metric}"),
        other => other.toml(),
    }
}

/// The preferences at these numbers from 0 to 1: the lengths of the pieces into which they cut the
/// unit interval, each at least a little.
pub fn preferences(numbers: &[f64]) -> Vec<f64> {
    let mut cuts: Vec<f64> = numbers.to_vec();
    cuts.sort_by(f64::total_cmp);
    let count = numbers.len() + 1;
    let ends = cuts.iter().copied().chain([1.0]);
    let starts = [0.0].into_iter().chain(cuts.iter().copied());
    let scale = 1.0 - LEAST * count as f64;
    ends.zip(starts).map(|(end, start)| LEAST + scale * (end - start)).collect()
}

/// The overrides by which a trial has these preferences: weights of the tasks, in the sum as large
/// as before, and what picks its model.
pub fn overrides(config: &Config, search: &Search, preferences: &[f64]) -> Vec<String> {
    let count = preferences.len() as f64;
    let pairs = || search.pareto.iter().zip(preferences);
    let mut all = Vec::new();
    for task in &config.tasks {
        let of_task = |select: &Select| match select {
            Select::Metric { task: name, .. } => *name == task.name,
            _ => false,
        };
        let own: Vec<f64> =
            pairs().filter(|(select, _)| of_task(select)).map(|(_, p)| *p).collect();
        if !own.is_empty() {
            let weight = task.weight * count * own.iter().sum::<f64>();
            let key = crate::config::write::key(&task.name);
            all.push(format!("task.{key}.weight={weight:?}"));
        }
    }
    let terms: Vec<String> =
        pairs().map(|(select, p)| format!("{} = {p:?}", select.toml())).collect();
    all.push(format!("train.select={{ {} }}", terms.join(", ")));
    all
}

/// The figures of several objectives, by the tasks of a record; `None` where one is missing.
pub fn figures(objectives: &[Select], tasks: &Value) -> Option<Vec<f64>> {
    let of = |select: &Select| match select {
        Select::Metric { task, metric } => tasks[task][metric].as_f64(),
        _ => None,
    };
    objectives.iter().map(of).collect()
}

/// Figures turned so that higher is better in each.
pub fn turned(objectives: &[Select], figures: &[f64]) -> Vec<f64> {
    let turn = |(select, figure): (&Select, &f64)| match select {
        Select::Metric { metric, .. } if !higher_is_better(metric) => -figure,
        _ => *figure,
    };
    objectives.iter().zip(figures).map(turn).collect()
}
