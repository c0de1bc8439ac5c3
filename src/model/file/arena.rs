//! Arenas as safetensors files: a tensor a block of the layout, f32 or f64.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytemuck::Pod;
use safetensors::tensor::{TensorView, serialize};
use safetensors::{Dtype, SafeTensors};

use super::{header, malformed, plain};
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

/// The arena of a safetensors file that is in memory, gaps included; `path` stands for it in
/// messages.
///
/// # Errors
/// 65 if it is not one, or not of this layout and type.
pub fn from_bytes<N: Number>(path: &Path, bytes: &[u8], layout: &Layout) -> Result<Vec<N>> {
    header::read(path, &mut &*bytes, bytes.len() as u64, layout, N::DTYPE)?;
    let wrong = |e: safetensors::SafeTensorError| malformed(path.display(), plain(&e.to_string()));
    let tensors = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let mut arena = vec![N::default(); layout.len];
    for block in &layout.blocks {
        let data = tensors.tensor(&block.name).map_err(wrong)?;
        bytemuck::cast_slice_mut(&mut arena[block.offset..][..block.len])
            .copy_from_slice(data.data());
    }
    Ok(arena)
}
