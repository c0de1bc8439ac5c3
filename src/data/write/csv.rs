//! Lines of cells with a delimiter, as RFC 4180 has them.

use std::borrow::Cow;

/// A cell as it stands in a line, in quotes where it needs them. A text that a spreadsheet would
/// take for a formula is quoted too, so that it stays what it was.
pub fn field(text: &str, delimiter: char) -> Cow<'_, str> {
    let is_formula = text.starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err();
    if !is_formula && !text.contains([delimiter, '"', '\n', '\r']) {
        return Cow::Borrowed(text);
    }
    format!("\"{}\"", text.replace('"', "\"\"")).into()
}

/// A line of cells, without its end.
pub fn line<'t>(texts: impl IntoIterator<Item = &'t str>, delimiter: char) -> String {
    let fields: Vec<Cow<str>> = texts.into_iter().map(|text| field(text, delimiter)).collect();
    fields.join(&delimiter.to_string())
}
