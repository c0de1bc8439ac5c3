//! Raw tables: names and columns as they came from files, before anything is known of what they
//! mean.
//!
//! A text column is one string with the ends of its cells, not a `String` per cell, so a table
//! takes about as much memory as its file. Several files are one table if their columns have the
//! same names in the same order.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};

pub use super::glob::expand;
use super::places::Arrays;
use super::shape::{Kind, Shape};
use super::wholes::{Wholes, Width};
use super::{npy, parquet, svmlight, text};
use crate::fault::{self, Fault, quoted};

/// Most columns of a text or Parquet file.
pub const MAX_COLUMNS: usize = 65_536;

/// A table as it came from files.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The files, for messages.
    pub place: String,
    /// (file, BLAKE3 in hex), in the order they were read.
    pub hashes: Vec<(String, String)>,
    /// Column names, all different and none empty.
    pub names: Vec<String>,
    /// One per name, each of `rows` cells.
    pub columns: Vec<RawColumn>,
    /// Number of rows, 1 or more.
    pub rows: usize,
    /// Whether a column that is not there stands for zeros (SVMlight names only what occurs).
    pub sparse: bool,
    /// What stands between the cells of a line, in texts with lines.
    pub delimiter: Option<u8>,
    /// Of such a table, the smallest and the largest index that occur.
    pub indices: Option<[u32; 2]>,
    /// Where rows came from, by first row.
    origins: Vec<Origin>,
}

/// The cells of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum RawColumn {
    /// Text, blanks around it removed; a blank cell is "".
    Texts(Texts),
    /// Numbers; NaN is a blank cell.
    Numbers(Vec<f64>),
    /// Whole numbers, where the file says that the column holds no others.
    Wholes(Wholes),
}

/// Text cells, one behind the other in one string.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Texts {
    text: String,
    ends: Ends,
}

/// Where cells end: four bytes each while that suffices.
#[derive(Clone, Debug, PartialEq)]
pub enum Ends {
    /// In the first 4 GiB.
    Short(Vec<u32>),
    /// Anywhere.
    Long(Vec<u64>),
}

/// Rows of one file.
#[derive(Clone, Debug)]
struct Origin {
    place: String,
    /// First row of the table that came from it.
    first: usize,
    /// Where in the file each row stands: its line, or where rows have no lines its number, from 1.
    lines: Lines,
    has_lines: bool,
}

/// The line on which each row begins, as runs of rows with a line each: (row, line) of the first of
/// each run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    runs: Vec<(usize, u64)>,
}

/// How text files are to be read; other formats say it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Between cells; found from the text if it is not given.
    pub delimiter: Option<u8>,
    /// Where column names come from.
    pub header: Header,
    /// What the columns of arrays are called; `None` = after the file.
    pub arrays: Option<Arrays>,
}

/// Where the column names of a text file come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// Its first line.
    #[default]
    First,
    /// The columns are called "0", "1", …
    None,
    /// These; the file has no header line.
    Given(Vec<String>),
}

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text with a delimiter: `.csv`, `.tsv`, `.txt`, `.data` or no ending, plain or `.gz`.
    Csv,
    /// `.parquet`
    Parquet,
    /// `.npy`
    Npy,
    /// `.svm`, `.svmlight` or `.libsvm`, plain or `.gz`.
    Svmlight,
}

impl Format {
    /// The format of a file.
    ///
    /// # Errors
    /// 65 if no format has such names.
    pub fn of(path: &Path) -> anyhow::Result<Format> {
        let name =
            path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        let (bare, packed) = name.strip_suffix(".gz").map_or((&*name, false), |bare| (bare, true));
        match bare.rsplit_once('.').map_or("", |(_, ending)| ending) {
            "csv" | "tsv" | "txt" | "data" | "" => Ok(Format::Csv),
            "svm" | "svmlight" | "libsvm" => Ok(Format::Svmlight),
            "parquet" if !packed => Ok(Format::Parquet),
            "npy" if !packed => Ok(Format::Npy),
            ending => {
                let ending = format!("{ending}{}", if packed { ".gz" } else { "" });
                let hint =
                    "give .csv, .tsv, .txt, .svm or .libsvm, all plain or .gz, or .parquet or .npy";
                Err(Fault::data(
                    path.display(),
                    format!("no known format has the ending {}", quoted(&ending)),
                )
                .hint(hint)
                .into())
            }
        }
    }
}

