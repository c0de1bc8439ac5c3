//! A column of a raw table with its blanks told from its values.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::texts::Texts;
use crate::data::value::alike::{spellings, truth};
use crate::data::value::blanks::{is_blank, is_blank_between};
use crate::data::value::dates::{Date, DateOrder};
use crate::data::value::notation::Notation;
use crate::data::value::words::Hashing;
use crate::data::{Column, Encoding, UNLABELLED};
use crate::fault::{Fault, quoted};

/// A cell that is not blank.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'r> {
    /// As it stands in a text.
    Text(&'r str),
    /// As it stands in an array.
    Number(f64),
}

/// Which texts mean "blank" beside those that are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Words {
    /// None.
    #[default]
    None,
    /// Those that mean so anywhere.
    Anywhere,
    /// Those that mean so between numbers or dates.
    Between,
}

impl Words {
    fn is_blank(self, text: &str) -> bool {
        match self {
            Words::None => false,
            Words::Anywhere => is_blank(text),
            Words::Between => is_blank_between(text),
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
    /// Other texts that mean "blank".
    words: Words,
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
    /// The values, by their first row.
    pub texts: Vec<Cow<'r, str>>,
    /// How many rows have each.
    pub counts: Vec<usize>,
    /// For each row the number of its value, or [`UNLABELLED`] where it is blank.
    pub codes: Vec<u32>,
    /// Values that are another one in other words: each with its rows, and that other one with its
    /// own.
    pub others: Vec<(String, usize, String, usize)>,
}

impl Distinct<'_> {
    /// The same with values that are equal in other words as one, spelt as most rows have it; see
    /// [`spellings`].
    #[must_use]
    pub fn merged(self) -> Self {
        let spelt = spellings(&self.texts, &self.counts);
        if spelt.iter().enumerate().all(|(code, spelt)| code == *spelt) {
            return self;
        }
        // Numbers of the values that are left, in their order.
        let mut left = vec![UNLABELLED; self.texts.len()];
        let mut merged = Distinct::default();
        for (code, kept) in spelt.iter().enumerate().filter(|(code, kept)| code != *kept) {
            let [other, kept] =
                [code, *kept].map(|code| (self.texts[code].to_string(), self.counts[code]));
            merged.others.push((other.0, other.1, kept.0, kept.1));
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

    /// The column of a name; in a table that names only what occurs, one that is not there is all
    /// zeros.
    pub fn view(&self, name: &'r str, missing: &'r [String]) -> Option<View<'r>> {
        let zeros = || {
            self.raw.is_zero(name).then(|| View { name, at: None, ..View::new(self.raw, 0, &[]) })
        };
        self.positions.get(name).map(|&at| View::new(self.raw, at, missing)).or_else(zeros)
    }

    /// The same for a column of a model; `blank_words` says whether words such as NA mean "blank".
    pub fn of(&self, column: &'r Column, blank_words: bool) -> Option<View<'r>> {
        let view = self.view(&column.name, &column.missing)?;
        let (words, notation, order) = match &column.encoding {
            Encoding::Numeric { notation, .. } => (Words::Between, *notation, DateOrder::Iso),
            Encoding::Date { order, .. } => (Words::Between, Notation::Plain, *order),
            _ => (Words::Anywhere, Notation::Plain, DateOrder::Iso),
        };
        let words = if blank_words { words } else { Words::None };
        let truth = matches!(column.encoding, Encoding::Numeric { truth: true, .. });
        Some(View { words, notation, order, truth, ..view })
    }
}

impl<'r> View<'r> {
    /// The column at position `at` of a table.
    pub fn new(raw: &'r Raw, at: usize, missing: &'r [String]) -> View<'r> {
        let numbers = missing.iter().filter_map(|text| text.parse().ok()).collect();
        let name = raw.names.get(at).map_or("", String::as_str);
        let (words, notation, order) = (Words::None, Notation::Plain, DateOrder::Iso);
        View { name, raw, at: Some(at), missing, numbers, words, notation, order, truth: false }
    }

    /// The same with numbers and dates in some writing.
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

    /// Its texts; `None` if it came as numbers, or is one of zeros.
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

    /// 1 or 0 for a word that means yes or no, where that is what the column holds.
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

    /// The number of a cell in a column of whole numbers.
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
            || self.words.is_blank(text)
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
        let mut found = Distinct {
            texts: Vec::new(),
            counts: Vec::new(),
            codes: Vec::with_capacity(rows.len()),
            others: Vec::new(),
        };
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
    pub fn fault(
        &self,
        row: usize,
        found: impl std::fmt::Display,
        hint: impl Into<String>,
    ) -> Fault {
        Fault::data(self.locate(row), found).hint(hint)
    }

    /// A number that is wanted of a cell, and is finite.
    ///
    /// # Errors
    /// 65 with file, line, column and cell; `or` says what else could be done.
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
