//! Data sets: features, labels, and what columns mean. Readers turn files into raw tables or
//! images, and `load` turns these into [`Parts`]. Nothing here knows a network or a GPU.
//!
//! From the ground up: `value` finds out what a text means, `table` holds tables as they were read,
//! `read` reads files, `schema` holds what columns mean, `encode` turns cells into numbers and
//! labels, `split` divides rows into parts, `tokens` knows sentences, `images` has labelled images,
//! `store` keeps encoded rows on disk, `look` surveys tables, `write` writes tables, and `load` has
//! the functions that other rooms call.

pub mod encode;
pub mod images;
pub mod load;
pub mod look;
mod part;
mod parts;
pub mod read;
pub mod schema;
pub mod split;
pub mod store;
pub mod table;
pub mod tokens;
pub mod value;
pub mod write;

pub use part::{Part, UNLABELLED};
pub use parts::{Dataset, Features, Parts, SourceRows, Table};
pub use schema::{
    Column, Encoding, ImageReading, Input, NO_CODE, Reading, Scaling, Schema, Spread, Target,
};
