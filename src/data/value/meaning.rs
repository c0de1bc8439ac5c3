//! What the texts of a column are: which of them are blank, and whether the others are numbers or
//! dates, in which writing. One rule for training, for `init` and for `inspect`, for features and
//! for labels.

use std::collections::HashMap;

use crate::config::{Dates, Decimal, Version};
use crate::data::value::alike::is_among;
use crate::data::value::blanks::{is_blank, is_blank_between};
use crate::data::value::dates::{Date, DateOrder};
use crate::data::value::notation::Notation;
use crate::fault::quoted;

/// One cell in so many may be no number in a column of numbers: it is taken for a slip and refused
/// with its line.
pub const SLIPS: usize = 10;
/// A column of so few different numbers may hold codes, some of which are letters.
const CODES: usize = 16;
/// Different texts whose readings are kept; a column of more of them is looked at cell by cell.
const REMEMBERED: usize = 256;
/// Different texts that a reading may fail on before it is given up.
const MOST_UNFIT: usize = 64;
/// Different texts that are no numbers and still mean "blank" where they come back.
const MOST_WORDS: usize = 2;

/// What the configuration says of a column's texts.
#[derive(Clone, Copy, Debug)]
pub struct Wishes<'w> {
    /// Texts that mean "blank"; `None` = found.
    pub missing: Option<&'w [String]>,
    /// Decimal sign.
    pub decimal: Decimal,
    /// Order of dates.
    pub dates: Dates,
    /// Whose guesses hold.
    pub version: Version,
}

/// What the cells of a column that are not blank are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Numbers, nearly all of them.
    Numbers,
    /// Dates, nearly all of them.
    Dates,
    /// Anything else.
    Texts,
}

/// What the texts of a column are taken for.
#[derive(Clone, Debug)]
pub struct Meaning {
    /// Texts that mean "blank", those of the configuration or those that were found.
    pub missing: Vec<String>,
    /// Whether they were found, so that a text that is known to mean "blank" does so in other files
    /// too.
    pub is_guessed: bool,
    /// Those that were found, with their cells; the empty text is not among them.
    pub blanks: Vec<(String, usize)>,
    /// What the other cells are.
    pub kind: Kind,
    /// How numbers are written.
    pub notation: Notation,
    /// How dates are written.
    pub order: DateOrder,
    /// Another notation or order that fits every cell as well.
    pub doubt: Option<Reading>,
    /// Whether some times have an offset from UTC.
    has_offset: bool,
    /// Up to three texts that the reading does not fit, where most cells fit, and how many such
    /// cells there are of how many.
    pub unfit: (Vec<String>, usize, usize),
    /// What stands before and behind the number in every cell, where nothing else keeps them from
    /// being numbers.
    around: Option<(String, String)>,
    /// Whether every cell fits.
    is_whole: bool,
    /// Whether the configuration asks for another notation.
    is_misfit: bool,
    /// Whether every cell is a number with a decimal comma too.
    fits_comma: bool,
    /// Whether no other notation fits.
    is_sure: bool,
    /// A number with a point, which parts groups where the decimal sign is a comma.
    pointed: Option<String>,
    /// A number with groups or another decimal sign than the point, for messages.
    example: Option<String>,
}

/// A way to read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// As a number.
    Number(Notation),
    /// As a date.
    Date(DateOrder),
}

impl Reading {
    fn fits(self, text: &str) -> bool {
        match self {
            Reading::Number(notation) => notation.read(text).is_some(),
            Reading::Date(order) => Date::read_as(text, order).is_some(),
        }
    }
}

/// How well a reading fits, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// Every cell.
    Whole,
    /// All but one or two texts that come back, such as "not tested".
    ButForWords,
    /// All but a few slips.
    Nearly,
}

/// A reading with what it was tried on.
struct Candidate<'c> {
    reading: Reading,
    /// Cells that it fits.
    hits: usize,
    /// Texts that it does not fit, with their cells.
    unfit: HashMap<&'c str, usize>,
    /// Whether there were too many of them.
    is_given_up: bool,
}

