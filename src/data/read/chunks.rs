//! Reads a table from its first row to its last, a chunk of rows at a time, in about as much memory
//! as a chunk takes.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::{Source, TaskSource};
use crate::data::read::files::paths;
use crate::data::read::pieces::pieces;
use crate::data::read::text;
use crate::data::read::union::Union;
use crate::data::read::{ArrayReader, Chunked, Reader, check_formats, common_reader, union};
use crate::data::table::options::{Options, stem};
use crate::data::table::raw::Raw;
use crate::data::table::shape::TableShape;
use crate::fault::Fault;

/// The chunks of the files of a source, one file after the other.
pub struct Chunks {
    files: Vec<Files>,
    /// The stem of the first file, after which columns without names are called.
    stem: String,
    options: Options,
    /// About how many bytes of a file make a chunk.
    bytes: u64,
    open: Option<Box<dyn Chunked>>,
    /// Number of files that were opened.
    opened: usize,
    /// The columns that all files have in common; `None` if there is one file, or a union.
    shape: Option<TableShape>,
    /// The columns of all of several sources, and the piece of each file; `None` with one source.
    union: Option<(Union, Vec<usize>)>,
}

/// A file, or files that are read side by side.
enum Files {
    /// One file.
    One(PathBuf, &'static dyn Reader),
    /// An array of features and those of labels, each with its options.
    Beside(Vec<(PathBuf, Options)>, &'static dyn ArrayReader),
}

impl Chunks {
    /// The chunks of a source, of about `bytes` bytes each. A format may have chunks of its own
    /// size, such as the row groups of Parquet.
    ///
    /// # Errors
    /// 66 if there is no file; 65 if the files have several formats, or a format that is read only
    /// as a whole.
    pub fn new(source: &Source, options: &Options, bytes: u64) -> anyhow::Result<Chunks> {
        if let Source::Several(sources) = source {
            return Chunks::of_several(sources, options, bytes);
        }
        let found = paths(source)?;
        let files = match source {
            Source::Npy { features, .. } | Source::Arrays { features, .. } => {
                let reader =
                    common_reader(&found)?.as_arrays().ok_or_else(|| no_array(features))?;
                vec![Files::Beside(with_options(source, &found, options), reader)]
            }
            _ => {
                let reader = common_reader(&found)?;
                found.iter().map(|path| Files::One(path.clone(), reader)).collect()
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
            union: None,
        };
        chunks.look_ahead()?;
        Ok(chunks)
    }

    /// The chunks of several sources, one after the other, with the columns of all.
    fn of_several(sources: &[TaskSource], options: &Options, bytes: u64) -> anyhow::Result<Chunks> {
        let union = union(sources, options)?;
        let (mut files, mut numbers) = (Vec::new(), Vec::new());
        for (number, piece) in pieces(sources).iter().enumerate() {
            let found = piece.paths()?;
            let reader = common_reader(&found)?;
            numbers.extend(found.iter().map(|_| number));
            files.extend(found.into_iter().map(|path| Files::One(path, reader)));
        }
        let (stem, options) = (String::new(), options.clone());
        let union = Some((union, numbers));
        Ok(Chunks { files, stem, options, bytes, open: None, opened: 0, shape: None, union })
    }

    /// The chunks of text with a delimiter from anywhere.
    ///
    /// # Errors
    /// The errors of [`text::read`].
    pub fn of_text(
        reader: Box<dyn Read>,
        place: &str,
        options: &Options,
        bytes: u64,
    ) -> anyhow::Result<Chunks> {
        let open: Box<dyn Chunked> = Box::new(text::TextChunks::new(reader, place, 0, options)?);
        Ok(Chunks {
            files: Vec::new(),
            stem: String::new(),
            options: options.clone(),
            bytes,
            open: Some(open),
            opened: 0,
            shape: None,
            union: None,
        })
    }

    /// Checks that several files are of one table, before the first row of any is used.
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
                    // A file may have changed since it was checked.
                    shape.check_same(&chunk.shape())?;
                    chunk.fit_into(shape);
                }
                if let Some((union, pieces)) = &self.union {
                    chunk = union.fit(pieces[self.opened - 1], chunk)?;
                }
                return Ok(Some(chunk));
            }
            self.open = None;
        }
    }

    fn open(&self, files: &Files) -> anyhow::Result<Box<dyn Chunked>> {
        match files {
            Files::Beside(arrays, reader) => reader.open_beside(arrays),
            Files::One(path, reader) => reader.open(path, &self.stem, &self.options),
        }
    }
}

/// Items are errors with 66 if a file cannot be read, and with 65 if one is malformed. After an
/// error there is nothing to be read.
impl Iterator for Chunks {
    type Item = anyhow::Result<Raw>;

    fn next(&mut self) -> Option<anyhow::Result<Raw>> {
        self.read().transpose()
    }
}

/// The arrays of a source, each with the options by which it is read; `paths` are its files.
fn with_options(source: &Source, paths: &[PathBuf], options: &Options) -> Vec<(PathBuf, Options)> {
    let of_label = |number: usize| match source {
        Source::Arrays { labels, .. } => options.for_key(&labels[number].0),
        _ => options.for_labels(),
    };
    let of = |(at, path): (usize, &PathBuf)| {
        let options = at.checked_sub(1).map_or_else(|| options.clone(), of_label);
        (path.clone(), options)
    };
    paths.iter().enumerate().map(of).collect()
}

fn no_array(path: &Path) -> Fault {
    Fault::data(path.display(), "the file is no array")
        .hint("give two arrays, such as FEATURES.npy and LABELS.npy")
}

/// Why a source can be read only as a whole; `None` if it can be read in chunks.
///
/// # Errors
/// 66 if a file cannot be read; 65 if one is malformed.
pub fn indivisible(source: &Source) -> anyhow::Result<Option<&'static str>> {
    if let Source::Several(sources) = source {
        return check_formats(sources).map(|()| None);
    }
    let paths = paths(source)?;
    common_reader(&paths)?.indivisible(&paths)
}
