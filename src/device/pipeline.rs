//! From a kernel's signature to its pipeline.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use anyhow::{Context, Result, anyhow};

use super::compiled::{Pipeline, declared};
use super::gpu::Gpu;
use crate::kernels::Kernel;
use crate::kernels::signature::{Access, Signature};
use crate::schedule::Dispatch;

/// The pipelines of dispatches. A device compiles each of them once, however many programs use it,
/// and several in parallel. `source` gives the text of a kernel.
///
/// # Errors
/// A kernel that does not compile; a device that is lost.
pub(super) fn pipelines(
    gpu: &Gpu,
    dispatches: &[&Dispatch],
    source: impl Fn(&Kernel) -> String,
) -> Result<Vec<Arc<Pipeline>>> {
    compiled(gpu, &distinct(dispatches, source)?)
}

/// A text that is to be compiled.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The kernel that it is the text of.
    pub(super) kernel: &'static Kernel,
    pub(super) constants: Vec<(&'static str, f64)>,
    pub(super) source: String,
    /// The bindings of the kernel, of which the text keeps slots and access.
    pub(super) signature: Signature,
}

impl Wanted {
    fn equals(&self, other: &Wanted) -> bool {
        other.kernel.name == self.kernel.name
            && other.constants == self.constants
            && other.source == self.source
    }

    fn is(&self, made: &Pipeline) -> bool {
        made.kernel.name == self.kernel.name
            && made.constants == self.constants
            && made.source == self.source
    }
}

/// The pipelines of texts, of which several may be equal.
///
/// # Errors
/// As [`pipelines`].
pub(super) fn compiled(gpu: &Gpu, wanted: &[Wanted]) -> Result<Vec<Arc<Pipeline>>> {
    let known = || gpu.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
    let find = |wanted: &Wanted| known().iter().find(|made| wanted.is(made)).map(Arc::clone);
    let mut missing: Vec<&Wanted> = Vec::new();
    for wanted in wanted {
        if find(wanted).is_none() && !missing.iter().any(|other| other.equals(wanted)) {
            missing.push(wanted);
        }
    }
    let made = compile_all(gpu, &missing)?;
    if !made.is_empty() {
        gpu.save_pipelines();
    }
    known().extend(made);
    let found = wanted.iter().map(|wanted| {
        find(wanted).ok_or_else(|| anyhow!("kernel {} was not compiled", wanted.kernel.name))
    });
    found.collect()
}

/// What dispatches need: a text with its constants once.
fn distinct(dispatches: &[&Dispatch], source: impl Fn(&Kernel) -> String) -> Result<Vec<Wanted>> {
    let mut signatures: BTreeMap<&str, Signature> = BTreeMap::new();
    let mut wanted: Vec<Wanted> = Vec::new();
    for &dispatch in dispatches {
        let name = dispatch.kernel.name;
        if !signatures.contains_key(name) {
            let signature = Signature::of_source(dispatch.kernel, &source(dispatch.kernel))?;
            signatures.insert(name, signature);
        }
        let signature = &signatures[name];
        let constants = declared(signature, dispatch);
        if !wanted.iter().any(|w| w.kernel.name == name && w.constants == constants) {
            let (kernel, source) = (dispatch.kernel, source(dispatch.kernel));
            wanted.push(Wanted { kernel, constants, source, signature: signature.clone() });
        }
    }
    Ok(wanted)
}

/// Compiles kernels in as many threads as there are processors.
fn compile_all(gpu: &Gpu, missing: &[&Wanted]) -> Result<Vec<Arc<Pipeline>>> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = processors.min(missing.len()).max(1);
    let share = |t: usize| -> Vec<Result<Pipeline>> {
        let own = missing.iter().skip(t).step_by(threads);
        own.map(|wanted| compile(gpu, wanted)).collect()
    };
    let compiled: Vec<Result<Pipeline>> = std::thread::scope(|scope| {
        let share = &share;
        let workers: Vec<_> = (0..threads).map(|t| scope.spawn(move || share(t))).collect();
        let died = |_| vec![Err(anyhow!("a compiling thread died"))];
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(died)).collect()
    });
    compiled.into_iter().map(|pipeline| pipeline.map(Arc::new)).collect()
}

/// Compiles a text: the file of a kernel with the prelude, a mutant of it, or the kernel for many
/// members.
fn compile(gpu: &Gpu, wanted: &Wanted) -> Result<Pipeline> {
    let Wanted { kernel, constants, source, signature } = wanted.clone();
    let entries: Vec<_> =
        signature.bindings.iter().map(|b| layout_entry(b.slot, b.access)).collect();
    // The text that was shown to keep its bounds, and no mutant of it.
    let trusted = gpu.trusts && kernel.bounded && source == kernel.module();
    gpu.scoped(&format!("kernel {}", kernel.name), 0, |device| {
        let label = Some(kernel.name);
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label,
            entries: &entries,
        });
        let module = if trusted {
            trusted_module(device, kernel)
        } else {
            device.create_shader_module(descriptor(kernel, &source))
        };
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
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                // A bounded kernel reads nothing in workgroup memory that it has not written.
                zero_initialize_workgroup_memory: !trusted,
            },
            cache: gpu.pipeline_cache.as_ref(),
        });
        Pipeline { kernel, constants, source, signature, layout, pipeline }
    })
    .with_context(|| kernel.file.to_owned())
}

fn descriptor<'a>(kernel: &'a Kernel, source: &'a str) -> wgpu::ShaderModuleDescriptor<'a> {
    wgpu::ShaderModuleDescriptor {
        label: Some(kernel.name),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    }
}

/// The module of a bounded kernel as it was shipped, compiled without checks of its indices and
/// without a counter in its loops.
#[allow(unsafe_code)]
fn trusted_module(device: &wgpu::Device, kernel: &Kernel) -> wgpu::ShaderModule {
    let checks = wgpu::ShaderRuntimeChecks {
        bounds_checks: false,
        force_loop_bounding: false,
        ..wgpu::ShaderRuntimeChecks::checked()
    };
    // SAFETY: the text is compiled in. Its file states under "Indices" why every index is in
    // bounds, given tables as `plan` writes them, whose slices the laws of a schedule keep
    // inside buffers; every loop counts up to a finite end. tests/shapes.rs shows at sizes
    // around the edges of all tiles that nothing else is written and that results are equal to
    // those of the checked module. Kernels for matrix units are compared with their twins at such
    // sizes before a run uses them.
    unsafe { device.create_shader_module_trusted(descriptor(kernel, &kernel.module()), checks) }
}

fn layout_entry(binding: u32, access: Access) -> wgpu::BindGroupLayoutEntry {
    let buffer = |ty, has_dynamic_offset| wgpu::BindingType::Buffer {
        ty,
        has_dynamic_offset,
        min_binding_size: None,
    };
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
