//! Writers of tables.

pub mod csv;
pub mod parquet;
