//! Runs that exist, beside each other.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::CompareArgs;
use super::table::{Arm, Comparison};
use crate::cli::call::{Call, overrides};
use crate::config::{Config, read, write};
use crate::data::Part;
use crate::fault::{Exit, Fault, quoted};
use crate::model::file;
use crate::model::network::Network;
use crate::run::apply::group::Group;
use crate::run::checkpoint::changes;
use crate::run::compare::sample::{Sample, units};
use crate::run::compare::subject::{measured_part, samples};
use crate::run::directory::data_hashes::{Difference, data_hashes, difference};

/// A run, as far as it decides what it can be compared with.
struct Run {
    path: PathBuf,
    config: Config,
    /// BLAKE3 of each file of its data.
    data: Vec<String>,
    network: Network,
    parameters: usize,
}

/// The part that runs are compared on, its number of rows, and the number of labels of each task.
type Shape = (Part, usize, Vec<usize>);

/// Runs that differ in their seeds alone.
struct Way {
    name: String,
    runs: Vec<Run>,
}

impl Run {
    /// Reads the settings, the hashes and the model of a run.
    fn read(path: &Path) -> Result<Run> {
        let file = path.join("config.toml");
        if !file.is_file() {
            let found = "is no run directory: it has no config.toml";
            let hint = "name directories that tandem train has printed";
            return Err(Fault::missing(path.display(), found).hint(hint).into());
        }
        let config = read::from_file(&file, &[])?;
        let model = file::load(path)?;
        let parameters = model.layout.parameters();
        let data = data_hashes(path).unwrap_or_default();
        Ok(Run { path: path.to_owned(), config, data, network: model.network, parameters })
    }

    /// Whether all settings but the seed are those of another run.
    fn is_repeat_of(&self, other: &Run) -> Result<bool> {
        let text = |config: &Config| {
            let mut config = config.clone();
            config.train.seed = 0;
            write::to_toml(&config)
        };
        Ok(changes(&text(&self.config), &text(&other.config))?.is_empty())
    }
}

/// Refuses a run that was not trained on the data of the first one, or has other tasks or parts.
fn check_same(first: &Run, other: &Run) -> Result<(), Fault> {
    let (a, b) = (first.path.display(), other.path.display());
    let hint = "compare runs of the same rows, parts and tasks";
    if first.data != other.data {
        return Err(Fault::data(&b, format!("was trained on other data than {a}")).hint(hint));
    }
    let parts = |run: &Run| {
        let data = &run.config.data;
        let columns = (data.split_column.clone(), data.group.clone(), data.stratify.clone());
        let weights = data.row_weight.clone();
        (data.split, data.split_seed, columns, weights, data.fold, data.overlay)
    };
    if parts(first) != parts(other) {
        let found = format!("divides its data into parts in another way than {a}");
        return Err(Fault::data(&b, found).hint(hint));
    }
    let tasks = |run: &Run| {
        let heads = run.network.tasks.iter();
        heads
            .map(|h| (h.name.clone(), h.kind, h.classes.clone(), h.columns.clone()))
            .collect::<Vec<_>>()
    };
    if tasks(first) != tasks(other) {
        let found = format!("has other tasks or classes than {a}");
        return Err(Fault::data(&b, found).hint(hint));
    }
    Ok(())
}

/// Compares runs with the first of them.
pub(super) fn compare(paths: &[PathBuf], asked: &CompareArgs, call: &Call) -> Result<()> {
    let args = call.args;
    let given = [
        (!overrides(args).is_empty(), "settings of training"),
        (args.repeats.is_some(), "--repeats"),
        (args.out.is_some(), "--out"),
        (asked.against.is_some(), "--against"),
        (asked.packed.is_some(), "--packed"),
        (args.importance, "--importance"),
        (args.no_report, "--no-report"),
    ];
    if let Some((_, flag)) = given.iter().find(|(is_given, _)| *is_given) {
        let fault = Fault::new(Exit::Usage, format!("{flag}: runs that exist are only compared"));
        return Err(fault.hint("leave it out, or compare a configuration").into());
    }
    let mut ways: Vec<Way> = Vec::new();
    for path in &expanded(paths) {
        let run = Run::read(path)?;
        if ways.iter().flat_map(|way| &way.runs).any(|other| other.path == run.path) {
            let fault = Fault::new(Exit::Usage, format!("{} stands twice", path.display()));
            return Err(fault.hint("name each run once").into());
        }
        if let Some(first) = ways.first().map(|way| &way.runs[0]) {
            check_same(first, &run)?;
        }
        let mut known = None;
        for (number, way) in ways.iter().enumerate() {
            let is_repeat = way.runs[0].is_repeat_of(&run)?;
            let is_new =
                way.runs.iter().all(|other| other.config.train.seed != run.config.train.seed);
            known = known.or((is_repeat && is_new).then_some(number));
        }
        match known {
            Some(number) => ways[number].runs.push(run),
            None => ways.push(Way { name: path.display().to_string(), runs: vec![run] }),
        }
    }
    if ways.len() < 2 {
        let found =
            "all runs are the same training from several seeds: there is nothing to compare";
        return Err(Fault::new(Exit::Usage, found).hint("name runs of other settings, too").into());
    }
    ways.iter_mut().for_each(|way| way.runs.sort_by_key(|run| run.config.train.seed));
    check_seeds(&ways)?;
    let found = measured(&ways, call, None)?;
    let found = found.found();
    let console = call.console;
    if console.json { console.result_json(&found.json()) } else { console.result(&found.text()) }
}

