//! Reads text with a delimiter, such as CSV, in one pass over a window; cells are copied straight
//! into their columns.
//!
//! Quotes follow RFC 4180, and beyond it the `csv` crate: a quote opens a quoted cell only at the
//! beginning of a cell, text behind a closing quote is taken as it stands, and empty lines are
//! skipped.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use crate::data::read::files;
use crate::data::read::reader::{self, Chunked};
use crate::data::read::stream::{Window, line_ends};
use crate::data::table::index;
use crate::data::table::options::{Header, Options};
use crate::data::table::raw::{Lines, MAX_COLUMNS, Raw, RawColumn};
use crate::data::table::shape::{CellKind, TableShape};
use crate::data::table::texts::{Ends, Texts};
use crate::data::value::notation::Notation;
use crate::fault::{Fault, quoted};

/// The largest record in bytes.
pub const MAX_RECORD: usize = 16 << 20;
/// The delimiters that are looked for. If several fit equally well, the last is taken.
const DELIMITERS: [u8; 4] = [b'|', b'\t', b';', b','];
/// Number of records that are looked at to find the delimiter.
const SAMPLE: usize = 8;

/// Where a cell lies in the scanned text.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: u32,
    /// Whether it holds quotes that have to be removed.
    escaped: bool,
}

/// A record in the scanned text.
#[derive(Default)]
struct Record {
    /// The first `limit` cells at most.
    spans: Vec<Span>,
    /// The largest number of cells that are kept.
    limit: usize,
    /// Number of all cells.
    cells: usize,
    /// Number of bytes, with the line end.
    len: usize,
    /// Number of line ends.
    lines: u64,
}

/// How a scan ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scan {
    /// The record is complete.
    Whole,
    /// The record goes on behind the text, outside of quotes.
    Cut,
    /// The record goes on behind the text, within quotes.
    CutInQuotes,
}

/// The cells of a column as they are read.
#[derive(Default)]
struct ColumnBuilder {
    bytes: Vec<u8>,
    ends: Ends,
}

/// The format of text with a delimiter: comma, semicolon, tab or bar.
pub struct Text;

impl reader::Reader for Text {
    fn endings(&self) -> &'static [&'static str] {
        &["csv", "tsv", "txt", "data", ""]
    }

    fn may_be_gzip(&self) -> bool {
        true
    }

    fn read(&self, path: &Path, _stem: &str, options: &Options) -> anyhow::Result<Raw> {
        let (file, size) = files::open(path)?;
        read(file, &path.display().to_string(), size, &for_file(options, path))
    }

    fn open(
        &self,
        path: &Path,
        _stem: &str,
        options: &Options,
    ) -> anyhow::Result<Box<dyn Chunked>> {
        let (file, size) = files::open(path)?;
        let place = path.display().to_string();
        Ok(Box::new(TextChunks::new(file, &place, size, &for_file(options, path))?))
    }
}

/// The options for a file: the ending `.tsv` states that tabs are the delimiter.
fn for_file(options: &Options, path: &Path) -> Options {
    let tabs = path.to_string_lossy().to_lowercase().trim_end_matches(".gz").ends_with(".tsv");
    Options { delimiter: options.delimiter.or(tabs.then_some(b'\t')), ..options.clone() }
}

/// Reads a table. `size` is the size of the file, or 0 if it is not known.
///
/// # Errors
/// 66 if it cannot be read; 65 if it is not UTF-8 text, has no proper header or no rows, or a
/// record is malformed; 78 if `options` are impossible.
pub fn read(reader: impl Read, place: &str, size: u64, options: &Options) -> anyhow::Result<Raw> {
    let mut reader = TextChunks::new(reader, place, size, options)?;
    let mut raw =
        reader.chunk(u64::MAX)?.ok_or_else(|| empty(place, "the file has a header and no rows"))?;
    raw.hashes.push(reader.finish()?);
    Ok(raw)
}

