//! `train --k-fold N`: each fold is tested on once by a network that was trained on the others; means and spreads over the folds.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::train::{Call, Done};
use crate::config::Config;
use crate::fault::{Exit, Fault};
use crate::model::network::Network;
use crate::run::directory::RunDirectory;
use crate::run::point::Point;

/// Trains one network a fold, in `fold-1`, `fold-2`, … of the run directory, and shows what the folds have in common.
pub(super) fn train(config: &Config, name: &str, folds: usize, call: &Call) -> Result<Option<Exit>> {
    let data = &config.data;
    let keys = [
        ("data.test", data.test.is_some()),
        ("data.split_column", data.split_column.is_some()),
        ("data.stratify", data.stratify.is_some()),
    ];
    if !data.train.has_columns() {
        return Err(Fault::new(Exit::Usage, "--k-fold: folds are cut from a table").hint("leave the flag out").into());
    }
    if let Some((key, _)) = keys.into_iter().find(|(_, given)| *given) {
        let found = format!("--k-fold: folds say what is tested on, and so does {key}");
        return Err(Fault::new(Exit::Usage, found).hint(format!("remove {key} from the configuration, or leave the flag out")).into());
    }
    let parent = RunDirectory::create(call.args.out.as_deref(), name)?;
    let mut points = Vec::new();
    let mut network = None;
    for fold in 1..=folds {
        // One that arrived when the fold before had been trained.
        if let Some(exit) = call.signals.arrived() {
            return Ok(Some(exit));
        }
        call.console.note(&format!("fold {fold} of {folds}"));
        let mut config = config.clone();
        config.data.fold = Some((fold, folds));
        let out = parent.path().join(format!("fold-{fold}"));
        let done = call.run(config, |_| RunDirectory::create(Some(&out), name), None)?;
        if let Some(exit) = call.stopped(&done) {
            let way_on = format!("tandem train --resume {} ends this fold alone", out.display());
            call.console.note(&format!("stopped by a signal in fold {fold} of {folds}; {way_on}, {}", left(fold, folds)));
            return Ok(Some(exit));
        }
        let Done { plan, outcome, .. } = done;
        points.extend(outcome.test);
        network = Some(plan.network);
    }
    let Some(network) = network else { return Ok(None) };
    let summary = Summary::of(&network, &points);
    let path = parent.path().join("folds.json");
    let text = serde_json::to_string_pretty(&json!({"folds": folds, "tasks": summary.json()}))?;
    std::fs::write(&path, text + "\n").map_err(|e| Fault::new(Exit::Io, format!("{}: {e}", path.display())))?;
    if call.console.json {
        call.console.result_json(&json!({"run": parent.path(), "folds": folds, "tasks": summary.json()}))?;
    } else {
        call.console.result(&format!("{}\nrun directory: {}", summary.table(folds), parent.path().display()))?;
    }
    Ok(None)
}

/// What an interruption in a fold leaves undone, and how it is done.
fn left(fold: usize, folds: usize) -> String {
    let undone = match folds - fold {
        0 => "and the means over all folds are missing".to_owned(),
        1 => format!("and fold {folds} is not trained"),
        _ => format!("and folds {} to {folds} are not trained", fold + 1),
    };
    format!("{undone}: the same command with --k-fold {folds} begins anew")
}

/// Values of each metric of each task, fold by fold.
struct Summary(Vec<(String, Metrics)>);

/// Metrics by name, each with its value in every fold.
type Metrics = Vec<(String, Vec<f64>)>;

impl Summary {
    fn of(network: &Network, points: &[Point]) -> Summary {
        let task = |(number, head): (usize, &crate::model::network::Head)| {
            let values = |name: &str| points.iter().filter_map(|p| p.tasks[number].metric(name)).collect::<Vec<f64>>();
            let losses = points.iter().filter_map(|p| p.tasks[number].loss).collect();
            let metrics = head.kind.metrics().iter().map(|name| (name.to_string(), values(name)));
            let all = std::iter::once(("loss".to_owned(), losses)).chain(metrics).filter(|(_, values): &(_, Vec<f64>)| !values.is_empty());
            (head.name.clone(), all.collect())
        };
        Summary(network.tasks.iter().enumerate().map(task).collect())
    }

    fn table(&self, folds: usize) -> String {
        let width = self.0.iter().map(|(task, _)| task.len()).max().unwrap_or(4).max(8);
        let mut text = format!("{:width$} {:18} {:>10} {:>10}  each of {folds} folds", "task", "metric", "mean", "spread");
        for (task, metrics) in &self.0 {
            for (name, values) in metrics {
                let [mean, spread] = mean_and_spread(values);
                let each: Vec<String> = values.iter().map(|v| format!("{v:.4}")).collect();
                text += &format!("\n{task:width$} {name:18} {mean:>10.4} {spread:>10.4}  {}", each.join(" "));
            }
        }
        text
    }

    fn json(&self) -> Value {
        let metric = |(name, values): &(String, Vec<f64>)| {
            let [mean, spread] = mean_and_spread(values);
            (name.clone(), json!({"mean": mean, "spread": spread, "folds": values}))
        };
        let tasks = self.0.iter().map(|(task, metrics)| (task.clone(), Value::Object(metrics.iter().map(metric).collect())));
        Value::Object(tasks.collect::<Map<_, _>>())
    }
}

/// Mean and sample standard deviation; no spread of one value.
fn mean_and_spread(values: &[f64]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    [mean, if n > 1.0 { (squares / (n - 1.0)).sqrt() } else { 0.0 }]
}
