//! The figures of the trials, in their order.

use super::super::{Draft, Words};
use super::view::View;
use crate::report::draw::axis::Axis;
use crate::report::draw::field::Field;
use crate::report::draw::ink::Ink;
use crate::report::draw::scale::Scale;
use crate::report::draw::sign::Sign;
use crate::report::search::facts::TrialFacts;

/// The section.
pub(super) fn section(draft: &mut Draft, view: &View) {
    draft.section("Trials in their order");
    let numbers = view.facts.trials.iter().map(|trial| trial.number as f64);
    let Some(scale) = Scale::whole(numbers) else {
        draft.say("No trial has begun.");
        return;
    };
    let across = Axis::of_scale("trial", scale);
    let place =
        |trial: &TrialFacts| Some([across.place(trial.number as f64)?, view.figure(trial)?]);
    let ink = Ink::Series(0);
    let layers = view.layers();
    let mut signs: Vec<([f64; 2], Sign)> =
        layers.iter().filter_map(|trial| Some((place(trial)?, view.sign(trial, ink)))).collect();
    let best = view.best().and_then(|best| Some((best, place(best)?)));
    signs.extend(best.map(|(_, at)| (at, Sign::Ring(Ink::Text))));
    let best_name = best.map(|(trial, at)| {
        let name = trial.name.as_ref().map_or(String::new(), |name| format!(", {name}"));
        (at, format!("best{name}"))
    });
    let others = view.facts.trials.iter().filter(|trial| trial.number != view.facts.best);
    let named = others.filter_map(|trial| Some((place(trial)?, trial.name.clone()?)));
    let names = best_name.into_iter().chain(named).collect();
    let line = best_so_far(view);
    let mut legend = view.legend(ink);
    if line.len() > 1 {
        legend.push((Sign::Line(Ink::Series(1)), "best so far".to_owned()));
    }
    let places =
        line.iter().filter_map(|[x, y]| Some([across.place(*x)?, view.figures.place(*y)?]));
    let lines = vec![(places.collect(), Ink::Series(1))];
    let has_rungs = view.facts.trials.iter().any(|trial| trial.trained() < 1.0);
    let more = match (has_rungs, view.best()) {
        (true, Some(best)) => format!(
            "The more of a dot is filled, the further the trial was trained. The line is the best \
             figure so far of the trials that were trained as far as trial {}.",
            best.number
        ),
        _ => String::new(),
    };
    let title = format!("{} by trial", view.facts.objective);
    let words = Words { title: &title, about: &view.lead(), more: &more };
    let field = Field { up: view.figures.clone(), across, lines, signs, names, legend };
    draft.plots(|draft| draft.picture(&words, field.draw()));
}

/// The best figure so far of the trials that were trained as far as the best one, as steps.
fn best_so_far(view: &View) -> Vec<[f64; 2]> {
    let Some(best) = view.best() else { return Vec::new() };
    let mut trials: Vec<&TrialFacts> = view.facts.trials.iter().collect();
    trials.sort_by_key(|trial| trial.number);
    let mut line: Vec<[f64; 2]> = Vec::new();
    for trial in &trials {
        let is_as_far = trial.trained() >= best.trained() - 1e-9;
        let Some(figure) = trial.known().filter(|_| is_as_far) else { continue };
        let x = trial.number as f64;
        match line.last() {
            None => line.push([x, figure]),
            Some([_, top]) => {
                let is_better =
                    if view.facts.higher_is_better { figure > *top } else { figure < *top };
                if is_better {
                    line.extend([[x, *top], [x, figure]]);
                }
            }
        }
    }
    if let (Some([x, top]), Some(last)) = (line.last().copied(), trials.last())
        && last.number as f64 > x
    {
        line.push([last.number as f64, top]);
    }
    line
}
