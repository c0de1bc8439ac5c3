//! The run directory: the files that a run leaves behind, written by one process at a time.

mod appended;
pub mod data_hashes;
mod events;
mod favourites;
mod lock;
mod table;

use std::fs::{self, File};
use std::io::{self};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::config::Tracking;
use crate::data::{Part, Schema};
use crate::fault::{Exit, Fault};
use crate::model::file::{save, update};
use crate::model::layout::Layout;
use crate::model::network::Network;
use crate::objective::Objective;
use crate::replace::{clean, replace, sync_parent};
use crate::run::directory::appended::{Appended, cannot_create};
use crate::run::train::point::Point;
use events::Events;
pub use favourites::{best_for, best_models};
use table::MetricsTable;

/// Parent of the run directories that `--out` does not name.
pub const RUNS: &str = "runs";

/// The directory of one run; it is locked until this is dropped.
#[derive(Debug)]
pub struct RunDirectory {
    path: PathBuf,
    log: Appended,
    records: Option<Records>,
    /// The file of the histograms of layers.
    layers: Option<Events>,
    _lock: File,
}

/// The files that points are written to.
#[derive(Debug)]
struct Records {
    network: Network,
    objective: Objective,
    metrics: Appended,
    table: MetricsTable,
    /// Whether the test part is evaluated during the run, and not only at its end.
    tests_between: bool,
}

impl RunDirectory {
    /// A new directory: `out`, or `runs/NAME-N` with the first free N.
    ///
    /// # Errors
    /// 73 if it cannot be created, or `out` is not empty; 75 if another process is using it.
    pub fn create(out: Option<&Path>, name: &str) -> Result<RunDirectory> {
        match out {
            Some(path) => RunDirectory::lock(empty(path)?, true),
            None => RunDirectory::numbered(Path::new(RUNS), name),
        }
    }

    /// A new directory `BASE/NAME-N` with the first free N, from 1 up.
    ///
    /// # Errors
    /// 73 if it cannot be created.
    pub fn numbered(base: &Path, name: &str) -> Result<RunDirectory> {
        RunDirectory::lock(numbered(base, name)?, true)
    }

    /// The directory of an earlier run, in which a run goes on and appends to the records. Files
    /// that a killed process left half-written are removed.
    ///
    /// # Errors
    /// 66 if there is no such directory; 75 if another process is using it.
    pub fn open(path: &Path) -> Result<RunDirectory> {
        if !path.is_dir() {
            return Err(Fault::missing(path.display(), "there is no such run directory")
                .hint("check the path; runs are in runs/")
                .into());
        }
        let run = RunDirectory::lock(path.to_owned(), false)?;
        let best = fs::read_dir(best_models(path)).into_iter().flatten().flatten();
        [path.to_owned(), path.join("model"), path.join("last")]
            .into_iter()
            .chain(best.map(|entry| entry.path()))
            .for_each(|directory| clean(&directory));
        Ok(run)
    }

    /// Locks a directory and opens its log. A new directory must still be empty then.
    fn lock(path: PathBuf, is_new: bool) -> Result<RunDirectory> {
        check_own(&path)?;
        let lock = lock::acquire(&path)?;
        // Another process may have written to it between the first look and the lock.
        if is_new && !is_empty(&path)? {
            return Err(not_empty(&path).into());
        }
        let log = Appended::open(path.join("train.log"))?;
        Ok(RunDirectory { path, log, records: None, layers: None, _lock: lock })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `config.toml`.
    ///
    /// # Errors
    /// 73 if the file cannot be created, 74 if it cannot be written.
    pub fn write_config(&self, toml: &str) -> Result<()> {
        replace(&self.path.join("config.toml"), toml.as_bytes())
    }

    /// Writes `environment.json`.
    ///
    /// # Errors
    /// As [`RunDirectory::write_config`].
    pub fn write_environment(&self, environment: &Value) -> Result<()> {
        replace(&self.path.join("environment.json"), format!("{environment:#}\n").as_bytes())
    }

    /// Opens `metrics.jsonl` and `metrics.csv`. The columns of the latter follow from the network
    /// and from `parts`, which are the parts that the run has.
    ///
    /// # Errors
    /// As [`RunDirectory::write_config`].
    pub fn begin(
        &mut self,
        network: &Network,
        objective: &Objective,
        parts: &[Part],
    ) -> Result<()> {
        let metrics = Appended::open(self.path.join("metrics.jsonl"))?;
        let table = MetricsTable::open(self.path.join("metrics.csv"), network, objective, parts)?;
        sync_parent(&metrics.path).map_err(|e| metrics.failed(&e))?;
        self.records = Some(Records {
            network: network.clone(),
            objective: objective.clone(),
            metrics,
            table,
            tests_between: false,
        });
        Ok(())
    }

    /// Opens the files of `[tracking]`, which get the rows of `metrics.csv` from then on.
    ///
    /// # Errors
    /// As [`RunDirectory::write_config`]; if the records are not open.
    pub fn track(&mut self, tracking: &Tracking) -> Result<()> {
        if tracking.tensorboard {
            let events = Events::scalars_of(&self.path)?;
            self.records()?.table.also(events);
        }
        if tracking.histograms.is_some() {
            self.layers = Some(Events::layers_of(&self.path)?);
        }
        Ok(())
    }

    /// Writes a histogram of each layer's parameters after a step, `seconds` after the start of the
    /// run, if `[tracking]` asks for them.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub fn layers(
        &mut self,
        step: u64,
        seconds: f64,
        layout: &Layout,
        parameters: &[f32],
    ) -> Result<()> {
        let events = self.layers.as_mut();
        events.map_or(Ok(()), |events| events.layers(step, seconds, layout, parameters))
    }

