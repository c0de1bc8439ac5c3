//! Writes tables as Parquet: texts, numbers and whole numbers, in plain encoding and uncompressed.
//! Rows are written a group at a time, so that memory does not grow with them.

use std::io::{Result, Write};

use crate::data::table::shape::CellKind;
use crate::data::table::wholes::Width;

const MAGIC: &[u8; 4] = b"PAR1";
/// The number of rows at which a group ends …
const ROWS: usize = 1 << 16;
/// … or of bytes, whichever comes first.
const BYTES: usize = 16 << 20;
/// Physical types, as Parquet numbers them.
const LONG: i64 = 2;
const DOUBLE: i64 = 5;
const TEXT: i64 = 6;
/// Converted types, as Parquet numbers them: the meaning of values of a physical type.
const UTF8: i64 = 0;
const UNSIGNED: i64 = 14;

/// A structure that is being written in Thrift's compact protocol.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
    /// The number of the last field of each open structure.
    last: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut n: u64) {
        while n >= 128 {
            self.bytes.push(n as u8 | 128);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    /// Begins a field. Within a structure, the numbers of fields ascend.
    fn field(&mut self, id: u8, kind: u8) {
        if let Some(last) = self.last.last_mut() {
            self.bytes.push((id - *last) << 4 | kind);
            *last = id;
        }
    }

    fn zigzag(&mut self, n: i64) {
        self.varint(((n << 1) ^ (n >> 63)) as u64);
    }

    fn int(&mut self, id: u8, n: i64) {
        self.field(id, 5);
        self.zigzag(n);
    }

    fn long(&mut self, id: u8, n: i64) {
        self.field(id, 6);
        self.zigzag(n);
    }

    fn bytes(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.bytes.extend(text.as_bytes());
    }

    fn text(&mut self, id: u8, text: &str) {
        self.field(id, 8);
        self.bytes(text);
    }

    /// Begins a list of elements of one kind.
    fn list(&mut self, id: u8, kind: u8, length: usize) {
        self.field(id, 9);
        if length < 15 {
            self.bytes.push((length as u8) << 4 | kind);
        } else {
            self.bytes.push(0xF0 | kind);
            self.varint(length as u64);
        }
    }

    fn structure(&mut self, write: impl FnOnce(&mut Message)) {
        self.last.push(0);
        write(self);
        self.last.pop();
        self.bytes.push(0);
    }
}

/// Where the page of a column in a group of rows lies.
struct ColumnChunk {
    start: u64,
    length: u64,
}

/// A group of rows, with the chunk of each column.
struct Group {
    rows: usize,
    chunks: Vec<ColumnChunk>,
}

/// A column and its values that are not written yet.
struct PendingColumn {
    name: String,
    kind: CellKind,
    values: Vec<u8>,
    /// For a column of whole numbers, which rows have a number: one bit per row, lowest bit first.
    there: Vec<u8>,
}

impl PendingColumn {
    /// Its physical type. Whole numbers of more than 64 bits become text, which keeps every digit.
    fn physical(&self) -> i64 {
        match self.kind {
            CellKind::Numbers => DOUBLE,
            CellKind::Wholes(Width::Nothing | Width::Signed | Width::Unsigned) => LONG,
            CellKind::Text | CellKind::Wholes(Width::Wide) => TEXT,
        }
    }

    /// Whether cells may be null.
    fn is_optional(&self) -> bool {
        self.physical() == LONG
    }

    /// The converted type of its values, if there is one.
    fn converted(&self) -> Option<i64> {
        match (self.physical(), self.kind) {
            (TEXT, _) => Some(UTF8),
            (_, CellKind::Wholes(Width::Unsigned)) => Some(UNSIGNED),
            _ => None,
        }
    }

    /// Takes the page of its rows so far: which rows have a value, then the values.
    fn page(&mut self, rows: usize) -> Vec<u8> {
        let values = std::mem::take(&mut self.values);
        if !self.is_optional() {
            return values;
        }
        // A single run of bit-packed groups, each of eight bits.
        let mut run = Message::default();
        run.varint((rows.div_ceil(8) as u64) << 1 | 1);
        run.bytes.append(&mut self.there);
        let length = run.bytes.len() as u32;
        [&length.to_le_bytes()[..], &run.bytes, &values].concat()
    }
}

/// A file that is being written.
pub struct Writer<W: Write> {
    to: W,
    at: u64,
    columns: Vec<PendingColumn>,
    rows: usize,
    groups: Vec<Group>,
}

impl<W: Write> Writer<W> {
    /// Begins a file with columns (name, kind).
    ///
    /// # Errors
    /// The errors of `to`.
    pub fn new(mut to: W, columns: Vec<(String, CellKind)>) -> Result<Writer<W>> {
        to.write_all(MAGIC)?;
        let column =
            |(name, kind)| PendingColumn { name, kind, values: Vec::new(), there: Vec::new() };
        let columns = columns.into_iter().map(column).collect();
        Ok(Writer { to, at: MAGIC.len() as u64, columns, rows: 0, groups: Vec::new() })
    }

    /// Adds a text to a column of texts.
    pub fn text(&mut self, column: usize, text: &str) {
        let values = &mut self.columns[column].values;
        values.extend((text.len() as u32).to_le_bytes());
        values.extend(text.as_bytes());
    }

    /// Adds a number to a column of numbers; NaN for a blank.
    pub fn number(&mut self, column: usize, x: f64) {
        self.columns[column].values.extend(x.to_le_bytes());
    }

    /// Adds a number to a column of whole numbers; `None` for a blank.
    pub fn whole(&mut self, column: usize, number: Option<i128>) {
        if self.columns[column].physical() == TEXT {
            return self.text(column, &number.map(|n| n.to_string()).unwrap_or_default());
        }
        let (row, column) = (self.rows, &mut self.columns[column]);
        if row.is_multiple_of(8) {
            column.there.push(0);
        }
        if let (Some(number), Some(bits)) = (number, column.there.last_mut()) {
            *bits |= 1 << (row % 8);
            // The lowest 64 bits, which are right for unsigned numbers too.
            column.values.extend((number as i64).to_le_bytes());
        }
    }

    /// Ends a row. Every column must have got its value.
    ///
    /// # Errors
    /// The errors of the file.
    pub fn end_row(&mut self) -> Result<()> {
        self.rows += 1;
        let bytes: usize = self.columns.iter().map(|column| column.values.len()).sum();
        if self.rows >= ROWS || bytes >= BYTES { self.end_group() } else { Ok(()) }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.at += bytes.len() as u64;
        self.to.write_all(bytes)
    }

    /// Writes the pending rows, one page per column.
    fn end_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut chunks = Vec::with_capacity(self.columns.len());
        for column in 0..self.columns.len() {
            let page = self.columns[column].page(rows);
            let (mut header, size) = (Message::default(), page.len() as i64);
            header.structure(|m| {
                m.int(1, 0);
                m.int(2, size);
                m.int(3, size);
                m.field(5, 12);
                m.structure(|m| {
                    [rows as i64, 0, 3, 3].into_iter().zip(1..).for_each(|(n, id)| m.int(id, n))
                });
            });
            let start = self.at;
            self.write(&header.bytes)?;
            self.write(&page)?;
            chunks.push(ColumnChunk { start, length: self.at - start });
        }
        self.groups.push(Group { rows, chunks });
        Ok(())
    }

    /// Writes the last rows and the metadata.
    ///
    /// # Errors
    /// The errors of the file.
    pub fn finish(mut self) -> Result<()> {
        if self.rows > 0 {
            self.end_group()?;
        }
        let mut message = Message::default();
        message.structure(|m| self.meta(m));
        let length = message.bytes.len() as u32;
        self.write(&message.bytes)?;
        self.write(&length.to_le_bytes())?;
        self.write(MAGIC)?;
        self.to.flush()
    }

    fn meta(&self, m: &mut Message) {
        m.int(1, 1);
        m.list(2, 12, 1 + self.columns.len());
        m.structure(|m| {
            m.text(4, "schema");
            m.int(5, self.columns.len() as i64);
        });
        for column in &self.columns {
            m.structure(|m| {
                m.int(1, column.physical());
                m.int(3, i64::from(column.is_optional()));
                m.text(4, &column.name);
                column.converted().iter().for_each(|&converted| m.int(6, converted));
            });
        }
        m.long(3, self.groups.iter().map(|group| group.rows as i64).sum());
        m.list(4, 12, self.groups.len());
        self.groups.iter().for_each(|group| m.structure(|m| self.group(group, m)));
        m.text(6, concat!("tandem ", env!("CARGO_PKG_VERSION")));
    }

    fn group(&self, group: &Group, m: &mut Message) {
        m.list(1, 12, group.chunks.len());
        for (column, chunk) in self.columns.iter().zip(&group.chunks) {
            m.structure(|m| {
                m.long(2, chunk.start as i64);
                m.field(3, 12);
                m.structure(|m| {
                    m.int(1, column.physical());
                    m.list(2, 5, 2);
                    m.zigzag(0);
                    m.zigzag(3);
                    m.list(3, 8, 1);
                    m.bytes(&column.name);
                    m.int(4, 0);
                    m.long(5, group.rows as i64);
                    m.long(6, chunk.length as i64);
                    m.long(7, chunk.length as i64);
                    m.long(9, chunk.start as i64);
                });
            });
        }
        m.long(2, group.chunks.iter().map(|chunk| chunk.length as i64).sum());
        m.long(3, group.rows as i64);
    }
}
