//! Readers of files that hold tables: one file per format, and the list of formats.
//!
//! A new format is a file with a [`Reader`], and a line in [`READERS`].
//!
//! Text is read with the `csv` crate's rules by our own code in one pass, and Parquet, NPY,
//! SVMlight and IDX by our own readers: none of the crates for them bounds what the header of a
//! hostile file makes it allocate.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::{Data, Source, TaskSource};
use crate::data::part::Part;
use crate::data::read::files::paths;
use crate::data::read::pieces::{Piece, pieces};
use crate::data::read::union::Union;
use crate::data::table::options::{Options, stem};
use crate::data::table::raw::Raw;
use crate::data::table::shape::TableShape;
use crate::fault::{Fault, quoted};

pub mod bytes;
pub mod chunks;
pub mod conll;
pub mod files;
pub mod glob;
pub mod npy;
pub mod parquet;
pub mod pieces;
pub mod stream;
pub mod svmlight;
pub mod text;
pub mod union;
pub mod vectors;

mod reader;

pub use reader::{ArrayReader, Chunked, Reader};

/// All formats.
pub static READERS: &[&dyn Reader] =
    &[&text::Text, &svmlight::Svmlight, &conll::Conll, &parquet::Parquet, &npy::Npy];

/// Returns the reader of a file, chosen by the ending of its name.
///
/// # Errors
/// 65 if no format has this ending.
pub fn reader_of(path: &Path) -> anyhow::Result<&'static dyn Reader> {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    let name = name.unwrap_or_default();
    let (bare, is_gzip) = name.strip_suffix(".gz").map_or((&*name, false), |bare| (bare, true));
    let ending = bare.rsplit_once('.').map_or("", |(_, ending)| ending);
    let reads = |reader: &&&dyn Reader| {
        reader.endings().contains(&ending) && (reader.may_be_gzip() || !is_gzip)
    };
    READERS.iter().find(reads).copied().ok_or_else(|| {
        let ending = format!("{ending}{}", if is_gzip { ".gz" } else { "" });
        let found = format!("no known format has the ending {}", quoted(&ending));
        Fault::data(path.display(), found).hint(known_endings()).into()
    })
}

/// Checks that there is a reader for every file that settings name.
///
/// # Errors
/// 78 with the key and the first file of an unknown format.
pub fn check_sources(data: &Data) -> anyhow::Result<()> {
    let others = Part::other_sources(data).map(|(part, source)| (part.key(), source));
    check_formats(data.train.several())?;
    let sources = std::iter::once(("data.train", &data.train)).chain(others);
    for (key, source) in sources.filter(|_| data.sentences.is_none()) {
        let Source::Table(paths) = source else { continue };
        if let Some(path) = paths.iter().find(|path| reader_of(path).is_err()) {
            let name = quoted(&path.to_string_lossy());
            return Err(Fault::config(key, format!("{name} is not a file of a known format"))
                .hint(known_endings())
                .into());
        }
    }
    Ok(())
}

/// Looks at the heads of all files of several sources.
///
/// # Errors
/// 78 if a file is of a format without names of columns; 66 if one is missing; 65 if one is
/// malformed, if the files of one source differ in their columns, or if a column holds text in one
/// source and numbers in another.
pub fn union(sources: &[TaskSource], options: &Options) -> anyhow::Result<Union> {
    check_formats(sources)?;
    let shapes = pieces(sources).into_iter().map(|piece| head(&piece, options));
    Union::new(sources, shapes.collect::<anyhow::Result<_>>()?)
}

/// Reads the tables of all sources as one.
///
/// # Errors
/// The errors of [`union`] and of [`read`].
fn read_several(sources: &[TaskSource], options: &Options) -> anyhow::Result<Raw> {
    let union = union(sources, options)?;
    let mut whole: Option<Raw> = None;
    for (number, piece) in pieces(sources).iter().enumerate() {
        let raw = union.fit(number, read(&piece.paths()?, options)?)?;
        match &mut whole {
            Some(whole) => whole.append(raw)?,
            None => whole = Some(raw),
        }
    }
    whole.ok_or_else(|| {
        Fault::config("source", "there is no source").hint("name a table to train on").into()
    })
}

