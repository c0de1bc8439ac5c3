//! The text of a kernel for many members.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use super::module::{Field, Function, Module, Variable, closing};
use super::names::{Use, uses};
use super::tokens::Kind;
use super::{Access, Binding, EVEN, HEAD, MOST_BYTES, Packed, StepTable};

/// What a variable of the module is to a kernel for many members.
#[derive(Clone, Debug)]
enum Role {
    Params,
    Step,
    /// A binding, by its place in the list.
    Region(usize),
    /// It is not bound, and every workgroup or invocation has its own.
    Own,
}

/// A value of the record or of the step of a member.
#[derive(Debug)]
struct Value {
    kind: String,
    /// How it is read, given the member.
    read: String,
    /// Whether the entry point names it.
    in_entry: bool,
    /// Whether a function names it.
    in_function: bool,
}

/// A text that takes the place of some bytes.
struct Edit {
    bytes: Range<usize>,
    text: String,
}

/// Whatever is found while a kernel is rewritten.
struct Writer<'m, 't> {
    module: &'m Module<'t>,
    roles: Vec<Role>,
    /// By their names, without `packed_`.
    values: BTreeMap<String, Value>,
    edits: Vec<Edit>,
}

pub(crate) fn packed(source: &str, most_members: usize) -> Result<Packed, String> {
    let module = Module::of(source)?;
    let is_ours = |t: &str| ["packed_", "Packed", "PACKED_"].iter().any(|p| t.starts_with(p));
    if let Some(t) = module.tokens.iter().find(|t| t.kind == Kind::Word && is_ours(t.text)) {
        return Err(format!("line {}: the name {} is ours", module.line(t.begin), t.text));
    }
    if most_members == 0 {
        return Err("a table has at least one member".into());
    }
    let mut entries = module.functions.iter().filter(|f| f.is_entry);
    let (Some(entry), None) = (entries.next(), entries.next()) else {
        return Err("a kernel has one entry point".into());
    };
    let (mut bindings, roles) = roles(&module)?;
    let params = one(&module, &roles, |r| matches!(r, Role::Params))?
        .ok_or("a kernel has a variable params of the structure Params")?;
    let step = one(&module, &roles, |r| matches!(r, Role::Step))?;
    let params_fields = scalars(&module, "Params")?;
    let step_fields = step.map(|_| scalars(&module, "Step")).transpose()?.unwrap_or_default();

    let mut writer = Writer { module: &module, roles, values: BTreeMap::new(), edits: Vec::new() };
    let mut asked = Vec::new();
    for function in &module.functions {
        for found in uses(&module, function)? {
            asked.extend(writer.rewrite(&bindings, function, found)?);
        }
    }
    // The record: the grid, regions, lengths, `Params`.
    let mut words: Vec<(String, String)> =
        ["x", "y", "z"].map(|axis| (format!("packed_grid_{axis}"), "u32".into())).to_vec();
    for binding in &mut bindings {
        binding.at = 4 * words.len();
        words.push((format!("packed_at_{}", binding.name), "u32".into()));
    }
    for binding in bindings.iter_mut().filter(|b| asked.contains(&b.slot)) {
        binding.length_at = Some(4 * words.len());
        words.push((format!("packed_length_{}", binding.name), "u32".into()));
    }
    let params_at = 4 * words.len();
    words.extend(params_fields.iter().cloned());
    let record_bytes = (4 * words.len()).next_multiple_of(16);

    writer.replace(&params.bytes, format!("var<uniform> {}: PackedParams", params.name));
    if let Some(step) = step {
        let text = format!("var<uniform> {}: array<PackedStep, {most_members}>", step.name);
        writer.replace(&step.bytes, text);
    }
    writer.enter(entry, &params.name)?;
    let mut text = writer.text();
    text.push_str("\n// What follows, and all that begins with packed_, is for many members.\n");
    let _ = writeln!(text, "override {EVEN}: bool = false;");
    structure(&mut text, "PackedRecord", &words);
    let head = "packed_members: u32, packed_depth: u32, packed_pad_0: u32, packed_pad_1: u32";
    let _ = writeln!(
        text,
        "struct PackedParams {{ {head}, members: array<PackedRecord, {most_members}> }}"
    );
    if step.is_some() {
        structure(&mut text, "PackedStep", &step_fields);
    }
    for (name, value) in writer.values.iter().filter(|(_, v)| v.in_function) {
        let _ = writeln!(text, "var<private> packed_{name}: {};", value.kind);
    }
    let step = step.map(|step| StepTable {
        slot: step.slot.unwrap_or_default(),
        record_bytes: (4 * step_fields.len()).next_multiple_of(16),
        step_bytes: 4 * step_fields.len(),
    });
    let packed = Packed {
        source: text,
        entry: entry.name.clone(),
        most_members,
        params_slot: params.slot.unwrap_or_default(),
        record_bytes,
        params_at,
        params_fields,
        step,
        bindings,
    };
    for bytes in [packed.params_bytes(), packed.step_bytes()] {
        if bytes > MOST_BYTES {
            return Err(format!("{most_members} members need a table of {bytes} bytes"));
        }
    }
    debug_assert!(packed.params_at >= 12 && HEAD.is_multiple_of(16));
    Ok(packed)
}

