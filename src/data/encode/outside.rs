//! How many numbers lie far outside of the training part's.

use crate::data::schema::columns::some;
use crate::data::table::raw::Raw;
use crate::data::table::view::{Cell, Index, View};
use crate::data::value::dates::Date;
use crate::data::value::range::Range;
use crate::data::{Column, Encoding, Input, Part, Schema};
use crate::fault::quoted;

/// Columns that are named one by one.
const NAMED: usize = 5;

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
    let short = |x: f64| {
        if column.is_of_dates() { Date::day_of(x) } else { crate::text::short(x) }
    };
    let (name, low, high) = (quoted(&column.name), short(range.low), short(range.high));
    let then = match range.clip > 0.0 {
        true => format!(
            "are held within {} standard deviations of it (clip)",
            crate::text::short(range.clip)
        ),
        false if column.is_of_dates() => "are taken as they are".to_owned(),
        false => "are taken as they are (clip = 0)".to_owned(),
    };
    format!(
        "column {name}: {cells} lie far outside of {low} to {high}, on which it was fitted, and \
         {then}"
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
    pub(crate) fn measure(&self, view: &View, cell: Cell) -> Option<f64> {
        if self.is_of_dates() { view.date(cell).map(|date| date.years()) } else { view.value(cell) }
    }

    /// Whether such a number lies far outside of those of the training part.
    pub fn is_far(&self, x: f64) -> bool {
        self.range().is_some_and(|range| range.is_far(x))
    }
}
