//! Writers of tables.

pub mod parquet;
