//! A file that grows line by line.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::fault::{Exit, Fault, of_creation};

/// A file that grows at its end; whatever was written is with the operating system at once.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
}

impl Appended {
    pub(crate) fn open(path: PathBuf) -> Result<Appended> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| cannot_create(&path, &e))?;
        Ok(Appended { path, file })
    }

    pub(crate) fn line(&mut self, line: &str) -> Result<()> {
        self.write(format!("{line}\n").as_bytes())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.file.write_all(bytes).map_err(|e| self.failed(&e))?)
    }

    pub(crate) fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().map_err(|e| self.failed(&e))?.len())
    }

    /// Forgets everything from byte `len` on.
    pub(crate) fn cut(&mut self, len: u64) -> Result<()> {
        Ok(self.file.set_len(len).map_err(|e| self.failed(&e))?)
    }

    pub(crate) fn failed(&self, error: &io::Error) -> Fault {
        Fault::new(Exit::Io, format!("{}: cannot be written: {error}", self.path.display()))
            .hint("check the free space of the disk; what was learned so far is in model/")
    }
}

pub(crate) fn cannot_create(path: &Path, error: &io::Error) -> Fault {
    Fault::new(of_creation(error), format!("{}: cannot be created: {error}", path.display()))
        .hint("check that it may be written to; a new run can go elsewhere with --out DIR")
}
