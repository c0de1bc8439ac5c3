//! Cuts files of sentences into sentences, tokens and cells.

use std::io::Read;

use crate::config::{Sentences, Written};
use crate::data::read::stream::Window;
use crate::data::read::text::MAX_RECORD;
use crate::fault::{Fault, quoted};

/// The largest number of tokens of a sentence; a place in it takes 16 bits.
pub const MOST_TOKENS: usize = 65_535;
/// The largest number of cells of a line.
const MOST_CELLS: usize = 4096;
/// The longest cell, in bytes.
const MOST_CELL: usize = 1 << 16;
/// The largest number of values that comments before a sentence have.
const MOST_COMMENTS: usize = 1024;
/// The longest value of a comment that becomes a column, in bytes.
const MOST_COMMENT: usize = 256;
/// Comments of CoNLL-U that begin a document and a paragraph.
const CARRIED: [&str; 2] = ["newdoc", "newpar"];
/// The mark between the tokens of a line and the label of the sentence.
pub const MARK: &str = " <=> ";

/// A sentence: its tokens, each with its cells and its line, and its comments.
#[derive(Debug, Default)]
pub struct Sentence {
    /// For each token its cells, in the order of the columns.
    pub tokens: Vec<Vec<String>>,
    /// For each token its line.
    pub lines: Vec<u64>,
    /// Keys and values of comments, and the label of the sentence.
    pub comments: Vec<(String, String)>,
    /// Where it begins, for messages.
    pub place: String,
    /// Its lines, and whether each is a token; empty if lines are not kept.
    pub text: Vec<(String, bool)>,
}

/// Cuts one file.
pub struct Parser<'s> {
    sentences: &'s Sentences,
    /// Whether lines may have further columns, one per predicate.
    has_arguments: bool,
    keeps_lines: bool,
    /// Cells of a line, once it is known.
    width: Option<usize>,
    /// The first token had tabs between its cells; `None` before it.
    tabs: Option<bool>,
    /// Names of the columns that the file has.
    names: Vec<String>,
    /// Lines of several words, and empty tokens, which are no rows.
    pub passed: [usize; 2],
    /// Comments about the document and the paragraph that the next sentence is of.
    carried: [Option<(String, String)>; 2],
    /// Tokens that could be comments, and comments that could be tokens.
    pub doubtful: [Doubtful; 2],
}

/// Lines that could be something else.
#[derive(Debug, Default)]
pub struct Doubtful {
    /// Their number.
    pub count: usize,
    /// The place of the first.
    pub first: String,
}

impl Doubtful {
    fn add(&mut self, place: &str) {
        if self.count == 0 {
            place.clone_into(&mut self.first);
        }
        self.count += 1;
    }
}

/// The test for tokens among the lines of a CoNLL file. `width` is the number of cells that lines
/// have, and `tabs` says whether tabs stand between.
pub fn is_token(line: &str, begun: bool, width: Option<usize>, tabs: Option<bool>) -> bool {
    if !line.starts_with('#') || begun {
        return true;
    }
    // A token may be "#". A comment is what has another number of cells, or says something.
    let (has_tabs, says) = (line.contains('\t'), line.contains(" = "));
    if tabs == Some(true) && !has_tabs {
        return false;
    }
    let cells = match has_tabs {
        true => line.split('\t').count(),
        false => line.split_ascii_whitespace().count(),
    };
    match width {
        Some(width) => width == cells && cells > 1 && (has_tabs || !says),
        None => has_tabs && !says,
    }
}

