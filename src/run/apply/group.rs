//! Runs that are made of several: folds, repeats. The names of the files that they leave, and their
//! models.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::Value;

use crate::data::Target;
use crate::fault::{Fault, quoted};
use crate::model::file::Model;

/// Name of the file with the predictions for each row, by the model that was not trained on it.
pub const PREDICTIONS: &str = "folds.csv";

/// A kind of run that is made of several, whose models predict together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Each is tested on another fold of the table.
    Folds,
    /// Each has another seed.
    Repeats,
}

impl Group {
    /// All kinds.
    pub const ALL: [Group; 2] = [Group::Folds, Group::Repeats];

    /// The name of one of its runs.
    pub fn word(self) -> &'static str {
        match self {
            Group::Folds => "fold",
            Group::Repeats => "repeat",
        }
    }

    /// The name of several of its runs.
    pub fn words(self) -> &'static str {
        match self {
            Group::Folds => "folds",
            Group::Repeats => "repeats",
        }
    }

    /// Name of the file with the settings of all its runs.
    pub fn settings(self) -> &'static str {
        match self {
            Group::Folds => "folds.toml",
            Group::Repeats => "repeats.toml",
        }
    }

    /// Name of the file with the figures of each run, and with the summary.
    pub fn summary(self) -> &'static str {
        match self {
            Group::Folds => "folds.json",
            Group::Repeats => "repeats.json",
        }
    }

    /// The directory of one of its runs; they are numbered from 1.
    pub fn directory(self, run: &Path, number: usize) -> PathBuf {
        run.join(format!("{}-{number}", self.word()))
    }

    /// The kind of the run in a directory, and the number of its runs: the one that was asked for,
    /// or the number of their directories if no file says it. `None` if it is a single run.
    pub fn of(run: &Path) -> Option<(Group, usize)> {
        let is_single = ["config.toml", "config.json", "model"].iter();
        if is_single.map(|name| run.join(name)).any(|path| path.exists()) {
            return None;
        }
        Group::ALL.into_iter().find_map(|group| {
            let is_there = |number: &usize| group.directory(run, *number).is_dir();
            let there = (1..).take_while(is_there).count();
            let is_group = there > 0 || run.join(group.settings()).exists();
            is_group.then(|| (group, group.asked_for(run).unwrap_or(there)))
        })
    }

    /// The number of runs that was asked for; `None` if no file says it.
    pub fn asked_for(self, run: &Path) -> Option<usize> {
        let number = match self {
            Group::Folds => {
                let text = std::fs::read_to_string(run.join(self.settings())).ok()?;
                let settings: toml::Table = text.parse().ok()?;
                settings.get("data")?.get("folds")?.as_integer()?.try_into().ok()?
            }
            Group::Repeats => self.found(run)["repeats"].as_u64()?,
        };
        // No flag asks for more.
        usize::try_from(number).ok().filter(|number| (1..=1000).contains(number))
    }

    /// The content of the summary; null if there is none.
    fn found(self, run: &Path) -> Value {
        let text = std::fs::read(run.join(self.summary())).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// The figures of each run, from the summary; `None` for one that has not ended.
    pub fn tested(self, run: &Path, count: usize) -> Vec<Option<Value>> {
        let found = self.found(run);
        let of = |number: usize| {
            found["tested"].get(number).filter(|tested| tested.is_object()).cloned()
        };
        (0..count).map(of).collect()
    }
}

/// The models of a run of several, read by `load`.
///
/// # Errors
/// 66 if one has not ended; errors of `load`; 65 if they differ in tasks, columns or classes.
pub fn models(
    (group, count): (Group, usize),
    run: &Path,
    load: impl Fn(&Path) -> Result<Model>,
) -> Result<Vec<Model>> {
    let word = group.word();
    let mut models: Vec<Model> = Vec::with_capacity(count.min(1000));
    // tandem 0.1.0 wrote neither settings nor a summary.
    let tested = run.join(group.settings()).exists().then(|| group.tested(run, count));
    let has_ended =
        |number: usize| tested.as_ref().is_none_or(|tested| tested[number - 1].is_some());
    let has_model = |number: usize| group.directory(run, number).join("model").is_dir();
    for number in 1..=count {
        let path = group.directory(run, number);
        if !has_ended(number) || !has_model(number) {
            let found = if has_ended(number) { "has no model yet" } else { "has not ended" };
            let other = (1..=count)
                .find(|&number| has_ended(number) && has_model(number))
                .map(|number| group.directory(run, number));
            let other = other.map_or_else(String::new, |other| {
                format!("; or name a {word} that has ended, such as {}", other.display())
            });
            let hint = format!("end the run with: tandem train --resume {}{other}", run.display());
            let found = format!("{word} {number} of {count} {found}");
            return Err(Fault::missing(path.display(), found).hint(hint).into());
        }
        let model = load(&path)?;
        if let Some(first) = models.first() {
            check_same(word, first, &model, &path)?;
        }
        models.push(model);
    }
    Ok(models)
}

/// Refuses a model whose predictions cannot be averaged with those of the first one.
fn check_same(word: &str, first: &Model, other: &Model, path: &Path) -> Result<()> {
    let hint = format!("predict with each {word} on its own: tandem predict RUN/{word}-1");
    let what = |target: &Target| {
        (target.task.clone(), target.kind, target.columns.clone(), target.classes.clone())
    };
    let (before, now) = (&first.schema.targets, &other.schema.targets);
    let found = if before.len() != now.len() {
        format!("has {} tasks, {word} 1 has {}", now.len(), before.len())
    } else {
        match before.iter().zip(now).find(|(before, now)| what(before) != what(now)) {
            None => return Ok(()),
            Some((_, now)) => format!(
                "task {} has not the type, columns and classes that it has in {word} 1",
                quoted(&now.task)
            ),
        }
    };
    Err(Fault::data(path.display(), found).hint(hint).into())
}
