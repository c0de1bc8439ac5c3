//! What a schema meets in rows that it was not fitted on: cells that it does not know, blanks where
//! training had none, numbers out of range, columns that it has no use for. Counted while it is
//! applied, whoever applies it, and said in one line a column.

use std::collections::HashSet;

use crate::data::schema::columns::some;
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::view::{Cell, Index, View};
use crate::data::{Column, Encoding, Input, Part, Schema};
use crate::fault::{Fault, quoted};

/// Cells that are shown.
const SHOWN: usize = 3;

/// What was met in some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Met {
    /// Number of rows.
    pub rows: usize,
    /// One per column of the schema.
    pub columns: Vec<Count>,
    /// Columns that are neither features nor labels, say nothing of rows and were not told to be
    /// ignored.
    pub passed_over: Vec<String>,
    /// Features that occur in no row of a file that names only what occurs.
    pub absent: Vec<String>,
}

/// Cells of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Values that the model does not know.
    pub unknown: usize,
    /// Blanks, where training had none.
    pub blank: usize,
    /// Numbers or dates far outside of those of training.
    pub out_of_range: usize,
    /// Values that the model knows.
    known: usize,
    /// Blanks, whatever training had.
    empty: usize,
    /// The first of the unknown, or of those out of range.
    examples: Vec<String>,
}

impl Column {
    /// Whether a blank cell is nothing new: training had some.
    fn expects_blanks(&self) -> bool {
        match &self.encoding {
            Encoding::Numeric { indicator, .. }
            | Encoding::Binary { indicator, .. }
            | Encoding::Date { indicator, .. } => *indicator,
            Encoding::Category { blank, .. } => *blank,
            Encoding::Text { .. } => true,
        }
    }

    /// The values that it knows, where there are some.
    fn values(&self) -> &[String] {
        match &self.encoding {
            Encoding::Category { values, .. } => values,
            Encoding::Binary { values, .. } => values,
            Encoding::Numeric { .. } | Encoding::Date { .. } | Encoding::Text { .. } => &[],
        }
    }
}

impl Met {
    /// Looks at all rows of a table.
    pub fn of(schema: &Schema, raw: &Raw) -> Met {
        let Input::Columns { columns } = &schema.input else {
            return Met { rows: raw.rows, ..Met::default() };
        };
        let index = Index::new(raw);
        let view = |column: &Column| {
            let view = index.of(column, schema.reading.blank_words);
            view.map_or_else(Count::default, |view| count(column, &view, raw.rows))
        };
        let mut used: HashSet<&str> =
            schema.feature_names().into_iter().chain(schema.target_names()).collect();
        used.extend(schema.reading.row_weight.as_deref());
        used.extend(schema.reading.aside.iter().map(String::as_str));
        let occurs = |at: usize| !(raw.sparse && is_zero(&raw.columns[at]));
        let there = raw.names.iter().map(String::as_str).enumerate().filter(|(at, _)| occurs(*at));
        let there: HashSet<&str> = there.map(|(_, name)| name).collect();
        let is_over =
            |name: &&String| !used.contains(name.as_str()) && there.contains(name.as_str());
        let passed_over = raw.names.iter().filter(is_over).cloned().collect();
        let is_absent = |name: &&str| raw.sparse && !there.contains(name);
        let absent =
            schema.feature_names().into_iter().filter(is_absent).map(str::to_owned).collect();
        Met { rows: raw.rows, columns: columns.iter().map(view).collect(), passed_over, absent }
    }

    /// Adds what was met in rows that follow.
    pub fn add(&mut self, other: Met) {
        if self.rows == 0 {
            *self = other;
            return;
        }
        self.rows += other.rows;
        self.columns.iter_mut().zip(other.columns).for_each(|(count, more)| count.add(more));
        self.absent.retain(|name| other.absent.contains(name));
        if other.passed_over != self.passed_over {
            let known: HashSet<&String> = self.passed_over.iter().collect();
            let fresh: Vec<String> =
                other.passed_over.into_iter().filter(|name| !known.contains(name)).collect();
            self.passed_over.extend(fresh);
        }
    }

