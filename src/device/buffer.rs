//! Buffers of a device: how they are made, mapped and read back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Result, anyhow, ensure};
use wgpu::BufferUsages;

use super::gpu::Gpu;
use crate::fault::{Exit, Fault};
use crate::kernels::MIRROR_ROW;

/// Bytes of uploads after which the queue is flushed, so that staging memory stays bounded.
pub(super) const UPLOAD: usize = 32 << 20;

/// Makes a buffer of `bytes` bytes.
///
/// # Errors
/// A device that is lost or out of memory.
pub(super) fn buffer(
    gpu: &Gpu,
    name: &str,
    bytes: u64,
    usage: BufferUsages,
) -> Result<wgpu::Buffer> {
    let descriptor =
        wgpu::BufferDescriptor { label: Some(name), size: bytes, usage, mapped_at_creation: false };
    gpu.scoped(name, bytes, |device| device.create_buffer(&descriptor))
}

/// Makes a storage buffer of `bytes` bytes.
///
/// # Errors
/// 69 if a binding may not be so large; a device that is lost or out of memory.
pub(super) fn storage(gpu: &Gpu, name: &str, bytes: u64) -> Result<wgpu::Buffer> {
    let most = gpu.limits.max_storage_buffer_binding_size.min(gpu.limits.max_buffer_size);
    if bytes > most {
        let message = format!(
            "{}: {name} takes {bytes} bytes; this adapter binds at most {most}",
            gpu.entry.name
        );
        return Err(Fault::new(Exit::Unavailable, message)
            .hint("use narrower layers, or another adapter (see tandem devices)")
            .into());
    }
    buffer(
        gpu,
        name,
        bytes,
        BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
    )
}

/// Reads the u32 of a texture of `bytes` bytes, after all that was submitted.
pub(super) fn texels(gpu: &Gpu, texture: &wgpu::Texture, bytes: u64) -> Result<Vec<u32>> {
    let staging = buffer(gpu, "read-back", bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
    let mut encoder = gpu
        .device
        .create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read-back") });
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(4 * MIRROR_ROW as u32),
        rows_per_image: None,
    };
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &staging, layout },
        texture.size(),
    );
    let submission = gpu.submit(Some(encoder.finish()));
    let mapped = map(&staging);
    gpu.wait_until(&submission, || mapped.load(Ordering::Acquire) != PENDING)?;
    read(&staging, &mapped)
}

/// Reads bytes of a buffer (buffer, first byte, number), after all that was submitted.
pub(super) fn read_back(
    gpu: &Gpu,
    (from, first, bytes): (&wgpu::Buffer, u64, u64),
) -> Result<Vec<u32>> {
    let staging = buffer(gpu, "read-back", bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST)?;
    let descriptor = wgpu::CommandEncoderDescriptor { label: Some("read-back") };
    let mut encoder = gpu.device.create_command_encoder(&descriptor);
    encoder.copy_buffer_to_buffer(from, first, &staging, 0, bytes);
    let submission = gpu.submit(Some(encoder.finish()));
    let mapped = map(&staging);
    gpu.wait_until(&submission, || mapped.load(Ordering::Acquire) != PENDING)?;
    let words = read(&staging, &mapped)?;
    // Where the device was lost meanwhile, the copy may not have been made.
    gpu.poll()?;
    Ok(words)
}

/// State of a mapping that is not done yet.
pub(super) const PENDING: u8 = 0;

/// State of a mapping that is done.
const MAPPED: u8 = 1;

/// State of a mapping that failed.
const FAILED: u8 = 2;

/// Asks for a whole buffer to be mapped; the state as of [`map_slice`].
pub(super) fn map(staging: &wgpu::Buffer) -> Arc<AtomicU8> {
    map_slice(&staging.slice(..))
}

/// Asks for a slice to be mapped. The state is [`PENDING`] until the slice is mapped or the mapping
/// has failed.
pub(super) fn map_slice(slice: &wgpu::BufferSlice) -> Arc<AtomicU8> {
    let state = Arc::new(AtomicU8::new(PENDING));
    let shared = Arc::clone(&state);
    slice.map_async(wgpu::MapMode::Read, move |result| {
        shared.store(if result.is_ok() { MAPPED } else { FAILED }, Ordering::Release);
    });
    state
}

/// Reads the u32 of a staging buffer whose submission is done, and unmaps it.
pub(super) fn read(staging: &wgpu::Buffer, mapped: &AtomicU8) -> Result<Vec<u32>> {
    ensure!(
        mapped.load(Ordering::Acquire) == MAPPED,
        Fault::new(Exit::Internal, "the device did not hand over its results")
    );
    let words = {
        let view = staging.get_mapped_range(..).map_err(|e| anyhow!("read-back: {e}"))?;
        bytemuck::cast_slice(&view).to_vec()
    };
    staging.unmap();
    Ok(words)
}
