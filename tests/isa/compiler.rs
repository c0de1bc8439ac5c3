//! The compiler of the driver RADV, which compiles for AMD GPUs without one: its null back end is
//! a device that can make pipelines and run nothing. wgpu cannot open it, so Vulkan is called here.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};

use ash::khr::pipeline_executable_properties as executables;
use ash::vk;
use naga::back::spv;
use naga::proc::{BoundsCheckPolicies, BoundsCheckPolicy};
use naga::valid::ModuleInfo;
use serde::{Deserialize, Serialize};
use tandem::kernels::Kernel;
use tandem::kernels::signature::{Access, Signature, module};

/// A kernel as the compiler leaves it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Compiled {
    pub kernel: String,
    /// Numbers by the driver's names.
    pub statistics: BTreeMap<String, f64>,
    /// The instructions.
    pub assembly: String,
}

/// An open device of the driver.
pub struct Compiler {
    _entry: ash::Entry,
    _instance: ash::Instance,
    device: ash::Device,
    executables: executables::Device,
}

impl Compiler {
    /// Opens the only device of the driver that the environment names.
    pub fn open() -> Result<Compiler, String> {
        let failed = |what: &str, e: vk::Result| format!("{what}: {e}");
        // SAFETY: the loader is that of the system; nothing is unloaded before the process ends.
        let entry = unsafe { ash::Entry::load() }.map_err(|e| format!("no Vulkan loader: {e}"))?;
        let application = vk::ApplicationInfo::default().api_version(vk::API_VERSION_1_3);
        let info = vk::InstanceCreateInfo::default().application_info(&application);
        // SAFETY: the structures are whole, as everywhere below.
        let instance =
            unsafe { entry.create_instance(&info, None) }.map_err(|e| failed("instance", e))?;
        let devices = unsafe { instance.enumerate_physical_devices() };
        let devices = devices.map_err(|e| failed("devices", e))?;
        let [physical] = devices[..] else {
            return Err(format!("{} devices instead of one", devices.len()));
        };
        let queues = [vk::DeviceQueueCreateInfo::default().queue_priorities(&[1.0])];
        let names = [executables::NAME.as_ptr()];
        let mut told = vk::PhysicalDevicePipelineExecutablePropertiesFeaturesKHR::default()
            .pipeline_executable_info(true);
        // SAFETY: likewise.
        let features = unsafe { instance.get_physical_device_features(physical) };
        let info = vk::DeviceCreateInfo::default()
            .queue_create_infos(&queues)
            .enabled_extension_names(&names)
            .enabled_features(&features)
            .push_next(&mut told);
        // SAFETY: likewise.
        let device = unsafe { instance.create_device(physical, &info, None) };
        let device = device.map_err(|e| failed("device", e))?;
        let executables = executables::Device::new(&instance, &device);
        Ok(Compiler { _entry: entry, _instance: instance, device, executables })
    }

    /// Compiles a kernel with the values that its constants have by default.
    pub fn compile(&self, kernel: &Kernel) -> Result<Compiled, String> {
        let words = spirv(kernel)?;
        let layout = self.layout(kernel)?;
        let failed = |e: vk::Result| format!("{}: {e}", kernel.name);
        let info = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: naga made the words, and the layout is that of the kernel.
        let module = unsafe { self.device.create_shader_module(&info, None) }.map_err(failed)?;
        let name = std::ffi::CString::new(kernel.name).map_err(|e| e.to_string())?;
        let stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(&name);
        let info = vk::ComputePipelineCreateInfo::default()
            .flags(
                vk::PipelineCreateFlags::CAPTURE_STATISTICS_KHR
                    | vk::PipelineCreateFlags::CAPTURE_INTERNAL_REPRESENTATIONS_KHR,
            )
            .stage(stage)
            .layout(layout);
        // SAFETY: likewise.
        let pipelines = unsafe {
            self.device.create_compute_pipelines(vk::PipelineCache::null(), &[info], None)
        };
        let pipeline = pipelines.map_err(|(_, e)| failed(e))?[0];
        let of = vk::PipelineExecutableInfoKHR::default().pipeline(pipeline);
        Ok(Compiled {
            kernel: kernel.name.into(),
            statistics: self.statistics(&of).map_err(failed)?,
            assembly: self.assembly(&of).map_err(failed)?,
        })
    }

