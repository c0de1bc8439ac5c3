//! Raw tables: names and columns as they came from files, before anything is known of what they
//! mean.
//!
//! A text column is one string with the ends of its cells, not a `String` per cell, so a table
//! takes about as much memory as its file. Several files are one table if their columns have the
//! same names in the same order.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::data::table::shape::{Kind, Shape};
use crate::data::table::texts::Texts;
use crate::data::table::wholes::{Wholes, Width};
use crate::fault::{Fault, quoted};

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
    pub(crate) fn behind(mut self, rows: usize) -> Raw {
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
            RawColumn::Texts(texts) => texts.bytes(),
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
    pub(crate) fn with_origins(mut self, origins: Vec<(String, usize, Lines)>) -> Raw {
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
    pub(crate) fn shape(&self) -> Shape {
        let kinds = self.columns.iter().map(RawColumn::kind).collect();
        Shape { place: self.place.clone(), names: self.names.clone(), kinds }
    }

    /// Whole numbers of the columns of a shape that has fractions there become such.
    pub(crate) fn fit_into(&mut self, shape: &Shape) {
        self.columns.iter_mut().zip(&shape.kinds).for_each(|(column, &kind)| column.widen(kind));
    }
}

/// What several files are called in messages.
pub(crate) fn several<'a>(mut places: impl ExactSizeIterator<Item = &'a str>) -> String {
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

impl Lines {
    /// Notes the line of the next row.
    pub(crate) fn push(&mut self, row: usize, line: u64) {
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
