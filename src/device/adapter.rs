//! The adapters of the machine: which there are, which one a run takes, and why.

use std::num::NonZero;

use anyhow::Result;
use serde::Serialize;
use wgpu::{Backend, Backends, DeviceType};

use crate::fault::{Exit, Fault};
use crate::kernels::Unit;
use crate::kernels::tuning::Class;

/// The user's wishes for an adapter.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// `--device`: `auto`, an index of `tandem devices`, part of a name, `cpu` or `reference`;
    /// `None` = what `TANDEM_DEVICE` says, else auto.
    pub device: Option<String>,
    /// `--backend`: `vulkan`, `metal`, `dx12`, `gl`; `None` = `WGPU_BACKEND`, else all but gl.
    pub backend: Option<String>,
    /// Whether to ask for WebGPU's default limits alone: no larger ones, no optional features.
    pub default_limits: bool,
    /// Whether to open the adapter with its matrix units.
    pub units: bool,
    /// Threads of `--device cpu`; `None` = as many as the process may run at once.
    pub threads: Option<NonZero<usize>>,
    /// The number of this process among those of the machine: of several adapters that come first
    /// alike, it takes the one of this number, and begins anew behind the last.
    pub turn: usize,
}

impl Wish {
    /// The device that is asked for, and what asks for it; `None` = auto.
    pub fn asked(&self) -> Option<(String, &'static str)> {
        let from = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
        let device = match &self.device {
            Some(text) => Some((text.clone(), "--device")),
            None => from("TANDEM_DEVICE").map(|text| (text, "TANDEM_DEVICE")),
        };
        device
            .filter(|(text, _)| text != "auto")
            .or_else(|| from("WGPU_ADAPTER_NAME").map(|text| (text, "WGPU_ADAPTER_NAME")))
    }
}

/// An adapter as `tandem devices` lists it.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterEntry {
    /// Place in the list.
    pub index: usize,
    /// The name that the driver gives it.
    pub name: String,
    /// The class, which decides the kernels.
    pub class: Class,
    /// `Vulkan`, `Metal`, `Dx12` or `Gl`.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// Bytes of the largest storage binding.
    pub binding_bytes: u64,
    /// Bytes of the largest buffer.
    pub buffer_bytes: u64,
    /// The largest number of storage bindings of a kernel.
    pub storage_bindings: u32,
    /// The largest number of bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// The largest number of invocations of a workgroup.
    pub invocations: u32,
    /// The smallest and the largest number of lanes of a subgroup.
    pub subgroup: [u32; 2],
    /// Its matrix units that there are kernels for.
    pub units: Vec<Unit>,
    /// Its features that kernels may use.
    pub features: Vec<&'static str>,
}

/// An adapter that was chosen.
#[derive(Debug)]
pub struct Chosen {
    pub(super) adapter: wgpu::Adapter,
    /// The adapter as it is listed.
    pub entry: AdapterEntry,
    /// Why it was chosen, as the end of a sentence.
    pub reason: String,
}

/// The class of an adapter.
fn class(info: &wgpu::AdapterInfo) -> Class {
    match info.device_type {
        DeviceType::Cpu => Class::Software,
        DeviceType::DiscreteGpu => Class::Discrete,
        DeviceType::IntegratedGpu | DeviceType::VirtualGpu | DeviceType::Other => Class::Integrated,
    }
}

fn entry(index: usize, adapter: &wgpu::Adapter) -> AdapterEntry {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let known = [
        (wgpu::Features::SUBGROUP, "subgroups"),
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamps"),
        (wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX, "cooperative matrices"),
        (wgpu::Features::PIPELINE_CACHE, "pipeline cache"),
    ];
    AdapterEntry {
        index,
        class: class(&info),
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_string(),
        binding_bytes: limits.max_storage_buffer_binding_size,
        buffer_bytes: limits.max_buffer_size,
        storage_bindings: limits.max_storage_buffers_per_shader_stage,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        invocations: limits.max_compute_invocations_per_workgroup,
        subgroup: [info.subgroup_min_size, info.subgroup_max_size],
        units: units(adapter),
        features: known.iter().filter(|(f, _)| features.contains(*f)).map(|(_, n)| *n).collect(),
        name: info.name,
    }
}