/// The bindings of buffers and mirrors in the order of slots, and the role of each variable.
fn roles(module: &Module) -> Result<(Vec<Binding>, Vec<Role>), String> {
    let mut bindings = Vec::new();
    for variable in &module.variables {
        let Some(slot) = variable.slot else { continue };
        let access = match variable.space.as_str() {
            "uniform" => continue,
            "storage" | "storage,read" => Access::Read,
            "storage,read_write" => Access::Write,
            "" if variable.kind == "texture_storage_2d<rgba32float,read>" => Access::MirrorF32,
            "" if variable.kind == "texture_storage_2d<rgba32uint,read>" => Access::MirrorU32,
            other => return Err(format!("{}: no such binding: {other}", variable.name)),
        };
        let unit = match access {
            // Tables are not regions of buffers.
            Access::Params | Access::Step => continue,
            Access::Read | Access::Write => element(module, variable)?,
            Access::MirrorF32 | Access::MirrorU32 => 16 * mirror_width(module)?,
        };
        let name = variable.name.clone();
        bindings.push(Binding { name, slot, access, unit, at: 0, length_at: None });
    }
    bindings.sort_by_key(|b| b.slot);
    let role = |variable: &Variable| match variable.space.as_str() {
        "uniform" if variable.kind == "Params" => Ok(Role::Params),
        "uniform" if variable.kind == "Step" => Ok(Role::Step),
        "uniform" => Err(format!("{}: neither Params nor Step", variable.name)),
        "workgroup" | "private" => Ok(Role::Own),
        _ => bindings
            .iter()
            .position(|b| b.name == variable.name)
            .map(Role::Region)
            .ok_or_else(|| format!("{} has no slot", variable.name)),
    };
    let roles = module.variables.iter().map(role).collect::<Result<_, String>>()?;
    Ok((bindings, roles))
}

/// The variable with a role, of which there is one at most.
fn one<'m>(
    module: &'m Module,
    roles: &[Role],
    is: impl Fn(&Role) -> bool,
) -> Result<Option<&'m Variable>, String> {
    let mut found = module.variables.iter().zip(roles).filter(|(_, r)| is(r)).map(|(v, _)| v);
    let first = found.next();
    match found.next() {
        Some(second) => Err(format!("{} is a second one of its kind", second.name)),
        None => Ok(first),
    }
}

