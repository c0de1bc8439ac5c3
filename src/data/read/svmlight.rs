//! Reads SVMlight and libsvm text: `label[,label…] [qid:n] index:value … # comment`, one row per
//! line.
//!
//! A missing label is a blank cell; a row may have no labels. The columns are "label", or "label0",
//! "label1", … if rows have several labels, and then the indices in order. The indices begin at "0"
//! if index 0 occurs anywhere, otherwise at "1", and end at the largest index that occurs in any of
//! the files. A value that a row does not name is 0. A `qid` is checked and ignored.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::data::read::files;
use crate::data::read::reader::{self, Chunked};
use crate::data::read::stream::Window;
use crate::data::read::text::MAX_RECORD;
use crate::data::table::options::Options;
use crate::data::table::raw::{Lines, Raw, RawColumn, several};
use crate::fault::{self, Fault, quoted};

/// The largest index.
pub const MAX_INDEX: u32 = 1 << 24;
/// The table may have this many numbers per byte of text, because zeros are not written, plus
/// [`DENSE_FLOOR`].
pub const DENSE_RATIO: u64 = 16;
/// The number of numbers that any table may have, so that tiny files are accepted.
pub const DENSE_FLOOR: u64 = 1 << 20;

/// The rows that were read, without their zeros.
#[derive(Default)]
struct Sparse {
    /// (index, value) of all rows.
    entries: Vec<(u32, f64)>,
    /// Where in `entries` each row ends.
    ends: Vec<usize>,
    /// `[rows, width]`; NaN is a blank.
    labels: Vec<f64>,
    /// Number of labels of a row; `None` until a row has labels.
    width: Option<usize>,
    /// Number of rows without labels before the first row with labels.
    unlabelled: usize,
    /// (place, first row, lines) of each file.
    files: Vec<(String, usize, Lines)>,
    hashes: Vec<(String, String)>,
    /// Number of bytes of the lines with rows.
    bytes: u64,
}

/// The format of SVMlight and libsvm.
pub struct Svmlight;

impl reader::Reader for Svmlight {
    fn endings(&self) -> &'static [&'static str] {
        &["svm", "svmlight", "libsvm"]
    }

    fn may_be_gzip(&self) -> bool {
        true
    }

    fn has_names(&self) -> bool {
        false
    }

    fn read(&self, path: &Path, _stem: &str, _options: &Options) -> anyhow::Result<Raw> {
        read(&[path.to_owned()])
    }

    fn read_all(&self, paths: &[PathBuf], _stem: &str, _options: &Options) -> anyhow::Result<Raw> {
        read(paths)
    }

    fn indivisible(&self, _paths: &[PathBuf]) -> anyhow::Result<Option<&'static str>> {
        Ok(Some(WHOLE_ONLY))
    }

    fn open(&self, path: &Path, _: &str, _: &Options) -> anyhow::Result<Box<dyn Chunked>> {
        let hint = "read it as a whole: give it more memory (data.memory)";
        Err(Fault::data(path.display(), WHOLE_ONLY).hint(hint).into())
    }
}

/// The reason why a file is read only as a whole.
const WHOLE_ONLY: &str = "SVMlight says at its end which columns there are";

/// Reads files as one table.
///
/// # Errors
/// 66 if a file cannot be read; 65 if a line is malformed, if there are no rows, if one file counts
/// its indices from 0 and another from 1, or if the table would be far larger than the files.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Raw> {
    let mut sparse = Sparse::default();
    for path in paths {
        let (file, size) = files::open(path)?;
        sparse.read(file, &path.display().to_string(), size)?;
    }
    sparse.table()
}

/// Reads one stream; `size` is the size of the file, or 0 if it is not known.
///
/// # Errors
/// The errors of [`read`].
pub fn read_from(reader: impl Read, place: &str, size: u64) -> anyhow::Result<Raw> {
    let mut sparse = Sparse::default();
    sparse.read(reader, place, size)?;
    sparse.table()
}

impl Sparse {
    /// Reads the rows of one file.
    fn read(&mut self, reader: impl Read, place: &str, size: u64) -> anyhow::Result<()> {
        let mut window = Window::new(reader, place, size)?;
        self.files.push((place.to_owned(), self.ends.len(), Lines::default()));
        while let Some(length) = next(&mut window)? {
            let line = &window.text()[..length];
            let line = line.split(|&b| b == b'#').next().unwrap_or_default();
            if !line.trim_ascii().is_empty() {
                let text = String::from_utf8_lossy(line);
                self.row(&text).map_err(|fault| Fault {
                    message: format!("{}: {}", window.place(), fault.message),
                    ..fault
                })?;
                if let Some((_, first, lines)) = self.files.last_mut() {
                    lines.push(self.ends.len() - 1 - *first, window.line());
                }
            }
            window.pass(length, 0);
        }
        if self.files.last().is_none_or(|(_, first, _)| *first == self.ends.len()) {
            return Err(Fault::data(place, "the file has no rows")
                .hint("give a file with at least one line \"label index:value …\"")
                .into());
        }
        self.hashes.push(window.finish()?);
        Ok(())
    }

