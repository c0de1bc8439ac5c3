//! Reads NumPy's `.npy`: a magic number, a version, a header that is a Python dictionary, then the
//! values. Read are versions 1 to 3, both byte orders, values by rows or by columns, and only
//! numbers and booleans.
//!
//! An array of one dimension is one column, called after the file. An array of two dimensions has
//! columns with the name of the file followed by "0", "1", …. NaN is a blank cell.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::data::read::files;
use crate::data::read::reader::{self, ArrayReader, Chunked};
use crate::data::read::stream::Stream;
use crate::data::table::arrays::Arrays;
use crate::data::table::options::{Options, stem};
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::shape::{CellKind, TableShape};
use crate::data::table::wholes::{Wholes, Width, exact};
use crate::fault::{Fault, quoted};

/// The largest header in bytes.
pub const MAX_HEADER: usize = 64 << 10;
/// The largest number of columns.
pub const MAX_WIDTH: usize = 1 << 20;
/// The size in bytes of the pieces in which values are read, at most.
const PIECE: usize = 256 << 10;

/// The contents of a header.
#[derive(Debug, PartialEq)]
struct ArrayHeader {
    /// The type of the values: `f`, `i`, `u` or `b`.
    kind: u8,
    /// Bytes of a value.
    size: usize,
    is_big: bool,
    columns_first: bool,
    shape: Vec<u64>,
}

/// The format `.npy` of NumPy.
pub struct Npy;

impl reader::Reader for Npy {
    fn endings(&self) -> &'static [&'static str] {
        &["npy"]
    }

    fn as_arrays(&self) -> Option<&dyn ArrayReader> {
        Some(self)
    }

    fn read(&self, path: &Path, stem: &str, options: &Options) -> anyhow::Result<Raw> {
        let (file, size) = files::open(path)?;
        read_as(file, &path.display().to_string(), size, stem, options.arrays.as_ref())
    }

    fn indivisible(&self, paths: &[PathBuf]) -> anyhow::Result<Option<&'static str>> {
        let mut by_rows = true;
        for path in paths {
            by_rows &= open_array(path, "")?.is_by_rows();
        }
        Ok((!by_rows).then_some("the array lies column by column"))
    }

    fn open(&self, path: &Path, stem: &str, options: &Options) -> anyhow::Result<Box<dyn Chunked>> {
        Ok(Box::new(open_named(path, stem, options)?))
    }
}

impl ArrayReader for Npy {
    fn column_names(&self, path: &Path, stem: &str) -> anyhow::Result<Vec<String>> {
        Ok(open_array(path, stem)?.names)
    }

    fn open_beside(&self, arrays: &[(PathBuf, Options)]) -> anyhow::Result<Box<dyn Chunked>> {
        Ok(Box::new(Beside::open(arrays)?))
    }
}

/// Opens an array; its columns get the names in the options, if there are some.
fn open_named(path: &Path, stem: &str, options: &Options) -> anyhow::Result<Array<File>> {
    let mut array = open_array(path, stem)?;
    options.arrays.as_ref().map_or(Ok(()), |arrays| array.name_columns(arrays))?;
    Ok(array)
}

/// Opens an array; its columns are called after `stem`.
fn open_array(path: &Path, stem: &str) -> anyhow::Result<Array<File>> {
    let (file, size) = files::open(path)?;
    Array::new(file, &path.display().to_string(), size, stem)
}

impl Chunked for Array<File> {
    fn shape(&self) -> TableShape {
        Array::shape(self)
    }

    fn chunk(&mut self, bytes: u64) -> anyhow::Result<Option<Raw>> {
        Array::chunk(self, self.rows_in(bytes))
    }
}

/// Reads a file of `size` bytes; its columns are called after `stem`.
///
/// # Errors
/// 66 if it cannot be read; 65 if it is not NPY of numbers in one or two dimensions, or its length
/// is not what the header states.
pub fn read(reader: impl Read, place: &str, size: u64, stem: &str) -> anyhow::Result<Raw> {
    read_as(reader, place, size, stem, None)
}

