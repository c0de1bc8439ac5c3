//! Raw tables: names and columns as they came from files, before anything is known about their
//! meaning.
//!
//! A text column is one string with the ends of its cells, not a `String` per cell, so a table
//! takes about as much memory as its file. Several files are one table if their columns have the
//! same names in the same order.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use crate::data::table::shape::{CellKind, TableShape};
use crate::data::table::texts::Texts;
use crate::data::table::wholes::{Wholes, Width};
use crate::data::tokens::Written;
use crate::fault::{Fault, quoted};

/// The largest number of columns of a text or Parquet file.
pub const MAX_COLUMNS: usize = 65_536;

/// A table as it came from files.
#[derive(Clone, Debug)]
pub struct Raw {
    /// The files, for messages.
    pub place: String,
    /// (file, BLAKE3 in hex) of each file, in the order of reading.
    pub hashes: Vec<(String, String)>,
    /// Column names, all different and none empty.
    pub names: Vec<String>,
    /// One column per name, each of `rows` cells.
    pub columns: Vec<RawColumn>,
    /// Number of rows, 1 or more.
    pub rows: usize,
    /// Whether the file names only values that occur, as SVMlight does, so that a column that is
    /// not there stands for zeros.
    pub sparse: bool,
    /// The byte between the cells of a line; `None` if the format has no lines.
    pub delimiter: Option<u8>,
    /// The smallest and the largest index that occur, if columns are known by their indices.
    pub indices: Option<[u32; 2]>,
    /// What the user should know about how the files were read.
    pub notes: Vec<String>,
    /// The lines of sentences, if they were kept; else empty.
    pub written: Vec<Written>,
    /// Where rows came from, ascending by first row.
    origins: Vec<Origin>,
}

/// The cells of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum RawColumn {
    /// Texts without the blanks around them; a blank cell is "".
    Texts(Texts),
    /// Numbers; a blank cell is NaN.
    Numbers(Vec<f64>),
    /// Whole numbers, if the file states that the column holds no others.
    Wholes(Wholes),
}

/// Where the rows of one file are in the table.
#[derive(Clone, Debug)]
struct Origin {
    place: String,
    /// First row of the table that came from it.
    first: usize,
    /// The line on which each row stands, or the number of each row from 1 if rows have no lines.
    lines: Lines,
    has_lines: bool,
    /// The number of the part of a source that it belongs to; 0 without several sources.
    piece: usize,
}

/// The line on which each row begins. A run is a sequence of rows on consecutive lines; kept is the
/// (row, line) at which each run begins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    runs: Vec<(usize, u64)>,
}

