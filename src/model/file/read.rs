//! Reading, one suspicion after the other: the network within limits, the schema for that network, the header for that network and for the
//! length of the file, finite weights.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Result;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;

use super::{CONFIG, FORMAT, Model, NetworkFile, SCHEMA, TENSORS, header, json, limits, malformed, plain};
use crate::data::Schema;
use crate::fault::{Exit, Fault, quoted};
use crate::model::layout::Layout;
use crate::model::network::Network;

/// Loads a model. `path` is a run directory (its `model/` is taken), a model directory, or a `.safetensors` file beside its
/// `config.json`.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed or newer than this program, or a weight is not finite.
pub fn load(path: &Path) -> Result<Model> {
    let (directory, tensors) = find(path)?;
    let network = network(&directory.join(CONFIG))?;
    let schema = schema(&directory.join(SCHEMA), &network)?;
    let layout = Layout::new(&network);
    let parameters = parameters(&tensors, &layout)?;
    Ok(Model { network, layout, schema, parameters, directory })
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
        return Err(Fault::missing(place, "there is no such file or directory").hint(json::WHAT).into());
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
    let hint = if is_run { "the run has saved no model yet: wait for its first epoch, or take its last/" } else { json::WHAT };
    Err(Fault::missing(path.display(), "there is no model in this directory").hint(hint).into())
}

/// What is read of a `config.json` before it is known whether the rest can be.
#[derive(Deserialize)]
struct Version {
    format: u64,
    tandem: String,
}

fn network(path: &Path) -> Result<Network> {
    let bytes = json::read(path)?;
    let Version { format, tandem } = json::parse(path, &bytes)?;
    if format > FORMAT {
        let own = env!("CARGO_PKG_VERSION");
        let found =
            format!("format {format}, written by tandem {}, is newer than this program (tandem {own}, format {FORMAT})", quoted(&tandem));
        return Err(Fault::data(path.display(), found).hint("update tandem").into());
    }
    if format < FORMAT {
        return Err(malformed(path.display(), format!("format {format}, expected {FORMAT}")).into());
    }
    let NetworkFile { inputs, embeddings, trunk, tasks, .. } = json::parse_strictly(path, &bytes)?;
    let network = Network { inputs, embeddings, trunk, tasks };
    limits::check_network(path, &network)?;
    Ok(network)
}

fn schema(path: &Path, network: &Network) -> Result<Schema> {
    let schema = json::parse_strictly(path, &json::read(path)?)?;
    limits::check_schema(path, &schema, network)?;
    Ok(schema)
}

/// The arena of a file.
fn parameters(path: &Path, layout: &Layout) -> Result<Vec<f32>> {
    let (mut file, length) = json::open(path)?;
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
    check_finite(path, layout, &arena)?;
    Ok(arena)
}

/// The whole file.
fn read_data(path: &Path, file: File, header: header::Header) -> Result<Vec<u8>> {
    let length = header.bytes.len() + header.data as usize;
    let mut bytes = reserve(path, length)?;
    bytes.extend(header.bytes);
    file.take(header.data).read_to_end(&mut bytes).map_err(|e| malformed(path.display(), format!("cannot be read: {e}")))?;
    if bytes.len() != length {
        return Err(malformed(path.display(), "became shorter while it was read").into());
    }
    Ok(bytes)
}

/// Room for `count` elements; the file is that large, but the memory may not be.
fn reserve<T>(path: &Path, count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    let full = |_| Fault::new(Exit::Unavailable, format!("{}: not enough memory for its weights", path.display()));
    room.try_reserve_exact(count).map_err(|e| full(e).hint("free some memory, or use a smaller model"))?;
    Ok(room)
}

fn check_finite(path: &Path, layout: &Layout, arena: &[f32]) -> Result<()> {
    let bad = |x: &&f32| !x.is_finite();
    let first = layout.blocks.iter().find(|block| arena[block.offset..][..block.len].iter().any(|x| bad(&x)));
    let Some(first) = first else { return Ok(()) };
    let message = format!("tensor \"{}\": not finite; {} weights of the file are not", first.name, arena.iter().filter(bad).count());
    Err(malformed(path.display(), message).into())
}
