//! The predictions of a model for rows, task by task.

use crate::config::TaskKind;
use crate::data::tokens::Tokens;
use crate::data::{Scaling, Target};
use crate::model::file::Model;
use crate::model::network::Head;
use crate::run::apply::probability::{sigmoid, softmax};
use crate::run::apply::tags::Decoder;
use crate::run::metrics::multiclass::first_largest;

/// The prediction for one row and one task.
pub(super) enum Prediction<'m> {
    /// The predicted class, and the probability of each class.
    Class(&'m str, Vec<f64>),
    /// The predicted tag.
    Tag(&'m str),
    /// A probability or a number for each label column.
    Numbers(Vec<f64>),
}

/// A task of a model, with the logits of some rows.
pub(super) struct Predicted<'m> {
    pub(super) head: &'m Head,
    target: &'m Target,
    logits: &'m [f32],
    /// The tag of each row, if the task has tags.
    tags: Vec<usize>,
    /// The first row of the sentence of each row, if labels are those of sentences.
    pub(super) firsts: Vec<u32>,
}

/// The tasks of a model; `logits` are [rows, outputs] for each, and `tokens` the sentences of the
/// rows.
pub(super) fn tasks<'m>(
    model: &'m Model,
    tokens: Option<&Tokens>,
    logits: &'m [Vec<f32>],
) -> Vec<Predicted<'m>> {
    let heads = model.network.tasks.iter().zip(&model.schema.targets).zip(logits);
    let task = |((head, target), logits): ((&'m Head, &'m Target), &'m Vec<f32>)| {
        let tags = target
            .scheme
            .zip(tokens)
            .map(|(scheme, tokens)| Decoder::new(&head.classes, scheme).decode_all(tokens, logits));
        let sentences = tokens.filter(|_| target.pool.is_some()).into_iter();
        let firsts = sentences
            .flat_map(Tokens::sentences)
            .flat_map(|rows| std::iter::repeat_n(rows.start as u32, rows.len()))
            .collect();
        let tags = tags.unwrap_or_default();
        Predicted { head, target, logits, tags, firsts }
    };
    heads.map(task).collect()
}

impl<'m> Predicted<'m> {
    /// The logits of a row.
    pub(super) fn logits(&self, row: usize) -> &'m [f32] {
        let row = self.firsts.get(row).map_or(row, |first| *first as usize);
        let outputs = self.head.outputs();
        &self.logits[row * outputs..][..outputs]
    }

    /// The prediction for a row.
    pub(super) fn prediction(&self, row: usize) -> Prediction<'m> {
        let z = self.logits(row);
        match self.head.kind {
            TaskKind::Multiclass => {
                Prediction::Class(&self.head.classes[first_largest(z)], softmax(z))
            }
            TaskKind::Tags => {
                let class = self.tags.get(row).copied().unwrap_or_else(|| first_largest(z));
                Prediction::Tag(&self.head.classes[class])
            }
            TaskKind::Binary => {
                let p = sigmoid(z[0]);
                Prediction::Class(
                    &self.head.classes[usize::from(p > self.head.threshold())],
                    vec![sigmoid(-z[0]), p],
                )
            }
            TaskKind::Multilabel => Prediction::Numbers(z.iter().map(|z| sigmoid(*z)).collect()),
            TaskKind::Regression => {
                let back = |(z, scale): (&f32, &Scaling)| {
                    let (z, unit) = (f64::from(*z), 1.0 / scale.factor);
                    rounded(z * unit + scale.offset, z * unit)
                };
                Prediction::Numbers(z.iter().zip(&self.target.scales).map(back).collect())
            }
            TaskKind::Count => {
                let count = f64::from(z[0]).exp();
                Prediction::Numbers(vec![rounded(count, count)])
            }
        }
    }

    /// Names of the numbers of a prediction: classes, or label columns where there are several.
    pub(super) fn names(&self) -> &'m [String] {
        match self.head.kind {
            TaskKind::Multiclass | TaskKind::Binary => &self.head.classes,
            TaskKind::Multilabel => &self.head.columns,
            TaskKind::Regression if self.head.columns.len() > 1 => &self.head.columns,
            TaskKind::Regression | TaskKind::Count | TaskKind::Tags => &[],
        }
    }

    /// Whether the table has a column with the name of the task alone.
    pub(super) fn has_task_column(&self) -> bool {
        self.names().is_empty() || !self.head.classes.is_empty()
    }

    /// Names of the columns of its logits.
    pub(super) fn logit_names(&self) -> Vec<String> {
        let name = &self.head.name;
        match (self.head.kind, self.names()) {
            (TaskKind::Tags, _) => {
                self.head.classes.iter().map(|class| format!("{name}:logit:{class}")).collect()
            }
            (TaskKind::Binary, [_, positive]) => vec![format!("{name}:logit:{positive}")],
            (_, []) => vec![format!("{name}:logit")],
            (_, names) => names.iter().map(|column| format!("{name}:logit:{column}")).collect(),
        }
    }
}

/// `x` rounded to the digits that are known if a part of it was an f32 of the size of `part`.
fn rounded(x: f64, part: f64) -> f64 {
    let unit = part.abs().max(f64::MIN_POSITIVE) * f64::from(f32::EPSILON) / 4.0;
    let digits = (-unit.log10()).ceil().clamp(0.0, 17.0) as usize;
    format!("{x:.digits$}").parse().unwrap_or(x)
}