/// Bytes from one element of a storage array to the next.
fn element(module: &Module, variable: &Variable) -> Result<usize, String> {
    let inner = variable.kind.strip_prefix("array<").and_then(|k| k.strip_suffix('>'));
    let inner = inner.ok_or_else(|| format!("{} is no array", variable.name))?;
    let (size, align) = module.layout(inner).map_err(|e| format!("{}: {e}", variable.name))?;
    Ok(size.next_multiple_of(align))
}

/// Texels in a row of a mirror.
fn mirror_width(module: &Module) -> Result<usize, String> {
    let stated = module.constants.get("MIRROR_WIDTH");
    let width = stated.and_then(|w| w.trim_end_matches('u').parse().ok());
    width.ok_or_else(|| "a kernel with mirrors has the constant MIRROR_WIDTH".into())
}

/// The fields of a structure of numbers of four bytes.
fn scalars(module: &Module, name: &str) -> Result<Vec<(String, String)>, String> {
    let fields = module.structures.get(name).ok_or_else(|| format!("no structure {name}"))?;
    let scalar = |field: &Field| {
        let is_plain =
            field.attributes.is_empty() && ["u32", "i32", "f32"].contains(&field.kind.as_str());
        is_plain
            .then(|| (field.name.clone(), field.kind.clone()))
            .ok_or_else(|| format!("{name}.{} is not a number of four bytes", field.name))
    };
    fields.iter().map(scalar).collect()
}

/// Writes a structure for a uniform table: its size is a multiple of 16.
fn structure(text: &mut String, name: &str, fields: &[(String, String)]) {
    let fields: Vec<String> = fields.iter().map(|(n, kind)| format!("{n}: {kind}")).collect();
    let _ = writeln!(text, "struct {name} {{ @align(16) {} }}", fields.join(", "));
}

impl Writer<'_, '_> {
    fn replace(&mut self, bytes: &Range<usize>, text: String) {
        self.edits.push(Edit { bytes: bytes.clone(), text });
    }

    fn insert(&mut self, at: usize, text: String) {
        self.replace(&(at..at), text);
    }

    /// The name of a value inside a function.
    fn value(&mut self, function: &Function, name: String, kind: &str, read: String) -> String {
        let value = self.values.entry(name.clone()).or_insert_with(|| Value {
            kind: kind.into(),
            read,
            in_entry: false,
            in_function: false,
        });
        if function.is_entry {
            value.in_entry = true;
            format!("packed_own_{name}")
        } else {
            value.in_function = true;
            format!("packed_{name}")
        }
    }

    /// How a field of the record is read, given the member.
    fn of_record(&self, field: &str) -> String {
        let params = self.module.variables.iter().zip(&self.roles);
        let name = params.filter(|(_, r)| matches!(r, Role::Params)).map(|(v, _)| &v.name).next();
        format!("{}.members[packed_member].{field}", name.map_or("params", String::as_str))
    }

    /// Rewrites a use of a variable. Gives the slot of a binding whose length is asked for.
    fn rewrite(
        &mut self,
        bindings: &[Binding],
        function: &Function,
        found: Use,
    ) -> Result<Option<u32>, String> {
        let variable = &self.module.variables[found.variable];
        match self.roles[found.variable].clone() {
            Role::Own => Ok(None),
            Role::Params => self.field(function, found, "Params").map(|()| None),
            Role::Step => self.field(function, found, "Step").map(|()| None),
            Role::Region(i) => match bindings[i].access {
                Access::Params | Access::Step => Ok(None),
                Access::Read | Access::Write => self.index(function, found, &bindings[i]),
                Access::MirrorF32 | Access::MirrorU32 => {
                    self.texel(function, found, variable).map(|()| None)
                }
            },
        }
    }

    /// A token near another one.
    fn near(&self, token: usize, by: isize) -> &str {
        token.checked_add_signed(by).and_then(|i| self.module.tokens.get(i)).map_or("", |t| t.text)
    }

