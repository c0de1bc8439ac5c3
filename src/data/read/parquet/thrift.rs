//! Reads Thrift's compact protocol, as far as Parquet uses it. Structures are read field by field,
//! and fields that are not taken are skipped.

use crate::data::read::parquet::refused::{Refused, damaged};

/// The largest depth of nested structures.
const MAX_DEPTH: usize = 32;

/// The type of a field or an element, as the protocol numbers it.
pub type Kind = u8;

pub const TRUE: Kind = 1;
const FALSE: Kind = 2;
const BYTE: Kind = 3;
const I64: Kind = 6;
const DOUBLE: Kind = 7;
const BINARY: Kind = 8;
const LIST: Kind = 9;
const SET: Kind = 10;
const MAP: Kind = 11;
pub const STRUCT: Kind = 12;

/// A reader at a position in a message.
pub struct Thrift<'a> {
    bytes: &'a [u8],
    /// Number of bytes that were read.
    pub at: usize,
    depth: usize,
}

impl<'a> Thrift<'a> {
    /// A reader at the beginning of a message.
    pub fn new(bytes: &'a [u8]) -> Thrift<'a> {
        Thrift { bytes, at: 0, depth: 0 }
    }

    /// Reads the fields of a structure. `take` gets the number and the type of each field, and
    /// either reads it or leaves it to be skipped.
    pub fn fields(
        &mut self,
        mut take: impl FnMut(&mut Thrift<'a>, i64, Kind) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(damaged("the metadata are nested too deeply"));
        }
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                self.depth -= 1;
                return Ok(());
            }
            let (step, kind) = (i64::from(byte >> 4), byte & 15);
            id = if step == 0 { self.int()? } else { id.saturating_add(step) };
            let before = self.at;
            take(self, id, kind)?;
            if self.at == before {
                self.skip(kind, true)?;
            }
        }
    }

    /// Reads a whole number.
    pub fn int(&mut self) -> Result<i64, Refused> {
        let n = self.varint()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// Reads bytes or text.
    pub fn binary(&mut self) -> Result<&'a [u8], Refused> {
        let length = self.varint()?;
        self.take(length)
    }

    /// Reads the head of a list: the type and the number of its elements. There is at least one
    /// byte per element.
    pub fn list(&mut self) -> Result<(Kind, usize), Refused> {
        let byte = self.byte()?;
        let length = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
        if length > (self.bytes.len() - self.at) as u64 {
            return Err(damaged(format!(
                "a list of {length} elements, {} bytes are left",
                self.bytes.len() - self.at
            )));
        }
        Ok((byte & 15, length as usize))
    }

    /// Reads a list of structures, each with `take`.
    pub fn structures<T>(
        &mut self,
        mut take: impl FnMut(&mut Thrift<'a>) -> Result<T, Refused>,
    ) -> Result<Vec<T>, Refused> {
        match self.list()? {
            (STRUCT, length) => (0..length).map(|_| take(self)).collect(),
            (_, 0) => Ok(Vec::new()),
            (kind, _) => Err(damaged(format!("a list of kind {kind}, expected structures"))),
        }
    }

    fn byte(&mut self) -> Result<u8, Refused> {
        Ok(self.take(1)?[0])
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Refused> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
            .ok_or_else(|| damaged("the metadata end early"))?;
        self.at += taken.len();
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Refused> {
        let (n, length) = varint(&self.bytes[self.at..])
            .ok_or_else(|| damaged("the metadata hold a number that does not end"))?;
        self.at += length;
        Ok(n)
    }

    /// Skips a value. The value of a boolean field is in its type.
    fn skip(&mut self, kind: Kind, is_field: bool) -> Result<(), Refused> {
        match kind {
            TRUE | FALSE if is_field => {}
            TRUE | FALSE | BYTE => _ = self.byte()?,
            4..=I64 => _ = self.varint()?,
            DOUBLE => _ = self.take(8)?,
            BINARY => _ = self.binary()?,
            STRUCT => self.fields(|_, _, _| Ok(()))?,
            LIST | SET | MAP => {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(damaged("the metadata are nested too deeply"));
                }
                self.skip_elements(kind)?;
                self.depth -= 1;
            }
            _ => return Err(damaged(format!("the metadata hold a value of kind {kind}"))),
        }
        Ok(())
    }

    fn skip_elements(&mut self, kind: Kind) -> Result<(), Refused> {
        if kind != MAP {
            let (kind, length) = self.list()?;
            return (0..length).try_for_each(|_| self.skip(kind, false));
        }
        let length = self.varint()?;
        let kinds = if length == 0 { 0 } else { self.byte()? };
        (0..length).try_for_each(|_| {
            self.skip(kinds >> 4, false)?;
            self.skip(kinds & 15, false)
        })
    }
}

/// Reads a number with seven bits per byte, lowest bits first; returns its length too.
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut n = 0;
    for (i, &byte) in bytes.iter().take(10).enumerate() {
        n |= u64::from(byte & 127) << (7 * i);
        if byte < 128 {
            return Some((n, i + 1));
        }
    }
    None
}
