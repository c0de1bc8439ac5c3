//! All trials as a table.

use std::cmp::Ordering;

use super::super::Draft;
use super::super::html::{Table, number, text};
use super::outcome::cell;
use super::view::{View, called};
use crate::measure::chart::rounded;
use crate::report::search::facts::{SearchFacts, TrialFacts};
use crate::text::short;

/// The section.
pub(super) fn section(draft: &mut Draft, view: &View) {
    draft.section("All trials");
    let facts = view.facts;
    let mut trials: Vec<&TrialFacts> = facts.trials.iter().collect();
    trials.sort_by(|a, b| order(facts, a, b));
    let has_failed = trials.iter().any(|trial| trial.failed.is_some() || trial.known().is_none());
    let mut head: Vec<String> =
        ["trial", "trained", "steps"].into_iter().map(str::to_owned).collect();
    head.push(facts.objective.clone());
    head.extend(facts.keys.iter().map(|searched| searched.key.clone()));
    head.extend(has_failed.then(|| "why it failed".to_owned()));
    let row = |trial: &&TrialFacts| {
        let best = if trial.number == facts.best { ", best" } else { "" };
        let share = format!("{} %", short(rounded(100.0 * trial.trained(), 3)));
        let figure = number(trial.known(), "the trial failed");
        let mut cells = vec![share, trial.steps.to_string(), figure];
        cells.extend((0..facts.keys.len()).map(|key| cell(trial, key)));
        if has_failed {
            let why = trial.failed.as_deref().unwrap_or_default();
            cells.push(format!("<span class=\"why\">{}</span>", text(why)));
        }
        (format!("{}{best}", called(trial)), cells)
    };
    draft.table(&Table {
        caption: "Those that were trained furthest come first, of these the better ones",
        head,
        rows: trials.iter().map(row).collect(),
    });
}

/// Furthest and best first, failed ones last.
fn order(facts: &SearchFacts, a: &TrialFacts, b: &TrialFacts) -> Ordering {
    let by_figure = |a: f64, b: f64| match facts.higher_is_better {
        true => b.total_cmp(&a),
        false => a.total_cmp(&b),
    };
    let known = match (a.known(), b.known()) {
        (Some(one), Some(other)) => b.rung.cmp(&a.rung).then(by_figure(one, other)),
        (one, other) => other.is_some().cmp(&one.is_some()),
    };
    known.then(a.number.cmp(&b.number))
}
