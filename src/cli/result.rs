//! The result of a run: a table, or a JSON document.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::console::Console;
use crate::measure::ceilings::Ceilings;
use crate::measure::profile::Profile;
use crate::run::directory::RunDirectory;
use crate::run::job::Done;
use crate::run::train::point::{Point, headline, shown, tasks_json};
use crate::run::train::{BestForTask, Ended, Outcome, Plan};

/// Prints the result.
pub(super) fn print(
    done: &Done,
    profiled: Option<(Profile, Ceilings)>,
    console: &Console,
) -> Result<()> {
    let Done { plan, directory, outcome, points } = done;
    if console.json {
        let mut document = summary(plan, directory, outcome, points);
        let added = profiled.iter().flat_map(|(profile, best)| profile.json(best));
        added.for_each(|(key, value)| document[key] = value);
        return console.result_json(&document);
    }
    let table = table(plan, directory, outcome, points);
    console.result(
        &profiled.map_or(table.clone(), |(profile, best)| {
            format!("{table}\n\n{}", profile.table(&best))
        }),
    )
}

fn ended(outcome: &Outcome) -> &'static str {
    match outcome.ended {
        Ended::Finished => "finished",
        Ended::EarlyStopping => "early stopping",
        Ended::TimeOver => "time over",
        Ended::Stopped => "stopped by a signal",
        Ended::NotFinite(_) => "not finite",
    }
}

fn summary(plan: &Plan, directory: &RunDirectory, outcome: &Outcome, points: &[Point]) -> Value {
    let point = |split: &str| {
        points.iter().find(|p| p.split == split).map(|p| p.json(&plan.network, &plan.objective))
    };
    let mut summary = json!({
        "run": directory.path(),
        "ended": ended(outcome),
        "steps": outcome.steps,
        "best_epoch": outcome.best_epoch,
        "best_step": outcome.best_step,
        "seconds": outcome.seconds,
        "first_step_seconds": outcome.first_step_seconds,
        "train": point("train"),
        "valid": point("valid"),
        "test": point("test"),
    });
    if !outcome.best_for_tasks.is_empty() {
        let best = |best: &BestForTask| {
            let name = &plan.network.tasks[best.task].name;
            let of = |point: &Point| {
                let figures = tasks_json(&plan.network, &point.tasks, false)[name].take();
                (point.split.clone(), figures)
            };
            let mut entry = json!({"epoch": best.epoch, "step": best.step});
            best.points.iter().map(of).for_each(|(split, figures)| entry[split] = figures);
            (name.clone(), entry)
        };
        let best: Map<String, Value> = outcome.best_for_tasks.iter().map(best).collect();
        summary["best_per_task"] = Value::Object(best);
    }
    summary
}

/// The place of the kept model, which every figure of the table is measured at: `epoch 12, the
/// kept one`.
fn kept(plan: &Plan, outcome: &Outcome) -> String {
    let (epoch, step) = (outcome.best_epoch, outcome.best_step);
    let is_whole = step.is_multiple_of(plan.steps_per_epoch) || step == plan.total_steps;
    let place =
        if is_whole { format!("epoch {epoch}") } else { format!("step {step} in epoch {epoch}") };
    let why = if outcome.selected { "the kept one" } else { "the last one, which is kept" };
    let means = if !outcome.measured_training() { " (train: means over its steps)" } else { "" };
    format!("{place}, {why}{means}")
}

/// The result as a table: one line per task, one column per part.
fn table(plan: &Plan, directory: &RunDirectory, outcome: &Outcome, points: &[Point]) -> String {
    let splits: Vec<&Point> = ["train", "valid", "test"]
        .iter()
        .filter_map(|s| points.iter().find(|p| p.split == *s))
        .collect();
    let width = plan.network.tasks.iter().map(|t| t.name.len()).max().unwrap_or(4).max(8);
    let longest = plan.network.tasks.iter().map(|t| t.kind.metrics()[0].len()).max().unwrap_or(0);
    let metrics = longest + " -0.0000".len();
    let mut text = format!("{:width$}", "task");
    for point in &splits {
        text += &format!("  {:>10} {:>metrics$}", format!("{} loss", point.split), "metric");
    }
    for (i, head) in plan.network.tasks.iter().enumerate() {
        text += &format!("\n{:width$}", head.name);
        // One metric per row, so that its columns compare: the primary one, if some part has it.
        let has = |name: &&&str| splits.iter().any(|point| point.tasks[i].metric(name).is_some());
        let name = head.kind.metrics().iter().find(has).copied().unwrap_or_default();
        for task in splits.iter().map(|point| &point.tasks[i]) {
            let metric =
                task.metric(name).map_or(String::new(), |value| format!("{name} {value:.4}"));
            text += &format!("  {:>10} {metric:>metrics$}", shown(task.loss));
        }
    }
    text += &format!("\n{:width$}", "combined");
    for point in &splits {
        text += &format!("  {:>10} {:>metrics$}", shown(point.loss), "");
    }
    text += &couplings(plan, &splits);
    text += &best_for_tasks(plan, outcome);
    text += &format!(
        "\n{} after {} steps, {:.1} s; table and model: {}",
        ended(outcome),
        outcome.steps,
        outcome.seconds,
        kept(plan, outcome)
    );
    text + &format!("\nrun directory: {}", directory.path().display())
}

/// One line per task with a best model of its own, with its figures on each part.
fn best_for_tasks(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = String::new();
    for best in &outcome.best_for_tasks {
        let head = &plan.network.tasks[best.task];
        text += &format!("\nbest for {}: epoch {}", head.name, best.epoch);
        for point in &best.points {
            let task = &point.tasks[best.task];
            text += &format!(", {} loss {}", point.split, shown(task.loss));
            if let Some((name, value)) = headline(head, task) {
                text += &format!(" {name} {value:.4}");
            }
        }
    }
    text
}

/// One line per coupled pair, with its value on each part.
fn couplings(plan: &Plan, splits: &[&Point]) -> String {
    let mut text = String::new();
    for (i, pair) in plan.objective.pairs.iter().enumerate() {
        let names = format!(
            "{} {} {}",
            pair.coupling.name(),
            plan.network.tasks[pair.a].name,
            plan.network.tasks[pair.b].name
        );
        let values: Vec<String> =
            splits.iter().map(|p| format!("{} {:.6}", p.split, p.couplings[i])).collect();
        text += &format!("\ncoupling {names}: {}", values.join(", "));
    }
    text
}
