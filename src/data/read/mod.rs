//! Readers of files that hold tables: one file per format.
//!
//! Text is read with the `csv` crate's rules by our own code in one pass, and Parquet, NPY,
//! SVMlight and IDX by our own readers: none of the crates for them bounds what the header of a
//! hostile file makes it allocate.

pub mod bytes;
pub mod chunks;
pub mod files;
pub mod glob;
pub mod npy;
pub mod parquet;
pub mod stream;
pub mod svmlight;
pub mod text;

mod formats;
mod reader;

pub use formats::{READERS, read, read_from, read_pair, read_source, reader_of, readers_of};
pub use reader::{Chunked, Reader};