/// Reads a file of `size` bytes; its columns get the names in `arrays`, if these are given.
///
/// # Errors
/// The errors of [`read`]; 65 if there are more or fewer columns than names.
pub fn read_as(
    reader: impl Read,
    place: &str,
    size: u64,
    stem: &str,
    arrays: Option<&Arrays>,
) -> anyhow::Result<Raw> {
    let mut reader = Array::new(reader, place, size, stem)?;
    arrays.map_or(Ok(()), |arrays| reader.name_columns(arrays))?;
    let mut table = reader.chunk(reader.rows)?.ok_or_else(|| refused(place, "no values"))?;
    table.hashes.push(reader.finish()?);
    Ok(table)
}

/// An array that is read from its first row to its last, some rows at a time.
pub struct Array<R: Read> {
    /// Number of rows.
    pub rows: usize,
    stream: Stream<R>,
    layout: ArrayHeader,
    names: Vec<String>,
    /// Number of rows that were read.
    done: usize,
}

impl<R: Read> Array<R> {
    /// Number of rows that take about `bytes` bytes, at least one.
    fn rows_in(&self, bytes: u64) -> usize {
        (bytes / self.row_bytes().max(1) as u64).max(1) as usize
    }

    /// Reads the header of a file of `size` bytes; its columns are called after `stem`.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn new(reader: R, place: &str, size: u64, stem: &str) -> anyhow::Result<Array<R>> {
        let mut stream = Stream::plain(reader, place, size);
        let layout = header(&mut stream)?;
        let (rows, width) = layout.table().map_err(|found| refused(place, &found))?;
        let there = size.saturating_sub(stream.count);
        let expected =
            layout.shape.iter().fold(layout.size as u128, |product, &n| product * u128::from(n));
        if expected != u128::from(there) {
            let found = format!(
                "the header says {:?} values of {} bytes = {expected} bytes, the file holds \
                 {there}",
                layout.shape, layout.size
            );
            return Err(refused(place, &found).into());
        }
        let names = if layout.shape.len() == 1 {
            vec![stem.to_owned()]
        } else {
            (0..width).map(|i| format!("{stem}{i}")).collect()
        };
        Ok(Array { rows, stream, layout, names, done: 0 })
    }

    /// The file, for messages.
    pub fn place(&self) -> &str {
        &self.stream.place
    }

    /// Gives its columns the names that the training data had, by their places. A single array may
    /// lack the last columns, which can be labels; missing features are found elsewhere.
    ///
    /// # Errors
    /// 65 if there are more or fewer columns than names.
    pub fn name_columns(&mut self, arrays: &Arrays) -> anyhow::Result<()> {
        let (found, known) = (self.names.len(), arrays.features.len());
        if found > known || (found < known && !arrays.labels.is_empty()) {
            let place = &self.stream.place;
            let found =
                format!("the array has {found} columns, that of the training data has {known}");
            return Err(Fault::data(place, found)
                .hint("columns of arrays are known by their place: give as many in the same order")
                .into());
        }
        self.names = arrays.features[..found].to_vec();
        Ok(())
    }

    /// Names and kinds of its columns.
    pub(crate) fn shape(&self) -> TableShape {
        let kinds = vec![self.layout.kind(); self.names.len()];
        TableShape { place: self.stream.place.clone(), names: self.names.clone(), kinds }
    }

    /// Whether the values of a row are contiguous.
    pub fn is_by_rows(&self) -> bool {
        !self.layout.columns_first || self.names.len() == 1
    }

    /// Number of bytes of a row.
    pub fn row_bytes(&self) -> usize {
        self.names.len() * self.layout.size
    }

    /// The next `rows` rows at most, which must be all rows unless the array lies by rows. `None`
    /// at the end.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn chunk(&mut self, rows: usize) -> anyhow::Result<Option<Raw>> {
        let rows = rows.min(self.rows - self.done);
        if rows == 0 {
            return Ok(None);
        }
        let columns = values(&mut self.stream, &self.layout, rows, self.names.len(), self.done)?;
        let columns = columns.into_iter().map(|numbers| self.layout.column(numbers)).collect();
        let table =
            Raw::new(&self.stream.place, self.names.clone(), columns, None)?.behind(self.done);
        self.done += rows;
        Ok(Some(table))
    }

    /// Reads to the end; returns the place and the hash of the file.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn finish(self) -> anyhow::Result<(String, String)> {
        self.stream.finish()
    }
}

