//! A table that is read from its first row to its last, some rows at a time, in about as much
//! memory as they take.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::raw::{Format, Options, Raw, format_of, stem};
use super::shape::Shape;
use super::table::paths;
use super::{npy, parquet, text};
use crate::config::Source;
use crate::fault::{self, Fault};

/// The files of a source, one behind the other.
pub struct Chunks {
    files: Vec<Files>,
    /// Names of the columns are those of the first file.
    stem: String,
    options: Options,
    /// Bytes of a file that make a chunk, about.
    bytes: u64,
    open: Option<Open>,
    /// Files that were opened.
    opened: usize,
    /// What all files have in common; `None` before the first was opened.
    shape: Option<Shape>,
}

/// What is read side by side.
enum Files {
    One(PathBuf, Format),
    Pair(PathBuf, PathBuf),
}

/// A file under way.
enum Open {
    Text(text::Reader<Box<dyn Read>>),
    Parquet(parquet::Groups),
    Npy(npy::Reader<File>),
    Pair(Box<[npy::Reader<File>; 2]>),
}

impl Chunks {
    /// Chunks of about so many bytes of text or of an array, or of one row group of Parquet.
    ///
    /// # Errors
    /// 66 if no file is there; 65 if files are of several formats, or of one that is only read as a
    /// whole.
    pub fn new(source: &Source, options: &Options, bytes: u64) -> anyhow::Result<Chunks> {
        let found = paths(source)?;
        let files = match source {
            Source::Npy { features, labels } => vec![Files::Pair(features.clone(), labels.clone())],
            _ => {
                let format = format_of(&found)?;
                found.iter().map(|path| Files::One(path.clone(), format)).collect()
            }
        };
        let stem = found.first().map(|path| stem(path)).unwrap_or_default();
        let mut chunks = Chunks {
            files,
            stem,
            options: options.clone(),
            bytes,
            open: None,
            opened: 0,
            shape: None,
        };
        chunks.look_ahead()?;
        Ok(chunks)
    }

    /// Chunks of text with a delimiter from anywhere.
    ///
    /// # Errors
    /// Those of [`text::read`].
    pub fn of_text(
        reader: Box<dyn Read>,
        place: &str,
        options: &Options,
        bytes: u64,
    ) -> anyhow::Result<Chunks> {
        let open = Some(Open::Text(text::Reader::new(reader, place, 0, options)?));
        Ok(Chunks {
            files: Vec::new(),
            stem: String::new(),
            options: options.clone(),
            bytes,
            open,
            opened: 0,
            shape: None,
        })
    }

    /// Whether several files are of one table is said before the first row of any is used.
    fn look_ahead(&mut self) -> anyhow::Result<()> {
        for files in self.files.iter().filter(|_| self.files.len() > 1) {
            let shape = self.open(files)?.shape();
            match &mut self.shape {
                Some(first) => {
                    first.check_same(&shape)?;
                    first.widen(&shape);
                }
                None => self.shape = Some(shape),
            }
        }
        Ok(())
    }

    fn read(&mut self) -> anyhow::Result<Option<Raw>> {
        loop {
            if self.open.is_none() {
                let Some(files) = self.files.get(self.opened) else { return Ok(None) };
                self.open = Some(self.open(files)?);
                self.opened += 1;
            }
            let chunk = self.open.as_mut().map_or(Ok(None), |open| open.chunk(self.bytes))?;
            if let Some(mut chunk) = chunk {
                if let Some(shape) = &self.shape {
                    // A file may have changed since.
                    shape.check_same(&chunk.shape())?;
                    chunk.fit_into(shape);
                }
                return Ok(Some(chunk));
            }
            self.open = None;
        }
    }

