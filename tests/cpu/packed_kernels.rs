//! Every kernel of tandem as a kernel for many members.

use std::collections::BTreeMap;

use naga::{AddressSpace, Expression, Function, Handle, Module, TypeInner};
use tandem::kernels::packed::{Access, HEAD, Packed, packed};

const LANES: usize = 64;

/// All kernels but those for matrix units: name, and text with prelude.
fn kernels() -> Vec<(String, String)> {
    let all = tandem::kernels::KERNELS.iter().filter(|kernel| kernel.unit.is_none());
    all.map(|kernel| (kernel.name.to_owned(), kernel.module())).collect()
}

/// The module of a text, after validation.
pub(super) fn module(source: &str) -> Result<(naga::Module, naga::valid::ModuleInfo), String> {
    tandem::kernels::signature::module("packed", source).map_err(|error| format!("{error:#}"))
}

/// All kernels with their modules before and after.
fn all() -> Vec<(String, String, Packed)> {
    let translated = kernels().into_iter().map(|(name, source)| {
        let packed = packed(&source, LANES).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, source, packed)
    });
    translated.collect()
}

/// Slot and name of each binding, with what naga says of its space and, of buffers, its type.
fn bindings(module: &Module) -> BTreeMap<u32, (String, String)> {
    let bound = module.global_variables.iter().filter_map(|(_, v)| Some((v.binding?, v)));
    bound
        .map(|(binding, v)| {
            assert_eq!(binding.group, 0);
            let inner = &module.types[v.ty].inner;
            let kind = match inner {
                TypeInner::Array { stride, .. } if v.space != AddressSpace::Uniform => {
                    format!("array of {stride} bytes")
                }
                TypeInner::Image { .. } => format!("{inner:?}"),
                _ => String::new(),
            };
            let name = v.name.clone().unwrap();
            (binding.binding, (name, format!("{:?} {kind}", v.space)))
        })
        .collect()
}

#[test]
fn every_kernel_is_valid_and_has_the_bindings_that_it_had() {
    for (name, source, packed) in all() {
        let (before, _) = module(&source).unwrap_or_else(|e| panic!("{name}: {e}"));
        let (after, _) = module(&packed.source).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(bindings(&before), bindings(&after), "{name}");
        assert_eq!(after.entry_points.len(), 1);
        let (old, new) = (&before.entry_points[0], &after.entry_points[0]);
        assert_eq!(old.name, name);
        assert_eq!((&old.name, old.workgroup_size), (&new.name, new.workgroup_size));
        let overrides = |m: &Module| {
            let list = m.overrides.iter().map(|(_, o)| (o.name.clone(), o.id));
            list.collect::<Vec<_>>()
        };
        let mut expected = overrides(&before);
        expected.push((Some(tandem::kernels::packed::EVEN.into()), None));
        assert_eq!(expected, overrides(&after), "{name}");
        let storage = packed.bindings.iter();
        let storage = storage.filter(|b| matches!(b.access, Access::Read | Access::Write));
        assert!(storage.count() <= 8, "{name}");
    }
}

/// The words and marks of a text with the numbers of their lines. Kernels have no other comments
/// than those to the end of the line.
fn words(source: &str) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    for (number, line) in source.lines().enumerate() {
        let mut inside = false;
        for c in line.split("//").next().unwrap().chars() {
            let is_word = c.is_alphanumeric() || c == '_';
            match found.last_mut() {
                Some((_, word)) if is_word && inside => word.push(c),
                _ if c.is_whitespace() => {}
                _ => found.push((number + 1, c.to_string())),
            }
            inside = is_word;
        }
    }
    found
}

/// The place of the mark that closes the one at a place.
fn closes(words: &[(usize, String)], open: usize) -> usize {
    let mut depth = 0;
    words[open..]
        .iter()
        .position(|(_, w)| {
            depth += match w.as_str() {
                "(" => 1,
                ")" => -1,
                _ => 0,
            };
            depth == 0
        })
        .unwrap()
        + open
}

