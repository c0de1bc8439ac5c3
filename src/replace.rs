//! Atomic replacement of a file: whoever reads it finds the old content or the new one, also after
//! a power cut. The new content is written to a temporary file in the same directory and synced;
//! then the temporary file takes the name, and the directory is synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::fault::{Exit, Fault, of_creation};

/// A file whose place is about to be taken by a temporary one beside it. Unless it is committed,
/// the temporary file is removed.
#[derive(Debug)]
pub struct Replacement {
    temporary: PathBuf,
    target: PathBuf,
    is_committed: bool,
}

impl Replacement {
    /// A replacement of `target` by `temporary`, a path in the same directory that no other process
    /// uses. Nothing is touched yet.
    pub fn new(temporary: PathBuf, target: PathBuf) -> Replacement {
        Replacement { temporary, target, is_committed: false }
    }

    /// The temporary file.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// The file that is replaced.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Creates the temporary file, with the mode that the umask gives. One that a killed process
    /// left under this name is removed first, so no link is followed.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn create(&self) -> io::Result<File> {
        match fs::remove_file(&self.temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        OpenOptions::new().write(true).create_new(true).open(&self.temporary)
    }

    /// Puts the temporary file, which is `file` with its whole content, in the place of the target,
    /// and waits until both are on the disk.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn commit(mut self, file: File) -> io::Result<()> {
        file.sync_all()?;
        drop(file);
        fs::rename(&self.temporary, &self.target)?;
        self.is_committed = true;
        sync_parent(&self.target)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if !self.is_committed {
            // An error that led here is told already, and it matters more.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Replaces the content of a file, or creates it. Its mode follows the umask. The temporary file
/// has the same name each time, so one that a killed process left does not stay forever; two
/// processes must not replace one file at once.
///
/// # Errors
/// 73 if the file cannot be created, 74 if it cannot be written.
pub fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let replacement = Replacement::new(temporary(path), path.to_owned());
    let mut file = replacement.create().map_err(|e| cannot_create(replacement.temporary(), &e))?;
    let written = file.write_all(bytes).and_then(|()| replacement.commit(file));
    Ok(written.map_err(|e| cannot_write(path, &e))?)
}

/// The temporary file of [`replace`].
fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.tmp"))
}

/// Removes the temporary files that killed processes left of [`replace`] in a directory.
pub fn clean(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(".tmp")) {
            // One that stays does no harm: nothing looks for its name.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Waits until the name of `path` is on the disk, by syncing its directory. Where the system cannot
/// open a directory, or this user may not, it does nothing.
///
/// # Errors
/// Errors of the file system about the directory.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    let Some(parent) = path.parent().filter(|_| cfg!(unix)) else { return Ok(()) };
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    match File::open(parent) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        opened => opened?.sync_all(),
    }
}

/// The fault of a file or directory that cannot be created.
pub fn cannot_create(path: &Path, error: &io::Error) -> Fault {
    Fault::new(of_creation(error), format!("{}: cannot be created: {error}", path.display()))
        .hint("check that its directory may be written to; a new run can go elsewhere with --out")
}

fn cannot_write(path: &Path, error: &io::Error) -> Fault {
    Fault::new(Exit::Io, format!("{}: cannot be written: {error}", path.display()))
        .hint("check the free space of the disk; a new run can go elsewhere with --out")
}
