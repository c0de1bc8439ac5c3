//! What a WGSL module declares: structures, variables and functions.

use std::collections::BTreeMap;
use std::ops::Range;

use super::tokens::{Kind, Token, line, tokens};

/// A field of a structure, or the parameter of a function.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Its attributes, without blanks.
    pub attributes: String,
    pub name: String,
    /// Its type, without blanks.
    pub kind: String,
    /// Its bytes, from its attributes to its type.
    pub bytes: Range<usize>,
    /// The place of its name among the tokens.
    pub token: usize,
}

/// A variable of a module.
#[derive(Clone, Debug)]
pub(crate) struct Variable {
    pub name: String,
    /// What stands between `<` and `>`: address space and access, without blanks.
    pub space: String,
    pub kind: String,
    /// The slot of its binding, where it has one.
    pub slot: Option<u32>,
    /// The bytes of its `var<…> name: type`.
    pub bytes: Range<usize>,
}

/// A function.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub name: String,
    /// Whether it is a compute entry point.
    pub is_entry: bool,
    /// The sizes of its workgroups as the text says.
    pub workgroup: Vec<String>,
    pub parameters: Vec<Field>,
    /// The bytes between the parentheses of its parameters.
    pub parentheses: Range<usize>,
    /// The tokens of its body, from `{` to `}`.
    pub body: Range<usize>,
}

/// A module.
#[derive(Debug)]
pub(crate) struct Module<'t> {
    pub source: &'t str,
    pub tokens: Vec<Token<'t>>,
    pub structures: BTreeMap<String, Vec<Field>>,
    pub variables: Vec<Variable>,
    pub functions: Vec<Function>,
    /// Constants that are one literal.
    pub constants: BTreeMap<String, String>,
    /// Other names of types.
    aliases: Vec<String>,
}

/// Goes along the tokens of a module.
struct Reader<'m, 't> {
    source: &'t str,
    tokens: &'m [Token<'t>],
    at: usize,
}

