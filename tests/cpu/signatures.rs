//! Kernels, checked without a GPU: files and registry agree, every file obeys the rules, faults in
//! it are reported with file and line, and naga translates every module for all graphics APIs.

use std::collections::BTreeSet;
use std::path::Path;

use naga::back::{hlsl, msl, spv};
use naga::{ImageClass, ScalarKind, StorageFormat, TypeInner};
use tandem::kernels::params::{NONE, Step};
use tandem::kernels::signature::{Access, Signature, module};
use tandem::kernels::{KERNELS, Kernel, by_name};
use tandem::reference::Reference;
use tandem::schedule::check::{MAX_INVOCATIONS, MAX_STORAGE, MAX_WORKGROUP_BYTES};
use tandem::schedule::{Buffer, BufferSpec, Dispatch, Kind, Program, Schedule};

fn signature(kernel: &Kernel) -> Signature {
    Signature::of(kernel).unwrap_or_else(|e| panic!("{e:#}"))
}

/// The error for a kernel with another text.
fn refused(kernel: &Kernel, file: &str) -> String {
    let shared = kernel.module()[kernel.source.len()..].to_string();
    Signature::of_source(kernel, &(file.to_string() + &shared))
        .map(|_| ())
        .expect_err(&format!("{} is accepted:\n{file}", kernel.name))
        .to_string()
}

#[test]
fn every_file_is_registered_and_every_kernel_has_its_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = BTreeSet::new();
    for folder in
        ["shaders", "shaders/software", "shaders/tiles", "shaders/matrix", "shaders/balance"]
    {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.path().is_file() {
                files.insert(format!("{folder}/{}", entry.file_name().to_str().unwrap()));
            }
        }
    }
    let shared = ["shaders/mirror.wgsl", "shaders/prelude.wgsl"];
    let expected: BTreeSet<String> =
        KERNELS.iter().map(|kernel| kernel.file).chain(shared).map(str::to_owned).collect();
    assert_eq!(files, expected, "left: shaders/, right: the registry and what kernels share");
    assert_eq!(KERNELS.len() + 2, expected.len(), "a kernel is registered twice");
    assert!(KERNELS.iter().all(|k| std::ptr::eq(by_name(k.name).unwrap(), *k)));
}

/// The host lays mirrors out as the kernels read them.
#[test]
fn mirrors_are_as_wide_as_the_host_makes_them() {
    let width = format!("const MIRROR_WIDTH = {}u;", tandem::kernels::MIRROR_WIDTH);
    for kernel in KERNELS {
        assert_eq!(
            kernel.module().matches(&width).count(),
            usize::from(kernel.direct),
            "{}: {width}",
            kernel.name
        );
    }
}

#[test]
fn every_kernel_obeys_the_rules() {
    for kernel in KERNELS {
        let signature = signature(kernel);
        let (name, bindings) = (kernel.name, &signature.bindings);
        assert!(
            bindings.iter().enumerate().all(|(i, b)| b.slot as usize == i),
            "{name}: slots have gaps: {bindings:?}"
        );
        assert_eq!(bindings[0].access, Access::Params, "{name}: slot 0 holds the parameters");
        assert!(bindings.iter().any(|b| b.access == Access::Write), "{name} writes nothing");
        assert!(
            signature.storage().count() <= MAX_STORAGE,
            "{name}: {} storage bindings",
            signature.storage().count()
        );
        assert!(
            signature.workgroup_bytes <= MAX_WORKGROUP_BYTES,
            "{name}: {} bytes",
            signature.workgroup_bytes
        );
        let invocations: u32 = signature.workgroup_size.iter().product();
        // A workgroup is a multiple of a GPU's warp; in the kernels of software adapters it is one
        // subgroup.
        let warp = if kernel.direct { 8 } else { 32 };
        assert!(
            invocations <= MAX_INVOCATIONS && invocations.is_multiple_of(warp),
            "{name}: {invocations} invocations"
        );
        assert!(kernel.source.starts_with("// "), "{name} does not begin with its formula");
    }
}

