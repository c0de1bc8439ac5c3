//! A file that lines are appended to.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::fault::{Exit, Fault, of_creation};

/// A file that is written at its end, without a buffer in this process.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

impl Appended {
    /// Opens a file, or creates it.
    pub(crate) fn open(path: PathBuf) -> Result<Appended> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| cannot_create(&path, &e))?;
        Ok(Appended { path, file })
    }

    /// Appends a line.
    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        self.write(format!("{line}\n").as_bytes())
    }

    /// Appends bytes.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.file.write_all(bytes).map_err(|e| self.failed(&e))?)
    }

    /// The length of the file in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|e| self.failed(&e))?.len())
    }

    /// Cuts the file to its first `len` bytes.
    pub(crate) fn cut(&mut self, len: u64) -> Result<()> {
        Ok(self.file.set_len(len).map_err(|e| self.failed(&e))?)
    }

    /// The fault of a write that failed.
    pub(crate) fn failed(&self, error: &io::Error) -> Fault {
        Fault::new(Exit::Io, format!("{}: cannot be written: {error}", self.path.display()))
            .hint("check the free space of the disk; what was learned so far is in model/")
    }
}

/// The fault of a file or directory of a run that cannot be created.
pub(crate) fn cannot_create(path: &Path, error: &io::Error) -> Fault {
    Fault::new(of_creation(error), format!("{}: cannot be created: {error}", path.display()))
        .hint("check that it may be written to; a new run can go elsewhere with --out DIR")
}
