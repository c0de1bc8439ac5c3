//! The file that predictions go to: its format follows from its ending, and it appears under its
//! name only when it is whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::fault::{Exit, Fault, quoted};
use crate::replace::Replacement;

/// The endings of files that can be written, for messages.
pub const ENDINGS: &str = ".csv, .tsv, .jsonl, .ndjson or .conll, all plain or .gz, or .parquet";
/// Bytes of a file's name that go into the name of its temporary file; a name has at most 255.
const NAME: usize = 200;

/// Format of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A line with the names, then a line per row, with commas between the cells.
    Csv,
    /// CSV with tabs instead of commas.
    Tsv,
    /// A JSON object per line; texts are strings, numbers are numbers, blank numbers are null.
    Jsonl,
    /// The file of sentences that was read, with the predictions as further columns and comments.
    Conll,
    /// Columns of texts and numbers; a blank is null in a column of whole numbers, and NaN in a
    /// column of other numbers.
    Parquet,
}

/// The format of a file, and whether it is packed with gzip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// The format.
    pub format: Format,
    /// Whether the file is packed.
    pub is_packed: bool,
}

impl Form {
    /// The form of the file `path`: the format is `given`, or follows from the ending; a device or
    /// a pipe without an ending gets CSV.
    ///
    /// # Errors
    /// 2 if the ending is not known, or it is `.gz` and the format is Parquet.
    pub fn of(path: &Path, given: Option<Format>) -> Result<Form, Fault> {
        let name =
            path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (bare, is_packed) =
            name.strip_suffix(".gz").map_or((&*name, false), |bare| (bare, true));
        let ending = bare.rsplit_once('.').map_or("", |(_, ending)| ending);
        let by_ending = match ending {
            "csv" => Some(Format::Csv),
            "tsv" => Some(Format::Tsv),
            "jsonl" | "ndjson" => Some(Format::Jsonl),
            "parquet" => Some(Format::Parquet),
            "conll" | "conllu" | "iob" | "iob2" | "bio" | "conll2003" => Some(Format::Conll),
            _ => None,
        };
        let is_device = || fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir());
        match given.or(by_ending) {
            Some(Format::Parquet) if is_packed => {
                let fault = Fault::new(
                    Exit::Usage,
                    format!("--out {}: Parquet is not packed with gzip", path.display()),
                );
                Err(fault.hint("name a file with the ending .parquet"))
            }
            Some(format) => Ok(Form { format, is_packed }),
            None if is_device() => Ok(Form { format: Format::Csv, is_packed: false }),
            None => {
                let found = match ending {
                    "" => "has no ending that says a format".to_owned(),
                    _ => format!(
                        "no format has the ending {}",
                        quoted(&format!(".{ending}{}", if is_packed { ".gz" } else { "" }))
                    ),
                };
                let hint =
                    format!("{ENDINGS}; or say it with --format csv, tsv, jsonl, conll or parquet");
                Err(Fault::new(Exit::Usage, format!("--out {}: {found}", path.display()))
                    .hint(hint))
            }
        }
    }
}

/// A file that is being written. A file that has its name already stays until [`Output::finish`];
/// without that call nothing is left of the new one.
pub struct Output {
    to: Option<To>,
    /// `None` for a device or a pipe, which is written directly.
    replacement: Option<Replacement>,
}

/// The writer of the file.
enum To {
    Plain(BufWriter<File>),
    Packed(GzEncoder<BufWriter<File>>),
}

impl Output {
    /// Creates a file.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn create(path: &Path, is_packed: bool) -> io::Result<Output> {
        let there = fs::metadata(path).ok();
        let (file, replacement) = match &there {
            Some(meta) if !meta.is_file() => (OpenOptions::new().write(true).open(path)?, None),
            _ => {
                let replacement = replacement(path)?;
                (create(&replacement, there.as_ref())?, Some(replacement))
            }
        };
        let file = BufWriter::new(file);
        let to = if is_packed {
            To::Packed(GzEncoder::new(file, Compression::default()))
        } else {
            To::Plain(file)
        };
        Ok(Output { to: Some(to), replacement })
    }

    /// The temporary file, which a program that ends early has to remove.
    pub fn temporary(&self) -> Option<&Path> {
        self.replacement.as_ref().map(Replacement::temporary)
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// Errors of the file system.
    pub fn finish(mut self) -> io::Result<()> {
        let file = match self.to.take() {
            Some(To::Plain(file)) => file,
            Some(To::Packed(packed)) => packed.finish()?,
            None => return Ok(()),
        };
        let file = file.into_inner().map_err(|e| e.into_error())?;
        self.replacement.take().map_or(Ok(()), |replacement| replacement.commit(file))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            Some(To::Plain(file)) => file.write(bytes),
            Some(To::Packed(packed)) => packed.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            Some(To::Plain(file)) => file.flush(),
            // Flushing within a gzip stream makes it larger; the end flushes it.
            Some(To::Packed(_)) | None => Ok(()),
        }
    }
}

/// The replacement of the file at `path`; where that is a link, of the file that it leads to.
fn replacement(path: &Path) -> io::Result<Replacement> {
    let is_link = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    let target = match is_link {
        // A link to a file that does not exist yet is followed for one step.
        true => path.canonicalize().or_else(|_| {
            fs::read_link(path).map(|to| path.parent().unwrap_or(Path::new("")).join(to))
        })?,
        false => path.to_owned(),
    };
    let name = target.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    let short = name.char_indices().take_while(|(at, c)| at + c.len_utf8() <= NAME);
    let name: String = short.map(|(_, c)| c).collect();
    let temporary = target.with_file_name(format!(".{name}.tmp-{}", std::process::id()));
    Ok(Replacement::new(temporary, target))
}

/// The temporary file, with the permissions of the file that is replaced, if there is one.
fn create(replacement: &Replacement, there: Option<&fs::Metadata>) -> io::Result<File> {
    if there.is_some() {
        // A file that may not be written to is not replaced either.
        OpenOptions::new().write(true).open(replacement.target())?;
    }
    let file = replacement.create()?;
    if let Some(meta) = there {
        file.set_permissions(meta.permissions())?;
    }
    Ok(file)
}