#[test]
fn reflection_sees_what_the_file_says() {
    let signature = signature(by_name("gradient_norm").unwrap());
    let bindings: Vec<_> =
        signature.bindings.iter().map(|b| (b.name.as_str(), b.slot, b.access)).collect();
    assert_eq!(
        bindings,
        [
            ("params", 0, Access::Params),
            ("gradients", 1, Access::Read),
            ("partials", 2, Access::Write)
        ]
    );
    assert_eq!((signature.workgroup_size, signature.workgroup_bytes), ([64, 1, 1], 256));
    assert_eq!(signature.storage().count(), 2);
}

/// Whether a module has atomics on floats, whose sums depend on the order of workgroups.
fn has_float_atomics(module: &naga::Module) -> bool {
    module
        .types
        .iter()
        .any(|(_, t)| matches!(t.inner, TypeInner::Atomic(s) if s.kind == ScalarKind::Float))
}

#[test]
fn no_kernel_has_float_atomics() {
    for kernel in KERNELS {
        assert!(
            !has_float_atomics(&module(kernel.file, &kernel.module()).unwrap().0),
            "{}",
            kernel.name
        );
    }
    let guilty = "@group(0) @binding(0) var<storage, read_write> sum: \
                  array<atomic<f32>>;\n@compute @workgroup_size(64) fn f() { _ = &sum; }";
    assert!(has_float_atomics(&naga::front::wgsl::parse_str(guilty).unwrap()));
}

// Twins.

/// Whether the elements of a binding are floats, in its buffer or its mirror.
fn holds_numbers(module: &naga::Module, name: &str) -> bool {
    let is_called = |v: &naga::GlobalVariable| {
        v.name.as_deref().is_some_and(|n| n == name || n.strip_suffix("_mirror") == Some(name))
    };
    let (_, variable) = module.global_variables.iter().find(|(_, v)| is_called(v)).unwrap();
    match module.types[variable.ty].inner {
        // Elements of structures count as u32s, elements of vectors as floats like single ones.
        TypeInner::Array { base, .. } => {
            module.types[base].inner.scalar().is_some_and(|s| s.kind == ScalarKind::Float)
        }
        TypeInner::Image { class: ImageClass::Storage { format, .. }, .. } => {
            format == StorageFormat::Rgba32Float
        }
        _ => panic!("{name} is no array and no mirror"),
    }
}

/// A program with one buffer per binding, and a dispatch that does nothing: all parameters are
/// zero.
fn idle_program(kernel: &'static Kernel) -> Program {
    let (module, _) = module(kernel.file, &kernel.module()).unwrap();
    let bindings: Vec<String> = buffers(kernel).into_keys().collect();
    let spec = |name: &String| BufferSpec {
        name: name.clone(),
        len: 64,
        kind: if holds_numbers(&module, name) { Kind::F32 } else { Kind::U32 },
        // No flag is raised; otherwise the optimizers' twins return at once.
        initial: if name == "flags" { vec![NONE; 64] } else { Vec::new() },
    };
    let dispatch = Dispatch {
        kernel,
        label: String::new(),
        params: vec![0; kernel.params.len()],
        constants: Vec::new(),
        bindings: bindings
            .iter()
            .enumerate()
            .map(|(i, name)| (&*name.clone().leak(), Buffer(i)))
            .collect(),
        grid: [1, 1, 1],
        effects: Vec::new(),
        flop: 0,
        in_part: false,
        exchange: Vec::new(),
    };
    Program {
        buffers: bindings.iter().map(spec).collect(),
        schedules: vec![Schedule {
            name: "idle".into(),
            dispatches: vec![dispatch],
            given: vec![],
            wanted: vec![],
            spare: vec![],
            rows: 0,
        }],
        ..Program::empty(false)
    }
}

