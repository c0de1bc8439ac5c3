//! The inputs, slots and limits of a column of a schema; and messages about missing columns.

use std::collections::HashSet;

use crate::config::{SENTENCE, SPAN};
use crate::data::table::raw::Raw;
use crate::data::value::alike::Lookup;
use crate::data::{Column, Encoding};
use crate::fault::{Fault, quoted};
use crate::text::nearest;

/// The largest number of inputs of a column of texts.
pub const MAX_BUCKETS: usize = 1 << 20;
/// The largest number of words of a row in one column.
pub const MAX_SLOTS: usize = 4096;
/// The largest width of a learned vector.
pub const MAX_EMBED: usize = 1024;
/// The largest length of character n-grams.
pub const MAX_NGRAMS: usize = 16;
/// The largest number of neighbours on each side of a token.
pub const MAX_WINDOW: usize = 16;
/// The largest number of names that a message lists.
const MOST_NAMED: usize = 8;

impl Column {
    /// The codes of the known values of a category or binary column.
    pub fn known(&self) -> Lookup<'_> {
        let values = match &self.encoding {
            Encoding::Category { values, .. } => &values[..],
            Encoding::Binary { values, .. } => &values[..],
            _ => &[],
        };
        Lookup::new(values.iter().map(String::as_str).zip(0..))
    }

    /// The known words of a column of texts; empty if words are hashed.
    pub fn words(&self) -> &[String] {
        if let Encoding::Text { words, .. } = &self.encoding { words } else { &[] }
    }

    /// Number of inputs that are made from it.
    pub fn width(&self) -> usize {
        (2 * self.window + 1) * self.unit()
    }

    /// Number of inputs that one row of its window gives.
    pub fn unit(&self) -> usize {
        match &self.encoding {
            Encoding::Numeric { indicator, .. } | Encoding::Binary { indicator, .. } => {
                1 + usize::from(*indicator)
            }
            Encoding::Category { embed, .. } | Encoding::Text { embed, .. } if *embed > 0 => *embed,
            Encoding::Category { .. } | Encoding::Text { .. } => self.codes(),
            Encoding::Date { time, indicator, .. } => {
                6 + 2 * usize::from(*time) + usize::from(*indicator)
            }
            Encoding::Span => 0,
        }
    }

    /// The column that says where a token stands in its sentence.
    pub fn span() -> Column {
        let (name, missing, window) = (SPAN.to_owned(), Vec::new(), 0);
        Column { name, missing, window, encoding: Encoding::Span }
    }

    /// Whether it says where a token stands in its sentence.
    pub fn is_span(&self) -> bool {
        self.encoding == Encoding::Span
    }

    /// The code of rows beyond the ends of a sentence, the last of a category with a window.
    pub fn beyond(&self) -> Option<usize> {
        let has_one = self.window > 0 && matches!(self.encoding, Encoding::Category { .. });
        has_one.then(|| self.codes() - 1)
    }

    /// Number of codes that its slots may hold; 0 if they hold numbers.
    pub fn codes(&self) -> usize {
        match &self.encoding {
            Encoding::Category { values, blank, .. } => {
                values.len() + 1 + usize::from(*blank) + usize::from(self.window > 0)
            }
            Encoding::Text { buckets, .. } => *buckets,
            _ => 0,
        }
    }

    /// The code of rare and unseen values.
    pub fn rest(&self) -> Option<usize> {
        if let Encoding::Category { values, .. } = &self.encoding {
            Some(values.len())
        } else {
            None
        }
    }

    /// Number of codes with a learned vector; 0 = no vectors.
    pub fn vectors(&self) -> usize {
        match self.encoding {
            Encoding::Category { embed, .. } | Encoding::Text { embed, .. } if embed > 0 => {
                self.codes()
            }
            _ => 0,
        }
    }

    /// Number of slots that hold its value in a row: one per number or code.
    pub fn slots(&self) -> usize {
        match &self.encoding {
            Encoding::Category { .. } | Encoding::Span => 1,
            Encoding::Text { slots, .. } => *slots,
            _ => self.unit(),
        }
    }

    /// Whether its slots hold codes.
    pub fn has_codes(&self) -> bool {
        matches!(self.encoding, Encoding::Category { .. } | Encoding::Text { .. })
    }

    /// The number that a code adds to its input.
    pub fn code_scale(&self) -> f32 {
        if let Encoding::Text { scale, .. } = self.encoding { scale } else { 1.0 }
    }

    /// What is wrong with a column that came from a file; `None` if it is good.
    pub fn problem(&self) -> Option<String> {
        let scaled = |offset: f64, factor: f64| {
            (!(offset.is_finite() && factor.is_finite()))
                .then_some("offset or factor is not finite")
        };
        let found = match &self.encoding {
            Encoding::Numeric { blank, .. } if !blank.is_finite() => {
                "the value of blanks is none that a column can have".to_owned()
            }
            Encoding::Numeric { range: Some(range), .. }
            | Encoding::Date { range: Some(range), .. }
                if !range.is_good() =>
            {
                "the range is none that a column can have".to_owned()
            }
            Encoding::Numeric { offset, factor, .. } | Encoding::Date { offset, factor, .. } => {
                scaled(*offset, *factor)?.to_owned()
            }
            Encoding::Category { embed, .. } | Encoding::Text { embed, .. }
                if *embed > MAX_EMBED =>
            {
                format!("vectors of {embed} numbers, expected at most {MAX_EMBED}")
            }
            Encoding::Category { values, .. } => {
                let mut seen = HashSet::new();
                format!(
                    "the value {} stands twice",
                    quoted(values.iter().find(|value| !seen.insert(value.as_str()))?)
                )
            }
            Encoding::Binary { values: [a, b], .. } if a == b => {
                format!("the value {} stands twice", quoted(a))
            }
            Encoding::Span => return None,
            Encoding::Binary { mean, .. } if (0.0..=1.0).contains(mean) => return None,
            Encoding::Binary { mean, .. } => format!("a mean of {mean}, expected 0 to 1"),
            Encoding::Text { buckets, words, .. }
                if !words.is_empty() && words.len() != *buckets =>
            {
                format!("{} words, expected {buckets}", words.len())
            }
            Encoding::Text { buckets, slots, ngrams, scale, words, .. } => {
                let mut seen = HashSet::new();
                if let Some(word) = words.iter().find(|word| !seen.insert(word.as_str())) {
                    return Some(format!(
                        "column {}: the word {} stands twice",
                        quoted(&self.name),
                        quoted(word)
                    ));
                }
                let fits = (1..=MAX_BUCKETS).contains(buckets)
                    && (1..=MAX_SLOTS).contains(slots)
                    && *ngrams <= MAX_NGRAMS;
                if fits && scale.is_finite() {
                    return None;
                }
                format!(
                    "{buckets} buckets, {slots} slots, n-grams of {ngrams}, scale {scale}; \
                     expected at most {MAX_BUCKETS}, {MAX_SLOTS}, {MAX_NGRAMS} and a finite number"
                )
            }
        };
        Some(format!("column {}: {found}", quoted(&self.name)))
    }

    /// Why a window that came from a file is none that a column can have; `None` if it is good.
    pub fn window_problem(&self, has_span: bool) -> Option<String> {
        if self.window == 0 || (has_span && self.window <= MAX_WINDOW && !self.is_span()) {
            return None;
        }
        let Column { name, window, .. } = self;
        Some(format!(
            "column {}: a window of {window} rows, expected at most {MAX_WINDOW}, of sentences",
            quoted(name)
        ))
    }
}

