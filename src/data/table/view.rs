//! Columns of a raw table, with blank cells told from values.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::texts::Texts;
use crate::data::value::alike::{Respelt, spellings, truth};
use crate::data::value::blanks::{is_blank, is_blank_between};
use crate::data::value::dates::{Date, DateOrder};
use crate::data::value::notation::Notation;
use crate::data::value::words::Hashing;
use crate::data::{Column, Encoding, UNLABELLED};
use crate::fault::{Fault, quoted};

/// A cell that is not blank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    /// A text.
    Text(&'r str),
    /// A number of an array, or of another format that has numbers.
    Number(f64),
}

/// Which texts mean "blank" in a column beside those that are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BlankWords {
    /// No others.
    #[default]
    None,
    /// The texts that mean "blank" in any column.
    Anywhere,
    /// The texts that mean "blank" in a column of numbers or dates.
    Between,
}

impl BlankWords {
    fn is_blank(self, text: &str) -> bool {
        match self {
            BlankWords::None => false,
            BlankWords::Anywhere => is_blank(text),
            BlankWords::Between => is_blank_between(text),
        }
    }
}

/// A column and the texts that mean "blank" in it.
#[derive(Clone, Debug)]
pub struct View<'r> {
    /// Name of the column, for messages.
    pub name: &'r str,
    raw: &'r Raw,
    /// Position of the column; `None` = a column of zeros.
    at: Option<usize>,
    missing: &'r [String],
    /// The texts of `missing` that are numbers, as numbers.
    numbers: Vec<f64>,
    /// Which other texts mean "blank".
    blanks: BlankWords,
    /// How its numbers are written.
    notation: Notation,
    /// How its dates are written.
    order: DateOrder,
    /// Whether words for yes and no are the numbers 1 and 0.
    truth: bool,
}

/// The different values of some rows.
#[derive(Clone, Debug, Default)]
pub struct Distinct<'r> {
    /// The values, in the order of their first rows.
    pub texts: Vec<Cow<'r, str>>,
    /// Number of rows of each value.
    pub counts: Vec<usize>,
    /// For each row, the number of its value, or [`UNLABELLED`] if its cell is blank.
    pub codes: Vec<u32>,
    /// Texts that were taken for another spelling of a value; filled by [`Distinct::merged`].
    pub respelt: Vec<Respelt>,
}

impl Distinct<'_> {
    /// Merges texts that are spellings of one value into one, spelt as most rows have it; see
    /// [`spellings`].
    #[must_use]
    pub fn merged(self) -> Self {
        let spelt = spellings(&self.texts, &self.counts);
        if spelt.iter().enumerate().all(|(code, spelt)| code == *spelt) {
            return self;
        }
        // The new number of each value that is kept.
        let mut left = vec![UNLABELLED; self.texts.len()];
        let mut merged = Distinct::default();
        for (code, kept) in spelt.iter().enumerate().filter(|(code, kept)| code != *kept) {
            merged.respelt.push(Respelt {
                text: self.texts[code].to_string(),
                rows: self.counts[code],
                kept: self.texts[*kept].to_string(),
                kept_rows: self.counts[*kept],
            });
        }
        for (code, text) in
            self.texts.into_iter().enumerate().filter(|(code, _)| spelt[*code] == *code)
        {
            left[code] = merged.texts.len() as u32;
            merged.texts.push(text);
            merged.counts.push(0);
        }
        for (code, count) in self.counts.iter().enumerate() {
            merged.counts[left[spelt[code]] as usize] += count;
        }
        let of = |code: u32| if code == UNLABELLED { code } else { left[spelt[code as usize]] };
        merged.codes = self.codes.into_iter().map(of).collect();
        merged
    }

    /// Number of rows whose cell is blank.
    pub fn blanks(&self) -> usize {
        self.codes.iter().filter(|&&code| code == UNLABELLED).count()
    }
}

/// The columns of a table by name.
#[derive(Clone, Debug)]
pub struct ByName<'r> {
    raw: &'r Raw,
    positions: HashMap<&'r str, usize>,
}

impl<'r> ByName<'r> {
    /// All columns of a table.
    pub fn new(raw: &'r Raw) -> ByName<'r> {
        ByName { raw, positions: raw.names.iter().map(String::as_str).zip(0..).collect() }
    }

    /// The column of a name; `missing` are the texts that mean "blank" in it. An index that is not
    /// there is a column of zeros if the table names only values that occur.
    pub fn view(&self, name: &'r str, missing: &'r [String]) -> Option<View<'r>> {
        let zeros = || {
            self.raw.is_zero(name).then(|| View { name, at: None, ..View::new(self.raw, 0, &[]) })
        };
        self.positions.get(name).map(|&at| View::new(self.raw, at, missing)).or_else(zeros)
    }

