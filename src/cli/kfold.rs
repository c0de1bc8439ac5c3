//! `train --k-fold N`: each fold is tested on once by a network that was trained on the others;
//! means and spreads over the folds, and what was predicted of each row by the network that did not
//! know it.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::call::{Call, overrides};
use crate::config::{Config, read, write};
use crate::data::Dataset;
use crate::data::load::every_fold::look;
use crate::data::load::folds::Folds;
use crate::data::load::route;
use crate::fault::{Exit, Fault};
use crate::model::file::{self, Model};
use crate::replace::replace;
use crate::run::apply::folds::{self, PREDICTIONS, SETTINGS, SUMMARY, directory};
use crate::run::apply::predict::{Format, Sheet};
use crate::run::apply::together::{Predictor, Union};
use crate::run::checkpoint::changes;
use crate::run::directory::RunDirectory;
use crate::run::job::Place;
use crate::run::job::resume::check_changes;
use crate::run::train::Plan;
use crate::run::train::point::tasks_json;

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

/// A run of several folds, each in a directory of its own within that of the run.
struct Run<'c> {
    call: &'c Call<'c>,
    parent: RunDirectory,
    /// The settings, those of the first fold.
    config: Config,
    folds: Folds,
    /// What each fold showed on its own rows, once it has ended.
    tested: Vec<Option<Value>>,
}

/// Trains one network a fold, in `fold-1`, `fold-2`, … of the run directory, and shows what the
/// folds have in common.
pub(super) fn train(config: Config, name: &str, folds: usize, call: &Call) -> Result<Option<Exit>> {
    let (found, notes) = look(&config.data, &config.tasks, folds)?;
    let parent = RunDirectory::create(call.args.out.as_deref(), name)?;
    let mut run = Run { call, parent, config, folds: found, tested: vec![None; folds] };
    run.save_settings()?;
    notes.iter().try_for_each(|note| run.say(note))?;
    run.run()
}

