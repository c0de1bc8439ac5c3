//! The numbers that a column had in the training part: what lies far outside of them is held near
//! them, by a smooth bend.

use super::columns::some;
use super::dates::Date;
use super::raw::Raw;
use super::view::{Cell, Index, View};
use super::{Column, Encoding, Input, Part, Schema};
use crate::fault::quoted;

/// Columns that are named one by one.
const NAMED: usize = 5;

/// The numbers of a column in the training part.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Range {
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
    /// Their standard deviation (population), above 0.
    pub deviation: f64,
    /// How many deviations beyond an end a number can come to lie; 0 = it stays where it is.
    pub clip: f64,
}

impl Range {
    /// The range of some numbers; `None` where it has no width, or one that no number can say.
    pub fn of(values: &[f64], clip: f64) -> Option<Range> {
        let mean = mean(values)?;
        let n = values.len() as f64;
        let deviation = values.iter().map(|x| (x - mean) * ((x - mean) / n)).sum::<f64>().sqrt();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Range { low, high, deviation, clip }).filter(|range| low < high && range.is_good())
    }

    /// Whether its numbers can be those of a range.
    pub fn is_good(&self) -> bool {
        let all = [self.low, self.high, self.deviation, self.clip];
        all.iter().all(|x| x.is_finite())
            && self.low <= self.high
            && self.deviation > 0.0
            && self.clip >= 0.0
    }

    /// How far beyond the nearer end a number lies, in standard deviations; 0 within the range.
    fn beyond(&self, x: f64) -> f64 {
        (x - self.high).max(self.low - x).max(0.0) / self.deviation
    }

    /// Whether a number lies more than one standard deviation beyond an end.
    pub fn is_far(&self, x: f64) -> bool {
        self.beyond(x) > 1.0
    }

    /// The number that stands for `x`: itself within the range; `d` deviations beyond an end, `c d
    /// / (c + d)` deviations beyond it, where `c` is `clip`. That leaves the end with slope 1 and
    /// never comes to `c`; it is rational, so its bits are the same everywhere.
    pub fn held(&self, x: f64) -> f64 {
        let d = self.beyond(x);
        if d <= 0.0 || self.clip == 0.0 {
            return x;
        }
        let by = self.deviation * (self.clip / (1.0 + self.clip / d));
        if x > self.high { self.high + by } else { self.low - by }
    }
}

/// The mean of some numbers, in a form that does not overflow; `None` without one.
pub fn mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    (!values.is_empty()).then(|| values.iter().map(|x| x / n).sum())
}

/// How many numbers of a part lie far outside of the training part's, by column.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Numbers far outside, and all numbers, of each column of the schema.
    counts: Vec<[usize; 2]>,
}

impl Outside {
    /// Looks at the numbers of some rows as well.
    pub fn look(&mut self, schema: &Schema, raw: &Raw, rows: &[u32]) {
        let Input::Columns { columns } = &schema.input else { return };
        self.counts.resize(columns.len(), [0; 2]);
        let index = Index::new(raw);
        for (column, counts) in
            columns.iter().zip(&mut self.counts).filter(|(column, _)| column.range().is_some())
        {
            let Some(view) = index.of(column, schema.reading.blank_words) else { continue };
            let cells = rows.iter().filter_map(|&row| view.cell(row as usize));
            for x in cells.filter_map(|cell| column.measure(&view, cell)) {
                counts[0] += usize::from(column.is_far(x));
                counts[1] += 1;
            }
        }
    }
}

/// A sentence a column of which the rows of some part have numbers far outside, those of most such
/// numbers first.
pub fn notices(schema: &Schema, parts: &[Outside; 3]) -> Vec<String> {
    let Input::Columns { columns } = &schema.input else { return Vec::new() };
    let count = |outside: &Outside, at: usize| outside.counts.get(at).copied().unwrap_or_default();
    let far = |at: usize| parts.iter().map(|outside| count(outside, at)[0]).sum::<usize>();
    let mut found: Vec<(usize, &Column)> =
        columns.iter().enumerate().filter(|(at, _)| far(*at) > 0).collect();
    found.sort_by_key(|(at, _)| (std::cmp::Reverse(far(*at)), *at));
    let rest: Vec<String> =
        found.iter().skip(NAMED).map(|(_, column)| column.name.clone()).collect();
    let told = |&(at, column): &(usize, &Column)| {
        let of_part = |(part, outside): (Part, &Outside)| {
            let [far, all] = count(outside, at);
            let what = if column.is_of_dates() { "dates" } else { "numbers" };
            (far > 0).then(|| format!("{far} of {all} {what} of the {} part", part.name()))
        };
        let cells: Vec<String> = Part::ALL.into_iter().zip(parts).filter_map(of_part).collect();
        column.range().map(|range| sentence(column, range, &cells.join(" and ")))
    };
    let mut notices: Vec<String> = found.iter().take(NAMED).filter_map(told).collect();
    if !rest.is_empty() {
        notices.push(format!(
            "{} more columns have numbers far outside too: {}",
            rest.len(),
            some(&rest)
        ));
    }
    notices
}

fn sentence(column: &Column, range: &Range, cells: &str) -> String {
    let short =
        |x: f64| if column.is_of_dates() { Date::day_of(x) } else { super::survey::short(x) };
    let (name, low, high) = (quoted(&column.name), short(range.low), short(range.high));
    let then = match range.clip > 0.0 {
        true => format!(
            "are held within {} standard deviations of it (clip)",
            super::survey::short(range.clip)
        ),
        false if column.is_of_dates() => "are taken as they are".to_owned(),
        false => "are taken as they are (clip = 0)".to_owned(),
    };
    format!(
        "column {name}: {cells} lie far outside of {low} to {high}, on which it was fitted, and {then}"
    )
}

impl Column {
    /// The numbers that it had in the training part, or of dates the years since 1970, if that is
    /// known.
    pub fn range(&self) -> Option<&Range> {
        match &self.encoding {
            Encoding::Numeric { range, .. } | Encoding::Date { range, .. } => range.as_ref(),
            _ => None,
        }
    }

    /// Whether it holds dates.
    fn is_of_dates(&self) -> bool {
        matches!(self.encoding, Encoding::Date { .. })
    }

    /// The number of a cell that its range is about.
    pub(super) fn measure(&self, view: &View, cell: Cell) -> Option<f64> {
        if self.is_of_dates() { view.date(cell).map(|date| date.years()) } else { view.value(cell) }
    }

    /// Whether such a number lies far outside of those of the training part.
    pub fn is_far(&self, x: f64) -> bool {
        self.range().is_some_and(|range| range.is_far(x))
    }
}
