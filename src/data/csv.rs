//! CSV text: header, records, true line numbers. What the cells mean is decided in `columns` and `labels`.
//!
//! The whole text is held in memory, so its encoding is checked once and every place in it can be named; a record has a size limit, so
//! one quote that is never closed costs no more than that.

use std::cell::Cell;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use ::csv::{Reader, ReaderBuilder, StringRecord};

use super::bytes;
use crate::fault::{Fault, quoted};

/// Largest record in bytes.
pub const MAX_RECORD: usize = 16 << 20;
/// Most columns.
pub const MAX_COLUMNS: usize = 65_536;
/// Follows the text as a record of its own. NUL cannot occur in the text, so where it is missing an open quote has swallowed it.
const SENTINEL: &[u8] = b"\n\0\n";

/// A CSV file with its header read.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// Path, for messages.
    pub place: String,
    /// Column names, blanks around them removed.
    pub header: Vec<String>,
    /// BLAKE3 of the file in hex.
    pub hash: String,
    header_line: u64,
    text: String,
    delimiter: u8,
}

impl Sheet {
    /// Reads a CSV or CSV.gz file; the delimiter (comma, semicolon or tab) is the commonest in the header line.
    ///
    /// # Errors
    /// 66 if the file cannot be read; 65 if it is not UTF-8 text, or has no rows or no proper header.
    pub fn read(path: &Path) -> anyhow::Result<Sheet> {
        let place = path.display().to_string();
        Sheet::from_contents(place, bytes::read(path)?, None)
    }

    /// From bytes.
    pub fn from_contents(place: String, contents: bytes::Contents, given: Option<u8>) -> anyhow::Result<Sheet> {
        let text = decode(&place, contents.bytes)?;
        let delimiter = given.unwrap_or_else(|| delimiter(&text));
        let mut sheet = Sheet { place, header: Vec::new(), hash: contents.hash, header_line: 1, text, delimiter };
        let (mut records, mut record) = (sheet.raw(), StringRecord::new());
        let line = records.next(&mut record)?;
        let has_rows = line.is_some() && records.next(&mut StringRecord::new())?.is_some();
        let line = line.ok_or_else(|| empty(&sheet.place, "the file is empty"))?;
        sheet.header = record.iter().map(|name| name.trim().to_owned()).collect();
        sheet.header_line = line;
        sheet.check_header()?;
        if !has_rows {
            return Err(empty(&sheet.place, "the file has a header and no rows").into());
        }
        Ok(sheet)
    }

    /// Position of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|h| h == name)
    }

    /// The records below the header.
    ///
    /// # Errors
    /// Those of [`Records::next`].
    pub fn records(&self) -> anyhow::Result<Records<'_>> {
        let mut records = self.raw();
        records.next(&mut StringRecord::new())?;
        records.width = Some(self.header.len());
        Ok(records)
    }

    fn raw(&self) -> Records<'_> {
        let left = Rc::new(Cell::new(0));
        let limited = Limited { text: self.text.as_bytes().chain(SENTINEL), left: left.clone() };
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(self.delimiter).from_reader(limited);
        Records { place: &self.place, text: self.text.as_bytes(), reader, left, counted: 0, line: 1, width: None }
    }

    fn check_header(&self) -> anyhow::Result<()> {
        let place = format!("{}:{}", self.place, self.header_line);
        if self.header.len() > MAX_COLUMNS {
            let found = format!("the header has {} columns, the limit is {MAX_COLUMNS}", self.header.len());
            return Err(Fault::data(place, found).hint("keep the columns that are needed").into());
        }
        if let Some(i) = self.header.iter().position(String::is_empty) {
            let hint = "name it or remove it (pandas: to_csv(…, index=False)); a delimiter at the end of the header makes one too";
            return Err(Fault::data(place, format!("column {} of the header has no name", i + 1)).hint(hint).into());
        }
        let mut seen = std::collections::HashSet::new();
        match self.header.iter().find(|name| !seen.insert(name.as_str())) {
            Some(name) => Err(Fault::data(place, format!("column {} is in the header twice", quoted(name)))
                .hint("rename or remove one of them")
                .into()),
            None => Ok(()),
        }
    }
}

/// Walks over the records of a [`Sheet`].
pub struct Records<'a> {
    place: &'a str,
    text: &'a [u8],
    reader: Reader<Limited<'a>>,
    left: Rc<Cell<usize>>,
    /// Bytes of `text` whose line ends are counted in `line`.
    counted: usize,
    line: u64,
    width: Option<usize>,
}