/// Goes on with such a run: folds that have ended are kept, the one under way goes on, the others
/// begin.
pub(super) fn go_on(path: &Path, call: &Call) -> Result<Option<Exit>> {
    let settings = path.join(SETTINGS);
    if !settings.is_file() {
        let found =
            format!("is a run of folds without {SETTINGS}, which tandem 0.1.0 did not write");
        let hint =
            format!("go on with one fold: tandem train --resume {}", directory(path, 1).display());
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
    check_hashes(&route::hashes(&config.data)?, hashes(path).as_ref())?;
    let (found, _) = look(&config.data, &config.tasks, folds)?;
    let mut run = Run { call, parent, config, folds: found, tested: vec![None; folds] };
    if is_changed {
        // Before the settings: whoever is interrupted now trains too much, and never too little.
        run.save(json!({"folds": folds, "tested": run.tested}))?;
    } else {
        run.read_tested();
    }
    run.save_settings()?;
    run.run()
}

impl Run<'_> {
    fn path(&self) -> &Path {
        self.parent.path()
    }

    /// A line for the console and for the log of the run.
    fn say(&mut self, line: &str) -> Result<()> {
        self.call.console.note(line);
        self.parent.log(line)
    }

    fn save_settings(&self) -> Result<()> {
        replace(&self.path().join(SETTINGS), write::to_toml(&self.config).as_bytes())
    }

    /// Takes over what ended folds have shown.
    fn read_tested(&mut self) {
        let tested = folds::tested(self.path(), self.tested.len()).into_iter().enumerate();
        let has_model = |number: usize| directory(self.path(), number + 1).join("model").is_dir();
        self.tested = tested.map(|(number, tested)| tested.filter(|_| has_model(number))).collect();
    }

    /// All folds that have not ended, then what they have in common.
    fn run(&mut self) -> Result<Option<Exit>> {
        let folds = self.tested.len();
        for fold in 1..=folds {
            if self.tested[fold - 1].is_some() {
                self.say(&format!("fold {fold} of {folds} has ended: it is kept"))?;
                continue;
            }
            let stopped = match self.call.signals.arrived() {
                // One that arrived when the fold before had been trained.
                Some(exit) => Some(exit),
                None => self.fold(fold)?,
            };
            if let Some(exit) = stopped {
                let path = self.path().display().to_string();
                self.say(&format!(
                    "stopped by a signal in fold {fold} of {folds}; go on with: tandem train \
                     --resume {path}"
                ))?;
                return Ok(Some(exit));
            }
        }
        let predictions = self.predictions()?;
        let summary = Summary::of(&self.tested);
        self.save(json!({"folds": folds, "tested": self.tested, "tasks": summary.json()}))?;
        let console = self.call.console;
        if console.json {
            let found = json!({
                "run": self.path(),
                "folds": folds,
                "tasks": summary.json(),
                "predictions": predictions,
            });
            console.result_json(&found)?;
        } else {
            let (path, predictions) = (self.path().display(), predictions.display());
            console.result(&format!(
                "{}\nout-of-fold predictions: {predictions}\nrun directory: {path}",
                summary.table()
            ))?;
        }
        Ok(None)
    }

    /// Trains a fold, or what is left of it; the exit of one that a signal stopped.
    fn fold(&mut self, fold: usize) -> Result<Option<Exit>> {
        let (call, folds) = (self.call, self.tested.len());
        self.say(&format!("fold {fold} of {folds}"))?;
        let out = directory(self.path(), fold);
        let done = if out.join("config.toml").is_file() {
            let (config, place) = Place::resume(&out, &overrides(call.args), &mut call.front())?;
            call.resume(config, place)?
        } else {
            if out.exists() {
                // Nothing was learned where no settings stand.
                fs::remove_dir_all(&out)
                    .map_err(|e| Fault::new(Exit::CantCreate, format!("{}: {e}", out.display())))?;
            }
            let mut config = self.config.clone();
            config.data.fold = Some((fold, folds));
            let hashes = hashes(self.path());
            let begin = |plan: &Plan| {
                check_hashes(&plan.parts.hashes, hashes.as_ref())?;
                RunDirectory::create(Some(&out), "fold")
            };
            call.begin(config, Place::made_by(begin))?
        };
        if let Some(exit) = call.stopped(&done) {
            return Ok(Some(exit));
        }
        let tested = done.outcome.test.as_ref().map(|point| {
            let mut tasks = tasks_json(&done.plan.network, &point.tasks, true);
            let unlabelled =
                done.plan.network.tasks.iter().zip(&point.tasks).filter(|(_, task)| task.rows == 0);
            unlabelled.for_each(|(head, _)| tasks[&head.name]["loss"] = Value::Null);
            tasks
        });
        self.tested[fold - 1] = Some(tested.unwrap_or_else(|| json!({})));
        self.save(json!({"folds": folds, "tested": self.tested}))?;
        Ok(None)
    }

    fn save(&self, summary: Value) -> Result<()> {
        let text = serde_json::to_string_pretty(&summary)? + "\n";
        replace(&self.path().join(SUMMARY), text.as_bytes())
    }

    /// Writes what each fold predicts of its own rows, every row once and in the order of the
    /// table.
    fn predictions(&self) -> Result<PathBuf> {
        let mut sheets = Vec::with_capacity(self.tested.len());
        for fold in 1..=self.tested.len() {
            sheets.push(self.sheet(fold, file::load(&directory(self.path(), fold))?)?);
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
        let machine = self.call.machine(config.train.precision)?;
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

/// Hashes of the data that the first fold of a run was trained on; `None` if it has not begun.
fn hashes(run: &Path) -> Option<Vec<String>> {
    let text = fs::read(directory(run, 1).join("environment.json")).ok()?;
    let found: Value = serde_json::from_slice(&text).ok()?;
    let hashes =
        found["data"].as_object()?.values().filter_map(|hash| hash.as_str().map(str::to_owned));
    Some(hashes.collect())
}

/// All folds are of the same data.
///
/// # Errors
/// 65 with the first file that is another one, or with their number.
fn check_hashes(now: &[(String, String)], before: Option<&Vec<String>>) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    // A file that is read twice stands once among those of before.
    let mut names = HashSet::new();
    let now: Vec<&(String, String)> = now.iter().filter(|(name, _)| names.insert(name)).collect();
    if before.len() != now.len() {
        let found = format!(
            "the first fold was trained on {} files of data, now there are {}",
            before.len(),
            now.len()
        );
        return Err(Fault::data("data", found)
            .hint("give back the files that the run began with, or begin anew")
            .into());
    }
    match now.iter().zip(before).find(|((_, now), before)| now != *before) {
        None => Ok(()),
        Some(((name, _), _)) => {
            let found = "is not the data that the first fold was trained on";
            Err(Fault::data(name, found).hint("give the file back, or begin anew").into())
        }
    }
}

/// Values of each metric of each task, fold by fold; a fold where one is not defined has none.
struct Summary(Vec<(String, Metrics)>);

/// Metrics by name, each with its value in every fold.
type Metrics = Vec<(String, Vec<Option<f64>>)>;

impl Summary {
    fn of(tested: &[Option<Value>]) -> Summary {
        let all = || tested.iter().flatten().filter_map(Value::as_object);
        let tasks = names(all());
        let metrics = |task: &String| {
            let of_task = || all().filter_map(|tasks| tasks.get(task)?.as_object());
            let value = |name: &String| {
                let of_fold =
                    |tested: &Option<Value>| tested.as_ref()?.get(task)?.get(name)?.as_f64();
                tested.iter().map(of_fold).collect::<Vec<Option<f64>>>()
            };
            let named = names(of_task())
                .into_iter()
                .filter(|name| name != "rows")
                .map(|name| (name.clone(), value(&name)));
            named.filter(|(_, values)| values.iter().any(Option::is_some)).collect()
        };
        Summary(tasks.iter().map(|task| (task.clone(), metrics(task))).collect())
    }

    fn table(&self) -> String {
        let width = self.0.iter().map(|(task, _)| task.len()).max().unwrap_or(4).max(8);
        let number = |value: Option<f64>, width: usize| match value {
            Some(value) => format!("{value:>width$.4}"),
            None => " ".repeat(width),
        };
        let mut text = format!(
            "{:width$} {:18} {:>10} {:>10} {:>6}  each fold",
            "task", "metric", "mean", "spread", "folds"
        );
        for (task, metrics) in &self.0 {
            for (name, values) in metrics {
                let Moments { mean, spread, count } = Moments::of(values);
                let each: Vec<String> = values.iter().map(|value| number(*value, 8)).collect();
                let [mean, spread] = [mean, spread].map(|value| number(value, 10));
                text += &format!(
                    "\n{task:width$} {name:18} {mean} {spread} {count:>6}  {}",
                    each.join(" ").trim_end()
                );
            }
        }
        text
    }

    fn json(&self) -> Value {
        let metric = |(name, values): &(String, Vec<Option<f64>>)| {
            let Moments { mean, spread, count } = Moments::of(values);
            (name.clone(), json!({"mean": mean, "spread": spread, "over": count, "folds": values}))
        };
        let tasks = self.0.iter().map(|(task, metrics)| {
            (task.clone(), Value::Object(metrics.iter().map(metric).collect()))
        });
        Value::Object(tasks.collect::<Map<_, _>>())
    }
}

/// Keys of several objects, each once, in the order in which they first stand.
fn names<'v>(objects: impl Iterator<Item = &'v Map<String, Value>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in objects.flat_map(Map::keys) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Mean and sample standard deviation of the values that are defined, and how many these are.
struct Moments {
    mean: Option<f64>,
    /// Absent where there is one value or none.
    spread: Option<f64>,
    count: usize,
}

impl Moments {
    fn of(values: &[Option<f64>]) -> Moments {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        let (count, n) = (known.len(), known.len() as f64);
        let mean = (count > 0).then(|| known.iter().sum::<f64>() / n);
        let squares = mean.map(|mean| known.iter().map(|v| (v - mean).powi(2)).sum::<f64>());
        let spread = squares.filter(|_| count > 1).map(|squares| (squares / (n - 1.0)).sqrt());
        Moments { mean, spread, count }
    }
}
