//! Reads vectors of words from a text file, as word2vec and GloVe write them: a word and its
//! numbers a line, perhaps behind a first line with the number of words and that of their numbers. Plain or
//! gzip.

use std::collections::HashMap;
use std::path::Path;

use crate::data::read::files;
use crate::data::read::stream::Window;
use crate::data::schema::columns::MAX_EMBED;
use crate::fault::{Fault, quoted};

/// The largest number of bytes of a line.
const MOST_LINE: usize = 1 << 20;

/// Whether a line is the first one of word2vec: two whole numbers.
fn is_header(line: &str) -> bool {
    let numbers: Vec<&str> = line.split_ascii_whitespace().collect();
    numbers.len() == 2 && numbers.iter().all(|number| number.parse::<u64>().is_ok())
}

/// Calls `take` with each word, its numbers as texts, and its place, until it returns `false`.
fn each(
    path: &Path,
    mut take: impl FnMut(&str, &[&str], String) -> Result<bool, Fault>,
) -> anyhow::Result<()> {
    let (file, size) = files::open(path)?;
    let mut window = Window::new(file, &path.display().to_string(), size)?;
    let mut is_first = true;
    loop {
        let place = window.place();
        let Some(line) = window.next_line(MOST_LINE)? else { return Ok(()) };
        let skipped = line.trim().is_empty() || (is_first && is_header(&line));
        is_first = false;
        if skipped {
            continue;
        }
        let mut cells = line.trim_end().split([' ', '\t']);
        let word = cells.next().unwrap_or_default();
        let numbers: Vec<&str> = cells.filter(|cell| !cell.is_empty()).collect();
        if !take(word, &numbers, place)? {
            return Ok(());
        }
    }
}

/// Number of numbers of a vector, as the first line with a word has them.
///
/// # Errors
/// 66 if the file cannot be read; 65 if it has no vector, or one of a width that is not possible.
pub fn width(path: &Path) -> anyhow::Result<usize> {
    let mut width = 0;
    each(path, |_, numbers, _| {
        width = numbers.len();
        Ok(false)
    })?;
    match (1..=MAX_EMBED).contains(&width) {
        true => Ok(width),
        false => {
            let found = format!("vectors of {width} numbers, expected 1 to {MAX_EMBED}");
            Err(Fault::data(path.display(), found)
                .hint("give a text file with a word and its numbers a line (word2vec, GloVe)")
                .into())
        }
    }
}

/// The vectors of the words that `wanted` knows, by their numbers there; of a word that stands
/// twice the first.
///
/// # Errors
/// 66 if the file cannot be read; 65 with the line if a vector has another width, or a number that
/// is none.
pub fn read(
    path: &Path,
    width: usize,
    wanted: &HashMap<&str, usize>,
) -> anyhow::Result<HashMap<usize, Vec<f32>>> {
    let mut found = HashMap::new();
    each(path, |word, numbers, place| {
        if numbers.len() != width {
            let message = format!(
                "{} numbers for {}, the vectors before have {width}",
                numbers.len(),
                quoted(word)
            );
            return Err(Fault::data(place, message).hint("give all words vectors of one width"));
        }
        let Some(&number) = wanted.get(word) else { return Ok(true) };
        let mut vector = Vec::with_capacity(width);
        for text in numbers {
            let number = text.parse::<f32>().ok().filter(|x| x.is_finite());
            vector.push(number.ok_or_else(|| {
                Fault::data(&place, format!("{} is not a finite number", quoted(text)))
                    .hint("correct the line, or remove it")
            })?);
        }
        found.entry(number).or_insert(vector);
        Ok(true)
    })?;
    Ok(found)
}
