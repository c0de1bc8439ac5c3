//! Surveys a table that has no configuration: what its columns seem to hold, which texts look like
//! blanks, and how labels are distributed.

use std::borrow::Cow;

use crate::config::{Dates, Decimal, FeatureKind, Task, TaskKind, Version, Word};
use crate::data::encode::fit::{guess, sort};
use crate::data::encode::labels::{self, positive_of};
use crate::data::schema::columns::no_column;
use crate::data::table::index::is_index;
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::view::{ByName, View};
use crate::data::value::alike::{spellings, truth};
use crate::data::value::blanks::is_blank_between;
use crate::data::value::dates::Date;
use crate::data::value::meaning::{
    Meaning, TextKind, TextSettings, agree_on_decimal_sign, blank_notices,
};
use crate::data::value::notation::Notation;
use crate::fault::{Exit, Fault, quoted};
use crate::text::short;

/// Number of values of a column that are shown.
const SHOWN: usize = 3;
/// Number of labels of a task that are shown.
const CLASSES: usize = 12;
/// Whole numbers are taken for classes if there are at most this many different ones …
const FEW: usize = 20;
/// … and if each is in at least this many rows, on average.
const ROWS_PER_CLASS: usize = 10;
/// A number is wild if it lies more than this many interquartile ranges from the median: 27
/// standard deviations, if the other numbers are normally distributed …
pub const WILD: f64 = 20.0;
/// … unless there is one in this many rows or more.
const FEW_WILD: usize = 10;
/// A class with fewer rows may be missing from the training part.
pub const RARE: usize = 5;

/// Names of columns whose whole numbers are codes, what they are codes of, and their range.
const CODES: &[(&[&str], &str, [f64; 2])] = &[
    (&["month", "mnth", "mon"], "months", [0.0, 12.0]),
    (
        &["weekday", "dayofweek", "dow", "wday", "day_of_week", "day of week"],
        "days of a week",
        [0.0, 7.0],
    ),
    (&["season"], "seasons", [0.0, 4.0]),
    (&["quarter", "qtr"], "quarters", [0.0, 4.0]),
    (
        &["code", "type", "kind", "class", "category", "cat", "group", "zone", "region", "cluster"],
        "codes",
        [0.0, 64.0],
    ),
];

/// Names of columns of hours. These stay numbers, because they did worse as codes on the one table
/// that was tried (`docs/tried.md`).
const HOURS: &[&str] = &["hr", "hour"];

/// The survey of a table.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The files.
    pub place: String,
    /// Number of rows.
    pub rows: usize,
    /// Texts that mean "blank" in some column, as they were given or found.
    pub missing: Vec<String>,
    /// The settings that were given.
    pub given: SurveyOptions,
    /// The columns, in the order of the table.
    pub columns: Vec<ColumnSurvey>,
    /// Notices about blanks, and about how numbers and dates are written.
    pub notices: Vec<String>,
}

/// How the cells of a table are to be read, as far as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SurveyOptions {
    /// Texts that mean "blank"; `None` = they are found.
    pub missing: Option<Vec<String>>,
    /// The decimal sign.
    pub decimal: Decimal,
}

impl SurveyOptions {
    fn settings(&self) -> TextSettings<'_> {
        TextSettings {
            missing: self.missing.as_deref(),
            decimal: self.decimal,
            dates: Dates::Auto,
            version: Version::V0_2,
        }
    }
}

