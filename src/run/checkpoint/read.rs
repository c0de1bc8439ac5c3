//! Reading: the newest checkpoint that is whole, byte by byte.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;

use super::disk::Disk;
use super::manifest::{DAMAGED, Manifest, hash};
use super::names::{TEMPORARY, list, put_back};
use super::{BEST, Best, CONFIG, MANIFEST, MOMENTS, PARAMETERS, Snapshot};
use crate::fault::{Fault, quoted};
use crate::model::arena::Numbers;
use crate::model::file::{self, Model, arena};
use crate::model::layout::Layout;
use crate::run::train::loss_scale::LossScale;

/// Longest manifest in bytes.
const LONGEST: u64 = 16 << 20;

/// A checkpoint that was read.
#[derive(Debug)]
pub struct Loaded {
    /// Where it was.
    pub path: PathBuf,
    /// The run.
    pub snapshot: Snapshot,
    /// The model that it is, with network and schema.
    pub model: Model,
    /// Settings of the run.
    pub config: String,
    /// BLAKE3 of its data by file.
    pub data: Vec<(String, String)>,
    /// What it was computed on.
    pub adapter: String,
}

/// What was found in the checkpoints of a run.
#[derive(Debug, Default)]
pub struct Found {
    /// The newest that is whole.
    pub loaded: Option<Loaded>,
    /// A sentence for each that is newer and damaged.
    pub damaged: Vec<String>,
}

