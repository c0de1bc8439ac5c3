//! Reads Parquet without lists, maps and structures. Booleans, numbers and decimals become numbers,
//! text stays text, and dates and times become ISO 8601 text. Pages may be uncompressed or
//! compressed with Snappy, gzip or Zstandard, of both versions, and in every encoding that is
//! written today.
//!
//! This is written by hand because files may be hostile: no memory is allocated only because a
//! header asks for it, the numbers of cells and of unpacked bytes are bounded by the size of the
//! file, and nothing can panic. Whole numbers keep all digits, also those that no float holds.

mod cells;
mod encoding;
mod meta;
mod refused;
mod thrift;
mod unpack;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::data::read::files;
use crate::data::read::parquet::cells::{Cells, Sink};
use crate::data::read::parquet::meta::{ColumnChunk, Leaf, Meta, PageHeader};
pub use crate::data::read::parquet::refused::{BYTE_FLOOR, BYTE_RATIO};
use crate::data::read::parquet::refused::{ByteBudget, Refused, damaged, unsupported};
use crate::data::read::reader::{self, Chunked};
use crate::data::read::stream::{self, Stream};
use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::data::table::shape::TableShape;
use crate::fault::{Fault, quoted};

/// A file may have this many cells per byte, plus [`CELL_FLOOR`].
pub const CELL_RATIO: u64 = 128;
/// The number of cells that any file may have.
pub const CELL_FLOOR: u64 = 1 << 20;

const MAGIC: &[u8; 4] = b"PAR1";

/// The format Parquet.
pub struct Parquet;

impl reader::Reader for Parquet {
    fn endings(&self) -> &'static [&'static str] {
        &["parquet"]
    }

    fn is_compressed(&self) -> bool {
        true
    }

    fn read(&self, path: &Path, _stem: &str, _options: &Options) -> anyhow::Result<Raw> {
        read(files::open(path)?.0, &path.display().to_string())
    }

    fn open(
        &self,
        path: &Path,
        _stem: &str,
        _options: &Options,
    ) -> anyhow::Result<Box<dyn Chunked>> {
        Ok(Box::new(RowGroups::new(files::open(path)?.0, &path.display().to_string())?))
    }
}

impl Chunked for RowGroups {
    fn shape(&self) -> TableShape {
        RowGroups::shape(self)
    }

    /// One row group, whatever its size.
    fn chunk(&mut self, _bytes: u64) -> anyhow::Result<Option<Raw>> {
        RowGroups::chunk(self)
    }
}

/// Reads a file.
///
/// # Errors
/// 66 if it cannot be read; 65 if it is malformed, nested, compressed in another way than with
/// Snappy, gzip or Zstandard, or holds far more than its size allows.
pub fn read(reader: impl Read, place: &str) -> anyhow::Result<Raw> {
    let mut stream = Stream::plain(reader, place, 0);
    let (mut bytes, mut there) = (Vec::new(), 0);
    loop {
        bytes.resize(there + there.max(64 << 10), 0);
        match stream.fill(&mut bytes[there..])? {
            0 => break,
            n => there += n,
        }
    }
    bytes.truncate(there);
    let hash = stream.finish()?;
    let mut table = parse(&bytes, place)?;
    table.hashes.push(hash);
    Ok(table)
}

fn parse(file: &[u8], place: &str) -> anyhow::Result<Raw> {
    let meta = footer(file).and_then(Meta::read).map_err(|refused| refused.at(place))?;
    let rows = check_rows(&meta, file.len()).map_err(|refused| refused.at(place))?;
    let mut budget = ByteBudget::of(file.len());
    let mut columns = Vec::new();
    for (i, leaf) in meta.leaves.iter().enumerate() {
        let mut column = Sink::new(leaf);
        for (rows, (_, chunks)) in rows.iter().zip(&meta.groups) {
            let read = pages(file, chunks[i]).and_then(|pages| {
                chunk(pages, leaf, chunks[i].codec, *rows, &mut column, &mut budget)
            });
            read.map_err(|refused| refused.at(&at(place, leaf)))?;
        }
        columns.push(column.column);
    }
    Raw::new(place, meta.leaves.into_iter().map(|leaf| leaf.name).collect(), columns, None)
}

