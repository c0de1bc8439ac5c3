//! What picks the model that is kept, `train.select`: settled and checked before the first step,
//! and a number for each evaluation.

use crate::config::{Config, Select, Version};
use crate::data::{Dataset, Parts};
use crate::fault::{Fault, quoted};
use crate::model::network::Network;
use crate::run::apply::baseline::{TaskLabels, baseline};
use crate::run::apply::evaluate::Measured;
use crate::run::apply::judge;
use crate::run::train::point::{Point, TaskPoint, higher_is_better};

/// The key that it stands in.
const KEY: &str = "train.select";

/// What picks the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection(Rule);

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    /// Mean of (L_i − least) / gain.
    Relative(Vec<Relative>),
    /// The combined loss.
    Loss,
    /// Weighted mean of figures of tasks.
    Figures(Vec<Figure>),
    /// The same as tandem 0.1.0 did it: figures that are not defined have no part in the mean, and
    /// the combined loss stands in for all of them.
    Lenient(Vec<Figure>),
}

/// What divides the loss of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Relative {
    task: usize,
    least: f64,
    gain: f64,
}

/// A metric or the loss of a task, with its weight.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    task: usize,
    name: String,
    weight: f64,
}

/// A selection with what a user should know of it; `None` where nothing picks a model.
pub type Settled = (Option<Selection>, Vec<String>);

impl Selection {
    /// Settles what picks the model of a run.
    ///
    /// # Errors
    /// 78 if it needs labels that the validation part has not, or a metric that these labels cannot
    /// have.
    pub fn new(config: &Config, network: &Network, parts: &Parts) -> Result<Settled, Fault> {
        let Some(valid) = &parts.valid else {
            let idle = "train.patience ends nothing: no row is validated on";
            let picks = !matches!(config.train.select, Select::RelativeLoss | Select::Mean)
                && config.data.has_validation();
            let unpicked = picks.then(|| {
                "train.select picks nothing: no row is validated on, and the last epoch is kept"
                    .to_owned()
            });
            return Ok((
                None,
                (config.train.patience > 0)
                    .then(|| idle.to_owned())
                    .into_iter()
                    .chain(unpicked)
                    .collect(),
            ));
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

    /// How good a model is by a point of the validation part: larger is better.
    ///
    /// # Errors
    /// The name of a figure that is not defined there: then the model cannot be compared.
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
    /// Its value at a point, turned so that larger is better.
    fn of(&self, point: &Point) -> Option<f64> {
        let value = point.tasks[self.task].figure(&self.name)?;
        Some(if higher_is_better(&self.name) { value } else { -value })
    }
}

/// Σ w v / Σ w
fn mean(terms: &[(f64, f64)]) -> f64 {
    let (sum, weights) = terms.iter().fold((0.0, 0.0), |(sum, weights), (value, weight)| {
        (sum + weight * value, weights + weight)
    });
    sum / weights
}

/// What a selection is settled from.
struct SelectionInputs<'a> {
    config: &'a Config,
    network: &'a Network,
    parts: &'a Parts,
    valid: &'a Dataset,
}

impl SelectionInputs<'_> {
    fn figures(&self, select: &Select) -> Vec<Figure> {
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

    fn labels<'d>(&self, task: usize, data: &'d Dataset) -> TaskLabels<'d> {
        TaskLabels::of(data, &self.network.tasks[task], self.network.first_cell(task))
    }

    /// Whether a label of the validation part weighs anything in the loss of a task.
    fn has_labels(&self, task: usize) -> bool {
        let head = &self.network.tasks[task];
        baseline(head, self.labels(task, &self.parts.train), self.labels(task, self.valid))
            .is_some()
    }

    fn weighs(&self, task: usize) -> bool {
        self.config.tasks[task].weight > 0.0
    }

    fn name(&self, task: usize) -> String {
        quoted(&self.network.tasks[task].name)
    }

    /// The default: every task by what there is to gain for it.
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

    /// A rule over tasks that weigh anything, with those of them that have no label to be selected
    /// by.
    fn counted(&self, rule: Rule) -> Settled {
        let (with, without): (Vec<usize>, Vec<usize>) = (0..self.network.tasks.len())
            .filter(|task| self.weighs(*task))
            .partition(|task| self.has_labels(*task));
        if with.is_empty() {
            let and =
                if self.config.train.patience > 0 { ", and patience ends nothing" } else { "" };
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

    /// Figures that the labels of the validation part cannot have are refused.
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

    /// What all tasks show on the validation part where every logit is this one: what is not
    /// defined for any is not defined at all.
    fn probe(&self, logit: f32) -> Vec<TaskPoint> {
        let tasks = &self.network.tasks;
        let logits =
            tasks.iter().map(|head| vec![logit; self.valid.rows * head.outputs()]).collect();
        let measured =
            Measured { loss: None, losses: vec![None; tasks.len()], couplings: Vec::new(), logits };
        judge::tasks(self.network, &self.parts.schema, self.valid, &measured)
    }
}

/// Why a metric may not be defined.
fn why(metric: &str) -> &'static str {
    match metric {
        "auc" => ": they are of one class",
        "average_precision" | "f1" => ": none is positive",
        "r2" => ": they are all equal",
        "top_k" => ": there are no more classes than k",
        _ => "",
    }
}