    /// The sentence that refuses a use.
    fn refused<T>(&self, found: Use, what: &str) -> Result<T, String> {
        let line = self.module.line(self.module.tokens[found.token].begin);
        Err(format!("line {line}: {} is used {what}", self.module.variables[found.variable].name))
    }

    /// `params.rows` becomes a name.
    fn field(&mut self, function: &Function, found: Use, structure: &str) -> Result<(), String> {
        let field = self.near(found.token, 2).to_string();
        let fields = &self.module.structures[structure];
        let kind = fields.iter().find(|f| f.name == field).map(|f| f.kind.clone());
        let (".", Some(kind)) = (self.near(found.token, 1), kind) else {
            return self.refused(found, "as a whole");
        };
        let variable = self.module.variables[found.variable].name.clone();
        let read = match structure {
            "Params" => self.of_record(&field),
            _ => format!("{variable}[packed_member].{field}"),
        };
        let name = self.value(function, format!("{variable}_{field}"), &kind, read);
        let tokens = &self.module.tokens;
        let bytes = tokens[found.token].begin..tokens[found.token + 2].end();
        self.replace(&bytes, name);
        Ok(())
    }

    /// `name[e]` is moved to the region of the member; `arrayLength(&name)` becomes a name.
    fn index(
        &mut self,
        function: &Function,
        found: Use,
        binding: &Binding,
    ) -> Result<Option<u32>, String> {
        let tokens = &self.module.tokens;
        let name = &binding.name;
        let is_length = self.near(found.token, -1) == "&"
            && self.near(found.token, -2) == "("
            && self.near(found.token, -3) == "arrayLength"
            && self.near(found.token, 1) == ")";
        if is_length {
            let bytes = tokens[found.token - 3].begin..tokens[found.token + 1].end();
            let read = self.of_record(&format!("packed_length_{name}"));
            let length = self.value(function, format!("length_{name}"), "u32", read);
            self.replace(&bytes, length);
            return Ok(Some(binding.slot));
        }
        if self.near(found.token, 1) != "[" {
            return self.refused(found, "without an index");
        }
        let Some(end) = closing(tokens, found.token + 1) else {
            return self.refused(found, "with an index without an end");
        };
        let (open, close) = (tokens[found.token + 1].end(), tokens[end].begin);
        let read = self.of_record(&format!("packed_at_{name}"));
        let at = self.value(function, format!("at_{name}"), "u32", read);
        self.wrap(open, close, &at);
        Ok(None)
    }

    /// `textureLoad(name, texel)` is moved down by whole rows.
    fn texel(
        &mut self,
        function: &Function,
        found: Use,
        variable: &Variable,
    ) -> Result<(), String> {
        let tokens = &self.module.tokens;
        let is_load = self.near(found.token, -2) == "textureLoad"
            && self.near(found.token, -1) == "("
            && self.near(found.token, 1) == ",";
        let end = closing(tokens, found.token.saturating_sub(1)).filter(|_| is_load);
        let Some(end) = end else {
            return self.refused(found, "elsewhere than as the first argument of textureLoad");
        };
        let mut depth = 0i32;
        for token in &tokens[found.token + 2..end] {
            match token.text {
                "(" | "[" => depth += 1,
                ")" | "]" => depth -= 1,
                "," if depth == 0 => return self.refused(found, "with a third argument"),
                _ => {}
            }
        }
        let (open, close) = (tokens[found.token + 2].begin, tokens[end].begin);
        let row = self.of_record(&format!("packed_at_{}", variable.name));
        let read = format!("vec2<u32>(0u, {row})");
        let at = self.value(function, format!("at_{}", variable.name), "vec2<u32>", read);
        self.wrap(open, close, &at);
        Ok(())
    }

    /// Adds a value to the expression between two bytes.
    fn wrap(&mut self, open: usize, close: usize, value: &str) {
        self.insert(open, format!("{value} + ("));
        self.insert(close, ")".into());
    }

