//! Mirrors: textures with the contents of buffers, for the kernels of software adapters
//! (`shaders/mirror.wgsl` says why).
//!
//! Where a buffer can lie in the memory of its mirror (`shared.rs`), nothing is ever copied.
//! Elsewhere a mirror is brought up to date by a copy between two dispatches, where the second one
//! reads what was written since the last copy.

use std::ops::Range;

use anyhow::Result;

use super::gpu::Gpu;
use crate::kernels::signature::{Access, Signature};
use crate::kernels::{MIRROR_ROW, MIRROR_WIDTH, mirror_rows};
use crate::schedule::{Dispatch, Effect, Program};

/// The format of the texels of a mirror.
pub(super) fn format(access: Access) -> wgpu::TextureFormat {
    if access == Access::MirrorU32 {
        wgpu::TextureFormat::Rgba32Uint
    } else {
        wgpu::TextureFormat::Rgba32Float
    }
}

/// The mirror of a buffer.
#[derive(Debug)]
pub(super) struct Mirror {
    texture: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
    /// Rows of texels that the buffer has changed since the last copy.
    stale: Range<u32>,
    /// The buffer, where it lies in the memory of the mirror.
    pub(super) shared: Option<wgpu::Buffer>,
}

impl Mirror {
    /// Makes the mirror of a buffer of `len` elements.
    pub(super) fn new(gpu: &Gpu, name: &str, len: usize, access: Access) -> Result<Mirror> {
        let size = wgpu::Extent3d {
            width: MIRROR_WIDTH,
            height: mirror_rows(len) as u32,
            depth_or_array_layers: 1,
        };
        let descriptor = wgpu::TextureDescriptor {
            label: Some(name),
            size,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: format(access),
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        };
        let bytes = 4 * (MIRROR_ROW * mirror_rows(len)) as u64;
        let texture = gpu.scoped(&format!("mirror of {name}"), bytes, |device| {
            device.create_texture(&descriptor)
        })?;
        let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
        let bytes = 4 * len.next_multiple_of(MIRROR_ROW) as u64;
        let shared = match gpu.shares {
            true => super::shared::buffer_over(gpu, &texture, name, bytes),
            false => None,
        };
        Ok(Mirror { texture, view, stale: rows(0..len), shared })
    }
}

/// The mirrors of a program by the number of their buffers.
#[derive(Debug)]
pub(super) struct Mirrors(Vec<Option<Mirror>>);

/// Rows of texels of mirrors that concern a dispatch, with the numbers of their buffers.
#[derive(Debug, Default)]
pub(super) struct Use {
    /// Rows that it reads from mirrors.
    reads: Vec<(usize, Range<u32>)>,
    /// Rows of buffers with mirrors that it writes.
    writes: Vec<(usize, Range<u32>)>,
}

/// The rows of texels that hold elements.
fn rows(elements: Range<usize>) -> Range<u32> {
    (elements.start / MIRROR_ROW) as u32..elements.end.div_ceil(MIRROR_ROW) as u32
}

/// The smallest range that holds two ranges.
fn hull(a: &Range<u32>, b: &Range<u32>) -> Range<u32> {
    if a.is_empty() {
        return b.clone();
    }
    a.start.min(b.start)..a.end.max(b.end)
}

impl Mirrors {
    /// Makes the mirrors of a program.
    pub(super) fn new(gpu: &Gpu, program: &Program) -> Result<Mirrors> {
        let made = Mirrors::made(gpu, program);
        // wgpu keeps textures until they are cleared, also where making the others has failed.
        let submission = gpu.submit(None);
        gpu.wait(&submission)?;
        made
    }

    fn made(gpu: &Gpu, program: &Program) -> Result<Mirrors> {
        let specs = program.buffers.iter().zip(program.mirrors()?);
        let made = specs.map(|(spec, access)| {
            access.map(|access| Mirror::new(gpu, &spec.name, spec.len, access)).transpose()
        });
        Ok(Mirrors(made.collect::<Result<_>>()?))
    }

    /// Number of elements to allocate for a buffer of `len`: whole rows where it has a mirror, else
    /// whole vec4s, as some kernels bind them.
    pub(super) fn padded(&self, buffer: usize, len: usize) -> usize {
        len.next_multiple_of(if self.0[buffer].is_some() { MIRROR_ROW } else { 4 })
    }