    /// Columns with something to tell.
    pub fn told<'m>(&'m self, schema: &'m Schema) -> impl Iterator<Item = (&'m Column, &'m Count)> {
        let columns = match &schema.input {
            Input::Columns { columns } => &columns[..],
            Input::Image { .. } => &[],
        };
        let is_told = |count: &Count| count.unknown + count.blanks() + count.out_of_range > 0;
        columns.iter().zip(&self.columns).filter(move |(_, count)| is_told(count))
    }

    /// One line a column, and one for those that are passed over.
    pub fn notices(&self, schema: &Schema) -> Vec<String> {
        let mut notices: Vec<String> =
            self.told(schema).map(|(column, count)| count.said(column, self.rows)).collect();
        if !self.passed_over.is_empty() {
            notices.push(format!(
                "columns that the model does not use are passed over: {}",
                some(&self.passed_over)
            ));
        }
        if !self.absent.is_empty() {
            notices
                .push(format!("indices of the model that occur in no row: {}", some(&self.absent)));
        }
        notices
    }

    /// The same of a part that has files of its own, for whoever knows the columns of the training
    /// file.
    pub(crate) fn said_of(mut self, part: Part, schema: &Schema, names: &[String]) -> Vec<String> {
        let names: HashSet<&String> = names.iter().collect();
        self.passed_over.retain(|name| !names.contains(name));
        // Numbers far outside are told of all parts together, files of their own or not.
        self.columns.iter_mut().for_each(|count| count.out_of_range = 0);
        self.notices(schema)
            .into_iter()
            .map(|notice| format!("{}: {notice}", part.name()))
            .collect()
    }

    /// That every column has a cell which the model knows, and that a file which names only what
    /// occurs names one at least; a model can say nothing of rows that it knows nothing of.
    ///
    /// # Errors
    /// 65 with the first column that has none.
    pub fn check(&self, schema: &Schema, place: &str) -> Result<(), Fault> {
        if !self.absent.is_empty() && self.absent.len() == schema.feature_names().len() {
            let found = format!(
                "none of the {} indices of the model occurs: {}",
                self.absent.len(),
                some(&self.absent)
            );
            let hint = "give rows of the kind that the model was trained on; --allow-unknown goes \
                        on all the same";
            return Err(Fault::data(place, found).hint(hint));
        }
        // A column without one known value has something to tell.
        let Some((column, count)) = self.told(schema).find(|(_, count)| count.known == 0) else {
            return Ok(());
        };
        let name = format!("{place}: column {}", quoted(&column.name));
        let (found, mend) = match count.unknown {
            0 => (count.said_of_blanks(column, self.rows), "fill the column".to_owned()),
            unknown => {
                let found = format!(
                    "none of {unknown} cells holds a value that the model knows: {}",
                    some(&count.examples)
                );
                (found, format!("the model knows {}: write the cells so", some(column.values())))
            }
        };
        Err(Fault::data(name, found).hint(format!("{mend}; --allow-unknown goes on all the same")))
    }
}

impl Count {
    fn example(&mut self, text: &str) {
        if self.examples.len() < SHOWN && !self.examples.iter().any(|known| known == text) {
            self.examples.push(text.to_owned());
        }
    }

    /// Blanks to tell of: those that are new, or all where the column holds nothing else.
    pub fn blanks(&self) -> usize {
        if self.unknown + self.known == 0 { self.empty } else { self.blank }
    }

    fn add(&mut self, more: Count) {
        self.unknown += more.unknown;
        self.blank += more.blank;
        self.empty += more.empty;
        self.out_of_range += more.out_of_range;
        self.known += more.known;
        more.examples.iter().for_each(|text| self.example(text));
    }

    /// A sentence about a column of so many cells.
    fn said(&self, column: &Column, cells: usize) -> String {
        let such = || format!(", such as {}", some(&self.examples));
        let mut parts = Vec::new();
        match (self.unknown, column.values()) {
            (0, _) => {}
            (unknown, [no, yes]) if matches!(column.encoding, Encoding::Binary { .. }) => {
                parts.push(format!(
                    "{unknown} of {cells} cells are neither {} nor {}{}",
                    quoted(no),
                    quoted(yes),
                    such()
                ));
            }
            (unknown, values) => {
                parts.push(format!(
                    "{unknown} of {cells} cells are not among the {} values of training{}",
                    values.len(),
                    such()
                ));
            }
        }
        if self.out_of_range > 0 {
            parts.push(format!(
                "{} of {cells} cells are far out of the range of training{}",
                self.out_of_range,
                such()
            ));
        }
        if self.blanks() > 0 {
            parts.push(self.said_of_blanks(column, cells));
        }
        format!("column {}: {}", quoted(&column.name), parts.join("; "))
    }

    /// A part of such a sentence about the blanks.
    fn said_of_blanks(&self, column: &Column, cells: usize) -> String {
        let how_many = if self.blanks() == cells {
            format!("all {cells}")
        } else {
            format!("{} of {cells}", self.blanks())
        };
        let since = if column.expects_blanks() { "" } else { ", and none was in training" };
        format!("{how_many} cells are blank{since}")
    }
}

/// Counts the cells of a column.
fn count(column: &Column, view: &View, rows: usize) -> Count {
    let (mut count, values, expects_blanks) =
        (Count::default(), column.known(), column.expects_blanks());
    let (has_values, has_range) = (!column.values().is_empty(), column.range().is_some());
    // Equal cells often follow each other.
    let mut last: Option<(&str, bool)> = None;
    for row in 0..rows {
        let cell = view.cell(row);
        let is_known = match (cell, last) {
            (None, _) => {
                count.empty += 1;
                count.blank += usize::from(!expects_blanks);
                continue;
            }
            (Some(Cell::Text(text)), Some((before, is_known))) if text == before => is_known,
            (Some(_), _) => !has_values || values.get(&view.text(row)).is_some(),
        };
        if let (Some(Cell::Text(text)), true) = (cell, has_values) {
            last = Some((text, is_known));
        }
        if !is_known {
            count.unknown += 1;
            count.example(&view.text(row));
            continue;
        }
        count.known += 1;
        if has_range
            && cell.and_then(|cell| column.measure(view, cell)).is_some_and(|x| column.is_far(x))
        {
            count.out_of_range += 1;
            count.example(&view.text(row));
        }
    }
    count
}

/// Whether a column of numbers holds nothing else than zeros.
fn is_zero(column: &RawColumn) -> bool {
    matches!(column, RawColumn::Numbers(numbers) if numbers.iter().all(|&x| x == 0.0))
}