impl<'c> Candidate<'c> {
    fn add(&mut self, text: &'c str, cells: usize, fits: bool) {
        if fits {
            self.hits += cells;
        } else if !self.is_given_up {
            *self.unfit.entry(text).or_insert(0) += cells;
            self.is_given_up = self.unfit.len() > MOST_UNFIT;
        }
    }

    fn unfit_cells(&self) -> usize {
        self.unfit.values().sum()
    }

    fn fit(&self, different: usize, words_may_be_blank: bool) -> Option<Fit> {
        let (unfit, filled) = (self.unfit_cells(), self.hits + self.unfit_cells());
        let is_word = |(text, cells): (&&str, &usize)| {
            *cells > 1 && !text.bytes().any(|b| b.is_ascii_digit())
        };
        match self.unfit.len() {
            _ if self.is_given_up || self.hits == 0 => None,
            0 => Some(Fit::Whole),
            1..=MOST_WORDS
                if words_may_be_blank
                    && different > CODES + self.unfit.len()
                    && self.unfit.iter().all(is_word) =>
            {
                Some(Fit::ButForWords)
            }
            _ => (unfit <= filled / SLIPS).then_some(Fit::Nearly),
        }
    }
}

impl Meaning {
    /// The meaning of a column of numbers, as arrays have them, or of one of which nothing is
    /// guessed.
    pub fn given(missing: Option<&[String]>, kind: Kind) -> Meaning {
        Meaning {
            missing: missing.map_or_else(|| vec![String::new()], <[String]>::to_vec),
            is_guessed: missing.is_none(),
            blanks: Vec::new(),
            kind,
            notation: Notation::Plain,
            order: DateOrder::Iso,
            doubt: None,
            has_offset: false,
            around: None,
            is_whole: false,
            is_misfit: false,
            unfit: (Vec::new(), 0, 0),
            fits_comma: false,
            is_sure: false,
            pointed: None,
            example: None,
        }
    }