/// A table that is read from its first row to its last, some rows at a time.
pub struct TextChunks<R: Read> {
    place: String,
    window: Window<R>,
    delimiter: u8,
    names: Vec<String>,
    record: Record,
    is_empty: bool,
}

impl<R: Read> Chunked for TextChunks<R> {
    fn shape(&self) -> TableShape {
        TextChunks::shape(self)
    }

    fn chunk(&mut self, bytes: u64) -> anyhow::Result<Option<Raw>> {
        TextChunks::chunk(self, bytes)
    }
}

impl<R: Read> TextChunks<R> {
    /// Reads the header. `size` is the size of the file, or 0 if it is not known.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn new(
        reader: R,
        place: &str,
        size: u64,
        options: &Options,
    ) -> anyhow::Result<TextChunks<R>> {
        check_options(options)?;
        let mut window = Window::new(reader, place, size)?;
        window.pass_line_ends();
        let delimiter =
            options.delimiter.unwrap_or_else(|| delimiter(window.text(), window.ended()));
        let mut record = Record { limit: MAX_COLUMNS + 1, ..Record::default() };
        if !next(&mut window, delimiter, &mut record)? {
            return Err(empty(place, "the file is empty").into());
        }
        let names = names(&window, delimiter, &record, &options.header)?;
        if options.header == Header::First {
            window.pass(record.len, record.lines);
        }
        record.limit = names.len();
        Ok(TextChunks { place: place.to_owned(), window, delimiter, names, record, is_empty: true })
    }

    /// Names and kinds of its columns.
    pub(crate) fn shape(&self) -> TableShape {
        TableShape {
            place: self.place.clone(),
            names: self.names.clone(),
            kinds: vec![CellKind::Text; self.names.len()],
        }
    }

    /// The next rows, from about `bytes` bytes of text, and at least one row; `None` at the end.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn chunk(&mut self, bytes: u64) -> anyhow::Result<Option<Raw>> {
        let columns = self.names.iter().map(|_| ColumnBuilder::default()).collect();
        let (mut table, mut passed) =
            (TableBuilder { columns, lines: Lines::default(), rows: 0 }, 0);
        while passed < bytes && next(&mut self.window, self.delimiter, &mut self.record)? {
            table.push(&self.window, &self.record)?;
            self.window.pass(self.record.len, self.record.lines);
            passed += self.record.len as u64;
        }
        if table.rows == 0 {
            let fault = || empty(&self.place, "the file has a header and no rows");
            return if self.is_empty { Err(fault().into()) } else { Ok(None) };
        }
        self.is_empty = false;
        let columns = table.finish(&self.place)?;
        let mut raw = Raw::new(
            &self.place,
            self.names.clone(),
            columns,
            Some(std::mem::take(&mut table.lines)),
        )?;
        raw.delimiter = Some(self.delimiter);
        Ok(Some(raw))
    }

    /// Reads to the end; returns the place and the hash of the file.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn finish(self) -> anyhow::Result<(String, String)> {
        self.window.finish()
    }
}

/// The columns of a table as they are read.
struct TableBuilder {
    columns: Vec<ColumnBuilder>,
    lines: Lines,
    rows: usize,
}

impl TableBuilder {
    /// Adds the record at which the window stands.
    fn push<R: Read>(&mut self, window: &Window<R>, record: &Record) -> anyhow::Result<()> {
        if record.cells != self.columns.len() {
            return Err(ragged(&window.place(), record.cells, self.columns.len()).into());
        }
        let text = window.text();
        for (column, &span) in self.columns.iter_mut().zip(&record.spans) {
            column.push(text, span);
        }
        self.lines.push(self.rows, window.line());
        self.rows += 1;
        Ok(())
    }

