//! Writers of tables, one file per format.

pub mod csv;
pub mod parquet;