    /// The meaning of texts, each given with its number of cells.
    pub fn of<'c>(cells: impl Iterator<Item = (&'c str, usize)>, wishes: &Wishes) -> Meaning {
        // What 0.1.0 took for blank, where nothing was said.
        let empty = [String::new()];
        let unsaid = (wishes.version < Version::V0_2).then_some(&empty[..]);
        let wishes = &Wishes { missing: wishes.missing.or(unsaid), ..*wishes };
        let mut found = Search::new(wishes);
        cells.for_each(|(text, count)| found.add(text, count, wishes.missing));
        found.meaning(wishes)
    }

    /// The same where some of the texts that were found to mean "blank" are values.
    #[must_use]
    pub fn without(mut self, is_value: impl Fn(&str) -> bool) -> Meaning {
        let found =
            self.blanks.iter().filter(|(text, _)| is_value(text)).map(|(text, _)| text.clone());
        let values: Vec<String> = found.collect();
        self.missing.retain(|text| !values.contains(text));
        self.blanks.retain(|(text, _)| !values.contains(text));
        self
    }

    /// Whether the reading that was found fits every cell.
    pub fn fits_all(&self) -> bool {
        self.is_whole
    }

    /// Whether a text means "blank".
    pub fn is_blank(&self, text: &str) -> bool {
        is_among(&self.missing, text)
    }

    /// Sentences about the writing of the column, where it is not the plain one.
    pub fn notices(&self, column: &str) -> Vec<String> {
        let (column, mut told) = (quoted(column), Vec::new());
        let example = self
            .example
            .as_deref()
            .map(|text| format!(" ({} …)", quoted(text)))
            .unwrap_or_default();
        let plain = self
            .pointed
            .as_deref()
            .map(|text| format!(" ({} …)", quoted(text)))
            .unwrap_or_default();
        match (self.kind, self.notation, self.order) {
            (Kind::Numbers, Notation::Plain, _) if self.is_misfit => {
                told.push(format!(
                    "column {column}: the decimal sign that is asked for does not fit its \
                     cells{plain}: they have a point"
                ));
            }
            (Kind::Numbers, Notation::Comma, _) if self.is_misfit => {
                told.push(format!(
                    "column {column}: the decimal sign that is asked for does not fit its \
                     cells{example}: they have a comma"
                ));
            }
            (Kind::Numbers, Notation::Comma, _) if self.example.is_none() => {}
            (Kind::Numbers, Notation::Comma, _) => {
                told.push(format!("column {column}: numbers with a decimal comma{example}"))
            }
            (Kind::Numbers, Notation::Grouped, _) => {
                told.push(format!("column {column}: numbers with groups of three digits{example}"))
            }
            (Kind::Dates, _, order @ (DateOrder::Mdy | DateOrder::Dmy)) => {
                told.push(format!("column {column}: dates are read as {}{example}", order.words()));
            }
            _ => {}
        }
        if self.has_offset {
            told.push(format!(
                "column {column}: times with an offset are taken in UTC{}",
                if told.is_empty() { &example } else { "" }
            ));
        }
        if let (Some(doubt), Some(last)) = (self.doubt, told.last_mut()) {
            let (other, key) = match doubt {
                Reading::Number(Notation::Comma) => {
                    ("a decimal comma".to_owned(), "data.decimal = \",\"")
                }
                Reading::Number(_) => ("a decimal point".to_owned(), "data.decimal = \".\""),
                Reading::Date(DateOrder::Dmy) => {
                    (DateOrder::Dmy.words().to_owned(), "data.dates = \"dmy\"")
                }
                Reading::Date(_) => (DateOrder::Mdy.words().to_owned(), "data.dates = \"mdy\""),
            };
            last.push_str(&format!("; {other} would fit every cell as well: {key} says so"));
        }
        told
    }

    /// That most cells are numbers, or dates, and which are not, or that all are numbers with a
    /// sign around them; `None` where that is not so.
    pub fn mostly(&self) -> Option<String> {
        if let Some((before, after)) = &self.around {
            let sides = [(before, "before"), (after, "after")]
                .into_iter()
                .filter(|(sign, _)| !sign.is_empty());
            let sides: Vec<String> =
                sides.map(|(sign, side)| format!("{} {side} it", quoted(sign))).collect();
            return Some(format!(
                "every cell is a number with {}: remove that, and the column is one of numbers",
                sides.join(" and ")
            ));
        }
        let (examples, unfit, filled) = &self.unfit;
        if examples.is_empty() {
            return None;
        }
        let examples: Vec<String> = examples.iter().map(|text| quoted(text)).collect();
        Some(format!(
            "{} of {filled} cells are numbers or dates, {unfit} are not: {}",
            filled - unfit,
            examples.join(", ")
        ))
    }
}

/// The readings of a column while its cells are looked at.
struct Search<'c> {
    candidates: Vec<Candidate<'c>>,
    /// Texts with the readings that fit them, as bits, and their cells.
    seen: HashMap<&'c str, (u32, usize)>,
    /// Texts that may mean "blank", with their cells.
    words: HashMap<&'c str, usize>,
    /// Whether cells are looked at one by one from now on.
    is_full: bool,
}

