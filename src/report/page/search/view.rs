//! What several sections of the page of a search share: axes, grades, names.

use crate::report::draw::axis::{Axis, squeezed};
use crate::report::draw::ink::{GRADES, Ink};
use crate::report::draw::scale::Scale;
use crate::report::draw::sign::Sign;
use crate::report::search::facts::{SearchFacts, TrialFacts};
use crate::text::short;

/// Name of the place of trials without a figure.
pub(super) const FAILED: &str = "failed";
/// Most letters of the name of an objective in a picture.
const NAME: usize = 22;

/// A search as pictures show it.
pub(super) struct View<'a> {
    /// What was found.
    pub(super) facts: &'a SearchFacts,
    /// The axis of the objective.
    pub(super) figures: Axis,
    /// The axis of each key.
    pub(super) keys: Vec<Axis>,
    /// The figures of all trials that have one, in ascending order.
    sorted: Vec<f64>,
}

impl View<'_> {
    pub(super) fn of(facts: &SearchFacts) -> View<'_> {
        let mut sorted: Vec<f64> = facts.trials.iter().filter_map(TrialFacts::known).collect();
        sorted.sort_by(f64::total_cmp);
        let scale = Scale::of(sorted.iter().copied(), !facts.higher_is_better);
        let name = directed(&facts.objective, facts.higher_is_better);
        let figures = Axis::of_scale(&name, scale.unwrap_or(Scale::fixed(0.0, 1.0)));
        let has_failed = sorted.len() < facts.trials.len();
        let figures = if has_failed { figures.beside(FAILED) } else { figures };
        let axis = |(number, searched): (usize, &crate::report::search::SearchedKey)| {
            let values: Vec<_> = facts.trials.iter().map(|trial| trial.value(number)).collect();
            Axis::of_values(&searched.key, searched.log, &values)
        };
        let keys = facts.keys.iter().enumerate().map(axis).collect();
        View { facts, figures, keys, sorted }
    }

    /// The search in a sentence or two.
    pub(super) fn lead(&self) -> String {
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let trials = self.facts.trials.len();
        let failed = match trials - self.sorted.len() {
            0 => String::new(),
            failed => format!(", of which {failed} failed"),
        };
        let keys = count(self.facts.keys.len(), "key");
        format!("{} of {keys}{failed}. {}", count(trials, "trial"), self.best_words())
    }

    /// The best trial with its figure, in words.
    pub(super) fn best_words(&self) -> String {
        let best = self.best().and_then(|best| Some((best, best.known()?)));
        match best {
            Some((best, figure)) => {
                let objective = &self.facts.objective;
                format!("The best is trial {}, {objective} {}.", best.number, short(figure))
            }
            None => "No trial has a figure.".to_owned(),
        }
    }

    pub(super) fn best(&self) -> Option<&TrialFacts> {
        self.facts.trial(self.facts.best)
    }

    /// The worst and the best figure.
    pub(super) fn ends(&self) -> Option<[f64; 2]> {
        let [low, high] = [*self.sorted.first()?, *self.sorted.last()?];
        Some(if self.facts.higher_is_better { [low, high] } else { [high, low] })
    }

    /// The place of a trial on the axis of the objective.
    pub(super) fn figure(&self, trial: &TrialFacts) -> Option<f64> {
        match trial.known() {
            Some(figure) => self.figures.place(figure),
            None => self.figures.named(FAILED),
        }
    }

    /// Share of the other trials with a figure that are worse, where equal ones count half.
    fn standing(&self, figure: f64) -> f64 {
        let below = self.sorted.partition_point(|other| *other < figure);
        let equal = self.sorted.partition_point(|other| *other <= figure) - below;
        let others = self.sorted.len().saturating_sub(1);
        if others == 0 {
            return 1.0;
        }
        let lower = (below as f64 + 0.5 * (equal as f64 - 1.0)) / others as f64;
        if self.facts.higher_is_better { lower } else { 1.0 - lower }
    }

    /// The colour of a trial by its figure.
    pub(super) fn grade(&self, trial: &TrialFacts) -> Ink {
        let Some(figure) = trial.known() else { return Ink::Muted };
        Ink::Rank((self.standing(figure) * GRADES as f64) as usize)
    }

    /// The sign of a trial.
    pub(super) fn sign(&self, trial: &TrialFacts, ink: Ink) -> Sign {
        match trial.known() {
            Some(_) => Sign::Dot(trial.trained(), ink),
            None => Sign::Cross(Ink::Muted),
        }
    }

    /// The trials as they lie over each other: failed ones lowest, those that were trained further
    /// above others, of these the better ones above.
    pub(super) fn layers(&self) -> Vec<&TrialFacts> {
        let height = |trial: &TrialFacts| {
            let standing = trial.known().map_or(-1.0, |figure| self.standing(figure));
            (trial.known().is_some(), trial.trained(), standing)
        };
        let mut all: Vec<&TrialFacts> = self.facts.trials.iter().collect();
        all.sort_by(|a, b| {
            let ((known, share, standing), (other, less, lower)) = (height(a), height(b));
            known.cmp(&other).then(share.total_cmp(&less)).then(standing.total_cmp(&lower))
        });
        all
    }

    /// The legend of dots, as far as there are such trials.
    pub(super) fn legend(&self, ink: Ink) -> Vec<(Sign, String)> {
        let trials = &self.facts.trials;
        let in_part = trials.iter().filter(|trial| trial.known().is_some());
        let in_part = in_part.map(TrialFacts::trained).filter(|share| *share < 1.0);
        let mut legend = vec![(Sign::Dot(1.0, ink), "whole training".to_owned())];
        if let Some(least) = in_part.min_by(f64::total_cmp) {
            legend.push((Sign::Dot(least.max(0.05), ink), "in part".to_owned()));
        }
        if self.sorted.len() < trials.len() {
            legend.push((Sign::Cross(Ink::Muted), FAILED.to_owned()));
        }
        legend
    }
}

/// The name of an objective for an axis, with its direction.
pub(super) fn directed(name: &str, higher_is_better: bool) -> String {
    let direction = if higher_is_better { "higher" } else { "lower" };
    format!("{}, {direction} is better", squeezed(name, NAME))
}

/// The name of a trial in words.
pub(super) fn called(trial: &TrialFacts) -> String {
    match &trial.name {
        Some(name) => format!("{}, {name}", trial.number),
        None => trial.number.to_string(),
    }
}
