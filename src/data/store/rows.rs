//! Features that stay on disk, read window by window.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fault::{Exit, Fault};

/// Bytes that are read or written at once.
pub(crate) const PIECE: usize = 1 << 20;

/// Features that stay on disk. A window of rows is in memory, and rows are best asked for window by
/// window.
#[derive(Debug)]
pub struct Stored {
    /// All rows.
    pub rows: usize,
    /// Words of a row.
    pub slots: usize,
    /// Whether codes are among them.
    pub codes: bool,
    /// Rows of a window.
    pub window: usize,
    /// Bytes of memory that a table may take, because of which it is here.
    pub memory: u64,
    pub(crate) path: PathBuf,
    pub(crate) block: Mutex<Block>,
    /// The folder of the file, which is removed when nobody needs it; dropped after the file.
    pub(crate) _folder: Option<Arc<dyn Debug + Send + Sync>>,
}

/// The rows in memory.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) file: File,
    pub(crate) first: usize,
    pub(crate) words: Vec<u32>,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Stored) -> bool {
        self.path == other.path
    }
}

impl Stored {
    /// The words of some rows, one after the other.
    ///
    /// # Errors
    /// 74 if they cannot be read.
    pub fn fetch(&self, rows: impl Iterator<Item = usize>) -> anyhow::Result<Vec<u32>> {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let mut words = Vec::with_capacity(rows.size_hint().0 * self.slots);
        for row in rows {
            let at = match self.place_in(&block, row) {
                Some(at) => at,
                None => {
                    let first = row - row % self.window;
                    block
                        .load(first, self.window.min(self.rows.saturating_sub(first)), self.slots)
                        .map_err(|e| self.broken(&e))?;
                    (row - first) * self.slots
                }
            };
            words.extend(block.words.get(at..at + self.slots).unwrap_or_default());
        }
        Ok(words)
    }

    fn place_in(&self, block: &Block, row: usize) -> Option<usize> {
        let at = row.checked_sub(block.first)? * self.slots;
        (at < block.words.len()).then_some(at)
    }

    fn broken(&self, e: &io::Error) -> Fault {
        let hint = "the file was written by this program: run it again, and look at the disk if \
                    that happens twice";
        Fault::new(Exit::Io, format!("{}: encoded rows cannot be read: {e}", self.path.display()))
            .hint(hint)
    }
}

impl Block {
    fn load(&mut self, first: usize, rows: usize, slots: usize) -> io::Result<()> {
        self.words.clear();
        self.first = first;
        self.file.seek(SeekFrom::Start(4 * first as u64 * slots as u64))?;
        let (mut piece, mut left) = (vec![0; PIECE.min(4 * rows * slots)], 4 * rows * slots);
        self.words.reserve_exact(rows * slots);
        while left > 0 {
            let bytes = &mut piece[..PIECE.min(left)];
            self.file.read_exact(bytes)?;
            self.words.extend(bytes.chunks_exact(4).map(word));
            left -= bytes.len();
        }
        Ok(())
    }
}

/// A u32 of four bytes, lowest first.
pub(crate) fn word(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
