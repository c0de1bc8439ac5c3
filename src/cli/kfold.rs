//! `train --k-fold N`: each fold is tested on once by a network that was trained on the others;
//! means and spreads over the folds, and what was predicted of each row by the network that did not
//! know it.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::json;

use super::call::{Call, overrides};
use super::members::{Member, Members, Whole, check_hashes, tested};
use super::summary::Summary;
use crate::config::{Config, read, write};
use crate::data::Dataset;
use crate::data::load::every_fold::look;
use crate::data::load::folds::Folds;
use crate::data::load::route;
use crate::fault::{Exit, Fault};
use crate::model::file::{self, Model};
use crate::replace::replace;
use crate::run::apply::group::{Group, PREDICTIONS};
use crate::run::apply::predict::{Format, Sheet};
use crate::run::apply::together::{Predictor, Union};
use crate::run::checkpoint::changes;
use crate::run::directory::RunDirectory;
use crate::run::job::resume::check_changes;

/// The keys that stand for the flag.
pub(super) fn keys(folds: u64) -> [String; 2] {
    [format!("data.folds={folds}"), "data.fold=1".to_owned()]
}

/// What is wrong with a configuration that has no folds, said of the flag that asks for them.
pub(super) fn of_flag(error: anyhow::Error) -> anyhow::Error {
    let message = error.to_string();
    match message.strip_prefix("data.folds: ").or(message.strip_prefix("data.fold: ")) {
        Some(rest) => {
            let hint = "leave the flag out, or remove the key that stands against it";
            Fault::new(Exit::Usage, format!("--k-fold: {rest}")).hint(hint).into()
        }
        None => error,
    }
}

/// A run of several folds.
struct Run<'c> {
    members: Members<'c>,
    /// The settings, those of the first fold.
    config: Config,
    folds: Folds,
}

/// Trains one network a fold, in `fold-1`, `fold-2`, … of the run directory, and shows what the
/// folds have in common.
pub(super) fn train(config: Config, name: &str, folds: usize, call: &Call) -> Result<Option<Exit>> {
    let (found, notes) = look(&config.data, &config.tasks, folds)?;
    let parent = RunDirectory::create(call.args.out.as_deref(), name)?;
    let mut run = Run::new(call, parent, config, found, folds);
    run.members.save_settings(&run.config)?;
    notes.iter().try_for_each(|note| run.members.say(note))?;
    run.run()
}

/// Goes on with such a run: folds that have ended are kept, the one under way goes on, the others
/// begin.
pub(super) fn go_on(path: &Path, call: &Call) -> Result<Option<Exit>> {
    let settings = path.join(Group::Folds.settings());
    if !settings.is_file() {
        let found = format!(
            "is a run of folds without {}, which tandem 0.1.0 did not write",
            Group::Folds.settings()
        );
        let first = Group::Folds.directory(path, 1);
        let hint = format!("go on with one fold: tandem train --resume {}", first.display());
        return Err(Fault::missing(path.display(), found).hint(hint).into());
    }
    let parent = RunDirectory::open(path)?;
    let before = read::from_file(&settings, &[])?;
    let config = read::from_file(&settings, &overrides(call.args))?;
    let Some((_, folds)) = before.data.fold.filter(|_| config.data.fold == before.data.fold) else {
        let fault = Fault::config("data.folds", "a run that goes on cannot change its folds");
        return Err(fault.hint("begin a new run, or leave the keys out").into());
    };
    let is_changed = check_changes(&changes(&write::to_toml(&before), &write::to_toml(&config))?)?;
    let hashes = route::hashes(&config.data)?;
    let (found, _) = look(&config.data, &config.tasks, folds)?;
    let mut run = Run::new(call, parent, config, found, folds);
    check_hashes(run.members.whole.word, &hashes, run.members.hashes().as_ref())?;
    run.members.take_over(Group::Folds.tested(path, folds), is_changed)?;
    run.members.save_settings(&run.config)?;
    run.run()
}

