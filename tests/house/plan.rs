//! The floor plan of the crate: imports go down only, and only the modules for wgpu, naga and clap
//! name these crates. ARCHITECTURE.md explains the plan.

use std::path::Path;

/// The rooms (top-level modules) by floor, from the ground up. A room may import its own floor and
/// those below.
const FLOORS: [&[&str]; 11] = [
    &["fault", "config", "rng", "replace", "cache", "text"],
    &["data", "kernels", "search"],
    &["model"],
    &["schedule"],
    &["plan"],
    &["objective"],
    &["step"],
    &["device", "ranks", "reference"],
    &["cpu"],
    &["export", "measure", "report", "run"],
    &["cli", "main"],
];

/// The engine that is compared with the others, which may not import it nor be imported.
const COMPARED: &str = "device";

/// The rooms that state the formulas with which [`COMPARED`] is compared.
const STATING: [&str; 2] = ["reference", "cpu"];

/// Crates, each with the only file or folder that may name it.
const PRIVATE: [(&str, &str); 3] =
    [("wgpu", "device"), ("naga", "kernels/signature.rs"), ("clap", "cli")];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// The room of a file: `device/gpu.rs` and `device.rs` are in `device`.
fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// The text with comments and the contents of literals replaced by spaces, line by line, so that
/// only code is left.
pub fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' => quoted(rest),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#") => raw(rest).unwrap_or(0),
            '\'' => character(rest),
            _ => 0,
        };
        let kept = if len > 0 { rest[..len].replace(|c| c != '\n', " ") } else { c.to_string() };
        out += &kept;
        rest = &rest[len.max(c.len_utf8())..];
    }
    out
}

/// The length of the string literal with which the text begins.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(i, _)| i + 1)
}

/// The length of the raw string with which the text begins; `None` for a raw identifier.
fn raw(text: &str) -> Option<usize> {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let body = text[1 + hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&closing).map_or(text.len(), |i| 2 + hashes + i + closing.len()))
}

/// The length of the character literal with which the text begins; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match (chars.next(), chars.next()) {
        (Some((_, '\\')), Some(_)) => chars.find(|(_, c)| *c == '\'').map_or(0, |(i, _)| i + 1),
        (Some(_), Some((i, '\''))) => i + 1,
        _ => 0,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The places of a word that is not part of a longer identifier.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(i, _)| i).filter(move |&i| {
        !code[..i].ends_with(is_word) && !code[i + word.len()..].starts_with(is_word)
    })
}

/// The rooms that a path from the root of the crate names: one, or those of a list in braces.
fn rooms_after(path: &str) -> Vec<String> {
    let path = path.trim_start();
    let Some(list) = path.strip_prefix('{') else {
        return vec![path.chars().take_while(|c| is_word(*c)).collect()];
    };
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ if depth == 0 => items.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    items
        .iter()
        .map(|i| i.trim().chars().take_while(|c| is_word(*c)).collect::<String>())
        .filter(|i| !i.is_empty())
        .collect()
}

/// The depth of a file's module below the root of the crate.
fn depth(file: &str) -> usize {
    let parts = file.split('/').count();
    if file.ends_with("/mod.rs") { parts - 1 } else { parts }
}

/// (place, room) of every path in a file that goes through the root of the crate.
fn imports(file: &str, code: &str) -> Vec<(usize, String)> {
    let up = "super::".repeat(depth(file));
    // The binary names the library by its crate name.
    let roots = [("crate::", true), ("tandem::", room(file) == "main"), (up.as_str(), true)];
    let mut found = Vec::new();
    for (root, _) in roots.into_iter().filter(|(_, applies)| *applies) {
        // In a module inside the file, the same number of `super::` leads less far up, and names no
        // room.
        let is_import = |room: &String| root != up || floor(room).is_some();
        let starts = code.match_indices(root).map(|(i, _)| i);
        for start in starts.filter(|&i| !code[..i].ends_with(|c| is_word(c) || c == ':')) {
            found.extend(
                rooms_after(&code[start + root.len()..])
                    .into_iter()
                    .filter(is_import)
                    .map(|room| (start, room)),
            );
        }
    }
    found
}

