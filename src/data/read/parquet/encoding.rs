//! Decodes the values of pages: plain, by dictionary, or as differences. Each function reads only
//! the bytes that it is given, and returns at most as many values as it is asked for.

use std::borrow::Cow;

use crate::data::read::parquet::meta::Physical;
use crate::data::read::parquet::refused::{ByteBudget, Refused, damaged, unsupported};
use crate::data::read::parquet::thrift::varint;

/// The values of a page that are not blank.
#[derive(Debug)]
pub enum Values<'a> {
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Bytes(Vec<Cow<'a, [u8]>>),
}

impl Values<'_> {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Values::Ints(values) => values.len(),
            Values::Floats(values) => values.len(),
            Values::Bytes(values) => values.len(),
        }
    }
}

fn short() -> Refused {
    damaged("a page ends within its values")
}

/// Decodes `n` values of a type, in any encoding but by dictionary.
pub fn decode<'a>(
    physical: Physical,
    encoding: i64,
    bytes: &'a [u8],
    n: usize,
    budget: &mut ByteBudget,
) -> Result<Values<'a>, Refused> {
    let whole = matches!(physical, Physical::Int32 | Physical::Int64);
    match (encoding, physical) {
        (0, _) => plain(physical, bytes, n),
        (3, Physical::Boolean) => {
            let levels = bytes.get(4..).ok_or_else(short)?;
            Ok(Values::Ints(hybrid(levels, 1, n)?.into_iter().map(i64::from).collect()))
        }
        (5, _) if whole => {
            let (values, _) = differences(bytes, n)?;
            let wrap = |x: i64| if physical == Physical::Int32 { i64::from(x as i32) } else { x };
            Ok(Values::Ints(values.into_iter().map(wrap).collect()))
        }
        (6, Physical::Bytes) => {
            Ok(Values::Bytes(lengths(bytes, n)?.into_iter().map(Cow::Borrowed).collect()))
        }
        (7, Physical::Bytes | Physical::Fixed(_)) => prefixes(bytes, n, budget),
        (9, _) => split_streams(physical, bytes, n),
        (4, _) => Err(unsupported("values in the old encoding BIT_PACKED")),
        (2 | 8, _) => Err(damaged("values by dictionary, and there is no dictionary")),
        _ => Err(damaged(format!("values of type {physical:?} in encoding {encoding}"))),
    }
}

/// Decodes values in plain encoding, one after the other.
fn plain(physical: Physical, bytes: &[u8], n: usize) -> Result<Values<'_>, Refused> {
    let size = match physical {
        Physical::Boolean => {
            let bits = bytes.get(..n.div_ceil(8)).ok_or_else(short)?;
            return Ok(Values::Ints(
                (0..n).map(|i| i64::from(bits[i / 8] >> (i % 8) & 1)).collect(),
            ));
        }
        Physical::Bytes => return Ok(Values::Bytes(prefixed(bytes, n)?)),
        Physical::Int32 | Physical::Float => 4,
        Physical::Int64 | Physical::Double => 8,
        Physical::Int96 => 12,
        Physical::Fixed(size) => size,
    };
    let length = n.checked_mul(size).ok_or_else(short)?;
    Ok(fixed(physical, bytes.get(..length).ok_or_else(short)?, size))
}

/// Decodes values of `size` bytes each.
fn fixed(physical: Physical, bytes: &[u8], size: usize) -> Values<'_> {
    let cells = bytes.chunks_exact(size);
    match physical {
        Physical::Int32 => Values::Ints(cells.map(|cell| i64::from(number(cell) as i32)).collect()),
        Physical::Float => Values::Floats(
            cells.map(|cell| f64::from(f32::from_bits(number(cell) as u32))).collect(),
        ),
        Physical::Double => {
            Values::Floats(cells.map(|cell| f64::from_bits(number(cell))).collect())
        }
        Physical::Int96 => Values::Ints(cells.map(nanoseconds).collect()),
        Physical::Fixed(_) => Values::Bytes(cells.map(Cow::Borrowed).collect()),
        Physical::Int64 | Physical::Boolean | Physical::Bytes => {
            Values::Ints(cells.map(|cell| number(cell) as i64).collect())
        }
    }
}

