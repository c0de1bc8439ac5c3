//! Reading, one suspicion after the other: the network within limits, the schema for that network,
//! the header for that network and for the length of the file, finite weights.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::{
    CONFIG, FORMAT, Model, NetworkFile, SCHEMA, TENSORS, header, json, limits, malformed, plain,
};
use crate::data::Schema;
use crate::fault::{Exit, Fault, quoted};
use crate::model::layout::{Block, Layout};
use crate::model::network::Network;

/// Loads a model. `path` is a run directory (its `model/` is taken), a model directory, or a
/// `.safetensors` file beside its `config.json`.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed or newer than this program, or a weight is not
/// finite.
pub fn load(path: &Path) -> Result<Model> {
    let (model, tensors) = read(path)?;
    check_finite(&tensors, &model)?;
    Ok(model)
}

/// The same, and weights that are not finite are let in.
///
/// # Errors
/// Those of [`load`], weights that are not finite aside.
pub fn load_any(path: &Path) -> Result<Model> {
    Ok(read(path)?.0)
}

/// The model and the place of its tensors.
fn read(path: &Path) -> Result<(Model, PathBuf)> {
    let (directory, tensors) = find(path)?;
    let read = |name: &str| json::read(&directory.join(name));
    let (network, schema) = described(&directory, &read(CONFIG)?, || read(SCHEMA))?;
    let layout = Layout::new(&network)?;
    let (file, length) = json::open(&tensors)?;
    let parameters = parameters(&tensors, file, length, &layout)?;
    Ok((Model { network, layout, schema, parameters, directory }, tensors))
}

/// The model of three files that are in memory; `directory` stands for theirs in messages.
///
/// # Errors
/// Those of [`load`], 66 aside.
pub fn from_bytes(directory: &Path, config: &[u8], schema: &[u8], tensors: &[u8]) -> Result<Model> {
    let (network, schema) = described(directory, config, || Ok(schema.to_vec()))?;
    let layout = Layout::new(&network)?;
    let place = directory.join(TENSORS);
    let parameters = parameters(&place, tensors, tensors.len() as u64, &layout)?;
    let model = Model { network, layout, schema, parameters, directory: directory.to_owned() };
    check_finite(&place, &model)?;
    Ok(model)
}

/// What the two JSON files say.
fn described(
    directory: &Path,
    config: &[u8],
    schema: impl FnOnce() -> Result<Vec<u8>>,
) -> Result<(Network, Schema)> {
    let network = network(&directory.join(CONFIG), config)?;
    let path = directory.join(SCHEMA);
    let bytes = schema()?;
    let schema = json::parse(&path, &bytes)?;
    limits::check_schema(&path, &schema, &network)?;
    json::check_keys(&path, &bytes, &schema)?;
    Ok((network, schema))
}

/// (directory of the model, its tensors)
fn find(path: &Path) -> Result<(PathBuf, PathBuf)> {
    let place = path.display();
    if path.is_dir() {
        let directory = directory(path)?;
        let tensors = directory.join(TENSORS);
        return Ok((directory, tensors));
    }
    if !path.exists() {
        return Err(Fault::missing(place, "there is no such file or directory")
            .hint(json::WHAT)
            .into());
    }
    if path.extension().is_none_or(|e| e != "safetensors") {
        return Err(Fault::data(place, "is not a model").hint(json::WHAT).into());
    }
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent.to_owned(), path.to_owned()))
}

fn directory(path: &Path) -> Result<PathBuf> {
    let inner = path.join("model");
    if path.join(TENSORS).exists() || path.join(CONFIG).exists() {
        return Ok(path.to_owned());
    }
    if inner.is_dir() {
        return Ok(inner);
    }
    let is_run = path.join("config.toml").exists();
    let hint = if is_run {
        "the run has saved no model yet: wait for its first epoch, or take its last/"
    } else {
        json::WHAT
    };
    Err(Fault::missing(path.display(), "there is no model in this directory").hint(hint).into())
}

/// What is read of a `config.json` before it is known whether the rest can be.
#[derive(Deserialize)]
struct Version {
    format: u64,
    tandem: String,
}

fn network(path: &Path, bytes: &[u8]) -> Result<Network> {
    let Version { format, tandem } = json::parse(path, bytes)?;
    if format > FORMAT {
        let own = env!("CARGO_PKG_VERSION");
        let found = format!(
            "format {format}, written by tandem {}, is newer than this program (tandem {own}, \
             format {FORMAT})",
            quoted(&tandem)
        );
        return Err(Fault::data(path.display(), found).hint("update tandem").into());
    }
    if format < FORMAT {
        return Err(malformed(path.display(), format!("format {format}, expected {FORMAT}")).into());
    }
    let NetworkFile { format, tandem, inputs, embeddings, architecture, trunk, tasks } =
        json::parse(path, bytes)?;
    let network = Network { inputs, embeddings, architecture, trunk, tasks };
    limits::check_network(path, &network)?;
    let Network { inputs, embeddings, architecture, trunk, tasks } = network.clone();
    json::check_keys(
        path,
        bytes,
        &NetworkFile { format, tandem, inputs, embeddings, architecture, trunk, tasks },
    )?;
    Ok(network)
}

/// The arena of a file of `length` bytes.
fn parameters(path: &Path, mut file: impl Read, length: u64, layout: &Layout) -> Result<Vec<f32>> {
    let header = header::read(path, &mut file, length, layout, Dtype::F32)?;
    let bytes = read_data(path, file, header)?;
    let wrong = |e: safetensors::SafeTensorError| malformed(path.display(), plain(&e.to_string()));
    let tensors = SafeTensors::deserialize(&bytes).map_err(wrong)?;
    let mut arena = reserve(path, layout.len)?;
    arena.resize(layout.len, 0.0);
    for block in &layout.blocks {
        let data = tensors.tensor(&block.name).map_err(wrong)?.data().chunks_exact(4);
        for (to, from) in arena[block.offset..][..block.len].iter_mut().zip(data) {
            *to = f32::from_le_bytes([from[0], from[1], from[2], from[3]]);
        }
    }
    Ok(arena)
}

/// The whole file.
fn read_data(path: &Path, file: impl Read, header: header::Header) -> Result<Vec<u8>> {
    let length = header.bytes.len() + header.data as usize;
    let mut bytes = reserve(path, length)?;
    bytes.extend(header.bytes);
    file.take(header.data)
        .read_to_end(&mut bytes)
        .map_err(|e| malformed(path.display(), format!("cannot be read: {e}")))?;
    if bytes.len() != length {
        return Err(malformed(path.display(), "became shorter while it was read").into());
    }
    Ok(bytes)
}

/// Room for `count` elements; the file is that large, but the memory may not be.
fn reserve<T>(path: &Path, count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    let full = |_| {
        Fault::new(
            Exit::Unavailable,
            format!("{}: not enough memory for its weights", path.display()),
        )
    };
    room.try_reserve_exact(count)
        .map_err(|e| full(e).hint("free some memory, or use a smaller model"))?;
    Ok(room)
}

fn check_finite(path: &Path, model: &Model) -> Result<()> {
    let bad = |block: &&Block| {
        model.parameters[block.offset..][..block.len].iter().any(|x| !x.is_finite())
    };
    let Some(first) = model.layout.blocks.iter().find(bad) else { return Ok(()) };
    let message = format!(
        "tensor \"{}\": not finite; {} weights of the file are not",
        first.name,
        model.not_finite()
    );
    let hint = "copy the model again, or train again with a lower optimizer.learning_rate; \
                --allow-nonfinite takes it as it is";
    Err(Fault::data(path.display(), message).hint(hint).into())
}