impl<'t> Module<'t> {
    /// The declarations of a text.
    ///
    /// # Errors
    /// A text that does not follow the grammar, as far as it is looked at.
    pub fn of(source: &'t str) -> Result<Module<'t>, String> {
        let tokens = tokens(source)?;
        let mut module = Module {
            source,
            tokens: Vec::new(),
            structures: BTreeMap::new(),
            variables: Vec::new(),
            functions: Vec::new(),
            constants: BTreeMap::new(),
            aliases: Vec::new(),
        };
        let mut reader = Reader { source, tokens: &tokens, at: 0 };
        while reader.at < tokens.len() {
            reader.declaration(&mut module)?;
        }
        module.tokens = tokens;
        if let Some(alias) = module.aliases.first() {
            return Err(format!("alias {alias}: aliases of types are not known here"));
        }
        Ok(module)
    }

    /// The size and the alignment of a type in bytes.
    ///
    /// # Errors
    /// A type that kernels have no tables of.
    pub fn layout(&self, kind: &str) -> Result<(usize, usize), String> {
        if let Some(inner) = kind.strip_prefix("atomic<").and_then(|k| k.strip_suffix('>')) {
            return self.layout(inner);
        }
        Ok(match kind {
            "u32" | "i32" | "f32" => (4, 4),
            _ if kind.starts_with("vec2<") && is_whole(kind) => (8, 8),
            _ if kind.starts_with("vec3<") && is_whole(kind) => (12, 16),
            _ if kind.starts_with("vec4<") && is_whole(kind) => (16, 16),
            _ => {
                let fields =
                    self.structures.get(kind).ok_or_else(|| format!("type {kind} is not known"))?;
                let (mut size, mut most) = (0usize, 1);
                for field in fields {
                    if !field.attributes.is_empty() {
                        return Err(format!("{kind}.{}: a field with an attribute", field.name));
                    }
                    let (bytes, align) = self.layout(&field.kind)?;
                    size = size.next_multiple_of(align) + bytes;
                    most = most.max(align);
                }
                (size.next_multiple_of(most), most)
            }
        })
    }

    /// The number of a line, for messages.
    pub fn line(&self, byte: usize) -> usize {
        line(self.source, byte)
    }
}

/// Whether the elements of a vector are of four bytes.
fn is_whole(kind: &str) -> bool {
    ["<u32>", "<i32>", "<f32>"].iter().any(|inner| kind[4..] == **inner)
}

impl<'t> Reader<'_, 't> {
    fn here(&self) -> Result<Token<'t>, String> {
        self.tokens.get(self.at).copied().ok_or_else(|| "the text ends too early".to_string())
    }

    fn next(&mut self) -> Result<Token<'t>, String> {
        let token = self.here()?;
        self.at += 1;
        Ok(token)
    }

    fn is(&self, text: &str) -> bool {
        self.tokens.get(self.at).is_some_and(|t| t.is(text))
    }

    fn expect(&mut self, text: &str) -> Result<Token<'t>, String> {
        let token = self.next()?;
        if token.is(text) {
            return Ok(token);
        }
        let line = line(self.source, token.begin);
        Err(format!("line {line}: {text:?} was expected where {:?} stands", token.text))
    }

    fn word(&mut self) -> Result<&'t str, String> {
        let token = self.next()?;
        if token.kind == Kind::Word {
            return Ok(token.text);
        }
        let line = line(self.source, token.begin);
        Err(format!("line {line}: a name was expected where {:?} stands", token.text))
    }

    /// The tokens from an opening bracket to its end, both included.
    fn brackets(&mut self) -> Result<Range<usize>, String> {
        let begin = self.at;
        let end = closing(self.tokens, begin).ok_or_else(|| {
            format!("line {}: no end", line(self.source, self.tokens[begin].begin))
        })?;
        self.at = end + 1;
        Ok(begin..end + 1)
    }

    /// The text of tokens up to one of these marks outside of brackets, without blanks. The mark is
    /// left alone.
    fn until(&mut self, marks: &[&str]) -> Result<String, String> {
        let mut text = String::new();
        let mut depth = 0i32;
        loop {
            let token = self.here()?;
            if depth == 0 && marks.iter().any(|m| token.is(m)) {
                return Ok(text);
            }
            match token.text {
                "(" | "[" | "{" | "<" => depth += 1,
                ")" | "]" | "}" | ">" => depth -= 1,
                _ => {}
            }
            text.push_str(token.text);
            self.at += 1;
        }
    }

    /// The text of the attributes that stand here, and each with its arguments.
    fn attributes(&mut self) -> Result<Vec<(String, Vec<String>)>, String> {
        let mut found = Vec::new();
        while self.is("@") {
            self.at += 1;
            let name = self.word()?.to_string();
            let mut arguments = Vec::new();
            if self.is("(") {
                self.at += 1;
                while !self.is(")") {
                    arguments.push(self.until(&[",", ")"])?);
                    if self.is(",") {
                        self.at += 1;
                    }
                }
                self.at += 1;
            }
            found.push((name, arguments));
        }
        Ok(found)
    }

    fn declaration(&mut self, module: &mut Module<'t>) -> Result<(), String> {
        let attributes = self.attributes()?;
        let first = self.next()?;
        match first.text {
            ";" => {}
            "struct" => {
                let name = self.word()?.to_string();
                self.expect("{")?;
                let fields = self.fields("}")?;
                self.expect("}")?;
                module.structures.insert(name, fields);
            }
            "var" => {
                let mut space = String::new();
                if self.is("<") {
                    self.at += 1;
                    space = self.until(&[">"])?;
                    self.at += 1;
                }
                let name = self.word()?.to_string();
                let mut kind = String::new();
                if self.is(":") {
                    self.at += 1;
                    kind = self.until(&[";", "="])?;
                }
                let end = self.tokens[self.at - 1].end();
                self.go_to(";")?;
                let slot = argument(&attributes, "binding").and_then(|s| s.parse().ok());
                if slot.is_some() && argument(&attributes, "group") != Some("0") {
                    return Err(format!("{name} is not in group 0"));
                }
                module.variables.push(Variable {
                    name,
                    space,
                    kind,
                    slot,
                    bytes: first.begin..end,
                });
            }
            "fn" => {
                let name = self.word()?.to_string();
                let begin = self.expect("(")?.end();
                let parameters = self.fields(")")?;
                let end = self.expect(")")?.begin;
                // The type of the result has an arrow before it.
                self.go_to("{")?;
                let body = self.brackets()?;
                let workgroup = attributes.iter().find(|(n, _)| n == "workgroup_size");
                module.functions.push(Function {
                    name,
                    is_entry: attributes.iter().any(|(n, _)| n == "compute"),
                    workgroup: workgroup.map(|(_, a)| a.clone()).unwrap_or_default(),
                    parameters,
                    parentheses: begin..end,
                    body,
                });
            }
            "const" => {
                let name = self.word()?.to_string();
                self.until(&["="])?;
                self.at += 1;
                let value = self.here()?;
                let before = self.at;
                self.go_to(";")?;
                if self.at == before + 1 {
                    module.constants.insert(name, value.text.to_string());
                }
            }
            "alias" => {
                let name = self.word()?.to_string();
                self.go_to(";")?;
                module.aliases.push(name);
            }
            "override" | "const_assert" | "enable" | "requires" | "diagnostic" => {
                self.go_to(";")?;
            }
            other => {
                let line = line(self.source, first.begin);
                return Err(format!("line {line}: no declaration begins with {other:?}"));
            }
        }
        Ok(())
    }

    /// Goes to the next of a mark, whatever brackets and operators stand before it.
    fn go_to(&mut self, mark: &str) -> Result<(), String> {
        while !self.here()?.is(mark) {
            self.at += 1;
        }
        Ok(())
    }

    /// Fields or parameters up to a mark, which is left alone.
    fn fields(&mut self, end: &str) -> Result<Vec<Field>, String> {
        let mut found = Vec::new();
        while !self.is(end) {
            let begin = self.here()?.begin;
            let before = self.at;
            self.attributes()?;
            let attributes = self.tokens[before..self.at].iter().map(|t| t.text).collect();
            let token = self.at;
            let name = self.word()?.to_string();
            self.expect(":")?;
            let kind = self.until(&[",", end])?;
            let bytes = begin..self.tokens[self.at - 1].end();
            found.push(Field { attributes, name, kind, bytes, token });
            if self.is(",") {
                self.at += 1;
            }
        }
        Ok(found)
    }
}

/// The first argument of an attribute.
fn argument<'a>(attributes: &'a [(String, Vec<String>)], name: &str) -> Option<&'a str> {
    attributes.iter().find(|(n, _)| n == name)?.1.first().map(String::as_str)
}

/// The token that closes the bracket `(`, `[` or `{` at a place.
pub(crate) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (i, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => {
                depth -= 1;
                if depth == 0 {
                    return Some(i);
                }
            }
            _ => {}
        }
    }
    None
}