/// Reads files of one format as one table.
///
/// # Errors
/// 66 if a file cannot be read or none is given; 65 if one is malformed, or the files have other
/// columns or formats; 78 if `options` cannot be.
pub fn read(paths: &[PathBuf], options: &Options) -> anyhow::Result<Raw> {
    let format = format_of(paths)?;
    if format == Format::Svmlight {
        return svmlight::read(paths);
    }
    let stem = stem(&paths[0]);
    let mut table = read_one(&paths[0], format, options, &stem)?;
    for path in &paths[1..] {
        table.append(read_one(path, format, options, &stem)?)?;
    }
    Ok(table)
}

/// The one format of some files.
///
/// # Errors
/// 65 if they have several, or one of none that is known.
pub fn format_of(paths: &[PathBuf]) -> anyhow::Result<Format> {
    let mut formats = Vec::with_capacity(paths.len());
    for path in paths {
        formats.push(Format::of(path)?);
        if let Some(first) = paths.first().filter(|_| formats.last() != formats.first()) {
            let found = format!("another format than that of {}", first.display());
            return Err(Fault::data(path.display(), found).hint("give files of one format").into());
        }
    }
    formats.pop().ok_or_else(|| {
        Fault::missing("data", "no file is given").hint("name at least one file").into()
    })
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

fn read_one(path: &Path, format: Format, options: &Options, stem: &str) -> anyhow::Result<Raw> {
    let (file, place) = (fault::open(path)?, path.display().to_string());
    let size = file.metadata().map_or(0, |found| found.len());
    match format {
        Format::Csv => text::read(file, &place, size, &options.of(path)),
        Format::Parquet => parquet::read(file, &place),
        Format::Npy => npy::read_as(file, &place, size, stem, options.arrays.as_ref()),
        Format::Svmlight => svmlight::read(&[path.to_path_buf()]),
    }
}

impl Options {
    /// The same for a file whose ending says what stands between its cells.
    pub(super) fn of(&self, path: &Path) -> Options {
        let tabs = path.to_string_lossy().to_lowercase().trim_end_matches(".gz").ends_with(".tsv");
        Options { delimiter: self.delimiter.or(tabs.then_some(b'\t')), ..self.clone() }
    }

    /// The same for an array of labels.
    pub(super) fn of_labels(&self) -> Options {
        let labels = |arrays: &Arrays| Arrays {
            features: arrays.labels.clone(),
            labels: arrays.labels.clone(),
        };
        let arrays = self.arrays.as_ref().filter(|arrays| !arrays.labels.is_empty()).map(labels);
        Options { arrays, ..self.clone() }
    }
}

/// What the columns of an array are called.
pub(super) fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

impl Raw {
    /// A table of one file. `lines` is absent where rows have none.
    ///
    /// # Errors
    /// 65 if there are no rows or more than 2^32, or a name is empty or there twice.
    pub fn new(
        place: &str,
        names: Vec<String>,
        columns: Vec<RawColumn>,
        lines: Option<Lines>,
    ) -> anyhow::Result<Raw> {
        let rows = columns.first().map_or(0, RawColumn::len);
        if rows == 0 {
            return Err(Fault::data(place, "the file has no rows")
                .hint("give a file with at least one row")
                .into());
        }
        check_names(place, &names)?;
        let has_lines = lines.is_some();
        let lines = lines.unwrap_or(Lines { runs: vec![(0, 1)] });
        let origins = vec![Origin { place: place.to_owned(), first: 0, lines, has_lines }];
        let (place, hashes, indices) = (place.to_owned(), Vec::new(), None);
        let table = Raw {
            place,
            hashes,
            names,
            columns,
            rows,
            sparse: false,
            delimiter: None,
            indices,
            origins,
        };
        table.check_rows()?;
        Ok(table)
    }

    /// Position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| n == name)
    }

    /// Where a row came from: `train.csv:1041`, or `train.npy: row 1040` (from 1) for formats
    /// without lines.
    pub fn locate(&self, row: usize) -> String {
        let at = self.origins.partition_point(|origin| origin.first <= row).saturating_sub(1);
        let Some(origin) = self.origins.get(at) else { return self.place.clone() };
        let line = origin.lines.of(row.saturating_sub(origin.first));
        if origin.has_lines {
            format!("{}:{line}", origin.place)
        } else {
            format!("{}: row {line}", origin.place)
        }
    }

    /// The same rows as those that follow the first so many of a file without lines.
    pub(super) fn behind(mut self, rows: usize) -> Raw {
        for origin in self.origins.iter_mut().filter(|origin| !origin.has_lines) {
            origin.lines = Lines { runs: vec![(0, rows as u64 + 1)] };
        }
        self
    }

    /// Some rows, ascending, of some columns; each says still where it came from.
    pub fn cut(&self, columns: &[usize], rows: &[u32]) -> Raw {
        let names = columns.iter().map(|&at| self.names[at].clone()).collect();
        let cells = columns.iter().map(|&at| self.columns[at].cut(rows)).collect();
        let mut origins: Vec<Origin> = Vec::new();
        for (at, &row) in rows.iter().enumerate() {
            let from = self
                .origins
                .partition_point(|origin| origin.first <= row as usize)
                .saturating_sub(1);
            let Some(origin) = self.origins.get(from) else { continue };
            if origins.last().is_none_or(|last| last.place != origin.place) {
                origins.push(Origin { first: at, lines: Lines::default(), ..origin.clone() });
            }
            if let Some(last) = origins.last_mut() {
                last.lines.push(at - last.first, origin.lines.of(row as usize - origin.first));
            }
        }
        let (place, sparse, indices) = (self.place.clone(), self.sparse, self.indices);
        let delimiter = self.delimiter;
        Raw {
            names,
            columns: cells,
            rows: rows.len(),
            origins,
            hashes: Vec::new(),
            place,
            sparse,
            delimiter,
            indices,
        }
    }

    /// Whether a column that is not there stands for zeros: one of an index, in a table that names
    /// only what occurs.
    pub fn is_zero(&self, name: &str) -> bool {
        self.sparse && name.parse::<u32>().is_ok()
    }

    /// Bytes of the cells in memory, about.
    pub fn bytes(&self) -> u64 {
        let of = |column: &RawColumn| match column {
            RawColumn::Texts(texts) => texts.text.len() + 4 * texts.len(),
            RawColumn::Numbers(numbers) => 8 * numbers.len(),
            RawColumn::Wholes(wholes) => 8 * wholes.len(),
        };
        self.columns.iter().map(|column| of(column) as u64).sum()
    }

    /// A cell as text: as it stood in the file, without blanks around it; a number in its shortest
    /// form; "" if it is blank.
    pub fn cell(&self, row: usize, column: usize) -> Cow<'_, str> {
        match self.columns.get(column) {
            Some(RawColumn::Texts(texts)) => Cow::Borrowed(texts.get(row)),
            Some(RawColumn::Numbers(numbers)) => {
                Cow::Owned(numbers.get(row).map(|&x| shortest(x)).unwrap_or_default())
            }
            Some(RawColumn::Wholes(wholes)) => {
                Cow::Owned(wholes.get(row).map(|n| n.to_string()).unwrap_or_default())
            }
            None => Cow::Borrowed(""),
        }
    }

    /// Puts the rows of another table below.
    ///
    /// # Errors
    /// 65 if its columns are not the same.
    pub fn append(&mut self, mut other: Raw) -> anyhow::Result<()> {
        self.widen(&mut other);
        self.shape().check_same(&other.shape())?;
        for (column, below) in self.columns.iter_mut().zip(other.columns) {
            match (column, below) {
                (RawColumn::Texts(texts), RawColumn::Texts(below)) => texts.append(&below),
                (RawColumn::Numbers(numbers), RawColumn::Numbers(below)) => numbers.extend(below),
                (RawColumn::Wholes(wholes), RawColumn::Wholes(below)) => wholes.append(&below),
                // `check_same` has seen to it that there is no other case.
                _ => {}
            }
        }
        for origin in other.origins {
            let first = origin.first + self.rows;
            match self.origins.last_mut().filter(|last| last.place == origin.place) {
                Some(last) => last.lines.append(first - last.first, origin.lines),
                None => self.origins.push(Origin { first, ..origin }),
            }
        }
        self.hashes.extend(other.hashes);
        self.rows += other.rows;
        self.place = several(self.origins.iter().map(|origin| origin.place.as_str()));
        self.check_rows()
    }

    /// Puts the columns of another table to the right; rows keep the places that they have here.
    ///
    /// # Errors
    /// 65 if it has another number of rows, or a name is in both.
    pub fn beside(mut self, other: Raw) -> anyhow::Result<Raw> {
        if other.rows != self.rows {
            let found = format!("{} rows, {} has {}", other.rows, self.place, self.rows);
            return Err(Fault::data(&other.place, found)
                .hint("give two files of the same rows")
                .into());
        }
        if let Some(name) = other.names.iter().find(|name| self.column(name).is_some()) {
            let found = format!("column {} is in {} too", quoted(name), self.place);
            return Err(Fault::data(&other.place, found)
                .hint("columns are called after their file: rename one of the two")
                .into());
        }
        self.place = format!("{}, {}", self.place, other.place);
        self.hashes.extend(other.hashes);
        self.names.extend(other.names);
        self.columns.extend(other.columns);
        Ok(self)
    }

    /// Says that the table came from several files: (file, first row, lines).
    pub(super) fn with_origins(mut self, origins: Vec<(String, usize, Lines)>) -> Raw {
        self.place = several(origins.iter().map(|(place, ..)| place.as_str()));
        self.origins = origins
            .into_iter()
            .map(|(place, first, lines)| Origin { place, first, lines, has_lines: true })
            .collect();
        self
    }

    /// Where one of two tables has whole numbers and the other has numbers with fractions, both get
    /// the latter.
    fn widen(&mut self, other: &mut Raw) {
        for (column, below) in self.columns.iter_mut().zip(&mut other.columns) {
            let kind = column.kind().wider(below.kind());
            column.widen(kind);
            below.widen(kind);
        }
    }

    fn check_rows(&self) -> anyhow::Result<()> {
        if u32::try_from(self.rows).is_err() {
            return Err(Fault::data(&self.place, "more than 2^32 rows")
                .hint("train on fewer rows")
                .into());
        }
        Ok(())
    }

    /// What its columns are.
    pub(super) fn shape(&self) -> Shape {
        let kinds = self.columns.iter().map(RawColumn::kind).collect();
        Shape { place: self.place.clone(), names: self.names.clone(), kinds }
    }

    /// Whole numbers of the columns of a shape that has fractions there become such.
    pub(super) fn fit_into(&mut self, shape: &Shape) {
        self.columns.iter_mut().zip(&shape.kinds).for_each(|(column, &kind)| column.widen(kind));
    }
}

