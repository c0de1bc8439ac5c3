//! Reading a model. Each file is checked before the next one is believed: the network is within
//! limits, the schema belongs to the network, the tensors' header fits the network and the length
//! of the file, and the weights are finite.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::{
    CONFIG, FORMAT, FormatStamp, Model, NetworkFile, SCHEMA, TENSORS, arena, json, limits,
    malformed,
};
use crate::data::Schema;
use crate::fault::Fault;
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

/// Loads a model like [`load`], and accepts weights that are not finite.
///
/// # Errors
/// As [`load`], except for weights that are not finite.
pub fn load_allowing_nonfinite(path: &Path) -> Result<Model> {
    Ok(read(path)?.0)
}

/// The model, and the path of its tensors.
fn read(path: &Path) -> Result<(Model, PathBuf)> {
    let (directory, tensors) = find(path)?;
    let read = |name: &str| json::read(&directory.join(name));
    let (network, schema) = described(&directory, &read(CONFIG)?, || read(SCHEMA))?;
    let layout = Layout::new(&network)?;
    let (file, length) = json::open(&tensors)?;
    let parameters = arena::from_file(&tensors, file, length, &layout)?;
    Ok((Model { network, layout, schema, parameters, directory }, tensors))
}

/// The model of three files that are in memory; `directory` is named as theirs in messages.
///
/// # Errors
/// As [`load`], except for 66.
pub fn from_bytes(directory: &Path, config: &[u8], schema: &[u8], tensors: &[u8]) -> Result<Model> {
    let (network, schema) = described(directory, config, || Ok(schema.to_vec()))?;
    let layout = Layout::new(&network)?;
    let place = directory.join(TENSORS);
    let parameters = arena::from_bytes(&place, tensors, &layout)?;
    let model = Model { network, layout, schema, parameters, directory: directory.to_owned() };
    check_finite(&place, &model)?;
    Ok(model)
}

/// Network and schema of the two JSON files.
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

/// The directory of the model that `path` names, and the path of its tensors.
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

/// The directory of the model in a run directory or a model directory.
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

fn network(path: &Path, bytes: &[u8]) -> Result<Network> {
    let stamp: FormatStamp = json::parse(path, bytes)?;
    stamp.refuse_newer(path, FORMAT)?;
    let format = stamp.format;
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

/// Refuses weights that are not finite.
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