impl<'c> Search<'c> {
    fn new(wishes: &Wishes) -> Search<'c> {
        let numbers: &[Notation] = match wishes.decimal {
            Decimal::Auto => &Notation::ALL,
            // The last one is for columns that the key does not fit.
            Decimal::Point => &[Notation::Plain, Notation::Grouped, Notation::Comma],
            Decimal::Comma => &[Notation::Comma, Notation::Plain],
        };
        let orders: &[DateOrder] = match wishes.dates {
            Dates::Auto => &DateOrder::ALL,
            Dates::Ymd => &[DateOrder::Ymd],
            // Nobody who writes the year first means anything else.
            Dates::Mdy => &[DateOrder::Ymd, DateOrder::Mdy],
            Dates::Dmy => &[DateOrder::Ymd, DateOrder::Dmy],
        };
        // Where nothing is said, 0.1.0 knew one way to write each.
        let is_old = wishes.version < Version::V0_2;
        let numbers =
            if is_old && wishes.decimal == Decimal::Auto { &[Notation::Plain] } else { numbers };
        let orders = if is_old && wishes.dates == Dates::Auto { &[DateOrder::Iso] } else { orders };
        let readings = numbers
            .iter()
            .map(|n| Reading::Number(*n))
            .chain(orders.iter().map(|o| Reading::Date(*o)));
        let candidate =
            |reading| Candidate { reading, hits: 0, unfit: HashMap::new(), is_given_up: false };
        Search {
            candidates: readings.map(candidate).collect(),
            seen: HashMap::new(),
            words: HashMap::new(),
            is_full: false,
        }
    }

    fn add(&mut self, text: &'c str, cells: usize, missing: Option<&[String]>) {
        if let Some((_, count)) = self.seen.get_mut(text) {
            *count += cells;
            return;
        }
        if let Some(count) = self.words.get_mut(text) {
            *count += cells;
            return;
        }
        match missing {
            Some(missing) if is_among(missing, text) => return,
            Some(_) => {}
            None if text.is_empty() => return,
            None if is_blank_between(text) => {
                *self.words.entry(text).or_insert(0) += cells;
                return;
            }
            None => {}
        }
        if self.seen.len() < REMEMBERED {
            let bits = self
                .candidates
                .iter()
                .enumerate()
                .map(|(i, c)| u32::from(c.reading.fits(text)) << i)
                .sum();
            self.seen.insert(text, (bits, cells));
        } else {
            self.fill();
            let live = self.candidates.iter_mut().filter(|candidate| !candidate.is_given_up);
            live.for_each(|candidate| candidate.add(text, cells, candidate.reading.fits(text)));
        }
    }

    /// Gives up the readings that fail on what is remembered.
    fn fill(&mut self) {
        if !self.is_full {
            self.is_full = true;
            for (i, candidate) in self.candidates.iter_mut().enumerate() {
                candidate.is_given_up =
                    self.seen.values().filter(|(bits, _)| bits >> i & 1 == 0).count() > MOST_UNFIT;
            }
        }
    }

    fn meaning(mut self, wishes: &Wishes) -> Meaning {
        for (text, (bits, cells)) in &self.seen {
            for (i, candidate) in self.candidates.iter_mut().enumerate() {
                candidate.add(text, *cells, bits >> i & 1 == 1);
            }
        }
        let different = self.seen.len();
        let fits: Vec<Option<Fit>> = self
            .candidates
            .iter()
            .map(|candidate| candidate.fit(different, wishes.missing.is_none()))
            .collect();
        let best = (0..fits.len()).filter(|i| fits[*i].is_some()).min_by_key(|i| fits[*i]);
        let whole = |reading: Reading| {
            self.candidates
                .iter()
                .zip(&fits)
                .any(|(c, fit)| c.reading == reading && *fit == Some(Fit::Whole))
        };
        let fits_comma = whole(Reading::Number(Notation::Comma));
        let mut meaning = Meaning { fits_comma, ..Meaning::given(wishes.missing, Kind::Texts) };
        // What holds where the type of the column is named and its cells fit no reading.
        for candidate in self.candidates.iter().rev() {
            match candidate.reading {
                Reading::Number(notation) => meaning.notation = notation,
                Reading::Date(order) => meaning.order = order,
            }
        }
        let Some(best) = best else {
            meaning.unfit = self.mostly();
            meaning.around = around(self.seen.keys().copied());
            self.blanks(&mut meaning, wishes.missing, is_blank);
            return meaning;
        };
        match self.candidates[best].reading {
            Reading::Number(notation) => {
                (meaning.kind, meaning.notation) = (Kind::Numbers, notation)
            }
            Reading::Date(order) => (meaning.kind, meaning.order) = (Kind::Dates, order),
        }
        meaning.is_whole = fits[best] == Some(Fit::Whole);
        meaning.is_misfit = match wishes.decimal {
            _ if meaning.kind != Kind::Numbers => false,
            Decimal::Auto => false,
            Decimal::Point => meaning.notation == Notation::Comma,
            Decimal::Comma => meaning.notation != Notation::Comma,
        };
        let other = match self.candidates[best].reading {
            Reading::Number(Notation::Grouped) if wishes.decimal == Decimal::Auto => {
                Some(Reading::Number(Notation::Comma))
            }
            Reading::Date(DateOrder::Mdy) => Some(Reading::Date(DateOrder::Dmy)),
            _ => None,
        };
        meaning.doubt = other.filter(|reading| meaning.is_whole && whole(*reading));
        let order_of_dots = |text: &&str| text.contains('.') && meaning.order == DateOrder::Mdy;
        if meaning.doubt == Some(Reading::Date(DateOrder::Dmy))
            && self
                .seen
                .keys()
                .any(|text| order_of_dots(&text.split(' ').next().unwrap_or_default()))
        {
            // Nobody writes the month first between points.
            (meaning.order, meaning.doubt) = (DateOrder::Dmy, None);
        }
        let plain =
            |text: &&&str| meaning.kind == Kind::Dates || Notation::Plain.read(text).is_none();
        let mut examples: Vec<&&str> = self
            .seen
            .keys()
            .filter(plain)
            .filter(|text| self.candidates[best].reading.fits(text))
            .collect();
        examples.sort_unstable();
        meaning.example = examples.first().map(|text| (**text).to_owned());
        meaning.has_offset =
            meaning.kind == Kind::Dates && self.seen.keys().any(|text| has_offset(text));
        let pointed =
            self.seen.keys().filter(|text| meaning.kind == Kind::Numbers && text.contains('.'));
        meaning.pointed = pointed.min().map(|text| (*text).to_owned());
        meaning.is_sure = matches!(meaning.notation, Notation::Grouped | Notation::Comma)
            && meaning.doubt.is_none();
        if fits[best] == Some(Fit::ButForWords) {
            let unfit = std::mem::take(&mut self.candidates[best].unfit);
            self.words.extend(unfit);
        }
        self.blanks(&mut meaning, wishes.missing, |_| true);
        meaning
    }

    /// Notes the texts that were found to mean "blank".
    fn blanks(
        &self,
        meaning: &mut Meaning,
        missing: Option<&[String]>,
        is_one: impl Fn(&str) -> bool,
    ) {
        if missing.is_some() {
            return;
        }
        let mut blanks: Vec<(String, usize)> = self
            .words
            .iter()
            .filter(|(text, _)| is_one(text))
            .map(|(text, cells)| ((*text).to_owned(), *cells))
            .collect();
        blanks.sort();
        meaning.missing.extend(blanks.iter().map(|(text, _)| text.clone()));
        meaning.blanks = blanks;
    }

    /// Where most cells fit one reading: texts that do not, their cells, and all cells.
    fn mostly(&self) -> (Vec<String>, usize, usize) {
        let best = self
            .candidates
            .iter()
            .filter(|c| c.hits > c.unfit_cells() && !c.is_given_up)
            .max_by_key(|c| c.hits);
        let Some(best) = best else { return (Vec::new(), 0, 0) };
        let mut texts: Vec<(&&str, &usize)> = best.unfit.iter().collect();
        texts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let unfit = best.unfit_cells();
        (
            texts.iter().take(3).map(|(text, _)| (**text).to_owned()).collect(),
            unfit,
            best.hits + unfit,
        )
    }
}