    fn finish(&mut self, place: &str) -> anyhow::Result<Vec<RawColumn>> {
        let columns = std::mem::take(&mut self.columns).into_iter();
        let texts = columns
            .map(|column| Texts::from_parts(column.bytes, column.ends).map(RawColumn::Texts));
        // Every cell was cut from checked text at ASCII characters, so it is UTF-8.
        let whole: Option<Vec<RawColumn>> = texts.collect();
        whole.ok_or_else(|| {
            Fault::data(place, "a cell is not UTF-8 text").hint("save the file as UTF-8").into()
        })
    }
}

impl ColumnBuilder {
    /// Adds a cell without the blanks around it.
    #[inline]
    fn push(&mut self, text: &[u8], span: Span) {
        let cell = text[span.start as usize..span.end as usize].trim_ascii();
        // A byte that is not ASCII may belong to a blank of Unicode.
        let is_edge = |byte: Option<&u8>| byte.is_none_or(|b| b.is_ascii_graphic());
        if !span.escaped && is_edge(cell.first()) && is_edge(cell.last()) {
            self.bytes.extend_from_slice(cell);
        } else {
            let cell = &text[span.start as usize..span.end as usize];
            self.bytes.extend_from_slice(plain(cell, span.escaped).trim().as_bytes());
        }
        self.ends.push(self.bytes.len());
    }
}

/// Scans the next record, and reads on if necessary. Returns `false` at the end. The window then
/// stands at the record.
fn next<R: Read>(
    window: &mut Window<R>,
    delimiter: u8,
    record: &mut Record,
) -> anyhow::Result<bool> {
    loop {
        window.pass_line_ends();
        let (there, ended) = (window.text().len(), window.ended());
        let scan =
            if there == 0 { Scan::Cut } else { record.scan(window.text(), delimiter, ended) };
        if (if scan == Scan::Whole { record.len } else { there }) > MAX_RECORD {
            return Err(endless(
                &window.place(),
                &format!("the record is longer than {MAX_RECORD} bytes"),
            )
            .into());
        }
        match scan {
            Scan::Whole => return Ok(true),
            Scan::Cut if ended => return Ok(false),
            Scan::CutInQuotes if ended => {
                return Err(
                    endless(&window.place(), "a quote in this record is never closed").into()
                );
            }
            Scan::Cut | Scan::CutInQuotes => window.more()?,
        }
    }
}

impl Record {
    /// Scans the record at the beginning of a text; `ended` says whether nothing follows the text.
    fn scan(&mut self, text: &[u8], delimiter: u8, ended: bool) -> Scan {
        self.spans.clear();
        (self.cells, self.lines) = (0, 0);
        let mut at = 0;
        loop {
            let end = if text.get(at) == Some(&b'"') {
                match self.quoted_cell(text, at, delimiter, ended) {
                    Ok(end) => end,
                    Err(cut) => return cut,
                }
            } else {
                let end = cell_end(text, at, delimiter);
                self.push(at, end, false);
                end
            };
            match text.get(end) {
                Some(&byte) if byte == delimiter => at = end + 1,
                Some(_) => {
                    (self.len, self.lines) = (end + 1, self.lines + 1);
                    return Scan::Whole;
                }
                None if ended => {
                    self.len = end;
                    return Scan::Whole;
                }
                None => return Scan::Cut,
            }
        }
    }

    /// Scans a cell whose opening quote is at `open`; returns the position of its end.
    fn quoted_cell(
        &mut self,
        text: &[u8],
        open: usize,
        delimiter: u8,
        ended: bool,
    ) -> Result<usize, Scan> {
        let (start, mut at, mut escaped) = (open + 1, open + 1, false);
        loop {
            let quote = at + text[at..].iter().position(|&b| b == b'"').ok_or(Scan::CutInQuotes)?;
            match text.get(quote + 1) {
                Some(b'"') => (escaped, at) = (true, quote + 2),
                None if !ended => return Err(Scan::Cut),
                Some(&byte) if byte != delimiter && byte != b'\n' && byte != b'\r' => {
                    let end = cell_end(text, quote + 1, delimiter);
                    self.lines += line_ends(&text[start..quote], false);
                    self.push(start, end, true);
                    return Ok(end);
                }
                _ => {
                    self.lines += line_ends(&text[start..quote], false);
                    self.push(start, quote, escaped);
                    return Ok(quote + 1);
                }
            }
        }
    }

