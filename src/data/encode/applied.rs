//! How well rows match a schema that was not fitted on them: values that it does not know, blanks
//! where training had none, numbers out of range, columns that it does not use. These are counted
//! wherever a schema is applied, and reported in one line per column.

use std::collections::HashSet;

use crate::config::SENTENCE;
use crate::data::schema::columns::some;
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::view::{ByName, Cell, View};
use crate::data::value::words::each_word;
use crate::data::{Column, Encoding, Input, Part, Schema};
use crate::fault::{Fault, quoted};

/// Number of cells that are shown as examples.
const SHOWN: usize = 3;

/// How well some rows match a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchReport {
    /// Number of rows.
    pub rows: usize,
    /// The counts of each column of the schema.
    pub columns: Vec<ColumnCounts>,
    /// Columns that the model does not use in any way and that the configuration did not ignore.
    pub passed_over: Vec<String>,
    /// Features that occur in no row, if the file names only values that occur.
    pub absent: Vec<String>,
    /// Notices from the reading of the files.
    pub files: Vec<String>,
    /// Features that the file lacks, as a source of the training data did: their cells are blank.
    pub lacking: Vec<String>,
}

/// Numbers of cells of one column, by how they match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnCounts {
    /// Cells with values that the model does not know.
    pub unknown: usize,
    /// Blank cells, if training had none.
    pub unexpected_blanks: usize,
    /// Cells with numbers or dates far outside of the training part's range.
    pub out_of_range: usize,
    /// Cells with values that the model knows.
    known: usize,
    /// Blank cells, whether or not training had some.
    blanks: usize,
    /// The first cells that are unknown or out of range.
    examples: Vec<String>,
}

impl Column {
    /// Whether training had blank cells, so that further ones are no surprise.
    fn expects_blanks(&self) -> bool {
        match &self.encoding {
            Encoding::Numeric { indicator, .. }
            | Encoding::Binary { indicator, .. }
            | Encoding::Date { indicator, .. } => *indicator,
            Encoding::Category { blank, .. } => *blank,
            Encoding::Text { .. } | Encoding::Span => true,
        }
    }

    /// The values that it knows; empty if it does not list values.
    fn values(&self) -> &[String] {
        match &self.encoding {
            Encoding::Category { values, .. } => values,
            Encoding::Binary { values, .. } => values,
            _ => &[],
        }
    }
}

impl MatchReport {
    /// Counts the cells of all rows of a table.
    pub fn of(schema: &Schema, raw: &Raw) -> MatchReport {
        let Input::Columns { columns } = &schema.input else {
            return MatchReport { rows: raw.rows, ..MatchReport::default() };
        };
        let index = ByName::new(raw);
        let view = |column: &Column| {
            let view = index.of(column, schema.reading.blank_words);
            view.map_or_else(ColumnCounts::default, |view| count(column, &view, raw.rows))
        };
        let mut used: HashSet<&str> =
            schema.feature_names().into_iter().chain(schema.target_names()).collect();
        used.extend(schema.reading.row_weight.as_deref());
        used.extend(schema.reading.aside.iter().map(String::as_str));
        // What features are made of is used.
        let sentences = schema.reading.sentences.as_ref();
        used.extend(sentences.into_iter().flat_map(|s| [SENTENCE, s.word.as_str()]));
        let occurs = |at: usize| !(raw.sparse && is_zero(&raw.columns[at]));
        let there = raw.names.iter().map(String::as_str).enumerate().filter(|(at, _)| occurs(*at));
        let there: HashSet<&str> = there.map(|(_, name)| name).collect();
        let is_over =
            |name: &&String| !used.contains(name.as_str()) && there.contains(name.as_str());
        // Files of sentences have columns for everyone: what a model does not use is no surprise.
        let has_tokens = schema.reading.sentences.is_some();
        let over = raw.names.iter().filter(|_| !has_tokens).filter(is_over);
        let passed_over = over.cloned().collect();
        let is_absent = |name: &&str| raw.sparse && !there.contains(name);
        let absent =
            schema.feature_names().into_iter().filter(is_absent).map(str::to_owned).collect();
        let optional = schema.reading.optional.iter();
        let names = schema.feature_names();
        let is_lacking =
            |name: &&String| names.contains(&name.as_str()) && !there.contains(name.as_str());
        let lacking = optional.filter(is_lacking).cloned().collect();
        MatchReport {
            rows: raw.rows,
            columns: columns.iter().map(view).collect(),
            passed_over,
            absent,
            files: raw.notes.clone(),
            lacking,
        }
    }

