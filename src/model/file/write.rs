//! Writing: every file is complete under its name, or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::{CONFIG, FORMAT, NetworkFile, SCHEMA, TENSORS, arena};
use crate::data::Schema;
use crate::fault::{Exit, Fault, of_creation};
use crate::model::layout::{Block, Layout};
use crate::model::network::Network;

/// Writes a model directory, or replaces the model in it. The tensors come last, so a directory
/// that has them is complete; at no moment is a file that was there before missing. Files that
/// would not change are left alone.
///
/// # Errors
/// 73 if a file cannot be created, 74 if it cannot be written; 3, and nothing is written, if a
/// parameter is not finite.
pub fn save(
    dir: &Path,
    network: &Network,
    layout: &Layout,
    schema: &Schema,
    parameters: &[f32],
) -> Result<()> {
    let files = contents(network, layout, schema, parameters).map_err(|e| {
        e.downcast::<Fault>().map_or_else(
            |e| e,
            |fault| {
                Fault { message: format!("{}: {}", dir.display(), fault.message), ..fault }.into()
            },
        )
    })?;
    fs::create_dir_all(dir).map_err(|e| cannot_create(dir, &e))?;
    files.iter().try_for_each(|(name, bytes)| update(&dir.join(name), bytes))
}

/// The files of a model directory, names and bytes, the tensors last.
///
/// # Errors
/// 3 if a parameter is not finite.
pub fn contents(
    network: &Network,
    layout: &Layout,
    schema: &Schema,
    parameters: &[f32],
) -> Result<[(&'static str, Vec<u8>); 3]> {
    ensure!(
        parameters.len() == layout.len,
        "{} parameters, the layout has {}",
        parameters.len(),
        layout.len
    );
    check_finite(layout, parameters)?;
    let Network { inputs, embeddings, architecture, trunk, tasks } = network.clone();
    let config = NetworkFile {
        format: FORMAT,
        tandem: env!("CARGO_PKG_VERSION").into(),
        inputs,
        embeddings,
        architecture,
        trunk,
        tasks,
    };
    Ok([
        (CONFIG, pretty(&config)?),
        (SCHEMA, pretty(schema)?),
        (TENSORS, arena::to_bytes(layout, parameters)?),
    ])
}

/// A model that cannot be loaded again must not take the place of one that can.
fn check_finite(layout: &Layout, parameters: &[f32]) -> Result<()> {
    let bad =
        |block: &&Block| parameters[block.offset..][..block.len].iter().any(|x| !x.is_finite());
    let Some(block) = layout.blocks.iter().find(bad) else { return Ok(()) };
    let message = format!("tensor \"{}\" is not finite, so it is not saved", block.name);
    Err(Fault::new(Exit::NotFinite, message)
        .hint("lower optimizer.learning_rate, or set optimizer.clip_norm")
        .into())
}

/// JSON for people, with a line end.
fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).context("a model's description as JSON")?;
    text.push(b'\n');
    Ok(text)
}

/// [`replace`] where the content is another.
fn update(path: &Path, bytes: &[u8]) -> Result<()> {
    let is_same = fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
    match is_same.then(|| fs::read(path)) {
        Some(Ok(found)) if found == bytes => Ok(()),
        _ => replace(path, bytes),
    }
}

/// Writes a file atomically: whoever reads `path` finds the old content or the new one, also after
/// a power cut. Its mode follows the umask.
///
/// # Errors
/// 73 if the file cannot be created, 74 if it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary(path);
    let written = create(&temporary)
        .and_then(|file| commit(file, &temporary, path, bytes).map_err(|e| cannot_write(path, &e)));
    if written.is_err() {
        // Whatever happened, the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    Ok(written?)
}

/// A name beside `path`, on the same file system; always the same one, so that what a killed
/// process left is not left for ever.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Removes what killed processes left of [`replace`] in a directory.
pub fn clean(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp"))
        {
            // What stays does no harm: it has no name that anyone looks for.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A new file; one that a killed process left goes first, and no link is followed.
fn create(path: &Path) -> Result<File, Fault> {
    let gone = match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    };
    gone.and_then(|()| OpenOptions::new().write(true).create_new(true).open(path))
        .map_err(|e| cannot_create(path, &e))
}

fn commit(mut file: File, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, path)?;
    sync_parent(path)
}

/// Waits until the name of `path` is on the disk: it is when its directory is. Not every system can
/// open one, and not everyone who may write to one may open it.
///
/// # Errors
/// Those of the directory.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|_| cfg!(unix)) else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match File::open(parent) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened?.sync_all(),
    }
}

fn cannot_create(path: &Path, error: &io::Error) -> Fault {
    Fault::new(of_creation(error), format!("{}: cannot be created: {error}", path.display()))
        .hint("check that its directory may be written to; a new run can go elsewhere with --out")
}

fn cannot_write(path: &Path, error: &io::Error) -> Fault {
    Fault::new(Exit::Io, format!("{}: cannot be written: {error}", path.display()))
        .hint("check the free space of the disk; a new run can go elsewhere with --out")
}
