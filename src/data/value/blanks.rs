//! Texts that people and programs write where a value is missing. Training, `init`, `inspect` and
//! the verbs that apply a model share this list.

/// Texts that mean "blank" in any column, also in one of texts.
pub(crate) const ANYWHERE: &[&str] = &[
    "NA", "N/A", "n/a", "<NA>", "#N/A", "#NA", "NaN", "nan", "NAN", "NULL", "null", "Null",
    "<null>", "(null)", "\\N", "?", "#VALUE!", "#REF!", "#DIV/0!", "#NUM!", "#NAME?", "#NULL!",
];
/// Texts, in small letters, that mean "blank" in a column of numbers or dates, and may be a value
/// in other columns.
pub(crate) const BETWEEN: &[&str] = &[
    "na",
    "n.a.",
    "n.a",
    "#n/a n/a",
    "none",
    "nil",
    "nat",
    "missing",
    "unknown",
    "undefined",
    "empty",
    "blank",
    "(blank)",
    "not available",
    "not applicable",
    "nd",
    "n.d.",
    "n/d",
    "no data",
    "void",
    "tbd",
    "tba",
    "-",
    "--",
    "---",
    "–",
    "—",
    ".",
    "..",
    "...",
    "*",
    "**",
    "_",
    "-nan",
    "1.#ind",
    "1.#qnan",
    "-1.#ind",
    "-1.#qnan",
];

/// Whether a text means "blank" wherever it stands.
pub fn is_blank(text: &str) -> bool {
    text.is_empty() || ANYWHERE.contains(&text)
}

/// Whether a text means "blank" in a column of numbers or dates.
pub fn is_blank_between(text: &str) -> bool {
    // Most cells of such a column begin and end with a digit, and no word of the list does.
    if matches!(text.as_bytes(), [b'0'..=b'9', .., b'0'..=b'9'] | [b'0'..=b'9']) {
        return false;
    }
    is_blank(text) || (text.len() <= 16 && BETWEEN.contains(&text.to_lowercase().as_str()))
}