/// A file that is read one row group after the other.
pub struct RowGroups {
    file: File,
    place: String,
    meta: Meta,
    /// Number of rows of each group.
    rows: Vec<usize>,
    size: usize,
    /// Numbers of groups and of rows that were read.
    done: (usize, usize),
}

impl RowGroups {
    /// Opens a file and reads its metadata.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn new(mut file: File, place: &str) -> anyhow::Result<RowGroups> {
        let size = file.metadata().map_or(0, |found| found.len()) as usize;
        let mut start = take(&mut file, place, 0, MAGIC.len().min(size))?;
        let mut length = 0;
        // The last bytes state the length of the metadata, which is cut to the size of the file.
        if size >= 2 * MAGIC.len() + 4 {
            let end = take(&mut file, place, size as u64 - 8, 4)?;
            length = end
                .first_chunk::<4>()
                .map_or(0, |length| u32::from_le_bytes(*length) as usize)
                .min(size - 12);
        }
        let behind = start.len().max(size.saturating_sub(length + 8));
        start.extend(take(&mut file, place, behind as u64, size - behind)?);
        let meta = footer(&start).and_then(Meta::read).map_err(|refused| refused.at(place))?;
        let rows = check_rows(&meta, size).map_err(|refused| refused.at(place))?;
        Ok(RowGroups { file, place: place.to_owned(), meta, rows, size, done: (0, 0) })
    }

    /// Names and kinds of its columns.
    pub(crate) fn shape(&self) -> TableShape {
        let names = self.meta.leaves.iter().map(|leaf| leaf.name.clone()).collect();
        TableShape {
            place: self.place.clone(),
            names,
            kinds: self.meta.leaves.iter().map(cells::kind).collect(),
        }
    }

    /// The next row group that has rows; `None` at the end.
    ///
    /// # Errors
    /// The errors of [`read`].
    pub fn chunk(&mut self) -> anyhow::Result<Option<Raw>> {
        let (mut group, before) = self.done;
        while self.rows.get(group) == Some(&0) {
            group += 1;
        }
        let (Some(&rows), Some((_, chunks))) = (self.rows.get(group), self.meta.groups.get(group))
        else {
            return Ok(None);
        };
        let (mut budget, mut columns) = (ByteBudget::of(self.size), Vec::new());
        for (leaf, from) in self.meta.leaves.iter().zip(chunks) {
            let range = range(*from).filter(|range| range.end <= self.size);
            let range = range.ok_or_else(|| outside().at(&at(&self.place, leaf)))?;
            let pages = take(&mut self.file, &self.place, range.start as u64, range.len())?;
            let mut column = Sink::new(leaf);
            chunk(&pages, leaf, from.codec, rows, &mut column, &mut budget)
                .map_err(|refused| refused.at(&at(&self.place, leaf)))?;
            columns.push(column.column);
        }
        self.done = (group + 1, before + rows);
        let names = self.meta.leaves.iter().map(|leaf| leaf.name.clone()).collect();
        Ok(Some(Raw::new(&self.place, names, columns, None)?.behind(before)))
    }
}

/// Reads bytes of a file, which must be there.
fn take(file: &mut File, place: &str, start: u64, length: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut bytes));
    read.map_err(|e| {
        Fault::missing(place, format!("cannot be read: {e}"))
            .hint("give a readable file that nobody writes to")
    })?;
    stream::count(length);
    Ok(bytes)
}

/// The place of a column, for messages.
fn at(place: &str, leaf: &Leaf) -> String {
    format!("{place}: column {}", quoted(&leaf.name))
}

/// The bytes of the metadata at the end of a file.
fn footer(file: &[u8]) -> Result<&[u8], Refused> {
    let not_parquet = || {
        damaged(format!(
            "not a Parquet file: {} bytes that begin {:02X?}",
            file.len(),
            &file[..file.len().min(4)]
        ))
    };
    if file.starts_with(MAGIC) && file.ends_with(b"PARE") {
        return Err(unsupported("the metadata are encrypted"));
    }
    let body = file.strip_prefix(MAGIC).ok_or_else(not_parquet)?;
    let body = body
        .strip_suffix(MAGIC)
        .ok_or_else(|| damaged("the file does not end as a Parquet file does"))?;
    let (body, length) = body.split_last_chunk::<4>().ok_or_else(not_parquet)?;
    let length = u32::from_le_bytes(*length) as usize;
    let start = body.len().checked_sub(length).ok_or_else(|| {
        damaged(format!("metadata of {length} bytes, the file has {}", body.len()))
    })?;
    Ok(&body[start..])
}

