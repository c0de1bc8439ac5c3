//! Features that stay on disk and are read one window of rows at a time.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fault::{Exit, Fault};

/// Number of bytes that are read or written at once.
pub(crate) const PIECE: usize = 1 << 20;

/// Features that stay on disk. One window of rows is in memory at a time, so rows are best fetched
/// window by window.
#[derive(Debug)]
pub struct Stored {
    /// Number of rows.
    pub rows: usize,
    /// Number of slots of a row.
    pub slots: usize,
    /// Whether some slots hold codes.
    pub codes: bool,
    /// Number of rows of a window.
    pub window: usize,
    /// Bytes of memory that the table was allowed to take; it is on disk because it takes more.
    pub memory: u64,
    pub(crate) path: PathBuf,
    pub(crate) block: Mutex<Block>,
    /// The folder of the file, which is removed when this is dropped, after the file.
    pub(crate) _folder: Option<Arc<dyn Debug + Send + Sync>>,
}

/// The window of rows that is in memory.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) file: File,
    pub(crate) first: usize,
    pub(crate) values: Vec<u32>,
}

impl PartialEq for Stored {
    fn eq(&self, other: &Stored) -> bool {
        self.path == other.path
    }
}

impl Stored {
    /// The slots of some rows, one row after the other.
    ///
    /// # Errors
    /// 74 if they cannot be read.
    pub fn fetch(&self, rows: impl Iterator<Item = usize>) -> anyhow::Result<Vec<u32>> {
        let mut block = self.block.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values = Vec::with_capacity(rows.size_hint().0 * self.slots);
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
            values.extend(block.values.get(at..at + self.slots).unwrap_or_default());
        }
        Ok(values)
    }

    /// The position of the first slot of a row in a block; `None` if the row is not in it.
    fn place_in(&self, block: &Block, row: usize) -> Option<usize> {
        let at = row.checked_sub(block.first)? * self.slots;
        (at < block.values.len()).then_some(at)
    }

    fn broken(&self, e: &io::Error) -> Fault {
        let hint = "the file was written by this program: run it again, and look at the disk if \
                    that happens twice";
        Fault::new(Exit::Io, format!("{}: encoded rows cannot be read: {e}", self.path.display()))
            .hint(hint)
    }
}

impl Block {
    /// Reads `rows` rows from row `first` on.
    fn load(&mut self, first: usize, rows: usize, slots: usize) -> io::Result<()> {
        self.values.clear();
        self.first = first;
        self.file.seek(SeekFrom::Start(4 * first as u64 * slots as u64))?;
        let (mut piece, mut left) = (vec![0; PIECE.min(4 * rows * slots)], 4 * rows * slots);
        self.values.reserve_exact(rows * slots);
        while left > 0 {
            let bytes = &mut piece[..PIECE.min(left)];
            self.file.read_exact(bytes)?;
            self.values.extend(bytes.chunks_exact(4).map(u32_from_bytes));
            left -= bytes.len();
        }
        Ok(())
    }
}

/// A u32 from four bytes, lowest first.
pub(crate) fn u32_from_bytes(bytes: &[u8]) -> u32 {
    bytes.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