/// Reads a number of up to eight bytes, lowest byte first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).rev().fold(0, |n, &byte| n << 8 | u64::from(byte))
}

/// Reads the old form of a timestamp, nanoseconds of a day and the Julian day, as nanoseconds since
/// 1970.
fn nanoseconds(cell: &[u8]) -> i64 {
    let days = i64::from(number(&cell[8..]) as i32).wrapping_sub(2_440_588);
    days.wrapping_mul(86_400_000_000_000).wrapping_add(number(cell) as i64)
}

/// Decodes texts, each of which follows its length.
fn prefixed(bytes: &[u8], n: usize) -> Result<Vec<Cow<'_, [u8]>>, Refused> {
    let (mut rest, mut cells) = (bytes, Vec::new());
    for _ in 0..n {
        let (length, behind) = rest.split_at_checked(4).ok_or_else(short)?;
        let (cell, behind) = behind.split_at_checked(number(length) as usize).ok_or_else(short)?;
        cells.push(Cow::Borrowed(cell));
        rest = behind;
    }
    Ok(cells)
}

/// Decodes small numbers of `width` bits in runs: a repeated number, or numbers packed bit by bit.
pub fn hybrid(bytes: &[u8], width: usize, n: usize) -> Result<Vec<u32>, Refused> {
    if width > 32 {
        return Err(damaged(format!("numbers of {width} bits")));
    }
    let (mut rest, mut out) = (bytes, Vec::new());
    while out.len() < n {
        let (header, length) = varint(rest).ok_or_else(short)?;
        let (left, count) = ((n - out.len()) as u64, header >> 1);
        rest = &rest[length..];
        if header & 1 == 0 {
            let (value, behind) = rest.split_at_checked(width.div_ceil(8)).ok_or_else(short)?;
            out.extend(std::iter::repeat_n(number(value) as u32, count.min(left) as usize));
            rest = behind;
        } else {
            let taken = count.saturating_mul(8).min(left) as usize;
            out.extend(bits(rest, width, taken)?.map(|x| x as u32));
            let passed = usize::try_from(count.saturating_mul(width as u64)).unwrap_or(usize::MAX);
            rest = rest.get(passed..).unwrap_or_default();
        }
    }
    Ok(out)
}

/// Reads `n` numbers of `width` bits each, lowest bit first.
fn bits(bytes: &[u8], width: usize, n: usize) -> Result<impl Iterator<Item = u64> + '_, Refused> {
    let needed = n.checked_mul(width).ok_or_else(short)?.div_ceil(8);
    let bytes = bytes.get(..needed).ok_or_else(short)?;
    let mask = if width == 64 { u64::MAX } else { (1 << width) - 1 };
    Ok((0..n).map(move |i| {
        let (first, shift) = (i * width / 8, i * width % 8);
        let end = bytes.len().min(first + 9);
        let wide = bytes[first.min(end)..end]
            .iter()
            .rev()
            .fold(0u128, |n, &byte| n << 8 | u128::from(byte));
        (wide >> shift) as u64 & mask
    }))
}

/// Decodes indices into a dictionary.
pub fn indices(bytes: &[u8], n: usize) -> Result<Vec<u32>, Refused> {
    match bytes.split_first() {
        Some((&width, rest)) => hybrid(rest, usize::from(width), n),
        None if n == 0 => Ok(Vec::new()),
        None => Err(short()),
    }
}