    #[inline]
    fn push(&mut self, start: usize, end: usize, escaped: bool) {
        if self.cells < self.limit {
            self.spans.push(Span { start: start as u32, end: end as u32, escaped });
        }
        self.cells += 1;
    }
}

/// The end of the cell at `at`: the position of the first delimiter, LF or CR from there, or the
/// end of the text. Eight bytes are looked at together.
#[inline]
fn cell_end(text: &[u8], mut at: usize, delimiter: u8) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The lowest bit that is set marks the first byte that is zero; higher bits may be wrong.
    let zeros = |eight: u64| eight.wrapping_sub(ONES) & !eight & (ONES << 7);
    while let Some(bytes) = text.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let eight = u64::from_le_bytes(*bytes);
        let delimiters = zeros(eight ^ (ONES * u64::from(delimiter)));
        let found = delimiters
            | zeros(eight ^ (ONES * u64::from(b'\n')))
            | zeros(eight ^ (ONES * u64::from(b'\r')));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = text.get(at..).unwrap_or_default();
    at + rest.iter().position(|&b| b == delimiter || b == b'\n' || b == b'\r').unwrap_or(rest.len())
}

/// A cell as text. If quotes have to be removed, the cell begins behind its opening quote.
fn plain(cell: &[u8], escaped: bool) -> String {
    if !escaped {
        return String::from_utf8_lossy(cell).into_owned();
    }
    let mut out = Vec::with_capacity(cell.len());
    let mut rest = cell;
    while let Some(quote) = rest.iter().position(|&b| b == b'"') {
        out.extend_from_slice(&rest[..quote]);
        let twice = rest.get(quote + 1) == Some(&b'"');
        rest = &rest[quote + 1 + usize::from(twice)..];
        if !twice {
            break;
        }
        out.push(b'"');
    }
    out.extend_from_slice(rest);
    String::from_utf8_lossy(&out).into_owned()
}

/// The names of the columns, from the first record, at which the window stands.
fn names<R: Read>(
    window: &Window<R>,
    delimiter: u8,
    record: &Record,
    header: &Header,
) -> anyhow::Result<Vec<String>> {
    let place = window.place();
    if record.cells > MAX_COLUMNS {
        let found = format!("the header has {} columns, the limit is {MAX_COLUMNS}", record.cells);
        return Err(Fault::data(place, found).hint("keep the columns that are needed").into());
    }
    let cell = |span: &Span| {
        plain(&window.text()[span.start as usize..span.end as usize], span.escaped)
            .trim()
            .to_owned()
    };
    let mut names: Vec<String> = match header {
        Header::None => (0..record.cells).map(|i| i.to_string()).collect(),
        Header::Given(names) if names.len() != record.cells => {
            let found = format!("{} cells, {} names are given", record.cells, names.len());
            return Err(Fault::data(place, found).hint("give one name per column").into());
        }
        Header::Given(names) => names.clone(),
        Header::First => record.spans.iter().map(cell).collect(),
    };
    let behind = &window.text()[record.len.min(window.text().len())..];
    if names.len() > 1 && names[0].is_empty() && counts(behind, delimiter, window.ended()) {
        names[0] = index::unnamed(&names);
    }
    if let Some(i) = names.iter().position(String::is_empty) {
        let hint = "name it or remove it (pandas: to_csv(…, index=False)); a delimiter at the end \
                    of the header makes one too";
        return Err(Fault::data(place, format!("column {} of the header has no name", i + 1))
            .hint(hint)
            .into());
    }
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.as_str())) {
        Some(name) => {
            let found = format!("column {} is in the header twice", quoted(name));
            Err(Fault::data(place, found)
                .hint("rename or remove one of them; if the file has no header line, say so")
                .into())
        }
        None => Ok(names),
    }
}

