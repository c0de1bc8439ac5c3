//! Finds out what the texts of a column mean: which are blank, and whether the others are numbers
//! or dates, and how these are written. Training, `init` and `inspect` use this rule for features
//! and for labels alike.

use std::collections::HashMap;

use crate::config::{Dates, Decimal, Version};
use crate::data::value::alike::is_among;
use crate::data::value::blanks::{is_blank, is_blank_between};
use crate::data::value::dates::{Date, DateOrder};
use crate::data::value::notation::Notation;
use crate::fault::quoted;

/// A column is one of numbers if at most one cell in this many is no number. Such a cell is taken
/// for a slip, which is refused with its line.
pub const SLIPS: usize = 10;
/// A column with at most this many different numbers may hold codes, some of them letters.
const CODES: usize = 16;
/// Number of different texts that are remembered; further texts are tried cell by cell.
const REMEMBERED: usize = 256;
/// A reading is given up when it fails on more different texts than this.
const MOST_UNFIT: usize = 64;
/// Up to this many different texts that are no numbers mean "blank" if they occur repeatedly.
const MOST_WORDS: usize = 2;

/// What the configuration says about the texts of a column.
#[derive(Clone, Copy, Debug)]
pub struct TextSettings<'w> {
    /// Texts that mean "blank"; `None` if they are to be found.
    pub missing: Option<&'w [String]>,
    /// The decimal sign.
    pub decimal: Decimal,
    /// The order of dates.
    pub dates: Dates,
    /// The version of tandem whose rules hold.
    pub version: Version,
}

/// The kind of the cells of a column that are not blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextKind {
    /// All, or nearly all, are numbers.
    Numbers,
    /// All, or nearly all, are dates.
    Dates,
    /// Anything else.
    Texts,
}

/// The meaning of the texts of a column.
#[derive(Clone, Debug)]
pub struct Meaning {
    /// Texts that mean "blank", as the configuration names them or as they were found.
    pub missing: Vec<String>,
    /// Whether they were found. Then every text that is generally known to mean "blank" does so in
    /// other files too.
    pub is_guessed: bool,
    /// The texts that were found to mean "blank", each with its number of cells; the empty text is
    /// not among them.
    pub blanks: Vec<(String, usize)>,
    /// The kind of the other cells.
    pub kind: TextKind,
    /// How the numbers are written.
    pub notation: Notation,
    /// How the dates are written.
    pub order: DateOrder,
    /// Another reading that fits every cell as well.
    pub doubt: Option<TextReading>,
    /// Whether some times have an offset from UTC.
    has_offset: bool,
    /// The cells that no reading fits although most cells fit one.
    pub unfit: Unfit,
    /// What stands before and behind the number in every cell, if nothing else keeps the cells from
    /// being numbers.
    around: Option<(String, String)>,
    /// Whether the reading fits every cell.
    is_whole: bool,
    /// Whether the configuration asks for another notation.
    is_misfit: bool,
    /// Whether every cell can be read as a number with a decimal comma too.
    fits_comma: bool,
    /// Whether no other notation fits.
    is_sure: bool,
    /// A number with a point, which would separate groups if the decimal sign were a comma.
    pointed: Option<String>,
    /// A number with groups, or with another decimal sign than the point, for messages.
    example: Option<String>,
}

/// Cells that the reading of most cells does not fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unfit {
    /// Up to three of their texts.
    pub examples: Vec<String>,
    /// Number of such cells.
    pub cells: usize,
    /// Number of all cells that are not blank.
    pub filled: usize,
}

/// A way to read a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextReading {
    /// As a number.
    Number(Notation),
    /// As a date.
    Date(DateOrder),
}

impl TextReading {
    fn fits(self, text: &str) -> bool {
        match self {
            TextReading::Number(notation) => notation.read(text).is_some(),
            TextReading::Date(order) => Date::read_as(text, order).is_some(),
        }
    }

    /// The reading that often fits the same texts, if there is one.
    fn rival(self, decimal: Decimal) -> Option<TextReading> {
        match self {
            TextReading::Number(Notation::Grouped) if decimal == Decimal::Auto => {
                Some(TextReading::Number(Notation::Comma))
            }
            TextReading::Date(DateOrder::Mdy) => Some(TextReading::Date(DateOrder::Dmy)),
            _ => None,
        }
    }
}

/// A text as an example in parentheses; empty if there is no text.
fn in_parentheses(text: &Option<String>) -> String {
    text.as_deref().map(|text| format!(" ({} …)", quoted(text))).unwrap_or_default()
}

/// How well a reading fits the cells of a column, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// It fits every cell.
    Whole,
    /// It fits all cells but those of one or two texts that occur repeatedly, such as "not tested".
    ButForWords,
    /// It fits all cells but a few slips.
    Nearly,
}