    /// Tells that the test part is evaluated during the run, and not only at its end.
    ///
    /// # Errors
    /// If the records are not open.
    pub fn tests_between(&mut self) -> Result<()> {
        self.records()?.tests_between = true;
        Ok(())
    }

    fn records(&mut self) -> Result<&mut Records> {
        self.records.as_mut().context("a point before RunDirectory::begin")
    }

    /// Appends a point to `metrics.jsonl`, and keeps it for the next row of `metrics.csv`.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub fn point(&mut self, point: &Point) -> Result<()> {
        let records = self.records()?;
        ensure!(
            point.tasks.len() == records.network.tasks.len(),
            "a point with {} tasks",
            point.tasks.len()
        );
        let json = point.json(&records.network, &records.objective);
        records.metrics.line(&json.to_string())?;
        records.table.point(&json)
    }

    /// The first `points` points, each with the length of its line in bytes.
    ///
    /// # Errors
    /// 65 if the file cannot be read, or one of these lines is not JSON.
    pub fn points(&mut self, points: u64) -> Result<Vec<(Value, u64)>> {
        let path = &self.records()?.metrics.path;
        let hint = "copy the run again, or begin anew with --init-from RUN/last";
        let text = fs::read_to_string(path)
            .map_err(|e| Fault::data(path.display(), format!("cannot be read: {e}")).hint(hint))?;
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let lines: Vec<&str> = lines.take(usize::try_from(points).unwrap_or(usize::MAX)).collect();
        let parse = |(i, line): (usize, &&str)| {
            let wrong = |e| {
                Fault::data(
                    format_args!("{}:{}", path.display(), i + 1),
                    format!("is not JSON: {e}"),
                )
            };
            let json = serde_json::from_str(line).map_err(|e| wrong(e).hint("remove the line"))?;
            Ok((json, line.len() as u64))
        };
        Ok(lines.iter().enumerate().map(parse).collect::<Result<Vec<_>, Fault>>()?)
    }

    /// Cuts both files back to the first `points` points, or to fewer: the first point that is of a
    /// later step than `steps` is removed with all after it (where lines are missing, later ones
    /// have moved up), and so is the test point of the kept model, which was written at the end of
    /// a run. That one is known by its step, which was tested before, or by being the only test
    /// point. `is_whole` says whether a row of `metrics.csv` ends with these points, given the
    /// step of the last of them. Returns the points that are left.
    ///
    /// # Errors
    /// 65 if a line that is left is not JSON; 74 if a file cannot be written.
    pub fn cut_back(
        &mut self,
        points: u64,
        steps: u64,
        is_whole: impl FnOnce(u64) -> bool,
    ) -> Result<Vec<Value>> {
        let (tests_between, mut tested) = (self.records()?.tests_between, 0);
        let mut is_new_test =
            |step: u64| tests_between && step > std::mem::replace(&mut tested, step);
        let mut is_known = |json: &Value| {
            json["step"].as_u64().is_some_and(|step| {
                step <= steps && (json["split"] != Part::Test.name() || is_new_test(step))
            })
        };
        let kept = self.points(points)?.into_iter().take_while(|(json, _)| is_known(json));
        let (kept, bytes): (Vec<Value>, Vec<u64>) = kept.unzip();
        let bytes = bytes.iter().sum();
        self.layers.as_mut().map_or(Ok(()), |events| events.cut_after(steps))?;
        let records = self.records()?;
        records.metrics.cut(bytes)?;
        records.table.replay(&kept)?;
        if is_whole(kept.last().and_then(|json| json["step"].as_u64()).unwrap_or(0)) {
            records.table.end_epoch()?;
        }
        Ok(kept)
    }

    /// Waits until all points are on the disk: a checkpoint relies on them.
    ///
    /// # Errors
    /// 74 if they cannot be written.
    pub fn sync(&mut self) -> Result<()> {
        let Records { metrics, .. } = self.records()?;
        Ok(metrics.file.sync_data().map_err(|e| metrics.failed(&e))?)
    }

    /// The directory of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Writes the points since the last row to `metrics.csv`, as a row. Without such a point it
    /// does nothing.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub fn end_epoch(&mut self) -> Result<()> {
        self.records()?.table.end_epoch()
    }

    /// Appends a line to `train.log`.
    ///
    /// # Errors
    /// 74 if the file cannot be written.
    pub fn log(&mut self, line: &str) -> Result<()> {
        self.log.line(line)
    }

    /// Replaces the best model, in `model/`.
    ///
    /// # Errors
    /// As [`save`].
    pub fn save_model(
        &self,
        network: &Network,
        layout: &Layout,
        schema: &Schema,
        parameters: &[f32],
    ) -> Result<()> {
        save(&self.path.join("model"), network, layout, schema, parameters)
    }

    /// Replaces the model that is best for a task, in `best/TASK/`.
    ///
    /// # Errors
    /// As [`save`].
    pub fn save_best_for(
        &self,
        task: usize,
        network: &Network,
        layout: &Layout,
        schema: &Schema,
        parameters: &[f32],
    ) -> Result<()> {
        let path = best_for(&self.path, network, task);
        make(&best_models(&self.path))?;
        save(&path, network, layout, schema, parameters)
    }

    /// Replaces the model after the last step, in `last/`.
    ///
    /// # Errors
    /// As [`save`].
    pub fn save_last(
        &self,
        network: &Network,
        layout: &Layout,
        schema: &Schema,
        parameters: &[f32],
    ) -> Result<()> {
        save(&self.path.join("last"), network, layout, schema, parameters)
    }

    /// Replaces a text beside the files of a model; `model` is `model`, `last` or a directory in
    /// `best`, within the run.
    ///
    /// # Errors
    /// 73 if it cannot be created, 74 if it cannot be written.
    pub fn save_beside(&self, model: &str, name: &str, text: &str) -> Result<()> {
        let folder = self.path.join(model);
        fs::create_dir_all(&folder).map_err(|e| cannot_create(&folder, &e))?;
        update(&folder.join(name), text.as_bytes())
    }
}

