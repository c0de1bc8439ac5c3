//! A look at a table before anything is trained on it: what its columns seem to hold, which texts look like blanks, how labels lie.

use std::borrow::Cow;

use super::columns::no_column;
use super::dates::Date;
use super::fit::guess;
use super::labels::positive_of;
use super::raw::Raw;
use super::view::{Index, View};
use crate::config::{FeatureKind, TaskKind, Word};
use crate::fault::{Exit, Fault, quoted};

/// Texts that people write where they have nothing to write.
const BLANKS: &[&str] = &["", "?", "-", "--", ".", "NA", "N/A", "n/a", "<NA>", "#N/A", "NaN", "nan", "NULL", "null"];
/// What stands in the columns of a task of several yes and no.
const YES_AND_NO: &[&str] = &["0", "1", "true", "false", "yes", "no"];
/// One cell in so many may be no number in a column of numbers.
const SLIPS: usize = 10;
/// Values of a column that are shown.
const SHOWN: usize = 3;
/// Labels of a task that are shown.
const CLASSES: usize = 12;
/// Whole numbers are classes up to so many different ones …
const FEW: usize = 20;
/// … if each is in so many rows, on average.
const ROWS_PER_CLASS: usize = 10;
/// A class of fewer rows may be missing from the training part.
pub const RARE: usize = 5;

/// What a table holds.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The files.
    pub place: String,
    /// Number of rows.
    pub rows: usize,
    /// Texts that mean "blank": the empty one, and those that stand between numbers or dates.
    pub missing: Vec<String>,
    /// In the order of the table.
    pub columns: Vec<Found>,
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
    /// The values that most rows have, with their rows.
    pub commonest: Vec<(String, usize)>,
    /// The first value.
    pub example: String,
    /// Values that are no number, or no date, in a column of such.
    pub odd: Vec<String>,
    /// Values that look like blanks between words; that many rows.
    pub doubtful: Vec<(String, usize)>,
}

/// Different values of a column with their rows, in the order of their first row; blank cells of arrays are "".
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

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|x: &f64| x.is_finite())
}

fn looks_blank(text: &str) -> bool {
    BLANKS.contains(&text)
}

/// Whether nearly all of the cells that do not look blank are numbers, or nearly all are dates.
fn measured(tally: &Tally) -> bool {
    let sum = |is: &dyn Fn(&str) -> bool| tally.iter().filter(|(text, _)| is(text)).map(|(_, rows)| rows).sum::<usize>();
    let filled = sum(&|text| !looks_blank(text));
    let nearly = |right: usize| filled - right <= filled / SLIPS;
    nearly(sum(&|text| !looks_blank(text) && number(text).is_some()))
        || nearly(sum(&|text| !looks_blank(text) && Date::read(text).is_some()))
}

impl Survey {
    /// Looks at all cells of a table.
    pub fn new(raw: &Raw) -> Survey {
        let rows: Vec<u32> = (0..raw.rows as u32).collect();
        let tallies: Vec<Tally> = (0..raw.names.len()).map(|at| tally(raw, at, &rows)).collect();
        let mut missing = vec![String::new()];
        for (text, _) in tallies.iter().filter(|tally| measured(tally)).flatten().filter(|(text, _)| looks_blank(text)) {
            if !missing.iter().any(|known| known == text) {
                missing.push(text.to_string());
            }
        }
        let column = |(at, tally)| found(raw, at, tally, &missing, &rows);
        let columns = tallies.into_iter().enumerate().map(column).collect();
        Survey { place: raw.place.clone(), rows: raw.rows, columns, missing }
    }

    /// A column by name.
    pub fn column(&self, name: &str) -> Option<&Found> {
        self.columns.iter().find(|column| column.name == name)
    }
}