impl<'c> Run<'c> {
    fn new(
        call: &'c Call<'c>,
        parent: RunDirectory,
        config: Config,
        found: Folds,
        folds: usize,
    ) -> Run<'c> {
        let member = |fold: usize| {
            let mut config = config.clone();
            config.data.fold = Some((fold, folds));
            let directory = format!("fold-{fold}");
            Member { directory, label: format!("fold {fold} of {folds}"), config, initial: None }
        };
        let whole = Whole::of(Group::Folds, folds);
        let members = Members::new(call, parent, whole, (1..=folds).map(member).collect());
        Run { members, config, folds: found }
    }

    fn path(&self) -> &Path {
        self.members.path()
    }

    /// All folds that have not ended, then what they have in common.
    fn run(&mut self) -> Result<Option<Exit>> {
        if let Some(exit) = self.members.train(|done, _| tested(done), |_| false)? {
            return Ok(Some(exit));
        }
        let predictions = self.predictions()?;
        let summary = Summary::of(&self.members.shown);
        let tasks = summary.json("folds");
        self.members.save(json!({"tasks": tasks}))?;
        let console = self.members.call.console;
        if console.json {
            let found = json!({
                "run": self.path(),
                "folds": self.members.shown.len(),
                "tasks": tasks,
                "predictions": predictions,
            });
            console.result_json(&found)?;
        } else {
            let (path, predictions) = (self.path().display(), predictions.display());
            console.result(&format!(
                "{}\nout-of-fold predictions: {predictions}\nrun directory: {path}",
                summary.table("folds", "fold")
            ))?;
        }
        Ok(None)
    }

    /// Writes what each fold predicts of its own rows, every row once and in the order of the
    /// table.
    fn predictions(&self) -> Result<PathBuf> {
        let mut sheets = Vec::with_capacity(self.members.shown.len());
        for fold in 1..=self.members.shown.len() {
            sheets.push(self.sheet(fold, file::load(&Group::Folds.directory(self.path(), fold))?)?);
        }
        let mut lines: Vec<_> = sheets.iter().map(|sheet| records(sheet)).collect();
        let heads: Vec<&[u8]> = lines.iter_mut().filter_map(Iterator::next).collect();
        if heads.windows(2).any(|pair| pair[0] != pair[1]) {
            let found = "folds predict different columns, so there is no table of all";
            return Err(Fault::data(self.path().display(), found)
                .hint("predict with each fold on its own")
                .into());
        }
        let mut text = heads.first().map(|head| head.to_vec()).unwrap_or_default();
        self.folds
            .of
            .iter()
            .filter_map(|&fold| lines[fold as usize].next())
            .for_each(|line| text.extend(line));
        let path = self.path().join(PREDICTIONS);
        replace(&path, &text)?;
        Ok(path)
    }

    /// What a fold predicts of its own rows, as CSV.
    fn sheet(&self, fold: usize, model: Model) -> Result<Vec<u8>> {
        let (config, models, mut text) = (&self.config, [model], Vec::new());
        let machine = self.members.call.machine(config.train.precision)?;
        let (mut predictor, mut sheet, mut to) = (None, None, Some(&mut text));
        let failed = |e| Fault::new(Exit::Io, format!("{PREDICTIONS}: {e}"));
        let mut take = |data: Dataset| -> Result<()> {
            let predictor = match &mut predictor {
                Some(predictor) => predictor,
                none => none.insert(Predictor::new(&models, Union::Mean, &data, machine)?),
            };
            let logits = predictor.logits(&data)?;
            if let Some(to) = to.take() {
                sheet =
                    Some(Sheet::new(to, &models[0], &data, Format::Csv, false).map_err(failed)?);
            }
            Ok(sheet.iter_mut().try_for_each(|sheet| sheet.add(&data, &logits)).map_err(failed)?)
        };
        self.folds.rows_of((&config.data, &config.tasks), &models[0].schema, fold, &mut take)?;
        if let Some(sheet) = sheet {
            sheet.finish().map_err(failed)?;
        }
        Ok(text)
    }
}

/// The lines of a CSV text, each with its end; a line break within quotes is none.
fn records(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    text.split_inclusive(move |byte| {
        is_quoted ^= *byte == b'"';
        *byte == b'\n' && !is_quoted
    })
}