impl<'s> Parser<'s> {
    /// The parser of a file; with arguments, lines may have further columns.
    pub fn new(sentences: &'s Sentences, has_arguments: bool, keeps_lines: bool) -> Parser<'s> {
        let (width, names, passed, doubtful) = (None, Vec::new(), [0; 2], Default::default());
        let (carried, tabs) = (Default::default(), None);
        Parser {
            sentences,
            has_arguments,
            keeps_lines,
            width,
            tabs,
            names,
            passed,
            carried,
            doubtful,
        }
    }

    /// The names of the columns that the file has.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The next sentence; `None` at the end.
    ///
    /// # Errors
    /// 65 with the line if it is malformed.
    pub fn next<R: Read>(&mut self, window: &mut Window<R>) -> anyhow::Result<Option<Sentence>> {
        match self.sentences.format {
            Written::Conll => self.next_conll(window),
            Written::Lines => self.next_line(window),
        }
    }

    fn next_conll<R: Read>(&mut self, window: &mut Window<R>) -> anyhow::Result<Option<Sentence>> {
        let mut sentence = Sentence::default();
        let known = self.sentences.columns.len();
        loop {
            let (place, number) = (window.place(), window.line());
            let Some(line) = window.next_line(MAX_RECORD)? else { break };
            let begun = !sentence.tokens.is_empty();
            match line.trim() {
                "" if begun => break,
                "" => sentence.comments.clear(),
                text if is_token(text, begun, self.width, self.tabs) => {
                    let cells = self.cells(&line, &place)?;
                    if text.starts_with("# ") && !begun {
                        self.doubtful[0].add(&place);
                    }
                    self.keep(&mut sentence, &line, cells.is_some());
                    if let Some(cells) = cells {
                        if !begun {
                            sentence.place = place;
                        }
                        sentence.tokens.push(cells);
                        sentence.lines.push(number);
                        check_length(sentence.tokens.len(), &sentence.place)?;
                    }
                }
                text => {
                    let found = comment(text);
                    let (cells, says) = (text.split_ascii_whitespace().count(), text.contains('='));
                    if self.width.is_none() && !says && cells == known {
                        self.doubtful[1].add(&place);
                    }
                    self.carry(text, found.as_ref());
                    sentence.comments.extend(found);
                    self.keep(&mut sentence, &line, false);
                    if sentence.comments.len() > MOST_COMMENTS {
                        let found = format!("more than {MOST_COMMENTS} values before a sentence");
                        let hint = "put a blank line behind comments that are not about it";
                        return Err(Fault::data(place, found).hint(hint).into());
                    }
                }
            }
        }
        self.check_names(&sentence)?;
        let is_own = |key: &String| sentence.comments.iter().any(|(own, _)| own == key);
        let carried: Vec<(String, String)> =
            self.carried.iter().flatten().filter(|(key, _)| !is_own(key)).cloned().collect();
        sentence.comments.extend(carried);
        Ok((!sentence.tokens.is_empty()).then_some(sentence))
    }

    /// Keeps what a comment of CoNLL-U says of a document or a paragraph for the sentences that
    /// follow, up to the next one.
    fn carry(&mut self, text: &str, found: Option<&(String, String)>) {
        let key = text.trim_start_matches('#').trim_start();
        let level = CARRIED.iter().position(|word| {
            key.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        });
        if let Some(level) = level {
            self.carried[level..].fill(None);
            self.carried[level] = found.cloned();
        }
    }

    /// Keeps a line of a sentence, if lines are kept.
    fn keep(&self, sentence: &mut Sentence, line: &str, is_token: bool) {
        if self.keeps_lines {
            sentence.text.push((line.to_owned(), is_token));
        }
    }

    /// The cells of a token; `None` for a line that is no row.
    fn cells(&mut self, line: &str, place: &str) -> Result<Option<Vec<String>>, Fault> {
        let own = |cell: &str| cell.trim().to_owned();
        let cells: Vec<String> = match line.contains('\t') {
            true => line.split('\t').take(MOST_CELLS + 1).map(own).collect(),
            false => line.split_ascii_whitespace().take(MOST_CELLS + 1).map(own).collect(),
        };
        if let Some(long) = cells.iter().map(String::len).find(|length| *length > MOST_CELL) {
            let found = format!("a cell of {long} bytes, the limit is {MOST_CELL}");
            return Err(Fault::data(place, found).hint("give a token a line"));
        }
        self.tabs.get_or_insert(line.contains('\t'));
        let names = &self.sentences.columns;
        let width = *self.width.get_or_insert(cells.len());
        let fits = cells.len() == width || (self.has_arguments && cells.len() >= names.len());
        if cells.len() > MOST_CELLS {
            let found = format!("more than {MOST_CELLS} columns");
            return Err(Fault::data(place, found).hint("give a token a line"));
        }
        if !fits {
            let found = format!("{} columns, the lines before have {width}", cells.len());
            return Err(Fault::data(place, found)
                .hint("give every token the same columns, and a blank line between sentences"));
        }
        let is_known = names.is_empty() || cells.len() <= names.len();
        if !is_known && !self.has_arguments {
            let found = format!("{} columns, data.columns names {}", cells.len(), names.len());
            return Err(Fault::data(place, found).hint("name all columns, in order"));
        }
        if names.first().is_some_and(|name| name == "id") {
            for (passed, sign) in self.passed.iter_mut().zip(['-', '.']) {
                let numbers = cells[0].split_once(sign);
                let digits =
                    |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                if numbers.is_some_and(|(from, to)| digits(from) && digits(to)) {
                    *passed += 1;
                    return Ok(None);
                }
            }
        }
        Ok(Some(cells))
    }

    /// Finds the names of the columns when the first sentence is there.
    fn check_names(&mut self, sentence: &Sentence) -> Result<(), Fault> {
        let (Some(first), true) = (sentence.tokens.first(), self.names.is_empty()) else {
            return Ok(());
        };
        let given = &self.sentences.columns;
        let all = given.len().max(if given.is_empty() { first.len() } else { 0 });
        let width = self.width.unwrap_or(first.len()).min(all);
        let number = |at: usize| at.to_string();
        let name = |at: usize| given.get(at).cloned().unwrap_or_else(|| number(at));
        self.names = (0..width).map(name).collect();
        if self.names.contains(&self.sentences.word) {
            return Ok(());
        }
        let found = format!(
            "{} columns, and none is {}, which holds the words",
            self.names.len(),
            quoted(&self.sentences.word)
        );
        Err(Fault::data(&sentence.place, found)
            .hint("say data.columns and data.word, or give a file with this column"))
    }

    /// A sentence of a file with one in each line.
    fn next_line<R: Read>(&mut self, window: &mut Window<R>) -> anyhow::Result<Option<Sentence>> {
        loop {
            let (place, number) = (window.place(), window.line());
            let Some(line) = window.next_line(MAX_RECORD)? else { return Ok(None) };
            let line = line.trim();
            if line.is_empty() {
                continue;
            }
            let sentence = self.of_line(line, place, number)?;
            self.check_names(&sentence)?;
            return Ok(Some(sentence));
        }
    }

    fn of_line(&mut self, line: &str, place: String, number: u64) -> Result<Sentence, Fault> {
        let names = &self.sentences.columns;
        let (tokens, label) = match (names.get(2), line.rsplit_once(MARK)) {
            (Some(name), Some((tokens, label))) => (tokens, Some((name, label.trim()))),
            _ => (line, None),
        };
        let words: Vec<&str> = tokens.split_ascii_whitespace().take(MOST_TOKENS + 1).collect();
        check_length(words.len(), &place)?;
        if let Some(long) = words.iter().map(|word| word.len()).find(|length| *length > MOST_CELL) {
            let found = format!("a token of {long} bytes, the limit is {MOST_CELL}");
            return Err(Fault::data(place, found).hint("put blanks between tokens"));
        }
        let labels = words.iter().filter(|word| token(word).is_some()).count();
        let is_labelled = labels == words.len() && self.width != Some(1);
        if self.width == Some(1) && words.len() > 1 && labels == words.len() {
            let found = "all tokens have labels, and those of the first line have none";
            let hint = "give all lines labels, or none: write token:label token:label";
            return Err(Fault::data(place, found).hint(hint));
        }
        // Tokens without labels may have colons. Beside a label of the sentence, some labels and
        // not others are an error of the line.
        let is_odd = label.is_some() && labels > 0 && self.width != Some(1);
        if words.is_empty() || (!is_labelled && (is_odd || self.width == Some(2))) {
            let odd = words.iter().find(|word| token(word).is_none()).copied();
            let found = odd.map_or("no token".to_owned(), |odd| {
                format!("{} is no token with its label", quoted(odd))
            });
            let hint = "write token:label token:label <=> label of the sentence";
            return Err(Fault::data(place, found).hint(hint));
        }
        self.width.get_or_insert(if is_labelled { 2 } else { 1 });
        let cells = |word: &&str| match token(word).filter(|_| is_labelled) {
            Some((word, label)) => vec![word.to_owned(), label.to_owned()],
            None => vec![(*word).to_owned()],
        };
        let tokens: Vec<Vec<String>> = words.iter().map(cells).collect();
        let label = label.map(|(name, label)| (name.clone(), label.to_owned()));
        let comment = label.iter().map(|(name, label)| (format!("# {name} = {label}"), false));
        let text = comment.chain(tokens.iter().map(|cells| (cells.join("\t"), true)));
        let text = text.filter(|_| self.keeps_lines).collect();
        Ok(Sentence {
            tokens,
            text,
            lines: vec![number; words.len()],
            comments: label.into_iter().collect(),
            place,
        })
    }
}

/// A token and its label, at its last colon.
fn token(word: &str) -> Option<(&str, &str)> {
    word.rsplit_once(':').filter(|(word, label)| !word.is_empty() && !label.is_empty())
}

/// Key and value of a comment, if it has them; a long value is no column.
fn comment(text: &str) -> Option<(String, String)> {
    let (key, value) = text.trim_start_matches('#').split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let fits = !key.is_empty() && key.len() <= 64 && value.len() <= MOST_COMMENT;
    (fits && key != "text").then(|| (key.to_owned(), value.to_owned()))
}

fn check_length(tokens: usize, place: &str) -> Result<(), Fault> {
    if tokens <= MOST_TOKENS {
        return Ok(());
    }
    let found = format!("a sentence of more than {MOST_TOKENS} tokens");
    Err(Fault::data(place, found).hint("put a blank line, or a new line, between sentences"))
}
