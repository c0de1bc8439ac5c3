//! Names of checkpoints and of what is under way beside them.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::disk::Disk;

/// What stands before the name of a checkpoint while another one takes its place.
pub(super) const ASIDE: &str = ".was-";

/// What the name of a directory that is not committed begins with.
pub(super) const TEMPORARY: &str = ".tmp-";

/// Gives checkpoints that made room their names again where no other one has taken them, and
/// removes them where one has.
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

/// Steps and paths of the committed checkpoints, newest first.
pub fn list(root: &Path) -> Vec<(u64, PathBuf)> {
    let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("step-")?.parse::<u64>().ok();
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<(u64, PathBuf)> =
        entries.filter_map(|e| Some((step(&e.path())?, e.path()))).collect();
    found.sort_by(|a, b| b.cmp(a));
    found
}