/// The survey of a column.
#[derive(Clone, Debug)]
pub struct ColumnSurvey {
    /// Its name in the header.
    pub name: String,
    /// Its type as a feature.
    pub kind: FeatureKind,
    /// Number of blank cells.
    pub blanks: usize,
    /// Number of different values.
    pub values: usize,
    /// The smallest and the largest number, if nearly all cells are numbers.
    pub range: Option<[f64; 2]>,
    /// Whether all numbers are whole.
    pub whole: bool,
    /// Whether the column is an index as pandas writes it.
    pub index: bool,
    /// The values that most rows have, each with its number of rows.
    pub commonest: Vec<(String, usize)>,
    /// The first value.
    pub example: String,
    /// Values in a column of numbers or dates that are none.
    pub odd: Vec<String>,
    /// Values in a column of texts that look like blanks, each with its number of rows.
    pub doubtful: Vec<(String, usize)>,
    /// The meaning of its texts.
    pub meaning: Meaning,
}

/// The different values of a column, each with its number of rows, in the order of their first
/// rows. Blank cells of arrays are "".
type Tally<'r> = Vec<(Cow<'r, str>, usize)>;

fn tally<'r>(raw: &'r Raw, at: usize, rows: &[u32]) -> Tally<'r> {
    let distinct = View::new(raw, at, &[]).distinct(rows);
    let blanks = distinct.blanks();
    let mut found: Tally = distinct.texts.into_iter().zip(distinct.counts).collect();
    if blanks > 0 {
        found.push(("".into(), blanks));
    }
    found
}

/// Reads a finite number.
fn number(notation: Notation, text: &str) -> Option<f64> {
    notation.read(text).filter(|x: &f64| x.is_finite())
}

impl Survey {
    /// Looks at all cells of a table.
    pub fn new(raw: &Raw, given: SurveyOptions) -> Survey {
        let rows: Vec<u32> = (0..raw.rows as u32).collect();
        let tallies: Vec<Tally> = (0..raw.names.len()).map(|at| tally(raw, at, &rows)).collect();
        let meaning = |(tally, column): (&Tally, &RawColumn)| match column {
            RawColumn::Texts(_) => {
                Meaning::of(tally.iter().map(|(text, rows)| (&**text, *rows)), &given.settings())
            }
            _ => Meaning::given(given.missing.as_deref(), TextKind::Numbers),
        };
        let mut meanings: Vec<Meaning> = tallies.iter().zip(&raw.columns).map(meaning).collect();
        agree_on_decimal_sign(&mut meanings, given.decimal, raw.delimiter == Some(b';'));
        let named = || raw.names.iter().map(String::as_str).zip(&meanings);
        let mut notices = blank_notices(named());
        notices.extend(named().flat_map(|(name, meaning)| meaning.notices(name)));
        let mut missing = vec![String::new()];
        for text in meanings.iter().flat_map(|meaning| &meaning.missing) {
            if !missing.contains(text) {
                missing.push(text.clone());
            }
        }
        let missing = given.missing.clone().unwrap_or(missing);
        let columns = tallies.into_iter().zip(meanings).enumerate();
        let columns: Vec<ColumnSurvey> = columns
            .map(|(at, (tally, meaning))| survey_column(raw, at, tally, meaning, &rows))
            .collect();
        let nearly = |column: &ColumnSurvey| {
            Some(format!(
                "column {} is one of texts: {}",
                quoted(&column.name),
                column.nearly_numbers()?
            ))
        };
        notices.extend(columns.iter().filter_map(nearly));
        Survey { place: raw.place.clone(), rows: raw.rows, columns, missing, given, notices }
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&ColumnSurvey> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Surveys one column.
fn survey_column(
    raw: &Raw,
    at: usize,
    tally: Tally,
    meaning: Meaning,
    rows: &[u32],
) -> ColumnSurvey {
    let blanks =
        tally.iter().filter(|(text, _)| meaning.is_blank(text)).map(|(_, rows)| rows).sum();
    let filled: Tally = tally.into_iter().filter(|(text, _)| !meaning.is_blank(text)).collect();
    let view = View::new(raw, at, &meaning.missing).written(meaning.notation, meaning.order);
    let kind = guess(&view, rows, Some(&meaning)).0;
    let filled = if kind == FeatureKind::Numeric || kind == FeatureKind::Date {
        filled
    } else {
        merged(filled)
    };
    let number = |text: &str| number(meaning.notation, text);
    let is_right = |text: &str| match kind {
        FeatureKind::Numeric => number(text).is_some(),
        FeatureKind::Date => Date::read_as(text, meaning.order).is_some(),
        _ => true,
    };
    let numbers: Vec<f64> = filled.iter().filter_map(|(text, _)| number(text)).collect();
    let range = numbers
        .iter()
        .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(*x), high.max(*x)]);
    let mut commonest: Vec<(String, usize)> = Vec::new();
    let mut order: Vec<&(Cow<str>, usize)> = filled.iter().collect();
    order.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    commonest.extend(order.iter().take(SHOWN).map(|(text, rows)| (text.to_string(), *rows)));
    ColumnSurvey {
        name: raw.names[at].clone(),
        kind,
        blanks,
        values: filled.len(),
        range: (kind == FeatureKind::Numeric && !numbers.is_empty()).then_some(range),
        whole: numbers.iter().all(|x| x.fract() == 0.0),
        index: is_index(&view, 0..raw.rows as u32),
        commonest,
        example: filled.first().map(|(text, _)| text.to_string()).unwrap_or_default(),
        odd: filled
            .iter()
            .filter(|(text, _)| !is_right(text))
            .map(|(text, _)| text.to_string())
            .collect(),
        doubtful: filled
            .iter()
            .filter(|(text, _)| is_blank_between(text))
            .map(|(text, rows)| (text.to_string(), *rows))
            .collect(),
        meaning,
    }
}

