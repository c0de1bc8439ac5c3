//! The facts of a search for its page.

use serde_json::Value;

use super::trials::Searching;
use crate::report::search::{FrontFacts, SearchFacts, SearchedKey, TrialFacts};
use crate::run::train::point::higher_is_better;
use crate::search::space::Scale;

/// The facts of a search that has ended; `found` is what it has found.
pub(super) fn facts(searching: &Searching, found: &Value) -> SearchFacts {
    let dimensions = &searching.settled.space.dimensions;
    let keys = dimensions.iter().map(|dimension| {
        let log = dimension.range.as_ref().is_some_and(|range| range.scale == Scale::Log);
        SearchedKey { key: dimension.key.clone(), log }
    });
    let shares = found["importance"].as_object().into_iter().flatten();
    let importance = shares.filter_map(|(key, share)| Some((key.clone(), share.as_f64()?)));
    let texts = |list: &Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(Value::as_str).map(Into::into).collect()
    };
    let tables = [("valid", "On the validation part"), ("test", "On the test part")];
    let tables = tables.into_iter().filter_map(|(part, title)| {
        Some((title.to_owned(), found[part]["text"].as_str()?.to_owned()))
    });
    SearchFacts {
        title: format!("Search by {}", searching.search.method),
        objective: searching.objective_name(),
        higher_is_better: searching.figure(1.0) > 0.0,
        keys: keys.collect(),
        trials: (0..searching.count()).filter_map(|trial| of_trial(searching, trial)).collect(),
        importance: importance.collect(),
        front: front(&found["front"]),
        best: found["best"]["trial"].as_u64().unwrap_or(0) as usize,
        tables: tables.collect(),
        sentences: texts(&found["sentences"]),
    }
}

fn of_trial(searching: &Searching, trial: usize) -> Option<TrialFacts> {
    let told = searching.journal.last(trial)?;
    Some(TrialFacts {
        number: trial + 1,
        name: searching.settled.fixed.get(trial).map(|(name, _)| name.clone()),
        rung: told.rung,
        share: searching.journal.shares.get(told.rung).copied().unwrap_or(1.0),
        steps: told.steps,
        figure: told.score.map(|score| searching.figure(score)),
        values: searching.values(trial),
        failed: told.failed.clone(),
    })
}

fn front(front: &Value) -> Option<FrontFacts> {
    let numbers = |list: &Value| -> Vec<f64> {
        list.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
    };
    let names: Vec<String> = front["objectives"]
        .as_array()?
        .iter()
        .filter_map(|name| name.as_str().map(Into::into))
        .collect();
    let trials = front["trials"].as_array()?;
    let number = |trial: &Value| trial["trial"].as_u64().unwrap_or(0) as usize;
    let better = |name: &String| higher_is_better(name.rsplit('.').next().unwrap_or_default());
    Some(FrontFacts {
        higher_is_better: names.iter().map(better).collect(),
        names,
        points: trials.iter().map(|trial| (number(trial), numbers(&trial["figures"]))).collect(),
        on_front: trials.iter().filter(|t| t["on_front"] == true).map(number).collect(),
        hypervolume: front["hypervolume"].as_f64()?,
        reference: numbers(&front["reference"]),
    })
}
