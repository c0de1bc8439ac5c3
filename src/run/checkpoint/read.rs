//! Reading checkpoints. One counts only if every byte of it is as it was written.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::disk::Disk;
use super::manifest::{BestEntry, DAMAGED, FileEntry, Manifest, TaskEntry, hash};
use super::names::{TEMPORARY, list, put_back};
use super::{
    BALANCE, BEST, Best, CONFIG, MANIFEST, MOMENTS, PARAMETERS, Snapshot, TaskSelection, best_of,
};
use crate::fault::{Fault, FaultKind, kind_of, quoted};
use crate::model::arena::Numbers;
use crate::model::file::arena::{self, Number};
use crate::model::file::{self, Model};
use crate::model::layout::Layout;
use crate::run::train::loss_scale::LossScale;

/// Bytes that a manifest may have.
const LONGEST: u64 = 16 << 20;

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Loaded {
    /// Its directory.
    pub path: PathBuf,
    /// The state of the run.
    pub snapshot: Snapshot,
    /// The network after the last step, as a model with its schema.
    pub model: Model,
    /// The settings of the run, in TOML.
    pub config: String,
    /// BLAKE3 of the run's data, by file.
    pub data: Vec<(String, String)>,
    /// Name of the adapter that the run was computed on.
    pub adapter: String,
}

/// The newest checkpoint of a run, and what was wrong with newer ones.
#[derive(Debug, Default)]
pub struct Newest {
    /// The newest checkpoint that is whole; `None` if the run has no checkpoint.
    pub loaded: Option<Loaded>,
    /// One sentence for each newer checkpoint, all of which are damaged.
    pub damaged: Vec<String>,
}

/// Removes checkpoints that killed processes left half-written, and gives those that they had moved
/// aside their names again. The run directory must be locked.
pub fn clean(root: &Path) {
    // A checkpoint that cannot be put back counts as removed: an earlier one is used.
    let _ = put_back(&Disk::default(), root);
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let path = entry.path();
            // One that cannot be removed does no harm: nothing looks for its name.
            let _ = if path.is_symlink() || path.is_file() {
                fs::remove_file(&path)
            } else {
                fs::remove_dir_all(&path)
            };
        }
    }
}

/// Reads the newest checkpoint that is whole.
///
/// # Errors
/// 65 if there are checkpoints and all are damaged, or one is newer than this program.
pub fn newest(root: &Path) -> Result<Newest> {
    let mut found = Newest::default();
    for (step, path) in list(root) {
        match load(&path).and_then(|loaded| of_step(loaded, step)) {
            Ok(loaded) => {
                found.loaded = Some(loaded);
                return Ok(found);
            }
            Err(error) if kind_of(&error) == FaultKind::NewerFormat => return Err(error),
            Err(error) => found.damaged.push(format!("{error:#}")),
        }
    }
    match found.damaged.first() {
        None => Ok(found),
        Some(first) => {
            let message = format!("no checkpoint is whole: {first}");
            Err(Fault::data(root.display(), message)
                .hint("begin anew with --init-from RUN/last, or copy the checkpoints again")
                .into())
        }
    }
}

/// Refuses a checkpoint whose step is not the one in its name.
fn of_step(loaded: Loaded, step: u64) -> Result<Loaded> {
    let found = loaded.snapshot.steps;
    if found == step {
        Ok(loaded)
    } else {
        Err(damaged(&loaded.path, format!("is of step {found}")).into())
    }
}

/// Reads a checkpoint. Each file is read once: the bytes that are parsed are those whose hash was
/// checked.
///
/// # Errors
/// 65 if a file is missing, is not as the manifest says, or is newer than this program.
pub fn load(path: &Path) -> Result<Loaded> {
    let manifest = Manifest::from_bytes(&path.join(MANIFEST), &read(&path.join(MANIFEST), None)?)?;
    let mut files = Files::new(path, &manifest)?;
    let config = config(path, files.read(CONFIG)?)?;
    let model = {
        let (network, schema) = (files.read(file::CONFIG)?, files.read(file::SCHEMA)?);
        file::from_bytes(path, &network, &schema, &files.read(file::TENSORS)?)?
    };
    let snapshot = snapshot(&manifest, &model, &mut files)?;
    files.check_others()?;
    let Manifest { data, adapter, .. } = manifest;
    Ok(Loaded { path: path.to_owned(), snapshot, model, config, data, adapter })
}