/// The words of a kernel without those that [`packed`] adds.
fn undone(packed: &Packed) -> Vec<(usize, String)> {
    let (text, _) = packed.source.split_once("// What follows, and all").unwrap();
    let lines: Vec<&str> =
        text.lines().map(|l| l.split(" let packed_member = ").next().unwrap()).collect();
    let mut words = words(&lines.join("\n"));
    let mut at = 0;
    while at < words.len() {
        let (line, word) = words[at].clone();
        let name = word.strip_prefix("packed_own_").or(word.strip_prefix("packed_"));
        let put: Vec<String> = match (name, word.as_str()) {
            (None, "PackedParams") => vec!["Params".into()],
            // array<PackedStep, 64>
            (None, "PackedStep") => {
                words.drain(at + 1..at + 4);
                at -= 2;
                words.drain(at..at + 2);
                vec!["Step".into()]
            }
            (None, _) => {
                at += 1;
                continue;
            }
            (Some(name), _) => {
                if name.starts_with("at_") {
                    assert_eq!((words[at + 1].1.as_str(), words[at + 2].1.as_str()), ("+", "("));
                    words.remove(closes(&words, at + 2));
                    words.drain(at..at + 3);
                    continue;
                }
                if let Some(field) = name.strip_prefix("params_") {
                    vec!["params".into(), ".".into(), field.into()]
                } else if let Some(field) = name.strip_prefix("step_") {
                    vec!["step".into(), ".".into(), field.into()]
                } else if let Some(of) = name.strip_prefix("length_") {
                    ["arrayLength", "(", "&", of, ")"].map(str::to_string).to_vec()
                } else {
                    // The entry point has a parameter of its own.
                    assert!(["group", "local"].contains(&name), "{word}");
                    at += 1;
                    continue;
                }
            }
        };
        words.splice(at..at + 1, put.into_iter().map(|w| (line, w)));
    }
    words
}

/// The words without those of the parameters of the entry point.
fn without_parameters(name: &str, mut words: Vec<(usize, String)>) -> Vec<(usize, String)> {
    let at = words.windows(2).position(|w| w[0].1 == "fn" && w[1].1 == name).unwrap() + 2;
    let end = closes(&words, at);
    words.drain(at..=end);
    words
}

#[test]
fn without_what_was_added_every_kernel_is_as_it_was_line_by_line() {
    for (name, source, packed) in all() {
        let before = without_parameters(&name, words(&source));
        let after = without_parameters(&name, undone(&packed));
        for (old, new) in before.iter().zip(&after) {
            assert_eq!(old, new, "{name}");
        }
        assert_eq!(before.len(), after.len(), "{name}");
    }
}

#[test]
fn naga_lays_tables_out_as_stated() {
    for (name, _, packed) in all() {
        let (module, _) = module(&packed.source).unwrap();
        let layout = |wanted: &str| {
            let found = module.types.iter().find(|(_, t)| t.name.as_deref() == Some(wanted));
            found.map(|(_, t)| match &t.inner {
                TypeInner::Struct { members, span } => {
                    let places: BTreeMap<String, usize> = members
                        .iter()
                        .map(|m| (m.name.clone().unwrap(), m.offset as usize))
                        .collect();
                    (places, *span as usize)
                }
                other => panic!("{other:?}"),
            })
        };
        let (params, bytes) = layout("PackedParams").unwrap();
        assert_eq!((params["packed_members"], params["packed_depth"]), (0, 4));
        assert_eq!((params["members"], bytes), (HEAD, packed.params_bytes()), "{name}");
        let (record, bytes) = layout("PackedRecord").unwrap();
        assert_eq!(bytes, packed.record_bytes);
        assert_eq!(record["packed_grid_x"], 0);
        assert_eq!(record["packed_grid_z"], 8);
        for binding in &packed.bindings {
            assert_eq!(record[&format!("packed_at_{}", binding.name)], binding.at);
            let length = record.get(&format!("packed_length_{}", binding.name));
            assert_eq!(length.copied(), binding.length_at);
        }
        for (i, (field, _)) in packed.params_fields.iter().enumerate() {
            assert_eq!(record[field], packed.params_at + 4 * i, "{name}: {field}");
        }
        let step = layout("PackedStep").map(|(_, bytes)| bytes);
        assert_eq!(step, packed.step.as_ref().map(|s| s.record_bytes));
        assert!(packed.params_bytes() <= 16 << 10, "{name}: {}", packed.params_bytes());
        assert!(packed.step_bytes().is_multiple_of(256));
        for binding in &packed.bindings {
            let variable = module
                .global_variables
                .iter()
                .find(|(_, v)| v.name.as_deref() == Some(binding.name.as_str()));
            if let TypeInner::Array { stride, .. } = module.types[variable.unwrap().1.ty].inner {
                assert_eq!(stride as usize, binding.unit, "{name}: {}", binding.name);
            } else {
                assert_eq!(binding.unit, 16 << 10);
            }
        }
    }
}