/// The number of rows of each group, if there are not far more cells than the file has bytes.
fn check_rows(meta: &Meta, size: usize) -> Result<Vec<usize>, Refused> {
    let rows: Option<Vec<usize>> =
        meta.groups.iter().map(|(rows, _)| usize::try_from(*rows).ok()).collect();
    let rows = rows.ok_or_else(|| damaged("a row group of less than no rows"))?;
    let total = rows.iter().fold(0u128, |sum, &rows| sum + rows as u128);
    let cells = total * meta.leaves.len() as u128;
    if total == 0 {
        return Err(Refused {
            found: "the file has no rows".into(),
            hint: "give a file with at least one row",
        });
    }
    if cells > u128::from(size as u64 * CELL_RATIO + CELL_FLOOR) {
        return Err(damaged(format!(
            "{total} rows × {} columns in {size} bytes: more than {CELL_RATIO} cells a byte",
            meta.leaves.len()
        )));
    }
    // Columns do not share pages. Otherwise one page could be read once for each column, which
    // would take very long.
    let pages = meta
        .groups
        .iter()
        .flat_map(|(_, chunks)| chunks)
        .fold(0i128, |sum, chunk| sum + i128::from(chunk.length.max(0)));
    if pages > size as i128 {
        return Err(damaged(format!("pages of {pages} bytes in a file of {size}")));
    }
    Ok(rows)
}

/// Where the pages of a column in a row group lie.
fn range(chunk: ColumnChunk) -> Option<Range<usize>> {
    let (start, length) =
        usize::try_from(chunk.start).ok().zip(usize::try_from(chunk.length).ok())?;
    Some(start..start.checked_add(length)?)
}

fn pages(file: &[u8], chunk: ColumnChunk) -> Result<&[u8], Refused> {
    range(chunk).and_then(|range| file.get(range)).ok_or_else(outside)
}

fn outside() -> Refused {
    damaged("its pages lie outside of the file")
}

/// Reads the pages of a column in a row group.
fn chunk(
    pages: &[u8],
    leaf: &Leaf,
    codec: i64,
    rows: usize,
    column: &mut Sink,
    budget: &mut ByteBudget,
) -> Result<(), Refused> {
    let (mut rest, mut dictionary, mut done) = (pages, None, 0);
    while done < rows {
        let (header, length) = PageHeader::read(rest)?;
        let size = usize::try_from(header.packed).ok();
        let (body, behind) = size
            .and_then(|n| rest[length..].split_at_checked(n))
            .ok_or_else(|| damaged("a page ends behind its column"))?;
        rest = behind;
        let page = Page { leaf, header, codec, body };
        match header.kind {
            0 | 3 => done += page.data(rows - done, dictionary.as_ref(), column, budget)?,
            2 if dictionary.is_none() && done == 0 => {
                dictionary = Some(page.dictionary(rows, budget)?)
            }
            2 => return Err(damaged("a second dictionary")),
            1 => {}
            other => return Err(damaged(format!("a page of kind {other}"))),
        }
    }
    Ok(())
}

/// A page, as it is stored in the file.
struct Page<'a> {
    leaf: &'a Leaf,
    header: PageHeader,
    codec: i64,
    body: &'a [u8],
}

