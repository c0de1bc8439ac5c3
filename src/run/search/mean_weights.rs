//! The mean weights that a method of balancing gave the tasks of a run.

use std::path::Path;

use anyhow::Result;
use serde_json::Value;

use crate::config::{Balancer, Config, Couplings};
use crate::fault::{Fault, quoted};

/// The mean weight of each task over all steps of a run, in the order of its tasks.
///
/// # Errors
/// 78 if the run has no method that finds weights; 66 or 65 if its points cannot be read.
pub fn mean_weights(run: &Path, config: &Config) -> Result<Vec<f64>> {
    let method = config.balance.method.name();
    if config.balance.method == Balancer::None {
        let found = format!("{}: the run has no method that finds weights", run.display());
        return Err(Fault::config("balance.method", found)
            .hint("name a run that was balanced, see balance.method")
            .into());
    }
    if config.balance.couplings == Couplings::Balanced {
        let found = format!("{}: couplings were weighed with the tasks", run.display());
        return Err(Fault::config("balance.couplings", found)
            .hint("name a run whose couplings were not balanced")
            .into());
    }
    let file = run.join("metrics.jsonl");
    let text = std::fs::read_to_string(&file)
        .map_err(|e| Fault::missing(file.display(), format!("cannot be read: {e}")))?;
    let points = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let (mut sums, mut steps, mut before) = (vec![0.0; config.tasks.len()], 0.0, 0);
    for point in points.filter(|point| point["split"] == "train") {
        let step = point["step"].as_u64().unwrap_or(before);
        let weights = &point["balance"]["weights"];
        let of_tasks: Option<Vec<f64>> =
            config.tasks.iter().map(|task| weights[&task.name].as_f64()).collect();
        let count = step.saturating_sub(before) as f64;
        if let Some(weights) = of_tasks {
            sums.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += count * weight);
            steps += count;
        }
        before = step;
    }
    if steps == 0.0 {
        let found = format!("has no weights of tasks: {method} gives none, or no step was done");
        return Err(Fault::data(file.display(), found)
            .hint("name a run with another balance.method")
            .into());
    }
    let means: Vec<f64> = sums.iter().map(|sum| sum / steps).collect();
    let bad = config.tasks.iter().zip(&means).find(|(_, mean)| !(mean.is_finite() && **mean > 0.0));
    match bad {
        None => Ok(means),
        Some((task, mean)) => {
            let found = format!(
                "the mean weight of {} is {mean}: the task would not be trained",
                quoted(&task.name)
            );
            Err(Fault::data(file.display(), found).hint("name another run").into())
        }
    }
}