/// A reading, and how it fared on the texts that it was tried on.
struct Candidate<'c> {
    reading: TextReading,
    /// Number of cells that it fits.
    hits: usize,
    /// Texts that it does not fit, each with its number of cells.
    unfit: HashMap<&'c str, usize>,
    /// Whether there were too many such texts.
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
    /// The meaning of a column in which nothing is guessed, such as a column of an array.
    pub fn given(missing: Option<&[String]>, kind: TextKind) -> Meaning {
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
            unfit: Unfit::default(),
            fits_comma: false,
            is_sure: false,
            pointed: None,
            example: None,
        }
    }

    /// Finds the meaning of texts, each given with its number of cells.
    pub fn of<'c>(
        cells: impl Iterator<Item = (&'c str, usize)>,
        settings: &TextSettings,
    ) -> Meaning {
        // To tandem 0.1.0 only the empty text was blank unless the configuration named others.
        let empty = [String::new()];
        let unsaid = (settings.version < Version::V0_2).then_some(&empty[..]);
        let settings = &TextSettings { missing: settings.missing.or(unsaid), ..*settings };
        let mut found = Search::new(settings);
        cells.for_each(|(text, count)| found.add(text, count, settings.missing));
        found.meaning(settings)
    }

    /// Takes back that some of the texts that were found mean "blank": those that `is_value` names.
    #[must_use]
    pub fn without(mut self, is_value: impl Fn(&str) -> bool) -> Meaning {
        let found =
            self.blanks.iter().filter(|(text, _)| is_value(text)).map(|(text, _)| text.clone());
        let values: Vec<String> = found.collect();
        self.missing.retain(|text| !values.contains(text));
        self.blanks.retain(|(text, _)| !values.contains(text));
        self
    }

    /// Whether the reading that was found fits every cell that is not blank.
    pub fn fits_all(&self) -> bool {
        self.is_whole
    }

    /// Whether a text means "blank".
    pub fn is_blank(&self, text: &str) -> bool {
        is_among(&self.missing, text)
    }

    /// Notices about how the cells of a column are written, unless it is the plain notation.
    pub fn notices(&self, column: &str) -> Vec<String> {
        let mut notices: Vec<String> = Vec::new();
        let column = quoted(column);
        notices.extend(self.notation_phrase().map(|phrase| format!("column {column}: {phrase}")));
        if self.has_offset {
            let example =
                if notices.is_empty() { in_parentheses(&self.example) } else { String::new() };
            notices
                .push(format!("column {column}: times with an offset are taken in UTC{example}"));
        }
        if let (Some(doubt), Some(last)) = (self.doubt, notices.last_mut()) {
            let (other, key) = match doubt {
                TextReading::Number(Notation::Comma) => ("a decimal comma", "data.decimal = \",\""),
                TextReading::Number(_) => ("a decimal point", "data.decimal = \".\""),
                TextReading::Date(DateOrder::Dmy) => {
                    (DateOrder::Dmy.words(), "data.dates = \"dmy\"")
                }
                TextReading::Date(_) => (DateOrder::Mdy.words(), "data.dates = \"mdy\""),
            };
            last.push_str(&format!("; {other} would fit every cell as well: {key} says so"));
        }
        notices
    }

    /// How the numbers or dates of the column are written, unless it is the plain notation.
    fn notation_phrase(&self) -> Option<String> {
        let example = in_parentheses(&self.example);
        Some(match (self.kind, self.notation, self.order) {
            (TextKind::Numbers, Notation::Plain, _) if self.is_misfit => format!(
                "the decimal sign that is asked for does not fit its cells{}: they have a point",
                in_parentheses(&self.pointed)
            ),
            (TextKind::Numbers, Notation::Comma, _) if self.is_misfit => format!(
                "the decimal sign that is asked for does not fit its cells{example}: they have a \
                 comma"
            ),
            (TextKind::Numbers, Notation::Comma, _) if self.example.is_some() => {
                format!("numbers with a decimal comma{example}")
            }
            (TextKind::Numbers, Notation::Grouped, _) => {
                format!("numbers with groups of three digits{example}")
            }
            (TextKind::Dates, _, order @ (DateOrder::Mdy | DateOrder::Dmy)) => {
                format!("dates are read as {}{example}", order.words())
            }
            _ => return None,
        })
    }

    /// A sentence that says what keeps the cells of a column of texts from being numbers or dates,
    /// if most cells are some, or if all are numbers with a sign or unit around them.
    pub fn nearly_numbers(&self) -> Option<String> {
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
        let Unfit { examples, cells: unfit, filled } = &self.unfit;
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
    /// The texts that are remembered, each with the readings that fit it, one bit per candidate,
    /// and with its number of cells.
    seen: HashMap<&'c str, (u32, usize)>,
    /// Texts that may mean "blank", each with its number of cells.
    words: HashMap<&'c str, usize>,
    /// Whether `seen` is full, so that cells are tried one by one from now on.
    is_full: bool,
}