fn found(raw: &Raw, at: usize, tally: Tally, missing: &[String], rows: &[u32]) -> Found {
    let is_blank = |text: &str| missing.iter().any(|blank| blank == text);
    let blanks = tally.iter().filter(|(text, _)| is_blank(text)).map(|(_, rows)| rows).sum();
    let filled: Tally = tally.into_iter().filter(|(text, _)| !is_blank(text)).collect();
    let kind = guess(&View::new(raw, at, missing), rows).0;
    let is_right = |text: &str| match kind {
        FeatureKind::Numeric => number(text).is_some(),
        FeatureKind::Date => Date::read(text).is_some(),
        _ => true,
    };
    let numbers: Vec<f64> = filled.iter().filter_map(|(text, _)| number(text)).collect();
    let range = numbers.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], x| [low.min(*x), high.max(*x)]);
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
        commonest,
        example: filled.first().map(|(text, _)| text.to_string()).unwrap_or_default(),
        odd: filled.iter().filter(|(text, _)| !is_right(text)).map(|(text, _)| text.to_string()).collect(),
        doubtful: filled.iter().filter(|(text, _)| looks_blank(text)).map(|(text, rows)| (text.to_string(), *rows)).collect(),
    }
}

impl Found {
    /// Whether it only names rows: all values differ, and they are words, or whole numbers without a gap or of such a name.
    pub fn is_id(&self, rows: usize) -> bool {
        if self.values != rows || rows <= FEW {
            return false;
        }
        match (self.kind, self.range) {
            (FeatureKind::Category, _) => true,
            (FeatureKind::Numeric, Some([low, high])) => {
                let name = self.name.to_lowercase();
                let named =
                    ["id", "key", "index", "nr", "no", "number"].iter().any(|word| name.split(['_', ' ', '-', '.']).any(|w| w == *word));
                self.whole && (high - low == (rows - 1) as f64 || named || name.ends_with("id"))
            }
            _ => false,
        }
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
    /// Labels with their rows, the commonest first; for several columns the rows that say yes in each.
    pub balance: Vec<(String, usize)>,
    /// Smallest, mean and largest number of each column (regression, count).
    pub spread: Vec<[f64; 3]>,
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
            let fault = Fault::new(Exit::Usage, format!("--target {}: it is named twice", quoted(&twice.columns[0])));
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
                let fault = Fault::new(Exit::Usage, format!("--target {text}: {} is no type of a task", quoted(word)));
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
        let Fault { message, hint, .. } = no_column("--target", gone, raw, &[]);
        return Err(Fault { exit: Exit::Usage, message, hint }.into());
    }
    Ok((columns, given))
}

fn task(raw: &Raw, survey: &Survey, columns: Vec<String>, given: Option<TaskKind>) -> anyhow::Result<Wanted> {
    let rows: Vec<u32> = (0..raw.rows as u32).collect();
    let mut tallies: Vec<Tally> = Vec::new();
    for column in &columns {
        tallies.push(raw.column(column).map(|at| tally(raw, at, &rows)).unwrap_or_default());
    }
    let mut missing = survey.missing.clone();
    let mut add = |text: &str| {
        if !missing.iter().any(|known| known == text) {
            missing.push(text.to_owned());
        }
    };
    tallies.iter().flatten().filter(|(text, _)| looks_blank(text)).for_each(|(text, _)| add(text));
    let kind = given.map_or_else(|| guess_task(&columns, &tallies), Ok)?;
    let is_number = matches!(kind, TaskKind::Regression | TaskKind::Count);
    if is_number {
        // What is no number between numbers is no label.
        tallies.iter().filter(|tally| measured(tally)).flatten().filter(|(text, _)| number(text).is_none()).for_each(|(text, _)| add(text));
    }
    let common = |tally: &Tally| tally.iter().filter(|(text, rows)| !looks_blank(text) && *rows >= RARE).count();
    let mut rare = Vec::new();
    if kind == TaskKind::Multiclass && common(&tallies[0]) >= 2 {
        rare.extend(tallies[0].iter().filter(|(text, rows)| !looks_blank(text) && *rows < RARE).map(|(text, _)| text.to_string()));
        rare.iter().for_each(|text| add(text));
    }
    let is_label = |text: &str| !missing.iter().any(|blank| blank == text);
    tallies.iter_mut().for_each(|tally| tally.retain(|(text, _)| is_label(text)));
    let balance = if is_number { Vec::new() } else { balance(kind, &columns, &tallies) };
    let mut classes: Vec<String> = balance.iter().map(|(class, _)| class.clone()).collect();
    super::fit::sort(&mut classes);
    let mut labelled = vec![false; raw.rows];
    let index = Index::new(raw);
    for view in columns.iter().filter_map(|column| index.view(column, &missing)) {
        labelled.iter_mut().enumerate().for_each(|(row, labelled)| *labelled |= view.cell(row).is_some());
    }
    Ok(Wanted {
        name: task_name(&columns),
        kind,
        guessed: given.is_none(),
        positive: positive(kind, &classes, &balance),
        balance,
        spread: if is_number { tallies.iter().map(spread).collect() } else { Vec::new() },
        rare,
        missing,
        columns,
        labelled,
    })
}

