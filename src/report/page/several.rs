//! The page of several runs, side by side.

use super::html::{Table, number, text};
use super::tasks::UNDEFINED;
use super::training::{Time, curve, over_time};
use super::{Draft, Page, Words};
use crate::report::draw::plot::{MOST, Series, Style};
use crate::report::files::RunFiles;
use crate::run::checkpoint::changes;
use crate::text::short;

/// The page of some runs.
pub fn several(runs: &[RunFiles]) -> Page {
    let names = names(runs);
    let lead = format!("{} runs: {}.", runs.len(), names.join(", "));
    let mut draft = Draft::new("Runs side by side", &lead);
    draft.section("Figures");
    for part in ["valid", "test", "train"] {
        if runs.iter().any(|run| run.figures()[part].is_object()) {
            draft.table(&figures(runs, &names, part));
        }
    }
    if runs.iter().any(|run| run.facts.is_none()) {
        draft.say("A run without report.json shows its last points instead of its kept model.");
    }
    curves(&mut draft, runs, &names);
    differences(&mut draft, runs, &names);
    draft.finish()
}

/// A name for each run, with a number where two are equal.
fn names(runs: &[RunFiles]) -> Vec<String> {
    let name = |(number, run): (usize, &RunFiles)| {
        let is_twice = runs.iter().filter(|other| other.name == run.name).count() > 1;
        if is_twice { format!("{} ({})", run.name, number + 1) } else { run.name.clone() }
    };
    runs.iter().enumerate().map(name).collect()
}

/// The tasks of all runs, each once, with the names of their metrics.
fn tasks(runs: &[RunFiles]) -> Vec<(&str, &'static [&'static str])> {
    let mut found: Vec<(&str, &'static [&'static str])> = Vec::new();
    for task in runs.iter().flat_map(|run| &run.config.tasks) {
        if !found.iter().any(|(name, _)| *name == task.name) {
            found.push((&task.name, task.kind.metrics()));
        }
    }
    found
}

/// Loss and metrics of each task on a part: a row per figure, a column per run.
fn figures(runs: &[RunFiles], names: &[String], part: &str) -> Table<'static> {
    let caption = match part {
        "valid" => "On the validation part",
        "test" => "On the test part",
        _ => "On the training part",
    };
    let row = |name: String, values: Vec<Option<f64>>| {
        let cells = values.iter().zip(runs).map(|(value, run)| {
            let task = name.split(": ").next().unwrap_or_default();
            let has = run.config.tasks.iter().any(|t| t.name == task);
            number(*value, if has { UNDEFINED } else { "no such figure in this run" })
        });
        let cells = cells.collect();
        values.iter().any(Option::is_some).then_some((name, cells))
    };
    let all: Vec<serde_json::Value> = runs.iter().map(RunFiles::figures).collect();
    let combined = all.iter().map(|figures| figures[part]["loss"].as_f64()).collect();
    let mut rows: Vec<Option<(String, Vec<String>)>> = vec![row("combined loss".into(), combined)];
    for (task, metrics) in tasks(runs) {
        for metric in ["loss"].iter().chain(metrics) {
            let of = |figures: &serde_json::Value| figures[part]["tasks"][task][*metric].as_f64();
            rows.push(row(format!("{task}: {metric}"), all.iter().map(of).collect()));
        }
    }
    let head = ["figure".to_owned()].into_iter().chain(names.iter().cloned()).collect();
    Table { caption, head, rows: rows.into_iter().flatten().collect() }
}

/// The curves of all runs in one picture per task and figure.
fn curves(draft: &mut Draft, runs: &[RunFiles], names: &[String]) {
    draft.section("Training");
    let shown: Vec<&RunFiles> = runs.iter().take(MOST).collect();
    let time = Time::of(&shown);
    let more = match runs.len().saturating_sub(MOST) {
        0 => String::new(),
        _ => format!("The first {MOST} of {} runs are drawn.", runs.len()),
    };
    draft.plots(|draft| {
        for (task, metrics) in tasks(runs) {
            for metric in ["loss", metrics[0]] {
                let series = |part: &str| -> Vec<Series> {
                    let of_run = |(colour, run): (usize, &&RunFiles)| Series {
                        name: names[colour].clone(),
                        colour,
                        style: Style::Line,
                        points: curve(run, part, time, &|p| p["tasks"][task][metric].as_f64()),
                    };
                    shown.iter().enumerate().map(of_run).collect()
                };
                let has = |series: &[Series]| {
                    series.iter().any(|s| s.points.iter().any(|[_, y]| y.is_finite()))
                };
                let Some((part, series)) = ["valid", "test", "train"]
                    .into_iter()
                    .map(|part| (part, series(part)))
                    .find(|(_, series)| has(series))
                else {
                    continue;
                };
                let last = |s: &Series| {
                    let y = s.points.iter().rev().map(|[_, y]| *y).find(|y| y.is_finite())?;
                    Some(format!("{} {}", s.name, short(y)))
                };
                let ends: Vec<String> = series.iter().filter_map(last).collect();
                let title = format!("{metric} of {task}, {part}");
                let about = format!("At the end: {}.", ends.join(", "));
                if let Some(plot) = over_time(metric, time, series, metric == "loss") {
                    draft
                        .picture(&Words { title: &title, about: &about, more: &more }, plot.draw());
                }
            }
        }
    });
}

/// The keys whose values are not the same in all runs.
fn differences(draft: &mut Draft, runs: &[RunFiles], names: &[String]) {
    draft.section("Differences of configuration");
    let Some((first, others)) = runs.split_first() else { return };
    let found: Vec<Vec<(String, String, String)>> = others
        .iter()
        .map(|run| changes(&first.settings, &run.settings).unwrap_or_default())
        .collect();
    let mut keys: Vec<(&String, &String)> = Vec::new();
    for (key, before, _) in found.iter().flatten() {
        if !keys.iter().any(|(known, _)| *known == key) {
            keys.push((key, before));
        }
    }
    if keys.is_empty() {
        draft.say("There are none: the runs have the same settings.");
        return;
    }
    let row = |(key, before): &(&String, &String)| {
        let of = |changes: &Vec<(String, String, String)>| {
            let change = changes.iter().find(|(other, ..)| other == *key);
            text(change.map_or(*before, |(_, _, after)| after))
        };
        let cells = [text(before)].into_iter().chain(found.iter().map(of)).collect();
        ((*key).clone(), cells)
    };
    let head = ["key".to_owned()].into_iter().chain(names.iter().cloned()).collect();
    draft.table(&Table {
        caption: "Keys that differ; a dash stands for a key that is missing",
        head,
        rows: keys.iter().map(row).collect(),
    });
}
