//! Texts that stand for the same value where a table came by another way: `50` and `50.0`, `True` and `1`, `Yes` and `yes`. Programs that
//! write tables do not agree on these; what is equal to the letter goes first. One rule within a file and between files.

use std::borrow::Cow;
use std::collections::HashMap;

/// Words for yes and for no, in small letters; 1 and 0 are some as well, however they are written.
const TRUTH: [(bool, &[&str]); 2] = [
    (true, &["true", "t", "yes", "y", "on", "+", "positive", "pos", "ja", "j", "oui", "si", "sí", "sim", "da", "wahr", "vrai"]),
    (false, &["false", "f", "no", "n", "off", "-", "negative", "neg", "nein", "non", "não", "nao", "nee", "net", "falsch", "faux"]),
];

/// Whether a text means yes or no; `None` if it may mean something else.
pub fn truth(text: &str) -> Option<bool> {
    let small = text.to_lowercase();
    let word = TRUTH.iter().find(|(_, words)| words.contains(&small.as_str())).map(|(is_yes, _)| *is_yes);
    word.or_else(|| {
        let (digit, zeros) = text.split_at_checked(1)?;
        let is_whole = zeros.is_empty() || zeros.strip_prefix('.').is_some_and(|zeros| zeros.bytes().all(|b| b == b'0'));
        ["0", "1"].contains(&digit).then_some(digit == "1").filter(|_| is_whole)
    })
}

/// Whether all of some texts mean yes or no.
fn are_truths<'t>(mut texts: impl Iterator<Item = &'t str>) -> bool {
    texts.all(|text| truth(text).is_some())
}

/// For each of several different texts the number of the one that stands for it: of texts of one value that which most rows have. Numbers
/// are equal by value, unless they begin with a zero too many, as codes do; words for yes and no where there are no others.
pub fn spellings(texts: &[Cow<str>], counts: &[usize]) -> Vec<usize> {
    let is_code = |text: &str| {
        let digits = text.trim_start_matches(['-', '+']);
        digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.") || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    };
    let truths = are_truths(texts.iter().map(|text| &**text));
    let value = |text: &str| match truths {
        true => truth(text).map(u64::from),
        false => key(text).filter(|_| !is_code(text)),
    };
    let mut best: HashMap<u64, usize> = HashMap::new();
    for (code, text) in texts.iter().enumerate() {
        let Some(value) = value(text) else { continue };
        let kept = best.entry(value).or_insert(code);
        if counts[code].cmp(&counts[*kept]).then_with(|| texts[*kept].cmp(text)).is_gt() {
            *kept = code;
        }
    }
    texts.iter().enumerate().map(|(code, text)| value(text).and_then(|value| best.get(&value).copied()).unwrap_or(code)).collect()
}

/// What to say of texts that are one value with another: pairs of a text and the one that stands for it, with the rows of both.
pub fn merged_notice(of: &str, pairs: &[(String, usize, String, usize)]) -> Option<String> {
    use crate::fault::quoted;
    let (other, rows, kept, most) = pairs.first()?;
    let more = if pairs.len() > 1 { format!(", and so on for {} more", pairs.len() - 1) } else { String::new() };
    let (other, kept) = (quoted(other), quoted(kept));
    Some(format!("{of}: {other} ({rows} rows) is {kept} ({most} rows) in other words, one value, spelt {kept}{more}"))
}

/// One key for texts of one number, truth being 1 and 0; the sum makes one zero of the two.
fn key(text: &str) -> Option<u64> {
    let truth = [("true", 1.0), ("false", 0.0)].into_iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    let number = truth.map(|(_, x)| x).or_else(|| text.parse().ok().filter(|x: &f64| x.is_finite()));
    number.map(|x| (x + 0.0).to_bits())
}

/// The numbers of known texts.
#[derive(Clone, Debug, Default)]
pub struct Lookup<'t> {
    exact: HashMap<&'t str, u32>,
    by_value: HashMap<u64, u32>,
    /// Those of yes and no, where the texts mean nothing else.
    by_truth: HashMap<bool, u32>,
}

impl<'t> Lookup<'t> {
    /// Of texts with their numbers; of two that have one value the first counts.
    pub fn new(texts: impl Iterator<Item = (&'t str, u32)> + Clone) -> Lookup<'t> {
        let mut by_value = HashMap::new();
        texts.clone().for_each(|(text, number)| {
            key(text).map(|key| by_value.entry(key).or_insert(number));
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
        self.exact.get(text).or_else(|| self.by_value.get(&key(text)?)).or_else(by_truth).copied()
    }
}

/// Whether a text is one of some, or has the value of one.
pub fn is_among(texts: &[String], text: &str) -> bool {
    texts.iter().any(|known| known == text)
        || texts.iter().any(|known| known.parse::<f64>().is_ok_and(|x| text.parse::<f64>().is_ok_and(|y| x == y)))
}