/// What a task learns, by its labels: two values, several columns of yes and no, few classes, numbers.
fn guess_task(columns: &[String], tallies: &[Tally]) -> anyhow::Result<TaskKind> {
    let labels: Vec<&(Cow<str>, usize)> = tallies.iter().flatten().filter(|(text, _)| !looks_blank(text)).collect();
    let (values, rows) = (labels.len(), labels.iter().map(|(_, rows)| rows).sum::<usize>());
    if columns.len() > 1 {
        let yes_or_no = labels.iter().all(|(text, _)| YES_AND_NO.iter().any(|word| word.eq_ignore_ascii_case(text)));
        return Ok(if yes_or_no { TaskKind::Multilabel } else { TaskKind::Regression });
    }
    if values == 2 {
        return Ok(TaskKind::Binary);
    }
    if tallies.iter().all(measured) && labels.iter().any(|(text, _)| number(text).is_some()) {
        let whole = labels.iter().all(|(text, _)| number(text).is_none_or(|x| x.fract() == 0.0));
        let few = values <= FEW && values * ROWS_PER_CLASS <= rows;
        return Ok(if whole && few { TaskKind::Multiclass } else { TaskKind::Regression });
    }
    if values > FEW && 2 * values > rows {
        let found = format!("--target {}: {values} different texts in {rows} rows are no classes", quoted(&columns[0]));
        return Err(Fault::new(Exit::Usage, found).hint("name a column whose values come back, or say its type: COLUMN:multiclass").into());
    }
    Ok(TaskKind::Multiclass)
}

fn balance(kind: TaskKind, columns: &[String], tallies: &[Tally]) -> Vec<(String, usize)> {
    if kind == TaskKind::Multilabel {
        let is_yes = |text: &str| ["1", "true", "yes"].iter().any(|yes| yes.eq_ignore_ascii_case(text));
        let yes = |tally: &Tally| tally.iter().filter(|(text, _)| is_yes(text)).map(|(_, rows)| rows).sum();
        return columns.iter().cloned().zip(tallies.iter().map(yes)).collect();
    }
    let mut found: Vec<(String, usize)> = tallies.iter().flatten().map(|(text, rows)| (text.to_string(), *rows)).collect();
    found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    found
}

fn spread(tally: &Tally) -> [f64; 3] {
    let numbers = tally.iter().filter_map(|(text, rows)| Some((number(text)?, *rows as f64)));
    let start = (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0.0);
    let (low, high, sum, rows) = numbers.fold(start, |(low, high, sum, n), (x, rows)| (low.min(x), high.max(x), sum + rows * x, n + rows));
    [low, sum / rows, high]
}

/// The positive class of a binary task: that of two that says yes, or the commonest of several.
fn positive(kind: TaskKind, classes: &[String], balance: &[(String, usize)]) -> Option<String> {
    match classes.len() {
        _ if kind != TaskKind::Binary => None,
        2 => classes.get(positive_of(classes)).cloned(),
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
        let numbers = |[low, mean, high]: &[f64; 3]| format!("{} to {}, mean {}", short(*low), short(*high), short(*mean));
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
    let both = |a: usize, b: usize| tasks[a].labelled.iter().zip(&tasks[b].labelled).filter(|(x, y)| **x && **y).count();
    (0..tasks.len()).flat_map(|a| (a + 1..tasks.len()).map(move |b| (a, b))).map(|(a, b)| (a, b, both(a, b))).collect()
}

/// A number in few digits.
pub fn short(x: f64) -> String {
    let rounded: f64 = format!("{x:.5e}").parse().unwrap_or(x);
    if rounded != 0.0 && !(1e-4..1e12).contains(&rounded.abs()) { format!("{rounded:e}") } else { rounded.to_string() }
}