/// Decodes whole numbers that are stored as differences, in blocks of miniblocks
/// (DELTA_BINARY_PACKED). Returns the bytes behind them too.
fn differences(bytes: &[u8], n: usize) -> Result<(Vec<i64>, &[u8]), Refused> {
    let mut rest = bytes;
    let mut next = || -> Result<u64, Refused> {
        let (number, length) = varint(rest).ok_or_else(short)?;
        rest = &rest[length..];
        Ok(number)
    };
    let (block, minis) = (next()?, next()?);
    let (total, first) = (next()?, zigzag(next()?));
    let size = block.checked_div(minis).unwrap_or(0);
    if size == 0 || size % 32 != 0 || block > 1 << 20 || total < n as u64 {
        return Err(damaged(format!(
            "{total} differences in blocks of {block} / {minis}, expected {n}"
        )));
    }
    let (mut out, mut last) = (Vec::new(), first);
    if total > 0 && n > 0 {
        out.push(first);
    }
    let total = usize::try_from(total).unwrap_or(usize::MAX).min(n);
    while out.len() < total {
        let (least, length) = varint(rest).ok_or_else(short)?;
        let (widths, behind) = rest[length..].split_at_checked(minis as usize).ok_or_else(short)?;
        rest = behind;
        for &width in widths.iter().take((total - out.len()).div_ceil(size as usize)) {
            if width > 64 {
                return Err(damaged(format!("differences of {width} bits")));
            }
            let taken = (total - out.len()).min(size as usize);
            for x in bits(rest, usize::from(width), taken)? {
                last = last.wrapping_add(zigzag(least)).wrapping_add(x as i64);
                out.push(last);
            }
            rest = rest.get(size as usize * usize::from(width) / 8..).unwrap_or_default();
        }
    }
    Ok((out, rest))
}

fn zigzag(n: u64) -> i64 {
    (n >> 1) as i64 ^ -((n & 1) as i64)
}

/// Decodes texts that follow all of their lengths (DELTA_LENGTH_BYTE_ARRAY).
fn lengths(bytes: &[u8], n: usize) -> Result<Vec<&[u8]>, Refused> {
    let (lengths, mut rest) = differences(bytes, n)?;
    let mut cells = Vec::new();
    for length in lengths {
        let length = usize::try_from(length).map_err(|_| short())?;
        let (cell, behind) = rest.split_at_checked(length).ok_or_else(short)?;
        cells.push(cell);
        rest = behind;
    }
    Ok(cells)
}

/// Decodes texts that share a beginning with the text before (DELTA_BYTE_ARRAY).
fn prefixes<'a>(bytes: &'a [u8], n: usize, budget: &mut ByteBudget) -> Result<Values<'a>, Refused> {
    let (same, rest) = differences(bytes, n)?;
    let mut cells: Vec<Cow<'a, [u8]>> = Vec::new();
    for (same, end) in same.into_iter().zip(lengths(rest, n)?) {
        let same = usize::try_from(same).map_err(|_| short())?;
        let before = cells.last().map_or(&[][..], |cell| cell);
        let start = before
            .get(..same)
            .ok_or_else(|| damaged("a text begins with more of the one before than there is"))?;
        budget.spend(same + end.len())?;
        cells.push(Cow::Owned([start, end].concat()));
    }
    Ok(Values::Bytes(cells))
}

/// Decodes values whose first bytes are stored together, then their second bytes, and so on
/// (BYTE_STREAM_SPLIT).
fn split_streams<'a>(physical: Physical, bytes: &[u8], n: usize) -> Result<Values<'a>, Refused> {
    let size = match physical {
        Physical::Int32 | Physical::Float => 4,
        Physical::Int64 | Physical::Double => 8,
        Physical::Fixed(size) => size,
        _ => return Err(damaged(format!("values of type {physical:?} in encoding 9"))),
    };
    let length = n.checked_mul(size).ok_or_else(short)?;
    let bytes = bytes.get(..length).ok_or_else(short)?;
    let joined: Vec<u8> = (0..length).map(|i| bytes[i % size * n + i / size]).collect();
    Ok(match fixed(physical, &joined, size) {
        Values::Ints(values) => Values::Ints(values),
        Values::Floats(values) => Values::Floats(values),
        Values::Bytes(values) => {
            Values::Bytes(values.into_iter().map(|cell| Cow::Owned(cell.into_owned())).collect())
        }
    })
}