impl Page<'_> {
    /// Its values as a dictionary of a column of `rows` rows. It may hold some values that no row
    /// has.
    fn dictionary(&self, rows: usize, budget: &mut ByteBudget) -> Result<Cells, Refused> {
        let bytes = self.unpack(0, budget)?;
        // Every value takes at least one bit.
        let limit = (8 * bytes.len()).min(rows + CELL_FLOOR as usize);
        let n = usize::try_from(self.header.values).ok().filter(|&n| n <= limit);
        let n = n.ok_or_else(|| {
            damaged(format!(
                "a dictionary of {} values in {} bytes",
                self.header.values,
                bytes.len()
            ))
        })?;
        if !matches!(self.header.encoding, 0 | 2) {
            return Err(damaged(format!("a dictionary in encoding {}", self.header.encoding)));
        }
        Cells::new(self.leaf, encoding::decode(self.leaf.physical, 0, &bytes, n, budget)?)
    }

    /// Adds its cells to the column; returns the number of cells, which is at most `rows`.
    fn data(
        &self,
        rows: usize,
        dictionary: Option<&Cells>,
        column: &mut Sink,
        budget: &mut ByteBudget,
    ) -> Result<usize, Refused> {
        let n = usize::try_from(self.header.values).ok().filter(|&n| n <= rows);
        let n = n.ok_or_else(|| {
            damaged(format!("a page of {} cells, {rows} rows are left", self.header.values))
        })?;
        let (bytes, levels, start) = self.levels(budget)?;
        let there =
            if self.leaf.optional { encoding::hybrid(&bytes[levels], 1, n)? } else { vec![1; n] };
        let (count, values) = (there.iter().filter(|&&level| level == 1).count(), &bytes[start..]);
        let mut next = 0..count;
        let positions = there.iter().map(|&level| if level == 1 { next.next() } else { None });
        if let (2 | 8, Some(dictionary)) = (self.header.encoding, dictionary) {
            let indices = encoding::indices(values, count)?;
            column.push(
                dictionary,
                positions
                    .map(|at| at.map(|at| indices.get(at).map_or(usize::MAX, |&i| i as usize))),
                budget,
            )?;
            return Ok(n);
        }
        let values = if count == 0 {
            encoding::Values::Floats(Vec::new())
        } else {
            self.values(values, count, budget)?
        };
        let cells = if values.len() == 0 {
            Cells::Numbers(Vec::new())
        } else {
            Cells::new(self.leaf, values)?
        };
        if cells.len() < count {
            return Err(damaged("a page ends within its values"));
        }
        column.push(&cells, positions, budget)?;
        Ok(n)
    }

    fn values<'b>(
        &self,
        bytes: &'b [u8],
        n: usize,
        budget: &mut ByteBudget,
    ) -> Result<encoding::Values<'b>, Refused> {
        encoding::decode(self.leaf.physical, self.header.encoding, bytes, n, budget)
    }

    /// The unpacked page, the range of its levels, and the position where its values begin.
    fn levels(&self, budget: &mut ByteBudget) -> Result<(Vec<u8>, Range<usize>, usize), Refused> {
        let outside = || damaged("the levels of a page lie outside of it");
        if self.header.kind == 3 {
            let (repetition, definition) = self.header.levels;
            let (repetition, definition) = usize::try_from(repetition)
                .ok()
                .zip(usize::try_from(definition).ok())
                .ok_or_else(outside)?;
            let end = repetition
                .checked_add(definition)
                .filter(|&end| end <= self.body.len())
                .ok_or_else(outside)?;
            return Ok((self.unpack(end, budget)?, repetition..end, end));
        }
        let bytes = self.unpack(0, budget)?;
        if !self.leaf.optional {
            return Ok((bytes, 0..0, 0));
        }
        if self.header.level_encoding != 3 {
            return Err(unsupported("blanks in the old encoding BIT_PACKED"));
        }
        let length = bytes
            .first_chunk::<4>()
            .map(|length| u32::from_le_bytes(*length) as usize)
            .ok_or_else(outside)?;
        let end = length.checked_add(4).filter(|&end| end <= bytes.len()).ok_or_else(outside)?;
        Ok((bytes, 4..end, end))
    }

    /// The unpacked page. Its first `bare` bytes are not compressed.
    fn unpack(&self, bare: usize, budget: &mut ByteBudget) -> Result<Vec<u8>, Refused> {
        let (first, packed) =
            self.body.split_at_checked(bare).ok_or_else(|| damaged("a page ends early"))?;
        let length = usize::try_from(self.header.unpacked).ok().and_then(|n| n.checked_sub(bare));
        let length =
            length.ok_or_else(|| damaged(format!("a page of {} bytes", self.header.unpacked)))?;
        budget.spend(length)?;
        let codec =
            if self.header.bare || (packed.is_empty() && length == 0) { 0 } else { self.codec };
        let unpacked = unpack::unpack(codec, packed, length)?;
        Ok(if bare == 0 { unpacked } else { [first, &unpacked].concat() })
    }
}
