//! Encodes the cells of a table as slots, from which the inputs of the network are made. A slot is
//! a u32: the bits of an f32, or a code.

use std::collections::HashMap;
use std::f64::consts::TAU;

use crate::data::encode::fit::read_date;
use crate::data::encode::vocabulary::codes as codes_of_words;
use crate::data::table::raw::Raw;
use crate::data::table::view::{ByName, Cell, View};
use crate::data::value::alike::Lookup;
use crate::data::value::dates::Date;
use crate::data::value::range::Range;
use crate::data::value::words::Hashing;
use crate::data::{Column, Encoding, Features, NO_CODE};
use crate::fault::{Fault, quoted};

/// Number of rows that are encoded together, so that the slots being written stay in the cache.
const BLOCK: usize = 256;

/// A column, and the lookup for its cells.
struct Coder<'c> {
    column: &'c Column,
    view: View<'c>,
    /// The codes of known values (category, binary).
    known: Lookup<'c>,
    /// The codes of known words (text); empty if words are hashed.
    words: HashMap<&'c str, u32>,
    /// Its first slot in a row, and its number of slots.
    place: (usize, usize),
}

/// The features of `rows`. `blank_words` is the setting of the schema. An index that is not there
/// is zero in every row, if the table names only values that occur.
///
/// # Errors
/// 65 with file, line and column if a cell does not fit its column, or a scaled number does not fit
/// into an f32.
pub fn features(
    raw: &Raw,
    columns: &[Column],
    rows: &[u32],
    blank_words: bool,
) -> anyhow::Result<Features> {
    let (index, mut slots) = (ByName::new(raw), 0);
    let mut coders = Vec::with_capacity(columns.len());
    for column in columns {
        let view = index.of(column, blank_words).ok_or_else(|| missing(raw, column))?;
        let (known, place) = (column.known(), (slots, column.slots()));
        let words = column.words().iter().map(String::as_str).zip(0..).collect();
        coders.push(Coder { column, view, known, words, place });
        slots += column.slots();
    }
    let mut values = vec![0; rows.len() * slots];
    for (rows, values) in rows.chunks(BLOCK).zip(values.chunks_mut((BLOCK * slots).max(1))) {
        for coder in &coders {
            let (first, count) = coder.place;
            let places =
                values.chunks_exact_mut(slots.max(1)).map(|row| &mut row[first..][..count]);
            encode(coder, rows.iter().map(|&row| row as usize).zip(places))?;
        }
    }
    if columns.iter().any(Column::has_codes) {
        return Ok(Features::Cells { values, slots });
    }
    Ok(Features::F32(values.into_iter().map(f32::from_bits).collect()))
}

/// The error for a missing column. Callers check beforehand that all columns are there.
fn missing(raw: &Raw, column: &Column) -> Fault {
    Fault::data(&raw.place, format!("column missing: {}", quoted(&column.name)))
        .hint("give a file with the columns of the training file")
}

/// Writes the slots of one column.
fn encode<'w>(
    coder: &Coder,
    rows: impl Iterator<Item = (usize, &'w mut [u32])>,
) -> anyhow::Result<()> {
    let view = &coder.view;
    match &coder.column.encoding {
        Encoding::Numeric { offset, factor, indicator, blank, range, .. } => {
            numbers(view, rows, range.as_ref(), (*offset, *factor), (*blank as f32, *indicator))
        }
        Encoding::Category { values, blank, .. } => {
            let (other, blank) = (values.len() as u32, values.len() as u32 + u32::from(*blank));
            codes(view, rows, |cell| {
                cell.map_or(blank, |text| coder.known.get(text).unwrap_or(other))
            });
            Ok(())
        }
        Encoding::Binary { mean, indicator, .. } => {
            for (row, place) in rows {
                let known = view.cell(row).and_then(|_| coder.known.get(&view.text(row)));
                put(place, known.map_or(*mean as f32, |i| i as f32), known.is_none(), *indicator);
            }
            Ok(())
        }
        Encoding::Date { offset, factor, time, indicator, .. } => {
            dates(view, rows, *offset, *factor, (*time, *indicator))
        }
        Encoding::Span => {
            for (row, place) in rows {
                let number = view.cell(row).and_then(|cell| view.value(cell));
                place[0] = number.map_or(0, |x| x as u32);
            }
            Ok(())
        }
        Encoding::Text { buckets, ngrams, .. } => {
            let hashing = Hashing { buckets: *buckets, ngrams: *ngrams };
            for (row, place) in rows {
                place.fill(NO_CODE);
                let mut free = place.iter_mut();
                codes_of_words(view, row, &hashing, &coder.words, |bucket| {
                    // It returns `false` when there is no free slot left.
                    free.next().map(|slot| *slot = bucket).is_some()
                });
            }
            Ok(())
        }
    }
}