/// Merges spellings of one value.
fn merged(tally: Tally) -> Tally {
    let (texts, counts): (Vec<Cow<str>>, Vec<usize>) = tally.into_iter().unzip();
    let spelt = spellings(&texts, &counts);
    let rows = |code: usize| {
        spelt.iter().zip(&counts).filter(|(kept, _)| **kept == code).map(|(_, rows)| rows).sum()
    };
    if spelt.iter().enumerate().all(|(code, kept)| code == *kept) {
        return texts.into_iter().zip(counts).collect();
    }
    texts
        .iter()
        .enumerate()
        .filter(|(code, _)| spelt[*code] == *code)
        .map(|(code, text)| (text.clone(), rows(code)))
        .collect()
}

impl ColumnSurvey {
    /// Whether its name is one of `words`, or contains one of them as a word.
    fn is_called(&self, words: &[&str]) -> bool {
        let name = self.name.to_lowercase();
        words.contains(&name.as_str())
            || name.split(['_', ' ', '-', '.']).any(|word| words.contains(&word))
    }

    /// Whether its whole numbers are hours of a day, judging by its name and range.
    pub fn is_hours(&self) -> bool {
        let in_a_day = self.range.is_some_and(|[low, high]| low >= 0.0 && high <= 24.0);
        self.kind == FeatureKind::Numeric && self.whole && in_a_day && self.is_called(HOURS)
    }

    /// What its whole numbers are codes of, judging by its name and range: months, seasons, …
    pub fn codes(&self) -> Option<&'static str> {
        let (FeatureKind::Numeric, Some([low, high]), true) = (self.kind, self.range, self.whole)
        else {
            return None;
        };
        let known = CODES.iter().find(|(words, _, [least, most])| {
            self.is_called(words) && low >= *least && high <= *most
        });
        known.filter(|_| self.values > 2).map(|(_, what, _)| *what)
    }

    /// Whether it only names rows: it is the index of pandas, or all values differ and are words,
    /// or whole numbers in a column called `id`. Other numbers may be features, even if they look
    /// like a count of rows.
    pub fn is_id(&self, rows: usize) -> bool {
        if self.values != rows || rows <= FEW {
            return self.index;
        }
        let is_named = || {
            let words = self.name.split(['_', ' ', '-', '.']);
            words.into_iter().any(|word| word.eq_ignore_ascii_case("id"))
                || self.name.ends_with("Id")
                || self.name.ends_with("ID")
        };
        match self.kind {
            FeatureKind::Category => true,
            FeatureKind::Numeric => self.index || (self.whole && is_named()),
            _ => self.index,
        }
    }

    /// A sentence that says what keeps the cells of a column of texts from being numbers or dates,
    /// if most of them are some.
    pub fn nearly_numbers(&self) -> Option<String> {
        let is_text = matches!(self.kind, FeatureKind::Category | FeatureKind::Text);
        self.meaning.nearly_numbers().filter(|_| is_text)
    }
}