/// Checks that each file of several sources is of a format with names of columns.
///
/// # Errors
/// 78 with the key and the first file of another format.
pub(crate) fn check_formats(sources: &[TaskSource]) -> anyhow::Result<()> {
    for (number, source) in sources.iter().enumerate() {
        let TaskSource { train, valid, test, .. } = source;
        for (part, files) in Part::ALL.into_iter().zip([train, valid, test]) {
            let is_named = |path: &&PathBuf| reader_of(path).is_ok_and(|reader| reader.has_names());
            let Some(path) = files.iter().find(|path| !is_named(path)) else { continue };
            let name = quoted(&path.to_string_lossy());
            let key = format!("source.{number}.{}", part.name());
            let found = format!("{name} is no file of a format with names of columns");
            let hint = "give .csv, .tsv, .txt or .data, all plain or .gz, or .parquet";
            return Err(Fault::config(&key, found).hint(hint).into());
        }
    }
    Ok(())
}

/// The columns of the files of a piece, by their heads.
fn head(piece: &Piece, options: &Options) -> anyhow::Result<TableShape> {
    let paths = piece.paths()?;
    let reader = common_reader(&paths)?;
    let name = paths.first().map(|path| stem(path)).unwrap_or_default();
    let open = |path: &Path| Ok::<_, anyhow::Error>(reader.open(path, &name, options)?.shape());
    let mut shapes = paths.iter().map(|path| open(path));
    let mut first = shapes.next().unwrap_or_else(|| anyhow::bail!("no file is given"))?;
    for shape in shapes {
        let shape = shape?;
        first.check_same(&shape)?;
        first.widen(&shape);
    }
    Ok(first)
}

/// A hint that names the endings of all formats.
fn known_endings() -> String {
    let listed = |may_be_gzip: bool| {
        let readers = READERS.iter().filter(|reader| reader.may_be_gzip() == may_be_gzip);
        let endings =
            readers.flat_map(|reader| reader.endings()).filter(|ending| !ending.is_empty());
        let mut endings: Vec<String> = endings.map(|ending| format!(".{ending}")).collect();
        let last = endings.pop().unwrap_or_default();
        format!("{} or {last}", endings.join(", "))
    };
    format!("give {}, all plain or .gz, or {}", listed(true), listed(false))
}

/// Returns the one reader of several files.
///
/// # Errors
/// 65 if the files have several formats, or one that is not known; 66 if there are no files.
pub fn common_reader(paths: &[PathBuf]) -> anyhow::Result<&'static dyn Reader> {
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
/// 66 if a file cannot be read or none is given; 65 if one is malformed, or the files differ in
/// their columns or formats; 78 if `options` are impossible.
pub fn read(paths: &[PathBuf], options: &Options) -> anyhow::Result<Raw> {
    if options.sentences.is_some() {
        return conll::read(paths, options);
    }
    common_reader(paths)?.read_all(paths, &stem(&paths[0]), options)
}

/// Reads text with a delimiter from anywhere, such as the standard input.
///
/// # Errors
/// The errors of [`read`].
pub fn read_text(reader: impl Read, place: &str, options: &Options) -> anyhow::Result<Raw> {
    if options.sentences.is_some() {
        return conll::read_from(reader, place, 0, options);
    }
    text::read(reader, place, 0, options)
}

/// Reads an array of features and, where given, one of labels, side by side.
///
/// # Errors
/// The errors of [`read`]; 65 if the files have different numbers of rows or a name in common.
pub fn read_pair(features: &Path, labels: Option<&Path>, options: &Options) -> anyhow::Result<Raw> {
    let table = read(&[features.to_path_buf()], options)?;
    let Some(labels) = labels else { return Ok(table) };
    table.beside(read(&[labels.to_path_buf()], &options.for_labels())?)
}

/// Reads an array of features and several of labels, each with a name, side by side.
///
/// # Errors
/// The errors of [`read_pair`].
pub fn read_arrays(
    features: &Path,
    labels: &[(String, PathBuf)],
    options: &Options,
) -> anyhow::Result<Raw> {
    let mut table = read(&[features.to_path_buf()], options)?;
    for (name, path) in labels {
        table = table.beside(read(std::slice::from_ref(path), &options.for_key(name))?)?;
    }
    Ok(table)
}

/// Reads the files of a source that has columns.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed.
pub fn read_source(source: &Source, options: &Options) -> anyhow::Result<Raw> {
    match source {
        Source::Npy { features, labels } => read_pair(features, Some(labels), options),
        Source::Arrays { features, labels } => read_arrays(features, labels, options),
        Source::Several(sources) => read_several(sources, options),
        _ => read(&paths(source)?, options),
    }
}