/// Removes what killed processes left half-written, and puts back what they had put aside. The run
/// directory must be locked.
pub fn clean(root: &Path) {
    // What cannot be put back is as if it had been removed: one before it is used.
    let _ = put_back(&Disk::default(), root);
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            let path = entry.path();
            // What cannot be removed does no harm: it has no name that anyone looks for.
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
pub fn newest(root: &Path) -> Result<Found> {
    let mut found = Found::default();
    for (step, path) in list(root) {
        match load(&path).and_then(|loaded| of_step(loaded, step)) {
            Ok(loaded) => {
                found.loaded = Some(loaded);
                return Ok(found);
            }
            Err(error) if is_newer(&error) => return Err(error),
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

/// A checkpoint that is of the step in its name.
fn of_step(loaded: Loaded, step: u64) -> Result<Loaded> {
    let found = loaded.snapshot.steps;
    if found == step {
        Ok(loaded)
    } else {
        Err(damaged(&loaded.path, format!("is of step {found}")).into())
    }
}

fn is_newer(error: &anyhow::Error) -> bool {
    crate::fault::hint_of(error) == Some("update tandem")
}

/// Reads a checkpoint.
///
/// # Errors
/// 65 if a file is missing, is not as the manifest says, or is newer than this program.
pub fn load(path: &Path) -> Result<Loaded> {
    let manifest = Manifest::from_bytes(&path.join(MANIFEST), &read(&path.join(MANIFEST), None)?)?;
    let mut files = Vec::new();
    for entry in &manifest.files {
        let known = [CONFIG, PARAMETERS, BEST, "model.safetensors", "config.json", "schema.json"]
            .into_iter()
            .chain(MOMENTS);
        let Some(name) = known.into_iter().find(|name| *name == entry.name) else {
            return Err(damaged(
                &path.join(MANIFEST),
                format!("names a file {} that is none of a checkpoint", quoted(&entry.name)),
            )
            .into());
        };
        let bytes = read(&path.join(name), Some(entry.bytes))?;
        if hash(&bytes) != entry.blake3 {
            return Err(damaged(
                &path.join(name),
                "is not as it was written: its hash differs".into(),
            )
            .into());
        }
        if name.ends_with(".safetensors") || name == CONFIG {
            files.push((name, bytes));
        }
    }
    let model = file::load(path)?;
    let snapshot = snapshot(path, &manifest, &model, &files)?;
    let text = get(path, &files, CONFIG)?.to_vec();
    let config = String::from_utf8(text).ok().filter(|text| text.parse::<toml::Table>().is_ok());
    let config = config.ok_or_else(|| damaged(&path.join(CONFIG), "is not TOML".into()))?;
    let Manifest { data, adapter, .. } = manifest;
    Ok(Loaded { path: path.to_owned(), snapshot, model, config, data, adapter })
}

fn snapshot(
    path: &Path,
    manifest: &Manifest,
    model: &Model,
    files: &[(&str, Vec<u8>)],
) -> Result<Snapshot> {
    let layout = &model.layout;
    if let Some(problem) = problem(manifest, model.network.tasks.len()) {
        return Err(
            damaged(&path.join(MANIFEST), format!("says what no run can be: {problem}")).into()
        );
    }
    let arena_of =
        |name: &str| numbers(&path.join(name), get(path, files, name)?, layout, manifest.double);
    let moments = MOMENTS.iter().filter(|name| files.iter().any(|(known, _)| known == *name));
    let best = manifest.best.as_ref().map(|best| -> Result<Arc<Best>> {
        let parameters = arena::from_bytes(&path.join(BEST), get(path, files, BEST)?, layout)?;
        let thresholds = best.thresholds.clone();
        Ok(Arc::new(Best {
            parameters,
            thresholds,
            epoch: best.epoch,
            step: best.step,
            score: best.score,
        }))
    });
    Ok(Snapshot {
        steps: manifest.step,
        validated: manifest.validated,
        points: manifest.points,
        parameters: if manifest.double {
            arena_of(PARAMETERS)?
        } else {
            Numbers::F32(model.parameters.clone())
        },
        moments: moments.map(|name| arena_of(name)).collect::<Result<_>>()?,
        sums: manifest.sums.clone(),
        worse: manifest.worse,
        best: best.transpose()?,
        seconds: manifest.seconds,
        rate_factor: manifest.rate_factor,
        rollbacks: manifest.rollbacks,
        skipped: manifest.skipped,
        scale: manifest.scale,
    })
}

/// What is wrong with a manifest that is as it was written: its hash shows damage, not who wrote
/// it.
fn problem(manifest: &Manifest, tasks: usize) -> Option<&'static str> {
    let best = manifest.best.as_ref();
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    if !manifest.sums.is_of(tasks) {
        return Some("sums of another number of tasks");
    }
    if best.is_some_and(|best| best.thresholds.len() != tasks) {
        return Some("thresholds of another number of tasks");
    }
    if best
        .is_some_and(|best| !best.thresholds.iter().flatten().all(|threshold| is_share(*threshold)))
    {
        return Some("a threshold that is no probability");
    }
    if manifest.validated > manifest.step {
        return Some("it was validated after a later step");
    }
    if best.and_then(|best| best.step).is_some_and(|step| step > manifest.step) {
        return Some("the best model is of a later step");
    }
    if manifest.scale.is_some_and(|scale| {
        !scale.grows || scale.exponent > LossScale::MOST || scale.since > manifest.step
    }) {
        return Some("gradients scaled by what they never are");
    }
    if manifest.seconds < 0.0 || manifest.rate_factor == 0.0 || !is_share(manifest.rate_factor) {
        return Some("a time or a factor out of range");
    }
    None
}

fn numbers(path: &Path, bytes: &[u8], layout: &Layout, double: bool) -> Result<Numbers> {
    if double {
        arena::from_bytes(path, bytes, layout).map(Numbers::F64)
    } else {
        arena::from_bytes(path, bytes, layout).map(Numbers::F32)
    }
}

fn get<'f>(path: &Path, files: &'f [(&str, Vec<u8>)], name: &str) -> Result<&'f [u8]> {
    let found = files.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, bytes)| bytes.as_slice())
        .ok_or_else(|| damaged(&path.join(MANIFEST), format!("names no {name}")).into())
}

/// The bytes of a plain file, of this length where one is expected; nothing is allocated before the
/// real length has confirmed it.
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