/// What stands before and behind a number in all of some texts, the same in each: a sign or a unit;
/// `None` if there is no number, or nothing else.
fn around<'t>(texts: impl Iterator<Item = &'t str>) -> Option<(String, String)> {
    let mut found: Option<(&str, &str)> = None;
    for text in texts {
        let is_number = |c: char| c.is_ascii_digit();
        let (first, last) = (text.find(is_number)?, text.rfind(is_number)? + 1);
        let sign = usize::from(text[..first].ends_with(['-', '+']));
        let (before, number, after) =
            (&text[..first - sign], &text[first - sign..last], &text[last..]);
        let fits = Notation::ALL.iter().any(|notation| notation.read(number).is_some());
        let same = *found.get_or_insert((before, after)) == (before, after);
        (fits && same).then_some(())?;
    }
    let (before, after) =
        found.filter(|(before, after)| !before.is_empty() || !after.is_empty())?;
    // Letters at a number make it a code, unless they stand apart from it, as units do.
    let is_sign =
        |text: &str| !text.contains(|c: char| c.is_alphanumeric() || c == '#' || c == '_');
    let is_unit = is_sign(after) || after.starts_with(' ');
    (is_sign(before) && is_unit).then(|| (before.trim().to_owned(), after.trim().to_owned()))
}

