//! Every key that a configuration can have, and the fault of a key that is not among them.

use toml::{Table, Value};

use super::keys::alike::{ALIKE, join, likeness};
use super::keys::item::{Item, Result};
use super::{
    architecture, augment, balance, coupling, data, feature, image_files, optimizer, search,
    several, source, task, tracking, train, trunk,
};
use crate::fault::Fault;

/// The keys of one table.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Key path of the table, with `NAME` where the user chooses a name.
    pub table: &'static str,
    /// Its keys, in the order in which they are written.
    pub keys: Vec<&'static str>,
}

/// Sections at the top level of a configuration, and `version`.
const ROOT: &[&str] = &[
    "version",
    "data",
    "source",
    "feature",
    "augment",
    "architecture",
    "trunk",
    "task",
    "coupling",
    "balance",
    "optimizer",
    "train",
    "tracking",
    "search",
];

/// Every table with its keys.
pub fn known() -> Vec<Keys> {
    let table = |table, keys| Keys { table, keys };
    let [of_data, of_overlay] = data::keys();
    let [of_images, of_arrays] = source::keys();
    let [of_folder, of_listed] = image_files::keys();
    let [of_source, of_sampling] = several::keys();
    vec![
        table("", ROOT.to_vec()),
        table("data", of_data),
        table("feature.NAME", feature::keys()),
        table("architecture", architecture::keys()),
        table("trunk", trunk::keys()),
        table("task.NAME", task::keys()),
        table("coupling.0", coupling::keys()),
        table("optimizer", optimizer::keys()),
        table("train", train::keys()),
        table("balance", balance::keys()),
        table("tracking", tracking::keys()),
        table("data.train", of_images),
        table("data.train", of_arrays),
        table("data.overlay", of_overlay),
        table("source.0", of_source),
        table("data.sampling", of_sampling),
        table("data.train", of_folder),
        table("data.train", of_listed),
        table("augment", augment::keys()),
        table("search", search::keys()),
    ]
}

/// Refuses unknown keys, before anything is read: an unknown key explains a missing one.
///
/// # Errors
/// 78 with the path of the first unknown key, and the known key that is most like it.
pub(super) fn check(root: &Table) -> Result<()> {
    let known = known();
    let [top, data, feature, architecture, trunk, task, coupling, rest @ ..] = &known[..] else {
        return Ok(());
    };
    let [optimizer, train, balance, tracking, images, arrays, rest @ ..] = rest else {
        return Ok(());
    };
    let [overlay, source, sampling, folder, listed, augment, search] = rest else { return Ok(()) };
    let check = |path: &str, value: Option<&Value>, keys: &Keys| match value {
        Some(Value::Table(table)) => check_table(path, table, keys, &known),
        _ => Ok(()),
    };
    check_table("", root, top, &known)?;
    let of_data = root.get("data").and_then(Value::as_table);
    check("data", root.get("data"), data)?;
    for part in ["train", "valid", "test"] {
        let Some(value) = of_data.and_then(|table| table.get(part)) else { continue };
        let item = Item { path: join("data", part), value: value.clone() };
        let keys = match () {
            () if source::has_arrays(&item) => arrays,
            () if image_files::is_folder(&item) => folder,
            () if image_files::is_listed(&item) => listed,
            () => images,
        };
        check(&item.path, Some(value), keys)?;
    }
    check("data.overlay", of_data.and_then(|table| table.get("overlay")), overlay)?;
    check("data.sampling", of_data.and_then(|table| table.get("sampling")), sampling)?;
    for (section, keys) in [("feature", feature), ("task", task)] {
        let tables = root.get(section).and_then(Value::as_table);
        for (name, value) in tables.into_iter().flatten() {
            check(&join(section, name), Some(value), keys)?;
        }
    }
    for (section, keys) in [("coupling", coupling), ("source", source)] {
        let tables = root.get(section).and_then(Value::as_array).into_iter().flatten();
        for (i, value) in tables.enumerate() {
            check(&format!("{section}.{i}"), Some(value), keys)?;
        }
    }
    let others = [
        ("architecture", architecture),
        ("trunk", trunk),
        ("balance", balance),
        ("optimizer", optimizer),
        ("train", train),
        ("tracking", tracking),
        ("augment", augment),
        ("search", search),
    ];
    others.into_iter().try_for_each(|(section, keys)| check(section, root.get(section), keys))
}

fn check_table(path: &str, table: &Table, keys: &Keys, known: &[Keys]) -> Result<()> {
    match table.keys().find(|key| !keys.keys.contains(&key.as_str())) {
        Some(key) => Err(unknown(path, key, keys, known)),
        None => Ok(()),
    }
}

/// The fault of `key`, which the table `path` with these `keys` does not have.
fn unknown(path: &str, key: &str, keys: &Keys, known: &[Keys]) -> Fault {
    let (nearest, score) = nearest(path, key, keys, known);
    // A key may be known there beside others that are not.
    let hint = match score >= ALIKE && nearest != join(path, key) {
        // What a column can be told is not what other tables can.
        true if keys.table == "feature.NAME" => {
            format!("did you mean {nearest}? known here: {}", keys.keys.join(", "))
        }
        true => format!("did you mean {nearest}?"),
        false => format!("known here: {}", keys.keys.join(", ")),
    };
    Fault::config(&join(path, key), "unknown key").hint(hint)
}

/// The most similar key anywhere, since a right key in the wrong table is as common as a misspelt
/// one; this table's win a draw.
fn nearest(path: &str, key: &str, keys: &Keys, known: &[Keys]) -> (String, f64) {
    let here = keys.keys.iter().map(|k| (join(path, k), likeness(key, k) + 0.1));
    let elsewhere =
        known.iter().flat_map(|t| t.keys.iter().map(|k| (join(t.table, k), likeness(key, k))));
    here.chain(elsewhere)
        .reduce(|best, next| if next.1 > best.1 { next } else { best })
        .unwrap_or_default()
}