impl<'c> Search<'c> {
    fn new(settings: &TextSettings) -> Search<'c> {
        let numbers: &[Notation] = match settings.decimal {
            Decimal::Auto => &Notation::ALL,
            // The last notation is for columns that the key does not fit.
            Decimal::Point => &[Notation::Plain, Notation::Grouped, Notation::Comma],
            Decimal::Comma => &[Notation::Comma, Notation::Plain],
        };
        let orders: &[DateOrder] = match settings.dates {
            Dates::Auto => &DateOrder::ALL,
            Dates::Ymd => &[DateOrder::Ymd],
            // A date with its year first has no other meaning.
            Dates::Mdy => &[DateOrder::Ymd, DateOrder::Mdy],
            Dates::Dmy => &[DateOrder::Ymd, DateOrder::Dmy],
        };
        // Unless the configuration says otherwise, tandem 0.1.0 knew one way to write numbers and
        // dates.
        let is_old = settings.version < Version::V0_2;
        let numbers =
            if is_old && settings.decimal == Decimal::Auto { &[Notation::Plain] } else { numbers };
        let orders =
            if is_old && settings.dates == Dates::Auto { &[DateOrder::Iso] } else { orders };
        let readings = numbers
            .iter()
            .map(|n| TextReading::Number(*n))
            .chain(orders.iter().map(|o| TextReading::Date(*o)));
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

    /// Gives up the readings that fail on too many of the texts that are remembered.
    fn fill(&mut self) {
        if !self.is_full {
            self.is_full = true;
            for (i, candidate) in self.candidates.iter_mut().enumerate() {
                candidate.is_given_up =
                    self.seen.values().filter(|(bits, _)| bits >> i & 1 == 0).count() > MOST_UNFIT;
            }
        }
    }

    /// The meaning of the column, after all cells were added.
    fn meaning(mut self, settings: &TextSettings) -> Meaning {
        for (text, (bits, cells)) in &self.seen {
            for (i, candidate) in self.candidates.iter_mut().enumerate() {
                candidate.add(text, *cells, bits >> i & 1 == 1);
            }
        }
        let (different, may_be_blank) = (self.seen.len(), settings.missing.is_none());
        let fits: Vec<Option<Fit>> = self
            .candidates
            .iter()
            .map(|candidate| candidate.fit(different, may_be_blank))
            .collect();
        let fits_all = |reading: TextReading| {
            let mut rated = self.candidates.iter().zip(&fits);
            rated.any(|(c, fit)| c.reading == reading && *fit == Some(Fit::Whole))
        };
        let fits_comma = fits_all(TextReading::Number(Notation::Comma));
        let mut meaning =
            Meaning { fits_comma, ..Meaning::given(settings.missing, TextKind::Texts) };
        // These hold if the configuration names the type of the column and no reading fits its
        // cells.
        for candidate in self.candidates.iter().rev() {
            match candidate.reading {
                TextReading::Number(notation) => meaning.notation = notation,
                TextReading::Date(order) => meaning.order = order,
            }
        }
        let best = (0..fits.len()).filter(|i| fits[*i].is_some()).min_by_key(|i| fits[*i]);
        let Some(best) = best else {
            meaning.unfit = self.most_unfit();
            meaning.around = around(self.seen.keys().copied());
            self.note_blanks(&mut meaning, settings.missing, is_blank);
            return meaning;
        };
        let reading = self.candidates[best].reading;
        meaning.is_whole = fits[best] == Some(Fit::Whole);
        meaning.doubt =
            reading.rival(settings.decimal).filter(|rival| meaning.is_whole && fits_all(*rival));
        self.describe(&mut meaning, reading, settings.decimal);
        if fits[best] == Some(Fit::ButForWords) {
            let unfit = std::mem::take(&mut self.candidates[best].unfit);
            self.words.extend(unfit);
        }
        self.note_blanks(&mut meaning, settings.missing, |_| true);
        meaning
    }

