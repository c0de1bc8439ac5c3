//! What a kernel's WGSL says about itself, read by naga: bindings with their access, workgroup
//! size, fields of its structures.
//!
//! naga is named here alone. [`Signature::of`] is the proof that a file and its registry line
//! agree; it needs no adapter.

use anyhow::{Result, anyhow, bail, ensure};
use naga::{AddressSpace, StorageAccess, TypeInner};

use super::Kernel;
use super::params::{self, Words};

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The kernel's own parameters, slot 0.
    Params,
    /// The table of steps, by dynamic offset.
    Step,
    /// Storage, read only.
    Read,
    /// Storage, read and written.
    Write,
    /// The mirror of a buffer of numbers: a texture that holds the same, read only.
    MirrorF32,
    /// The mirror of a table of words.
    MirrorU32,
}

/// One binding of group 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Name of the variable, without `_mirror`; schedules bind by it.
    pub name: String,
    /// Slot.
    pub slot: u32,
    /// Use.
    pub access: Access,
}

/// A kernel's interface.
#[derive(Clone, Debug)]
pub struct Signature {
    /// In slot order.
    pub bindings: Vec<Binding>,
    /// Invocations of a workgroup.
    pub workgroup_size: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// Names of pipeline-overridable constants.
    pub overrides: Vec<String>,
}

/// Parses and validates a module. The error is naga's own report with the kernel's file name and
/// lines.
pub fn module(file: &str, source: &str) -> Result<(naga::Module, naga::valid::ModuleInfo)> {
    let module = naga::front::wgsl::parse_str(source)
        .map_err(|e| anyhow!("{}", e.emit_to_string_with_path(source, file)))?;
    use naga::valid::Capabilities;
    let capabilities =
        Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16 | Capabilities::COOPERATIVE_MATRIX;
    let mut validator =
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), capabilities);
    validator
        .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
        .subgroup_operations(naga::valid::SubgroupOperationSet::all());
    let info = validator
        .validate(&module)
        .map_err(|e| anyhow!("{}", e.emit_to_string_with_path(source, file)))?;
    Ok((module, info))
}

impl Signature {
    /// The interface of a registered kernel; an error if its file breaks a rule of the house.
    pub fn of(kernel: &Kernel) -> Result<Signature> {
        Signature::of_source(kernel, &kernel.module())
    }

    /// The same for other text under the kernel's name (mutants in tests).
    pub fn of_source(kernel: &Kernel, source: &str) -> Result<Signature> {
        let (module, info) = module(kernel.file, source)?;
        ensure!(
            module.entry_points.len() == 1,
            "{}: one entry point a file, found {}",
            kernel.name,
            module.entry_points.len()
        );
        let entry = &module.entry_points[0];
        ensure!(
            entry.name == kernel.name,
            "{}: the entry point is called {}",
            kernel.name,
            entry.name
        );
        let uses = info.get_entry_point(0);
        let overrides = module.overrides.iter().filter_map(|(_, o)| o.name.clone()).collect();
        let workgroup_size = workgroup_size(&module);
        let mut signature =
            Signature { bindings: Vec::new(), workgroup_size, workgroup_bytes: 0, overrides };
        for (handle, variable) in module.global_variables.iter() {
            if variable.space == AddressSpace::WorkGroup {
                signature.workgroup_bytes += module.types[variable.ty].inner.size(module.to_ctx());
                continue;
            }
            let name = variable.name.clone().unwrap_or_default();
            ensure!(
                !uses[handle].is_empty(),
                "{}: binding {name} is declared and not used",
                kernel.name
            );
            signature.bindings.push(binding(kernel, &module, variable, name)?);
        }
        signature.bindings.sort_by_key(|b| b.slot);
        check_structures(kernel, &module)?;
        Ok(signature)
    }

    /// The bindings that a schedule gives a buffer to, in slot order.
    pub fn buffers(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(|b| !matches!(b.access, Access::Params | Access::Step))
    }

    /// Storage buffers among them.
    pub fn storage(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(|b| matches!(b.access, Access::Read | Access::Write))
    }

    /// Mirrors among them.
    pub fn mirrors(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(|b| matches!(b.access, Access::MirrorF32 | Access::MirrorU32))
    }
}

