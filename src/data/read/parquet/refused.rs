//! Reasons to refuse a file, and the limit on what it unpacks to.

use crate::fault::Fault;

/// Pages and texts may take this many times the size of the file, plus [`BYTE_FLOOR`].
pub const BYTE_RATIO: u64 = 200;

/// The number of bytes that the pages and texts of any file may take.
pub const BYTE_FLOOR: u64 = 64 << 20;

/// What is wrong with a file, and what to do about it. The caller adds the place.
pub struct Refused {
    pub found: String,
    pub hint: &'static str,
}

/// The file is damaged.
pub fn damaged(found: impl Into<String>) -> Refused {
    Refused { found: found.into(), hint: "the file is damaged or cut off: copy or write it again" }
}

/// The file holds something that is not supported.
pub fn unsupported(found: impl Into<String>) -> Refused {
    let hint = "write flat columns of numbers, text or dates (pandas: to_parquet(…, \
                compression=\"snappy\")), or give a CSV file";
    Refused { found: found.into(), hint }
}

impl Refused {
    /// The error, with its place.
    pub fn at(self, place: &str) -> Fault {
        Fault::data(place, self.found).hint(self.hint)
    }
}

/// The number of bytes that may still be unpacked or copied as text.
pub struct ByteBudget(u64);

impl ByteBudget {
    /// The budget of a file of `size` bytes.
    pub fn of(size: usize) -> ByteBudget {
        ByteBudget(size as u64 * BYTE_RATIO + BYTE_FLOOR)
    }

    /// Takes bytes from the budget, if it has that many.
    pub fn spend(&mut self, bytes: usize) -> Result<(), Refused> {
        let left = self.0.checked_sub(bytes as u64);
        self.0 = left.ok_or_else(|| Refused {
            found: format!("the file unpacks to more than {BYTE_RATIO} times its size"),
            hint: "if the file is what you expect, write it without compression and dictionaries, \
                   or as CSV",
        })?;
        Ok(())
    }
}