/// What several files are called in messages.
pub(super) fn several<'a>(mut places: impl ExactSizeIterator<Item = &'a str>) -> String {
    let first = places.next().unwrap_or_default();
    if places.len() == 0 { first.to_owned() } else { format!("{first} and {} more", places.len()) }
}

/// Checks that no name is empty or there twice.
fn check_names(place: &str, names: &[String]) -> anyhow::Result<()> {
    let mut seen = HashSet::with_capacity(names.len());
    if names.iter().any(String::is_empty) {
        return Err(Fault::data(place, "a column has no name").hint("name it or remove it").into());
    }
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => Err(Fault::data(place, format!("column {} is there twice", quoted(name)))
            .hint("rename or remove one of them")
            .into()),
        None => Ok(()),
    }
}

impl RawColumn {
    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            RawColumn::Texts(texts) => texts.len(),
            RawColumn::Numbers(numbers) => numbers.len(),
            RawColumn::Wholes(wholes) => wholes.len(),
        }
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a wider kind. What no float holds is rounded to the nearest then, as numbers with
    /// fractions are.
    fn widen(&mut self, kind: Kind) {
        match (&mut *self, kind) {
            (RawColumn::Wholes(wholes), Kind::Wholes(width)) => {
                wholes.width = wholes.width.max(width)
            }
            (RawColumn::Wholes(wholes), Kind::Numbers) => {
                *self = RawColumn::Numbers(wholes.floats())
            }
            (RawColumn::Wholes(wholes), Kind::Text) if wholes.width == Width::Nothing => {
                *self = RawColumn::Texts(wholes.texts())
            }
            _ => {}
        }
    }

    fn cut(&self, rows: &[u32]) -> RawColumn {
        match self {
            RawColumn::Texts(texts) => {
                let mut cut = Texts::default();
                rows.iter().for_each(|&row| cut.push(texts.get(row as usize)));
                RawColumn::Texts(cut)
            }
            RawColumn::Numbers(numbers) => {
                RawColumn::Numbers(rows.iter().map(|&row| numbers[row as usize]).collect())
            }
            RawColumn::Wholes(wholes) => RawColumn::Wholes(wholes.cut(rows)),
        }
    }

    /// What its cells are.
    pub fn kind(&self) -> Kind {
        match self {
            RawColumn::Texts(_) => Kind::Text,
            RawColumn::Numbers(_) => Kind::Numbers,
            RawColumn::Wholes(wholes) => Kind::Wholes(wholes.width),
        }
    }
}

