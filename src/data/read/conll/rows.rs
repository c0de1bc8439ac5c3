//! The columns of a table of tokens, filled sentence by sentence.

use std::collections::HashMap;
use std::sync::Arc;

use super::predicates::{ARGUMENT, DISTANCE, OfPredicate, PREDICATE, Predicates, distance};
use super::tokens::Sentence;
use super::words::{prefix, shape, suffix};
use crate::config::{CONLLU, SENTENCE, SPAN, Sentences, Written};
use crate::data::table::raw::{Lines, MAX_COLUMNS, Raw, RawColumn, several};
use crate::data::table::texts::Texts;
use crate::data::table::wholes::{Wholes, Width};
use crate::fault::Fault;

/// Columns whose cells are lists `Key=Value|Key=Value`.
const LISTS: [&str; 2] = ["feats", "misc"];
/// The longest key in a list that becomes a column, in bytes.
const MOST_KEY: usize = 64;
/// The largest number of blank cells that keys become, which only some tokens have: for each cell
/// that is in the file or made of a word …
const BLANKS: usize = 16;
/// … and beside.
const MOST_BLANKS: usize = 1 << 22;
/// The largest number of bytes that values of comments take, which each token of a sentence has:
/// for each byte of a token …
const COPIES: usize = 64;
/// … and beside.
const MOST_COPIES: usize = 16 << 20;

/// Columns of tokens.
pub struct Rows {
    sentences: Arc<Sentences>,
    /// Names of the columns of a line; "0", "1", … where the settings name none.
    names: Arc<Vec<String>>,
    places: HashMap<String, usize>,
    columns: Vec<(String, Texts)>,
    /// The columns that there may be; `None` = all.
    known: Option<Vec<String>>,
    /// The number of the sentence of each row, and its place in it.
    numbers: Wholes,
    spans: Wholes,
    /// Cells that were blank because a key was not named, and the others.
    filled: [usize; 2],
    /// Bytes of comments, as often as tokens have them, and of tokens.
    copied: [usize; 2],
    rows: usize,
    count: usize,
    /// The place of each file, its first row, and the lines of its rows.
    files: Vec<(String, usize, Lines)>,
}

impl Rows {
    /// No rows. `known` are the columns of the training file, if it was read before.
    pub fn new(sentences: &Sentences, known: &[String]) -> Rows {
        let mut rows = Rows {
            sentences: Arc::new(sentences.clone()),
            names: Arc::new(sentences.columns.clone()),
            places: HashMap::new(),
            columns: Vec::new(),
            known: (!known.is_empty()).then(|| known.to_vec()),
            numbers: Wholes::new(Width::Signed),
            spans: Wholes::new(Width::Signed),
            filled: [0; 2],
            copied: [0; 2],
            rows: 0,
            count: 0,
            files: Vec::new(),
        };
        // What lines name by keys may be nowhere in this file.
        for name in known.iter().filter(|name| is_key(name, sentences)) {
            rows.column(name);
        }
        rows
    }

    /// Number of sentences so far.
    pub fn sentences(&self) -> usize {
        self.count
    }

    /// The rows that follow are those of another file.
    pub fn begin_file(&mut self, place: &str) {
        self.files.push((place.to_owned(), self.rows, Lines::default()));
    }

    /// Ends a sentence that was added once for each of its predicates.
    pub fn end_sentence(&mut self) {
        self.count += 1;
    }

    /// Adds the tokens of a sentence, perhaps for one of its predicates.
    ///
    /// # Errors
    /// 65 if there are too many columns.
    pub fn add(
        &mut self,
        sentence: &Sentence,
        predicate: Option<&OfPredicate>,
    ) -> Result<(), Fault> {
        let tokens = &sentence.tokens;
        self.check_comments(sentence)?;
        if let Some(first) = tokens.first().filter(|_| self.names.is_empty()) {
            self.names = Arc::new((0..first.len()).map(|at| at.to_string()).collect());
        }
        for (place, (cells, line)) in tokens.iter().zip(&sentence.lines).enumerate() {
            let mut row = Row { rows: self, cells: Vec::new() };
            row.token(cells);
            sentence.comments.iter().for_each(|(key, value)| row.comment(key, value));
            if let Some(of) = predicate {
                row.predicate(&tokens[of.place], place, of);
            }
            let cells = row.cells;
            self.push(cells);
            self.numbers.push(Some(self.count as i128));
            self.spans.push(Some((place | (tokens.len() - 1 - place) << 16) as i128));
            if let Some((_, first, lines)) = self.files.last_mut() {
                lines.push(self.rows - *first, *line);
            }
            self.rows += 1;
            self.check_blanks(&sentence.place)?;
        }
        if predicate.is_none() {
            self.count += 1;
        }
        Ok(())
    }

