//! What reading a data set may use beside its files.

use crate::data::store::table_cache::TableCache;

/// How data is loaded.
pub struct Loading<'l> {
    /// The cache of tables and images that were read before; `None` = no cache is used.
    pub cache: Option<TableCache>,
    /// Called at the start of each stage, with the name of the stage and the number of bytes that
    /// it reads.
    pub stage: &'l dyn Fn(&str, u64),
}

impl Default for Loading<'_> {
    fn default() -> Self {
        Loading { cache: None, stage: &|_, _| {} }
    }
}
