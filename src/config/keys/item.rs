//! One value with its key path, and the sentences for what is wrong with it.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::alike::{choices, join};
use super::word::Word;
use crate::fault::{Exit, Fault, address, quoted};

/// What reading gives; the caller of this room gets it as `anyhow::Result`.
pub(in crate::config) type Result<T> = std::result::Result<T, Fault>;

/// The largest number of steps, rows or units: products of two stay far inside 64 bits, single ones
/// inside the device's 32.
pub(in crate::config) const MOST: u64 = 1_000_000_000;

/// A range of numbers, and how a sentence says it.
pub(in crate::config) struct Range {
    says: &'static str,
    holds: fn(f64) -> bool,
}

/// (0, ∞)
pub(in crate::config) const POSITIVE: Range =
    Range { says: "a finite number above 0", holds: |x| x > 0.0 && x.is_finite() };
/// [0, ∞)
pub(in crate::config) const NOT_NEGATIVE: Range =
    Range { says: "a finite number, 0 or above", holds: |x| x >= 0.0 && x.is_finite() };
/// [0, 1)
pub(in crate::config) const BELOW_ONE: Range =
    Range { says: "a number from 0 to below 1", holds: |x| (0.0..1.0).contains(&x) };

/// [0, 1]
pub(in crate::config) const UP_TO_ONE: Range =
    Range { says: "a number from 0 to 1", holds: |x| (0.0..=1.0).contains(&x) };

/// Up to 40: the exponential of such a number is one of f32.
pub(in crate::config) const UP_TO_FORTY: Range =
    Range { says: "a number above 0, at most 40", holds: |x| x > 0.0 && x <= 40.0 };
/// (0, 1)
pub(in crate::config) const INSIDE_ONE: Range =
    Range { says: "a number above 0 and below 1", holds: |x| x > 0.0 && x < 1.0 };

/// A value of the configuration and where it stands.
pub(in crate::config) struct Item {
    /// Key path, such as `optimizer.learning_rate`.
    pub path: String,
    /// The value.
    pub value: Value,
}

impl Item {
    /// This value is wrong: `PATH: MESSAGE`, with the hint that always helps.
    pub fn fault(&self, message: impl std::fmt::Display) -> Fault {
        Fault::config(&self.path, message).hint(format!(
            "correct it in the configuration, or override it with --set {}=…",
            self.path
        ))
    }

    /// `PATH: must be EXPECTED, found …`
    pub fn wrong(&self, expected: impl std::fmt::Display) -> Fault {
        self.fault(format!("must be {expected}, found {}", found(&self.value)))
    }

    /// `PATH: has no effect, since WHY`
    pub fn without_effect(&self, why: impl std::fmt::Display) -> Fault {
        Fault::config(&self.path, format!("has no effect, since {why}")).hint("leave it out")
    }

    /// A number of the range, both as it stands and as the device will see it, in 32 bits.
    pub fn number(&self, range: &Range) -> Result<f64> {
        let x = match self.value {
            Value::Integer(i) => i as f64,
            Value::Float(x) => x,
            _ => return Err(self.wrong(range.says)),
        };
        match ((range.holds)(x), (range.holds)(in_32_bits(x))) {
            (false, _) => Err(self.wrong(range.says)),
            (true, false) => Err(self.fault(format!(
                "must be {}, found {x:e}, which is {} in 32 bits",
                range.says,
                in_32_bits(x)
            ))),
            (true, true) => Ok(x),
        }
    }

    /// A whole number of the range.
    pub fn count(&self, range: RangeInclusive<u64>) -> Result<u64> {
        let wrong = || self.wrong(format!("an integer from {} to {}", range.start(), range.end()));
        let n = self.value.as_integer().and_then(|i| u64::try_from(i).ok());
        n.filter(|n| range.contains(n)).ok_or_else(wrong)
    }

    /// `true` or `false`.
    pub fn flag(&self) -> Result<bool> {
        self.value.as_bool().ok_or_else(|| self.wrong("true or false"))
    }