/// Why a room may not import another; `None` if it may.
fn arrow(from: &str, to: &str) -> Option<String> {
    let Some(below) = floor(to) else { return Some(format!("{to} is on no floor of the plan")) };
    let Some(above) = floor(from) else {
        return Some(format!("{from} is on no floor of the plan"));
    };
    if below > above {
        return Some(format!("{from} (floor {above}) imports {to} (floor {below})"));
    }
    let is_apart = |one: &str, other: &str| one == COMPARED && STATING.contains(&other);
    (is_apart(from, to) || is_apart(to, from))
        .then(|| format!("{from} and {to} are compared: neither knows the other"))
}

/// Every breach of the plan in a file of `src/`, with its line.
fn breaches(file: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let mut found = Vec::new();
    if file != "lib.rs" {
        for (place, to) in imports(file, &code) {
            found.extend(arrow(room(file), &to).map(|why| (place, why)));
        }
    }
    for (name, home) in PRIVATE {
        let at_home =
            file == home || file.starts_with(&format!("{home}/")) || file == format!("{home}.rs");
        let named = words(&code, name).filter(|_| !at_home);
        found.extend(named.map(|place| (place, format!("{name} is named outside {home}"))));
    }
    found.sort();
    found
        .into_iter()
        .map(|(place, why)| {
            format!("src/{file}:{}: {why}", 1 + code[..place].matches('\n').count())
        })
        .collect()
}

/// All Rust files below a folder, as paths relative to it.
pub fn sources(folder: &Path, prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            found.extend(sources(&entry.path(), &format!("{name}/")));
        } else if name.ends_with(".rs") {
            found.push(name);
        }
    }
    found.sort();
    found
}

#[test]
fn imports_go_down_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = sources(&src, "");
    let found: Vec<String> = files
        .iter()
        .flat_map(|f| breaches(f, &std::fs::read_to_string(src.join(f)).unwrap()))
        .collect();
    assert!(found.is_empty(), "{} breaches of the house plan:\n{}", found.len(), found.join("\n"));
    // The walk has seen every room of the plan that exists, and no room that is on no floor.
    assert!(files.len() > 40, "{files:?}");
    let homeless: Vec<_> =
        files.iter().filter(|f| *f != "lib.rs" && floor(room(f)).is_none()).collect();
    assert!(homeless.is_empty(), "on no floor of the plan: {homeless:?}");
    let imported = files
        .iter()
        .flat_map(|f| imports(f, &code(&std::fs::read_to_string(src.join(f)).unwrap())))
        .count();
    assert!(imported > 100, "{imported} imports seen");
}

/// The file of the module that an import names, such as `data::table::raw::Raw;`: the last part
/// that is a file of its own and no folder.
fn file_of(src: &Path, import: &str) -> Option<String> {
    let parts: Vec<&str> = import.split("::").map(|part| part.trim_end_matches(';')).collect();
    let file = |count: usize| format!("{}.rs", parts[..count].join("/"));
    (1..=parts.len()).rev().map(file).find(|file| src.join(file).is_file())
}

/// The files that the fuzz crate includes import nothing that it does not include.
#[test]
fn the_fuzz_crate_includes_all_files_that_it_needs() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A package of the crate is without the folder.
    let Ok(list) = std::fs::read_to_string(root.join("fuzz/src/lib.rs")) else { return };
    let paths: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().strip_prefix("#[path = \"../../src/")?.strip_suffix("\"]"))
        .collect();
    let built = |file: &str| {
        paths.iter().any(|p| {
            file == *p || p.strip_suffix("mod.rs").is_some_and(|folder| file.starts_with(folder))
        })
    };
    let files: Vec<String> =
        sources(&root.join("src"), "").into_iter().filter(|file| built(file)).collect();
    assert!(files.len() > 20, "{files:?}");
    for file in &files {
        let text = code(&std::fs::read_to_string(root.join("src").join(file)).unwrap());
        for to in text.lines().filter_map(|line| line.trim().strip_prefix("use crate::")) {
            if let Some(needed) = file_of(&root.join("src"), to) {
                assert!(files.contains(&needed), "fuzz/src/lib.rs does not build src/{needed}");
            }
        }
        for (_, to) in imports(file, &text) {
            assert!(
                files.iter().any(|f| room(f) == to),
                "src/{file} imports {to}, which fuzz/src/lib.rs does not build"
            );
        }
    }
}

