//! The trait of a format of files.

use std::path::{Path, PathBuf};

use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::data::table::shape::Shape;

/// A format of files that hold tables.
pub trait Reader: Sync {
    /// Endings of file names, in small letters without the dot.
    fn endings(&self) -> &'static [&'static str];

    /// Whether files may be packed with gzip.
    fn may_be_packed(&self) -> bool {
        false
    }

    /// Whether columns have no names of their own, so that they go by their places.
    fn has_no_names(&self) -> bool {
        false
    }

    /// Reads one file. Columns without names are called after `stem`.
    ///
    /// # Errors
    /// 66 if it cannot be read; 65 if it is malformed; 78 if `options` cannot be.
    fn read(&self, path: &Path, stem: &str, options: &Options) -> anyhow::Result<Raw>;

    /// Reads several files as one table.
    ///
    /// # Errors
    /// Those of [`Reader::read`]; 65 if the files have other columns.
    fn read_all(&self, paths: &[PathBuf], stem: &str, options: &Options) -> anyhow::Result<Raw> {
        let (first, others) = paths.split_at(paths.len().min(1));
        let mut tables = first.iter().chain(others).map(|path| self.read(path, stem, options));
        let mut table = tables.next().unwrap_or_else(|| anyhow::bail!("no file is given"))?;
        for other in tables {
            table.append(other?)?;
        }
        Ok(table)
    }

    /// Why files can be read only as a whole; `None` if they can be read in chunks.
    ///
    /// # Errors
    /// Those of [`Reader::read`].
    fn indivisible(&self, paths: &[PathBuf]) -> anyhow::Result<Option<&'static str>> {
        let _ = paths;
        Ok(None)
    }

    /// Opens a file that is read in chunks.
    ///
    /// # Errors
    /// Those of [`Reader::read`], and 65 if the format is read only as a whole.
    fn open(&self, path: &Path, stem: &str, options: &Options) -> anyhow::Result<Box<dyn Chunked>>;
}

/// A file that is read in chunks.
pub trait Chunked {
    /// Names and kinds of the columns, by the head of the file.
    fn shape(&self) -> Shape;

    /// The next rows, in about `bytes` bytes of the file; `None` at the end.
    ///
    /// # Errors
    /// 65 if the file is malformed.
    fn chunk(&mut self, bytes: u64) -> anyhow::Result<Option<Raw>>;
}