    fn layout(&self, kernel: &Kernel) -> Result<vk::PipelineLayout, String> {
        let signature = Signature::of(kernel).map_err(|e| format!("{e:#}"))?;
        let binding = |b: &tandem::kernels::signature::Binding| {
            let kind = match b.access {
                Access::Params => vk::DescriptorType::UNIFORM_BUFFER,
                Access::Step => vk::DescriptorType::UNIFORM_BUFFER_DYNAMIC,
                Access::Read | Access::Write => vk::DescriptorType::STORAGE_BUFFER,
                Access::MirrorF32 | Access::MirrorU32 => vk::DescriptorType::STORAGE_IMAGE,
            };
            vk::DescriptorSetLayoutBinding::default()
                .binding(b.slot)
                .descriptor_type(kind)
                .descriptor_count(1)
                .stage_flags(vk::ShaderStageFlags::COMPUTE)
        };
        let bindings: Vec<_> = signature.bindings.iter().map(binding).collect();
        let info = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: the structures are whole.
        let sets = unsafe { self.device.create_descriptor_set_layout(&info, None) };
        let sets = [sets.map_err(|e| format!("{}: {e}", kernel.name))?];
        let info = vk::PipelineLayoutCreateInfo::default().set_layouts(&sets);
        // SAFETY: likewise.
        let layout = unsafe { self.device.create_pipeline_layout(&info, None) };
        layout.map_err(|e| format!("{}: {e}", kernel.name))
    }

    fn statistics(
        &self,
        of: &vk::PipelineExecutableInfoKHR,
    ) -> Result<BTreeMap<String, f64>, vk::Result> {
        // SAFETY: the pipeline was made with the flag that keeps statistics.
        let found = unsafe { self.executables.get_pipeline_executable_statistics(of) }?;
        let number = |s: &vk::PipelineExecutableStatisticKHR| {
            // SAFETY: the format says which member of the union holds the value.
            unsafe {
                match s.format {
                    vk::PipelineExecutableStatisticFormatKHR::INT64 => s.value.i64 as f64,
                    vk::PipelineExecutableStatisticFormatKHR::UINT64 => s.value.u64 as f64,
                    vk::PipelineExecutableStatisticFormatKHR::FLOAT64 => s.value.f64,
                    _ => f64::from(s.value.b32),
                }
            }
        };
        Ok(found.iter().map(|s| (text(&s.name), number(s))).collect())
    }

    fn assembly(&self, of: &vk::PipelineExecutableInfoKHR) -> Result<String, vk::Result> {
        let get = |list: &mut [vk::PipelineExecutableInternalRepresentationKHR],
                   count: &mut u32| {
            let all = self.executables.fp().get_pipeline_executable_internal_representations_khr;
            let list = if list.is_empty() { std::ptr::null_mut() } else { list.as_mut_ptr() };
            // SAFETY: the list has as many entries as `count` says; each has room for the text of
            // the length that it states, or no room and a length of 0.
            unsafe { all(self.device.handle(), of, count, list) }.result()
        };
        let mut count = 0;
        get(&mut [], &mut count)?;
        let mut list =
            vec![vk::PipelineExecutableInternalRepresentationKHR::default(); count as usize];
        get(&mut list, &mut count)?;
        let mut texts: Vec<Vec<u8>> = list.iter().map(|r| vec![0; r.data_size]).collect();
        for (entry, text) in list.iter_mut().zip(&mut texts) {
            entry.p_data = text.as_mut_ptr().cast();
        }
        get(&mut list, &mut count)?;
        let found = list.iter().zip(texts).find(|(r, _)| text(&r.name) == "Assembly");
        Ok(found.map_or(String::new(), |(_, bytes)| {
            String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_string()
        }))
    }
}

fn text(name: &[c_char]) -> String {
    // SAFETY: the driver ends its names with a zero, within the array.
    unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned()
}

/// The kernel as wgpu hands it to a driver: without checks where it is trusted.
fn spirv(kernel: &Kernel) -> Result<Vec<u32>, String> {
    let (module, info): (naga::Module, ModuleInfo) =
        module(kernel.file, &kernel.module()).map_err(|e| format!("{e:#}"))?;
    let stage = naga::ShaderStage::Compute;
    let (module, info) = naga::back::pipeline_constants::process_overrides(
        &module,
        &info,
        Some((stage, kernel.name)),
        &Default::default(),
    )
    .map_err(|e| format!("{}: {e}", kernel.name))?;
    let policy = match kernel.bounded {
        true => BoundsCheckPolicy::Unchecked,
        false => BoundsCheckPolicy::Restrict,
    };
    let options = spv::Options {
        lang_version: (1, 6),
        bounds_check_policies: BoundsCheckPolicies {
            index: policy,
            buffer: BoundsCheckPolicy::Unchecked,
            image_load: policy,
            binding_array: BoundsCheckPolicy::Unchecked,
        },
        zero_initialize_workgroup_memory: match kernel.bounded {
            true => spv::ZeroInitializeWorkgroupMemoryMode::None,
            false => spv::ZeroInitializeWorkgroupMemoryMode::Native,
        },
        force_loop_bounding: !kernel.bounded,
        ..spv::Options::default()
    };
    let pipeline = spv::PipelineOptions { shader_stage: stage, entry_point: kernel.name.into() };
    spv::write_vec(&module, &info, &options, Some(&pipeline))
        .map_err(|e| format!("{}: {e}", kernel.name))
}
