//! Texts that are spelt differently and stand for one value: `50` and `50.0`, `True` and `1`, `Yes`
//! and `yes`. Programs that write tables do not agree on these. A text that is equal letter by
//! letter is preferred. The rule is the same within one file and between files.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::fault::quoted;

/// Pairs of words for yes and for no, in small letters. The texts of a column mean yes and no only
/// if all of them come from one pair.
const TRUTH: [(&[&str], &[&str]); 9] = [
    (&["true", "t"], &["false", "f"]),
    (&["yes", "y"], &["no", "n"]),
    (&["on"], &["off"]),
    (&["positive", "pos"], &["negative", "neg"]),
    (&["ja", "j"], &["nein", "nee", "n"]),
    (&["oui", "o"], &["non", "n"]),
    (&["si", "sí", "s", "sim"], &["no", "não", "nao", "n"]),
    (&["da"], &["ne", "net", "nu"]),
    (&["wahr", "vrai", "vero"], &["falsch", "faux", "falso"]),
];

/// Whether a text means yes or no, and the pairs of [`TRUTH`] that it belongs to, one bit each. 1
/// and 0 belong to every pair, however many zeros follow their decimal point.
fn pairs(text: &str) -> Option<(bool, u32)> {
    let digit = text.split_at_checked(1).filter(|(digit, zeros)| {
        let is_whole = zeros.is_empty()
            || zeros.strip_prefix('.').is_some_and(|zeros| zeros.bytes().all(|b| b == b'0'));
        is_whole && ["0", "1"].contains(digit)
    });
    if let Some((digit, _)) = digit {
        return Some((digit == "1", u32::MAX));
    }
    let small = text.to_lowercase();
    let of = |is_yes: bool| {
        let has = |(yes, no): &(&[&str], &[&str])| {
            if is_yes { yes } else { no }.contains(&small.as_str())
        };
        TRUTH
            .iter()
            .enumerate()
            .filter(|(_, pair)| has(pair))
            .fold(0, |bits, (at, _)| bits | 1 << at)
    };
    [true, false].into_iter().map(|is_yes| (is_yes, of(is_yes))).find(|(_, bits)| *bits != 0)
}

/// All words that may mean yes or no, in small letters, and the numbers for them.
pub(crate) fn truths() -> impl Iterator<Item = &'static str> {
    let words = TRUTH.into_iter().flat_map(|(yes, no)| yes.iter().chain(no).copied());
    words.chain(["1", "0", "1.0", "0.0"])
}

/// Whether a text means yes (`true`) or no; `None` if it may mean something else.
pub fn truth(text: &str) -> Option<bool> {
    pairs(text).map(|(is_yes, _)| is_yes)
}

/// Whether all texts mean yes or no, in words of one pair.
fn are_truths<'t>(mut texts: impl Iterator<Item = &'t str>) -> bool {
    texts
        .try_fold(u32::MAX, |bits, text| {
            pairs(text).map(|(_, of)| bits & of).filter(|bits| *bits != 0)
        })
        .is_some()
}

/// A key that is equal for all texts of one number, exact to the last digit. `None` if the text is
/// no decimal number, or begins with a needless zero, as codes do.
fn number_key(text: &str) -> Option<String> {
    let (sign, digits) = text
        .strip_prefix('-')
        .map_or(("", text.strip_prefix('+').unwrap_or(text)), |digits| ("-", digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_code = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || is_code || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let sign = if whole == "0" && fraction.is_empty() { "" } else { sign };
    Some(if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    })
}

/// For each of several different texts, the position of the text that stands for it: among texts of
/// one value, the one that most rows have. Numbers are compared by value, unless they begin with a
/// needless zero, as codes do. Words for yes and no are compared by meaning if there are no other
/// texts.
pub fn spellings(texts: &[Cow<str>], counts: &[usize]) -> Vec<usize> {
    let truths = are_truths(texts.iter().map(|text| &**text));
    let value = |text: &str| {
        if truths { truth(text).map(|is_yes| is_yes.to_string()) } else { number_key(text) }
    };
    let mut best: HashMap<String, usize> = HashMap::new();
    for (code, text) in texts.iter().enumerate() {
        let Some(value) = value(text) else { continue };
        let kept = best.entry(value).or_insert(code);
        if counts[code].cmp(&counts[*kept]).then_with(|| texts[*kept].cmp(text)).is_gt() {
            *kept = code;
        }
    }
    texts
        .iter()
        .enumerate()
        .map(|(code, text)| value(text).and_then(|value| best.get(&value).copied()).unwrap_or(code))
        .collect()
}

/// A text that was taken for another spelling of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respelt {
    /// The text.
    pub text: String,
    /// Rows that have it.
    pub rows: usize,
    /// The text that stands for the value.
    pub kept: String,
    /// Rows that have this one.
    pub kept_rows: usize,
}

/// A notice about texts that were taken for other spellings of a value; `None` if there are none.
/// `place` says which column or task they are of.
pub fn respelt_notice(place: &str, respelt: &[Respelt]) -> Option<String> {
    let Respelt { text, rows, kept, kept_rows } = respelt.first()?;
    let more = if respelt.len() > 1 {
        format!(", and so on for {} more", respelt.len() - 1)
    } else {
        String::new()
    };
    let (text, kept) = (quoted(text), quoted(kept));
    Some(format!(
        "{place}: {text} ({rows} rows) is {kept} ({kept_rows} rows) in other words, one value, \
         spelt {kept}{more}"
    ))
}

/// A lookup of known texts by spelling, by value and by meaning.
#[derive(Clone, Debug, Default)]
pub struct Lookup<'t> {
    exact: HashMap<&'t str, u32>,
    by_value: HashMap<String, u32>,
    /// The numbers of yes and no, if the texts mean nothing else.
    by_truth: HashMap<bool, u32>,
}

impl<'t> Lookup<'t> {
    /// Makes a lookup of texts, each with a number; of two texts with one value the first counts.
    pub fn new(texts: impl Iterator<Item = (&'t str, u32)> + Clone) -> Lookup<'t> {
        let mut by_value = HashMap::new();
        texts.clone().for_each(|(text, number)| {
            number_key(text).map(|key| by_value.entry(key).or_insert(number));
        });
        let mut by_truth = HashMap::new();
        if are_truths(texts.clone().map(|(text, _)| text)) {
            texts.clone().for_each(|(text, number)| {
                truth(text).map(|is_yes| by_truth.entry(is_yes).or_insert(number));
            });
        }
        Lookup { exact: texts.collect(), by_value, by_truth }
    }

    /// The number of a text.
    pub fn get(&self, text: &str) -> Option<u32> {
        let by_truth = || self.by_truth.get(&truth(text)?);
        self.exact
            .get(text)
            .or_else(|| self.by_value.get(&number_key(text)?))
            .or_else(by_truth)
            .copied()
    }
}

/// Whether a text is one of `texts`, or is the same number as one of them.
pub fn is_among(texts: &[String], text: &str) -> bool {
    texts.iter().any(|known| known == text)
        || texts.iter().any(|known| {
            known.parse::<f64>().is_ok_and(|x| text.parse::<f64>().is_ok_and(|y| x == y))
        })
}
