//! Cells of a table to the words that the network's inputs are made of, as fitted columns say.

use std::f64::consts::TAU;

use crate::data::encode::fit::read_date;
use crate::data::table::raw::Raw;
use crate::data::table::view::{Cell, Index, View};
use crate::data::value::alike::Lookup;
use crate::data::value::dates::Date;
use crate::data::value::range::Range;
use crate::data::value::words::Hashing;
use crate::data::{Column, Encoding, Features, NO_CODE};
use crate::fault::{Fault, quoted};

/// Rows that are worked off together, so that what is written of them stays near.
const BLOCK: usize = 256;

/// A column with what is looked up for each of its cells.
struct Coder<'c> {
    column: &'c Column,
    view: View<'c>,
    /// Codes of known values (category, binary).
    known: Lookup<'c>,
    /// First of its slots, and how many they are.
    place: (usize, usize),
}

/// The features of `rows`; `blank_words` is that of the schema. Columns that are not there in a
/// table that names only what occurs are zeros.
///
/// # Errors
/// 65 with file, line and column if a cell is not what the column holds, or a scaled number does
/// not fit into f32.
pub fn features(
    raw: &Raw,
    columns: &[Column],
    rows: &[u32],
    blank_words: bool,
) -> anyhow::Result<Features> {
    let (index, mut slots) = (Index::new(raw), 0);
    let mut coders = Vec::with_capacity(columns.len());
    for column in columns {
        let view = index.of(column, blank_words).ok_or_else(|| gone(raw, column))?;
        coders.push(Coder { column, view, known: column.known(), place: (slots, column.slots()) });
        slots += column.slots();
    }
    let mut words = vec![0; rows.len() * slots];
    for (rows, words) in rows.chunks(BLOCK).zip(words.chunks_mut((BLOCK * slots).max(1))) {
        for coder in &coders {
            let (first, count) = coder.place;
            let places = words.chunks_exact_mut(slots.max(1)).map(|row| &mut row[first..][..count]);
            encode(coder, rows.iter().map(|&row| row as usize).zip(places))?;
        }
    }
    if columns.iter().any(Column::has_codes) {
        return Ok(Features::Cells { words, slots });
    }
    Ok(Features::F32(words.into_iter().map(f32::from_bits).collect()))
}

/// Callers have looked whether all columns are there.
fn gone(raw: &Raw, column: &Column) -> Fault {
    Fault::data(&raw.place, format!("column missing: {}", quoted(&column.name)))
        .hint("give a file with the columns of the training file")
}

/// Writes the words of one column.
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
            each(view, rows, |cell| {
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
        Encoding::Text { buckets, ngrams, .. } => {
            let hashing = Hashing { buckets: *buckets, ngrams: *ngrams };
            for (row, place) in rows {
                place.fill(NO_CODE);
                let mut free = place.iter_mut();
                view.words(row, &hashing, |bucket| {
                    // Asked once more than there is room for, it says no.
                    free.next().map(|slot| *slot = bucket).is_some()
                });
            }
            Ok(())
        }
    }
}

/// Writes one code a row. Equal cells often follow each other.
fn each<'w>(
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

/// A number and, where there is one, its indicator.
fn put(place: &mut [u32], value: f32, is_blank: bool, indicator: bool) {
    place[0] = value.to_bits();
    if indicator {
        place[1] = f32::from(u8::from(is_blank)).to_bits();
    }
}

/// `(x − offset) · factor`, if it is finite in f32.
fn scaled(view: &View, row: usize, x: f64, offset: f64, factor: f64) -> Result<f32, Fault> {
    // A factor of 0 stands for "constant": no value of a later file may make it anything else.
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
            let inputs = parts(&date, time);
            let years = scaled(view, row, date.years(), offset, factor)?;
            let words = std::iter::once(years).chain(inputs).map(f32::to_bits);
            place.iter_mut().zip(words).for_each(|(slot, word)| *slot = word);
        }
        if let (Some(last), true) = (place.last_mut(), indicator) {
            *last = f32::from(u8::from(cell.is_none())).to_bits();
        }
    }
    Ok(())
}

/// What a date is made into beside its years: what comes round is a point on a circle.
fn parts(date: &Date, time: bool) -> impl Iterator<Item = f32> {
    let circle = |at: f64| [(at * TAU).sin() as f32, (at * TAU).cos() as f32];
    let month = circle(f64::from(date.month - 1) / 12.0);
    let day = [(f64::from(date.day) - 16.0) as f32 / 15.0];
    let weekday = circle(f64::from(date.weekday()) / 7.0);
    let hour = time.then(|| circle(date.seconds.unwrap_or(0.0) / 86_400.0));
    month.into_iter().chain(day).chain(weekday).chain(hour.into_iter().flatten())
}
