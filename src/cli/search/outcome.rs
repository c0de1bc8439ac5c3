//! The outcome of a search: the best settings, how they hold from several seeds, and what the test
//! part says of them.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::confirm::{Arm, BEST, BREAKS, arms, train_arms};
use super::page::facts;
use super::trials::Searching;
use crate::cli::call::Call;
use crate::cli::compare::runs::beside;
use crate::config::{Select, Term, write};
use crate::data::Part;
use crate::data::write::csv::line;
use crate::fault::{Exit, Fault};
use crate::replace::replace;
use crate::report::search::write_page;
use crate::run::apply::group::Group;
use crate::run::search::base::Trial;
use crate::run::search::journal::Told;
use crate::run::search::preference::{figures, name, turned};
use crate::run::search::settle::{DEFAULTS, strengths};
use crate::run::train::point::higher_is_better;
use crate::search::Scored;
use crate::search::course::Job;
use crate::search::front::{front, hypervolume};
use crate::search::importance::importance;

/// Trains what is left of a search, and tells what was found.
pub(super) fn run(mut searching: Searching) -> Result<Option<Exit>> {
    if let Some(exit) = searching.train()? {
        return Ok(Some(exit));
    }
    let Some(best) = searching.journal.best().cloned() else {
        return Err(none_ended(&searching));
    };
    let trial = searching.trial(best.trial)?;
    replace(&searching.path().join("best.toml"), write::to_toml(&trial.config).as_bytes())?;
    let line = format!(
        "best: {}, {}; training it from {}",
        searching.name(best.trial),
        searching.shown(&best),
        of_seeds(searching.search.seeds, "more ")
    );
    if searching.journal.found.is_null() {
        searching.say(&line)?;
    }
    let mut arms = arms(&searching, &trial);
    let (seeds, path) = (searching.search.seeds as usize, searching.path().to_owned());
    let (stopped, failed) = train_arms(&mut arms, seeds, &path, searching.call)?;
    if stopped.is_some() {
        return Ok(stopped);
    }
    let found = found(&mut searching, (&trial, best.trial), &arms, failed)?;
    let text = text(&searching, &trial, &found);
    replace(&searching.path().join("search.txt"), format!("{text}\n").as_bytes())?;
    let console = searching.call.console;
    if !searching.call.args.no_report {
        let written = write_page(searching.path(), &facts(&searching, &found));
        console.note(&match written {
            Ok(page) => format!("page: {}", page.display()),
            // The search is whole without it.
            Err(error) => format!("warning: no page: {error:#}"),
        });
    }
    if console.json { console.result_json(&found) } else { console.result(&text) }.map(|()| None)
}

/// The error of a search in which no trial has a score.
fn none_ended(searching: &Searching) -> anyhow::Error {
    let failed = searching.journal.jobs.iter().find_map(|told| told.failed.as_ref());
    let (exit, why) = match failed {
        Some(why) => (Exit::Config, format!("all trials failed, the first one so: {why}")),
        None => (Exit::Config, "the time was over before a trial had ended".to_owned()),
    };
    let place = searching.path().display();
    Fault::new(exit, format!("{place}: {why}"))
        .hint("give the search more time, or a space that fits the data")
        .into()
}

/// The findings of a search as JSON; the test part is measured where that was not done before.
fn found(
    searching: &mut Searching,
    (trial, number): (&Trial, usize),
    arms: &[Arm],
    failed: Vec<String>,
) -> Result<Value> {
    if searching.journal.found["best"]["trial"].is_u64() {
        return Ok(searching.journal.found.clone());
    }
    let keys = searching.keys();
    let (seeds, has_test) = (searching.search.seeds as usize, searching.config.data.has_test());
    let (valid, test) = measured(arms, seeds, has_test, searching.call)?;
    let best = searching.journal.best();
    let values: Map<String, Value> =
        keys.iter().zip(&trial.values).map(|(key, value)| (key.clone(), json!(value))).collect();
    let mut sentences = sentences(searching, trial, number, has_test);
    sentences.extend(failed);
    let names: Vec<&str> = arms.iter().map(|arm| arm.name.as_str()).collect();
    if names.first() == Some(&DEFAULTS) && names.contains(&BEST) {
        let than = ("the best settings", BEST, "those as they stand");
        sentences.extend(verdicts(&valid, &test, than));
    }
    let found = json!({
        "directory": searching.path(),
        "objective": searching.objective_name(),
        "trials": searching.count(),
        "failed": searching.failed(),
        "seconds": searching.journal.seconds,
        "best": {
            "trial": number + 1,
            "score": best.and_then(|best| best.score),
            "figure": best.and_then(|best| best.score).map(|score| searching.figure(score)),
            "values": values,
            "run": searching.path().join("best"),
            "settings": searching.path().join("best.toml"),
        },
        "importance": searching.importance(),
        "front": searching.front(),
        "valid": valid,
        "test": test,
        "sentences": sentences,
    });
    searching.journal.found = found.clone();
    searching.save()?;
    Ok(found)
}