    /// The column that a column of a model is made from, read as it was in training. `blank_words`
    /// says whether words such as NA mean "blank".
    pub fn of(&self, column: &'r Column, blank_words: bool) -> Option<View<'r>> {
        let view = self.view(&column.name, &column.missing)?;
        let (blanks, notation, order) = match &column.encoding {
            Encoding::Numeric { notation, .. } => (BlankWords::Between, *notation, DateOrder::Iso),
            Encoding::Date { order, .. } => (BlankWords::Between, Notation::Plain, *order),
            _ => (BlankWords::Anywhere, Notation::Plain, DateOrder::Iso),
        };
        let blanks = if blank_words { blanks } else { BlankWords::None };
        let truth = matches!(column.encoding, Encoding::Numeric { truth: true, .. });
        Some(View { blanks, notation, order, truth, ..view })
    }
}

impl<'r> View<'r> {
    /// The column at position `at` of a table.
    pub fn new(raw: &'r Raw, at: usize, missing: &'r [String]) -> View<'r> {
        let numbers = missing.iter().filter_map(|text| text.parse().ok()).collect();
        let name = raw.names.get(at).map_or("", String::as_str);
        let (blanks, notation, order) = (BlankWords::None, Notation::Plain, DateOrder::Iso);
        View { name, raw, at: Some(at), missing, numbers, blanks, notation, order, truth: false }
    }

    /// Sets how numbers and dates are written.
    pub fn written(self, notation: Notation, order: DateOrder) -> View<'r> {
        View { notation, order, ..self }
    }

    /// How its numbers are written.
    pub fn notation(&self) -> Notation {
        self.notation
    }

    /// How its dates are written.
    pub fn order(&self) -> DateOrder {
        self.order
    }

    /// Its texts; `None` if it holds numbers, or is a column of zeros.
    pub fn texts(&self) -> Option<&'r Texts> {
        match self.at.and_then(|at| self.raw.columns.get(at)) {
            Some(RawColumn::Texts(texts)) => Some(texts),
            _ => None,
        }
    }

    /// The number of a cell, which need not be finite.
    pub fn value(&self, cell: Cell) -> Option<f64> {
        match cell {
            Cell::Text(text) => self.notation.read(text).or_else(|| self.truth_of(text)),
            Cell::Number(x) => Some(x),
        }
    }

    /// 1 or 0 for a word that means yes or no, in a column of a model that held only 1 and 0.
    fn truth_of(&self, text: &str) -> Option<f64> {
        let is_word = self.truth && text.chars().all(char::is_alphabetic);
        truth(text).filter(|_| is_word).map(|is_yes| f64::from(u8::from(is_yes)))
    }

    /// The date of a cell.
    pub fn date(&self, cell: Cell) -> Option<Date> {
        match cell {
            Cell::Text(text) => Date::read_in(text, self.order),
            Cell::Number(x) => Date::read_in(&x.to_string(), self.order),
        }
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
                let x =
                    numbers.get(row).copied().filter(|x| !x.is_nan() && !self.numbers.contains(x));
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

    /// The whole number of a row, if the column holds whole numbers.
    fn whole(&self, row: usize) -> Option<i128> {
        match self.raw.columns.get(self.at?) {
            Some(RawColumn::Wholes(wholes)) => wholes.get(row),
            _ => None,
        }
    }

    fn is_blank(&self, text: &str) -> bool {
        let has_value = || text.parse().is_ok_and(|x| self.numbers.contains(&x));
        self.missing.iter().any(|blank| blank == text)
            || (!self.numbers.is_empty() && has_value())
            || self.blanks.is_blank(text)
    }

    /// A cell as text.
    pub fn text(&self, row: usize) -> Cow<'r, str> {
        self.at.map_or(Cow::Borrowed("0"), |at| self.raw.cell(row, at))
    }

    /// Calls `take` with the buckets of the words of a row until it returns `false`. A blank cell
    /// has no words.
    pub fn words(&self, row: usize, hashing: &Hashing, take: impl FnMut(u32) -> bool) {
        match self.cell(row) {
            Some(Cell::Text(text)) => hashing.buckets(text, take),
            Some(Cell::Number(_)) => hashing.buckets(&self.text(row), take),
            None => {}
        }
    }

    /// The different values of `rows`.
    pub fn distinct(&self, rows: &[u32]) -> Distinct<'r> {
        let mut found = Distinct {
            texts: Vec::new(),
            counts: Vec::new(),
            codes: Vec::with_capacity(rows.len()),
            respelt: Vec::new(),
        };
        let (mut texts, mut numbers, mut wholes) = (HashMap::new(), HashMap::new(), HashMap::new());
        // Equal cells often follow each other, so the last text is looked at first.
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
                    // Whole numbers are compared digit by digit.
                    Some(n) => *wholes.entry(n).or_insert(next),
                    // Adding 0 turns −0 into 0.
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

    /// An error about a cell.
    pub fn fault(
        &self,
        row: usize,
        found: impl std::fmt::Display,
        hint: impl Into<String>,
    ) -> Fault {
        Fault::data(self.locate(row), found).hint(hint)
    }

    /// Reads a cell as a finite number.
    ///
    /// # Errors
    /// 65 with file, line, column and cell; `or` is appended to the hint.
    pub fn number(&self, row: usize, cell: Cell<'_>, or: &str) -> Result<f64, Fault> {
        match self.value(cell) {
            Some(x) if x.is_finite() => Ok(x),
            found => Err(self.no_number(row, found.is_some(), or)),
        }
    }

    fn no_number(&self, row: usize, is_number: bool, or: &str) -> Fault {
        let text = self.text(row);
        let hint = match text.contains(',') && !is_number {
            true => format!(
                "write all numbers of the column alike, as in {}, or say data.decimal{or}",
                self.notation.example()
            ),
            false => format!(
                "correct the cell, or add {} to the texts that mean \"blank\" (missing){or}",
                quoted(&text)
            ),
        };
        let expected = if is_number { "a finite number" } else { "a number" };
        self.fault(row, format!("{} is not {expected}", quoted(&text)), hint)
    }
}
