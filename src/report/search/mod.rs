//! The page of a search: which settings were tried, and what each of them gave.

pub mod facts;

pub use super::write::write_page;
pub use facts::{FrontFacts, SearchFacts, SearchedKey, TrialFacts};
