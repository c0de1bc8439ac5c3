//! Writing: every file is complete under its name, or not there.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};
use serde::Serialize;

use super::{CONFIG, FORMAT, NetworkFile, SCHEMA, TENSORS};
use crate::data::Schema;
use crate::fault::{Exit, Fault};
use crate::model::layout::{Block, Layout};
use crate::model::network::Network;

/// Writes a model directory, or replaces the model in it. The tensors come last, so a directory that has them is complete; at no moment
/// is a file that was there before missing. Files that would not change are left alone.
///
/// # Errors
/// 73 if a file cannot be created, 74 if it cannot be written; 3, and nothing is written, if a parameter is not finite.
pub fn save(dir: &Path, network: &Network, layout: &Layout, schema: &Schema, parameters: &[f32]) -> Result<()> {
    ensure!(parameters.len() == layout.len, "{}: {} parameters, the layout has {}", dir.display(), parameters.len(), layout.len);
    check_finite(dir, layout, parameters)?;
    fs::create_dir_all(dir).map_err(|e| cannot_create(dir, &e))?;
    let Network { inputs, trunk, tasks } = network.clone();
    let config = NetworkFile { format: FORMAT, tandem: env!("CARGO_PKG_VERSION").into(), inputs, trunk, tasks };
    update(&dir.join(CONFIG), &pretty(&config)?)?;
    update(&dir.join(SCHEMA), &pretty(schema)?)?;
    replace(&dir.join(TENSORS), &tensors(layout, parameters)?)
}

/// A model that cannot be loaded again must not take the place of one that can.
fn check_finite(dir: &Path, layout: &Layout, parameters: &[f32]) -> Result<()> {
    let bad = |block: &&Block| parameters[block.offset..][..block.len].iter().any(|x| !x.is_finite());
    let Some(block) = layout.blocks.iter().find(bad) else { return Ok(()) };
    let message = format!("{}: tensor \"{}\" is not finite, so it is not saved", dir.display(), block.name);
    Err(Fault::new(Exit::NotFinite, message).hint("lower optimizer.learning_rate, or set optimizer.clip_norm").into())
}

/// JSON for people, with a line end.
fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).context("a model's description as JSON")?;
    text.push(b'\n');
    Ok(text)
}

/// The safetensors file of an arena. Its metadata has one key only: more are written in random order.
fn tensors(layout: &Layout, parameters: &[f32]) -> Result<Vec<u8>> {
    let bytes: Vec<u8> = layout.blocks.iter().flat_map(|b| &parameters[b.offset..][..b.len]).flat_map(|x| x.to_le_bytes()).collect();
    let mut rest = bytes.as_slice();
    let mut views = Vec::with_capacity(layout.blocks.len());
    for block in &layout.blocks {
        let (data, after) = rest.split_at(4 * block.len);
        rest = after;
        let view = TensorView::new(Dtype::F32, block.shape.clone(), data).with_context(|| format!("tensor {}", block.name))?;
        views.push((block.name.as_str(), view));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    serialize(views, Some(metadata)).context("a model's tensors as safetensors")
}

/// [`replace`] where the content is another.
fn update(path: &Path, bytes: &[u8]) -> Result<()> {
    match fs::read(path) {
        Ok(found) if found == bytes => Ok(()),
        _ => replace(path, bytes),
    }
}

/// Writes a file atomically: whoever reads `path` finds the old content or the new one, also after a power cut. Its mode follows the
/// umask.
///
/// # Errors
/// 73 if the file cannot be created, 74 if it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = temporary(path);
    let written = create(&temporary).and_then(|file| commit(file, &temporary, path, bytes).map_err(|e| cannot_write(path, &e)));
    if written.is_err() {
        // Whatever happened, the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    Ok(written?)
}

/// A name beside `path`, on the same file system; always the same one, so that what a killed process left is not left for ever.
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// A new file; one that a killed process left goes first, and no link is followed.
fn create(path: &Path) -> Result<File, Fault> {
    let gone = match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    };
    gone.and_then(|()| OpenOptions::new().write(true).create_new(true).open(path)).map_err(|e| cannot_create(path, &e))
}

fn commit(mut file: File, temporary: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temporary, path)?;
    sync_directory(path)
}

/// A rename is durable when its directory is; not every system can open one.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if cfg!(unix) && !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

fn cannot_create(path: &Path, error: &io::Error) -> Fault {
    Fault::new(Exit::CantCreate, format!("{}: cannot be created: {error}", path.display()))
        .hint("check that its directory may be written to, or choose another one with --out")
}

fn cannot_write(path: &Path, error: &io::Error) -> Fault {
    Fault::new(Exit::Io, format!("{}: cannot be written: {error}", path.display()))
        .hint("check the free space of the disk, or choose another directory with --out")
}