/// The error for a column that the configuration names and the table does not have, with the
/// nearest name. `labels` are the label columns, which are listed first.
pub fn no_column(key: &str, name: &str, raw: &Raw, labels: &[&str]) -> Fault {
    let message = format!("there is no column {} in {}", quoted(name), raw.place);
    let hint = match nearest(name, raw.names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => format!("the columns are {}", columns_of(raw, labels)),
    };
    Fault::config(key, message).hint(hint)
}

/// Lists the columns of a table: `labels` first, then the others. Of many columns it lists the
/// first and the last ones, where labels often are.
fn columns_of(raw: &Raw, labels: &[&str]) -> String {
    let known: HashSet<&str> = raw.names.iter().map(String::as_str).collect();
    let first: HashSet<&str> = labels.iter().copied().collect();
    let labels = labels.iter().copied().filter(|name| known.contains(name));
    // What is made of the words of sentences is in no file.
    let has_tokens = known.contains(SPAN);
    let is_made = |name: &str| {
        let of_word = name.rsplit_once('.').filter(|(word, _)| known.contains(word));
        let made = ["lower", "shape", "prefix", "suffix"];
        [SENTENCE, SPAN].contains(&name)
            || of_word.is_some_and(|(_, piece)| made.iter().any(|made| piece.starts_with(made)))
    };
    let others = raw.names.iter().map(String::as_str);
    let others = others.filter(|name| !(first.contains(name) || has_tokens && is_made(name)));
    let names: Vec<String> = labels.chain(others).map(String::from).collect();
    if names.len() <= MOST_NAMED {
        return some(&names);
    }
    let (first, rest) = names.split_at(MOST_NAMED - 2);
    format!("{}, …, {} ({} in all)", some(first), some(&rest[rest.len() - 2..]), names.len())
}

/// Checks that a table has the columns `names` that a model needs, label columns first. A table
/// that names only values that occur has all columns that are indices.
///
/// # Errors
/// 65 with all missing columns, and with the name that is nearest to the first of them.
pub fn check_there(raw: &Raw, names: &[&str]) -> anyhow::Result<()> {
    let known: HashSet<&str> = raw.names.iter().map(String::as_str).collect();
    let is_gone = |name: &&&str| !known.contains(**name) && !raw.is_zero(name);
    let missing: Vec<String> = names.iter().filter(is_gone).map(|&name| name.to_owned()).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let wanted: HashSet<&str> = names.iter().copied().collect();
    let unused = raw.names.iter().map(String::as_str).filter(|name| !wanted.contains(name));
    let hint = match nearest(first, unused) {
        Some(near) => format!("the file has {}; is that {}?", quoted(near), quoted(first)),
        None => format!("the file has the columns {}", columns_of(raw, names)),
    };
    let (noun, count) = if missing.len() == 1 {
        ("column", String::new())
    } else {
        ("columns", format!("{} ", missing.len()))
    };
    Err(Fault::data(&raw.place, format!("{count}{noun} missing: {}", some(&missing)))
        .hint(hint)
        .into())
}

/// Lists the first few names, quoted.
pub fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(MOST_NAMED).map(|name| quoted(name)).collect();
    let rest = if names.len() > MOST_NAMED {
        format!(" and {} more", names.len() - MOST_NAMED)
    } else {
        String::new()
    };
    shown.join(", ") + &rest
}
