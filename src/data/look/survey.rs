//! A look at a table before anything is trained on it: what its columns seem to hold, which texts
//! look like blanks, how labels lie.

use std::borrow::Cow;

use crate::config::{Dates, Decimal, FeatureKind, Task, TaskKind, Version, Word};
use crate::data::encode::fit::guess;

use crate::data::encode::labels::{self, positive_of};
use crate::data::schema::columns::no_column;
use crate::data::table::index::is_index;
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::view::{Index, View};
use crate::data::value::alike::{spellings, truth};
use crate::data::value::blanks::is_blank_between;
use crate::data::value::dates::Date;
use crate::data::value::meaning::{Kind, Meaning, Wishes, agree, blank_notices};
use crate::data::value::notation::Notation;
use crate::fault::{Exit, Fault, quoted};
use crate::text::short;

/// Values of a column that are shown.
const SHOWN: usize = 3;
/// Labels of a task that are shown.
const CLASSES: usize = 12;
/// Whole numbers are classes up to so many different ones …
const FEW: usize = 20;
/// … if each is in so many rows, on average.
const ROWS_PER_CLASS: usize = 10;
/// A number so many interquartile ranges from the median is wild: 27 standard deviations, if the
/// rest is normal …
pub const WILD: f64 = 20.0;
/// … unless there is one in so many rows or more.
const FEW_WILD: usize = 10;
/// A class of fewer rows may be missing from the training part.
pub const RARE: usize = 5;

/// Names of columns whose whole numbers are codes, what they are codes of, and between which
/// numbers.
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

/// Names of columns of hours. They stay numbers: as codes they did worse, on the one table that was
/// tried (`docs/tried.md`).
const HOURS: &[&str] = &["hr", "hour"];

/// What a table holds.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The files.
    pub place: String,
    /// Number of rows.
    pub rows: usize,
    /// Texts that mean "blank" in some column: those that were given, or those that were found.
    pub missing: Vec<String>,
    /// Those that were given.
    pub given: Given,
    /// In the order of the table.
    pub columns: Vec<Found>,
    /// What is to be said of blanks, and of how numbers and dates are written.
    pub notices: Vec<String>,
}

/// How the cells of a table are to be read, as far as that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Texts that mean "blank"; `None` = found.
    pub missing: Option<Vec<String>>,
    /// Decimal sign.
    pub decimal: Decimal,
}

impl Given {
    fn wishes(&self) -> Wishes<'_> {
        Wishes {
            missing: self.missing.as_deref(),
            decimal: self.decimal,
            dates: Dates::Auto,
            version: Version::V0_2,
        }
    }
}

/// What a column holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// Name in the header.
    pub name: String,
    /// Its type as a feature.
    pub kind: FeatureKind,
    /// Blank cells.
    pub blanks: usize,
    /// Different values.
    pub values: usize,
    /// Smallest and largest number, where nearly all cells are some.
    pub range: Option<[f64; 2]>,
    /// Whether these are whole.
    pub whole: bool,
    /// Whether they count the rows, as pandas writes its index.
    pub index: bool,
    /// The values that most rows have, with their rows.
    pub commonest: Vec<(String, usize)>,
    /// The first value.
    pub example: String,
    /// Values that are no number, or no date, in a column of such.
    pub odd: Vec<String>,
    /// Values that look like blanks between words; that many rows.
    pub doubtful: Vec<(String, usize)>,
    /// What its texts are taken for.
    pub meaning: Meaning,
}

/// Different values of a column with their rows, in the order of their first row; blank cells of
/// arrays are "".
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

/// A finite number.
fn number(notation: Notation, text: &str) -> Option<f64> {
    notation.read(text).filter(|x: &f64| x.is_finite())
}