    /// Adds the counts of rows that follow.
    pub fn add(&mut self, other: MatchReport) {
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

    /// The columns with cells that do not match.
    pub fn mismatched<'m>(
        &'m self,
        schema: &'m Schema,
    ) -> impl Iterator<Item = (&'m Column, &'m ColumnCounts)> {
        let columns = match &schema.input {
            Input::Columns { columns } => &columns[..],
            Input::Image { .. } => &[],
        };
        let is_mismatched =
            |count: &ColumnCounts| count.unknown + count.reported_blanks() + count.out_of_range > 0;
        columns.iter().zip(&self.columns).filter(move |(_, count)| is_mismatched(count))
    }

    /// One notice per column with cells that do not match, one for the columns that are passed
    /// over, and one for the features that are absent.
    pub fn notices(&self, schema: &Schema) -> Vec<String> {
        let (of_words, others): (Vec<_>, Vec<_>) =
            self.mismatched(schema).partition(|(column, _)| schema.is_of_words(column));
        let mut notices: Vec<String> = self.words_notice(&of_words).into_iter().collect();
        notices.extend(others.into_iter().map(|(column, count)| count.notice(column, self.rows)));
        if !self.passed_over.is_empty() {
            notices.push(format!(
                "columns that the model does not use are passed over: {}",
                some(&self.passed_over)
            ));
        }
        if !self.lacking.is_empty() {
            notices.push(format!(
                "columns that are not there count as blank, as in a source of the training: {}",
                some(&self.lacking)
            ));
        }
        if !self.absent.is_empty() {
            notices
                .push(format!("indices of the model that occur in no row: {}", some(&self.absent)));
        }
        notices.extend(self.files.iter().cloned());
        notices
    }

    /// One notice about all columns that are made of words: a word that training does not have is
    /// in several of them.
    fn words_notice(&self, columns: &[(&Column, &ColumnCounts)]) -> Option<String> {
        let of_column = |(number, (column, count)): (usize, &(&Column, &ColumnCounts))| {
            let such = match number {
                0 => format!(" of {}, such as {}", self.rows, some(&count.examples)),
                _ => String::new(),
            };
            format!("{} {}{such}", column.name, count.unknown)
        };
        let all: Vec<String> = columns.iter().enumerate().map(of_column).collect();
        (!all.is_empty())
            .then(|| format!("cells that are not among the values of training: {}", all.join("; ")))
    }

    /// The notices about a part with files of its own. Columns that the training file has too,
    /// `names`, are not mentioned again.
    pub(crate) fn part_notices(
        mut self,
        part: Part,
        schema: &Schema,
        names: &[String],
    ) -> Vec<String> {
        let names: HashSet<&String> = names.iter().collect();
        self.passed_over.retain(|name| !names.contains(name));
        // Numbers out of range are reported for all parts together.
        self.columns.iter_mut().for_each(|count| count.out_of_range = 0);
        self.notices(schema)
            .into_iter()
            .map(|notice| format!("{}: {notice}", part.name()))
            .collect()
    }

    /// Checks that every column has a cell that the model knows, and that a file that names only
    /// values that occur names at least one feature: without these, predictions mean nothing.
    ///
    /// # Errors
    /// 65 with the first column that has no such cell.
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
        // A column without any known value is among the mismatched ones.
        let may_lack = |column: &Column| schema.reading.optional.contains(&column.name);
        let is_idle = |(column, count): &(&Column, &ColumnCounts)| {
            count.known == 0 && (count.unknown > 0 || !may_lack(column))
        };
        // Of what is made of words some is known, unless all words are of another kind.
        let is_word = |(column, _): &(&Column, &ColumnCounts)| schema.is_of_words(column);
        let idle: Vec<_> = self.mismatched(schema).filter(is_idle).collect();
        let has_words = match &schema.input {
            Input::Columns { columns } => {
                let words = columns.iter().filter(|column| schema.is_of_words(column)).count();
                words > idle.iter().filter(|found| is_word(found)).count()
            }
            Input::Image { .. } => false,
        };
        let first = idle.into_iter().find(|found| !(has_words && is_word(found)));
        let Some((column, count)) = first else { return Ok(()) };
        let name = format!("{place}: column {}", quoted(&column.name));
        let (found, mend) = match count.unknown {
            0 => (count.blanks_phrase(column, self.rows), "fill the column".to_owned()),
            unknown => {
                let is_text = matches!(column.encoding, Encoding::Text { .. });
                let (what, known) =
                    if is_text { ("word", column.words()) } else { ("value", column.values()) };
                let found = format!(
                    "none of {unknown} cells holds a {what} that the model knows: {}",
                    some(&count.examples)
                );
                (found, format!("the model knows {}: write the cells so", some(known)))
            }
        };
        Err(Fault::data(name, found).hint(format!("{mend}; --allow-unknown goes on all the same")))
    }
}

