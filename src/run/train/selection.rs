//! `train.select`, the rule that picks the model that is kept. It is settled and checked before the
//! first step, and gives a score to each evaluation.

use crate::config::{Config, Select, Version};
use crate::data::{Dataset, Parts};
use crate::fault::{Fault, quoted};
use crate::model::network::Network;
use crate::run::apply::baseline::{TaskLabels, baseline};
use crate::run::apply::evaluate::Measured;
use crate::run::apply::judge;
use crate::run::train::point::{Point, TaskPoint, higher_is_better};

/// The key in the configuration.
const KEY: &str = "train.select";

/// The rule that picks the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection(Rule);

/// How the score of a validation point is computed.
#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// Minus the mean of (L_i − least) / gain.
    Relative(Vec<Relative>),
    /// Minus the combined loss.
    Loss,
    /// The weighted mean of figures of tasks.
    Figures(Vec<Figure>),
    /// The weighted mean as tandem 0.1.0 computed it: a figure that is not defined is left out, and
    /// if none is defined the combined loss takes their place.
    Lenient(Vec<Figure>),
}

/// The numbers that make the loss of a task relative.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Relative {
    task: usize,
    least: f64,
    gain: f64,
}

/// A metric or the loss of a task, with its weight in the mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// Number of the task.
    pub task: usize,
    /// Name of the metric, or `loss`.
    pub name: String,
    pub(super) weight: f64,
}

/// A rule, or `None` if nothing picks a model, with lines about it for the user.
pub type Settled = (Option<Selection>, Vec<String>);

impl Selection {
    /// Settles the rule of a run.
    ///
    /// # Errors
    /// 78 if it needs labels that the validation part does not have, or a metric that is not
    /// defined for these labels.
    pub fn new(config: &Config, network: &Network, parts: &Parts) -> Result<Settled, Fault> {
        let Some(valid) = &parts.valid else {
            return Ok((None, without_validation(config)));
        };
        let scene = SelectionInputs { config, network, parts, valid };
        let select = &config.train.select;
        if config.data.version == Version::V0_1
            && !matches!(select, Select::RelativeLoss | Select::Loss)
        {
            return Ok((Some(Selection(Rule::Lenient(scene.figures(select)))), Vec::new()));
        }
        match select {
            Select::RelativeLoss => Ok(scene.relative()),
            Select::Loss => Ok(scene.counted(Rule::Loss)),
            Select::Mean => {
                let figures = scene.figures(select).into_iter();
                let figures: Vec<Figure> =
                    figures.filter(|f| scene.weighs(f.task) && scene.has_labels(f.task)).collect();
                scene.check(&figures)?;
                Ok(scene.counted(Rule::Figures(figures)))
            }
            Select::Metric { .. } | Select::Weighted(_) => {
                let figures = scene.figures(select);
                scene.check(&figures)?;
                Ok((Some(Selection(Rule::Figures(figures))), Vec::new()))
            }
        }
    }

    /// The score of a model by its validation point; larger is better.
    ///
    /// # Errors
    /// The name of a figure that is not defined at this point: the model then has no score.
    pub fn score(&self, network: &Network, point: &Point) -> Result<f64, String> {
        let name = |task: usize, name: &str| format!("{}.{name}", network.tasks[task].name);
        match &self.0 {
            Rule::Loss => point.loss.map(|loss| -loss).ok_or_else(|| "loss".to_owned()),
            Rule::Relative(tasks) => {
                let of = |r: &Relative| {
                    Ok((point.tasks[r.task].loss.ok_or_else(|| name(r.task, "loss"))? - r.least)
                        / r.gain)
                };
                let all: Vec<f64> = tasks.iter().map(of).collect::<Result<_, String>>()?;
                Ok(-all.iter().sum::<f64>() / all.len() as f64)
            }
            Rule::Figures(figures) => {
                let undefined = |f: &Figure| name(f.task, &f.name);
                let of = |f: &Figure| {
                    f.of(point).map(|value| (value, f.weight)).ok_or_else(|| undefined(f))
                };
                Ok(mean(&figures.iter().map(of).collect::<Result<Vec<_>, String>>()?))
            }
            Rule::Lenient(figures) => {
                let known: Vec<(f64, f64)> =
                    figures.iter().filter_map(|f| Some((f.of(point)?, f.weight))).collect();
                Ok(if known.is_empty() { -point.loss.unwrap_or(0.0) } else { mean(&known) })
            }
        }
    }
}

impl Figure {
    /// Its value at a point; negative where lower values are better.
    pub(super) fn of(&self, point: &Point) -> Option<f64> {
        let value = point.tasks[self.task].figure(&self.name)?;
        Some(if higher_is_better(&self.name) { value } else { -value })
    }
}

/// Lines for the user about settings that have no effect without a validation part.
fn without_validation(config: &Config) -> Vec<String> {
    let idle = "train.patience ends nothing: no row is validated on";
    let picks = !matches!(config.train.select, Select::RelativeLoss | Select::Mean)
        && config.data.has_validation();
    let unpicked = "train.select picks nothing: no row is validated on, and the last epoch is kept";
    let notes = [(!config.train.patience.is_never(), idle), (picks, unpicked)];
    notes.into_iter().filter(|(is_told, _)| *is_told).map(|(_, note)| note.to_owned()).collect()
}

/// Σ w v / Σ w
fn mean(terms: &[(f64, f64)]) -> f64 {
    let (sum, weights) = terms.iter().fold((0.0, 0.0), |(sum, weights), (value, weight)| {
        (sum + weight * value, weights + weight)
    });
    sum / weights
}

