//! The operations on files that write a checkpoint. They are in one place, so that a test can make
//! each of them fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The file system, with a count of the operations done so far.
#[derive(Debug, Default)]
pub struct Disk {
    done: AtomicUsize,
    fails: Option<Fails>,
}

/// The failure that a test asks for.
#[derive(Clone, Copy, Debug)]
pub struct Fails {
    /// Number of the operation that fails; the first is 0.
    pub at: usize,
    /// The way in which it fails.
    pub how: How,
}

/// Ways to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The disk is full: half of the bytes are written.
    Full,
    /// The operation fails with an input/output error, and does nothing.
    Error,
    /// The process ends before the operation, which is not done, and neither is any later one.
    CrashBefore,
    /// The process ends after the operation, which is done; no later one is.
    CrashAfter,
}

impl Disk {
    /// A file system whose operation number `at` fails.
    pub fn failing(at: usize, how: How) -> Disk {
        Disk { done: AtomicUsize::new(0), fails: Some(Fails { at, how }) }
    }

    /// The number of operations so far.
    pub fn operations(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Makes a directory.
    pub fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.operation(|| fs::create_dir(path))
    }

    /// Writes a new file and waits until it is on the disk. Its mode follows the umask.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file: Option<File> = None;
        self.operation(|| {
            file = Some(OpenOptions::new().write(true).create_new(true).open(path)?);
            Ok(())
        })?;
        let mut file = file.ok_or_else(|| io::Error::other("the file was not opened"))?;
        if self.is_next(How::Full) {
            file.write_all(&bytes[..bytes.len() / 2])?;
        }
        self.operation(|| file.write_all(bytes))?;
        self.operation(|| file.sync_all())
    }

    /// Waits until the names in a directory are on the disk, where the system can do that.
    pub fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.operation(|| if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) })
    }

    /// Renames a directory.
    pub fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation(|| fs::rename(from, to))
    }

    /// Removes a directory with its files. A link is removed, not followed.
    pub fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.operation(|| {
            if path.is_symlink() { fs::remove_file(path) } else { fs::remove_dir_all(path) }
        })
    }

    /// Whether the next operation fails, and in this way.
    fn is_next(&self, how: How) -> bool {
        self.fails.is_some_and(|f| f.how == how && f.at == self.operations())
    }

    /// Does one operation, or fails as the test asks.
    fn operation(&self, act: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let number = self.done.fetch_add(1, Ordering::Relaxed);
        let Some(Fails { at, how }) = self.fails else { return act() };
        let gone = || Err(io::Error::other("the process is gone"));
        match how {
            How::Full if number == at => Err(io::ErrorKind::StorageFull.into()),
            How::Error if number == at => Err(io::Error::other("input/output error")),
            How::CrashBefore if number >= at => gone(),
            How::CrashAfter if number == at => act().and_then(|()| gone()),
            How::CrashAfter if number > at => gone(),
            _ => act(),
        }
    }
}