impl Texts {
    /// Cells from their bytes and ends; `None` if the bytes are not UTF-8.
    pub(super) fn from_parts(bytes: Vec<u8>, ends: Ends) -> Option<Texts> {
        Some(Texts { text: String::from_utf8(bytes).ok()?, ends })
    }

    /// The cell of a row; "" if there is no such row.
    pub fn get(&self, row: usize) -> &str {
        let start = row.checked_sub(1).map_or(Some(0), |before| self.ends.get(before));
        let range = start.zip(self.ends.get(row)).map(|(start, end)| start..end);
        range.and_then(|range| self.text.get(range)).unwrap_or_default()
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are no cells.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a cell, blanks around it removed.
    pub fn push(&mut self, cell: &str) {
        self.text.push_str(cell.trim());
        self.ends.push(self.text.len());
    }

    /// All cells in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|row| self.get(row))
    }

    fn append(&mut self, below: &Texts) {
        let start = self.text.len();
        self.text.push_str(&below.text);
        for row in 0..below.len() {
            self.ends.push(start + below.ends.get(row).unwrap_or_default());
        }
    }
}

impl Default for Ends {
    fn default() -> Ends {
        Ends::Short(Vec::new())
    }
}

impl Ends {
    /// Adds an end.
    #[inline]
    pub(super) fn push(&mut self, end: usize) {
        match (&mut *self, u32::try_from(end)) {
            (Ends::Short(ends), Ok(end)) => ends.push(end),
            (Ends::Short(ends), Err(_)) => {
                let mut long: Vec<u64> = ends.iter().map(|&end| u64::from(end)).collect();
                long.push(end as u64);
                *self = Ends::Long(long);
            }
            (Ends::Long(ends), _) => ends.push(end as u64),
        }
    }

