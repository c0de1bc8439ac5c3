//! The page of one run.

use serde_json::Value;

use super::html::{Table, hundredths, number};
use super::tasks::UNDEFINED;
use super::{Draft, Page, Words, importance, sharing, tasks, training};
use crate::report::draw::matrix::Matrix;
use crate::report::facts::together::{self, Together};
use crate::report::facts::{Facts, labels::LabelCount};
use crate::report::files::RunFiles;

/// The page of a run.
pub fn single(run: &RunFiles) -> Page {
    let mut draft = Draft::new(&run.name, &lead(run));
    draft.section("Figures");
    draft.table(&table(run));
    training::section(&mut draft, run);
    sharing::section(&mut draft, run);
    tasks::section(&mut draft, run);
    data(&mut draft, run);
    importance::section(&mut draft, run.facts.as_ref().and_then(|f| f.importance.as_ref()));
    about(&mut draft, run);
    draft.finish()
}

/// What the run was, in a sentence or two.
fn lead(run: &RunFiles) -> String {
    let last = |key: &str| run.points.iter().filter_map(|point| point[key].as_u64()).max();
    let (steps, epochs) = (last("step").unwrap_or(0), last("epoch").unwrap_or(0));
    let count = run.config.tasks.len();
    let tasks = if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") };
    let trained = format!("{tasks}, {steps} steps in {epochs} epochs.");
    match run.facts.as_ref().and_then(|facts| facts.kept.as_ref()) {
        Some(kept) => {
            let why = if kept.selected { "picked by validation" } else { "the last one" };
            format!(
                "{trained} The kept model is that of step {} in epoch {}, {why}.",
                kept.step, kept.epoch
            )
        }
        None => trained,
    }
}

/// Loss and primary metric of each task on each part.
fn table(run: &RunFiles) -> Table<'static> {
    let figures = run.figures();
    let parts: Vec<(String, Value)> = figures
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, part)| (name.clone(), part.clone()))
        .collect();
    let mut head = vec!["task".to_owned(), "metric".to_owned()];
    for (part, _) in &parts {
        head.extend([format!("{part} loss"), format!("{part} metric")]);
    }
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    for task in &run.config.tasks {
        let known = |metric: &&&str| {
            parts.iter().any(|(_, part)| part["tasks"][&task.name][**metric].is_number())
        };
        let metric = task.kind.metrics().iter().find(known).unwrap_or(&task.kind.metrics()[0]);
        let mut cells = vec![(*metric).to_owned()];
        for (_, part) in &parts {
            let of = &part["tasks"][&task.name];
            cells.push(number(of["loss"].as_f64(), UNDEFINED));
            let reason = if of.is_object() { "not measured, or not defined" } else { UNDEFINED };
            cells.push(number(of[*metric].as_f64(), reason));
        }
        rows.push((task.name.clone(), cells));
    }
    let mut cells = vec![String::new()];
    for (_, part) in &parts {
        cells.extend([number(part["loss"].as_f64(), UNDEFINED), String::new()]);
    }
    rows.push(("combined".to_owned(), cells));
    let caption = match run.facts {
        Some(_) => "The kept model on each part, without dropout",
        None => "The last point of each part",
    };
    Table { caption, head, rows }
}

/// Labels and blanks, and how labels go together.
fn data(draft: &mut Draft, run: &RunFiles) {
    draft.section("Data");
    let Some(facts) = &run.facts else {
        draft.say("Labels and blanks were not counted: the data was not read for this page.");
        return;
    };
    let parts: Vec<&str> =
        facts.labels.iter().map(|l| l.part.as_str()).fold(vec![], |mut all, p| {
            if !all.contains(&p) {
                all.push(p);
            }
            all
        });
    let mut head = vec!["label column".to_owned()];
    parts.iter().for_each(|part| head.extend([format!("{part} labels"), format!("{part} blank")]));
    let row = |counts: &[LabelCount]| {
        let first = &counts[0];
        let name = match first.task == first.column {
            true => first.task.clone(),
            false => format!("{}: {}", first.task, first.column),
        };
        let cells = counts.iter().flat_map(|c| [c.labelled, c.rows - c.labelled.min(c.rows)]);
        (name, cells.map(|n| number(Some(n as f64), UNDEFINED)).collect())
    };
    let by_column = facts.labels.chunk_by(|a, b| (&a.task, &a.column) == (&b.task, &b.column));
    draft.table(&Table {
        caption: "Rows with a label, and rows where it is blank",
        head,
        rows: by_column.map(row).collect(),
    });
    if !facts.together.pairs.is_empty() {
        draft.plots(|draft| go_together(draft, &facts.together));
    }
}

fn go_together(draft: &mut Draft, together: &Together) {
    let count = together.columns.len();
    let cell = |a: usize, b: usize| {
        if a == b {
            return None;
        }
        together.pair(a, b)?.value.map(|value| (value, hundredths(value)))
    };
    let matrix = Matrix {
        down: "label".to_owned(),
        across: "label".to_owned(),
        rows: together.columns.clone(),
        columns: together.columns.clone(),
        cells: (0..count).map(|a| (0..count).map(|b| cell(a, b)).collect()).collect(),
    };
    let rows = together.pairs.iter().map(|pair| pair.rows);
    let both = match (rows.clone().min(), rows.max()) {
        (Some(least), Some(most)) if least < most => {
            format!("{least} to {most} rows have both labels of a pair.")
        }
        (Some(least), _) => format!("{least} rows have both labels of a pair."),
        _ => String::new(),
    };
    let rest = match together.of.saturating_sub(together::MOST) {
        0 => String::new(),
        _ => format!(" The first {} of {} label columns.", together::MOST, together.of),
    };
    let words = Words {
        title: "How labels go together",
        about: &both,
        more: &format!(
            "On the training rows: Pearson's r of two numbers, Cramér's V of two classes, the \
             correlation ratio η of a class and a number. {both}{rest}"
        ),
    };
    draft.picture(&words, matrix.draw());
}

/// Warnings, the adapter, the settings.
fn about(draft: &mut Draft, run: &RunFiles) {
    draft.section("Notices");
    if run.broken > 0 {
        draft.say(&format!("{} lines of metrics.jsonl are no JSON and are left out.", run.broken));
    }
    let noticed: &[String] = run.facts.as_ref().map_or(&[], |facts: &Facts| &facts.notices);
    // The curves have what the lines of progress say.
    let is_progress = |line: &str| line.starts_with("epoch ") || line.starts_with("step ");
    let logged = run.log.iter().filter(|line| !is_progress(line));
    let lines: Vec<&str> = noticed.iter().chain(logged).map(String::as_str).collect();
    match lines.is_empty() {
        true => draft.say("There were none."),
        false => draft.verbatim(&lines.join("\n")),
    }
    draft.section("Adapter");
    let environment = &run.environment;
    match environment["reason"].as_str() {
        Some(reason) => draft.say(&format!(
            "tandem {} on {reason}.",
            environment["version"].as_str().unwrap_or("of an unknown version")
        )),
        None => draft.say("environment.json does not say what the run computed on."),
    }
    draft.section("Configuration");
    draft.verbatim(&run.settings);
}
