//! Buffers that lie in the memory of textures, so that mirrors are up to date by themselves:
//! nothing is copied, and no pass has to end for a copy.
//!
//! Mesa's software driver lays a texture out row by row, as the buffer lies. It does not promise
//! that, so [`shares`] tries it out on every device, and mirrors are copied where it fails. The
//! driver runs one dispatch after the other, so that no barrier is needed. Within a dispatch a
//! kernel may read a mirror of what it writes only where the lane that writes an element has read
//! it before: `adam_direct` and `sgd_direct`.

use anyhow::Result;

use super::gpu::Gpu;

/// Bytes in a row of texels.
const ROW: u64 = 4 * crate::kernels::MIRROR_ROW as u64;

/// Makes a buffer of `bytes` bytes in the memory of a texture; `None` where that is not possible.
pub(super) fn buffer_over(
    gpu: &Gpu,
    texture: &wgpu::Texture,
    name: &str,
    bytes: u64,
) -> Option<wgpu::Buffer> {
    // wgpu clears a texture when it is first used: it is used here, while it holds nothing.
    let clear = wgpu::Extent3d { width: 1, height: 1, depth_or_array_layers: 1 };
    gpu.queue.write_texture(
        texture.as_image_copy(),
        &[0; 16],
        wgpu::TexelCopyBufferLayout::default(),
        clear,
    );
    vulkan::buffer_over(gpu, texture, name, bytes)
}

/// Whether a texture holds what is written to a buffer in its memory, texel by texel.
pub(super) fn shares(gpu: &Gpu) -> Result<bool> {
    let size =
        wgpu::Extent3d { width: crate::kernels::MIRROR_WIDTH, height: 3, depth_or_array_layers: 1 };
    let usage = wgpu::TextureUsages::STORAGE_BINDING
        | wgpu::TextureUsages::COPY_DST
        | wgpu::TextureUsages::COPY_SRC;
    let descriptor = wgpu::TextureDescriptor {
        label: Some("trial of a shared texture"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba32Uint,
        usage,
        view_formats: &[],
    };
    let bytes = 3 * ROW;
    let texture =
        gpu.scoped("a shared texture", bytes, |device| device.create_texture(&descriptor))?;
    let Some(buffer) = buffer_over(gpu, &texture, "trial of a shared buffer", bytes) else {
        return Ok(false);
    };
    let words: Vec<u32> = (0..bytes as u32 / 4).map(|i| i.wrapping_mul(2_654_435_761)).collect();
    gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&words));
    Ok(super::buffer::texels(gpu, &texture, bytes)? == words)
}

#[cfg(not(any(target_vendor = "apple", target_family = "wasm")))]
mod vulkan {
    use ash::vk;
    use wgpu::hal;

    use crate::device::gpu::Gpu;

    /// Destroys the buffer when it is dropped; keeps the texture, whose memory it is, until then.
    struct Guard {
        device: ash::Device,
        buffer: vk::Buffer,
        _texture: wgpu::Texture,
    }

    impl Drop for Guard {
        #[allow(unsafe_code)]
        fn drop(&mut self) {
            // SAFETY: wgpu drops the guard when no work on the device needs the buffer any more,
            // and the device outlives its buffers.
            unsafe { self.device.destroy_buffer(self.buffer, None) };
        }
    }

    #[allow(unsafe_code)]
    pub(super) fn buffer_over(
        gpu: &Gpu,
        texture: &wgpu::Texture,
        name: &str,
        bytes: u64,
    ) -> Option<wgpu::Buffer> {
        // SAFETY: the handles are only read, and none is destroyed.
        let (device, memory, offset) = unsafe {
            let inner = texture.as_hal::<hal::api::Vulkan>()?;
            let hal::vulkan::TextureMemory::Allocation(allocation) = inner.memory() else {
                return None;
            };
            let device = gpu.device.as_hal::<hal::api::Vulkan>()?.raw_device().clone();
            (allocation.size() >= bytes)
                .then(|| (device, allocation.memory(), allocation.offset()))?
        };
        let usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let info = vk::BufferCreateInfo::default()
            .size(bytes)
            .usage(usage)
            .sharing_mode(vk::SharingMode::EXCLUSIVE);
        // SAFETY: the buffer is bound to memory that its guard keeps, at an offset of its
        // alignment, and does not reach beyond the memory of the texture. wgpu knows the two as
        // different resources; `shares` has shown that the driver reads and writes them as one.
        unsafe {
            let buffer = device.create_buffer(&info, None).ok()?;
            let guard = Guard { device: device.clone(), buffer, _texture: texture.clone() };
            let needs = device.get_buffer_memory_requirements(buffer);
            let fits = offset.is_multiple_of(needs.alignment)
                && needs.size <= bytes.next_multiple_of(needs.alignment);
            if !fits || device.bind_buffer_memory(buffer, memory, offset).is_err() {
                return None;
            }
            let made = hal::vulkan::Buffer::from_raw_externally_owned(
                buffer,
                Box::new(move || drop(guard)),
            );
            let usage = wgpu::BufferUsages::STORAGE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::COPY_DST;
            let descriptor = wgpu::BufferDescriptor {
                label: Some(name),
                size: bytes,
                usage,
                mapped_at_creation: false,
            };
            Some(gpu.device.create_buffer_from_hal::<hal::api::Vulkan>(made, &descriptor))
        }
    }
}

#[cfg(any(target_vendor = "apple", target_family = "wasm"))]
mod vulkan {
    /// No Vulkan here.
    pub(super) fn buffer_over(
        _: &super::gpu::Gpu,
        _: &wgpu::Texture,
        _: &str,
        _: u64,
    ) -> Option<wgpu::Buffer> {
        None
    }
}