/// The delimiter of a text: among those that give all of the first records the same number of
/// cells, the one with the largest share of numbers, in any notation, among its cells, so that
/// decimal commas are no delimiters. Of several such, it is the one that gives the first record
/// most cells.
fn delimiter(text: &[u8], ended: bool) -> u8 {
    let rate = |&delimiter: &u8| {
        let (cells, numbers) = sample(text, delimiter, ended);
        let first = cells.first().copied().unwrap_or_default();
        let is_even = first > 1 && cells.iter().all(|&n| n == first);
        let all: usize = cells.iter().sum();
        (is_even, if is_even { 1000 * numbers / all.max(1) } else { 0 }, first)
    };
    DELIMITERS.into_iter().max_by_key(rate).unwrap_or(b',')
}

/// The number of cells of each of the first records, and how many of all these cells are numbers.
fn sample(text: &[u8], delimiter: u8, ended: bool) -> (Vec<usize>, usize) {
    let mut record = Record { limit: MAX_COLUMNS, ..Record::default() };
    let (mut cells, mut numbers, mut at) = (Vec::new(), 0, 0);
    let is_number = |cell: &str| Notation::ALL.iter().any(|notation| notation.read(cell).is_some());
    while cells.len() < SAMPLE {
        at += text[at..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        if at == text.len() {
            break;
        }
        let scan = record.scan(&text[at..], delimiter, ended);
        if scan == Scan::Whole || cells.is_empty() {
            cells.push(record.cells);
            let cell = |span: &Span| {
                plain(&text[at..][span.start as usize..span.end as usize], span.escaped)
            };
            numbers += record.spans.iter().filter(|span| is_number(cell(span).trim())).count();
        }
        if scan != Scan::Whole {
            break;
        }
        at += record.len;
    }
    (cells, numbers)
}

/// Whether the first cells of the first records are whole numbers that all differ.
fn counts(text: &[u8], delimiter: u8, ended: bool) -> bool {
    let (mut record, mut seen, mut at) =
        (Record { limit: 1, ..Record::default() }, HashSet::new(), 0);
    while seen.len() < SAMPLE {
        at += text[at..].iter().take_while(|b| matches!(b, b'\n' | b'\r')).count();
        if at == text.len() || record.scan(&text[at..], delimiter, ended) != Scan::Whole {
            break;
        }
        let cell = record.spans.first().map(|span| {
            plain(&text[at + span.start as usize..at + span.end as usize], span.escaped)
        });
        if !cell
            .and_then(|cell| cell.trim().parse::<i64>().ok())
            .is_some_and(|number| seen.insert(number))
        {
            return false;
        }
        at += record.len;
    }
    !seen.is_empty()
}

/// Checks that the delimiter is possible.
fn check_options(options: &Options) -> anyhow::Result<()> {
    match options.delimiter {
        Some(byte) if !byte.is_ascii() || matches!(byte, b'"' | b'\n' | b'\r' | 0) => {
            let found = format!("the byte 0x{byte:02X} cannot be a delimiter");
            Err(Fault::config("delimiter", found)
                .hint("give one ASCII character, such as \",\", \";\", \"|\" or \"\\t\"")
                .into())
        }
        _ => Ok(()),
    }
}

fn empty(place: &str, found: &str) -> Fault {
    Fault::data(place, found).hint("give a CSV file with a header line and at least one row")
}

fn endless(place: &str, found: &str) -> Fault {
    Fault::data(place, found).hint("look for a quote \" without its partner on this line")
}

fn ragged(place: &str, found: usize, expected: usize) -> Fault {
    let hint = "every record needs one cell per column; quote cells that hold the delimiter";
    Fault::data(place, format!("{found} cells, the header has {expected}")).hint(hint)
}
