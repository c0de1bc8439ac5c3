//! Texts that stand for the same value where a table came by another way: `50` and `50.0`, `True` and `1`. Programs that write tables do not
//! agree on these; what is equal to the letter goes first.

use std::collections::HashMap;

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
}

impl<'t> Lookup<'t> {
    /// Of texts with their numbers; of two that have one value the first counts.
    pub fn new(texts: impl Iterator<Item = (&'t str, u32)> + Clone) -> Lookup<'t> {
        let mut by_value = HashMap::new();
        texts.clone().for_each(|(text, number)| {
            key(text).map(|key| by_value.entry(key).or_insert(number));
        });
        Lookup { exact: texts.collect(), by_value }
    }

    /// The number of a text.
    pub fn get(&self, text: &str) -> Option<u32> {
        self.exact.get(text).or_else(|| self.by_value.get(&key(text)?)).copied()
    }
}

/// Whether a text is one of some, or has the value of one.
pub fn is_among(texts: &[String], text: &str) -> bool {
    texts.iter().any(|known| known == text)
        || texts.iter().any(|known| known.parse::<f64>().is_ok_and(|x| text.parse::<f64>().is_ok_and(|y| x == y)))
}