/// A task that is proposed for a table.
#[derive(Clone, Debug)]
pub struct ProposedTask {
    /// Its name: the name of the column, with characters replaced that names of tasks cannot have.
    pub name: String,
    /// Label columns.
    pub columns: Vec<String>,
    /// Its type, given or guessed.
    pub kind: TaskKind,
    /// Whether the type was guessed.
    pub guessed: bool,
    /// Texts that mean "not labelled".
    pub missing: Vec<String>,
    /// Values that are left out and stand in `missing` too: classes of very few rows (multiclass),
    /// or texts that are no numbers (regression, count).
    pub rare: Vec<String>,
    /// The positive class (binary).
    pub positive: Option<String>,
    /// The labels, each with its number of rows, the commonest first; for several columns, the
    /// number of rows that say yes in each.
    pub balance: Vec<(String, usize)>,
    /// The smallest, the mean and the largest number of each column (regression, count).
    pub spread: Vec<[f64; 3]>,
    /// Number of rows that lie further from the median than [`WILD`] interquartile ranges, if they
    /// are few (regression).
    pub wild: usize,
    /// Whether each row has a label.
    pub labelled: Vec<bool>,
}

/// Proposes a task for each `--target`: `COLUMN`, `COLUMN:TYPE` or `COLUMN,COLUMN:TYPE`.
///
/// # Errors
/// 2 if there is no such column or type, or the labels cannot be learnt.
pub fn propose_tasks(
    raw: &Raw,
    survey: &Survey,
    targets: &[String],
) -> anyhow::Result<Vec<ProposedTask>> {
    let mut tasks: Vec<ProposedTask> = Vec::new();
    for text in targets {
        let (columns, kind) = parse(raw, text)?;
        let mut task = task(raw, survey, columns, kind)?;
        if let Some(twice) = tasks.iter().find(|other| other.columns == task.columns) {
            let fault = Fault::new(
                Exit::Usage,
                format!("--target {}: it is named twice", quoted(&twice.columns[0])),
            );
            return Err(fault.hint("name each target once").into());
        }
        let (bare, mut count) = (task.name.clone(), 1);
        while tasks.iter().any(|other| other.name == task.name) {
            count += 1;
            task.name = format!("{bare}_{count}");
        }
        tasks.push(task);
    }
    Ok(tasks)
}

/// Parses a `--target` as columns and a type, if it names one.
fn parse(raw: &Raw, text: &str) -> anyhow::Result<(Vec<String>, Option<TaskKind>)> {
    let kind = |word: &str| TaskKind::ALL.iter().copied().find(|kind| kind.word() == word);
    if raw.column(text).is_some() {
        return Ok((vec![text.to_owned()], None));
    }
    let (name, given) = match text.rsplit_once(':') {
        Some((name, word)) => match kind(word) {
            Some(kind) => (name, Some(kind)),
            None if raw.column(name).is_some() => {
                let words: Vec<&str> = TaskKind::ALL.iter().map(|kind| kind.word()).collect();
                let fault = Fault::new(
                    Exit::Usage,
                    format!("--target {text}: {} is no type of a task", quoted(word)),
                );
                return Err(fault.hint(format!("one of {}", words.join(", "))).into());
            }
            None => (text, None),
        },
        None => (text, None),
    };
    let columns: Vec<String> = match raw.column(name) {
        Some(_) => vec![name.to_owned()],
        None => name.split(',').map(|part| part.trim().to_owned()).collect(),
    };
    if let Some(gone) = columns.iter().find(|column| raw.column(column).is_none()) {
        let fault = no_column("--target", gone, raw, &[]);
        return Err(Fault { exit: Exit::Usage, ..fault }.into());
    }
    Ok((columns, given))
}

