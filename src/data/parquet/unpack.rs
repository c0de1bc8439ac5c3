//! Packed pages: Snappy and gzip, never more than a budget.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::thrift::varint;
use super::{Refused, damaged, unsupported};

/// Unpacks a page of `length` bytes.
pub fn unpack(codec: i64, packed: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let out = match codec {
        0 => packed.to_vec(),
        1 => snappy(packed, length)?,
        2 => gzip(packed, length)?,
        other => {
            let names = ["", "", "", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4"];
            let name = usize::try_from(other).ok().and_then(|i| names.get(i)).map_or_else(|| format!("codec {other}"), |n| n.to_string());
            return Err(unsupported(format!("pages packed with {name}, expected Snappy, gzip or none")));
        }
    };
    if out.len() != length {
        return Err(damaged(format!("a page unpacks to {} bytes, its header says {length}", out.len())));
    }
    Ok(out)
}

fn gzip(packed: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::new();
    let limit = length as u64 + 1;
    MultiGzDecoder::new(packed).take(limit).read_to_end(&mut out).map_err(|e| damaged(format!("a gzip page is damaged: {e}")))?;
    Ok(out)
}

/// Snappy without a frame: the length, then literals and copies of what came before.
fn snappy(packed: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let broken = || damaged("a Snappy page is damaged");
    let (stated, start) = varint(packed).ok_or_else(broken)?;
    if stated != length as u64 {
        return Err(damaged(format!("a Snappy page of {stated} bytes, its header says {length}")));
    }
    let (mut out, mut rest) = (Vec::new(), &packed[start..]);
    while let Some((&tag, behind)) = rest.split_first() {
        let extra = match tag & 3 {
            0 => usize::from(tag >> 2).saturating_sub(59),
            3 => 4,
            other => usize::from(other),
        };
        let (number, behind) = behind.split_at_checked(extra).ok_or_else(broken)?;
        let number = number.iter().rev().fold(0, |n, &byte| n << 8 | usize::from(byte));
        rest = behind;
        if tag & 3 == 0 {
            let size = if extra == 0 { usize::from(tag >> 2) + 1 } else { number + 1 };
            let (literal, behind) = rest.split_at_checked(size).ok_or_else(broken)?;
            out.extend_from_slice(literal);
            rest = behind;
        } else {
            let is_near = tag & 3 == 1;
            let size = if is_near { usize::from(tag >> 2 & 7) + 4 } else { usize::from(tag >> 2) + 1 };
            let back = if is_near { usize::from(tag >> 5) << 8 | number } else { number };
            copy(&mut out, back, size).ok_or_else(broken)?;
        }
        if out.len() > length {
            return Err(broken());
        }
    }
    Ok(out)
}

/// Appends `size` bytes from `back` bytes ago; they may reach into what is being written.
fn copy(out: &mut Vec<u8>, back: usize, size: usize) -> Option<()> {
    let start = out.len().checked_sub(back).filter(|_| back > 0)?;
    if back >= size {
        out.extend_from_within(start..start + size);
    } else {
        for at in start..start + size {
            out.push(out[at]);
        }
    }
    Some(())
}