fn refused(place: &str, found: &str) -> Fault {
    Fault::data(place, found)
        .hint("expected what numpy.save writes for an array of numbers with one or two dimensions")
}

/// Reads the magic number, the version and the header.
fn header<R: Read>(stream: &mut Stream<R>) -> anyhow::Result<ArrayHeader> {
    let place = stream.place.clone();
    let fault = |found: &str| refused(&place, found);
    let mut start = [0; 12];
    let n = stream.fill(&mut start[..8])?;
    if start[..6] != *b"\x93NUMPY" {
        return Err(
            fault(&format!("not an NPY file: it begins {:02X?}", &start[..n.min(6)])).into()
        );
    }
    let width = match start[6] {
        1 => 2,
        2 | 3 => 4,
        other => return Err(fault(&format!("NPY version {other}, expected 1, 2 or 3")).into()),
    };
    let n = stream.fill(&mut start[8..8 + width])?;
    let length = u32::from_le_bytes([start[8], start[9], start[10], start[11]]) as usize;
    if n < width {
        return Err(fault("the file ends in its header").into());
    }
    if length > MAX_HEADER {
        return Err(fault(&format!("a header of {length} bytes, the limit is {MAX_HEADER}")).into());
    }
    let mut text = vec![0; length];
    if stream.fill(&mut text)? < length {
        return Err(fault("the file ends in its header").into());
    }
    let text = String::from_utf8_lossy(&text);
    parse(&text)
        .map_err(|found| fault(&format!("the header {}: {found}", quoted(text.trim()))).into())
}

/// Parses a header such as `{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse(text: &str) -> Result<ArrayHeader, String> {
    let mut header = HeaderText { rest: text };
    let (mut kind, mut order, mut shape) = (None, None, None);
    header.expect('{')?;
    while !header.take('}') {
        let key = header.string()?;
        header.expect(':')?;
        let twice = match key {
            "descr" => kind.replace(descr(&mut header)?).is_some(),
            "fortran_order" => order.replace(header.boolean()?).is_some(),
            "shape" => shape.replace(header.tuple()?).is_some(),
            _ => return Err(format!("the key {} is not known", quoted(key))),
        };
        if twice {
            return Err(format!("the key {} is there twice", quoted(key)));
        }
        if !header.take(',') {
            header.expect('}')?;
            break;
        }
    }
    if !header.rest.trim().is_empty() {
        return Err("there is something behind it".into());
    }
    let missing = |key: &str| format!("the key \"{key}\" is missing");
    let (is_big, kind, size) = kind.ok_or_else(|| missing("descr"))?;
    let (columns_first, shape) =
        (order.ok_or_else(|| missing("fortran_order"))?, shape.ok_or_else(|| missing("shape"))?);
    Ok(ArrayHeader { kind, size, is_big, columns_first, shape })
}

/// Parses the type of the values: whether they are big-endian, their kind and their size.
fn descr(header: &mut HeaderText<'_>) -> Result<(bool, u8, usize), String> {
    if header.rest.trim_start().starts_with('[') {
        return Err("values of several fields, expected numbers".into());
    }
    let text = header.string()?;
    let not_there = || {
        format!(
            "values of type {}, expected f2, f4, f8, i1, i2, i4, i8, u1, u2, u4, u8 or b1",
            quoted(text)
        )
    };
    let &[order, kind, size] = text.as_bytes() else { return Err(not_there()) };
    let known = match kind {
        b'f' => b"248".contains(&size),
        b'i' | b'u' => b"1248".contains(&size),
        b'b' => size == b'1',
        _ => false,
    };
    let ordered = matches!(order, b'<' | b'>' | b'=') || (order == b'|' && size == b'1');
    if !known || !ordered {
        return Err(not_there());
    }
    Ok((order == b'>', kind, usize::from(size - b'0')))
}