    fn open(&self, files: &Files) -> anyhow::Result<Open> {
        Ok(match files {
            Files::Pair(features, labels) => {
                let features = called(features, &stem(features), &self.options)?;
                let labels = called(labels, &stem(labels), &self.options.of_labels())?;
                check_rows(&features, &labels)?;
                Open::Pair(Box::new([features, labels]))
            }
            Files::One(path, Format::Npy) => Open::Npy(called(path, &self.stem, &self.options)?),
            Files::One(path, Format::Parquet) => Open::Parquet(parquet::Groups::new(
                fault::open(path)?,
                &path.display().to_string(),
            )?),
            Files::One(path, _) => {
                let file = fault::open(path)?;
                let size = file.metadata().map_or(0, |found| found.len());
                let file: Box<dyn Read> = Box::new(file);
                Open::Text(text::Reader::new(
                    file,
                    &path.display().to_string(),
                    size,
                    &self.options.of(path),
                )?)
            }
        })
    }
}

/// An array whose columns have the names that options say.
fn called(path: &Path, stem: &str, options: &Options) -> anyhow::Result<npy::Reader<File>> {
    let mut array = array(path, stem)?;
    options.arrays.as_ref().map_or(Ok(()), |arrays| array.call(arrays))?;
    Ok(array)
}

/// An array whose columns are called after the stem of a file.
pub(super) fn array(path: &Path, stem: &str) -> anyhow::Result<npy::Reader<File>> {
    let file = fault::open(path)?;
    let size = file.metadata().map_or(0, |found| found.len());
    npy::Reader::new(file, &path.display().to_string(), size, stem)
}

impl Open {
    /// Names and kinds of the columns, by the head of the file.
    fn shape(&self) -> Shape {
        match self {
            Open::Text(text) => text.shape(),
            Open::Parquet(groups) => groups.shape(),
            Open::Npy(array) => array.shape(),
            Open::Pair(pair) => pair[0].shape(),
        }
    }

    fn chunk(&mut self, bytes: u64) -> anyhow::Result<Option<Raw>> {
        let rows =
            |array: &npy::Reader<File>| (bytes / array.row_bytes().max(1) as u64).max(1) as usize;
        match self {
            Open::Text(text) => text.chunk(bytes),
            Open::Parquet(groups) => groups.chunk(),
            Open::Npy(array) => array.chunk(rows(array)),
            Open::Pair(pair) => {
                let [features, labels] = &mut **pair;
                let rows = rows(features);
                match (features.chunk(rows)?, labels.chunk(rows)?) {
                    (Some(features), Some(labels)) => features.beside(labels).map(Some),
                    _ => Ok(None),
                }
            }
        }
    }
}

/// 66 if a file cannot be read, 65 if one is malformed; nothing is to be asked for after that.
impl Iterator for Chunks {
    type Item = anyhow::Result<Raw>;

    fn next(&mut self) -> Option<anyhow::Result<Raw>> {
        self.read().transpose()
    }
}

/// Why a source can be read only as a whole; `None` if it can be read in chunks.
///
/// # Errors
/// 66 if a file cannot be read; 65 if one is malformed.
pub fn indivisible(source: &Source) -> anyhow::Result<Option<&'static str>> {
    let paths = paths(source)?;
    match (source, format_of(&paths)?) {
        (_, Format::Svmlight) => Ok(Some("SVMlight says at its end which columns there are")),
        (_, Format::Npy) => {
            let mut by_rows = true;
            for path in &paths {
                by_rows &= array(path, "")?.is_by_rows();
            }
            Ok((!by_rows).then_some("the array lies column by column"))
        }
        _ => Ok(None),
    }
}

/// Two arrays that are read side by side have as many rows.
fn check_rows(features: &npy::Reader<File>, labels: &npy::Reader<File>) -> anyhow::Result<()> {
    if labels.rows == features.rows {
        return Ok(());
    }
    let found = format!("{} rows, {} has {}", labels.rows, features.place(), features.rows);
    Err(Fault::data(labels.place(), found).hint("give two files of the same rows").into())
}