    /// Checks that comments are not much longer than what they are about.
    fn check_comments(&mut self, sentence: &Sentence) -> Result<(), Fault> {
        let bytes: usize = sentence.comments.iter().map(|(_, value)| value.len()).sum();
        let own = |cells: &Vec<String>| cells.iter().map(|cell| cell.len() + 1).sum::<usize>();
        self.copied[0] += bytes * sentence.tokens.len();
        self.copied[1] += sentence.tokens.iter().map(own).sum::<usize>();
        if self.copied[0] <= self.copied[1].saturating_mul(COPIES).saturating_add(MOST_COPIES) {
            return Ok(());
        }
        let found = format!("comments with {bytes} bytes of values, which each token would have");
        Err(Fault::data(&sentence.place, found)
            .hint("remove comments that are no labels, or write them without \"=\""))
    }

    /// Checks that not nearly all cells are blank: a few bytes must not take much memory.
    fn check_blanks(&self, place: &str) -> Result<(), Fault> {
        let [blanks, cells] = self.filled;
        let many = self.columns.len() > MAX_COLUMNS / 16;
        if many || blanks > cells.saturating_mul(BLANKS).saturating_add(MOST_BLANKS) {
            let found = format!(
                "{} columns, most of them of keys in lists or comments that few tokens have",
                self.columns.len()
            );
            return Err(Fault::data(place, found).hint(
                "feats and misc hold Key=Value|Key=Value, and comments key = value: give other \
                 columns other names, and remove keys that differ from token to token",
            ));
        }
        Ok(())
    }

    /// Puts the cells of a row into their columns; the others are blank.
    fn push(&mut self, cells: Vec<(usize, String)>) {
        self.filled[1] += cells.len();
        self.filled[0] += self.columns.len().saturating_sub(cells.len());
        for (at, cell) in cells {
            let column = &mut self.columns[at].1;
            if column.len() == self.rows {
                column.push(&cell);
            }
        }
        for (name, column) in &mut self.columns {
            if column.len() == self.rows {
                column.push(blank(name));
            }
        }
    }

    /// The place of a column, which is new if there is none of this name.
    fn column(&mut self, name: &str) -> Option<usize> {
        if let Some(&at) = self.places.get(name) {
            return Some(at);
        }
        if self.known.as_ref().is_some_and(|known| !known.iter().any(|known| known == name)) {
            return None;
        }
        let mut column = Texts::default();
        (0..self.rows).for_each(|_| column.push(blank(name)));
        self.filled[0] += self.rows;
        self.places.insert(name.to_owned(), self.columns.len());
        self.columns.push((name.to_owned(), column));
        Some(self.columns.len() - 1)
    }

    /// The table of all rows.
    ///
    /// # Errors
    /// 65 if there is no row, because no sentence has a predicate.
    pub fn finish(self, places: &[String], predicates: Option<&Predicates>) -> anyhow::Result<Raw> {
        let place = several(places.iter().map(String::as_str));
        if let Some(predicates) = predicates.filter(|_| self.rows == 0) {
            let found = format!("no token is a predicate by {}", predicates.describe());
            return Err(Fault::data(place, found)
                .hint("data.predicate = \"COLUMN\" or \"COLUMN=VALUE\"")
                .into());
        }
        let (mut names, texts): (Vec<String>, Vec<Texts>) = self.columns.into_iter().unzip();
        let mut columns: Vec<RawColumn> = texts.into_iter().map(RawColumn::Texts).collect();
        names.extend([SENTENCE.to_owned(), SPAN.to_owned()]);
        columns.extend([RawColumn::Wholes(self.numbers), RawColumn::Wholes(self.spans)]);
        Raw::of_files(&place, names, columns, self.files)
    }
}

