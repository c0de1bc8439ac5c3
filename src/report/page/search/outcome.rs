//! What came of a search: sentences, the best settings, figures.

use super::super::Draft;
use super::super::html::{Table, number, text};
use super::view::View;
use crate::report::search::facts::{DEFAULTS, TrialFacts};

/// Why a cell has no value.
pub(super) const WITHOUT_EFFECT: &str = "without effect in this trial";

/// The section.
pub(super) fn section(draft: &mut Draft, view: &View) {
    draft.section("Outcome");
    view.facts.sentences.iter().for_each(|sentence| draft.say(sentence));
    if let Some(best) = view.best() {
        settings(draft, view, best);
    }
    for (title, text) in &view.facts.tables {
        draft.part(title);
        draft.verbatim(text);
    }
}

/// The values of the best trial beside those as they stand.
fn settings(draft: &mut Draft, view: &View, best: &TrialFacts) {
    let is_default = |trial: &&TrialFacts| trial.name.as_deref() == Some(DEFAULTS);
    let defaults = view.facts.trials.iter().find(is_default);
    let mut head = vec!["key".to_owned(), format!("trial {}", best.number)];
    head.extend(defaults.map(|_| "as it stands".to_owned()));
    let row = |(at, searched): (usize, &crate::report::search::SearchedKey)| {
        let trials = [Some(best), defaults].into_iter().flatten();
        (searched.key.clone(), trials.map(|trial| cell(trial, at)).collect())
    };
    let rows = view.facts.keys.iter().enumerate().map(row).collect();
    draft.table(&Table { caption: "The best settings", head, rows });
}

/// The value of a key in a trial.
pub(super) fn cell(trial: &TrialFacts, key: usize) -> String {
    trial.value(key).map_or_else(|| number(None, WITHOUT_EFFECT), text)
}
