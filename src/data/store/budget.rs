//! The memory that a table may take while it is read and encoded.

use crate::config::{Data, Source};
use crate::data::read::files::paths;
use crate::data::read::{Reader, reader_of};

/// The budget in bytes if the machine does not tell how much memory it has.
const UNKNOWN: u64 = 4 << 30;
/// A table takes about this many times the bytes of its files while it is read and encoded.
const PLAIN: u64 = 4;
/// The factor for compressed files.
const PACKED: u64 = 32;

/// The bytes of memory that reading and encoding may take, and how they are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget(pub u64);

impl MemoryBudget {
    /// The memory that the configuration states, or half of the memory of the machine.
    pub fn of(data: &Data) -> MemoryBudget {
        data.memory.map_or_else(MemoryBudget::of_machine, MemoryBudget)
    }

    /// Half of the memory of the machine.
    pub fn of_machine() -> MemoryBudget {
        MemoryBudget(machine().map_or(UNKNOWN, |bytes| bytes / 2))
    }

    /// Whether the files probably take more memory than there is, so that they are read in chunks.
    pub fn is_exceeded(self, sources: &[&Source]) -> anyhow::Result<bool> {
        Ok(need(sources)? > self.0)
    }

    /// Bytes of the rows that are read and encoded at a time.
    pub fn chunk(self) -> u64 {
        (self.0 / 16).clamp(1 << 10, 64 << 20)
    }

    /// Bytes of the rows that features are fitted on.
    pub fn sample(self) -> u64 {
        self.0 / 4
    }

    /// Number of encoded rows of `slots` slots that may be in memory at a time.
    pub fn rows(self, slots: usize) -> usize {
        usize::try_from(self.0 / 4 / (4 * slots.max(1) as u64)).unwrap_or(usize::MAX).max(1)
    }
}

/// About how many bytes the tables of some sources take in memory.
fn need(sources: &[&Source]) -> anyhow::Result<u64> {
    let mut sum = 0u64;
    for source in sources {
        for path in paths(source)? {
            let is_packed =
                path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"))
                    || reader_of(&path).is_ok_and(Reader::is_compressed);
            let bytes = std::fs::metadata(&path).map_or(0, |meta| meta.len());
            sum = sum.saturating_add(bytes.saturating_mul(if is_packed { PACKED } else { PLAIN }));
        }
    }
    Ok(sum)
}

/// Bytes of memory of the machine, or of the container that the process runs in.
fn machine() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let all = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10;
    let limit = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    Some(limit.map_or(all, |limit: u64| limit.min(all)))
}
