//! Files by a pattern: `*` any characters, `?` one, `[a-c]` one of these, `[!a-c]` none of these;
//! within a name, never across `/`.
//!
//! The crate `glob` matches names. Folders are walked here, because its walk spells `./a.csv` as
//! `a.csv`, and what a file is called in messages and hashes is what the user called it.

use std::path::{Component, Path, PathBuf};

use ::glob::{MatchOptions, Pattern};

use crate::fault::{Fault, address};

/// How names are matched. Names that begin with a dot need one in the pattern.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// The files that a path or a pattern names, in the order of their names. A path of an existing
/// file, or one without wildcards, is itself.
///
/// # Errors
/// 66 if a pattern matches no file, or is the address of one elsewhere.
pub fn expand(pattern: &str) -> anyhow::Result<Vec<PathBuf>> {
    if let Some(fault) = address(pattern, pattern) {
        return Err(fault.into());
    }
    if !has_wildcards(pattern) || Path::new(pattern).exists() {
        return Ok(vec![pattern.into()]);
    }
    let mut found = vec![PathBuf::new()];
    let mut parts = Path::new(pattern).components().peekable();
    while let Some(part) = parts.next() {
        let is_last = parts.peek().is_none();
        found = found.into_iter().flat_map(|folder| step(&folder, part, is_last)).collect();
    }
    found.sort();
    if found.is_empty() {
        return Err(Fault::missing(pattern, "no file matches")
            .hint("check folder and pattern: * any characters, ? one, [abc] one of these")
            .into());
    }
    Ok(found)
}

/// The files of patterns, in their order.
///
/// # Errors
/// 66 if a pattern matches no file.
pub fn expand_all(patterns: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for pattern in patterns {
        paths.extend(expand(&pattern.to_string_lossy())?);
    }
    Ok(paths)
}

fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// What a part of a pattern leads to from a folder: files if it is the last part, else folders.
fn step(folder: &Path, part: Component<'_>, is_last: bool) -> Vec<PathBuf> {
    let name = part.as_os_str().to_str().unwrap_or_default();
    let fits = |path: &Path| if is_last { path.is_file() } else { path.is_dir() };
    if !matches!(part, Component::Normal(_)) || !has_wildcards(name) {
        let path = folder.join(part.as_os_str());
        return if fits(&path) { vec![path] } else { Vec::new() };
    }
    let Some(pattern) = name_pattern(name) else { return Vec::new() };
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names =
        std::fs::read_dir(listed).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_matched = |name: &std::ffi::OsString| {
        name.to_str().is_some_and(|name| pattern.matches_with(name, OPTIONS))
    };
    names.filter(is_matched).map(|name| folder.join(name)).filter(|path| fits(path)).collect()
}

/// The pattern of one name, in the two cases that the crate refuses: several `*` mean what one
/// means, and a `[` that is never closed stands for itself.
fn name_pattern(name: &str) -> Option<Pattern> {
    let mut text = String::new();
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let length = if c == '[' { class_length(rest) } else { Some(c.len_utf8()) };
        match length {
            Some(length) if c != '*' || !text.ends_with('*') => text.push_str(&rest[..length]),
            Some(_) => {}
            None => text.push_str("[[]"),
        }
        rest = &rest[length.unwrap_or(1)..];
    }
    Pattern::new(&text).ok()
}

/// Bytes of the class that a text begins with, such as `[a-c]`; `None` if it is never closed. A `]`
/// right behind the opening belongs to the class.
fn class_length(text: &str) -> Option<usize> {
    let start = if text.starts_with("[!") { 2 } else { 1 };
    let first = text.get(start..)?.chars().next()?.len_utf8();
    let body = start + first;
    Some(body + text[body..].find(']')? + 1)
}