impl Raw {
    /// A table of one file. `lines` is absent if rows have no lines.
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
        let origins =
            vec![Origin { place: place.to_owned(), first: 0, lines, has_lines, piece: 0 }];
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
            notes: Vec::new(),
            written: Vec::new(),
            origins,
        };
        table.check_rows()?;
        Ok(table)
    }

    /// A table of several files, each with its place, its first row, and the lines of its rows.
    ///
    /// # Errors
    /// The errors of [`Raw::new`].
    pub(crate) fn of_files(
        place: &str,
        names: Vec<String>,
        columns: Vec<RawColumn>,
        files: Vec<(String, usize, Lines)>,
    ) -> anyhow::Result<Raw> {
        let origin =
            |(place, first, lines)| Origin { place, first, lines, has_lines: true, piece: 0 };
        let origins = files.into_iter().map(origin).collect();
        Ok(Raw { origins, ..Raw::new(place, names, columns, None)? })
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

    /// Says that all rows belong to one piece: a part of one of several sources.
    pub(crate) fn of_piece(mut self, piece: usize) -> Raw {
        self.origins.iter_mut().for_each(|origin| origin.piece = piece);
        self
    }

    /// The pieces in the order of their rows, each with its number and its rows.
    pub(crate) fn pieces(&self) -> Vec<(usize, Range<usize>)> {
        let ends = self.origins.iter().skip(1).map(|origin| origin.first);
        let mut pieces: Vec<(usize, Range<usize>)> = Vec::new();
        for (origin, end) in self.origins.iter().zip(ends.chain([self.rows])) {
            match pieces.last_mut().filter(|(piece, _)| *piece == origin.piece) {
                Some((_, rows)) => rows.end = end,
                None => pieces.push((origin.piece, origin.first..end)),
            }
        }
        pieces
    }

    /// A table with these columns, each of its kind: the column at a position of this table, or
    /// blank cells.
    pub(crate) fn arranged(
        self,
        names: &[String],
        kinds: &[CellKind],
        picks: &[Option<usize>],
    ) -> Raw {
        let mut columns: Vec<Option<RawColumn>> = self.columns.into_iter().map(Some).collect();
        let mut column = |pick: Option<usize>, kind: CellKind| {
            let taken = pick.and_then(|at| columns.get_mut(at)?.take());
            let mut column = taken.unwrap_or_else(|| RawColumn::blank(self.rows));
            column.widen(kind);
            column
        };
        let columns = picks.iter().zip(kinds).map(|(&pick, &kind)| column(pick, kind)).collect();
        Raw { names: names.to_vec(), columns, ..self }
    }

    /// Adds blank columns of these names, where the table does not have them.
    pub(crate) fn with_blank(mut self, names: &[String]) -> Raw {
        for name in names {
            if self.column(name).is_none() {
                self.names.push(name.clone());
                self.columns.push(RawColumn::blank(self.rows));
            }
        }
        self
    }

    /// Says that these rows of a file without lines follow its first `rows` rows.
    pub(crate) fn behind(mut self, rows: usize) -> Raw {
        for origin in self.origins.iter_mut().filter(|origin| !origin.has_lines) {
            origin.lines = Lines { runs: vec![(0, rows as u64 + 1)] };
        }
        self
    }

    /// A table of some rows, ascending, and some columns. Rows keep the places that they came from.
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
            if origins.last().is_none_or(|last| !last.is_of(origin)) {
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
            notes: Vec::new(),
            written: Vec::new(),
        }
    }

    /// Whether a column that is not there stands for zeros: the table names only values that occur,
    /// and the name is an index.
    pub fn is_zero(&self, name: &str) -> bool {
        self.sparse && name.parse::<u32>().is_ok()
    }

    /// About how many bytes the cells take in memory.
    pub fn bytes(&self) -> u64 {
        let of = |column: &RawColumn| match column {
            RawColumn::Texts(texts) => texts.bytes(),
            RawColumn::Numbers(numbers) => 8 * numbers.len(),
            RawColumn::Wholes(wholes) => 8 * wholes.len(),
        };
        self.columns.iter().map(|column| of(column) as u64).sum()
    }

    /// A cell as text: a text as it stood in the file, without blanks around it; a number in its
    /// shortest form; a blank cell as "".
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
    /// 65 if its columns differ.
    pub fn append(&mut self, mut other: Raw) -> anyhow::Result<()> {
        self.widen(&mut other);
        self.shape().check_same(&other.shape())?;
        for (column, below) in self.columns.iter_mut().zip(other.columns) {
            match (column, below) {
                (RawColumn::Texts(texts), RawColumn::Texts(below)) => texts.append(&below),
                (RawColumn::Numbers(numbers), RawColumn::Numbers(below)) => numbers.extend(below),
                (RawColumn::Wholes(wholes), RawColumn::Wholes(below)) => wholes.append(&below),
                // `check_same` has excluded all other cases.
                _ => {}
            }
        }
        for origin in other.origins {
            let first = origin.first + self.rows;
            match self.origins.last_mut().filter(|last| last.is_of(&origin)) {
                Some(last) => last.lines.append(first - last.first, origin.lines),
                None => self.origins.push(Origin { first, ..origin }),
            }
        }
        self.hashes.extend(other.hashes);
        self.rows += other.rows;
        self.place = several(self.origins.iter().map(|origin| origin.place.as_str()));
        self.check_rows()
    }

    /// Puts the columns of another table to the right; rows keep the places of this table.
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

    /// Says that the table came from several files, each with (file, first row, lines).
    pub(crate) fn with_origins(mut self, origins: Vec<(String, usize, Lines)>) -> Raw {
        self.place = several(origins.iter().map(|(place, ..)| place.as_str()));
        self.origins = origins
            .into_iter()
            .map(|(place, first, lines)| Origin { place, first, lines, has_lines: true, piece: 0 })
            .collect();
        self
    }

    /// Gives each column of two tables the wider kind of the two: if one holds whole numbers and
    /// the other numbers with fractions, both become numbers with fractions.
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

    /// Names and kinds of its columns.
    pub(crate) fn shape(&self) -> TableShape {
        let kinds = self.columns.iter().map(RawColumn::kind).collect();
        TableShape { place: self.place.clone(), names: self.names.clone(), kinds }
    }

    /// Gives each column the kind that it has in `shape`, if that is a wider one.
    pub(crate) fn fit_into(&mut self, shape: &TableShape) {
        self.columns.iter_mut().zip(&shape.kinds).for_each(|(column, &kind)| column.widen(kind));
    }
}

/// A name for several files, for messages.
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

impl Origin {
    /// Whether rows of another one are of the same file.
    fn is_of(&self, other: &Origin) -> bool {
        self.place == other.place && self.piece == other.piece
    }
}

impl RawColumn {
    /// A column of blank cells, which may be of any kind.
    fn blank(rows: usize) -> RawColumn {
        let mut cells = Wholes::new(Width::Nothing);
        (0..rows).for_each(|_| cells.push(None));
        RawColumn::Wholes(cells)
    }

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

    /// Takes a wider kind. A whole number that no float holds is then rounded to the nearest float.
    fn widen(&mut self, kind: CellKind) {
        match (&mut *self, kind) {
            (RawColumn::Wholes(wholes), CellKind::Wholes(width)) => {
                wholes.width = wholes.width.max(width)
            }
            (RawColumn::Wholes(wholes), CellKind::Numbers) => {
                *self = RawColumn::Numbers(wholes.floats())
            }
            (RawColumn::Wholes(wholes), CellKind::Text) if wholes.width == Width::Nothing => {
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

    /// The kind of its cells.
    pub fn kind(&self) -> CellKind {
        match self {
            RawColumn::Texts(_) => CellKind::Text,
            RawColumn::Numbers(_) => CellKind::Numbers,
            RawColumn::Wholes(wholes) => CellKind::Wholes(wholes.width),
        }
    }
}

impl Lines {
    /// Notes the line of row `row`, which follows the rows before it.
    pub(crate) fn push(&mut self, row: usize, line: u64) {
        let expected = self.runs.last().map(|&(first, start)| start + (row - first) as u64);
        if expected != Some(line) {
            self.runs.push((row, line));
        }
    }

    /// Appends the lines of further rows, the first of which is row `first` here.
    fn append(&mut self, first: usize, below: Lines) {
        below.runs.into_iter().for_each(|(row, line)| self.push(first + row, line));
    }

    /// The line of a row.
    fn of(&self, row: usize) -> u64 {
        let run = self.runs.partition_point(|&(first, _)| first <= row).checked_sub(1);
        run.and_then(|at| self.runs.get(at)).map_or(0, |&(first, line)| line + (row - first) as u64)
    }
}

/// A number with the fewest digits from which it can be read back; "" for NaN.
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