impl Survey {
    /// Looks at all cells of a table.
    pub fn new(raw: &Raw, given: Given) -> Survey {
        let rows: Vec<u32> = (0..raw.rows as u32).collect();
        let tallies: Vec<Tally> = (0..raw.names.len()).map(|at| tally(raw, at, &rows)).collect();
        let meaning = |(tally, column): (&Tally, &RawColumn)| match column {
            RawColumn::Texts(_) => {
                Meaning::of(tally.iter().map(|(text, rows)| (&**text, *rows)), &given.wishes())
            }
            _ => Meaning::given(given.missing.as_deref(), Kind::Numbers),
        };
        let mut meanings: Vec<Meaning> = tallies.iter().zip(&raw.columns).map(meaning).collect();
        agree(&mut meanings, given.decimal, raw.delimiter == Some(b';'));
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
        let columns: Vec<Found> =
            columns.map(|(at, (tally, meaning))| found(raw, at, tally, meaning, &rows)).collect();
        let nearly = |column: &Found| {
            Some(format!("column {} is one of texts: {}", quoted(&column.name), column.nearly()?))
        };
        notices.extend(columns.iter().filter_map(nearly));
        Survey { place: raw.place.clone(), rows: raw.rows, columns, missing, given, notices }
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Found> {
        self.columns.iter().find(|column| column.name == name)
    }
}

fn found(raw: &Raw, at: usize, tally: Tally, meaning: Meaning, rows: &[u32]) -> Found {
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
    Found {
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

/// The same with values that are equal in other words as one.
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

impl Found {
    /// Whether it has one of some names, or one of them is a word of its name.
    fn is_called(&self, words: &[&str]) -> bool {
        let name = self.name.to_lowercase();
        words.contains(&name.as_str())
            || name.split(['_', ' ', '-', '.']).any(|word| words.contains(&word))
    }

    /// Whether its whole numbers are hours of a day, by its name and their range.
    pub fn is_hours(&self) -> bool {
        let in_a_day = self.range.is_some_and(|[low, high]| low >= 0.0 && high <= 24.0);
        self.kind == FeatureKind::Numeric && self.whole && in_a_day && self.is_called(HOURS)
    }

    /// What its whole numbers are codes of, by its name and their range: hours, months, …
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
    /// or whole numbers of a column called `id`. Other numbers may decide, however much they look
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

    /// That its cells are nearly numbers or dates, which they are not, where that is so.
    pub fn nearly(&self) -> Option<String> {
        let is_text = matches!(self.kind, FeatureKind::Category | FeatureKind::Text);
        self.meaning.mostly().filter(|_| is_text)
    }
}

/// A task that is wanted of a table.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Its name: that of the column, as far as the name of a task can have its characters.
    pub name: String,
    /// Label columns.
    pub columns: Vec<String>,
    /// Its type, as given or as guessed.
    pub kind: TaskKind,
    /// Whether the type was guessed.
    pub guessed: bool,
    /// Texts that mean "not labelled".
    pub missing: Vec<String>,
    /// Values of so few rows that they are not learnt, which stand in `missing` too (multiclass).
    pub rare: Vec<String>,
    /// The positive class (binary).
    pub positive: Option<String>,
    /// Labels with their rows, the commonest first; for several columns the rows that say yes in
    /// each.
    pub balance: Vec<(String, usize)>,
    /// Smallest, mean and largest number of each column (regression, count).
    pub spread: Vec<[f64; 3]>,
    /// Rows that lie further from the middle than [`WILD`] interquartile ranges, where they are few
    /// (regression).
    pub wild: usize,
    /// Whether each row has a label.
    pub labelled: Vec<bool>,
}

/// The tasks that `--target` names: `COLUMN`, `COLUMN:TYPE` or `COLUMN,COLUMN:TYPE`.
///
/// # Errors
/// 2 if there is no such column or type, or the labels cannot be learnt.
pub fn wanted(raw: &Raw, survey: &Survey, targets: &[String]) -> anyhow::Result<Vec<Wanted>> {
    let mut tasks: Vec<Wanted> = Vec::new();
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

fn task(
    raw: &Raw,
    survey: &Survey,
    columns: Vec<String>,
    given: Option<TaskKind>,
) -> anyhow::Result<Wanted> {
    let rows: Vec<u32> = (0..raw.rows as u32).collect();
    let mut tallies: Vec<Tally> = Vec::new();
    for column in &columns {
        tallies.push(raw.column(column).map(|at| tally(raw, at, &rows)).unwrap_or_default());
    }
    let meanings: Vec<&Meaning> = columns
        .iter()
        .filter_map(|column| survey.column(column))
        .map(|found| &found.meaning)
        .collect();
    let kind = given.map_or_else(|| guess_task(&columns, &tallies, &meanings), Ok)?;
    let is_number = labels::is_numeric(kind);
    let bare = Task { kind, ..Task::multiclass("") };
    let meaning = |(tally, meaning): (&Tally, &&Meaning)| match is_number {
        true => (*meaning).clone(),
        false => labels::meaning(
            &bare,
            tally.iter().map(|(text, rows)| (&**text, *rows)),
            &survey.given.wishes(),
        ),
    };
    let meanings: Vec<Meaning> = tallies.iter().zip(&meanings).map(meaning).collect();
    let mut missing: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        if !missing.iter().any(|known| known == text) {
            missing.push(text.to_owned());
        }
    };
    meanings.iter().flat_map(|meaning| &meaning.missing).for_each(|text| add(text));
    let is_blank = |text: &str| meanings.iter().any(|meaning| meaning.is_blank(text));
    let mut rare: Vec<String> = Vec::new();
    if is_number {
        // What is no number between numbers is no label.
        for (tally, meaning) in
            tallies.iter().zip(&meanings).filter(|(_, meaning)| meaning.kind == Kind::Numbers)
        {
            let odd = tally.iter().filter(|(text, _)| {
                number(meaning.notation, text).is_none() && !meaning.is_blank(text)
            });
            rare.extend(odd.map(|(text, _)| text.to_string()));
        }
    } else if kind != TaskKind::Multilabel {
        tallies = tallies
            .into_iter()
            .map(|tally| merged(tally.into_iter().filter(|(text, _)| !is_blank(text)).collect()))
            .collect();
    }
    let common = |tally: &Tally| {
        tally.iter().filter(|(text, rows)| !is_blank(text) && *rows >= RARE).count()
    };
    if kind == TaskKind::Multiclass && common(&tallies[0]) >= 2 {
        rare.extend(
            tallies[0]
                .iter()
                .filter(|(text, rows)| !is_blank(text) && *rows < RARE)
                .map(|(text, _)| text.to_string()),
        );
    }
    rare.iter().for_each(|text| add(text));
    let is_label = |text: &str| !missing.iter().any(|blank| blank == text);
    tallies.iter_mut().for_each(|tally| tally.retain(|(text, _)| is_label(text)));
    let balance = if is_number { Vec::new() } else { balance(kind, &columns, &tallies) };
    let mut classes: Vec<String> = balance.iter().map(|(class, _)| class.clone()).collect();
    crate::data::encode::fit::sort(&mut classes);
    let mut labelled = vec![false; raw.rows];
    let index = Index::new(raw);
    for view in columns.iter().filter_map(|column| index.view(column, &missing)) {
        labelled
            .iter_mut()
            .enumerate()
            .for_each(|(row, labelled)| *labelled |= view.cell(row).is_some());
    }
    let wild = |(tally, meaning): (&Tally, &Meaning)| wild(tally, meaning.notation);
    Ok(Wanted {
        wild: if kind == TaskKind::Regression {
            tallies.iter().zip(&meanings).map(wild).max().unwrap_or(0)
        } else {
            0
        },
        name: task_name(&columns),
        kind,
        guessed: given.is_none(),
        positive: positive(kind, &classes, &balance),
        balance,
        spread: if is_number {
            tallies.iter().zip(&meanings).map(|(tally, m)| spread(tally, m.notation)).collect()
        } else {
            Vec::new()
        },
        rare,
        missing,
        columns,
        labelled,
    })
}

/// What a task learns, by its labels: two values, several columns of yes and no, few classes,
/// numbers.
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
    if let [Meaning { kind: Kind::Numbers, notation, .. }] = meanings {
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
            .hint("name a column whose values come back, or say its type: COLUMN:multiclass")
            .into());
    }
    Ok(TaskKind::Multiclass)
}

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

