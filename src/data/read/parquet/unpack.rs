//! Unpacks compressed pages (Snappy, gzip, Zstandard) to exactly the size that their headers state.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::data::read::parquet::refused::{Refused, damaged, unsupported};
use crate::data::read::parquet::thrift::varint;

/// Unpacks a page to `length` bytes.
pub fn unpack(codec: i64, packed: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let out = match codec {
        0 => packed.to_vec(),
        1 => snappy(packed, length)?,
        2 => gzip(packed, length)?,
        6 => zstandard(packed, length)?,
        other => {
            let names = ["", "", "", "LZO", "Brotli", "LZ4", "Zstandard", "LZ4"];
            let name = usize::try_from(other)
                .ok()
                .and_then(|i| names.get(i))
                .map_or_else(|| format!("codec {other}"), |n| n.to_string());
            return Err(unsupported(format!(
                "pages packed with {name}, expected Snappy, gzip, Zstandard or none"
            )));
        }
    };
    if out.len() != length {
        return Err(damaged(format!(
            "a page unpacks to {} bytes, its header says {length}",
            out.len()
        )));
    }
    Ok(out)
}

fn gzip(packed: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::new();
    let limit = length as u64 + 1;
    MultiGzDecoder::new(packed)
        .take(limit)
        .read_to_end(&mut out)
        .map_err(|e| damaged(format!("a gzip page is damaged: {e}")))?;
    Ok(out)
}

/// The largest window that any page may ask for. Larger windows must be in proportion to the page.
const WINDOW: u64 = 8 << 20;

fn zstandard(packed: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let broken = |e: &dyn std::fmt::Display| damaged(format!("a Zstandard page is damaged: {e}"));
    // The decoder allocates the window that the frame asks for.
    if window(packed).is_some_and(|bytes| bytes > WINDOW.max(2 * length as u64)) {
        return Err(damaged("a Zstandard page asks for a window that is larger than the page"));
    }
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed).map_err(|e| broken(&e))?;
    let mut out = Vec::new();
    decoder.take(length as u64 + 1).read_to_end(&mut out).map_err(|e| broken(&e))?;
    Ok(out)
}

/// The size of the window of a frame in bytes (RFC 8878, 3.1.1.1.2); `None` if it is the size of
/// the contents.
fn window(packed: &[u8]) -> Option<u64> {
    let (descriptor, window) = (*packed.get(4)?, *packed.get(5)?);
    let base = 1u64 << (10 + (window >> 3));
    (descriptor & 0x20 == 0).then(|| base + base / 8 * u64::from(window & 7))
}

/// The largest ratio of unpacked to packed bytes: a copy, the densest element, makes 64 bytes of 3.
const SNAPPY_RATIO: u64 = 22;

/// Unpacks Snappy without frames. The decoder allocates as many bytes as the first number of the
/// page states, so that number is checked before.
fn snappy(packed: &[u8], length: usize) -> Result<Vec<u8>, Refused> {
    let broken = || damaged("a Snappy page is damaged");
    let stated = varint(packed).ok_or_else(broken)?.0;
    if stated != length as u64 {
        return Err(damaged(format!("a Snappy page of {stated} bytes, its header says {length}")));
    }
    if stated > SNAPPY_RATIO * packed.len() as u64 {
        return Err(broken());
    }
    snap::raw::Decoder::new().decompress_vec(packed).map_err(|_| broken())
}
