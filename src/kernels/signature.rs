//! The interface of a kernel, read from its WGSL by naga: its bindings with their access, its
//! workgroup size, and the fields of its structures.
//!
//! naga is named in this file alone. [`Signature::of`] shows that a file and its line of the
//! registry agree; it needs no adapter.

use anyhow::{Result, anyhow, bail, ensure};
use naga::{AddressSpace, StorageAccess, TypeInner};

use super::Kernel;
use super::params::{self, Record};

/// How a kernel uses a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The parameters of the kernel, in slot 0.
    Params,
    /// The table of steps, with a dynamic offset.
    Step,
    /// A storage buffer that is read.
    Read,
    /// A storage buffer that is read and written.
    Write,
    /// The mirror of a buffer of numbers, a texture that is read.
    MirrorF32,
    /// The mirror of a buffer of integers.
    MirrorU32,
}

/// A binding of group 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The name of the variable, without `_mirror`; schedules bind by it.
    pub name: String,
    /// The slot of the binding.
    pub slot: u32,
    /// How the kernel uses it.
    pub access: Access,
}

/// The interface of a kernel.
#[derive(Clone, Debug)]
pub struct Signature {
    /// The bindings, in the order of slots.
    pub bindings: Vec<Binding>,
    /// Invocations of a workgroup.
    pub workgroup_size: [u32; 3],
    /// Bytes of workgroup memory.
    pub workgroup_bytes: u32,
    /// The names of its pipeline-overridable constants.
    pub overrides: Vec<String>,
}

/// Parses and validates a module.
///
/// # Errors
/// naga's report, with the name of the file and the lines.
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
    /// The interface of a registered kernel.
    ///
    /// # Errors
    /// A file that does not agree with its line of the registry.
    pub fn of(kernel: &Kernel) -> Result<Signature> {
        Signature::of_source(kernel, &kernel.module())
    }

    /// The interface of a kernel with another text, such as a mutant in a test.
    ///
    /// # Errors
    /// A text that does not agree with the line of the registry.
    pub fn of_source(kernel: &Kernel, source: &str) -> Result<Signature> {
        let (module, info) = module(kernel.file, source)?;
        ensure!(
            module.entry_points.len() == 1,
            "{}: expected one entry point in the file, found {}",
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
            if variable.space == AddressSpace::Private {
                continue;
            }
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

    /// The bindings that a schedule binds buffers to, in the order of slots.
    pub fn buffers(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(|b| !matches!(b.access, Access::Params | Access::Step))
    }

    /// The bindings of storage buffers.
    pub fn storage(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(|b| matches!(b.access, Access::Read | Access::Write))
    }

    /// The bindings of mirrors.
    pub fn mirrors(&self) -> impl Iterator<Item = &Binding> {
        self.bindings.iter().filter(|b| matches!(b.access, Access::MirrorF32 | Access::MirrorU32))
    }
}

/// The workgroup size of the file; where an override is a size, its default.
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

/// A variable of the module as a binding.
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

/// The access to a mirror: a two-dimensional storage texture with four numbers or integers per
/// texel, which is read.
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

/// Compares each structure that a module declares with its Rust twin, field by field.
fn check_structures(kernel: &Kernel, module: &naga::Module) -> Result<()> {
    for (_, kind) in module.types.iter() {
        let (Some(name), TypeInner::Struct { members, .. }) = (kind.name.as_deref(), &kind.inner)
        else {
            continue;
        };
        let expected = if name == "Params" {
            kernel.params
        } else {
            shared(name).ok_or_else(|| anyhow!("structure {name} is not in kernels::params"))?
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

/// The fields of a structure that kernels share.
fn shared(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    fn line<T: Record>() -> (&'static str, &'static [(&'static str, &'static str)]) {
        (T::NAME, T::FIELDS)
    }
    let all = [
        line::<params::Step>(),
        line::<params::Dense>(),
        line::<params::Head>(),
        line::<params::Destination>(),
        line::<params::Gate>(),
        line::<params::Mix>(),
        line::<params::Term>(),
        line::<params::Receiver>(),
        line::<params::Share>(),
        line::<params::Constant>(),
        line::<params::Combination>(),
        line::<params::PlaneTerm>(),
        line::<params::Region>(),
        line::<params::RowSource>(),
        line::<params::Run>(),
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
