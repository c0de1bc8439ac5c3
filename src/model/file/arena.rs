//! Arenas as safetensors files: one tensor per block of the layout, f32 or f64.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytemuck::Pod;
use safetensors::tensor::{TensorView, serialize};
use safetensors::{Dtype, SafeTensors};

use super::{header, malformed, plain};
use crate::fault::{Exit, Fault};
use crate::model::layout::Layout;

/// A number of an arena.
pub trait Number: Pod + Default {
    /// Its type in a file.
    const DTYPE: Dtype;
}

impl Number for f32 {
    const DTYPE: Dtype = Dtype::F32;
}

impl Number for f64 {
    const DTYPE: Dtype = Dtype::F64;
}

/// The safetensors file of an arena. Its metadata has one key only: more are written in random
/// order.
pub fn to_bytes<N: Number>(layout: &Layout, arena: &[N]) -> Result<Vec<u8>> {
    ensure!(
        arena.len() == layout.len,
        "an arena of {} elements, the layout has {}",
        arena.len(),
        layout.len
    );
    let mut views = Vec::with_capacity(layout.blocks.len());
    for block in &layout.blocks {
        let data = bytemuck::cast_slice(&arena[block.offset..][..block.len]);
        let view = TensorView::new(N::DTYPE, block.shape.clone(), data)
            .with_context(|| format!("tensor {}", block.name))?;
        views.push((block.name.as_str(), view));
    }
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    serialize(views, Some(metadata)).context("tensors as safetensors")
}

/// The arena of a safetensors file that is in memory, including gaps; `path` is its name in
/// messages.
///
/// # Errors
/// 65 if the bytes are no such file, or its tensors are not those of the layout and of this type;
/// 69 if there is not enough memory.
pub fn from_bytes<N: Number>(path: &Path, bytes: &[u8], layout: &Layout) -> Result<Vec<N>> {
    header::read(path, &mut &*bytes, bytes.len() as u64, layout, N::DTYPE)?;
    parse(path, bytes, layout)
}

/// The arena of an f32 safetensors file of `length` bytes. Header and length are held against the
/// layout before the tensors are read.
///
/// # Errors
/// As [`from_bytes`].
pub(super) fn from_file(
    path: &Path,
    mut file: impl Read,
    length: u64,
    layout: &Layout,
) -> Result<Vec<f32>> {
    let header = header::read(path, &mut file, length, layout, Dtype::F32)?;
    parse(path, &read_tensors(path, file, header)?, layout)
}

/// The whole file whose header was read.
fn read_tensors(path: &Path, file: impl Read, header: header::Header) -> Result<Vec<u8>> {
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

/// The arena of a file whose header was checked.
fn parse<N: Number>(path: &Path, bytes: &[u8], layout: &Layout) -> Result<Vec<N>> {
    let wrong = |e: safetensors::SafeTensorError| malformed(path.display(), plain(&e.to_string()));
    let tensors = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let mut arena = reserve(path, layout.len)?;
    arena.resize(layout.len, N::default());
    for block in &layout.blocks {
        let data = tensors.tensor(&block.name).map_err(wrong)?;
        bytemuck::cast_slice_mut(&mut arena[block.offset..][..block.len])
            .copy_from_slice(data.data());
    }
    Ok(arena)
}

/// An empty vector with room for `count` elements: the file is that large, but the memory may not
/// be.
fn reserve<T>(path: &Path, count: usize) -> Result<Vec<T>> {
    let mut room = Vec::new();
    room.try_reserve_exact(count).map_err(|_| {
        let message = format!("{}: not enough memory for its weights", path.display());
        Fault::new(Exit::Unavailable, message).hint("free some memory, or use a smaller model")
    })?;
    Ok(room)
}
