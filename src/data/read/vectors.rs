//! Reads vectors of words from a text file, as word2vec and GloVe write them: a word and its
//! numbers a line, perhaps behind a first line with the number of words and the width of their
//! vectors. Plain or gzip.

use std::collections::HashMap;
use std::path::Path;

use crate::data::read::files;
use crate::data::read::stream::Window;
use crate::data::schema::columns::MAX_EMBED;
use crate::fault::{Fault, quoted};

/// The largest number of bytes of a line.
const MOST_LINE: usize = 1 << 20;

/// The number of words and the width of their vectors, if a line is the first one of word2vec: two
/// whole numbers.
fn header(line: &str) -> Option<[usize; 2]> {
    let numbers: Vec<usize> =
        line.split_ascii_whitespace().map(|number| number.parse().ok()).collect::<Option<_>>()?;
    <[usize; 2]>::try_from(numbers).ok()
}

/// Calls `take` with the cells of each line, a word and its numbers, and the place of the line,
/// until it returns `false`. The result is the first line of the file, if it is a [`header`].
fn each(
    path: &Path,
    mut take: impl FnMut(&[&str], String) -> Result<bool, Fault>,
) -> anyhow::Result<Option<[usize; 2]>> {
    let (file, size) = files::open(path)?;
    let mut window = Window::new(file, &path.display().to_string(), size)?;
    let (mut is_first, mut first) = (true, None);
    loop {
        let place = window.place();
        let Some(line) = window.next_line(MOST_LINE)? else { return Ok(first) };
        first = first.or_else(|| header(&line).filter(|_| is_first));
        let skipped = line.trim().is_empty() || (is_first && first.is_some());
        is_first = false;
        if skipped {
            continue;
        }
        // The word may be a blank of another kind, so it is kept even if it is empty.
        let line = line.trim_end_matches([' ', '\t', '\r', '\n']);
        let of_word = |(at, cell): &(usize, &str)| *at == 0 || !cell.is_empty();
        let cells: Vec<&str> =
            line.split([' ', '\t']).enumerate().filter(of_word).map(|(_, cell)| cell).collect();
        if !take(&cells, place)? {
            return Ok(first);
        }
    }
}

/// Number of numbers of a vector, as the first line with a word has them.
///
/// # Errors
/// 66 if the file cannot be read; 65 if it has no vector, or one of a width that is not possible.
pub fn width(path: &Path) -> anyhow::Result<usize> {
    let mut width = 0;
    let first = each(path, |cells, _| {
        width = cells.len() - 1;
        Ok(false)
    })?;
    if let Some([_, said]) = first.filter(|[_, said]| *said != width) {
        let found =
            format!("the first line says vectors of {said} numbers, the second has {width}");
        return Err(Fault::data(path.display(), found).hint("correct the first line").into());
    }
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
    let (mut found, mut words) = (HashMap::new(), 0);
    let first = each(path, |cells, place| {
        // A word may have blanks: its numbers are the last cells.
        let (word, numbers) = cells.split_at(cells.len().saturating_sub(width).max(1));
        let is_odd = word.len() > 1 && word[1..].iter().all(|cell| cell.parse::<f32>().is_ok());
        if numbers.len() != width || is_odd {
            let message = format!(
                "{} numbers for {}, the vectors before have {width}",
                cells.len() - 1,
                quoted(word[0])
            );
            return Err(Fault::data(place, message).hint("give all words vectors of one width"));
        }
        words += 1;
        let Some(&number) = wanted.get(word.join(" ").as_str()) else { return Ok(true) };
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
    match first {
        Some([said, _]) if said != words => {
            let message = format!("the first line says {said} words, the file has {words}");
            let hint = "fetch the file again if it was cut, or correct the first line";
            Err(Fault::data(path.display(), message).hint(hint).into())
        }
        _ => Ok(found),
    }
}
