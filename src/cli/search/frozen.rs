//! `search --from RUN`: the mean weights that a balancer gave the tasks of a run, as static ones,
//! trained from several seeds beside the balanced settings and beside those without a method.

use std::path::Path;

use anyhow::Result;
use serde_json::{Value, json};

use super::confirm::{Arm, train_arms};
use super::outcome::{measured, tables, verdicts, way_on};
use crate::cli::call::Call;
use crate::config::{Balance, Config, read, write};
use crate::data::load::route;
use crate::fault::{Exit, Fault};
use crate::replace::replace;
use crate::run::directory::RunDirectory;
use crate::run::directory::data_hashes::{data_hashes, difference};
use crate::run::search::base::Base;
use crate::run::search::journal::{FILE, Frozen, Journal, SETTINGS, hash};
use crate::run::search::mean_weights::mean_weights;

/// Seeds, if the flag does not say how many.
const SEEDS: u64 = 5;

/// Begins to try the mean weights of a run.
///
/// # Errors
/// 66 if there is no such run; 78 if it has no method that finds weights; 65 if its weights or its
/// data cannot be read.
pub(super) fn begin(run: &Path, overrides: &[String], call: &Call) -> Result<Option<Exit>> {
    let path = run.join("config.toml");
    if !path.is_file() {
        let found = "is no run directory: it has no config.toml";
        let hint = "name a directory that tandem train has printed";
        return Err(Fault::missing(run.display(), found).hint(hint).into());
    }
    if let Some(spec) = overrides.iter().find(|spec| !spec.starts_with("search.seeds=")) {
        let found = format!("--from takes the settings of the run: {spec} has no use");
        return Err(Fault::new(Exit::Usage, found).hint("leave the flag out").into());
    }
    let (text, directory) = read::text_of(&path)?;
    let config = read::from_text(&text, &path.display().to_string(), &directory, &[])?;
    let weights = mean_weights(run, &config)?;
    let hashes = route::hashes(&config.data)?;
    let before = data_hashes(run).unwrap_or_default();
    if difference(&hashes, &before).is_some() {
        let found = "the data is not what the run was trained on";
        return Err(Fault::data(run.display(), found).hint("give the files back").into());
    }
    let seeds = call.args.repeats.or(seeds(overrides)).unwrap_or(SEEDS);
    let name = run.file_name().map_or("run".into(), |name| name.to_string_lossy());
    let directory = RunDirectory::create(call.args.out.as_deref(), &format!("{name}-frozen"))?;
    let settings = write::to_toml(&config);
    replace(&directory.path().join(SETTINGS), settings.as_bytes())?;
    let journal = Journal {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: hash(&settings),
        device: call.asked_device(),
        frozen: Some(Frozen { run: run.to_owned(), weights, seeds }),
        data: hashes.into_iter().map(|(_, hash)| hash).collect(),
        over: true,
        ..Journal::default()
    };
    journal.save(directory.path())?;
    run_all(directory, journal, config, call)
}

/// The number of seeds among overrides.
fn seeds(overrides: &[String]) -> Option<u64> {
    overrides.iter().find_map(|spec| spec.strip_prefix("search.seeds=")?.parse().ok())
}

/// Goes on with it.
///
/// # Errors
/// The errors of its runs.
pub(super) fn go_on(
    path: &Path,
    journal: Journal,
    base: &Base,
    call: &Call,
) -> Result<Option<Exit>> {
    let directory = RunDirectory::open(path)?;
    let (config, _) = base.read(&[])?;
    run_all(directory, journal, config, call)
}

fn run_all(
    mut directory: RunDirectory,
    mut journal: Journal,
    config: Config,
    call: &Call,
) -> Result<Option<Exit>> {
    let Some(frozen) = journal.frozen.clone() else { return Ok(None) };
    if frozen.seeds == 0 || frozen.weights.len() != config.tasks.len() {
        let file = directory.path().join(FILE);
        let found = "has no seeds, or not the weight of each task";
        return Err(Fault::data(file.display(), found).hint("begin a new search").into());
    }
    let mut plain = config.clone();
    plain.balance = Balance { observe: config.balance.observe, ..Balance::default() };
    let mut best = plain.clone();
    best.tasks.iter_mut().zip(&frozen.weights).for_each(|(task, mean)| task.weight *= mean);
    let path = directory.path().to_owned();
    replace(&path.join("best.toml"), write::to_toml(&best).as_bytes())?;
    let tasks = config.tasks.iter().zip(&frozen.weights);
    let means: Vec<String> = tasks.map(|(t, mean)| format!("{} {mean:.4}", t.name)).collect();
    let method = config.balance.method.name();
    let line =
        format!("mean weights of {method} in {}: {}", frozen.run.display(), means.join(", "));
    call.console.note(&line);
    directory.log(&line)?;
    let arm = |name: &str, place: &str, config: &Config| Arm::new(name, path.join(place), config);
    let mut arms = vec![
        arm(method, "beside/balanced", &config),
        arm("unbalanced", "beside/unbalanced", &plain),
        arm("frozen", "best", &best),
    ];
    let seeds = frozen.seeds as usize;
    let (stopped, failed) = train_arms(&mut arms, seeds, &path, call)?;
    if stopped.is_some() {
        return Ok(stopped);
    }
    if journal.found.is_null() {
        let (valid, test) = measured(&arms, seeds, config.data.has_test(), call)?;
        let weights = config.tasks.iter().zip(&frozen.weights);
        let than = ("frozen weights", "frozen", &*format!("those of {method}"));
        let mut sentences = failed;
        sentences.extend(verdicts(&valid, &test, than));
        journal.found = json!({
            "directory": path,
            "run": frozen.run,
            "method": method,
            "weights": weights
                .map(|(task, mean)| (task.name.clone(), json!(mean)))
                .collect::<serde_json::Map<String, Value>>(),
            "best": {"run": path.join("best"), "settings": path.join("best.toml")},
            "valid": valid,
            "test": test,
            "sentences": sentences,
        });
        journal.save(&path)?;
    }
    let mut lines = vec![line];
    lines.extend(tables(&journal.found, frozen.seeds));
    let sentences = journal.found["sentences"].as_array().into_iter().flatten();
    lines.extend(sentences.filter_map(|line| line.as_str().map(str::to_owned)));
    lines.push(way_on(&path, &journal.found["sentences"]));
    lines.push(format!("directory: {}", path.display()));
    let text = lines.join("\n");
    replace(&path.join("search.txt"), format!("{text}\n").as_bytes())?;
    let console = call.console;
    if console.json { console.result_json(&journal.found) } else { console.result(&text) }
        .map(|()| None)
}
