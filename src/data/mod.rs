//! Rows: features, labels, what columns mean. Readers turn files into raw tables or images, and
//! `load` turns these into [`Parts`]. Nothing here knows a network or a GPU.
//!
//! From the ground up: `value` says what a text means, `table` is a table as it was read, `read`
//! reads files, `schema` says what columns mean, `encode` turns cells into numbers and labels,
//! `split` says which rows train, `images` are labelled images, `store` keeps encoded rows on disk,
//! `look` looks at a table without a configuration, `write` writes tables, `load` is the door.

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
pub mod value;
pub mod write;

pub use part::{Part, UNLABELLED};
pub use parts::{Dataset, Features, Parts, Table};
pub use schema::{Column, Encoding, Input, NO_CODE, Reading, Scaling, Schema, Spread, Target};
