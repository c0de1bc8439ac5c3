//! Counts numbers far outside of the range that their column had in the training part.

use crate::data::schema::columns::some;
use crate::data::table::raw::Raw;
use crate::data::table::view::{ByName, Cell, View};
use crate::data::value::dates::Date;
use crate::data::value::range::Range;
use crate::data::{Column, Encoding, Input, Part, Schema};
use crate::fault::quoted;

/// Number of columns that get a notice of their own.
const NAMED: usize = 5;

/// How many numbers of a part lie far outside of the range of the training part, by column.
#[derive(Clone, Debug, Default)]
pub struct OutOfRange {
    /// [numbers far outside, all numbers] of each column of the schema.
    counts: Vec<[usize; 2]>,
}

impl OutOfRange {
    /// No numbers have been counted yet.
    pub const fn new() -> OutOfRange {
        OutOfRange { counts: Vec::new() }
    }

    /// Counts the numbers of further rows.
    pub fn count(&mut self, schema: &Schema, raw: &Raw, rows: &[u32]) {
        let Input::Columns { columns } = &schema.input else { return };
        self.counts.resize(columns.len(), [0; 2]);
        let index = ByName::new(raw);
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

/// Notices about the columns with numbers far outside in some part, the columns with most such
/// numbers first.
pub fn notices(schema: &Schema, parts: &[OutOfRange; 3]) -> Vec<String> {
    let Input::Columns { columns } = &schema.input else { return Vec::new() };
    let counts = |part: &OutOfRange, at: usize| part.counts.get(at).copied().unwrap_or_default();
    let far = |at: usize| parts.iter().map(|part| counts(part, at)[0]).sum::<usize>();
    let mut found: Vec<(usize, &Column)> =
        columns.iter().enumerate().filter(|(at, _)| far(*at) > 0).collect();
    found.sort_by_key(|(at, _)| (std::cmp::Reverse(far(*at)), *at));
    let rest: Vec<String> =
        found.iter().skip(NAMED).map(|(_, column)| column.name.clone()).collect();
    let notice = |&(at, column): &(usize, &Column)| {
        let in_part = |(part, outside): (Part, &OutOfRange)| {
            let [far, all] = counts(outside, at);
            let what = if column.holds_dates() { "dates" } else { "numbers" };
            (far > 0).then(|| format!("{far} of {all} {what} of the {} part", part.name()))
        };
        let cells: Vec<String> = Part::ALL.into_iter().zip(parts).filter_map(in_part).collect();
        column.range().map(|range| notice_text(column, range, &cells.join(" and ")))
    };
    let mut notices: Vec<String> = found.iter().take(NAMED).filter_map(notice).collect();
    if !rest.is_empty() {
        notices.push(format!(
            "{} more columns have numbers far outside too: {}",
            rest.len(),
            some(&rest)
        ));
    }
    notices
}

/// The notice about one column; `cells` says how many numbers of which parts lie far outside.
fn notice_text(column: &Column, range: &Range, cells: &str) -> String {
    let short = |x: f64| {
        if column.holds_dates() { Date::day_of(x) } else { crate::text::short(x) }
    };
    let (name, low, high) = (quoted(&column.name), short(range.low), short(range.high));
    let then = match range.clip > 0.0 {
        true => format!(
            "are held within {} standard deviations of it (clip)",
            crate::text::short(range.clip)
        ),
        false if column.holds_dates() => "are taken as they are".to_owned(),
        false => "are taken as they are (clip = 0)".to_owned(),
    };
    format!(
        "column {name}: {cells} lie far outside of {low} to {high}, on which it was fitted, and \
         {then}"
    )
}

impl Column {
    /// The range of its numbers in the training part, if that is known; for dates, the range of
    /// their years since 1970.
    pub fn range(&self) -> Option<&Range> {
        match &self.encoding {
            Encoding::Numeric { range, .. } | Encoding::Date { range, .. } => range.as_ref(),
            _ => None,
        }
    }

    /// Whether it holds dates.
    fn holds_dates(&self) -> bool {
        matches!(self.encoding, Encoding::Date { .. })
    }

    /// The number of a cell that is compared with the range.
    pub(crate) fn measure(&self, view: &View, cell: Cell) -> Option<f64> {
        if self.holds_dates() { view.date(cell).map(|date| date.years()) } else { view.value(cell) }
    }

    /// Whether such a number lies far outside of the range.
    pub fn is_far(&self, x: f64) -> bool {
        self.range().is_some_and(|range| range.is_far(x))
    }
}