    /// Parses a row and adds it.
    fn row(&mut self, text: &str) -> Result<(), Fault> {
        self.bytes += text.len() as u64 + 1;
        let mut words = text.split_ascii_whitespace().peekable();
        let labels = words.next_if(|word| !word.contains(':'));
        self.labels(labels)?;
        if let Some(query) = words.next_if(|word| word.starts_with("qid:")) {
            query[4..]
                .parse::<u64>()
                .map_err(|_| malformed(format!("{} is no query number", quoted(query))))?;
        }
        let mut before = None;
        for word in words {
            let (index, value) = entry(word)?;
            if before.is_some_and(|before| before >= index) {
                let found = if before == Some(index) {
                    "there twice".to_owned()
                } else {
                    format!("behind {}", before.unwrap_or_default())
                };
                return Err(malformed(format!("index {index} is {found}"))
                    .hint("sort the indices of each line and keep each once"));
            }
            before = Some(index);
            self.entries.push((index, value));
        }
        self.ends.push(self.entries.len());
        Ok(())
    }

    /// Parses the labels of a row and adds them.
    fn labels(&mut self, word: Option<&str>) -> Result<(), Fault> {
        let Some(word) = word else {
            match self.width {
                Some(_) if self.labels.len() as u64 > self.allowed() => {
                    return Err(malformed("too many rows without labels".into()));
                }
                Some(width) => self.labels.extend(std::iter::repeat_n(f64::NAN, width)),
                None => self.unlabelled += 1,
            }
            return Ok(());
        };
        let found = 1 + word.matches(',').count();
        let width = *self.width.get_or_insert(found);
        if width != found {
            let hint = "every line needs the same number of labels; one that is not known may be \
                        blank, as in \"1,,0\"";
            return Err(
                malformed(format!("{found} labels, the lines before have {width}")).hint(hint)
            );
        }
        let blank = (self.labels.len() + width * self.unlabelled) as u64;
        if blank > self.allowed() {
            return Err(malformed(format!(
                "{width} labels for {} rows without any",
                self.unlabelled
            )));
        }
        self.labels
            .extend(std::iter::repeat_n(f64::NAN, width * std::mem::take(&mut self.unlabelled)));
        for text in word.split(',') {
            self.labels.push(if text.is_empty() { f64::NAN } else { number(text, "label")? });
        }
        Ok(())
    }

    /// The largest number of numbers that the text that was read may stand for.
    fn allowed(&self) -> u64 {
        self.bytes * DENSE_RATIO + DENSE_FLOOR
    }

    /// The smallest and the largest index that occur in some rows.
    fn span(&self, rows: std::ops::Range<usize>) -> Option<[u32; 2]> {
        let end = |rows: usize| {
            rows.checked_sub(1).and_then(|row| self.ends.get(row)).copied().unwrap_or_default()
        };
        let indices =
            self.entries.get(end(rows.start)..end(rows.end))?.iter().map(|&(index, _)| index);
        Some([indices.clone().min()?, indices.max()?])
    }

    /// Checks that all files count their indices from the same number. A file without index 0 is
    /// taken to count from 1 if its first index is 1, or if its last index is one above the last of
    /// a file with index 0.
    fn check_first(&self) -> Result<(), Fault> {
        let ends = self.files.iter().skip(1).map(|(_, first, _)| *first).chain([self.ends.len()]);
        let spans = self
            .files
            .iter()
            .zip(ends)
            .filter_map(|((place, first, _), end)| Some((place, self.span(*first..end)?)));
        let (from_0, others): (Vec<_>, Vec<_>) = spans.partition(|(_, [first, _])| *first == 0);
        let Some((zero, [_, last])) = from_0.first() else { return Ok(()) };
        let is_other = |first: u32, end: u32| {
            first == 1 || from_0.iter().any(|(_, [_, last])| end == last + 1)
        };
        let Some((place, [first, end])) =
            others.into_iter().find(|(_, [first, end])| is_other(*first, *end))
        else {
            return Ok(());
        };
        let found = format!(
            "the indices are {first} to {end}, in {zero} they are 0 to {last}: one counts from 1, \
             the other from 0"
        );
        let hint = "count the indices of all files alike (scikit-learn: dump_svmlight_file(…, \
                    zero_based=…)); if index 0 merely does not occur, put all rows into one file";
        Err(Fault::data(place, found).hint(hint))
    }

