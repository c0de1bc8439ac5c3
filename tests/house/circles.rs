//! No circles between files: a file does not use, directly or through others, a file that uses it.
//!
//! An arrow leads from a file to each file that defines something it names, in `use` lines and in
//! paths that begin at the root or at `super`. Names that a `mod.rs` re-exports with `pub use`
//! count where they are defined.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::plan::{code, sources};

/// The circles that are allowed, each with its reason.
const ALLOWED: &[(&[&str], &str)] = &[];

/// A module, as its path from the root of the crate.
type Module = Vec<String>;

/// The modules of a crate, each with its code.
struct House {
    modules: BTreeMap<Module, String>,
    /// The re-exports of each module: name, and the path that it stands for.
    handed_on: BTreeMap<Module, BTreeMap<String, Module>>,
}

fn split(path: &str) -> Module {
    path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

/// The module of a file below `src/`.
fn module_of(file: &str) -> Module {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/').map(str::to_owned).collect()
}

/// The paths in a `use` tree.
fn flatten(tree: &str, before: &[String]) -> Vec<Module> {
    let tree = tree.trim();
    let Some(open) = tree.find('{') else {
        let name = tree.split(" as ").next().unwrap_or(tree);
        return vec![before.iter().cloned().chain(split(name)).collect()];
    };
    let before: Module = before.iter().cloned().chain(split(&tree[..open])).collect();
    let inner = &tree[open + 1..tree.rfind('}').unwrap_or(tree.len())];
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in inner.chars() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        match c {
            ',' if depth == 0 => items.push(String::new()),
            _ => items.last_mut().unwrap().push(c),
        }
    }
    let items = items.iter().filter(|item| !item.trim().is_empty());
    items.flat_map(|item| flatten(item, &before)).collect()
}

/// A `use` line of a module.
struct Use {
    start: usize,
    end: usize,
    /// Whether its names are re-exported.
    is_public: bool,
    paths: Vec<Module>,
}

fn uses(code: &str) -> Vec<Use> {
    let mut found = Vec::new();
    for (start, _) in code.match_indices("use ") {
        let before = code[..start].rsplit('\n').next().unwrap_or_default().trim();
        if before.is_empty() || before.starts_with("pub") {
            let end = start + code[start..].find(';').unwrap_or(0);
            let paths = flatten(&code[start + 4..end], &[]);
            found.push(Use { start, end, is_public: before.starts_with("pub"), paths });
        }
    }
    found
}

/// The paths in the code outside of `use` lines that begin at the root or at `super`.
fn inline(code: &str) -> Vec<Module> {
    let uses = uses(code);
    let mut found = Vec::new();
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root) {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            let is_used = uses.iter().any(|line| (line.start..line.end).contains(&at));
            if !code[..at].ends_with(is_path) && !is_used {
                let path: String = code[at..].chars().take_while(|c| is_path(*c)).collect();
                found.push(split(&path));
            }
        }
    }
    found
}

impl House {
    fn new(files: &[(&str, &str)]) -> House {
        let modules: BTreeMap<Module, String> =
            files.iter().map(|(file, text)| (module_of(file), code(text))).collect();
        let mut house = House { modules, handed_on: BTreeMap::new() };
        for (module, code) in &house.modules {
            let handed_on = uses(code).into_iter().filter(|line| line.is_public);
            let names = handed_on.flat_map(|line| line.paths).filter_map(|path| {
                let path = house.resolve(module, &path)?;
                Some((path.last()?.clone(), path))
            });
            let names = names.collect();
            house.handed_on.insert(module.clone(), names);
        }
        house
    }

