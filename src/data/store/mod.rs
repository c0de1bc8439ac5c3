//! Encoded rows on disk: tables that were read before, and tables larger than memory.

pub mod entries;
pub mod stored;
