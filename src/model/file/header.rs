//! The header of a safetensors file. It is compared with the layout of the network and with the
//! real length of the file.
//!
//! The safetensors crate takes the last of two tensors of one name, and adds offsets unchecked, so
//! it parses a file only after this check.

use std::collections::{BTreeMap, HashMap};
use std::fmt::{self, Display};
use std::io::Read;
use std::path::Path;

use anyhow::Result;
use safetensors::Dtype;
use serde::Deserialize;
use serde::de::{Error, MapAccess, Visitor};

use super::{malformed, plain};
use crate::fault::{Fault, quoted};
use crate::model::layout::{Block, Layout};

/// Bytes that a header may have.
pub(super) const MAX_BYTES: u64 = 1 << 20;

/// The largest number of tensors in a file.
pub(super) const MAX_TENSORS: usize = 10_000;

/// Bytes of the number that says how long the header is; it comes first in the file.
const PREFIX: usize = 8;

/// The description of a tensor in the header.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorEntry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

/// The descriptions of all tensors, by name.
#[derive(Debug)]
struct Tensors(HashMap<String, TensorEntry>);

/// The beginning of a file that belongs to a layout.
pub(super) struct Header {
    /// The bytes of the file up to the end of the header.
    pub bytes: Vec<u8>,
    /// Number of bytes of tensors that follow; the header and the length of the file agree on it.
    pub data: u64,
}

/// Reads the header of a file of `length` bytes, and checks that it has exactly the tensors of the
/// layout, in their shapes and of type `dtype`, and that they lie within the file.
pub(super) fn read(
    path: &Path,
    file: &mut impl Read,
    length: u64,
    layout: &Layout,
    dtype: Dtype,
) -> Result<Header> {
    let place = path.display();
    let bytes = read_bytes(path, file, length)?;
    let text = std::str::from_utf8(&bytes[PREFIX..])
        .map_err(|_| malformed(&place, "the header is not UTF-8 text"))?;
    let Tensors(tensors) = serde_json::from_str(text)
        .map_err(|e| malformed(&place, format!("the header: {}", plain(&e.to_string()))))?;
    let data = length - bytes.len() as u64;
    check_names(path, &tensors, layout)?;
    for block in &layout.blocks {
        check_tensor(&tensors[&block.name], block, data, dtype)
            .map_err(|e| in_tensor(path, &block.name, e))?;
    }
    check_cover(path, &tensors, data)?;
    Ok(Header { bytes, data })
}

/// The length of the header and the header, after its length was compared with that of the file.
fn read_bytes(path: &Path, file: &mut impl Read, length: u64) -> Result<Vec<u8>> {
    let place = path.display();
    let cut = |e| malformed(&place, format!("cannot be read: {e}"));
    if length < PREFIX as u64 {
        return Err(malformed(
            &place,
            format!("{length} bytes, the length of the header alone takes {PREFIX}"),
        )
        .into());
    }
    let mut prefix = [0; PREFIX];
    file.read_exact(&mut prefix).map_err(cut)?;
    let header = u64::from_le_bytes(prefix);
    let left = length - PREFIX as u64;
    if header > left {
        return Err(malformed(
            &place,
            format!("the header is to have {header} bytes, the file has {left} left"),
        )
        .into());
    }
    if header > MAX_BYTES {
        return Err(malformed(
            &place,
            format!("the header has {header} bytes, expected at most {MAX_BYTES}"),
        )
        .into());
    }
    let mut bytes = prefix.to_vec();
    bytes.resize(PREFIX + header as usize, 0);
    file.read_exact(&mut bytes[PREFIX..]).map_err(cut)?;
    Ok(bytes)
}

fn in_tensor(path: &Path, name: &str, message: impl Display) -> Fault {
    malformed(path.display(), format!("tensor {}: {message}", quoted(name)))
}

/// Checks that the file has the tensors of the layout, and no others.
fn check_names(path: &Path, tensors: &HashMap<String, TensorEntry>, layout: &Layout) -> Result<()> {
    if let Some(block) = layout.blocks.iter().find(|block| !tensors.contains_key(&block.name)) {
        return Err(in_tensor(
            path,
            &block.name,
            format_args!("missing, expected F32 {:?}", block.shape),
        )
        .into());
    }
    if tensors.len() == layout.blocks.len() {
        return Ok(());
    }
    let unknown =
        tensors.keys().filter(|name| layout.blocks.iter().all(|block| block.name != **name)).min();
    let name = unknown.map_or("", String::as_str);
    Err(in_tensor(path, name, "unknown, config.json describes no such layer").into())
}

/// Checks that a tensor has the type and shape of its block, and lies within the `data` bytes of
/// the file.
fn check_tensor(
    entry: &TensorEntry,
    block: &Block,
    data: u64,
    expected: Dtype,
) -> Result<(), String> {
    let TensorEntry { dtype, shape, data_offsets: [begin, end] } = entry;
    if *dtype != expected.to_string() {
        return Err(format!("of type {}, expected \"{expected}\"", quoted(dtype)));
    }
    if !shape.iter().copied().eq(block.shape.iter().map(|&n| n as u64)) {
        return Err(format!(
            "of shape {}, expected {:?} by config.json",
            plain(&format!("{shape:?}")),
            block.shape
        ));
    }
    let expected = (expected.bitsize() / 8 * block.len) as u64;
    if end.checked_sub(*begin) != Some(expected) {
        return Err(format!("at bytes {begin} to {end}, expected {expected} bytes by its shape"));
    }
    if *end > data {
        return Err(format!("ends at byte {end}, the file has {data} bytes after the header"));
    }
    Ok(())
}

/// Checks that the tensors follow each other from the first byte to the last.
fn check_cover(path: &Path, tensors: &HashMap<String, TensorEntry>, data: u64) -> Result<()> {
    let mut spans: Vec<(&[u64; 2], &String)> =
        tensors.iter().map(|(name, entry)| (&entry.data_offsets, name)).collect();
    spans.sort();
    let mut next = 0;
    for ([begin, end], name) in spans {
        if *begin != next {
            let what = if *begin > next { "a hole before it" } else { "it overlaps another one" };
            return Err(in_tensor(
                path,
                name,
                format_args!("begins at byte {begin}, expected {next}: {what}"),
            )
            .into());
        }
        next = *end;
    }
    match data - next {
        0 => Ok(()),
        more => {
            Err(malformed(path.display(), format!("{more} bytes too many after the last tensor"))
                .into())
        }
    }
}

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Tensors, D::Error> {
        deserializer.deserialize_map(TensorsVisitor)
    }
}

/// Reads the map of tensors. A plain map type would keep the last of two tensors of one name
/// silently.
struct TensorsVisitor;

impl<'de> Visitor<'de> for TensorsVisitor {
    type Value = Tensors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensors, A::Error> {
        let (mut tensors, mut metadata) = (HashMap::new(), None);
        while let Some(name) = map.next_key::<String>()? {
            let twice = if name == "__metadata__" {
                metadata.replace(map.next_value::<BTreeMap<String, String>>()?).is_some()
            } else {
                tensors.insert(name.clone(), map.next_value::<TensorEntry>()?).is_some()
            };
            if twice {
                return Err(A::Error::custom(format_args!("{} stands twice", quoted(&name))));
            }
            if tensors.len() > MAX_TENSORS {
                return Err(A::Error::custom(format_args!("more than {MAX_TENSORS} tensors")));
            }
        }
        Ok(Tensors(tensors))
    }
}
