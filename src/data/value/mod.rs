//! What a text of a cell means: blank, number, date, or a value equal to another.

pub mod alike;
pub mod blanks;
pub mod dates;
pub mod meaning;
pub mod notation;
pub mod range;
pub mod words;