fn spread(tally: &Tally, notation: Notation) -> [f64; 3] {
    let numbers =
        tally.iter().filter_map(|(text, rows)| Some((number(notation, text)?, *rows as f64)));
    let start = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0);
    let (low, high, sum, rows) = numbers.fold(start, |(low, high, sum, n), (x, rows)| {
        (low.min(x), high.max(x), sum + rows * x, n + rows)
    });
    [low, sum / rows, high]
}

/// Rows whose number lies further than [`WILD`] interquartile ranges from the median; 0 if they are
/// more than one in [`FEW_WILD`], so that they are no exceptions.
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
    // Where half of the numbers are one, the middle half says nothing of the others.
    let between =
        |low: f64, high: f64| Some(quantile(high) - quantile(low)).filter(|range| *range > 0.0);
    let middle = quantile(0.5);
    let Some(range) = between(0.25, 0.75).or_else(|| between(0.05, 0.9)) else { return 0 };
    let is_wild = |(x, _): &&(f64, usize)| (x - middle).abs() > WILD * range;
    let wild: usize = numbers.iter().filter(is_wild).map(|(_, rows)| rows).sum();
    if wild * FEW_WILD <= rows { wild } else { 0 }
}

/// The positive class of a binary task: that of two that says yes, or the commonest of several.
fn positive(kind: TaskKind, classes: &[String], balance: &[(String, usize)]) -> Option<String> {
    match classes.len() {
        _ if kind != TaskKind::Binary => None,
        2 => classes.get(positive_of(classes, Version::V0_2)).cloned(),
        _ => balance.first().map(|(class, _)| class.clone()),
    }
}

/// Names of tasks are plain.
fn task_name(columns: &[String]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' };
    let name: String = columns.join("-").chars().take(64).map(plain).collect();
    if name.is_empty() { "task".to_owned() } else { name }
}

impl Wanted {
    /// Rows with a label.
    pub fn rows(&self) -> usize {
        self.labelled.iter().filter(|labelled| **labelled).count()
    }

    /// How its labels lie, in words.
    pub fn told(&self) -> String {
        let class = |(class, rows): &(String, usize)| format!("{} {rows}", quoted(class));
        let numbers = |[low, mean, high]: &[f64; 3]| {
            format!("{} to {}, mean {}", short(*low), short(*high), short(*mean))
        };
        let mut told: Vec<String> = self.balance.iter().take(CLASSES).map(class).collect();
        told.extend(self.spread.iter().map(numbers));
        if self.balance.len() > CLASSES {
            told.push(format!("and {} more", self.balance.len() - CLASSES));
        }
        told.join(", ")
    }
}

/// Rows that have a label for both, for each pair of tasks, by their numbers.
pub fn overlap(tasks: &[Wanted]) -> Vec<(usize, usize, usize)> {
    let both = |a: usize, b: usize| {
        tasks[a].labelled.iter().zip(&tasks[b].labelled).filter(|(x, y)| **x && **y).count()
    };
    (0..tasks.len())
        .flat_map(|a| (a + 1..tasks.len()).map(move |b| (a, b)))
        .map(|(a, b)| (a, b, both(a, b)))
        .collect()
}
