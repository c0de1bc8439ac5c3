//! `--set section.key=value`: laid over the file before it is read, so that an override is checked
//! like the file itself.

use toml::{Table, Value};

use super::alike::{choices, join};
use super::item::{Result, found};
use crate::fault::{Exit, Fault, quoted};

/// Sections that are lists of tables.
const LISTS: [&str; 2] = ["coupling", "source"];

/// Lays one override over the configuration.
pub(in crate::config) fn apply(root: &mut Table, spec: &str) -> Result<()> {
    let (path, text) = split(spec).ok_or_else(|| malformed(spec))?;
    known_task(root, &path)?;
    let is_list = LISTS.contains(&path[0].as_str());
    let mut here = root
        .entry(&path[0])
        .or_insert_with(|| if is_list { Value::Array(vec![]) } else { empty() });
    let mut at = join("", &path[0]);
    for key in &path[1..] {
        here = step(here, key, &at)?;
        at = join(&at, key);
    }
    *here = value(text);
    Ok(())
}

/// What to say of a text that is no override.
fn malformed(spec: &str) -> Fault {
    Fault::new(Exit::Config, format!("--set {}: must read section.key=value", quoted(spec)))
        .hint("for example --set train.epochs=3")
}

/// An empty table.
fn empty() -> Value {
    Value::Table(Table::new())
}

/// The key path and the text of the value. A key in quotes may have dots and equals signs:
/// `feature."a=b".scale=none`.
pub(in crate::config) fn split(spec: &str) -> Option<(Vec<String>, &str)> {
    let (mut path, mut key, mut quote) = (Vec::new(), String::new(), None);
    for (i, c) in spec.char_indices() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('.', None) => path.push(std::mem::take(&mut key)),
            ('=', None) => {
                path.push(key);
                path.iter_mut().for_each(|key| *key = key.trim().to_owned());
                return (!path.iter().any(String::is_empty)).then(|| (path, &spec[i + 1..]));
            }
            _ => key.push(c),
        }
    }
    None
}

/// The value as TOML, else as the text that it is, so that a shell need not quote twice.
fn value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    parsed
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Goes one key down; tables that are not there appear, and a list grows by at most one.
fn step<'a>(here: &'a mut Value, key: &str, at: &str) -> Result<&'a mut Value> {
    match here {
        Value::Table(table) => Ok(table.entry(key).or_insert_with(empty)),
        Value::Array(list) => {
            let index: usize = key
                .parse()
                .ok()
                .filter(|index| *index <= list.len())
                .ok_or_else(|| no_item(key, at, list.len()))?;
            if index == list.len() {
                list.push(empty());
            }
            Ok(&mut list[index])
        }
        other => Err(Fault::config(
            at,
            format!("is {}, so {} cannot be set in it", found(other), quoted(key)),
        )
        .hint(format!("override the whole with --set {at}=…"))),
    }
}

/// What to say of an item that a list does not have.
fn no_item(key: &str, at: &str, len: usize) -> Fault {
    let hint = format!("items count from 0: {at}.0=… is the first, {at}.{len}=… adds one");
    Fault::config(
        &join(at, key),
        format!("{at} is a list of {len} and has no item {}", quoted(key)),
    )
    .hint(hint)
}

/// A misspelt task must not come into being as a task of its own.
fn known_task(root: &Table, path: &[String]) -> Result<()> {
    let tasks = root.get("task").and_then(Value::as_table);
    match (path, tasks) {
        ([section, name, ..], Some(tasks)) if section == "task" && !tasks.contains_key(name) => {
            let names: Vec<&str> = tasks.keys().map(String::as_str).collect();
            Err(Fault::config(&join("task", name), "there is no such task to override")
                .hint(choices(name, &names)))
        }
        _ => Ok(()),
    }
}
