//! The cache of images that were decoded before: their bytes, in folders beside those of tables.
//! The key of an entry is a hash of the contents of the files and of the size that they were
//! brought to.

use std::fs;
use std::path::Path;

use crate::data::images::decode::Shape;
use crate::data::store::stored::Folder;
use crate::data::store::table_cache::TableCache;

/// The version of this format, and of what decoding makes of a file.
const FORMAT: u64 = 1;

/// The key of images: of the hashes of their files, in order, and of their shape.
pub fn key(hashes: &[[u8; 32]], shape: Shape) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(format!("images {FORMAT} {} {shape:?}", env!("CARGO_PKG_VERSION")).as_bytes());
    for hash in hashes {
        hasher.update(hash);
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}

/// The bytes of an entry; `None` if it is missing, or damaged.
pub fn find(cache: &TableCache, key: &str, bytes: usize) -> Option<Vec<u8>> {
    let folder = cache.path(key);
    let hash = fs::read_to_string(folder.join("meta")).ok()?;
    let file = folder.join("pixels");
    if fs::metadata(&file).ok()?.len() != bytes as u64 {
        return None;
    }
    let pixels = fs::read(file).ok()?;
    if pixels.len() != bytes || blake3::hash(&pixels).to_hex().as_str() != hash {
        return None;
    }
    cache.touch(key);
    Some(pixels)
}

/// Makes bytes the entry of a key.
///
/// # Errors
/// 74 if they cannot be written.
pub fn keep(cache: &TableCache, key: &str, pixels: &[u8]) -> anyhow::Result<()> {
    let folder = Folder::new(&cache.directory)?;
    let write = |path: &Path| {
        fs::write(path.join("pixels"), pixels)?;
        fs::write(path.join("meta"), blake3::hash(pixels).to_hex().as_str())
    };
    write(folder.path())?;
    cache.keep(folder, key)
}
