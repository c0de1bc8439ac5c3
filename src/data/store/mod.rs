//! Encoded rows on disk: the cache of tables that were read before, and tables larger than memory.

pub mod budget;
pub mod pixel_cache;
pub mod rows;
pub mod stored;
pub mod table_cache;
