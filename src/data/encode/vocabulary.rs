//! The encoding of a column of texts, fitted on the training part: which words are known, how many
//! of them a row may have, and their scale.

use std::collections::HashMap;

use crate::config::{Feature, Version};
use crate::data::Encoding;
use crate::data::table::view::View;
use crate::data::value::words::{Hashing, each_word};
use crate::fault::quoted;

/// The largest number of slots that is found from the texts.
const MOST_SLOTS: usize = 512;

/// Fits a column of texts. Returns a notice too, if some training texts are cut off.
///
/// # Errors
/// Why the column is dropped: it has no word that counts.
pub(crate) fn fit(
    view: &View,
    rows: &[u32],
    feature: &Feature,
    version: Version,
) -> Result<(Encoding, Option<String>), String> {
    let is_hashed = feature.is_hashed(version);
    let words = if is_hashed { Vec::new() } else { known_words(view, rows, feature) };
    let buckets = if is_hashed { feature.buckets(version) } else { words.len() };
    let hashing = Hashing { buckets, ngrams: feature.ngrams.unwrap_or(0) };
    let index: HashMap<&str, u32> = words.iter().map(String::as_str).zip(0..).collect();
    let is_idle = words.is_empty() && !is_hashed;
    let length = |row: u32| {
        let mut found = 0;
        if !is_idle {
            codes(view, row as usize, &hashing, &index, |_| {
                found += 1;
                true
            });
        }
        found
    };
    let mut lengths: Vec<usize> = rows.iter().map(|&row| length(row)).filter(|n| *n > 0).collect();
    if lengths.is_empty() {
        let why = match is_hashed {
            true => "has no word in any row of the training part".to_owned(),
            false => format!(
                "has no word that occurs in {} texts of the training part",
                feature.min_count.unwrap_or(Feature::MIN_TEXTS)
            ),
        };
        return Err(why);
    }
    lengths.sort_unstable();
    let slots = feature.slots(version).unwrap_or_else(|| {
        // The length that 99 of 100 texts have at most.
        lengths[(lengths.len() * 99).div_ceil(100) - 1].min(MOST_SLOTS)
    });
    let (filled, cut) = (lengths.len(), lengths.iter().filter(|n| **n > slots).count());
    let words_of_all: usize = lengths.iter().map(|n| (*n).min(slots)).sum();
    // With this scale the inputs of a row with an average number of words have a norm of about 1.
    let scale = (filled as f64 / words_of_all as f64).sqrt() as f32;
    let notice = (cut > 0 && version >= Version::V0_2).then(|| {
        format!(
            "column {}: {cut} of {filled} training texts have more than {slots} words that count, \
             of which the first {slots} are read (feature.{}.slots)",
            quoted(view.name),
            view.name
        )
    });
    let (ngrams, embed) = (hashing.ngrams, feature.word_width(version));
    let encoding = Encoding::Text { buckets, slots, ngrams, scale, embed, words };
    Ok((encoding, notice))
}

/// Calls `take` with the code of each word of a row that has one, until it returns `false`. Words
/// that are not in `index` have none; with an empty one, words and n-grams are hashed.
pub(crate) fn codes(
    view: &View,
    row: usize,
    hashing: &Hashing,
    index: &HashMap<&str, u32>,
    mut take: impl FnMut(u32) -> bool,
) {
    if index.is_empty() {
        view.words(row, hashing, take);
    } else {
        let known = |word: &str| index.get(word).is_none_or(|&code| take(code));
        if view.cell(row).is_some() {
            each_word(&view.text(row), known);
        }
    }
}

/// The words that occur in enough texts, those in most texts first, and words in as many texts by
/// their letters.
fn known_words(view: &View, rows: &[u32], feature: &Feature) -> Vec<String> {
    // Number of texts that a word occurs in, and the last of them.
    let mut counts: HashMap<String, (usize, u32)> = HashMap::new();
    for &row in rows.iter().filter(|row| view.cell(**row as usize).is_some()) {
        each_word(&view.text(row as usize), |word| {
            if let Some((count, last)) = counts.get_mut(word) {
                *count += usize::from(*last != row);
                *last = row;
            } else {
                counts.insert(word.to_owned(), (1, row));
            }
            true
        });
    }
    let least = feature.min_count.unwrap_or(Feature::MIN_TEXTS);
    let mut words: Vec<(usize, String)> =
        counts.into_iter().map(|(word, (count, _))| (count, word)).collect();
    words.retain(|(count, _)| *count >= least);
    words.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    words.truncate(feature.max_words());
    words.into_iter().map(|(_, word)| word).collect()
}
