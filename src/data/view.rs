//! A column of a raw table with its blanks told from its values.

use std::borrow::Cow;
use std::collections::HashMap;

use super::UNLABELLED;
use super::raw::{Raw, RawColumn};
use super::words::Hashing;
use crate::fault::{Fault, quoted};

/// A cell that is not blank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    /// As it stands in a text.
    Text(&'r str),
    /// As it stands in an array.
    Number(f64),
}

impl Cell<'_> {
    /// Its number, which need not be finite.
    pub fn number(self) -> Option<f64> {
        match self {
            Cell::Text(text) => text.parse().ok(),
            Cell::Number(x) => Some(x),
        }
    }
}

/// A column and the texts that mean "blank" in it.
#[derive(Clone, Debug)]
pub struct View<'r> {
    /// Name of the column, for messages.
    pub name: &'r str,
    raw: &'r Raw,
    /// Position; `None` = a column of zeros.
    at: Option<usize>,
    missing: &'r [String],
    /// The same as numbers, where they are some.
    numbers: Vec<f64>,
}

/// The different values of some rows.
#[derive(Clone, Debug, Default)]
pub struct Distinct<'r> {
    /// The values, by their first row.
    pub texts: Vec<Cow<'r, str>>,
    /// How many rows have each.
    pub counts: Vec<usize>,
    /// For each row the number of its value, or [`UNLABELLED`] where it is blank.
    pub codes: Vec<u32>,
}

impl Distinct<'_> {
    /// How many rows are blank.
    pub fn blanks(&self) -> usize {
        self.codes.iter().filter(|&&code| code == UNLABELLED).count()
    }
}

/// The columns of a table by name.
#[derive(Clone, Debug)]
pub struct Index<'r> {
    raw: &'r Raw,
    positions: HashMap<&'r str, usize>,
}

impl<'r> Index<'r> {
    /// Of all columns.
    pub fn new(raw: &'r Raw) -> Index<'r> {
        Index { raw, positions: raw.names.iter().map(String::as_str).zip(0..).collect() }
    }

    /// The column of a name; in a table that names only what occurs, one that is not there is all zeros.
    pub fn view(&self, name: &'r str, missing: &'r [String]) -> Option<View<'r>> {
        let zeros = || self.raw.is_zero(name).then(|| View { name, raw: self.raw, at: None, missing: &[], numbers: Vec::new() });
        self.positions.get(name).map(|&at| View::new(self.raw, at, missing)).or_else(zeros)
    }
}

impl<'r> View<'r> {
    /// The column at position `at` of a table.
    pub fn new(raw: &'r Raw, at: usize, missing: &'r [String]) -> View<'r> {
        let numbers = missing.iter().filter_map(|text| text.parse().ok()).collect();
        View { name: raw.names.get(at).map_or("", String::as_str), raw, at: Some(at), missing, numbers }
    }

    /// The cell of a row; `None` if it is blank.
    pub fn cell(&self, row: usize) -> Option<Cell<'r>> {
        let column = self.at.map(|at| self.raw.columns.get(at));
        match column {
            Some(Some(RawColumn::Texts(texts))) => {
                let text = texts.get(row);
                (!self.is_blank(text)).then_some(Cell::Text(text))
            }
            Some(Some(RawColumn::Numbers(numbers))) => {
                let x = numbers.get(row).copied().filter(|x| !x.is_nan() && !self.numbers.contains(x));
                x.map(Cell::Number)
            }
            Some(Some(RawColumn::Wholes(wholes))) => {
                let x = wholes.get(row).map(|n| n as f64).filter(|x| !self.numbers.contains(x));
                x.map(Cell::Number)
            }
            Some(None) => None,
            None => Some(Cell::Number(0.0)),
        }
    }

    /// The number of a cell in a column of whole numbers.
    fn whole(&self, row: usize) -> Option<i128> {
        match self.raw.columns.get(self.at?) {
            Some(RawColumn::Wholes(wholes)) => wholes.get(row),
            _ => None,
        }
    }

    fn is_blank(&self, text: &str) -> bool {
        let has_value = || text.parse().is_ok_and(|x| self.numbers.contains(&x));
        self.missing.iter().any(|blank| blank == text) || (!self.numbers.is_empty() && has_value())
    }

    /// A cell as text.
    pub fn text(&self, row: usize) -> Cow<'r, str> {
        self.at.map_or(Cow::Borrowed("0"), |at| self.raw.cell(row, at))
    }

    /// Calls `take` with the buckets of the words of a row until it says no; a blank cell has none.
    pub fn words(&self, row: usize, hashing: &Hashing, take: impl FnMut(u32) -> bool) {
        match self.cell(row) {
            Some(Cell::Text(text)) => hashing.buckets(text, take),
            Some(Cell::Number(_)) => hashing.buckets(&self.text(row), take),
            None => {}
        }
    }

    /// The different values of `rows`.
    pub fn distinct(&self, rows: &[u32]) -> Distinct<'r> {
        let mut found = Distinct { texts: Vec::new(), counts: Vec::new(), codes: Vec::with_capacity(rows.len()) };
        let (mut texts, mut numbers, mut wholes) = (HashMap::new(), HashMap::new(), HashMap::new());
        // Equal cells often follow each other.
        let mut last = ("", UNLABELLED);
        for row in rows.iter().map(|&row| row as usize) {
            let next = found.texts.len() as u32;
            let code = match self.cell(row) {
                None => UNLABELLED,
                Some(Cell::Text(text)) if text == last.0 && last.1 != UNLABELLED => last.1,
                Some(Cell::Text(text)) => {
                    last = (text, *texts.entry(text).or_insert(next));
                    last.1
                }
                Some(Cell::Number(x)) => match self.whole(row) {
                    // Every digit counts.
                    Some(n) => *wholes.entry(n).or_insert(next),
                    // The sum makes one zero of the two.
                    None => *numbers.entry((x + 0.0).to_bits()).or_insert(next),
                },
            };
            if code == next {
                found.texts.push(self.text(row));
                found.counts.push(0);
            }
            if code != UNLABELLED {
                found.counts[code as usize] += 1;
            }
            found.codes.push(code);
        }
        found
    }

    /// The files, for messages.
    pub fn place(&self) -> &'r str {
        &self.raw.place
    }

    /// Where a cell stands: `train.csv:1041: column "age"`.
    pub fn locate(&self, row: usize) -> String {
        format!("{}: column {}", self.raw.locate(row), quoted(self.name))
    }

    /// What is wrong with a cell.
    pub fn fault(&self, row: usize, found: impl std::fmt::Display, hint: impl Into<String>) -> Fault {
        Fault::data(self.locate(row), found).hint(hint)
    }

    /// A number that is wanted of a cell, and is finite.
    ///
    /// # Errors
    /// 65 with file, line, column and cell; `or` says what else could be done.
    pub fn number(&self, row: usize, cell: Cell<'_>, or: &str) -> Result<f64, Fault> {
        match cell.number() {
            Some(x) if x.is_finite() => Ok(x),
            found => Err(self.no_number(row, found.is_some(), or)),
        }
    }

    fn no_number(&self, row: usize, is_number: bool, or: &str) -> Fault {
        let text = self.text(row);
        let hint = match text.contains(',') && !is_number {
            true => "write a decimal point and no thousands separators, as in 1234.5".to_owned(),
            false => format!("correct the cell, or add {} to the texts that mean \"blank\" (missing){or}", quoted(&text)),
        };
        let expected = if is_number { "a finite number" } else { "a number" };
        self.fault(row, format!("{} is not {expected}", quoted(&text)), hint)
    }
}