    /// Turns a path as a module writes it into a path from the root; `None` if it leads out of the
    /// crate.
    fn resolve(&self, module: &Module, path: &Module) -> Option<Module> {
        match path.first()?.as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" | "super" => {
                let ups = path.iter().take_while(|part| *part == "super").count();
                let rest = &path[ups.max(1)..];
                let above = &module[..module.len().checked_sub(ups)?];
                Some(above.iter().chain(rest).cloned().collect())
            }
            first => {
                let child: Module = module.iter().cloned().chain([first.to_owned()]).collect();
                self.modules
                    .contains_key(&child)
                    .then(|| module.iter().chain(path).cloned().collect())
            }
        }
    }

    /// The module that defines the item of a path.
    fn defining(&self, path: &Module, steps: usize) -> Option<Module> {
        let known = (1..=path.len()).rev().find(|n| self.modules.contains_key(&path[..*n]))?;
        let (module, rest) = (path[..known].to_vec(), &path[known..]);
        let handed_on = rest.first().and_then(|name| self.handed_on.get(&module)?.get(name));
        match handed_on {
            Some(origin) if steps > 0 => {
                let path = origin.iter().chain(&rest[1..]).cloned().collect();
                self.defining(&path, steps - 1)
            }
            _ => Some(module),
        }
    }

    /// The arrows of each module.
    fn arrows(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        let of = |(module, code): (&'_ Module, &'_ String)| -> BTreeSet<Module> {
            let used = uses(code).into_iter().filter(|line| !line.is_public);
            let paths = used.flat_map(|line| line.paths).chain(inline(code));
            let found = paths.filter_map(|path| self.defining(&self.resolve(module, &path)?, 8));
            found.filter(|to| to != module).collect()
        };
        self.modules.iter().map(|entry| (entry.0, of(entry))).collect()
    }

    /// Modules that lead to one another, as sorted lists: the strongly connected components of more
    /// than one module.
    fn circles(&self) -> Vec<Vec<String>> {
        let arrows = self.arrows();
        let reached = |from: &Module| -> BTreeSet<Module> {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&Module> = vec![from];
            while let Some(module) = next.pop() {
                for to in arrows.get(module).into_iter().flatten() {
                    if seen.insert(to.clone()) {
                        next.push(to);
                    }
                }
            }
            seen
        };
        let all: BTreeMap<&Module, BTreeSet<Module>> =
            arrows.keys().map(|module| (*module, reached(module))).collect();
        let circle = |module: &&Module| -> Option<Vec<String>> {
            let back = all[*module].iter().filter(|to| all[*to].contains(*module));
            let circle: Vec<String> = back.map(|module| module.join("::")).collect();
            (circle.len() > 1).then_some(circle)
        };
        let found: BTreeSet<Vec<String>> = all.keys().filter_map(circle).collect();
        found.into_iter().collect()
    }
}

fn circles(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    House::new(files).circles()
}

#[test]
fn no_files_use_each_other() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let names = sources(&src, "");
    let texts: Vec<(String, String)> = names
        .into_iter()
        .filter(|name| name != "lib.rs" && name != "main.rs")
        .map(|name| (name.clone(), std::fs::read_to_string(src.join(name)).unwrap()))
        .collect();
    let files: Vec<(&str, &str)> = texts.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    let house = House::new(&files);
    let arrows: usize = house.arrows().values().map(BTreeSet::len).sum();
    assert!(files.len() > 150 && arrows > 500, "{} files, {arrows} arrows", files.len());
    let allowed: Vec<Vec<String>> = ALLOWED
        .iter()
        .map(|(circle, _)| circle.iter().map(|module| (*module).to_owned()).collect())
        .collect();
    let found = house.circles();
    let more: Vec<_> = found.iter().filter(|circle| !allowed.contains(circle)).collect();
    assert!(more.is_empty(), "circles of files: {more:#?}");
    assert!(allowed.iter().all(|circle| found.contains(circle)), "a circle is gone: {ALLOWED:?}");
}

// The test can fail.

#[test]
fn a_circle_is_found_in_every_spelling() {
    let two = [vec!["a".to_owned(), "b".to_owned()]];
    for (a, b) in [
        ("use crate::b::B;", "use crate::a::A;"),
        ("use super::b::B;", "use super::a::{self, A};"),
        ("use crate::{b::{B, C}, c};", "pub fn f() -> crate::a::A { todo!() }"),
        ("fn f() { super::b::g() }", "use crate::a;"),
    ] {
        assert_eq!(circles(&[("a.rs", a), ("b.rs", b), ("c.rs", "")]), two, "{a} {b}");
    }
}

#[test]
fn a_circle_of_three_is_found() {
    let files =
        [("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C;"), ("c.rs", "use crate::a::A;")];
    assert_eq!(circles(&files), [["a", "b", "c"].map(String::from).to_vec()]);
}

#[test]
fn re_exports_count_where_they_are_defined() {
    // The `mod.rs` of the module is not part of a circle …
    let face = ("room/mod.rs", "pub mod a;\nmod b;\npub use b::B;\npub use a::A;");
    let apart = [face, ("room/a.rs", "use crate::room::B;"), ("room/b.rs", "pub struct B;")];
    assert_eq!(circles(&apart), Vec::<Vec<String>>::new());
    // … and does not hide one.
    let tied = [face, ("room/a.rs", "use super::B;"), ("room/b.rs", "use crate::room::A;")];
    assert_eq!(circles(&tied), [["room::a", "room::b"].map(String::from).to_vec()]);
    // A `mod.rs` with items of its own is a file like any other.
    let own = [("room/mod.rs", "mod a;\nuse a::A;\npub struct B;"), ("room/a.rs", "use super::B;")];
    assert_eq!(circles(&own), [["room", "room::a"].map(String::from).to_vec()]);
}

#[test]
fn comments_and_strings_are_not_arrows() {
    let files = [
        ("a.rs", "// use crate::b;\nconst T: &str = \"use crate::b;\";"),
        ("b.rs", "use crate::a;"),
    ];
    assert_eq!(circles(&files), Vec::<Vec<String>>::new());
}