/// Comparisons of several settings on the validation part, and then on the test part, where there
/// is one; nulls where there is nothing to compare.
///
/// # Errors
/// The errors of [`beside`].
pub(super) fn measured(
    arms: &[Arm],
    seeds: usize,
    has_test: bool,
    call: &Call,
) -> Result<(Value, Value)> {
    if arms.is_empty() {
        return Ok((Value::Null, Value::Null));
    }
    let paths = |arm: &Arm| {
        (1..=seeds).map(|seed| Group::Repeats.directory(&arm.path, seed)).collect::<Vec<_>>()
    };
    let ways: Vec<_> = arms.iter().map(|arm| (arm.name.clone(), paths(arm))).collect();
    let compared = |part: Part| -> Result<Value> {
        let comparison = beside(&ways, part, call)?;
        let found = comparison.found();
        let mut json = found.json();
        json["text"] = json!(found.text());
        Ok(json)
    };
    let valid = compared(Part::Valid)?;
    // The best settings are fixed by now: what the test part says changes nothing.
    call.show_test();
    Ok((valid, if has_test { compared(Part::Test)? } else { Value::Null }))
}

/// The tables of what [`measured`] has found.
pub(super) fn tables(found: &Value, seeds: u64) -> Vec<String> {
    let parts = [("valid", "on the validation part"), ("test", "on the test part")];
    let table = |(part, title): (&str, &str)| {
        let table = found[part]["text"].as_str()?;
        Some(format!("\n{title}, {}:\n{table}", of_seeds(seeds, "")))
    };
    parts.into_iter().filter_map(table).chain([String::new()]).collect()
}

/// Sentences that a reader should know beside the figures.
fn sentences(searching: &Searching, trial: &Trial, number: usize, has_test: bool) -> Vec<String> {
    let mut all = Vec::new();
    if number == 0 {
        all.push("no trial is better than the settings as they stand".to_owned());
    }
    let searched = strengths(&searching.keys());
    let is_zero = |at: &usize| trial.config.couplings[*at].strength == 0.0;
    if !searched.is_empty() && searched.iter().all(is_zero) {
        all.push(match trial.config.couplings.iter().all(|coupling| coupling.strength == 0.0) {
            true => "λ = 0: the best settings have no coupling".to_owned(),
            false => {
                "λ = 0: the best settings have none of the couplings that are searched".to_owned()
            }
        });
    }
    let failed = searching.failed();
    if failed > 0 {
        all.push(format!("{failed} of {} trials failed: trials.csv says why", searching.count()));
    }
    let is_told = searching.importance().as_object().is_some_and(|shares| !shares.is_empty());
    if is_told && searching.count() < 30 {
        all.push("importance from fewer than thirty trials is mostly noise".to_owned());
    }
    if !has_test {
        all.push("there is no test part: every figure is of the part that picked".to_owned());
    }
    all
}

/// Sentences about the mean difference of some settings from others on both parts. `than` has a
/// name of the settings in sentences, the name of their runs, and those that they are compared
/// with.
pub(super) fn verdicts(valid: &Value, test: &Value, than: (&str, &str, &str)) -> Vec<String> {
    let parts = [(valid, "validation"), (test, "test")];
    parts.into_iter().filter_map(|(found, part)| verdict(found, part, than)).collect()
}