/// The buffers of a kernel, and whether it writes them; a mirror counts as its buffer.
fn buffers(kernel: &Kernel) -> std::collections::BTreeMap<String, bool> {
    let mut found = std::collections::BTreeMap::new();
    for b in signature(kernel).buffers() {
        *found.entry(b.name.clone()).or_default() |= b.access == Access::Write;
    }
    found
}

#[test]
fn every_kernel_has_its_twin_with_the_same_bindings_and_parameters() {
    for kernel in KERNELS {
        // A twin that asks for another binding, or for parameters of another size, panics with the
        // kernel's name.
        Reference::<f64>::new(idle_program(kernel)).run_dispatch(0, 0, &Step::default()).unwrap();
        let twin = by_name(kernel.twin).unwrap_or_else(|| {
            panic!("{} stands in for {}, which is no kernel", kernel.name, kernel.twin)
        });
        assert_eq!(
            twin.twin, twin.name,
            "{} stands in for a kernel that stands in for another",
            kernel.name
        );
        // One that stands in for another may do without work space.
        let mut found = buffers(kernel);
        found.extend(buffers(twin).remove("work").map(|written| ("work".to_owned(), written)));
        assert_eq!(
            (kernel.params, found),
            (twin.params, buffers(twin)),
            "{} and {}",
            kernel.name,
            twin.name
        );
    }
}

#[test]
fn a_kernel_without_a_twin_is_an_error() {
    let mut program = idle_program(by_name("adam").unwrap());
    program.schedules[0].dispatches[0].kernel = Box::leak(Box::new(Kernel {
        name: "eve",
        file: "shaders/idle.wgsl",
        source: "",
        params: &[],
        bound: 1.0,
        twin: "eve",
        direct: false,
        bounded: false,
        unit: None,
    }));
    let error = Reference::<f64>::new(program).run_dispatch(0, 0, &Step::default()).unwrap_err();
    assert_eq!(error.to_string(), "kernel eve has no twin");
}

// Parameters that differ from their Rust twin.

/// The lines of the file that declare the fields of `Params`, by number.
fn field_lines(kernel: &Kernel) -> Vec<usize> {
    let lines: Vec<&str> = kernel.source.lines().collect();
    let first = lines.iter().position(|l| *l == "struct Params {").unwrap() + 1;
    let body = (first..lines.len()).take_while(|&i| lines[i] != "}");
    body.filter(|&i| !lines[i].trim_start().starts_with("//")).collect()
}

fn with_lines(kernel: &Kernel, change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut lines: Vec<String> = kernel.source.lines().map(String::from).collect();
    change(&mut lines);
    lines.join("\n") + "\n"
}

/// Asserts that a difference in `Params` is reported with both sides.
fn differs(kernel: &Kernel, file: &str, wgsl: &str, rust: &str) {
    let said = refused(kernel, file);
    let head = format!("{}: structure Params differs\n  WGSL [", kernel.name);
    assert!(said.starts_with(&head), "{said}");
    let (left, right) = said.split_once("\n  Rust [").unwrap_or_else(|| panic!("{said}"));
    assert!(left.contains(wgsl) && right.contains(rust), "expected {wgsl} and {rust} in\n{said}");
}

#[test]
fn a_renamed_field_is_reported_with_both_sides() {
    for kernel in KERNELS {
        for (field, line) in kernel.params.iter().zip(field_lines(kernel)) {
            let renamed = with_lines(kernel, |lines| {
                lines[line] = lines[line].replacen(field.0, &format!("{}_x", field.0), 1);
                // The uses of the field change too, so that the difference itself is found and not
                // an unknown field.
                let (old, new) = (format!("params.{}", field.0), format!("params.{}_x", field.0));
                lines.iter_mut().for_each(|l| *l = replace_word(l, &old, &new));
            });
            differs(kernel, &renamed, &format!("(\"{}_x\"", field.0), &format!("(\"{}\"", field.0));
        }
    }
}