/// The inputs from which a rule is settled.
pub(super) struct SelectionInputs<'a> {
    pub(super) config: &'a Config,
    pub(super) network: &'a Network,
    pub(super) parts: &'a Parts,
    pub(super) valid: &'a Dataset,
}

impl SelectionInputs<'_> {
    /// The figures that a setting names; by default the primary metric of each task.
    pub(super) fn figures(&self, select: &Select) -> Vec<Figure> {
        let tasks = &self.network.tasks;
        let number = |name: &str| tasks.iter().position(|head| head.name == name).unwrap_or(0);
        let figure =
            |task: usize, name: &str, weight: f64| Figure { task, name: name.to_owned(), weight };
        match select {
            Select::Metric { task, metric } => vec![figure(number(task), metric, 1.0)],
            Select::Weighted(terms) => {
                terms.iter().map(|t| figure(number(&t.task), &t.metric, t.weight)).collect()
            }
            _ => tasks
                .iter()
                .enumerate()
                .map(|(task, head)| figure(task, head.kind.metrics()[0], 1.0))
                .collect(),
        }
    }

    /// The labels of a task in a part.
    fn labels<'d>(&self, task: usize, data: &'d Dataset) -> TaskLabels<'d> {
        TaskLabels::of(data, &self.network.tasks[task], self.network.first_cell(task))
    }

    /// Whether the validation part has a label of positive weight for a task.
    pub(super) fn has_labels(&self, task: usize) -> bool {
        let head = &self.network.tasks[task];
        baseline(head, self.labels(task, &self.parts.train), self.labels(task, self.valid))
            .is_some()
    }

    /// Whether the loss of a task has a positive weight.
    pub(super) fn weighs(&self, task: usize) -> bool {
        self.config.tasks[task].weight > 0.0
    }

    fn name(&self, task: usize) -> String {
        quoted(&self.network.tasks[task].name)
    }

    /// The default rule: the loss of each task, divided by the possible gain for it.
    fn relative(&self) -> Settled {
        let (mut tasks, mut notes) = (Vec::new(), Vec::new());
        for (task, head) in
            self.network.tasks.iter().enumerate().filter(|(task, _)| self.weighs(*task))
        {
            let found =
                baseline(head, self.labels(task, &self.parts.train), self.labels(task, self.valid));
            let Some(found) = found else { continue };
            if found.gain().is_none() {
                notes.push(format!(
                    "task {}: predicting the mean or the class shares of the training part costs \
                     {} on the validation part, the least possible being {}: its loss selects as \
                     it stands",
                    self.name(task),
                    found.constant,
                    found.saturated
                ));
            }
            tasks.push(Relative {
                task,
                least: found.saturated,
                gain: found.gain().unwrap_or(1.0),
            });
        }
        let (selection, more) = self.counted(Rule::Relative(tasks));
        notes.extend(more);
        (selection, notes)
    }

    /// A rule over the tasks of positive weight, with a line for each of them that has no label in
    /// the validation part. Without any such label nothing picks a model.
    fn counted(&self, rule: Rule) -> Settled {
        let (with, without): (Vec<usize>, Vec<usize>) = (0..self.network.tasks.len())
            .filter(|task| self.weighs(*task))
            .partition(|task| self.has_labels(*task));
        if with.is_empty() {
            let and = if self.config.train.patience.is_never() {
                ""
            } else {
                ", and patience ends nothing"
            };
            let why = "no label of the validation part weighs anything for a task of weight above \
                       0: the last epoch is kept";
            return (None, vec![format!("{why}{and}")]);
        }
        let note = |task: usize| {
            format!(
                "task {} has no label in the validation part: it has no part in {KEY}",
                self.name(task)
            )
        };
        (Some(Selection(rule)), without.into_iter().map(note).collect())
    }

    /// Refuses figures that are not defined for the labels of the validation part.
    fn check(&self, figures: &[Figure]) -> Result<(), Fault> {
        let hint = "select by what the validation part has labels for, or give it such rows";
        for figure in figures {
            if !self.has_labels(figure.task) {
                let found = format!(
                    "task {} has no label of any weight in the validation part",
                    self.name(figure.task)
                );
                return Err(Fault::config(KEY, found).hint(hint));
            }
        }
        let probes = [0.0, 1.0].map(|logit| self.probe(logit));
        let is_defined = |f: &Figure| {
            f.name == "loss" || probes.iter().any(|probe| probe[f.task].metric(&f.name).is_some())
        };
        match figures.iter().find(|figure| !is_defined(figure)) {
            None => Ok(()),
            Some(Figure { task, name, .. }) => {
                let found = format!(
                    "{name} of task {} is not defined by the labels of the validation part{}",
                    self.name(*task),
                    why(name)
                );
                Err(Fault::config(KEY, found).hint(hint))
            }
        }
    }

    /// All tasks on the validation part if every logit is `logit`. A metric that is defined for
    /// none of some logits is not defined for these labels.
    fn probe(&self, logit: f32) -> Vec<TaskPoint> {
        let tasks = &self.network.tasks;
        let logits =
            tasks.iter().map(|head| vec![logit; self.valid.rows * head.outputs()]).collect();
        let measured = Measured { losses: vec![None; tasks.len()], logits, ..Measured::default() };
        judge::task_points(self.network, &self.parts.schema, self.valid, &measured)
    }
}

/// The reason why a metric is not defined, as the end of a sentence.
fn why(metric: &str) -> &'static str {
    match metric {
        "auc" => ": they are of one class",
        "average_precision" | "f1" => ": none is positive",
        "r2" => ": they are all equal",
        "top_k" => ": there are no more classes than k",
        _ => "",
    }
}
