//! From values as they are stored to the cells of a raw column: numbers stay numbers, dates and times become ISO 8601 text.

use super::encoding::Values;
use super::meta::{Leaf, Meaning, Physical};
use super::{Budget, Refused, damaged, unsupported};
use crate::data::npy::{exact, half};
use crate::data::raw::{RawColumn, Texts};

/// Cells of a column in the making.
pub struct Sink {
    /// The cells so far.
    pub column: RawColumn,
}

/// Values as cells.
#[derive(Debug)]
pub enum Cells {
    Numbers(Vec<f64>),
    /// Whole numbers, some of which no float holds.
    Wholes(Vec<i128>),
    Texts(Vec<String>),
}

impl Cells {
    /// What values of a column mean.
    pub fn new(leaf: &Leaf, values: Values<'_>) -> Result<Cells, Refused> {
        match (leaf.meaning, values) {
            (Meaning::Plain, Values::Floats(values)) => Ok(Cells::Numbers(values)),
            (Meaning::Plain, Values::Ints(values)) => Ok(wholes(values.into_iter().map(i128::from).collect())),
            (Meaning::Plain, Values::Bytes(values)) => texts(values.iter().map(|cell| text(cell))),
            (Meaning::Unsigned, Values::Ints(values)) => Ok(wholes(values.into_iter().map(|x| unsigned(leaf.physical, x)).collect())),
            (Meaning::Decimal(scale), Values::Ints(values)) => {
                Ok(Cells::Numbers(values.iter().map(|&x| decimal(x.into(), scale)).collect()))
            }
            (Meaning::Decimal(scale), Values::Bytes(values)) => {
                let numbers = values.iter().map(|cell| Ok(decimal(whole(cell)?, scale)));
                Ok(Cells::Numbers(numbers.collect::<Result<_, Refused>>()?))
            }
            (Meaning::Date, Values::Ints(values)) => texts(values.into_iter().map(|days| Ok(date(days)))),
            (Meaning::Time(unit), Values::Ints(values)) => texts(values.into_iter().map(|t| Ok(time(t, unit)))),
            (Meaning::Timestamp(unit, utc), Values::Ints(values)) => texts(values.into_iter().map(|t| Ok(timestamp(t, unit, utc)))),
            (Meaning::Half, Values::Bytes(values)) => {
                let bits = |cell: &[u8]| u16::from_le_bytes([cell[0], cell[1]]);
                Ok(Cells::Numbers(values.iter().filter(|cell| cell.len() == 2).map(|cell| half(bits(cell))).collect()))
            }
            (meaning, _) => Err(damaged(format!("values of another type than {meaning:?} has"))),
        }
    }

    /// Number of cells.
    pub fn len(&self) -> usize {
        match self {
            Cells::Numbers(cells) => cells.len(),
            Cells::Wholes(cells) => cells.len(),
            Cells::Texts(cells) => cells.len(),
        }
    }
}

impl Sink {
    /// A column without cells.
    pub fn new(leaf: &Leaf) -> Sink {
        let dated = matches!(leaf.meaning, Meaning::Date | Meaning::Time(_) | Meaning::Timestamp(..));
        let text = leaf.meaning == Meaning::Plain && matches!(leaf.physical, Physical::Bytes | Physical::Fixed(_));
        let column = if dated || text { RawColumn::Texts(Texts::default()) } else { RawColumn::Numbers(Vec::new()) };
        Sink { column }
    }

    /// Adds the cells of these positions; `None` is a blank.
    pub fn push(&mut self, cells: &Cells, at: impl Iterator<Item = Option<usize>>, budget: &mut Budget) -> Result<(), Refused> {
        if let (Cells::Wholes(_), RawColumn::Numbers(numbers)) = (cells, &self.column) {
            self.column = RawColumn::Texts(spelled(numbers, budget)?);
        }
        let outside = || damaged("an index outside of the dictionary");
        match (&mut self.column, cells) {
            (RawColumn::Numbers(numbers), Cells::Numbers(cells)) => {
                for at in at {
                    numbers.push(at.map_or(Some(f64::NAN), |at| cells.get(at).copied()).ok_or_else(outside)?);
                }
            }
            (RawColumn::Texts(texts), cells) => {
                for at in at {
                    let cell = at.map_or(Some(String::new().into()), |at| cells.text(at)).ok_or_else(outside)?;
                    budget.spend(cell.len())?;
                    texts.push(&cell);
                }
            }
            // A column of numbers gets no texts: the schema says which of the two it is.
            (RawColumn::Numbers(_), _) => return Err(damaged("text in a column of numbers")),
        }
        Ok(())
    }
}

impl Cells {
    fn text(&self, at: usize) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Cells::Numbers(cells) => cells.get(at).map(|&x| whole_text(x).into()),
            Cells::Wholes(cells) => cells.get(at).map(|x| x.to_string().into()),
            Cells::Texts(cells) => cells.get(at).map(|text| text.as_str().into()),
        }
    }
}

/// Numbers that are whole, as text.
fn spelled(numbers: &[f64], budget: &mut Budget) -> Result<Texts, Refused> {
    let mut texts = Texts::default();
    for &x in numbers {
        let text = whole_text(x);
        budget.spend(text.len())?;
        texts.push(&text);
    }
    Ok(texts)
}

fn whole_text(x: f64) -> String {
    if x.is_nan() { String::new() } else { (x as i128).to_string() }
}

/// Whole numbers as floats, if all of them are the same then.
fn wholes(values: Vec<i128>) -> Cells {
    let numbers: Option<Vec<f64>> = values.iter().map(|&n| exact(n)).collect();
    numbers.map_or(Cells::Wholes(values), Cells::Numbers)
}

fn unsigned(physical: Physical, x: i64) -> i128 {
    if physical == Physical::Int32 { i128::from(x as u32) } else { i128::from(x as u64) }
}

fn texts(cells: impl Iterator<Item = Result<String, Refused>>) -> Result<Cells, Refused> {
    Ok(Cells::Texts(cells.collect::<Result<_, Refused>>()?))
}

fn text(cell: &[u8]) -> Result<String, Refused> {
    match std::str::from_utf8(cell) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(unsupported("bytes that are not UTF-8 text")),
    }
}

/// A whole number, highest byte first, in two's complement.
fn whole(cell: &[u8]) -> Result<i128, Refused> {
    if cell.len() > 16 {
        return Err(unsupported(format!("decimals of {} bytes", cell.len())));
    }
    let start = if cell.first().is_some_and(|byte| byte >> 7 == 1) { -1 } else { 0 };
    Ok(cell.iter().fold(start, |n, &byte| n << 8 | i128::from(byte)))
}

/// `n / 10^scale`, rounded once.
fn decimal(n: i128, scale: u32) -> f64 {
    format!("{n}e-{scale}").parse().unwrap_or(f64::NAN)
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> String {
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Hours, minutes, seconds, and the fraction of a second if there is one.
fn time(t: i64, unit: i64) -> String {
    let (seconds, rest) = (t.div_euclid(unit), t.rem_euclid(unit));
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    let digits = unit.ilog10() as usize;
    let fraction = format!("{rest:0digits$}");
    if rest == 0 { clock } else { format!("{clock}.{}", fraction.trim_end_matches('0')) }
}

fn timestamp(t: i64, unit: i64, utc: bool) -> String {
    let day = 86_400 * unit;
    let zone = if utc { "Z" } else { "" };
    format!("{}T{}{zone}", date(t.div_euclid(day)), time(t.rem_euclid(day), unit))
}
