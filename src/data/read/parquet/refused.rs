//! Why a file is refused, and how much it may unpack to.

use crate::fault::Fault;

/// Pages and texts may be this many times the size of the file …
pub const BYTE_RATIO: u64 = 200;

/// … plus this many bytes.
pub const BYTE_FLOOR: u64 = 64 << 20;

/// What is wrong, and what to do about it; the place is put before it where it is known.
pub struct Refused {
    pub found: String,
    pub hint: &'static str,
}

pub fn damaged(found: impl Into<String>) -> Refused {
    Refused { found: found.into(), hint: "the file is damaged or cut off: copy or write it again" }
}

pub fn unsupported(found: impl Into<String>) -> Refused {
    let hint = "write flat columns of numbers, text or dates (pandas: to_parquet(…, \
                compression=\"snappy\")), or give a CSV file";
    Refused { found: found.into(), hint }
}

impl Refused {
    pub fn at(self, place: &str) -> Fault {
        Fault::data(place, self.found).hint(self.hint)
    }
}

/// Bytes that may still be unpacked or taken for text.
pub struct Budget(u64);

impl Budget {
    /// That of a file of so many bytes.
    pub fn of(size: usize) -> Budget {
        Budget(size as u64 * BYTE_RATIO + BYTE_FLOOR)
    }

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
