//! Reads the metadata at the end of a Parquet file: the columns, the row groups, and where the
//! pages of each column lie; and the header of a page.

use crate::data::read::parquet::refused::{Refused, damaged, unsupported};
use crate::data::read::parquet::thrift::{STRUCT, TRUE, Thrift};
use crate::data::table::raw::MAX_COLUMNS;
use crate::fault::quoted;

/// The physical type of values: how they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Physical {
    Boolean,
    Int32,
    Int64,
    Int96,
    Float,
    Double,
    Bytes,
    /// Values of this many bytes each.
    Fixed(usize),
}

/// The logical type of values: what they mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalType {
    /// Numbers or text, as they are stored.
    Plain,
    /// No values: all cells are blank.
    Nothing,
    Unsigned,
    /// Whole numbers that are to be divided by ten to this power.
    Decimal(u32),
    Date,
    /// A time of day, in units of which this many make a second.
    Time(i64),
    /// A time since 1970, in units of which this many make a second; and whether it is in UTC.
    Timestamp(i64, bool),
    Half,
}

/// A column of the schema.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub name: String,
    pub physical: Physical,
    pub logical: LogicalType,
    /// Whether cells may be blank.
    pub optional: bool,
}

/// Where the pages of a column in a row group lie.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColumnChunk {
    pub codec: i64,
    pub start: i64,
    pub length: i64,
    kind: i64,
    /// Number of cells, and of blank cells if the statistics state it.
    cells: (i64, Option<i64>),
}

/// The metadata of a file.
#[derive(Debug)]
pub struct Meta {
    pub leaves: Vec<Leaf>,
    /// (number of rows, one chunk per column) of each row group.
    pub groups: Vec<(i64, Vec<ColumnChunk>)>,
}

impl Meta {
    /// Reads the metadata.
    pub fn read(bytes: &[u8]) -> Result<Meta, Refused> {
        let (mut elements, mut groups) = (Vec::new(), Vec::new());
        Thrift::new(bytes).fields(|t, id, _| {
            match id {
                2 => elements = t.structures(element)?,
                4 => groups = t.structures(group)?,
                _ => {}
            }
            Ok(())
        })?;
        let mut leaves = leaves(elements)?;
        for (_, chunks) in &groups {
            if chunks.len() != leaves.len() {
                return Err(damaged(format!(
                    "a row group of {} columns, the schema has {}",
                    chunks.len(),
                    leaves.len()
                )));
            }
            if let Some((leaf, chunk)) =
                leaves.iter().zip(chunks).find(|(leaf, chunk)| leaf.physical.number() != chunk.kind)
            {
                return Err(damaged(format!(
                    "column {} of type {}, the schema says {:?}",
                    quoted(&leaf.name),
                    chunk.kind,
                    leaf.physical
                )));
            }
        }
        // A column that holds only blanks may be of any kind, whatever type is declared.
        let is_blank = |chunk: &ColumnChunk| chunk.cells.1 == Some(chunk.cells.0);
        for (at, leaf) in leaves.iter_mut().enumerate().filter(|(_, leaf)| leaf.optional) {
            if !groups.is_empty() && groups.iter().all(|(_, chunks)| is_blank(&chunks[at])) {
                leaf.logical = LogicalType::Nothing;
            }
        }
        Ok(Meta { leaves, groups })
    }
}

impl Physical {
    fn of(kind: i64, length: i64) -> Result<Physical, Refused> {
        Ok(match kind {
            0 => Physical::Boolean,
            1 => Physical::Int32,
            2 => Physical::Int64,
            3 => Physical::Int96,
            4 => Physical::Float,
            5 => Physical::Double,
            6 => Physical::Bytes,
            7 if (1..=1 << 20).contains(&length) => Physical::Fixed(length as usize),
            _ => return Err(damaged(format!("type {kind} of length {length}"))),
        })
    }

    fn number(self) -> i64 {
        match self {
            Physical::Boolean => 0,
            Physical::Int32 => 1,
            Physical::Int64 => 2,
            Physical::Int96 => 3,
            Physical::Float => 4,
            Physical::Double => 5,
            Physical::Bytes => 6,
            Physical::Fixed(_) => 7,
        }
    }
}

/// An element of the schema, as the file states it.
#[derive(Default)]
struct Element {
    kind: Option<i64>,
    length: i64,
    repetition: i64,
    name: String,
    children: Option<i64>,
    converted: Option<i64>,
    scale: i64,
    logical: Option<StatedType>,
}

