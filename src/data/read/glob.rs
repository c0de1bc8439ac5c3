//! Files by a pattern: `*` any characters, `?` one, `[a-c]` one of these, `[!a-c]` none of these;
//! within a name, never across `/`.

use std::path::{Component, Path, PathBuf};

use crate::fault::{Fault, address};

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

fn has_wildcards(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// What a part of a pattern leads to from a folder: files if it is the last part, else anything.
fn step(folder: &Path, part: Component<'_>, is_last: bool) -> Vec<PathBuf> {
    let name = part.as_os_str().to_str().unwrap_or_default();
    let fits = |path: &Path| if is_last { path.is_file() } else { path.is_dir() };
    if !matches!(part, Component::Normal(_)) || !has_wildcards(name) {
        let path = folder.join(part.as_os_str());
        return if fits(&path) { vec![path] } else { Vec::new() };
    }
    let listed = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names =
        std::fs::read_dir(listed).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let pattern: Vec<char> = name.chars().collect();
    let named = names.filter(|name| name.to_str().is_some_and(|name| matches(&pattern, name)));
    named.map(|name| folder.join(name)).filter(|path| fits(path)).collect()
}

/// Whether a name fits a pattern. Names that begin with a dot need one in the pattern.
pub fn matches(pattern: &[char], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    if name.first() == Some(&'.') && pattern.first() != Some(&'.') {
        return false;
    }
    // After a mismatch the last `*` takes one character more; none before it needs to.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match (pattern.get(p), one(&pattern[p..], name[n])) {
            (Some('*'), _) => {
                star = Some((p, n));
                p += 1;
            }
            (Some(_), Some(length)) => (p, n) = (p + length, n + 1),
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    (p, n) = (at + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

/// Length of the first element of the pattern if it fits the character.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match class(pattern) {
            Some((length, within)) => within(c).then_some(length),
            None => (c == '[').then_some(1),
        },
        &other => (other == c).then_some(1),
    }
}

/// A class such as `[a-c]`: its length and what it holds; `None` if it is never closed. A `]` right
/// behind the opening is one of its own.
fn class(pattern: &[char]) -> Option<(usize, impl Fn(char) -> bool)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = 1 + usize::from(negated);
    let close = start + 1 + pattern.get(start + 1..)?.iter().position(|&c| c == ']')?;
    let body = pattern[start..close].to_vec();
    let within = move |c: char| {
        let range = body.windows(3).any(|w| w[1] == '-' && (w[0]..=w[2]).contains(&c));
        (range || body.contains(&c)) != negated
    };
    Some((close + 1, within))
}