/// The matrix units that kernels can use: square matrices with sums in f32, and subgroups of which
/// four make up a workgroup.
fn units(adapter: &wgpu::Adapter) -> Vec<Unit> {
    let info = adapter.get_info();
    let wanted = wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX | wgpu::Features::SUBGROUP;
    let most = adapter.limits().max_compute_invocations_per_workgroup.min(256);
    // The kernels rely on 32 invocations at least.
    if !adapter.features().contains(wanted) || !(32..=most).contains(&(4 * info.subgroup_max_size))
    {
        return Vec::new();
    }
    let offered = adapter.cooperative_matrix_properties();
    let is_offered = |unit: &Unit| {
        let operand = if unit.is_half() {
            wgpu::CooperativeScalarType::F16
        } else {
            wgpu::CooperativeScalarType::F32
        };
        let has_type = !unit.is_half() || adapter.features().contains(wgpu::Features::SHADER_F16);
        has_type
            && offered.iter().any(|p| {
                [p.m_size, p.n_size, p.k_size].iter().all(|side| *side as usize == unit.side())
                    && (p.ab_type, p.cr_type) == (operand, wgpu::CooperativeScalarType::F32)
            })
    };
    Unit::ALL.into_iter().filter(is_offered).collect()
}

/// The backends to look at.
fn backends(wish: &Wish) -> Result<Backends> {
    let Some(name) = &wish.backend else {
        let asked = std::env::var("WGPU_BACKEND").ok().filter(|v| !v.is_empty());
        let found = Backends::from_env().unwrap_or(Backends::PRIMARY);
        if let (Some(text), true) = (asked, found.is_empty()) {
            let fault = Fault::new(Exit::Unavailable, format!("WGPU_BACKEND={text}: unknown"))
                .hint("one of vulkan, metal, dx12, gl");
            return Err(fault.into());
        }
        return Ok(found);
    };
    Ok(match name.as_str() {
        "vulkan" => Backends::VULKAN,
        "metal" => Backends::METAL,
        "dx12" => Backends::DX12,
        "gl" => Backends::GL,
        other => {
            let fault = Fault::new(Exit::Usage, format!("--backend {other}: unknown"))
                .hint("one of vulkan, metal, dx12, gl");
            return Err(fault.into());
        }
    })
}

fn adapters(wish: &Wish) -> Result<Vec<wgpu::Adapter>> {
    let backends = backends(wish)?;
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    descriptor.flags = wgpu::InstanceFlags::empty().with_env();
    // Where a driver tells of its budget, a creation beyond it is refused while the device still
    // lives.
    descriptor.memory_budget_thresholds.for_resource_creation = Some(BUDGET);
    let instance = wgpu::Instance::new(descriptor);
    Ok(pollster::block_on(instance.enumerate_adapters(backends)))
}

/// Per cent of a driver's memory budget that buffers may take.
const BUDGET: u8 = 95;

/// All adapters of the backends that the wish admits.
///
/// # Errors
/// An unknown backend.
pub fn list(wish: &Wish) -> Result<Vec<AdapterEntry>> {
    Ok(adapters(wish)?.iter().enumerate().map(|(i, a)| entry(i, a)).collect())
}

/// Order of preference: dedicated GPUs first (`WGPU_POWER_PREF=low`: integrated first), software
/// last, GL behind everything else.
fn rank(entry: &AdapterEntry, low_power: bool) -> (usize, usize) {
    let class = match (entry.class, low_power) {
        (Class::Discrete, false) | (Class::Integrated, true) => 0,
        (Class::Integrated, false) | (Class::Discrete, true) => 1,
        _ => 2,
    };
    (class, usize::from(entry.backend == format!("{:?}", Backend::Gl)))
}