/// A row that is being made.
struct Row<'r> {
    rows: &'r mut Rows,
    cells: Vec<(usize, String)>,
}

impl Row<'_> {
    fn put(&mut self, name: &str, cell: String) {
        let at = self.rows.column(name);
        self.cells.extend(at.map(|at| (at, cell)));
    }

    /// The cells of a token, and what is made of them.
    fn token(&mut self, cells: &[String]) {
        let names = Arc::clone(&self.rows.names);
        for (name, cell) in names.iter().zip(cells) {
            self.cell("", name, cell);
        }
    }

    /// A cell of a line, in columns whose names begin with `before`.
    fn cell(&mut self, before: &str, name: &str, cell: &str) {
        if LISTS.contains(&name) {
            self.list(&format!("{before}{name}"), cell);
        }
        let is_word = name == self.rows.sentences.word;
        let is_blank = cell == "_" && !is_word && name != "lemma";
        self.put(&format!("{before}{name}"), if is_blank { String::new() } else { cell.into() });
        if is_word {
            self.word(before, cell);
        }
    }

    /// The features that are made of a word, in columns whose names begin with `before`.
    fn word(&mut self, before: &str, word: &str) {
        let known = Arc::clone(&self.rows.sentences);
        let Sentences { word: name, affixes, shape: has_shape, .. } = &*known;
        let name = format!("{before}{name}");
        let small = word.to_lowercase();
        for length in 1..=*affixes {
            self.put(&format!("{name}.prefix{length}"), prefix(&small, length).to_owned());
            self.put(&format!("{name}.suffix{length}"), suffix(&small, length).to_owned());
        }
        if *has_shape {
            self.put(&format!("{name}.shape"), shape(word));
        }
        self.put(&format!("{name}.lower"), small);
    }

    /// The keys of a list, each a column.
    fn list(&mut self, name: &str, cell: &str) {
        for entry in cell.split('|') {
            let Some((key, value)) = entry.split_once('=') else { continue };
            if !key.is_empty() && key.len() <= MOST_KEY {
                self.put(&format!("{name}.{key}"), value.to_owned());
            }
        }
    }

    fn comment(&mut self, key: &str, value: &str) {
        let is_taken = of_tokens(&self.rows.sentences, &self.rows.names).any(|name| name == key);
        let own = |key: &str| [SENTENCE, SPAN, PREDICATE, DISTANCE, ARGUMENT].contains(&key);
        match is_taken || own(key) {
            true => self.put(&format!("comment.{key}"), value.to_owned()),
            false => self.put(key, value.to_owned()),
        }
    }

    /// The predicate, as other columns say it, and the token as its argument.
    fn predicate(&mut self, predicate: &[String], place: usize, of: &OfPredicate) {
        let names = Arc::clone(&self.rows.names);
        for (name, cell) in names.iter().zip(predicate) {
            self.cell(&format!("{PREDICATE}."), name, cell);
        }
        self.put(DISTANCE, distance(place, of.place));
        self.put(ARGUMENT, of.arguments[place].clone());
    }
}

/// What a column holds where its key is not named: features of CoNLL-U that a word does not have
/// are a value, others are blank.
fn blank(name: &str) -> &'static str {
    let own = name.strip_prefix("predicate.").unwrap_or(name);
    if own.starts_with("feats.") { "_" } else { "" }
}

/// The columns of a line that are those of tokens: of sentences in lines, the third name is that of
/// the label of the sentence.
fn of_tokens<'n>(sentences: &Sentences, names: &'n [String]) -> impl Iterator<Item = &'n String> {
    let most = match sentences.format {
        Written::Lines => 2,
        Written::Conll => usize::MAX,
    };
    names.iter().take(most)
}

/// Whether a column is known by its key in a list or a comment, not by its place.
fn is_key(name: &str, sentences: &Sentences) -> bool {
    let is_place = of_tokens(sentences, &sentences.columns).any(|column| column == name);
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    !is_place && !is_number && !CONLLU.contains(&name) && ![SENTENCE, SPAN].contains(&name)
}