/// What an expression reads, if it is the place of a region: the name of the private variable or
/// of the field of the record.
fn place(module: &Module, function: &Function, e: Handle<Expression>) -> Option<String> {
    match &function.expressions[e] {
        Expression::Load { pointer } => match &function.expressions[*pointer] {
            Expression::GlobalVariable(v) => {
                let variable = &module.global_variables[*v];
                (variable.space == AddressSpace::Private).then(|| variable.name.clone().unwrap())
            }
            Expression::AccessIndex { index, .. } => {
                let record = module.types.iter().find_map(|(_, t)| match &t.inner {
                    TypeInner::Struct { members, .. }
                        if t.name.as_deref() == Some("PackedRecord") =>
                    {
                        Some(members)
                    }
                    _ => None,
                })?;
                record[*index as usize].name.clone()
            }
            _ => None,
        },
        // The rows of a mirror: (0, rows).
        Expression::Compose { components, .. } => place(module, function, components[1]),
        _ => None,
    }
}

/// Looks in naga's module, which knows nothing of tokens, whether each access to a buffer or a
/// mirror is moved by the place of its own region. Gives the number of accesses.
fn check_moved(name: &str, module: &Module, function: &Function) -> usize {
    let mut count = 0;
    let bound = |e: &Handle<Expression>| match &function.expressions[*e] {
        Expression::GlobalVariable(v) => {
            let variable = &module.global_variables[*v];
            let is_region =
                matches!(variable.space, AddressSpace::Storage { .. } | AddressSpace::Handle);
            is_region.then(|| variable.name.clone().unwrap())
        }
        _ => None,
    };
    let mut is_moved = |variable: String, at: Handle<Expression>| {
        let Expression::Binary { op: naga::BinaryOperator::Add, left, .. } =
            function.expressions[at]
        else {
            panic!("{name}: {variable} has an index that is no sum");
        };
        let found = place(module, function, left);
        assert_eq!(found, Some(format!("packed_at_{variable}")), "{name}");
        count += 1;
    };
    for (_, expression) in function.expressions.iter() {
        match expression {
            Expression::Access { base, index } => {
                if let Some(variable) = bound(base) {
                    is_moved(variable, *index);
                }
            }
            Expression::ImageLoad { image, coordinate, .. } => {
                is_moved(bound(image).unwrap(), *coordinate);
            }
            Expression::AccessIndex { base, .. } | Expression::Load { pointer: base } => {
                assert_eq!(bound(base), None, "{name}: an index that is a constant");
            }
            Expression::ArrayLength(_) | Expression::ImageQuery { .. } => {
                panic!("{name}: the length of a buffer of all members")
            }
            _ => {}
        }
    }
    count
}

#[test]
fn every_access_is_moved_by_the_place_of_its_region() {
    let mut total = 0;
    for (name, source, packed) in all() {
        let (before, _) = module(&source).unwrap();
        let (after, _) = module(&packed.source).unwrap();
        let accesses = |module: &Module| {
            let functions = module.functions.iter().map(|(_, f)| f);
            let functions = functions.chain([&module.entry_points[0].function]);
            let is_region = |f: &Function, e: &Handle<Expression>| {
                matches!(&f.expressions[*e], Expression::GlobalVariable(v) if matches!(
                    module.global_variables[*v].space,
                    AddressSpace::Storage { .. } | AddressSpace::Handle
                ))
            };
            functions
                .map(|f| {
                    let of = |e: &Expression| match e {
                        Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => {
                            is_region(f, base)
                        }
                        Expression::ImageLoad { .. } => true,
                        _ => false,
                    };
                    f.expressions.iter().filter(|(_, e)| of(e)).count()
                })
                .sum::<usize>()
        };
        let functions = after.functions.iter().map(|(_, f)| f);
        let functions = functions.chain([&after.entry_points[0].function]);
        let found: usize = functions.map(|f| check_moved(&name, &after, f)).sum();
        assert_eq!(found, accesses(&before), "{name}");
        assert!(found > 0);
        total += found;
    }
    println!("{total} accesses");
}

#[test]
fn drivers_get_a_translation() {
    use naga::back::{hlsl, msl, spv};
    for (name, _, packed) in all() {
        let (module, info) = module(&packed.source).unwrap();
        let (module, info) = naga::back::pipeline_constants::process_overrides(
            &module,
            &info,
            Some((naga::ShaderStage::Compute, packed.entry.as_str())),
            &Default::default(),
        )
        .unwrap_or_else(|e| panic!("{name}: {e}"));
        spv::write_vec(
            &module,
            &info,
            &spv::Options { lang_version: (1, 3), ..Default::default() },
            None,
        )
        .unwrap_or_else(|e| panic!("{name}: {e}"));
        let options = msl::Options { lang_version: (2, 4), ..Default::default() };
        msl::write_string(&module, &info, &options, &Default::default())
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        let options = hlsl::Options { shader_model: hlsl::ShaderModel::V6_0, ..Default::default() };
        let mut text = String::new();
        hlsl::Writer::new(&mut text, &options, &Default::default())
            .write(&module, &info, None)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}