impl ColumnCounts {
    /// Keeps a text as an example, unless there are enough or it is one already.
    fn add_example(&mut self, text: &str) {
        if self.examples.len() < SHOWN && !self.examples.iter().any(|known| known == text) {
            self.examples.push(text.to_owned());
        }
    }

    /// Number of blank cells to report: all if the column holds nothing else, otherwise the
    /// unexpected ones.
    pub fn reported_blanks(&self) -> usize {
        if self.unknown + self.known == 0 { self.blanks } else { self.unexpected_blanks }
    }

    fn add(&mut self, more: ColumnCounts) {
        self.unknown += more.unknown;
        self.unexpected_blanks += more.unexpected_blanks;
        self.blanks += more.blanks;
        self.out_of_range += more.out_of_range;
        self.known += more.known;
        more.examples.iter().for_each(|text| self.add_example(text));
    }

    /// A notice about a column of `cells` cells.
    fn notice(&self, column: &Column, cells: usize) -> String {
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
            (unknown, _) if matches!(column.encoding, Encoding::Text { .. }) => {
                parts.push(format!(
                    "{unknown} of {cells} texts have no word that training knows{}",
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
        if self.reported_blanks() > 0 {
            parts.push(self.blanks_phrase(column, cells));
        }
        format!("column {}: {}", quoted(&column.name), parts.join("; "))
    }

    /// The part of a notice that is about blank cells.
    fn blanks_phrase(&self, column: &Column, cells: usize) -> String {
        let how_many = if self.reported_blanks() == cells {
            format!("all {cells}")
        } else {
            format!("{} of {cells}", self.reported_blanks())
        };
        let since = if column.expects_blanks() { "" } else { ", and none was in training" };
        format!("{how_many} cells are blank{since}")
    }
}

/// Counts the cells of a column.
fn count(column: &Column, view: &View, rows: usize) -> ColumnCounts {
    let (mut count, values, expects_blanks) =
        (ColumnCounts::default(), column.known(), column.expects_blanks());
    let (has_values, has_range) = (!column.values().is_empty(), column.range().is_some());
    let words: HashSet<&str> = column.words().iter().map(String::as_str).collect();
    let has_values = has_values || !words.is_empty();
    let has_word = |text: &str| {
        let mut found = false;
        each_word(text, |word| {
            found = words.contains(word);
            !found
        });
        found
    };
    let is_known = |text: &str| match words.is_empty() {
        true => values.get(text).is_some(),
        false => has_word(text),
    };
    // Equal cells often follow each other, so the result for the last text is kept.
    let mut last: Option<(&str, bool)> = None;
    for row in 0..rows {
        let cell = view.cell(row);
        let is_known = match (cell, last) {
            (None, _) => {
                count.blanks += 1;
                count.unexpected_blanks += usize::from(!expects_blanks);
                continue;
            }
            (Some(Cell::Text(text)), Some((before, is_known))) if text == before => is_known,
            (Some(_), _) => !has_values || is_known(&view.text(row)),
        };
        if let (Some(Cell::Text(text)), true) = (cell, has_values) {
            last = Some((text, is_known));
        }
        if !is_known {
            count.unknown += 1;
            count.add_example(&view.text(row));
            continue;
        }
        count.known += 1;
        if has_range
            && cell.and_then(|cell| column.measure(view, cell)).is_some_and(|x| column.is_far(x))
        {
            count.out_of_range += 1;
            count.add_example(&view.text(row));
        }
    }
    count
}

/// Whether a column holds numbers and all are zero.
fn is_zero(column: &RawColumn) -> bool {
    matches!(column, RawColumn::Numbers(numbers) if numbers.iter().all(|&x| x == 0.0))
}