/// The settings of the run, as text.
fn config(path: &Path, bytes: Vec<u8>) -> Result<String, Fault> {
    let text = String::from_utf8(bytes).ok().filter(|text| text.parse::<toml::Table>().is_ok());
    text.ok_or_else(|| damaged(&path.join(CONFIG), "is not TOML".into()))
}

/// The files that a manifest names and that were not read yet.
struct Files<'a> {
    path: &'a Path,
    unread: Vec<&'a FileEntry>,
}

impl<'a> Files<'a> {
    /// All files of the checkpoint at `path`.
    ///
    /// # Errors
    /// 65 if the manifest names a file that no checkpoint has, or one twice.
    fn new(path: &'a Path, manifest: &'a Manifest) -> Result<Files<'a>, Fault> {
        let known = [CONFIG, PARAMETERS, BALANCE, BEST, file::TENSORS, file::CONFIG, file::SCHEMA];
        let mut unread: Vec<&FileEntry> = Vec::new();
        for entry in &manifest.files {
            let is_known = known.into_iter().chain(MOMENTS).any(|name| name == entry.name)
                || (0..manifest.tasks.len()).any(|task| best_of(task) == entry.name);
            let problem = if !is_known {
                "that no checkpoint has"
            } else if unread.iter().any(|other| other.name == entry.name) {
                "twice"
            } else {
                unread.push(entry);
                continue;
            };
            let message = format!("names a file {} {problem}", quoted(&entry.name));
            return Err(damaged(&path.join(MANIFEST), message));
        }
        Ok(Files { path, unread })
    }

    /// Whether the manifest names a file that was not read yet.
    fn has(&self, name: &str) -> bool {
        self.unread.iter().any(|entry| entry.name == name)
    }

    /// The bytes of a file, which have the length and the hash that the manifest says.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, Fault> {
        let place = self
            .unread
            .iter()
            .position(|entry| entry.name == name)
            .ok_or_else(|| damaged(&self.path.join(MANIFEST), format!("names no {name}")))?;
        let entry = self.unread.swap_remove(place);
        let path = self.path.join(name);
        let bytes = read(&path, Some(entry.bytes))?;
        if hash(&bytes) != entry.blake3 {
            return Err(damaged(&path, "is not as it was written: its hash differs".into()));
        }
        Ok(bytes)
    }

    /// The numbers of an arena that is in a file of its own.
    fn arena<N: Number>(&mut self, name: &str, layout: &Layout) -> Result<Vec<N>> {
        arena::from_bytes(&self.path.join(name), &self.read(name)?, layout)
    }

    /// The numbers of an arena in the precision of the run.
    fn numbers(&mut self, name: &str, layout: &Layout, double: bool) -> Result<Numbers> {
        Ok(if double {
            Numbers::F64(self.arena(name, layout)?)
        } else {
            Numbers::F32(self.arena(name, layout)?)
        })
    }

    /// Checks the files that the run has no use for.
    fn check_others(&mut self) -> Result<(), Fault> {
        while let Some(entry) = self.unread.last().copied() {
            self.read(&entry.name)?;
        }
        Ok(())
    }
}

/// The run that a manifest and the other files describe; `model` is the model of the checkpoint.
fn snapshot(manifest: &Manifest, model: &Model, files: &mut Files) -> Result<Snapshot> {
    let layout = &model.layout;
    if let Some(problem) = problem(manifest, model.network.tasks.len()) {
        let message = format!("describes no possible run: {problem}");
        return Err(damaged(&files.path.join(MANIFEST), message).into());
    }
    let parameters = if manifest.double {
        files.numbers(PARAMETERS, layout, true)?
    } else {
        Numbers::F32(model.parameters.clone())
    };
    let mut moments = Vec::new();
    for name in MOMENTS {
        if files.has(name) {
            moments.push(files.numbers(name, layout, manifest.double)?);
        }
    }
    let common =
        manifest.best.as_ref().map(|entry| best(BEST, entry, layout, files)).transpose()?;
    let task = |(number, entry): (usize, &TaskEntry)| {
        let own = entry.best.as_ref();
        let own = own.map(|entry| best(&best_of(number), entry, layout, files)).transpose()?;
        Ok(TaskSelection { score: entry.score, worse: entry.worse, best: own })
    };
    let tasks = manifest.tasks.iter().enumerate().map(task).collect::<Result<Vec<_>>>()?;
    let balance = match &manifest.balance {
        None => None,
        Some(method) => {
            let bytes = files.read(BALANCE)?;
            let numbers = Numbers::from_bytes(&bytes, manifest.double);
            let broken = || damaged(&files.path.join(BALANCE), "is cut short".into());
            Some((method.clone(), numbers.ok_or_else(broken)?))
        }
    };
    Ok(Snapshot {
        steps: manifest.step,
        validated: manifest.validated,
        points: manifest.points,
        parameters,
        moments,
        sums: manifest.sums.clone(),
        conflict: manifest.conflict.clone(),
        balance,
        worse: manifest.worse,
        best: common,
        tasks,
        seconds: manifest.seconds,
        rate_factor: manifest.rate_factor,
        rollbacks: manifest.rollbacks,
        skipped: manifest.skipped,
        scale: manifest.scale,
    })
}

