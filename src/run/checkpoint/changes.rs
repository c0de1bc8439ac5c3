//! The differences between two configurations, key by key.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use toml::{Table, Value};

/// (key path, value before, value after) for every key whose value differs; `-` is the value of a
/// key that is missing.
///
/// # Errors
/// If one of the texts is not TOML.
pub fn changes(before: &str, after: &str) -> Result<Vec<(String, String, String)>> {
    let flat = |text: &str| -> Result<BTreeMap<String, String>> {
        let mut keys = BTreeMap::new();
        flatten("", &Value::Table(text.parse::<Table>().context("a configuration")?), &mut keys);
        Ok(keys)
    };
    let (before, after) = (flat(before)?, flat(after)?);
    let all = before.keys().chain(after.keys().filter(|key| !before.contains_key(*key)));
    let value = |keys: &BTreeMap<String, String>, key: &str| {
        keys.get(key).cloned().unwrap_or_else(|| "-".into())
    };
    let differing = all.map(|key| (key.clone(), value(&before, key), value(&after, key)));
    Ok(differing.filter(|(_, before, after)| before != after).collect())
}

/// The first setting in which a run differs from what it is to have: key, its own value, the wanted
/// one. The memory of the machine decides two keys, which a run writes down.
///
/// # Errors
/// A text that is no TOML.
pub fn other_setting(own: &str, wanted: &str) -> Result<Option<(String, String, String)>> {
    let of_memory = ["data.memory", "data.shuffle_window"];
    let all = changes(own, wanted)?;
    Ok(all.into_iter().find(|(key, ..)| !of_memory.contains(&key.as_str())))
}

/// Adds all keys at and below `path`, each with the text of its value.
fn flatten(path: &str, value: &Value, keys: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(key, value)| flatten(&below(key), value, keys))
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            items
                .iter()
                .enumerate()
                .for_each(|(i, item)| flatten(&format!("{path}[{i}]"), item, keys));
        }
        other => {
            keys.insert(path.to_owned(), other.to_string());
        }
    }
}
