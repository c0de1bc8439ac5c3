//! What the text of a cell means: blank, a number, a date, or another spelling of a value.

pub mod alike;
pub mod blanks;
pub mod dates;
pub mod meaning;
pub mod notation;
pub mod range;
pub mod words;