/// A sentence about one part. It decides where the intervals over rows and seeds, and over seeds
/// alone, lie on one side of 0.
fn verdict(found: &Value, part: &str, (whose, name, others): (&str, &str, &str)) -> Option<String> {
    let found = &found["mean"][name];
    let ends = |key: &str| -> Option<[f64; 2]> {
        Some([found[key][0].as_f64()?, found[key][1].as_f64()?])
    };
    let (percent, interval) = (found["percent"].as_f64()?, ends("interval")?);
    let [low, high] = interval;
    let over_seeds = ends("interval_over_seeds").unwrap_or([f64::NAN; 2]);
    let figures = format!("{percent:+.2} % [{low:+.2}, {high:+.2}] in the mean on the {part} part");
    let seeds = match over_seeds {
        [low, high] if low.is_finite() => format!(", over seeds alone [{low:+.2}, {high:+.2}]"),
        _ => ", and one seed tells nothing of others".to_owned(),
    };
    let all = |holds: fn(&f64) -> bool| interval.iter().chain(&over_seeds).all(holds);
    Some(match (all(|end| *end > 0.0), all(|end| *end < 0.0)) {
        (true, _) => format!("{whose} are better than {others}: {figures}{seeds}"),
        (_, true) => format!("{whose} are worse than {others}: {figures}{seeds}"),
        _ => format!("whether {whose} are better than {others} cannot be told: {figures}{seeds}"),
    })
}

/// Advice on the best settings in `path`: to keep others, where a sentence says that these are
/// worse.
pub(super) fn way_on(path: &Path, sentences: &Value) -> String {
    let all: Vec<&str> =
        sentences.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if all.iter().any(|sentence| sentence.contains(" are worse than ")) {
        return "keep the settings as they are".to_owned();
    }
    if all.iter().any(|sentence| sentence.starts_with(BEST) && sentence.contains(BREAKS)) {
        return "the best settings do not train from every seed: search where steps are smaller"
            .to_owned();
    }
    format!("train with them: tandem train {}/best.toml", path.display())
}

/// A number of seeds in words.
fn of_seeds(seeds: u64, more: &str) -> String {
    if seeds == 1 { format!("one {more}seed") } else { format!("{seeds} {more}seeds") }
}

/// The result as text.
fn text(searching: &Searching, trial: &Trial, found: &Value) -> String {
    let keys = searching.keys();
    let mut lines = vec![format!(
        "best settings, trial {} of {}, in best.toml:",
        found["best"]["trial"], found["trials"]
    )];
    let defaults = Trial::new(searching.config.clone(), &keys);
    let width = keys.iter().map(|key| key.chars().count()).max().unwrap_or(0);
    for ((key, value), default) in keys.iter().zip(&trial.values).zip(&defaults.values) {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let share = found["importance"][key].as_f64();
        let share = share.map_or(String::new(), |share| format!(", importance {share:.2}"));
        lines.push(format!(
            "  {key:width$} = {} (as it stands: {}{share})",
            shown(value),
            shown(default)
        ));
    }
    lines.extend(front_lines(&found["front"]));
    lines.extend(tables(found, searching.search.seeds));
    let sentences = found["sentences"].as_array().into_iter().flatten();
    lines.extend(sentences.filter_map(|line| line.as_str().map(str::to_owned)));
    let path = searching.path();
    lines.push(way_on(path, &found["sentences"]));
    lines.push(format!("directory: {}", path.display()));
    lines.join("\n")
}

/// The front as lines of text.
fn front_lines(front: &Value) -> Vec<String> {
    let texts = |list: &Value| -> Vec<String> {
        let of = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.as_f64().map_or(String::new(), |number| format!("{number:.4}")),
        };
        list.as_array().into_iter().flatten().map(of).collect()
    };
    let Some(volume) = front["hypervolume"].as_f64() else { return Vec::new() };
    let from = if front["is_given"] == true { "" } else { ", the worst figures of any trial" };
    let mut lines = vec![format!(
        "\nfront of {}; hypervolume {volume:.6} from {}{from}:",
        texts(&front["objectives"]).join(", "),
        texts(&front["reference"]).join(", ")
    )];
    let trials = front["trials"].as_array().into_iter().flatten();
    let line = |trial: &Value| {
        format!("  trial {}: {}", trial["trial"], texts(&trial["figures"]).join(", "))
    };
    lines.extend(trials.filter(|trial| trial["on_front"] == true).map(line));
    lines
}

