//! The texts of a category or of a column of two values, in all spellings that can be listed. The
//! encoder of training says what each of them means.

use std::collections::HashSet;

use anyhow::Result;

use crate::data::encode::cells;
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::texts::Texts;
use crate::data::value::{alike, blanks};
use crate::data::{Column, Encoding, Features};

/// A text that does not mean what unknown texts mean.
pub(super) struct Spelling {
    /// The text.
    pub text: String,
    /// The slots of the column for it.
    pub slots: Vec<u32>,
}

/// The texts that a column tells from unknown ones. `blank_words` is the setting of the schema.
///
/// # Errors
/// Errors of the encoder.
pub(super) fn spellings(column: &Column, blank_words: bool) -> Result<Vec<Spelling>> {
    let texts = candidates(column, blank_words);
    let mut cells = Texts::default();
    texts.iter().for_each(|text| cells.push(text));
    let names = vec![column.name.clone()];
    let raw = Raw::new("spellings", names, vec![RawColumn::Texts(cells)], None)?;
    let rows: Vec<u32> = (0..texts.len() as u32).collect();
    let features = cells::features(&raw, std::slice::from_ref(column), &rows, blank_words)?;
    let count = column.slots();
    let slots = |row: usize| -> Vec<u32> {
        match &features {
            Features::Cells { values, .. } => values[row * count..][..count].to_vec(),
            Features::F32(values) => {
                values[row * count..][..count].iter().map(|x| x.to_bits()).collect()
            }
            Features::U8 { .. } | Features::Stored(_) => Vec::new(),
        }
    };
    let all = texts.into_iter().enumerate().map(|(row, text)| Spelling { text, slots: slots(row) });
    Ok(all.filter(|spelling| !is_unknown(column, &spelling.slots)).collect())
}

/// Whether slots are those of texts that the column does not know.
fn is_unknown(column: &Column, slots: &[u32]) -> bool {
    match &column.encoding {
        Encoding::Category { values, .. } => slots[0] as usize == values.len(),
        Encoding::Binary { .. } => ![0.0_f32, 1.0].map(f32::to_bits).contains(&slots[0]),
        _ => false,
    }
}

/// Texts that may have a meaning, each once.
fn candidates(column: &Column, blank_words: bool) -> Vec<String> {
    let values = match &column.encoding {
        Encoding::Category { values, .. } => &values[..],
        Encoding::Binary { values, .. } => &values[..],
        _ => &[],
    };
    let words: &[&str] = if blank_words { blanks::ANYWHERE } else { &[] };
    let given = values.iter().chain(&column.missing).map(String::as_str);
    let given = given.chain(std::iter::once("")).chain(words.iter().copied());
    let mut texts: Vec<String> = given.flat_map(respelt).collect();
    texts.extend(alike::truths().flat_map(cased));
    let mut seen = HashSet::new();
    texts.retain(|text| text.trim() == text && seen.insert(text.clone()));
    texts
}

/// A text, and the number that it may be with and without a fraction of zero.
fn respelt(text: &str) -> Vec<String> {
    let is_whole =
        !text.is_empty() && text.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    let shorter = text.strip_suffix(".0").map(str::to_owned);
    let longer = is_whole.then(|| format!("{text}.0"));
    std::iter::once(text.to_owned()).chain(shorter).chain(longer).collect()
}

/// A word in small letters, with a capital, in capitals.
fn cased(word: &'static str) -> [String; 3] {
    let mut letters = word.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    [word.to_owned(), first + letters.as_str(), word.to_uppercase()]
}