/// Replaces `word` where it is a whole identifier.
fn replace_word(line: &str, word: &str, with: &str) -> String {
    let mut parts = line.split(word);
    let mut out = parts.next().unwrap_or_default().to_string();
    for part in parts {
        let goes_on = part.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        out += if goes_on { word } else { with };
        out += part;
    }
    out
}

#[test]
fn swapped_fields_are_reported_with_both_sides() {
    for kernel in KERNELS {
        let lines = field_lines(kernel);
        for (pair, fields) in lines.windows(2).zip(kernel.params.windows(2)) {
            let swapped = with_lines(kernel, |lines| lines.swap(pair[0], pair[1]));
            let listed = |f: &[(&str, &str)]| {
                format!("(\"{}\", \"{}\"), (\"{}\", \"{}\")", f[0].0, f[0].1, f[1].0, f[1].1)
            };
            differs(kernel, &swapped, &listed(&[fields[1], fields[0]]), &listed(fields));
        }
    }
}

#[test]
fn a_field_of_another_type_is_reported_with_both_sides() {
    for kernel in KERNELS {
        for (field, line) in kernel.params.iter().zip(field_lines(kernel)) {
            let other = if field.1 == "u32" { "f32" } else { "u32" };
            let retyped = with_lines(kernel, |lines| {
                lines[line] = lines[line].replacen(field.1, other, 1);
                let (old, new) = (
                    format!("params.{}", field.0),
                    format!("bitcast<{}>(params.{})", field.1, field.0),
                );
                lines.iter_mut().for_each(|l| *l = replace_word(l, &old, &new));
            });
            let listed = |kind: &str| format!("(\"{}\", \"{kind}\")", field.0);
            differs(kernel, &retyped, &listed(other), &listed(field.1));
        }
    }
}

#[test]
fn a_missing_or_added_field_is_reported() {
    for kernel in KERNELS {
        let last = *field_lines(kernel).last().unwrap();
        let more = with_lines(kernel, |lines| lines.insert(last + 1, "    surplus: u32,".into()));
        differs(kernel, &more, "(\"surplus\", \"u32\")]", kernel.params[0].0);
    }
}

#[test]
fn a_shared_structure_that_differs_is_reported() {
    let kernel = by_name("softmax_cross_entropy").unwrap();
    let source = kernel.module();
    assert!(source.contains("    coupled: u32,   // 1: a coupling reads the logits\n"));
    let changed = source.replace(
        "    coupled: u32,   // 1: a coupling reads the logits\n",
        "    coupled: u32,\n    surplus: u32,\n",
    );
    let said = Signature::of_source(kernel, &changed).unwrap_err().to_string();
    assert!(
        said.starts_with("softmax_cross_entropy: structure Head differs\n  WGSL [")
            && said.contains("\n  Rust ["),
        "{said}"
    );
}

// Rules for kernels, each broken once.

/// A small kernel with one thing replaced.
fn small_with(old: &str, new: &str) -> String {
    let kernel = by_name("gradient_norm").unwrap();
    assert!(kernel.source.contains(old), "the kernel has changed: {old}");
    refused(kernel, &kernel.source.replace(old, new))
}

#[test]
fn a_broken_rule_is_reported_with_the_kernel_and_the_rule() {
    let said = small_with("fn gradient_norm(", "fn another_name(");
    assert_eq!(said, "gradient_norm: the entry point is called another_name");
    let said = small_with(
        "var<workgroup> sums",
        "@compute @workgroup_size(64) fn second() {}\nvar<workgroup> sums",
    );
    assert_eq!(said, "gradient_norm: expected one entry point in the file, found 2");
    let said = small_with(
        "var<workgroup> sums",
        "@group(0) @binding(3) var<storage, read> idle: array<f32>;\nvar<workgroup> sums",
    );
    assert_eq!(said, "gradient_norm: binding idle is declared and not used");
    let said = small_with("@group(0) @binding(1)", "@group(1) @binding(1)");
    assert_eq!(said, "gradient_norm: gradients is in group 1, all bindings are in group 0");
    let said = small_with("@group(0) @binding(0)", "@group(0) @binding(7)");
    assert!(said.starts_with("gradient_norm: uniform params is "), "{said}");
}