/// The runs that paths stand for: a run of repeats stands for each of them.
fn expanded(paths: &[PathBuf]) -> Vec<PathBuf> {
    let runs = |path: &PathBuf| match Group::of(path) {
        Some((Group::Repeats, count)) => {
            (1..=count).map(|number| Group::Repeats.directory(path, number)).collect()
        }
        _ => vec![path.clone()],
    };
    paths.iter().flat_map(runs).collect()
}

/// All ways have the same seeds.
fn check_seeds(ways: &[Way]) -> Result<(), Fault> {
    let seeds = |way: &Way| way.runs.iter().map(|run| run.config.train.seed).collect::<Vec<_>>();
    let first = seeds(&ways[0]);
    match ways.iter().find(|way| seeds(way) != first) {
        None => Ok(()),
        Some(way) => {
            let found = format!(
                "the seeds of {} are {first:?}, those of {} are {:?}",
                quoted(&ways[0].name),
                quoted(&way.name),
                seeds(way)
            );
            Err(Fault::new(Exit::Usage, found).hint("name runs of the same seeds for each"))
        }
    }
}

/// Compares ways of training with the first of them on a part of the data; each has a name and
/// runs of the same seeds.
///
/// # Errors
/// 66 or 65 if a run cannot be read, or is not of the data and the tasks of the first.
pub(in crate::cli) fn beside(
    ways: &[(String, Vec<PathBuf>)],
    part: Part,
    call: &Call,
) -> Result<Comparison> {
    let way = |(name, paths): &(String, Vec<PathBuf>)| -> Result<Way> {
        let runs = paths.iter().map(|path| Run::read(path)).collect::<Result<_>>()?;
        Ok(Way { name: name.clone(), runs })
    };
    let ways: Vec<Way> = ways.iter().map(way).collect::<Result<_>>()?;
    if let Some(first) = ways.first().and_then(|way| way.runs.first()) {
        ways.iter().flat_map(|way| &way.runs).try_for_each(|run| check_same(first, run))?;
    }
    measured(&ways, call, Some(part))
}

/// Measures all runs on a part; `None` = the test part, or the validation part where there is none.
fn measured(ways: &[Way], call: &Call, wanted: Option<Part>) -> Result<Comparison> {
    let (mut arms, mut common): (Vec<Arm>, Option<Shape>) = (Vec::new(), None);
    let mut drawn = ("rows", 0);
    let first = &ways[0].runs[0];
    // A task that a run does not train says nothing about it.
    let all = || ways.iter().flat_map(|way| &way.runs);
    let is_trained = |task: usize| all().all(|run| run.config.tasks[task].weight > 0.0);
    let tasks: Vec<bool> = (0..first.network.tasks.len()).map(is_trained).collect();
    for (head, _) in first.network.tasks.iter().zip(&tasks).filter(|(_, meant)| !**meant) {
        let name = quoted(&head.name);
        call.console.note(&format!("task {name} is left out: a run gives it the weight 0"));
    }
    if !tasks.contains(&true) {
        let found = "no task has a weight above 0 in all runs: there is nothing to compare";
        return Err(Fault::new(Exit::Usage, found).hint("name other runs").into());
    }
    for way in ways {
        let mut all: Vec<Vec<Sample>> = Vec::new();
        for run in &way.runs {
            // Each run encodes the rows in its own way.
            let parts = call.parts(&run.config)?;
            let found = match wanted {
                None => measured_part(&parts),
                Some(part) => {
                    let there = parts.there().find(|(there, _)| *there == part);
                    there.map(|(part, data)| (part, Arc::clone(data)))
                }
            };
            let Some((part, data)) = found else {
                let found = "has neither a test part nor a validation part to measure on";
                let hint = "compare runs that have one";
                return Err(Fault::data(run.path.display(), found).hint(hint).into());
            };
            check_data(run, &parts.hashes)?;
            let machine = call.machine(run.config.train.precision)?;
            let (own, notes) = samples(&run.path, &run.config, (&parts.schema, &data), machine)?;
            notes.iter().for_each(|(_, note)| call.console.note(note));
            let own: Vec<Sample> =
                own.into_iter().zip(&tasks).filter(|(_, meant)| **meant).map(|(s, _)| s).collect();
            let shape = (part, data.rows, own.iter().map(Sample::labels).collect());
            if common.get_or_insert(shape.clone()) != &shape {
                let found = format!(
                    "has not the {} rows and the labels of {}",
                    part.name(),
                    first.path.display()
                );
                return Err(Fault::data(run.path.display(), found)
                    .hint("compare runs of the same rows")
                    .into());
            }
            drawn = units(&data);
            all.push(own);
        }
        let parameters = way.runs[0].parameters;
        arms.push(Arm { name: way.name.clone(), samples: all, parameters, seconds: None });
    }
    let (part, rows, _) = common.unwrap_or((Part::Test, 0, Vec::new()));
    let meant = first.network.tasks.iter().zip(&tasks).filter(|(_, meant)| **meant);
    Ok(Comparison {
        part,
        rows,
        units: drawn,
        seeds: ways[0].runs.iter().map(|run| run.config.train.seed).collect(),
        tasks: meant.map(|(head, _)| (head.name.clone(), head.kind)).collect(),
        arms,
        base: 0,
        group: first.config.data.group.clone(),
    })
}

/// The data is what the run was trained on.
fn check_data(run: &Run, now: &[(String, String)]) -> Result<(), Fault> {
    let found = match difference(now, &run.data) {
        None => return Ok(()),
        Some(Difference::File(name)) => name,
        Some(Difference::Files(..)) => "data".to_owned(),
    };
    let what = format!("is not the data that {} was trained on", run.path.display());
    Err(Fault::data(found, what).hint("give the files back"))
}
