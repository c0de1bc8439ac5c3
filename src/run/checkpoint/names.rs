//! Names of checkpoints, and of the directories that a writer needs beside them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::disk::Disk;

/// Prefix of the name of a checkpoint that was moved aside while another one takes its place.
pub(super) const ASIDE: &str = ".was-";

/// Prefix of the name of a directory that is not committed, or is being removed.
pub(super) const TEMPORARY: &str = ".tmp-";

/// Looks for checkpoints that were moved aside: gives each its name again, or removes it if another
/// checkpoint has taken the name.
pub(super) fn put_back(disk: &Disk, root: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(root)?.flatten() {
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix(ASIDE)) else { continue };
        let path = root.join(name);
        if path.exists() {
            disk.remove_directory(&entry.path())?
        } else {
            disk.rename(&entry.path(), &path)?
        }
    }
    Ok(())
}

/// Step and path of each committed checkpoint, newest first.
pub fn list(root: &Path) -> Vec<(u64, PathBuf)> {
    let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("step-")?.parse::<u64>().ok();
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> =
        entries.filter_map(|e| Some((step(&e.path())?, e.path()))).collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}
