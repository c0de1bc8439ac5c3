//! How numbers are written: with a decimal point or a decimal comma, and with or without a sign
//! between groups of three digits.

use serde::{Deserialize, Serialize};

/// How the numbers of a column are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notation {
    /// `1234.5`, `-1e-3`.
    #[default]
    Plain,
    /// Like `Plain`, or with groups of three digits: `1,234.5`, `1 234.5`, `1'234.5`.
    Grouped,
    /// Numbers with a decimal comma, and perhaps groups of three digits: `1234,5`, `1.234,5`, `1
    /// 234,5`.
    Comma,
}

/// Signs that may stand between groups of three digits, whatever the decimal sign.
const GROUPS: [char; 6] = [' ', '\u{a0}', '\u{202f}', '\u{2009}', '\'', '’'];

impl Notation {
    /// All notations.
    pub const ALL: [Notation; 3] = [Notation::Plain, Notation::Grouped, Notation::Comma];

    /// Whether this is the default notation.
    pub fn is_plain(&self) -> bool {
        *self == Notation::Plain
    }

    /// Reads a number, which need not be finite; `None` if the text is no number in this notation.
    pub fn read(self, text: &str) -> Option<f64> {
        match self {
            Notation::Plain => text.parse().ok(),
            Notation::Grouped => text.parse().ok().or_else(|| rewritten(text, '.', ',')),
            Notation::Comma => rewritten(text, ',', '.'),
        }
    }

    /// A number in this notation, for messages.
    pub fn example(self) -> &'static str {
        match self {
            Notation::Plain => "1234.5",
            Notation::Grouped => "1,234.5",
            Notation::Comma => "1.234,5",
        }
    }
}

/// Reads a number with the decimal sign `point`. Groups of three digits may be separated by `group`
/// or by one of [`GROUPS`], always by the same sign within one number.
fn rewritten(text: &str, point: char, group: char) -> Option<f64> {
    let (sign, rest) = match text.strip_prefix(['-', '−']) {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) =
        rest.split_once(['e', 'E']).map_or((rest, None), |(m, e)| (m, Some(e)));
    let (whole, fraction) =
        mantissa.split_once(point).map_or((mantissa, None), |(w, f)| (w, Some(f)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parted = whole.chars().find(|c| *c == group || GROUPS.contains(c));
    let whole = match parted {
        None if whole.is_empty() && fraction.is_some_and(digits) => "0".to_owned(),
        None => whole.to_owned(),
        Some(sign) => {
            let mut groups = whole.split(sign);
            let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
            groups.clone().all(|group| group.len() == 3).then_some(())?;
            std::iter::once(first).chain(groups).collect()
        }
    };
    if !digits(&whole) || fraction.is_some_and(|f| !f.is_empty() && !digits(f)) {
        return None;
    }
    let exponent = exponent.map_or(String::new(), |exponent| format!("e{exponent}"));
    format!("{sign}{whole}.{}{exponent}", fraction.unwrap_or("0")).parse().ok()
}
