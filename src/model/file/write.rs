//! Writing a model: each file appears under its name only when it is complete.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::{CONFIG, FORMAT, NetworkFile, SCHEMA, TENSORS, arena};
use crate::data::Schema;
use crate::fault::{Exit, Fault};
use crate::model::layout::{Block, Layout};
use crate::model::network::Network;
use crate::replace::{cannot_create, replace};

/// Writes a model directory, or replaces the model in it. The tensors are written last, so a
/// directory that has them is complete. A file that existed before is never missing in between, and
/// a file that would not change is not written.
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

/// Refuses parameters that are not finite: a model that cannot be loaded again must not replace one
/// that can.
fn check_finite(layout: &Layout, parameters: &[f32]) -> Result<()> {
    let bad =
        |block: &&Block| parameters[block.offset..][..block.len].iter().any(|x| !x.is_finite());
    let Some(block) = layout.blocks.iter().find(bad) else { return Ok(()) };
    let message = format!("tensor \"{}\" is not finite, so it is not saved", block.name);
    Err(Fault::new(Exit::NotFinite, message)
        .hint("lower optimizer.learning_rate, or set optimizer.clip_norm")
        .into())
}

/// Indented JSON with a line end.
fn pretty(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value).context("a model's description as JSON")?;
    text.push(b'\n');
    Ok(text)
}

/// Replaces a file, unless it has this content already.
///
/// # Errors
/// 73 if it cannot be created, 74 if it cannot be written.
pub fn update(path: &Path, bytes: &[u8]) -> Result<()> {
    let is_same = fs::symlink_metadata(path)
        .is_ok_and(|found| found.is_file() && found.len() == bytes.len() as u64);
    match is_same.then(|| fs::read(path)) {
        Some(Ok(found)) if found == bytes => Ok(()),
        _ => replace(path, bytes),
    }
}
