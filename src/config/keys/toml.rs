//! Texts, lists and keys in the notation of TOML.

use std::fmt::{Display, Write as _};

/// A list of texts as TOML.
pub(crate) fn texts(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(quote).collect();
    list(&quoted)
}

/// A list whose items are TOML already.
pub(crate) fn list(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// An inline table whose values are TOML already.
pub(crate) fn inline_table<K: AsRef<str>>(entries: &[(K, String)]) -> String {
    let entries: Vec<String> =
        entries.iter().map(|(name, value)| format!("{} = {value}", key(name.as_ref()))).collect();
    format!("{{ {} }}", entries.join(", "))
}

/// A key as TOML: without quotes where TOML allows it.
pub(crate) fn key(key: &str) -> String {
    if is_bare(key) { key.to_owned() } else { quote(key) }
}

/// Whether TOML takes this key without quotes.
pub(crate) fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// A basic string of TOML.
pub(crate) fn quote(text: impl Display) -> String {
    let mut out = String::from('"');
    for c in text.to_string().chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}