/// Whether a time says how far its clock is from UTC, and is not at it.
fn has_offset(text: &str) -> bool {
    let offset = text.get(10..).and_then(|time| time.rfind(['+', '-']).map(|at| &time[at + 1..]));
    offset.is_some_and(|digits| digits.bytes().any(|b| (b'1'..=b'9').contains(&b)))
}

/// Brings the columns of one table to one decimal sign: where a column can only be read with a
/// comma, one that can be read so as well is, and likewise with the point. `comma_first` says which
/// of the two holds where no column decides.
pub fn agree(meanings: &mut [Meaning], decimal: Decimal, comma_first: bool) {
    if decimal != Decimal::Auto {
        return;
    }
    let sure = |notation: Notation| {
        meanings.iter().any(|m| m.kind == Kind::Numbers && m.is_sure && m.notation == notation)
    };
    let (comma, point) = (sure(Notation::Comma), sure(Notation::Grouped));
    for meaning in meanings.iter_mut().filter(|meaning| meaning.kind == Kind::Numbers) {
        let in_doubt = meaning.doubt == Some(Reading::Number(Notation::Comma));
        if in_doubt && comma != point {
            meaning.doubt = None;
            meaning.notation = if comma { Notation::Comma } else { Notation::Grouped };
        } else if in_doubt && comma_first {
            meaning.notation = Notation::Comma;
            meaning.doubt = Some(Reading::Number(Notation::Grouped));
        } else if meaning.notation == Notation::Plain
            && meaning.fits_comma
            && comma
            && !point
            && meaning.pointed.is_some()
        {
            meaning.notation = Notation::Comma;
            meaning.doubt = Some(Reading::Number(Notation::Plain));
            meaning.example = meaning.pointed.clone();
        }
    }
}

/// A sentence for each text that was found to mean "blank": in which columns, in how many cells.
pub fn blank_notices<'m>(columns: impl Iterator<Item = (&'m str, &'m Meaning)>) -> Vec<String> {
    let mut found: Vec<(&str, usize, Vec<&str>)> = Vec::new();
    for (column, (text, cells)) in columns
        .flat_map(|(column, meaning)| meaning.blanks.iter().map(move |blank| (column, blank)))
    {
        match found.iter_mut().find(|(known, ..)| known == text) {
            Some((_, sum, columns)) => {
                *sum += cells;
                columns.push(column);
            }
            None => found.push((text, *cells, vec![column])),
        }
    }
    let told = |(text, cells, columns): (&str, usize, Vec<&str>)| {
        let named: Vec<String> = columns.iter().take(4).map(|column| quoted(column)).collect();
        let more = columns.len().saturating_sub(4);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let noun = if columns.len() == 1 { "column" } else { "columns" };
        format!(
            "{} is taken for blank in {cells} cells of {noun} {}{more}; missing says otherwise",
            quoted(text),
            named.join(", ")
        )
    };
    found.into_iter().map(told).collect()
}