impl Searching<'_> {
    /// The figure that is looked for.
    pub(super) fn select(&self) -> &Select {
        &self.config.train.select
    }

    /// The name of that figure.
    pub(super) fn objective_name(&self) -> String {
        match self.select() {
            Select::RelativeLoss => "relative_loss".to_owned(),
            Select::Loss => "loss".to_owned(),
            Select::Mean => "mean".to_owned(),
            Select::Metric { task, metric } => format!("{task}.{metric}"),
            Select::Weighted(terms) => {
                let name = |term: &Term| {
                    let sign = if higher_is_better(&term.metric) { "" } else { "−" };
                    format!("{sign}{}.{}", term.task, term.metric)
                };
                format!("mean of {}", terms.iter().map(name).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// A score as the figure that it is of.
    pub(super) fn figure(&self, score: f64) -> f64 {
        let is_turned = match self.select() {
            Select::RelativeLoss | Select::Loss => true,
            Select::Metric { metric, .. } => !higher_is_better(metric),
            Select::Mean | Select::Weighted(_) => false,
        };
        if is_turned { -score } else { score }
    }

    /// A score in sentences.
    pub(super) fn objective(&self, score: f64) -> String {
        format!("{} {:.4}", self.objective_name(), self.figure(score))
    }

    /// What a job has shown of what is looked for.
    pub(super) fn shown(&self, told: &Told) -> String {
        match told.score {
            Some(score) if self.search.pareto.is_empty() => self.objective(score),
            _ => self.figures(told),
        }
    }

    /// The figures of several objectives that a job has shown.
    pub(super) fn figures(&self, told: &Told) -> String {
        let objectives = self.objectives();
        let found = figures(objectives, &told.tasks).unwrap_or_default();
        let pairs = objectives.iter().zip(found);
        pairs.map(|(one, value)| format!("{} {value:.4}", name(one))).collect::<Vec<_>>().join(", ")
    }

    /// Number of trials that have begun.
    pub(super) fn count(&self) -> usize {
        self.journal.jobs.iter().map(|told| told.trial + 1).max().unwrap_or(0)
    }

    /// Number of trials that failed.
    pub(super) fn failed(&self) -> usize {
        let last = (0..self.count()).filter_map(|trial| self.journal.last(trial));
        last.filter(|told| told.score.is_none()).count()
    }

    /// The share of the spread of the ranks of trials that each key explains alone, by the scores
    /// of the first rung, which all have reached.
    pub(super) fn importance(&self) -> Value {
        let scored: Vec<(Vec<f64>, Option<f64>)> = (0..self.count())
            .filter_map(|trial| {
                let told = self.journal.told(Job { trial, rung: 0 })?;
                Some((self.point(trial)?, told.score))
            })
            .collect();
        // Ranks in place of scores: one trial that diverged would be all the spread.
        let mut order: Vec<f64> = scored.iter().filter_map(|(_, score)| *score).collect();
        order.sort_by(f64::total_cmp);
        let rank = |score: f64| order.partition_point(|other| *other < score) as f64;
        let scored: Vec<Scored> =
            scored.iter().map(|(point, score)| (&point[..], score.map(rank))).collect();
        let dimensions = self.settled.space.dimensions.len();
        let shares = importance(&scored, dimensions, self.search.seed);
        let keys = self.keys().into_iter();
        keys.zip(shares.unwrap_or_default())
            .map(|(key, share)| (key, json!(share)))
            .collect::<Map<_, _>>()
            .into()
    }

    /// The objectives that a front lies between; none where one figure is looked for.
    fn objectives(&self) -> &[Select] {
        match (&self.search.pareto[..], &self.search.objective[..]) {
            ([], [_]) => &[],
            ([], all) => all,
            (all, _) => all,
        }
    }

    /// Whether a metric of a task is among what is looked for.
    fn is_asked(&self, task: &str, metric: &str) -> bool {
        match self.select() {
            Select::Metric { task: t, metric: m } => t == task && m == metric,
            Select::Weighted(terms) => terms.iter().any(|t| t.task == task && t.metric == metric),
            _ => false,
        }
    }

    /// The trials that no other trial is better than in all objectives, with the volume that they
    /// dominate; null where one figure is looked for.
    pub(super) fn front(&self) -> Value {
        let objectives = self.objectives();
        let of = |trial: usize| {
            let found = figures(objectives, &self.journal.last(trial)?.tasks)?;
            Some((trial, found))
        };
        let points: Vec<(usize, Vec<f64>)> = (0..self.count()).filter_map(of).collect();
        if objectives.is_empty() || points.is_empty() {
            return Value::Null;
        }
        let all: Vec<Vec<f64>> =
            points.iter().map(|(_, found)| turned(objectives, found)).collect();
        let worst = |at: usize| all.iter().map(|point| point[at]).fold(f64::INFINITY, f64::min);
        let reference = match &self.search.reference[..] {
            [] => (0..objectives.len()).map(worst).collect(),
            given => turned(objectives, given),
        };
        let on_front = front(&all);
        let trials = points.iter().enumerate().map(|(at, (trial, found))| {
            json!({"trial": trial + 1, "figures": found, "on_front": on_front.contains(&at)})
        });
        json!({
            "objectives": objectives.iter().map(name).collect::<Vec<_>>(),
            "trials": trials.collect::<Vec<_>>(),
            "reference": turned(objectives, &reference),
            "is_given": !self.search.reference.is_empty(),
            "hypervolume": hypervolume(&all, &reference),
        })
    }

    /// The table of trials, as CSV.
    pub(super) fn table(&self) -> String {
        let keys = self.keys();
        let mut head: Vec<String> =
            ["trial", "name", "rung", "steps", "epoch", "seconds", "parameters"]
                .map(str::to_owned)
                .to_vec();
        head.push(self.objective_name());
        head.extend(keys.iter().cloned());
        let figures: Vec<(String, &str)> = self
            .config
            .tasks
            .iter()
            .flat_map(|task| {
                let mut names = vec!["loss", task.kind.metrics()[0]];
                let asked = |name: &&&str| self.is_asked(&task.name, name) && !names.contains(name);
                let more: Vec<&str> = task.kind.metrics().iter().filter(asked).copied().collect();
                names.extend(more);
                names.into_iter().map(|name| (task.name.clone(), name)).collect::<Vec<_>>()
            })
            .collect();
        head.extend(figures.iter().map(|(task, name)| format!("valid/{task}/{name}")));
        head.push("failed".to_owned());
        let mut lines = vec![head];
        for number in 0..self.count() {
            let Some(told) = self.journal.last(number) else { continue };
            let fixed = self.settled.fixed.get(number).map(|(name, _)| name.clone());
            let mut cells = vec![
                (number + 1).to_string(),
                fixed.unwrap_or_default(),
                (told.rung + 1).to_string(),
                told.steps.to_string(),
                told.epoch.to_string(),
                format!("{:.3}", told.seconds),
                told.parameters.to_string(),
            ];
            cells.push(told.score.map_or(String::new(), |score| self.figure(score).to_string()));
            let values = self.values(number);
            cells.extend(values.into_iter().map(|value| value.as_deref().map_or("".into(), plain)));
            cells.extend(figures.iter().map(|(task, name)| {
                told.tasks[task][*name].as_f64().map_or(String::new(), |value| value.to_string())
            }));
            cells.push(told.failed.clone().unwrap_or_default());
            lines.push(cells);
        }
        lines.iter().map(|cells| line(cells.iter().map(String::as_str), ',') + "\n").collect()
    }
}

/// A value of TOML; a text without its quotes.
fn plain(value: &str) -> String {
    let table: Option<toml::Table> = format!("v = {value}").parse().ok();
    let text = table.and_then(|table| table.get("v")?.as_str().map(str::to_owned));
    text.unwrap_or_else(|| value.to_owned())
}