impl Records<'_> {
    /// Reads the next record and returns the line on which it begins (from 1), or `None` at the end.
    ///
    /// # Errors
    /// 65 if the record is longer than [`MAX_RECORD`], has another number of cells than the header, or a quote in it is never closed.
    pub fn next(&mut self, record: &mut StringRecord) -> anyhow::Result<Option<u64>> {
        let start = self.reader.position().byte() as usize;
        let line = self.line_at(start);
        self.left.set(MAX_RECORD);
        let more =
            self.reader.read_record(record).map_err(|_| self.endless(line, format!("the record is longer than {MAX_RECORD} bytes")))?;
        let end = self.reader.position().byte() as usize;
        let is_sentinel = record.len() == 1 && &record[0] == "\0";
        if !more || is_sentinel {
            return Ok(None);
        }
        if end > self.text.len() + 1 {
            return Err(self.endless(line, "a quote in this record is never closed".into()).into());
        }
        match self.width {
            Some(width) if width != record.len() => Err(self.ragged(line, record.len(), width).into()),
            _ => Ok(Some(line)),
        }
    }

    /// The line of the first byte at or after `start` that is not a line end (the parser skips those).
    fn line_at(&mut self, start: usize) -> u64 {
        let skipped = self.text.iter().skip(start).take_while(|b| matches!(b, b'\n' | b'\r')).count();
        let begin = (start + skipped).min(self.text.len());
        self.line += line_ends(&self.text[..begin], self.counted);
        self.counted = begin;
        self.line
    }

    fn endless(&self, line: u64, found: String) -> Fault {
        Fault::data(format!("{}:{line}", self.place), found).hint("look for a quote \" without its partner on this line")
    }

    fn ragged(&self, line: u64, found: usize, expected: usize) -> Fault {
        let message = format!("{found} cells, the header has {expected}");
        Fault::data(format!("{}:{line}", self.place), message)
            .hint("every record needs one cell per column; quote cells that hold the delimiter")
    }
}

/// Hands out at most `left` bytes before it fails.
struct Limited<'a> {
    text: io::Chain<&'a [u8], &'a [u8]>,
    left: Rc<Cell<usize>>,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = buffer.len().min(self.left.get());
        if n == 0 {
            return Err(io::Error::other("record too long"));
        }
        let n = self.text.read(&mut buffer[..n])?;
        self.left.set(self.left.get() - n);
        Ok(n)
    }
}

/// Line ends in `text[from..]`: LF, CRLF, or CR alone.
fn line_ends(text: &[u8], from: usize) -> u64 {
    let ends = |i: usize| text[i] == b'\n' || (text[i] == b'\r' && text.get(i + 1) != Some(&b'\n'));
    (from..text.len()).filter(|&i| ends(i)).count() as u64
}

fn empty(place: &str, found: &str) -> Fault {
    Fault::data(place, found).hint("give a CSV file with a header line and at least one row")
}

/// Text without its byte order mark; a sentence for every other encoding.
fn decode(place: &str, mut bytes: Vec<u8>) -> anyhow::Result<String> {
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        bytes.drain(..3);
    }
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    if utf16 || matches!(bytes[..], [a, b, c, d, ..] if (a == 0) != (b == 0) && a.min(1) == c.min(1) && b.min(1) == d.min(1)) {
        let hint = "save it as UTF-8, or: iconv -f UTF-16 -t UTF-8 IN > OUT";
        return Err(Fault::data(place, "the text is UTF-16, expected UTF-8").hint(hint).into());
    }
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        let place = format!("{place}:{}", 1 + line_ends(&bytes[..at], 0));
        return Err(Fault::data(place, "a NUL byte, expected text").hint("the file is damaged or not a CSV file").into());
    }
    String::from_utf8(bytes).map_err(|e| {
        let (at, bytes) = (e.utf8_error().valid_up_to(), e.as_bytes());
        let place = format!("{place}:{}", 1 + line_ends(&bytes[..at], 0));
        let hint = "save the file as UTF-8; for Latin-1 text: iconv -f LATIN1 -t UTF-8 IN > OUT";
        Fault::data(place, format!("the byte 0x{:02X} is not UTF-8 text", bytes[at])).hint(hint).into()
    })
}

/// The commonest of comma, semicolon and tab outside quotes in the first line that is not blank; comma if there is none.
fn delimiter(text: &str) -> u8 {
    let line = text.split(['\n', '\r']).find(|line| !line.is_empty()).unwrap_or_default();
    let unquoted: String = line.split('"').step_by(2).collect();
    let count = |delimiter: &u8| unquoted.bytes().filter(|b| b == delimiter).count();
    // Of equals `max_by_key` takes the last, which is the comma.
    [b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}