    /// The buffer that lies in the memory of its mirror.
    pub(super) fn shared(&self, buffer: usize) -> Option<&wgpu::Buffer> {
        self.0[buffer].as_ref()?.shared.as_ref()
    }

    /// The view of the mirror of a buffer.
    pub(super) fn view(&self, buffer: usize) -> Option<&wgpu::TextureView> {
        self.0[buffer].as_ref().map(|m| &m.view)
    }

    /// Notes that the host wrote elements of a buffer.
    pub(super) fn wrote(&mut self, buffer: usize, elements: Range<usize>) {
        self.mark(buffer, &rows(elements));
    }

    /// Notes that rows of a mirror are stale.
    fn mark(&mut self, buffer: usize, changed: &Range<u32>) {
        if let Some(mirror) = &mut self.0[buffer] {
            mirror.stale = hull(&mirror.stale, changed);
        }
    }

    /// The rows that a dispatch reads from mirrors, and those that it makes stale.
    pub(super) fn uses(&self, dispatch: &Dispatch, signature: &Signature) -> Use {
        let is_mirror = |buffer| {
            let name = dispatch.bindings.iter().find(|(_, b)| *b == buffer).map(|(name, _)| *name);
            signature.mirrors().any(|b| Some(b.name.as_str()) == name)
        };
        let mut found = Use::default();
        for (effect, slice) in &dispatch.effects {
            let (buffer, touched) = (slice.buffer.0, rows(slice.first..slice.first + slice.len));
            if self.0[buffer].is_none() {
                continue;
            }
            if *effect != Effect::Overwrite && is_mirror(slice.buffer) {
                widen(&mut found.reads, buffer, &touched);
            }
            if *effect != Effect::Read {
                widen(&mut found.writes, buffer, &touched);
            }
        }
        // Tables are read whole; no effect states that.
        for (name, buffer) in &dispatch.bindings {
            let is_table = !dispatch.effects.iter().any(|(_, s)| s.buffer == *buffer);
            if is_table && signature.mirrors().any(|b| b.name == *name) {
                found.reads.push((buffer.0, 0..u32::MAX));
            }
        }
        found
    }

    /// Whether copies are needed before a dispatch.
    pub(super) fn stale(&self, uses: &Use) -> bool {
        uses.reads.iter().any(|(buffer, rows)| self.is_stale(*buffer, rows))
    }

    fn is_stale(&self, buffer: usize, read: &Range<u32>) -> bool {
        let copied = self.0[buffer].as_ref().filter(|m| m.shared.is_none());
        copied
            .is_some_and(|m| m.stale.start < read.end.min(m.stale.end) && read.start < m.stale.end)
    }

    /// Records the copies that a dispatch needs.
    pub(super) fn refresh(
        &mut self,
        uses: &Use,
        encoder: &mut wgpu::CommandEncoder,
        buffers: &[wgpu::Buffer],
    ) {
        for (buffer, read) in &uses.reads {
            if !self.is_stale(*buffer, read) {
                continue;
            }
            let Some(mirror) = &mut self.0[*buffer] else { continue };
            let stale = std::mem::take(&mut mirror.stale);
            let row_bytes = 4 * MIRROR_ROW as u32;
            let offset = u64::from(stale.start) * u64::from(row_bytes);
            let layout = wgpu::TexelCopyBufferLayout {
                offset,
                bytes_per_row: Some(row_bytes),
                rows_per_image: None,
            };
            let mut target = mirror.texture.as_image_copy();
            target.origin.y = stale.start;
            let size = wgpu::Extent3d {
                width: MIRROR_WIDTH,
                height: stale.end - stale.start,
                depth_or_array_layers: 1,
            };
            encoder.copy_buffer_to_texture(
                wgpu::TexelCopyBufferInfo { buffer: &buffers[*buffer], layout },
                target,
                size,
            );
        }
    }

    /// Notes that a dispatch was recorded.
    pub(super) fn recorded(&mut self, uses: &Use) {
        for (buffer, changed) in &uses.writes {
            self.mark(*buffer, changed);
        }
    }
}

/// Widens the rows of a buffer in a list by those that are touched.
fn widen(list: &mut Vec<(usize, Range<u32>)>, buffer: usize, touched: &Range<u32>) {
    match list.iter_mut().find(|(b, _)| *b == buffer) {
        Some((_, rows)) => *rows = hull(rows, touched),
        None => list.push((buffer, touched.clone())),
    }
}
