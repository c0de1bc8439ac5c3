//! The list of formats, and files by their format.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::{npy, parquet, svmlight, text};
use crate::config::Source;
use crate::data::read::files::paths;
use crate::data::read::reader::Reader;
use crate::data::table::options::{Options, stem};
use crate::data::table::raw::Raw;
use crate::fault::{Fault, quoted};

/// All formats.
pub static READERS: &[&dyn Reader] =
    &[&text::Text, &svmlight::Svmlight, &parquet::Parquet, &npy::Npy];

/// The reader of a file, by the ending of its name.
///
/// # Errors
/// 65 if no format has such names.
pub fn reader_of(path: &Path) -> anyhow::Result<&'static dyn Reader> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    let (bare, packed) = name.strip_suffix(".gz").map_or((&*name, false), |bare| (bare, true));
    let ending = bare.rsplit_once('.').map_or("", |(_, ending)| ending);
    let reads = |reader: &&&dyn Reader| {
        reader.endings().contains(&ending) && (reader.may_be_packed() || !packed)
    };
    READERS.iter().find(reads).copied().ok_or_else(|| {
        let ending = format!("{ending}{}", if packed { ".gz" } else { "" });
        let hint = "give .csv, .tsv, .txt, .svm or .libsvm, all plain or .gz, or .parquet or .npy";
        let found = format!("no known format has the ending {}", quoted(&ending));
        Fault::data(path.display(), found).hint(hint).into()
    })
}

/// The one reader of some files.
///
/// # Errors
/// 65 if they have several formats, or one that is not known.
pub fn readers_of(paths: &[PathBuf]) -> anyhow::Result<&'static dyn Reader> {
    let mut first: Option<&'static dyn Reader> = None;
    for path in paths {
        let reader = reader_of(path)?;
        if first.is_some_and(|first| first.endings() != reader.endings()) {
            let found = format!("another format than that of {}", paths[0].display());
            return Err(Fault::data(path.display(), found).hint("give files of one format").into());
        }
        first = Some(reader);
    }
    first.ok_or_else(|| {
        Fault::missing("data", "no file is given").hint("name at least one file").into()
    })
}

/// Reads files of one format as one table.
///
/// # Errors
/// 66 if a file cannot be read or none is given; 65 if one is malformed, or the files have other
/// columns or formats; 78 if `options` cannot be.
pub fn read(paths: &[PathBuf], options: &Options) -> anyhow::Result<Raw> {
    readers_of(paths)?.read_all(paths, &stem(&paths[0]), options)
}

/// Reads text with a delimiter from anywhere, such as the standard input.
///
/// # Errors
/// Those of [`read`].
pub fn read_from(reader: impl Read, place: &str, options: &Options) -> anyhow::Result<Raw> {
    text::read(reader, place, 0, options)
}

/// Reads features and, where given, labels from two arrays, side by side.
///
/// # Errors
/// Those of [`read`]; 65 if the files have different numbers of rows or a name in common.
pub fn read_pair(features: &Path, labels: Option<&Path>, options: &Options) -> anyhow::Result<Raw> {
    let table = read(&[features.to_path_buf()], options)?;
    let Some(labels) = labels else { return Ok(table) };
    table.beside(read(&[labels.to_path_buf()], &options.of_labels())?)
}

/// Reads the files of a source that has columns.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed.
pub fn read_source(source: &Source, options: &Options) -> anyhow::Result<Raw> {
    match source {
        Source::Npy { features, labels } => read_pair(features, Some(labels), options),
        _ => read(&paths(source)?, options),
    }
}