/// Writes one code per row. Equal cells often follow each other, so the last code is kept.
fn codes<'w>(
    view: &View,
    rows: impl Iterator<Item = (usize, &'w mut [u32])>,
    code: impl Fn(Option<&str>) -> u32,
) {
    let mut last: Option<(&str, u32)> = None;
    for (row, place) in rows {
        place[0] = match (view.cell(row), last) {
            (Some(Cell::Text(text)), Some((before, code))) if text == before => code,
            (Some(Cell::Text(text)), _) => {
                let code = code(Some(text));
                last = Some((text, code));
                code
            }
            (Some(Cell::Number(_)), _) => code(Some(&view.text(row))),
            (None, _) => code(None),
        };
    }
}

/// Writes a scaled number per row, and an indicator if there is one.
fn numbers<'w>(
    view: &View,
    rows: impl Iterator<Item = (usize, &'w mut [u32])>,
    range: Option<&Range>,
    (offset, factor): (f64, f64),
    (blank, indicator): (f32, bool),
) -> anyhow::Result<()> {
    for (row, place) in rows {
        let cell = view.cell(row);
        let value = match cell {
            Some(cell) => {
                let x = view.number(row, cell, "")?;
                let y = scaled(view, row, x, offset, factor)?;
                match range.map(|range| range.held(x)).filter(|held| *held != x) {
                    Some(held) => scaled(view, row, held, offset, factor)?,
                    None => y,
                }
            }
            None => blank,
        };
        put(place, value, cell.is_none(), indicator);
    }
    Ok(())
}

/// Writes a number and, if the column has an indicator, whether the cell is blank.
fn put(place: &mut [u32], value: f32, is_blank: bool, indicator: bool) {
    place[0] = value.to_bits();
    if indicator {
        place[1] = f32::from(u8::from(is_blank)).to_bits();
    }
}

/// `(x − offset) · factor`, if it is finite in f32.
fn scaled(view: &View, row: usize, x: f64, offset: f64, factor: f64) -> Result<f32, Fault> {
    // The factor 0 marks a constant column, which stays constant whatever a later file holds.
    let y = if factor == 0.0 { 0.0 } else { ((x - offset) * factor) as f32 };
    match y.is_finite() {
        true => Ok(y),
        false => Err(view.fault(
            row,
            format!("{x:e} is too large for a 32-bit float after scaling"),
            "correct the cell, or give the column in another unit",
        )),
    }
}

/// Writes the inputs of a date per row, and an indicator if there is one.
fn dates<'w>(
    view: &View,
    rows: impl Iterator<Item = (usize, &'w mut [u32])>,
    offset: f64,
    factor: f64,
    (time, indicator): (bool, bool),
) -> anyhow::Result<()> {
    for (row, place) in rows {
        let cell = view.cell(row);
        place.fill(0);
        if let Some(cell) = cell {
            let date = read_date(view, row, cell)?;
            let inputs = date_inputs(&date, time);
            let years = scaled(view, row, date.years(), offset, factor)?;
            let values = std::iter::once(years).chain(inputs).map(f32::to_bits);
            place.iter_mut().zip(values).for_each(|(slot, value)| *slot = value);
        }
        if let (Some(last), true) = (place.last_mut(), indicator) {
            *last = f32::from(u8::from(cell.is_none())).to_bits();
        }
    }
    Ok(())
}

/// The inputs of a date other than its years. Periodic quantities become points on a circle.
fn date_inputs(date: &Date, time: bool) -> impl Iterator<Item = f32> {
    let circle = |at: f64| [(at * TAU).sin() as f32, (at * TAU).cos() as f32];
    let month = circle(f64::from(date.month - 1) / 12.0);
    let day = [(f64::from(date.day) - 16.0) as f32 / 15.0];
    let weekday = circle(f64::from(date.weekday()) / 7.0);
    let hour = time.then(|| circle(date.seconds.unwrap_or(0.0) / 86_400.0));
    month.into_iter().chain(day).chain(weekday).chain(hour.into_iter().flatten())
}