    /// Text that is not empty.
    pub fn text(&self) -> Result<&str> {
        self.value
            .as_str()
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.wrong("a text that is not empty"))
    }

    /// The items of a list; `of` says what they should be.
    pub fn list(&self, of: &str) -> Result<Vec<Item>> {
        let items = self.value.as_array().ok_or_else(|| self.wrong(format!("a list of {of}")))?;
        Ok(items
            .iter()
            .enumerate()
            .map(|(i, value)| Item { path: format!("{}.{i}", self.path), value: value.clone() })
            .collect())
    }

    /// A list of texts, each once.
    pub fn texts(&self) -> Result<Vec<String>> {
        let mut texts = Vec::new();
        for item in self.list("texts")? {
            let text = item.text()?;
            if texts.iter().any(|t| t == text) {
                return Err(item.fault(format!("{} stands twice in {}", quoted(text), self.path)));
            }
            texts.push(text.to_owned());
        }
        Ok(texts)
    }

    /// Texts that mean "blank", each once; the empty text may be one, and an integer stands for its
    /// digits.
    pub fn blanks(&self) -> Result<Vec<String>> {
        let mut texts: Vec<String> = Vec::new();
        for item in self.list("texts that mean \"blank\"")? {
            let text = match &item.value {
                Value::String(text) => text.clone(),
                Value::Integer(i) => i.to_string(),
                _ => return Err(item.wrong("a text or an integer")),
            };
            if text.trim() != text {
                return Err(item.fault(format!(
                    "{} begins or ends with a space, which cells lose",
                    quoted(&text)
                )));
            }
            if texts.contains(&text) {
                return Err(item.fault(format!("{} stands twice in {}", quoted(&text), self.path)));
            }
            texts.push(text);
        }
        Ok(texts)
    }

    /// The entries of a table, in the order of the file.
    pub fn entries(self, expected: &str) -> Result<Vec<(String, Item)>> {
        let path = self.path.clone();
        let entries = self.table(expected)?.into_iter();
        Ok(entries
            .map(|(key, value)| (key.clone(), Item { path: join(&path, &key), value }))
            .collect())
    }

    /// The table that this is.
    pub fn table(self, expected: &str) -> Result<Table> {
        match self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.wrong(expected)),
        }
    }

    /// One of these words.
    pub fn one_of<'a>(&self, words: &[&'a str]) -> Result<&'a str> {
        let text = self
            .value
            .as_str()
            .ok_or_else(|| self.wrong(format!("one of the texts {}", words.join(", "))))?;
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(word),
            None => {
                Err(self.fault(format!("{} is not known", quoted(text))).hint(choices(text, words)))
            }
        }
    }

    /// One value of an enumeration.
    pub fn word<W: Word>(&self) -> Result<W> {
        let words: Vec<&str> = W::ALL.iter().map(|w| w.word()).collect();
        let word = self.one_of(&words)?;
        W::ALL.iter().copied().find(|w| w.word() == word).ok_or_else(|| self.wrong("a known word"))
    }

    /// A number of bytes, as such or as `"500MB"`, `"2GB"`.
    pub fn bytes(&self) -> Result<u64> {
        let wrong = || {
            self.wrong("a size of 1 KB to 1000 TB, as a number of bytes or as \"500MB\", \"2GB\"")
        };
        let bytes = match &self.value {
            Value::Integer(i) => Some(*i as f64),
            Value::String(text) => {
                with_suffix(text, &[("KB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12)])
            }
            _ => None,
        };
        bytes
            .filter(|bytes| (1e3..=1e15).contains(bytes))
            .map(|bytes| bytes as u64)
            .ok_or_else(wrong)
    }

    /// A time in seconds, as a number or as `"30s"`, `"10m"`, `"1.5h"`.
    pub fn seconds(&self) -> Result<f64> {
        let wrong = || {
            self.wrong(format!(
                "a time above 0 and up to {MOST} seconds, as a number or as \"30s\", \"10m\", \
                 \"1h\""
            ))
        };
        let seconds = match &self.value {
            Value::Integer(i) => Some(*i as f64),
            Value::Float(x) => Some(*x),
            Value::String(text) => with_suffix(text, &[("s", 1.0), ("m", 60.0), ("h", 3600.0)]),
            _ => None,
        };
        seconds.filter(|x| *x > 0.0 && *x <= MOST as f64).ok_or_else(wrong)
    }

    /// Refuses the address of a file elsewhere.
    pub fn check_local(&self) -> Result<()> {
        let fault = self.value.as_str().and_then(|text| address(&self.path, text));
        fault.map_or(Ok(()), |fault| Err(Fault { exit: Exit::Config, ..fault }))
    }

    /// An absolute path; a relative one starts at `base`.
    pub fn path_from(&self, base: &Path) -> Result<PathBuf> {
        self.check_local()?;
        let path = std::path::absolute(base.join(self.text()?))
            .map_err(|e| self.fault(format!("cannot be made absolute: {e}")))?;
        // The path will stand in the run's config.toml, which is text.
        if path.to_str().is_none() {
            Err(self.fault("leads to a path that is not valid UTF-8"))
        } else {
            Ok(path)
        }
    }
}

/// A value with its type, for a sentence.
pub(in crate::config) fn found(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text {}", quoted(text)),
        Value::Integer(i) => i.to_string(),
        Value::Float(x) => format!("{x:?}"),
        Value::Boolean(b) => format!("the boolean {b}"),
        Value::Datetime(date) => format!("the date {date}"),
        Value::Array(_) => "a list".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// The number that a 32-bit device works with; it may take subnormals for zero.
fn in_32_bits(x: f64) -> f64 {
    let single = x as f32;
    if single.is_subnormal() { 0.0 } else { f64::from(single) }
}

/// `"10m"` in seconds, or `"2GB"` in bytes: a number with one of these units behind it.
fn with_suffix(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let (unit, factor) = units.iter().find(|(unit, _)| text.ends_with(unit))?;
    let digits = text.strip_suffix(unit)?;
    digits
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'.')
        .then(|| digits.parse::<f64>().ok().map(|x| x * factor))?
}
