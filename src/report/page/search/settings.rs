//! The values of the keys beside the figures.

use super::super::{Draft, Words};
use super::view::{FAILED, View};
use crate::report::draw::axis::{Axis, squeezed};
use crate::report::draw::bars::{Bar, horizontal};
use crate::report::draw::field::Field;
use crate::report::draw::ink::Ink;
use crate::report::draw::parallel::{Parallel, Strand};
use crate::report::draw::sign::Sign;
use crate::report::search::facts::TrialFacts;
use crate::text::short;

/// Number of trials beyond which those with equal choices lie side by side.
const SIDE_BY_SIDE: usize = 8;
/// Most letters of a key beside a bar.
const NAME: usize = 26;

/// The section.
pub(super) fn section(draft: &mut Draft, view: &View) {
    draft.section("Settings and figures");
    if view.facts.trials.is_empty() || view.keys.is_empty() {
        draft.say("There are no settings to show.");
        return;
    }
    draft.say(
        "Values that lie on no scale, such as a 0 on a logarithmic axis, have a place of their own \
         at its lower end, and so has a key without effect in a trial, \"–\".",
    );
    draft.plots(|draft| parallel(draft, view));
    draft.plots(|draft| {
        for number in 0..view.keys.len() {
            alone(draft, view, number);
        }
    });
}

/// A line per trial through its values and its figure.
fn parallel(draft: &mut Draft, view: &View) {
    let axes: Vec<Axis> = view.keys.iter().chain([&view.figures]).cloned().collect();
    let count = view.facts.trials.len();
    let strand = |trial: &&TrialFacts| {
        let values = view.keys.iter().enumerate();
        let values = values.map(|(at, axis)| axis.spot(trial.value(at)).map(|(place, _)| place));
        let share = trial.trained();
        // Many lines are finer and let more of the others through.
        let (thick, faint) = match count {
            0..30 => (4.0, 0.85),
            30..150 => (4.0, 0.65),
            150..400 => (2.0, 0.4),
            _ => (1.0, 0.15),
        };
        let opacity = if trial.known().is_none() { 0.6 * faint } else { faint * (1.0 + share) };
        Strand {
            places: values.chain([view.figure(trial)]).collect(),
            ink: view.grade(trial),
            stroke: (thick / 2.0 + thick * share * share).round() as u32,
            opacity: opacity.min(1.0),
        }
    };
    let mut strands: Vec<Strand> = view.layers().iter().map(strand).collect();
    if let Some(best) = view.best() {
        // The best one lies on top of all, with a seam of paper.
        let best = strand(&best);
        strands.push(Strand { ink: Ink::Paper, stroke: 16, opacity: 0.8, ..best.clone() });
        strands.push(Strand { stroke: 8, opacity: 1.0, ..best });
    }
    let ends = view.ends().map_or(String::new(), |[worst, best]| {
        format!(" Figures from {} (worst) to {} (best).", short(worst), short(best))
    });
    let failed = match view.facts.trials.iter().any(|trial| trial.known().is_none()) {
        true => format!(" Grey lines lead to \"{FAILED}\"."),
        false => String::new(),
    };
    let more = format!(
        "A line is a trial; its colour is the rank of its figure among all, the widest line is the \
         best trial.{failed}"
    );
    let about = format!("{}{ends}", view.best_words());
    let title = "All settings together";
    draft.picture(&Words { title, about: &about, more: &more }, Parallel { axes, strands }.draw());
}

/// One key against the objective.
fn alone(draft: &mut Draft, view: &View, number: usize) {
    let axis = &view.keys[number];
    let side_by_side = view.facts.trials.len() > SIDE_BY_SIDE;
    let place = |trial: &TrialFacts| {
        let (x, is_shared) = axis.spot(trial.value(number))?;
        // The golden ratio spreads any count of trials evenly.
        let turn = (trial.number as f64 * 0.618_033_988_75).fract() - 0.5;
        let aside = if is_shared && side_by_side { 0.6 * turn * axis.room() } else { 0.0 };
        Some([x + aside, view.figure(trial)?])
    };
    let ink = Ink::Series(0);
    let layers = view.layers();
    let mut signs: Vec<([f64; 2], Sign)> =
        layers.iter().filter_map(|trial| Some((place(trial)?, view.sign(trial, ink)))).collect();
    let best = view.best().and_then(|best| Some((best, place(best)?)));
    signs.extend(best.map(|(_, at)| (at, Sign::Ring(Ink::Text))));
    let field = Field {
        across: axis.clone(),
        up: view.figures.clone(),
        lines: Vec::new(),
        signs,
        names: Vec::new(),
        legend: Vec::new(),
    };
    let key = &view.facts.keys[number].key;
    let about = match view.best() {
        Some(best) => {
            let value = best.value(number).unwrap_or("–");
            format!("{key} is {value} in the best trial, which has a ring.")
        }
        None => view.best_words(),
    };
    draft.picture(&Words { title: key, about: &about, more: "" }, field.draw());
}

/// How much each key alone explains.
pub(super) fn importance(draft: &mut Draft, view: &View) {
    draft.section("Which keys matter");
    let known = view.facts.importance.iter().filter(|(_, share)| share.is_finite());
    let mut known: Vec<&(String, f64)> = known.collect();
    known.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let Some((first, most)) = known.first().copied() else {
        draft.say("That is not known: there are too few trials, or their figures are equal.");
        return;
    };
    let bar = |(key, share): &&(String, f64)| Bar {
        name: squeezed(key, NAME),
        value: *share,
        spread: 0.0,
    };
    let bars: Vec<Bar> = known.iter().map(bar).collect();
    let about = format!("{} keys; {first}: {}.", bars.len(), short(*most));
    let more = "What is missing to 1 is due to several keys together. It is an estimate from the \
                trials that were made: a functional analysis of variance over a forest of trees.";
    let words = Words { title: "Importance of keys", about: &about, more };
    let x = "share of the variance of ranks that the key explains alone";
    draft.plots(|draft| draft.picture(&words, horizontal(x, &bars)));
}
