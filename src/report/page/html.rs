//! Pieces of HTML. Every text goes through [`text`].

use crate::measure::chart::escaped;
use crate::text::short;

/// A text, escaped.
pub fn text(text: &str) -> String {
    escaped(text)
}

/// A text of several lines, escaped line by line.
pub fn lines(text: &str) -> String {
    text.lines().map(|line| escaped(&line.replace('\t', "    "))).collect::<Vec<_>>().join("\n")
}

/// A number with its exact value, or a dash with the reason why there is none.
pub fn number(value: Option<f64>, reason: &str) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => format!("<data value=\"{value}\">{}</data>", short(value)),
        None => {
            format!("<span title=\"{0}\">–<span class=\"why\"> {0}</span></span>", text(reason))
        }
    }
}

/// A number with two decimals, without a sign where these are zeros.
pub fn hundredths(value: f64) -> String {
    // Adding 0 makes a 0 of a −0.
    format!("{:.2}", (100.0 * value).round() / 100.0 + 0.0)
}

/// A table; its first column names the rows.
pub struct Table<'a> {
    /// What it shows.
    pub caption: &'a str,
    /// Names of the columns.
    pub head: Vec<String>,
    /// The rows: the name, then cells of HTML.
    pub rows: Vec<(String, Vec<String>)>,
}

impl Table<'_> {
    /// The table as HTML; it scrolls sideways where it is wider than the page.
    pub fn html(&self) -> String {
        let head: String =
            self.head.iter().map(|name| format!("<th scope=\"col\">{}</th>", text(name))).collect();
        let row = |(name, cells): &(String, Vec<String>)| {
            let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
            format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", text(name))
        };
        let rows: String = self.rows.iter().map(row).collect();
        format!(
            "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\"><table>\n\
             <caption>{0}</caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
             </table></div>\n",
            text(self.caption)
        )
    }
}