    /// Notes in a meaning that the cells have this reading, and everything that follows from it.
    fn describe(&self, meaning: &mut Meaning, reading: TextReading, decimal: Decimal) {
        match reading {
            TextReading::Number(notation) => {
                (meaning.kind, meaning.notation) = (TextKind::Numbers, notation)
            }
            TextReading::Date(order) => (meaning.kind, meaning.order) = (TextKind::Dates, order),
        }
        let (is_numbers, is_dates) =
            (meaning.kind == TextKind::Numbers, meaning.kind == TextKind::Dates);
        meaning.is_misfit = is_numbers
            && match decimal {
                Decimal::Auto => false,
                Decimal::Point => meaning.notation == Notation::Comma,
                Decimal::Comma => meaning.notation != Notation::Comma,
            };
        let has_points =
            |text: &&str| text.split(' ').next().is_some_and(|date| date.contains('.'));
        if meaning.doubt == Some(TextReading::Date(DateOrder::Dmy))
            && meaning.order == DateOrder::Mdy
            && self.seen.keys().any(has_points)
        {
            // Between points, the month never comes first.
            (meaning.order, meaning.doubt) = (DateOrder::Dmy, None);
        }
        let is_example =
            |text: &&&str| (is_dates || Notation::Plain.read(text).is_none()) && reading.fits(text);
        meaning.example = self.seen.keys().filter(is_example).min().map(|text| (*text).to_owned());
        meaning.has_offset = is_dates && self.seen.keys().any(|text| has_offset(text));
        let pointed = self.seen.keys().filter(|text| is_numbers && text.contains('.'));
        meaning.pointed = pointed.min().map(|text| (*text).to_owned());
        meaning.is_sure = matches!(meaning.notation, Notation::Grouped | Notation::Comma)
            && meaning.doubt.is_none();
    }

    /// Notes the texts that were found to mean "blank", of those that `is_one` accepts.
    fn note_blanks(
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

    /// The cells that do not fit the reading that most cells fit, if there is such a reading.
    fn most_unfit(&self) -> Unfit {
        let best = self
            .candidates
            .iter()
            .filter(|c| c.hits > c.unfit_cells() && !c.is_given_up)
            .max_by_key(|c| c.hits);
        let Some(best) = best else { return Unfit::default() };
        let mut texts: Vec<(&&str, &usize)> = best.unfit.iter().collect();
        texts.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let examples = texts.iter().take(3).map(|(text, _)| (**text).to_owned()).collect();
        let cells = best.unfit_cells();
        Unfit { examples, cells, filled: best.hits + cells }
    }
}

/// What stands before and behind the number in each of several texts, such as a currency sign or a
/// unit. `None` if it differs between the texts, if a text has no number, or if there is nothing
/// but numbers.
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
    // Letters next to a number make it a code. Units stand apart from it.
    let is_sign =
        |text: &str| !text.contains(|c: char| c.is_alphanumeric() || c == '#' || c == '_');
    let is_unit = is_sign(after) || after.starts_with(' ');
    (is_sign(before) && is_unit).then(|| (before.trim().to_owned(), after.trim().to_owned()))
}

/// Whether a time states an offset from UTC other than zero.
fn has_offset(text: &str) -> bool {
    let offset = text.get(10..).and_then(|time| time.rfind(['+', '-']).map(|at| &time[at + 1..]));
    offset.is_some_and(|digits| digits.bytes().any(|b| (b'1'..=b'9').contains(&b)))
}

/// Makes the columns of one table agree on a decimal sign. If a column can only be read with a
/// comma, the columns that can be read with either sign are read with a comma too; likewise with
/// the point. If no column decides, `comma_first` does.
pub fn agree_on_decimal_sign(meanings: &mut [Meaning], decimal: Decimal, comma_first: bool) {
    if decimal != Decimal::Auto {
        return;
    }
    let sure = |notation: Notation| {
        meanings.iter().any(|m| m.kind == TextKind::Numbers && m.is_sure && m.notation == notation)
    };
    let (comma, point) = (sure(Notation::Comma), sure(Notation::Grouped));
    for meaning in meanings.iter_mut().filter(|meaning| meaning.kind == TextKind::Numbers) {
        let in_doubt = meaning.doubt == Some(TextReading::Number(Notation::Comma));
        if in_doubt && comma != point {
            meaning.doubt = None;
            meaning.notation = if comma { Notation::Comma } else { Notation::Grouped };
        } else if in_doubt && comma_first {
            meaning.notation = Notation::Comma;
            meaning.doubt = Some(TextReading::Number(Notation::Grouped));
        } else if meaning.notation == Notation::Plain
            && meaning.fits_comma
            && comma
            && !point
            && meaning.pointed.is_some()
        {
            meaning.notation = Notation::Comma;
            meaning.doubt = Some(TextReading::Number(Notation::Plain));
            meaning.example = meaning.pointed.clone();
        }
    }
}

/// A notice for each text that was found to mean "blank": in which columns, and in how many cells.
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