    /// The parameters of the entry point, and the statements with which its body begins.
    fn enter(&mut self, entry: &Function, params: &str) -> Result<(), String> {
        let mut kept = Vec::new();
        let mut lets = String::new();
        let mut local = None;
        let builtin = |name: &str| format!("@builtin({name})");
        if let Some(p) =
            entry.parameters.iter().find(|p| p.attributes == builtin("local_invocation_id"))
        {
            local = Some(p.name.clone());
        }
        for parameter in &entry.parameters {
            let name = &parameter.name;
            match parameter.attributes.as_str() {
                "@builtin(workgroup_id)" => {
                    let _ = write!(lets, " let {name} = packed_place;");
                }
                "@builtin(num_workgroups)" => {
                    let _ = write!(lets, " let {name} = packed_grid;");
                }
                "@builtin(global_invocation_id)" => {
                    let mut sizes = entry.workgroup.clone();
                    sizes.resize(3, "1u".into());
                    let local = local.get_or_insert_with(|| {
                        kept.push(format!(
                            "{} packed_local: vec3<u32>",
                            builtin("local_invocation_id")
                        ));
                        "packed_local".into()
                    });
                    let sizes = sizes.join(", ");
                    let _ =
                        write!(lets, " let {name} = packed_place * vec3<u32>({sizes}) + {local};");
                }
                "@builtin(local_invocation_id)"
                | "@builtin(local_invocation_index)"
                | "@builtin(subgroup_invocation_id)"
                | "@builtin(subgroup_size)"
                | "@builtin(subgroup_id)"
                | "@builtin(num_subgroups)" => {
                    kept.push(self.module.source[parameter.bytes.clone()].to_string());
                }
                other => return Err(format!("parameter {name}: what is {other:?}?")),
            }
        }
        let mut text = format!("{} packed_group: vec3<u32>", builtin("workgroup_id"));
        for parameter in &kept {
            let _ = write!(text, ", {parameter}");
        }
        let before = &self.module.source[entry.parentheses.clone()];
        let lines = |text: &str| text.matches('\n').count();
        text.push_str(&"\n".repeat(lines(before).saturating_sub(lines(&text))));
        self.replace(&entry.parentheses, text);

        let grid = ["x", "y", "z"].map(|axis| self.of_record(&format!("packed_grid_{axis}")));
        let mut begin = format!(
            " let packed_member = packed_group.z / {params}.packed_depth; \
             let packed_place = vec3<u32>(packed_group.x, packed_group.y, \
             packed_group.z - packed_member * {params}.packed_depth); \
             if (!{EVEN}) {{ if (packed_member >= {params}.packed_members) {{ return; }} }} \
             let packed_grid = vec3<u32>({}); \
             if (!{EVEN}) {{ if (any(packed_place >= packed_grid)) {{ return; }} }}",
            grid.join(", ")
        );
        begin.push_str(&lets);
        for (name, value) in &self.values {
            let read = &value.read;
            let _ = match (value.in_entry, value.in_function) {
                (true, false) => write!(begin, " let packed_own_{name} = {read};"),
                (false, _) => write!(begin, " packed_{name} = {read};"),
                (true, true) => write!(
                    begin,
                    " let packed_own_{name} = {read}; packed_{name} = packed_own_{name};"
                ),
            };
        }
        let open = self.module.tokens[entry.body.start].end();
        self.insert(open, begin);
        Ok(())
    }

    /// The text with all edits.
    fn text(&mut self) -> String {
        // Edits at the same byte keep their order, which is that of the text.
        self.edits.sort_by_key(|e| e.bytes.start);
        let mut text = String::with_capacity(2 * self.module.source.len());
        let mut at = 0;
        for edit in &self.edits {
            text.push_str(&self.module.source[at..edit.bytes.start]);
            text.push_str(&edit.text);
            at = edit.bytes.end;
        }
        text.push_str(&self.module.source[at..]);
        text
    }
}