/// The best model so far.
fn best(name: &str, entry: &BestEntry, layout: &Layout, files: &mut Files) -> Result<Arc<Best>> {
    Ok(Arc::new(Best {
        parameters: files.arena(name, layout)?,
        thresholds: entry.thresholds.clone(),
        epoch: entry.epoch,
        step: entry.step,
        score: entry.score,
    }))
}

/// The first problem of a manifest whose hash is right. The hash shows damage, but anyone can write
/// a manifest with the right hash.
fn problem(manifest: &Manifest, tasks: usize) -> Option<&'static str> {
    let of_tasks = manifest.tasks.iter().filter_map(|task| task.best.as_ref());
    let all: Vec<&BestEntry> = manifest.best.iter().chain(of_tasks).collect();
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    if manifest.conflict.as_ref().is_some_and(|conflict| !conflict.is_of(tasks)) {
        return Some("conflict of another number of tasks");
    }
    if !manifest.sums.is_of(tasks) {
        return Some("sums of another number of tasks");
    }
    if !manifest.tasks.is_empty() && manifest.tasks.len() != tasks {
        return Some("selections of another number of tasks");
    }
    if all.iter().any(|best| best.thresholds.len() != tasks) {
        return Some("thresholds of another number of tasks");
    }
    if !all.iter().flat_map(|best| best.thresholds.iter().flatten()).all(|share| is_share(*share)) {
        return Some("a threshold that is no probability");
    }
    if manifest.validated > manifest.step {
        return Some("it was validated after a later step");
    }
    if all.iter().filter_map(|best| best.step).any(|step| step > manifest.step) {
        return Some("the best model is of a later step");
    }
    if manifest.scale.is_some_and(|scale| {
        !scale.grows || scale.exponent > LossScale::MOST || scale.since > manifest.step
    }) {
        return Some("a scale of gradients out of range");
    }
    if manifest.seconds < 0.0 || manifest.rate_factor == 0.0 || !is_share(manifest.rate_factor) {
        return Some("a time or a factor out of range");
    }
    None
}

/// The bytes of a plain file. Its length is `expected`, or at most [`LONGEST`] if that is `None`.
/// Nothing is allocated before the real length has confirmed it.
fn read(path: &Path, expected: Option<u64>) -> Result<Vec<u8>, Fault> {
    let cannot = |e: std::io::Error| damaged(path, format!("cannot be read: {e}"));
    let metadata = fs::symlink_metadata(path).map_err(cannot)?;
    let length = metadata.len();
    if !metadata.is_file() {
        return Err(damaged(path, "is not a plain file".into()));
    }
    match expected {
        Some(bytes) if bytes != length => {
            return Err(damaged(path, format!("{length} bytes, expected {bytes}")));
        }
        None if length > LONGEST => {
            return Err(damaged(path, format!("{length} bytes, expected at most {LONGEST}")));
        }
        _ => {}
    }
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length as usize)
        .map_err(|_| damaged(path, "not enough memory to read it".into()))?;
    File::open(path).and_then(|file| file.take(length).read_to_end(&mut bytes)).map_err(cannot)?;
    Ok(bytes)
}

fn damaged(path: &Path, message: String) -> Fault {
    Fault::data(path.display(), message).hint(DAMAGED)
}
