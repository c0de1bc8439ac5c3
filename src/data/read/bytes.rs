//! Reads whole files as bytes: they are hashed as they lie on the disk, unpacked if they are gzip,
//! and refused if they unpack to far more than their size.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::fault::{self, Fault};

/// A gzip file may unpack to this many times its size plus [`GZIP_FLOOR`].
pub const GZIP_RATIO: u64 = 200;
/// The number of bytes that any gzip file may unpack to, so that tiny files of one repeated line
/// are accepted.
pub const GZIP_FLOOR: u64 = 1 << 20;

/// The contents of a file.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Unpacked bytes.
    pub bytes: Vec<u8>,
    /// BLAKE3 of the file as it lies on the disk, in hex.
    pub hash: String,
}

/// Reads a file. Its first two bytes tell whether it is gzip.
///
/// # Errors
/// 66 if it cannot be read; 65 if the gzip stream is damaged or unpacks to far more than its size.
pub fn read(path: &Path) -> anyhow::Result<Contents> {
    let mut bytes = Vec::new();
    fault::open(path)?.read_to_end(&mut bytes).map_err(|e| {
        Fault::missing(path.display(), format!("cannot be read: {e}"))
            .hint("give a readable file, not a directory")
    })?;
    unpacked(&path.display().to_string(), bytes)
}

/// Hashes and unpacks the bytes of a file; `place` is its name for messages.
///
/// # Errors
/// 65, as in [`read`].
pub fn unpacked(place: &str, bytes: Vec<u8>) -> anyhow::Result<Contents> {
    let hash = blake3::hash(&bytes).to_hex().to_string();
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) { unpack(place, &bytes)? } else { bytes };
    Ok(Contents { bytes, hash })
}

fn unpack(place: &str, packed: &[u8]) -> anyhow::Result<Vec<u8>> {
    let cap = packed.len() as u64 * GZIP_RATIO + GZIP_FLOOR;
    let mut bytes = Vec::new();
    MultiGzDecoder::new(packed).take(cap + 1).read_to_end(&mut bytes).map_err(|e| {
        Fault::data(place, format!("the gzip stream is truncated or damaged: {e}"))
            .hint("copy or download the file again")
    })?;
    if bytes.len() as u64 > cap {
        let found = format!(
            "the gzip stream unpacks to more than {GZIP_RATIO} times its {} bytes",
            packed.len()
        );
        return Err(Fault::data(place, found)
            .hint("if the file is what you expect, unpack it first and give the plain file")
            .into());
    }
    Ok(bytes)
}