/// As the file has it: where an override is a size, its default.
fn workgroup_size(module: &naga::Module) -> [u32; 3] {
    let entry = &module.entry_points[0];
    let mut size = entry.workgroup_size;
    for (size, expression) in
        size.iter_mut().zip(entry.workgroup_size_overrides.into_iter().flatten())
    {
        let Some(expression) = expression else { continue };
        let default = match module.global_expressions[expression] {
            naga::Expression::Override(o) => {
                module.overrides[o].init.map(|init| &module.global_expressions[init])
            }
            ref other => Some(other),
        };
        if let Some(naga::Expression::Literal(naga::Literal::U32(n))) = default {
            *size = *n;
        }
    }
    size
}

fn binding(
    kernel: &Kernel,
    module: &naga::Module,
    variable: &naga::GlobalVariable,
    name: String,
) -> Result<Binding> {
    let slot = variable.binding.ok_or_else(|| anyhow!("{}: {name} has no binding", kernel.name))?;
    ensure!(
        slot.group == 0,
        "{}: {name} is in group {}, all bindings are in group 0",
        kernel.name,
        slot.group
    );
    let access = match variable.space {
        AddressSpace::Uniform => match module.types[variable.ty].name.as_deref() {
            Some("Params") if slot.binding == 0 => Access::Params,
            Some("Step") => Access::Step,
            other => bail!(
                "{}: uniform {name} is {other:?}; expected Params at slot 0 or Step",
                kernel.name
            ),
        },
        AddressSpace::Storage { access } if access.contains(StorageAccess::STORE) => Access::Write,
        AddressSpace::Storage { .. } => Access::Read,
        AddressSpace::Handle => mirror(&module.types[variable.ty].inner)
            .ok_or_else(|| anyhow!("{}: {name} is no mirror", kernel.name))?,
        other => bail!("{}: {name} lies in {other:?}", kernel.name),
    };
    // A kernel that reads a buffer's mirror and writes the buffer calls the mirror `NAME_mirror`.
    let name = match access {
        Access::MirrorF32 | Access::MirrorU32 => {
            name.strip_suffix("_mirror").map(str::to_string).unwrap_or(name)
        }
        _ => name,
    };
    Ok(Binding { name, slot: slot.binding, access })
}

/// Mirrors are two-dimensional storage textures of four numbers or words a texel, read only.
fn mirror(inner: &TypeInner) -> Option<Access> {
    use naga::{ImageClass, ImageDimension, StorageFormat};
    let TypeInner::Image {
        dim: ImageDimension::D2,
        arrayed: false,
        class: ImageClass::Storage { format, access },
    } = inner
    else {
        return None;
    };
    match format {
        _ if *access != StorageAccess::LOAD => None,
        StorageFormat::Rgba32Float => Some(Access::MirrorF32),
        StorageFormat::Rgba32Uint => Some(Access::MirrorU32),
        _ => None,
    }
}

/// Every structure that the module declares must be one of ours, field by field.
fn check_structures(kernel: &Kernel, module: &naga::Module) -> Result<()> {
    for (_, kind) in module.types.iter() {
        let (Some(name), TypeInner::Struct { members, .. }) = (kind.name.as_deref(), &kind.inner)
        else {
            continue;
        };
        let expected = if name == "Params" {
            kernel.params
        } else {
            shared(name).ok_or_else(|| anyhow!("structure {name} has no Rust twin"))?
        };
        let found: Vec<(String, String)> = members
            .iter()
            .map(|m| (m.name.clone().unwrap_or_default(), scalar(&module.types[m.ty].inner)))
            .collect();
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|(f, e)| f.0 == e.0 && f.1 == e.1);
        ensure!(
            same,
            "{}: structure {name} differs\n  WGSL {found:?}\n  Rust {expected:?}",
            kernel.name
        );
        let packed = members.iter().enumerate().all(|(i, m)| m.offset as usize == 4 * i);
        ensure!(packed, "{}: structure {name} has padding", kernel.name);
    }
    Ok(())
}

fn shared(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    fn line<T: Words>() -> (&'static str, &'static [(&'static str, &'static str)]) {
        (T::NAME, T::FIELDS)
    }
    let all = [
        line::<params::Step>(),
        line::<params::Dense>(),
        line::<params::Head>(),
        line::<params::Destination>(),
        line::<params::SharedPair>(),
        line::<params::AgreeingPair>(),
        line::<params::Metric>(),
        line::<params::Spread>(),
        line::<params::Embedding>(),
    ];
    all.into_iter().find(|(n, _)| *n == name).map(|(_, fields)| fields)
}

fn scalar(inner: &TypeInner) -> String {
    match inner {
        TypeInner::Scalar(s) if *s == naga::Scalar::F32 => "f32".into(),
        TypeInner::Scalar(s) if *s == naga::Scalar::U32 => "u32".into(),
        other => format!("{other:?}"),
    }
}