/// Proposes the task of some label columns.
fn task(
    raw: &Raw,
    survey: &Survey,
    columns: Vec<String>,
    given: Option<TaskKind>,
) -> anyhow::Result<ProposedTask> {
    let rows: Vec<u32> = (0..raw.rows as u32).collect();
    let column_tally = |column: &String| raw.column(column).map(|at| tally(raw, at, &rows));
    let mut tallies: Vec<Tally> =
        columns.iter().map(|column| column_tally(column).unwrap_or_default()).collect();
    let surveyed = columns.iter().filter_map(|column| survey.column(column));
    let found: Vec<&Meaning> = surveyed.map(|column| &column.meaning).collect();
    let kind = given.map_or_else(|| guess_task(&columns, &tallies, &found), Ok)?;
    let is_number = labels::is_numeric(kind);
    let meanings = label_meanings(kind, survey, &tallies, &found);
    let is_blank = |text: &str| meanings.iter().any(|meaning| meaning.is_blank(text));
    if !is_number && kind != TaskKind::Multilabel {
        tallies.iter_mut().for_each(|tally| tally.retain(|(text, _)| !is_blank(text)));
        tallies = tallies.into_iter().map(merged).collect();
    }
    let rare = if is_number {
        no_numbers(&tallies, &meanings)
    } else if kind == TaskKind::Multiclass {
        rare_classes(&tallies[0])
    } else {
        Vec::new()
    };
    let mut missing: Vec<String> = Vec::new();
    for text in meanings.iter().flat_map(|meaning| &meaning.missing).chain(&rare) {
        if !missing.contains(text) {
            missing.push(text.clone());
        }
    }
    tallies.iter_mut().for_each(|tally| {
        tally.retain(|(text, _)| !missing.iter().any(|blank| *blank == *text));
    });
    let balance = if is_number { Vec::new() } else { balance(kind, &columns, &tallies) };
    let mut classes: Vec<String> = balance.iter().map(|(class, _)| class.clone()).collect();
    sort(&mut classes);
    let notations = meanings.iter().map(|meaning| meaning.notation);
    let numeric = || tallies.iter().zip(notations.clone());
    let is_regression = kind == TaskKind::Regression;
    Ok(ProposedTask {
        wild: numeric().filter(|_| is_regression).map(|(t, n)| wild(t, n)).max().unwrap_or(0),
        spread: numeric().filter(|_| is_number).map(|(t, n)| spread(t, n)).collect(),
        name: task_name(&columns),
        kind,
        guessed: given.is_none(),
        positive: positive(kind, &classes, &balance),
        balance,
        labelled: labelled_rows(raw, &columns, &missing),
        rare,
        missing,
        columns,
    })
}

/// What the texts of label columns are taken for, given what they are taken for as features.
fn label_meanings(
    kind: TaskKind,
    survey: &Survey,
    tallies: &[Tally],
    found: &[&Meaning],
) -> Vec<Meaning> {
    if labels::is_numeric(kind) {
        return tallies.iter().zip(found).map(|(_, meaning)| (*meaning).clone()).collect();
    }
    let (task, settings) = (Task { kind, ..Task::multiclass("") }, survey.given.settings());
    let meaning = |tally: &Tally| {
        labels::meaning(&task, tally.iter().map(|(text, rows)| (&**text, *rows)), &settings)
    };
    tallies.iter().zip(found).map(|(tally, _)| meaning(tally)).collect()
}