/// Makes a directory `BASE/NAME-N` with the first free N, from 1 up.
///
/// # Errors
/// 73 if it cannot be created.
pub fn numbered(base: &Path, name: &str) -> Result<PathBuf> {
    make(base)?;
    let name: String = name
        .chars()
        .map(|c| if matches!(c, '/' | '\\') || c.is_control() { '-' } else { c })
        .collect();
    for n in 1_u64.. {
        let path = base.join(format!("{name}-{n}"));
        // Only creating a name tells whether it is free: of two processes one succeeds.
        match fs::create_dir(&path) {
            Ok(()) => {
                sync_parent(&path).map_err(|e| cannot_create(&path, &e))?;
                return Ok(path);
            }
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(cannot_create(&path, &e).into()),
        }
    }
    unreachable!("2^64 directories")
}

/// Creates a directory and the missing ones above it, and waits until their names are on the disk.
///
/// # Errors
/// 73 if it cannot be created.
pub fn make(path: &Path) -> Result<()> {
    let new: Vec<&Path> = path
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .collect();
    let made = fs::create_dir_all(path).and_then(|()| new.into_iter().try_for_each(sync_parent));
    Ok(made.map_err(|e| cannot_create(path, &e))?)
}

/// The directory of `--out DIR`, which must be new or empty.
fn empty(path: &Path) -> Result<PathBuf> {
    make(path)?;
    // In the directory of a run the lock gives the better message: in use, or just not empty.
    let is_free = is_empty(path)? || lock::is_there(path);
    if is_free { Ok(path.to_owned()) } else { Err(not_empty(path).into()) }
}

/// Whether a directory holds nothing but a lock.
fn is_empty(path: &Path) -> Result<bool> {
    let entries = fs::read_dir(path).map_err(|e| cannot_create(path, &e))?;
    let mut names = entries.map(|entry| entry.map(|e| e.file_name()));
    Ok(names.all(|name| name.is_ok_and(|n| n == lock::NAME)))
}

/// Refuses a directory with links or pipes. A run directory from elsewhere may have them; a link
/// would lead writes out of the directory, and a pipe would block them.
fn check_own(path: &Path) -> Result<()> {
    for entry in fs::read_dir(path).map_err(|e| cannot_create(path, &e))?.flatten() {
        let is_own = entry.file_type().is_ok_and(|kind| kind.is_file() || kind.is_dir());
        if !is_own {
            let message =
                format!("{}: is neither a plain file nor a directory", entry.path().display());
            return Err(Fault::new(Exit::Data, message)
                .hint("a run directory holds no links and no pipes; put a copy of the file there")
                .into());
        }
    }
    Ok(())
}

fn not_empty(path: &Path) -> Fault {
    Fault::new(Exit::CantCreate, format!("{}: the directory is not empty", path.display())).hint(
        "choose a new one with --out, or leave --out away: runs/NAME-N counts up; nothing is ever \
         overwritten",
    )
}