/// The adapter for a wish, with the reason.
///
/// # Errors
/// 69 if there is no adapter, or none as wished.
pub fn choose(wish: &Wish) -> Result<Chosen> {
    Ok(find(wish)?.ok_or_else(|| {
        let hint = "install a driver; without a GPU a software one does: Debian and Ubuntu \
                    `apt-get install mesa-vulkan-drivers`, Fedora `dnf install \
                    mesa-vulkan-drivers`, Arch `pacman -S vulkan-swrast`; or use --device cpu";
        Fault::new(Exit::Unavailable, none_found(wish)).hint(hint)
    })?)
}

/// That no adapter was found, with the backends that were looked at.
pub fn none_found(wish: &Wish) -> String {
    let tried = backends(wish).map_or(String::new(), names);
    format!("no adapter: {tried} found none")
}

/// The adapter for a wish, with the reason; `None` if there is no adapter at all.
///
/// # Errors
/// 69 if there are adapters, but none as wished.
pub fn find(wish: &Wish) -> Result<Option<Chosen>> {
    let adapters = adapters(wish)?;
    let entries: Vec<AdapterEntry> =
        adapters.iter().enumerate().map(|(i, a)| entry(i, a)).collect();
    if entries.is_empty() {
        return Ok(None);
    }
    let (index, reason) = pick(wish, &entries)?;
    let chosen = adapters.into_iter().nth(index);
    Ok(chosen.map(|adapter| Chosen { adapter, entry: entries[index].clone(), reason }))
}

/// The index of the adapter for a wish, with the reason.
fn pick(wish: &Wish, entries: &[AdapterEntry]) -> Result<(usize, String)> {
    if let Some((text, by)) = wish.asked() {
        return named(&text, by, entries);
    }
    let low_power =
        matches!(wgpu::PowerPreference::from_env(), Some(wgpu::PowerPreference::LowPower));
    let best = entries.iter().min_by_key(|e| rank(e, low_power));
    let like = |e: &&AdapterEntry| {
        let is_one = |b: &AdapterEntry| (&e.name, &e.backend) == (&b.name, &b.backend);
        best.is_some_and(is_one)
    };
    let alike: Vec<usize> = entries.iter().filter(like).map(|e| e.index).collect();
    let best = alike.get(wish.turn % alike.len().max(1)).copied().unwrap_or(0);
    let reason = match entries.len() {
        1 => "it is the only one".to_string(),
        n => {
            format!(
                "of {n} it comes first: dedicated, then integrated, then software{}",
                if low_power { " (low power asked)" } else { "" }
            )
        }
    };
    Ok((best, reason))
}

/// The index of the adapter that `text` names by index or by part of its name; `by` says where the
/// text comes from.
fn named(text: &str, by: &str, entries: &[AdapterEntry]) -> Result<(usize, String)> {
    if let "cpu" | "reference" = text {
        let fault = Fault::new(
            Exit::Usage,
            format!("{by} {text}: this verb looks at adapters; the engine {text} is none"),
        );
        return Err(fault.hint("leave --device out, or name an adapter").into());
    }
    if let Ok(index) = text.parse::<usize>()
        && index < entries.len()
    {
        return Ok((index, format!("{by} names index {index}")));
    }
    let wanted = text.to_lowercase();
    if let Some(e) =
        entries.iter().find(|e| !wanted.is_empty() && e.name.to_lowercase().contains(&wanted))
    {
        return Ok((e.index, format!("{by} names \"{text}\"")));
    }
    let all: Vec<String> = entries.iter().map(|e| format!("{} {}", e.index, e.name)).collect();
    let fault = Fault::new(Exit::Unavailable, format!("{by} {text}: no such adapter"))
        .hint(format!("there are: {}", all.join(", ")));
    Err(fault.into())
}

fn names(backends: Backends) -> String {
    let names: Vec<&str> = backends.iter_names().map(|(n, _)| n).collect();
    names.join(", ").to_lowercase()
}
