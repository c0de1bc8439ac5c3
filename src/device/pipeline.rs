//! From a kernel's signature to its pipeline.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::Gpu;
use crate::kernels::Kernel;
use crate::kernels::signature::{Access, Signature};
use crate::schedule::Dispatch;

/// A compiled kernel.
#[derive(Debug)]
pub(super) struct Pipeline {
    kernel: &'static Kernel,
    constants: Vec<(&'static str, f64)>,
    source: String,
    pub signature: Signature,
    pub layout: wgpu::BindGroupLayout,
    pub pipeline: wgpu::ComputePipeline,
}

impl Pipeline {
    /// Whether a dispatch runs on it: same kernel, same constants.
    pub(super) fn is_for(&self, dispatch: &Dispatch) -> bool {
        self.kernel.name == dispatch.kernel.name && self.constants == dispatch.constants
    }
}

/// The pipeline of a dispatch, compiled once a device however many programs use it.
pub(super) fn pipeline(gpu: &Gpu, dispatch: &Dispatch, source: &str) -> Result<Arc<Pipeline>> {
    let mut made = gpu.pipelines.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(found) = made.iter().find(|p| p.is_for(dispatch) && p.source == source) {
        return Ok(Arc::clone(found));
    }
    let new = Arc::new(compile(gpu, dispatch, source)?);
    made.push(Arc::clone(&new));
    Ok(new)
}

/// Compiles the kernel of a dispatch from `source` (its file with the prelude, or a mutant of it).
fn compile(gpu: &Gpu, dispatch: &Dispatch, source: &str) -> Result<Pipeline> {
    let kernel = dispatch.kernel;
    let signature = Signature::of_source(kernel, source)?;
    // What a kernel does not declare is for the one in its place.
    let declared = |name: &str| signature.overrides.iter().any(|o| o == name);
    let constants: Vec<_> = dispatch.constants.iter().filter(|(name, _)| declared(name)).copied().collect();
    let entries: Vec<_> = signature.bindings.iter().map(|b| layout_entry(b.slot, b.access)).collect();
    gpu.scoped(&format!("kernel {}", kernel.name), 0, |device| {
        let label = Some(kernel.name);
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source: wgpu::ShaderSource::Wgsl(source.into()) });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(kernel.name),
            compilation_options: wgpu::PipelineCompilationOptions { constants: &constants, ..Default::default() },
            cache: None,
        });
        Pipeline { kernel, constants: dispatch.constants.clone(), source: source.into(), signature, layout, pipeline }
    })
    .with_context(|| format!("shaders/{}.wgsl", kernel.name))
}

fn layout_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let buffer = |ty, has_dynamic_offset| wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None };
    let mirror = |format| wgpu::BindingType::StorageTexture {
        access: wgpu::StorageTextureAccess::ReadOnly,
        format,
        view_dimension: wgpu::TextureViewDimension::D2,
    };
    let ty = match access {
        Access::Params => buffer(wgpu::BufferBindingType::Uniform, false),
        Access::Step => buffer(wgpu::BufferBindingType::Uniform, true),
        Access::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }, false),
        Access::Write => buffer(wgpu::BufferBindingType::Storage { read_only: false }, false),
        Access::MirrorF32 | Access::MirrorU32 => mirror(super::mirror::format(access)),
    };
    wgpu::BindGroupLayoutEntry { binding, visibility: wgpu::ShaderStages::COMPUTE, ty, count: None }
}
