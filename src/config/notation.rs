//! How texts write numbers and dates: `decimal` and `dates`.

use super::keys::word::words;

/// The sign between the whole part and the fraction of numbers in texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// Found for each column; one sign for a whole table where its columns allow it.
    Auto,
    /// `1234.5`, `1,234.5`.
    Point,
    /// `1234,5`, `1.234,5`.
    Comma,
}

/// The order of year, month and day in the dates of texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// Found for each column.
    Auto,
    /// Year, month, day.
    Ymd,
    /// Month, day, year.
    Mdy,
    /// Day, month, year.
    Dmy,
}

words!(Decimal: Auto = "auto", Point = ".", Comma = ",");
words!(Dates: Auto = "auto", Ymd = "ymd", Mdy = "mdy", Dmy = "dmy");
