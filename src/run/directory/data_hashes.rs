//! The hashes of the data of a run, which `environment.json` has, beside those of the data of now.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;

/// How data differs from that of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// There are this many files now, and there were as many as the second number says.
    Files(usize, usize),
    /// The file of this name is another one.
    File(String),
}

/// BLAKE3 of each file of the data of the run in a directory, in order; `None` if it has not begun.
pub fn data_hashes(run: &Path) -> Option<Vec<String>> {
    let text = std::fs::read(run.join("environment.json")).ok()?;
    let found: Value = serde_json::from_slice(&text).ok()?;
    let hashes = found["data"].as_object()?.values();
    Some(hashes.filter_map(|hash| hash.as_str().map(str::to_owned)).collect())
}

/// The first difference of the files of now, with name and hash, from those of a run.
pub fn difference(now: &[(String, String)], before: &[String]) -> Option<Difference> {
    // A file that is read twice stands once among those of before.
    let mut names = HashSet::new();
    let now: Vec<&(String, String)> = now.iter().filter(|(name, _)| names.insert(name)).collect();
    if before.len() != now.len() {
        return Some(Difference::Files(now.len(), before.len()));
    }
    let other = now.iter().zip(before).find(|((_, now), before)| now != *before);
    other.map(|((name, _), _)| Difference::File(name.clone()))
}
