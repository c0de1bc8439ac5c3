//! Turns values as they are stored into the cells of a raw column: numbers stay numbers, and dates
//! and times become ISO 8601 text.

use crate::data::read::npy::half;
use crate::data::read::parquet::encoding::Values;
use crate::data::read::parquet::meta::{Leaf, LogicalType, Physical};
use crate::data::read::parquet::refused::{ByteBudget, Refused, damaged, unsupported};
use crate::data::table::raw::RawColumn;
use crate::data::table::shape::CellKind;
use crate::data::table::texts::Texts;
use crate::data::table::wholes::{Wholes, Width};

/// A column that is being read.
pub struct Sink {
    /// The cells so far.
    pub column: RawColumn,
}

/// Values as cells.
#[derive(Debug)]
pub enum Cells {
    Numbers(Vec<f64>),
    Wholes(Vec<i128>),
    Texts(Vec<String>),
}

impl Cells {
    /// The cells that the values of a column stand for.
    pub fn new(leaf: &Leaf, values: Values<'_>) -> Result<Cells, Refused> {
        match (leaf.logical, values) {
            (LogicalType::Plain, Values::Floats(values)) => Ok(Cells::Numbers(values)),
            (
                LogicalType::Plain | LogicalType::Nothing | LogicalType::Decimal(0),
                Values::Ints(values),
            ) => Ok(Cells::Wholes(values.into_iter().map(i128::from).collect())),
            (LogicalType::Plain, Values::Bytes(values)) => {
                texts(values.iter().map(|cell| text(cell)))
            }
            (LogicalType::Unsigned, Values::Ints(values)) => {
                Ok(Cells::Wholes(values.into_iter().map(|x| unsigned(leaf.physical, x)).collect()))
            }
            (LogicalType::Decimal(0), Values::Bytes(values)) => {
                let wholes: Result<_, Refused> =
                    values.iter().map(|cell| whole(cell).and_then(bounded)).collect();
                Ok(Cells::Wholes(wholes?))
            }
            (LogicalType::Decimal(scale), Values::Ints(values)) => {
                Ok(Cells::Numbers(values.iter().map(|&x| decimal(x.into(), scale)).collect()))
            }
            (LogicalType::Decimal(scale), Values::Bytes(values)) => {
                let numbers = values.iter().map(|cell| Ok(decimal(whole(cell)?, scale)));
                Ok(Cells::Numbers(numbers.collect::<Result<_, Refused>>()?))
            }
            (LogicalType::Date, Values::Ints(values)) => {
                texts(values.into_iter().map(|days| Ok(date(days))))
            }
            (LogicalType::Time(unit), Values::Ints(values)) => {
                texts(values.into_iter().map(|t| Ok(time(t, unit))))
            }
            (LogicalType::Timestamp(unit, utc), Values::Ints(values)) => {
                texts(values.into_iter().map(|t| Ok(timestamp(t, unit, utc))))
            }
            (LogicalType::Half, Values::Bytes(values)) => {
                let bits = |cell: &[u8]| u16::from_le_bytes([cell[0], cell[1]]);
                Ok(Cells::Numbers(
                    values
                        .iter()
                        .filter(|cell| cell.len() == 2)
                        .map(|cell| half(bits(cell)))
                        .collect(),
                ))
            }
            (logical, _) => Err(damaged(format!("values of another type than {logical:?} has"))),
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
        Sink {
            column: match kind(leaf) {
                CellKind::Text => RawColumn::Texts(Texts::default()),
                CellKind::Numbers => RawColumn::Numbers(Vec::new()),
                CellKind::Wholes(width) => RawColumn::Wholes(Wholes::new(width)),
            },
        }
    }

    /// Adds the cells at these positions; `None` stands for a blank.
    pub fn push(
        &mut self,
        cells: &Cells,
        at: impl Iterator<Item = Option<usize>>,
        budget: &mut ByteBudget,
    ) -> Result<(), Refused> {
        let outside = || damaged("an index outside of the dictionary");
        match (&mut self.column, cells) {
            (RawColumn::Numbers(numbers), Cells::Numbers(cells)) => {
                for at in at {
                    numbers.push(
                        at.map_or(Some(f64::NAN), |at| cells.get(at).copied())
                            .ok_or_else(outside)?,
                    );
                }
            }
            (RawColumn::Wholes(wholes), Cells::Wholes(cells)) => {
                for at in at {
                    wholes
                        .push(at.map(|at| cells.get(at).copied().ok_or_else(outside)).transpose()?);
                }
            }
            (RawColumn::Texts(texts), Cells::Texts(cells)) => {
                for at in at {
                    let cell = at
                        .map_or(Some(""), |at| cells.get(at).map(String::as_str))
                        .ok_or_else(outside)?;
                    budget.spend(cell.len())?;
                    texts.push(cell);
                }
            }
            // A page of blanks has no values, hence no type.
            (column, cells) if cells.len() == 0 => {
                for at in at {
                    at.map_or(Ok(()), |_| Err(outside()))?;
                    match &mut *column {
                        RawColumn::Texts(texts) => texts.push(""),
                        RawColumn::Numbers(numbers) => numbers.push(f64::NAN),
                        RawColumn::Wholes(wholes) => wholes.push(None),
                    }
                }
            }
            // The schema states the type of a column, so all its values have this type.
            _ => return Err(damaged("values of another type than the column has")),
        }
        Ok(())
    }
}

/// The kind of the cells of a column.
pub fn kind(leaf: &Leaf) -> CellKind {
    match (leaf.logical, leaf.physical) {
        (LogicalType::Date | LogicalType::Time(_) | LogicalType::Timestamp(..), _) => {
            CellKind::Text
        }
        (LogicalType::Plain, Physical::Bytes | Physical::Fixed(_)) => CellKind::Text,
        (LogicalType::Nothing, _) => CellKind::Wholes(Width::Nothing),
        (LogicalType::Unsigned, Physical::Int64) => CellKind::Wholes(Width::Unsigned),
        (
            LogicalType::Plain | LogicalType::Unsigned | LogicalType::Decimal(0),
            Physical::Boolean | Physical::Int32 | Physical::Int64,
        ) => CellKind::Wholes(Width::Signed),
        (LogicalType::Decimal(0), _) => CellKind::Wholes(Width::Wide),
        _ => CellKind::Numbers,
    }
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

/// Reads a whole number in two's complement, highest byte first.
fn whole(cell: &[u8]) -> Result<i128, Refused> {
    if cell.len() > 16 {
        return Err(unsupported(format!("decimals of {} bytes", cell.len())));
    }
    let start = if cell.first().is_some_and(|byte| byte >> 7 == 1) { -1 } else { 0 };
    Ok(cell.iter().fold(start, |n, &byte| n << 8 | i128::from(byte)))
}

/// Checks that a whole number has at most 38 digits, the limit of decimals.
fn bounded(n: i128) -> Result<i128, Refused> {
    if n.unsigned_abs() < 10u128.pow(38) {
        Ok(n)
    } else {
        Err(damaged("a decimal of more than 38 digits"))
    }
}

/// `n / 10^scale`, rounded once.
fn decimal(n: i128, scale: u32) -> f64 {
    format!("{n}e-{scale}").parse().unwrap_or(f64::NAN)
}

/// The date that lies a number of days after 1970-01-01 (Howard Hinnant's `civil_from_days`).
fn date(days: i64) -> String {
    let shifted = days.saturating_add(719_468);
    let (era, day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) =
        (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A time of day: hours, minutes, seconds, and the fraction of a second if there is one. There are
/// `unit` units to the second.
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