/// The part of a header that is not parsed yet.
struct HeaderText<'a> {
    rest: &'a str,
}

impl<'a> HeaderText<'a> {
    fn take(&mut self, c: char) -> bool {
        let rest = self.rest.trim_start().strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Result<(), String> {
        if self.take(c) {
            Ok(())
        } else {
            Err(format!("\"{c}\" is missing before {}", quoted(self.rest.trim())))
        }
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let rest = self.rest.trim_start();
        let quote = rest
            .chars()
            .next()
            .filter(|c| matches!(c, '\'' | '"'))
            .ok_or("a string in quotes is missing")?;
        let (text, rest) = rest[1..].split_once(quote).ok_or("a quote is never closed")?;
        self.rest = rest;
        Ok(text)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        let rest = self.rest.trim_start();
        let found = [("True", true), ("False", false)]
            .into_iter()
            .find_map(|(word, value)| Some((rest.strip_prefix(word)?, value)));
        let (rest, value) = found.ok_or("fortran_order is neither True nor False")?;
        self.rest = rest;
        Ok(value)
    }

    /// Parses numbers in parentheses. Python 2 wrote an L behind numbers.
    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        self.expect('(')?;
        let (inside, rest) = self.rest.split_once(')').ok_or("the shape is never closed")?;
        self.rest = rest;
        let inside = inside.trim();
        let mut numbers: Vec<&str> =
            if inside.is_empty() { Vec::new() } else { inside.split(',').map(str::trim).collect() };
        if numbers.len() > 1 && numbers.last() == Some(&"") {
            numbers.pop();
        }
        if numbers.len() > 32 {
            return Err(format!("{} dimensions", numbers.len()));
        }
        let number = |text: &str| {
            text.strip_suffix('L')
                .unwrap_or(text)
                .parse()
                .map_err(|_| format!("{} is not a size", quoted(text)))
        };
        numbers.into_iter().map(number).collect()
    }
}

impl ArrayHeader {
    /// Numbers of rows and columns.
    fn table(&self) -> Result<(usize, usize), String> {
        let (rows, width) = match self.shape[..] {
            [rows] => (rows, 1),
            [rows, width] => (rows, width),
            _ => {
                return Err(format!(
                    "{} dimensions, expected one or two: {:?}",
                    self.shape.len(),
                    self.shape
                ));
            }
        };
        if rows == 0 || width == 0 {
            return Err(format!("no values: the header says {:?}", self.shape));
        }
        if width > MAX_WIDTH as u64 {
            return Err(format!("{width} columns, the limit is {MAX_WIDTH}"));
        }
        if rows > u64::from(u32::MAX) {
            return Err(format!("{rows} rows, the limit is {}", u32::MAX));
        }
        Ok((rows as usize, width as usize))
    }

    /// The kind of the cells.
    fn kind(&self) -> CellKind {
        match (self.kind, self.size) {
            (b'f', _) => CellKind::Numbers,
            (b'u', 8) => CellKind::Wholes(Width::Unsigned),
            _ => CellKind::Wholes(Width::Signed),
        }
    }

    /// Makes a column of values.
    fn column(&self, numbers: Vec<f64>) -> RawColumn {
        match self.kind() {
            CellKind::Wholes(width) => RawColumn::Wholes(Wholes::of(width, &numbers)),
            _ => RawColumn::Numbers(numbers),
        }
    }

    /// Reads a value; `None` for a whole number that no f64 holds, or a boolean that is neither 0
    /// nor
    /// 1.
    fn value(&self, bytes: &[u8]) -> Option<f64> {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        if self.is_big {
            whole[..bytes.len()].reverse();
        }
        let bits = u64::from_le_bytes(whole);
        let unused = 64 - 8 * self.size as u32;
        match (self.kind, self.size) {
            (b'f', 2) => Some(half(bits as u16)),
            (b'f', 4) => Some(f64::from(f32::from_bits(bits as u32))),
            (b'f', _) => Some(f64::from_bits(bits)),
            (b'i', _) => exact(i128::from((bits << unused) as i64 >> unused)),
            (b'u', _) => exact(i128::from(bits)),
            _ => (bits < 2).then_some(bits as f64),
        }
    }
}