/// The texts in columns of numbers that are neither numbers nor blanks, and hence no labels.
fn no_numbers(tallies: &[Tally], meanings: &[Meaning]) -> Vec<String> {
    let columns = tallies.iter().zip(meanings);
    let columns = columns.filter(|(_, meaning)| meaning.kind == TextKind::Numbers);
    let odd = columns.flat_map(|(tally, meaning)| {
        tally
            .iter()
            .map(|(text, _)| text)
            .filter(|text| number(meaning.notation, text).is_none() && !meaning.is_blank(text))
    });
    odd.map(|text| text.to_string()).collect()
}

/// The classes of fewer than [`RARE`] rows, if at least two others have more rows. Blanks are not
/// in `tally`.
fn rare_classes(tally: &Tally) -> Vec<String> {
    if tally.iter().filter(|(_, rows)| *rows >= RARE).count() < 2 {
        return Vec::new();
    }
    tally.iter().filter(|(_, rows)| *rows < RARE).map(|(text, _)| text.to_string()).collect()
}

/// Whether each row has a label in one of the columns.
fn labelled_rows(raw: &Raw, columns: &[String], missing: &[String]) -> Vec<bool> {
    let mut labelled = vec![false; raw.rows];
    let index = ByName::new(raw);
    for view in columns.iter().filter_map(|column| index.view(column, missing)) {
        labelled
            .iter_mut()
            .enumerate()
            .for_each(|(row, labelled)| *labelled |= view.cell(row).is_some());
    }
    labelled
}

/// Guesses the type of a task from its labels: two values, several columns of yes and no, few
/// classes, or numbers.
fn guess_task(
    columns: &[String],
    tallies: &[Tally],
    meanings: &[&Meaning],
) -> anyhow::Result<TaskKind> {
    let mut labels: Tally = Vec::new();
    for (tally, meaning) in tallies.iter().zip(meanings) {
        labels.extend(merged(
            tally.iter().filter(|(text, _)| !meaning.is_blank(text)).cloned().collect(),
        ));
    }
    let (values, rows) = (labels.len(), labels.iter().map(|(_, rows)| rows).sum::<usize>());
    if columns.len() > 1 {
        let yes_or_no = labels.iter().all(|(text, _)| truth(text).is_some());
        return Ok(if yes_or_no { TaskKind::Multilabel } else { TaskKind::Regression });
    }
    if values == 2 {
        return Ok(TaskKind::Binary);
    }
    if let [Meaning { kind: TextKind::Numbers, notation, .. }] = meanings {
        let whole =
            labels.iter().all(|(text, _)| number(*notation, text).is_none_or(|x| x.fract() == 0.0));
        let few = values <= FEW && values * ROWS_PER_CLASS <= rows;
        return Ok(if whole && few { TaskKind::Multiclass } else { TaskKind::Regression });
    }
    if values > FEW && 2 * values > rows {
        let found = format!(
            "--target {}: {values} different texts in {rows} rows are no classes",
            quoted(&columns[0])
        );
        return Err(Fault::new(Exit::Usage, found)
            .hint("name a column whose values repeat, or say its type: COLUMN:multiclass")
            .into());
    }
    Ok(TaskKind::Multiclass)
}

/// See [`ProposedTask::balance`].
fn balance(kind: TaskKind, columns: &[String], tallies: &[Tally]) -> Vec<(String, usize)> {
    if kind == TaskKind::Multilabel {
        let yes = |tally: &Tally| {
            tally.iter().filter(|(text, _)| truth(text) == Some(true)).map(|(_, rows)| rows).sum()
        };
        return columns.iter().cloned().zip(tallies.iter().map(yes)).collect();
    }
    let mut found: Vec<(String, usize)> =
        tallies.iter().flatten().map(|(text, rows)| (text.to_string(), *rows)).collect();
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found
}