    fn get(&self, at: usize) -> Option<usize> {
        match self {
            Ends::Short(ends) => ends.get(at).map(|&end| end as usize),
            Ends::Long(ends) => ends.get(at).map(|&end| end as usize),
        }
    }

    fn len(&self) -> usize {
        match self {
            Ends::Short(ends) => ends.len(),
            Ends::Long(ends) => ends.len(),
        }
    }
}

impl Lines {
    /// Notes the line of the next row.
    pub(super) fn push(&mut self, row: usize, line: u64) {
        let expected = self.runs.last().map(|&(first, start)| start + (row - first) as u64);
        if expected != Some(line) {
            self.runs.push((row, line));
        }
    }

    /// The lines of rows that follow, of which the first is row `first` here.
    fn append(&mut self, first: usize, below: Lines) {
        below.runs.into_iter().for_each(|(row, line)| self.push(first + row, line));
    }

    fn of(&self, row: usize) -> u64 {
        let run = self.runs.partition_point(|&(first, _)| first <= row).checked_sub(1);
        run.and_then(|at| self.runs.get(at)).map_or(0, |&(first, line)| line + (row - first) as u64)
    }
}

/// A number in the fewest digits that give it back; "" for NaN.
fn shortest(x: f64) -> String {
    let size = x.abs();
    if x.is_nan() {
        String::new()
    } else if size != 0.0 && !(1e-5..1e16).contains(&size) && x.is_finite() {
        format!("{x:e}")
    } else {
        x.to_string()
    }
}