/// The logical type of an element, as newer files state it.
#[derive(Clone, Copy, Default)]
struct StatedType {
    id: i64,
    scale: i64,
    unit: i64,
    utc: bool,
    signed: bool,
}

fn element(t: &mut Thrift<'_>) -> Result<Element, Refused> {
    let mut e = Element::default();
    t.fields(|t, id, kind| {
        match id {
            1 => e.kind = Some(t.int()?),
            2 => e.length = t.int()?,
            3 => e.repetition = t.int()?,
            4 => {
                e.name = std::str::from_utf8(t.binary()?)
                    .map_err(|_| damaged("a column name is not UTF-8 text"))?
                    .to_owned()
            }
            5 => e.children = Some(t.int()?),
            6 => e.converted = Some(t.int()?),
            7 => e.scale = t.int()?,
            10 if kind == STRUCT => e.logical = Some(logical(t)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(e)
}

fn logical(t: &mut Thrift<'_>) -> Result<StatedType, Refused> {
    let mut l = StatedType::default();
    t.fields(|t, id, kind| {
        l.id = id;
        if kind != STRUCT {
            return Ok(());
        }
        t.fields(|t, field, kind| {
            match (id, field) {
                (5, 1) => l.scale = t.int()?,
                (7 | 8, 1) => l.utc = kind == TRUE,
                (7 | 8, 2) if kind == STRUCT => t.fields(|_, unit, _| {
                    l.unit = unit;
                    Ok(())
                })?,
                (10, 2) => l.signed = kind == TRUE,
                _ => {}
            }
            Ok(())
        })
    })?;
    Ok(l)
}

fn group(t: &mut Thrift<'_>) -> Result<(i64, Vec<ColumnChunk>), Refused> {
    let (mut rows, mut chunks) = (0, Vec::new());
    t.fields(|t, id, _| {
        match id {
            1 => chunks = t.structures(chunk)?,
            3 => rows = t.int()?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((rows, chunks))
}

fn chunk(t: &mut Thrift<'_>) -> Result<ColumnChunk, Refused> {
    let (mut c, mut data, mut dictionary) = (ColumnChunk::default(), 0, 0);
    t.fields(|t, id, kind| match id {
        1 => Err(unsupported("the columns lie in other files")),
        3 if kind == STRUCT => t.fields(|t, id, kind| {
            match id {
                1 => c.kind = t.int()?,
                4 => c.codec = t.int()?,
                5 => c.cells.0 = t.int()?,
                12 if kind == STRUCT => t.fields(|t, id, _| {
                    if id == 3 {
                        c.cells.1 = Some(t.int()?);
                    }
                    Ok(())
                })?,
                7 => c.length = t.int()?,
                9 => data = t.int()?,
                11 => dictionary = t.int()?,
                _ => {}
            }
            Ok(())
        }),
        8 => Err(unsupported("the columns are encrypted")),
        _ => Ok(()),
    })?;
    c.start = if dictionary > 0 && dictionary < data { dictionary } else { data };
    Ok(c)
}

/// The columns of a schema, which must all lie directly below its root.
fn leaves(elements: Vec<Element>) -> Result<Vec<Leaf>, Refused> {
    let mut elements = elements.into_iter();
    let root = elements.next().ok_or_else(|| damaged("there is no schema"))?;
    if elements.len() > MAX_COLUMNS {
        return Err(unsupported(format!("{} columns, the limit is {MAX_COLUMNS}", elements.len())));
    }
    let leaves = elements.map(leaf).collect::<Result<Vec<Leaf>, Refused>>()?;
    if leaves.is_empty() || root.children != Some(leaves.len() as i64) {
        return Err(damaged(format!(
            "a schema of {} columns, its root says {:?}",
            leaves.len(),
            root.children.unwrap_or(0)
        )));
    }
    Ok(leaves)
}

fn leaf(e: Element) -> Result<Leaf, Refused> {
    let name = quoted(&e.name);
    let (Some(kind), None | Some(0)) = (e.kind, e.children) else {
        return Err(unsupported(format!(
            "column {name} is nested: it holds lists, maps or fields"
        )));
    };
    if !matches!(e.repetition, 0 | 1) {
        return Err(unsupported(format!("column {name} is nested: its cells are lists")));
    }
    let physical = Physical::of(kind, e.length)?;
    let logical = logical_type(&e, physical).ok_or_else(|| {
        let stated = e.logical.map_or_else(
            || format!("converted type {}", e.converted.unwrap_or(-1)),
            |l| format!("logical type {}", l.id),
        );
        unsupported(format!("column {name} of {physical:?} with {stated} is not supported"))
    })?;
    Ok(Leaf { name: e.name.trim().to_owned(), physical, logical, optional: e.repetition == 1 })
}

/// The logical type of a column; `None` if it is not supported.
fn logical_type(e: &Element, physical: Physical) -> Option<LogicalType> {
    let (found, scale) = match (e.logical, e.converted) {
        (Some(l), _) => (stated(l)?, l.scale),
        (None, Some(converted)) => (converted_type(converted)?, e.scale),
        (None, None) => (LogicalType::Plain, 0),
    };
    let whole = matches!(physical, Physical::Int32 | Physical::Int64);
    match (found, physical) {
        (_, Physical::Int96) => Some(LogicalType::Timestamp(1_000_000_000, false)),
        (
            LogicalType::Decimal(_),
            Physical::Bytes | Physical::Fixed(_) | Physical::Int32 | Physical::Int64,
        ) if (0..=76).contains(&scale) => Some(LogicalType::Decimal(scale as u32)),
        (LogicalType::Nothing, _) if whole => Some(LogicalType::Nothing),
        (LogicalType::Plain | LogicalType::Nothing, _) => Some(LogicalType::Plain),
        (LogicalType::Unsigned | LogicalType::Time(_) | LogicalType::Timestamp(..), _) if whole => {
            Some(found)
        }
        (LogicalType::Date, Physical::Int32) | (LogicalType::Half, Physical::Fixed(2)) => {
            Some(found)
        }
        _ => None,
    }
}

/// The logical type that newer files state.
fn stated(l: StatedType) -> Option<LogicalType> {
    let per_second = match l.unit {
        1 => 1000,
        2 => 1_000_000,
        _ => 1_000_000_000,
    };
    match l.id {
        1 | 4 | 12 => Some(LogicalType::Plain),
        11 => Some(LogicalType::Nothing),
        5 => Some(LogicalType::Decimal(0)),
        6 => Some(LogicalType::Date),
        7 => Some(LogicalType::Time(per_second)),
        8 => Some(LogicalType::Timestamp(per_second, l.utc)),
        10 => Some(if l.signed { LogicalType::Plain } else { LogicalType::Unsigned }),
        15 => Some(LogicalType::Half),
        _ => None,
    }
}

/// The logical type that older files state.
fn converted_type(converted: i64) -> Option<LogicalType> {
    match converted {
        0 | 4 | 15..=19 => Some(LogicalType::Plain),
        5 => Some(LogicalType::Decimal(0)),
        6 => Some(LogicalType::Date),
        7 => Some(LogicalType::Time(1000)),
        8 => Some(LogicalType::Time(1_000_000)),
        9 => Some(LogicalType::Timestamp(1000, true)),
        10 => Some(LogicalType::Timestamp(1_000_000, true)),
        11..=14 => Some(LogicalType::Unsigned),
        _ => None,
    }
}

/// The header of a page.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageHeader {
    /// 0 = data, 1 = index, 2 = dictionary, 3 = data of version 2.
    pub kind: i64,
    pub unpacked: i64,
    pub packed: i64,
    pub values: i64,
    pub encoding: i64,
    /// Encoding of the levels; 3 unless the page is old.
    pub level_encoding: i64,
    /// Number of bytes of the repetition and the definition levels (version 2).
    pub levels: (i64, i64),
    /// Whether a page of version 2 is not compressed.
    pub bare: bool,
}

impl PageHeader {
    /// Reads a header; returns its length too.
    pub fn read(bytes: &[u8]) -> Result<(PageHeader, usize), Refused> {
        let (mut h, mut t) =
            (PageHeader { level_encoding: 3, ..PageHeader::default() }, Thrift::new(bytes));
        t.fields(|t, id, kind| {
            match id {
                1 => h.kind = t.int()?,
                2 => h.unpacked = t.int()?,
                3 => h.packed = t.int()?,
                5 | 7 | 8 if kind == STRUCT => t.fields(|t, field, kind| {
                    match (id, field) {
                        (_, 1) => h.values = t.int()?,
                        (5 | 7, 2) | (8, 4) => h.encoding = t.int()?,
                        (5, 3) => h.level_encoding = t.int()?,
                        (8, 5) => h.levels.1 = t.int()?,
                        (8, 6) => h.levels.0 = t.int()?,
                        (8, 7) => h.bare = kind != TRUE,
                        _ => {}
                    }
                    Ok(())
                })?,
                _ => {}
            }
            Ok(())
        })?;
        Ok((h, t.at))
    }
}
