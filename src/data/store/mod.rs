//! Encoded rows on disk: tables that were read before, and tables larger than memory.

pub mod budget;
pub mod entries;
pub mod rows;
pub mod stored;