/// The number of unsafe blocks in each file. A comment at each block says why it is sound.
const UNSAFE: [(&str, usize); 7] = [
    ("cpu/product.rs", 1),      // a product by pointers, whose ends are asserted
    ("device/awake.rs", 2),     // the scheduling class of a thread, the processors of a process
    ("device/gpu.rs", 2),       // a pipeline cache from the disk; experimental features of wgpu
    ("device/pipeline.rs", 1),  // shaders without checks, whose files say why they need none
    ("device/shared.rs", 3),    // a buffer in the memory of a texture, by Vulkan's own calls
    ("reference/widest.rs", 2), // instructions that the processor was asked for
    ("main.rs", 1),             // an environment variable, before there is a thread
];

/// The lines with `unsafe`, and whether a comment above says why it is sound.
fn unsafe_lines(text: &str) -> Vec<(usize, bool)> {
    let (code, lines) = (code(text), text.lines().collect::<Vec<_>>());
    let line = |place: usize| code[..place].matches('\n').count();
    let is_explained = |line: usize| {
        let above =
            lines[..line].iter().rev().map(|l| l.trim()).take_while(|l| l.starts_with("//"));
        above.into_iter().any(|l| l.starts_with("// SAFETY: "))
    };
    words(&code, "unsafe").map(|place| (line(place) + 1, is_explained(line(place)))).collect()
}

#[test]
fn unsafe_stands_in_listed_places_with_its_reason() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for file in sources(&src, "") {
        let found = unsafe_lines(&std::fs::read_to_string(src.join(&file)).unwrap());
        let allowed =
            UNSAFE.iter().find(|(known, _)| *known == file).map_or(0, |(_, count)| *count);
        assert_eq!(found.len(), allowed, "src/{file}: unsafe on lines {found:?}");
        assert!(
            found.iter().all(|(_, is_explained)| *is_explained),
            "src/{file}: no SAFETY comment above {found:?}"
        );
    }
    for root in ["lib.rs", "main.rs"] {
        assert!(
            code(&std::fs::read_to_string(src.join(root)).unwrap())
                .contains("#![deny(unsafe_code)]"),
            "{root}"
        );
    }
}

#[test]
fn unsafe_without_a_reason_is_found() {
    assert_eq!(
        unsafe_lines("fn f() {\n    // SAFETY: x\n    // is y.\n    unsafe { g() }\n}"),
        [(4, true)]
    );
    assert_eq!(unsafe_lines("// SAFETY: x\n\nunsafe { g() }"), [(3, false)]);
    assert_eq!(unsafe_lines("/// unsafe\nlet a = \"unsafe\"; #[allow(unsafe_code)]"), []);
}

// The test can fail.

fn one(file: &str, text: &str) -> String {
    let found = breaches(file, text);
    assert_eq!(found.len(), 1, "{file}: {text}\n{found:?}");
    found.into_iter().next().unwrap()
}

#[test]
fn an_upward_arrow_is_found_in_every_spelling() {
    let said = "src/model/layout.rs:2: model (floor 2) imports schedule (floor 3)";
    for text in [
        "\nuse crate::schedule::Slice;",
        "\npub(crate) use crate::schedule;",
        "\nuse crate::{rng, schedule::{Slice, plan}, config};",
        "\nfn f() -> crate::schedule::Slice { todo!() }",
        "\nlet x = Vec::<crate::schedule::Slice>::new();",
        "\nuse super::super::schedule::Slice;",
    ] {
        assert_eq!(one("model/layout.rs", text), said, "{text}");
    }
    assert_eq!(
        one("config/mod.rs", "use super::data::Schema;"),
        "src/config/mod.rs:1: config (floor 0) imports data (floor 1)"
    );
    assert_eq!(
        one("rng.rs", "use super::run::train;"),
        "src/rng.rs:1: rng (floor 0) imports run (floor 9)"
    );
    assert_eq!(
        one("run/train.rs", "use crate::cli::Arguments;"),
        "src/run/train.rs:1: run (floor 9) imports cli (floor 10)"
    );
    let several = breaches("rng.rs", "use crate::{\n    data::Part,\n    model,\n};");
    assert_eq!(several.len(), 2, "{several:?}");
}