// Reports of faults.

#[test]
fn a_fault_is_reported_with_its_file_and_line() {
    for kernel in KERNELS {
        let at = kernel.source.lines().position(|l| l.ends_with(") {")).unwrap() + 1;
        let report = |fault: &str| {
            refused(kernel, &with_lines(kernel, |lines| lines.insert(at, fault.into())))
        };
        let place = format!("{}:{}:", kernel.file, at + 1);
        for fault in
            ["    let wrong = ;", "    let wrong = unknown_name;", "    let wrong: vec3<f32> = 1u;"]
        {
            let said = report(fault);
            assert!(said.contains(&place), "expected {place} in\n{said}");
        }
        // The validator names the line of the function and marks the line of the expression.
        let said = report("    let wrong = 1u + 1.5f;");
        let (file, line) = (format!("{}:", kernel.file), format!("{} │ ", at + 1));
        let marked = said
            .lines()
            .map(str::trim_start)
            .any(|l| l.starts_with(&line) && l.ends_with("let wrong = 1u + 1.5f;"));
        assert!(said.contains(&file) && marked, "{said}");
    }
}

// Translations.

/// A module with its constants resolved, as the back ends take it.
fn translatable(kernel: &Kernel) -> (naga::Module, naga::valid::ModuleInfo) {
    let (module, info) = module(kernel.file, &kernel.module()).unwrap_or_else(|e| panic!("{e:#}"));
    let none = naga::back::PipelineConstants::default();
    let (module, info) =
        naga::back::pipeline_constants::process_overrides(&module, &info, None, &none).unwrap();
    (module.into_owned(), info.into_owned())
}

#[test]
fn every_kernel_translates_to_spirv() {
    for kernel in KERNELS {
        let (module, info) = translatable(kernel);
        let options = spv::Options { lang_version: (1, 3), ..spv::Options::default() };
        let words = spv::write_vec(&module, &info, &options, None)
            .unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        assert_eq!(words[0], 0x0723_0203, "{}", kernel.name);
    }
}

#[test]
fn every_kernel_translates_to_msl() {
    for kernel in KERNELS {
        let (module, info) = translatable(kernel);
        // Subgroups came with 2.1, matrices with 2.3.
        let lang_version = if kernel.unit.is_some() { (2, 3) } else { (2, 1) };
        let options =
            msl::Options { lang_version, fake_missing_bindings: true, ..msl::Options::default() };
        let (text, made) =
            msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
                .unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        made.entry_point_names.iter().for_each(|n| assert!(n.is_ok(), "{}: {n:?}", kernel.name));
        assert!(text.contains(&format!("kernel void {}", kernel.name)), "{text}");
    }
}

#[test]
fn every_kernel_translates_to_hlsl() {
    // DX12 has no matrix units, and naga does not write them.
    for kernel in KERNELS.iter().filter(|k| k.unit.is_none()) {
        let (module, info) = translatable(kernel);
        let options = hlsl::Options {
            fake_missing_bindings: true,
            shader_model: hlsl::ShaderModel::V6_0,
            ..hlsl::Options::default()
        };
        let mut text = String::new();
        let pipeline = hlsl::PipelineOptions::default();
        let made = hlsl::Writer::new(&mut text, &options, &pipeline).write(&module, &info, None);
        let made = made.unwrap_or_else(|e| panic!("{}: {e}", kernel.name));
        let [Ok(entry)] = &made.entry_point_names[..] else {
            panic!("{}: {:?}", kernel.name, made.entry_point_names)
        };
        // naga adds a `_` after a digit.
        assert_eq!(entry.trim_end_matches('_'), kernel.name);
        assert!(text.contains(&format!("void {entry}(")), "{text}");
    }
}