    /// Makes the table, with its zeros.
    fn table(self) -> anyhow::Result<Raw> {
        self.check_first()?;
        let place = several(self.files.iter().map(|(place, ..)| place.as_str()));
        let (rows, width) = (self.ends.len(), self.width.unwrap_or(1));
        let smallest = self.entries.iter().map(|&(index, _)| index).min();
        let last = self.entries.iter().map(|&(index, _)| index).max().unwrap_or(0);
        let first = smallest.map_or(1, |index| index.min(1));
        let features = (last + 1 - first) as usize;
        // The 16 rows stand for the memory that a column takes if there are few rows.
        let numbers = (rows as u64 + 16) * (width + features) as u64;
        if numbers > self.allowed() {
            let found = format!(
                "{rows} rows × {features} features of {} bytes of text: more than {DENSE_RATIO} \
                 numbers a byte",
                self.bytes
            );
            let hint =
                "tables are kept with their zeros: keep fewer features, or give a dense format";
            return Err(Fault::data(place, found).hint(hint).into());
        }
        let mut columns = vec![vec![0.0; rows]; features];
        let mut start = 0;
        for (row, &end) in self.ends.iter().enumerate() {
            for &(index, value) in &self.entries[start..end] {
                columns[(index - first) as usize][row] = value;
            }
            start = end;
        }
        let names = label_names(width)
            .into_iter()
            .chain((first..=last).map(|index| index.to_string()))
            .collect();
        let columns =
            self.label_columns(width).into_iter().chain(columns).map(RawColumn::Numbers).collect();
        let mut table = Raw::new(&place, names, columns, None)?.with_origins(self.files);
        (table.hashes, table.sparse, table.indices) =
            (self.hashes, true, smallest.map(|smallest| [smallest, last]));
        Ok(table)
    }

    fn label_columns(&self, width: usize) -> Vec<Vec<f64>> {
        if self.labels.is_empty() {
            return vec![vec![f64::NAN; self.ends.len()]; width];
        }
        (0..width)
            .map(|label| self.labels.iter().skip(label).step_by(width).copied().collect())
            .collect()
    }
}

fn label_names(width: usize) -> Vec<String> {
    if width == 1 {
        vec!["label".to_owned()]
    } else {
        (0..width).map(|i| format!("label{i}")).collect()
    }
}

/// Moves the window to the next line and returns the length of the line; `None` at the end.
fn next<R: Read>(window: &mut Window<R>) -> anyhow::Result<Option<usize>> {
    loop {
        window.pass_line_ends();
        let (there, ended) = (window.text().len(), window.ended());
        let length =
            window.text().iter().position(|&b| b == b'\n' || b == b'\r').or(ended.then_some(there));
        if length.unwrap_or(there) > MAX_RECORD {
            let fault =
                Fault::data(window.place(), format!("the line is longer than {MAX_RECORD} bytes"));
            return Err(fault.hint("give one row a line").into());
        }
        match length {
            Some(0) => return Ok(None),
            Some(length) => return Ok(Some(length)),
            None => window.more()?,
        }
    }
}

/// Parses `index:value`.
fn entry(word: &str) -> Result<(u32, f64), Fault> {
    let (index, value) = word
        .split_once(':')
        .ok_or_else(|| malformed(format!("{}, expected index:value", quoted(word))))?;
    let digits = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit());
    let index =
        if digits { index.parse::<u64>().unwrap_or(u64::MAX) } else { return Err(no_index(word)) };
    if index > u64::from(MAX_INDEX) {
        return Err(malformed(format!("the index of {} is above {MAX_INDEX}", quoted(word)))
            .hint("number the features from 1"));
    }
    Ok((index as u32, number(value, "value")?))
}

fn no_index(word: &str) -> Fault {
    malformed(format!("{}, expected a whole number before the colon", quoted(word)))
}

fn number(text: &str, what: &str) -> Result<f64, Fault> {
    let x: f64 = text
        .parse()
        .map_err(|_| malformed(format!("the {what} {} is not a number", quoted(text))))?;
    if x.is_finite() {
        Ok(x)
    } else {
        Err(malformed(format!("the {what} {} is not a finite number", quoted(text))))
    }
}

/// The error for a malformed line, to which the caller adds the place.
fn malformed(found: String) -> Fault {
    Fault::new(fault::Exit::Data, found)
        .hint("a line is \"label index:value index:value …\", with a comment behind # if need be")
}
