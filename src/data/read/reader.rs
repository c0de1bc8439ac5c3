//! What a format of files has to offer: the trait that each reader implements.

use std::path::{Path, PathBuf};

use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::data::table::shape::TableShape;

/// A format of files that hold tables.
pub trait Reader: Sync {
    /// Endings of file names, in small letters without the dot.
    fn endings(&self) -> &'static [&'static str];

    /// Whether a file may be packed with gzip, which adds `.gz` to its name.
    fn may_be_gzip(&self) -> bool {
        false
    }

    /// Whether files are usually compressed inside, so that a table takes far more memory than its
    /// file.
    fn is_compressed(&self) -> bool {
        false
    }

    /// Whether files name their columns.
    fn has_names(&self) -> bool {
        self.as_arrays().is_none()
    }

    /// The reader of arrays; `None` if files name their columns.
    fn as_arrays(&self) -> Option<&dyn ArrayReader> {
        None
    }

    /// Reads one file. Columns without names are called after `stem`.
    ///
    /// # Errors
    /// 66 if it cannot be read; 65 if it is malformed; 78 if `options` are impossible.
    fn read(&self, path: &Path, stem: &str, options: &Options) -> anyhow::Result<Raw>;

    /// Reads several files as one table.
    ///
    /// # Errors
    /// The errors of [`Reader::read`]; 65 if the files differ in their columns.
    fn read_all(&self, paths: &[PathBuf], stem: &str, options: &Options) -> anyhow::Result<Raw> {
        let (first, others) = paths.split_at(paths.len().min(1));
        let mut tables = first.iter().chain(others).map(|path| self.read(path, stem, options));
        let mut table = tables.next().unwrap_or_else(|| anyhow::bail!("no file is given"))?;
        for other in tables {
            table.append(other?)?;
        }
        Ok(table)
    }

    /// Why these files can be read only as a whole; `None` if they can be read in chunks.
    ///
    /// # Errors
    /// The errors of [`Reader::read`].
    fn indivisible(&self, paths: &[PathBuf]) -> anyhow::Result<Option<&'static str>> {
        let _ = paths;
        Ok(None)
    }

    /// Opens a file that is read in chunks.
    ///
    /// # Errors
    /// The errors of [`Reader::read`], and 65 if the format is read only as a whole.
    fn open(&self, path: &Path, stem: &str, options: &Options) -> anyhow::Result<Box<dyn Chunked>>;
}

/// A format of arrays: their columns have no names and are known by their places, and labels may
/// lie in a file of their own.
pub trait ArrayReader {
    /// What the columns of a file are called, given its stem.
    ///
    /// # Errors
    /// 66 if the file cannot be read; 65 if it is malformed.
    fn column_names(&self, path: &Path, stem: &str) -> anyhow::Result<Vec<String>>;

    /// Opens an array of features and those of labels, each with its options, to be read side by
    /// side in chunks.
    ///
    /// # Errors
    /// The errors of [`Reader::open`], and 65 if the arrays have different numbers of rows.
    fn open_beside(&self, arrays: &[(PathBuf, Options)]) -> anyhow::Result<Box<dyn Chunked>>;
}

/// A file that is read in chunks.
pub trait Chunked {
    /// Names and kinds of the columns, as the head of the file states them.
    fn shape(&self) -> TableShape;

    /// The next rows, in about `bytes` bytes of the file; `None` at the end.
    ///
    /// # Errors
    /// 65 if the file is malformed.
    fn chunk(&mut self, bytes: u64) -> anyhow::Result<Option<Raw>>;
}
