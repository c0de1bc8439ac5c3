//! The lock of a run directory: one process at a time writes to it. The operating system releases
//! the lock when the process ends, in whatever way.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;

use super::cannot_create;
use crate::fault::{Exit, Fault};

/// Name of the file that is locked. It is never removed: two processes could then lock two
/// different files of this name.
pub(super) const NAME: &str = ".lock";

/// Whether a run was ever in this directory.
pub(super) fn is_there(directory: &Path) -> bool {
    directory.join(NAME).exists()
}

/// Locks a directory until the file that is returned is dropped.
///
/// # Errors
/// 73 if the file cannot be created, 75 if another process holds the lock.
pub(super) fn acquire(directory: &Path) -> Result<File> {
    let path = directory.join(NAME);
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(|e| cannot_create(&path, &e))?;
    match file.try_lock() {
        Ok(()) => note_owner(&file),
        Err(TryLockError::WouldBlock) => return Err(busy(directory).into()),
        // Some network file systems have no locks; there the run goes on without one.
        Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(e)) => return Err(cannot_create(&path, &e).into()),
    }
    Ok(file)
}

/// Writes the id of this process into the file, for the message to another process.
fn note_owner(mut file: &File) {
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
}

fn busy(directory: &Path) -> Fault {
    let owner = std::fs::read_to_string(directory.join(NAME))
        .ok()
        .and_then(|text| text.trim().parse::<u32>().ok());
    let owner = owner.map_or(String::new(), |id| format!(" ({id})"));
    Fault::new(Exit::Busy, format!("{}: in use by another process{owner}", directory.display()))
        .hint("wait for that run to end; a new run can go elsewhere with --out")
}