/// The value of a 16-bit float.
pub(crate) fn half(bits: u16) -> f64 {
    let (sign, exponent, fraction) =
        (bits >> 15, i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    };
    if sign == 1 { -size } else { size }
}

/// Reads `rows` rows into columns; `first` is the number of the first of these rows. The size of
/// the file was checked before.
fn values<R: Read>(
    stream: &mut Stream<R>,
    layout: &ArrayHeader,
    rows: usize,
    width: usize,
    first: usize,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let mut columns: Vec<Vec<f64>> = (0..width).map(|_| Vec::with_capacity(rows)).collect();
    // A line is what is contiguous in the file: a row, or a column.
    let line = if layout.columns_first { rows } else { width };
    let (total, mut done) = (rows * width, 0);
    let mut piece = vec![0; (PIECE / layout.size).min(total) * layout.size];
    while done < total {
        let wanted = (piece.len() / layout.size).min(total - done) * layout.size;
        if stream.fill(&mut piece[..wanted])? < wanted {
            return Err(refused(&stream.place, "the file ends within the values").into());
        }
        for bytes in piece[..wanted].chunks_exact(layout.size) {
            let (row, column) = if layout.columns_first {
                (done % line, done / line)
            } else {
                (done / line, done % line)
            };
            let value = layout
                .value(bytes)
                .ok_or_else(|| inexact(&stream.place, layout, first + row, column))?;
            columns[column].push(value);
            done += 1;
        }
    }
    Ok(columns)
}

/// The error for a value that cannot be read exactly.
fn inexact(place: &str, layout: &ArrayHeader, row: usize, column: usize) -> Fault {
    let place = format!("{place}: row {}, column {column}", row + 1);
    if layout.kind == b'b' {
        return Fault::data(place, "a boolean that is neither 0 nor 1")
            .hint("the file is damaged; write it again with numpy.save");
    }
    Fault::data(place, "a whole number beyond 2^53 that no 64-bit float holds").hint(
        "identifiers are no features: leave the column out, or save it as float64 if rounding \
         does no harm",
    )
}

/// An array of features and those of labels, which are read side by side.
pub struct Beside {
    arrays: Vec<Array<File>>,
}

impl Beside {
    /// Opens arrays, each with its options; the first has the features.
    ///
    /// # Errors
    /// 66 if one cannot be read; 65 if one is malformed, or they have different numbers of rows.
    pub fn open(arrays: &[(PathBuf, Options)]) -> anyhow::Result<Beside> {
        let open = |(path, options): &(PathBuf, Options)| open_named(path, &stem(path), options);
        let arrays: Vec<Array<File>> = arrays.iter().map(open).collect::<anyhow::Result<_>>()?;
        let (features, labels) = arrays.split_at(arrays.len().min(1));
        for (features, labels) in features.iter().flat_map(|f| labels.iter().map(move |l| (f, l))) {
            if labels.rows != features.rows {
                let (place, rows) = (features.place(), features.rows);
                let found = format!("{} rows, {place} has {rows}", labels.rows);
                let hint = "give two files of the same rows";
                return Err(Fault::data(labels.place(), found).hint(hint).into());
            }
        }
        Ok(Beside { arrays })
    }
}

impl Chunked for Beside {
    fn shape(&self) -> TableShape {
        self.arrays.first().map_or_else(TableShape::default, Array::shape)
    }

    fn chunk(&mut self, bytes: u64) -> anyhow::Result<Option<Raw>> {
        let rows = self.arrays.first().map_or(1, |features| features.rows_in(bytes));
        let mut whole: Option<Raw> = None;
        for array in &mut self.arrays {
            let Some(chunk) = array.chunk(rows)? else { return Ok(None) };
            whole = Some(match whole {
                Some(whole) => whole.beside(chunk)?,
                None => chunk,
            });
        }
        Ok(whole)
    }
}