#[test]
fn engines_that_are_compared_do_not_know_each_other() {
    let said = "neither knows the other";
    assert!(one("device/session.rs", "use crate::reference::Reference;").contains(said));
    assert!(one("reference/twins.rs", "use crate::device::Gpu;").contains(said));
    assert!(one("cpu/mod.rs", "use crate::device::Gpu;").contains(said));
    assert_eq!(breaches("cpu/mod.rs", "use crate::reference::Reference;"), Vec::<String>::new());
}

#[test]
fn a_room_off_the_plan_is_found() {
    assert!(one("run/train.rs", "use crate::attic::Box;").contains("attic is on no floor"));
    assert!(one("run/train.rs", "use crate::*;").contains("is on no floor"));
    assert!(one("attic.rs", "use crate::rng;").contains("attic is on no floor"));
}

#[test]
fn foreign_crates_outside_their_rooms_are_found() {
    assert_eq!(
        one("run/train.rs", "\n\nuse wgpu::Device;"),
        "src/run/train.rs:3: wgpu is named outside device"
    );
    assert_eq!(
        one("schedule/check.rs", "fn f(m: &naga::Module) {}"),
        "src/schedule/check.rs:1: naga is named outside kernels/signature.rs"
    );
    assert_eq!(
        one("kernels/mod.rs", "use naga as n;"),
        "src/kernels/mod.rs:1: naga is named outside kernels/signature.rs"
    );
    assert_eq!(one("main.rs", "use clap::Parser;"), "src/main.rs:1: clap is named outside cli");
    assert_eq!(one("lib.rs", "pub use wgpu;"), "src/lib.rs:1: wgpu is named outside device");
}

#[test]
fn what_the_plan_allows_passes() {
    for (file, text) in [
        (
            "main.rs",
            "use tandem::cli; use tandem::run::train; fn main() { tandem::fault::open(p) }",
        ),
        ("cli.rs", "use clap::Parser; use crate::run;"),
        ("cli/train.rs", "use clap::Parser;"),
        (
            "device/mod.rs",
            "use wgpu::Device; use crate::schedule::{Engine, Slice}; use super::kernels;",
        ),
        ("kernels/signature.rs", "use naga::Module; use super::params;"),
        ("step/build.rs", "use crate::objective::Objective; use crate::plan::Plan;"),
        ("objective/mod.rs", "use crate::plan::Scene; use crate::config;"),
        ("config/read/coupling.rs", "use super::super::words; use crate::config::Config;"),
        // Not code: comments, strings, characters. Not the word: longer identifiers, fields in
        // other paths.
        (
            "rng.rs",
            "// use crate::run;\n/* crate::run */ /// [`crate::run`] and wgpu\nconst A: &str = \
             \"\\\" crate::run wgpu\";",
        ),
        (
            "rng.rs",
            "const A: &str = r#\"a \" crate::run \"#; const B: char = '\"'; const C: char = \
             '\\''; // wgpu",
        ),
        ("rng.rs", "fn f<'a>(x: &'a str) { wgpu_like(x.naga_version); other_crate::run(); }"),
        ("fault.rs", "mod tests { use super::*; use super::Fault; }"),
        ("lib.rs", "pub mod cli; pub use crate::run::train;"),
    ] {
        assert_eq!(breaches(file, text), Vec::<String>::new(), "{file}: {text}");
    }
    // Code after a literal is still code.
    assert_eq!(
        breaches(
            "rng.rs",
            "const A: &str = r#\"x\"#; const B: char = '\"'; use crate::run; const C: &str = \"\";"
        )
        .len(),
        1
    );
}