/// The smallest number, the mean and the largest number.
fn spread(tally: &Tally, notation: Notation) -> [f64; 3] {
    let numbers =
        tally.iter().filter_map(|(text, rows)| Some((number(notation, text)?, *rows as f64)));
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    let (mut sum, mut all) = (0.0, 0.0);
    for (x, rows) in numbers {
        (low, high) = (low.min(x), high.max(x));
        (sum, all) = (sum + rows * x, all + rows);
    }
    [low, sum / all, high]
}

/// Number of rows whose number lies further than [`WILD`] interquartile ranges from the median; 0
/// if there are more than one in [`FEW_WILD`], because then they are no exceptions.
fn wild(tally: &Tally, notation: Notation) -> usize {
    let mut numbers: Vec<(f64, usize)> =
        tally.iter().filter_map(|(text, rows)| Some((number(notation, text)?, *rows))).collect();
    numbers.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows: usize = numbers.iter().map(|(_, rows)| rows).sum();
    let quantile = |q: f64| {
        let (mut below, at) = (0, (q * rows as f64) as usize);
        let found = numbers.iter().find(|(_, rows)| {
            below += rows;
            below > at
        });
        found.map_or(0.0, |(x, _)| *x)
    };
    // If half of the numbers are equal, the interquartile range is 0, and a wider range is taken.
    let between =
        |low: f64, high: f64| Some(quantile(high) - quantile(low)).filter(|range| *range > 0.0);
    let middle = quantile(0.5);
    let Some(range) = between(0.25, 0.75).or_else(|| between(0.05, 0.9)) else { return 0 };
    let is_wild = |(x, _): &&(f64, usize)| (x - middle).abs() > WILD * range;
    let wild: usize = numbers.iter().filter(is_wild).map(|(_, rows)| rows).sum();
    if wild * FEW_WILD <= rows { wild } else { 0 }
}

/// The positive class of a binary task: of two classes the one that means yes, of several the
/// commonest.
fn positive(kind: TaskKind, classes: &[String], balance: &[(String, usize)]) -> Option<String> {
    match classes.len() {
        _ if kind != TaskKind::Binary => None,
        2 => classes.get(positive_of(classes, Version::V0_2)).cloned(),
        _ => balance.first().map(|(class, _)| class.clone()),
    }
}

/// The name of the task of some columns, in the characters that names of tasks can have.
fn task_name(columns: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    let name: String = columns.join("-").chars().take(64).map(plain).collect();
    if name.is_empty() { "task".to_owned() } else { name }
}

impl ProposedTask {
    /// Number of rows with a label.
    pub fn rows(&self) -> usize {
        self.labelled.iter().filter(|labelled| **labelled).count()
    }

    /// A phrase about the distribution of its labels.
    pub fn labels_phrase(&self) -> String {
        let class = |(class, rows): &(String, usize)| format!("{} {rows}", quoted(class));
        let numbers = |[low, mean, high]: &[f64; 3]| {
            format!("{} to {}, mean {}", short(*low), short(*high), short(*mean))
        };
        let mut phrases: Vec<String> = self.balance.iter().take(CLASSES).map(class).collect();
        phrases.extend(self.spread.iter().map(numbers));
        if self.balance.len() > CLASSES {
            phrases.push(format!("and {} more", self.balance.len() - CLASSES));
        }
        phrases.join(", ")
    }
}

/// (task, other task, number of rows with a label for both) of each pair of tasks.
pub fn overlap(tasks: &[ProposedTask]) -> Vec<(usize, usize, usize)> {
    let both = |a: usize, b: usize| {
        tasks[a].labelled.iter().zip(&tasks[b].labelled).filter(|(x, y)| **x && **y).count()
    };
    (0..tasks.len())
        .flat_map(|a| (a + 1..tasks.len()).map(move |b| (a, b)))
        .map(|(a, b)| (a, b, both(a, b)))
        .collect()
}
