//! Reads sentences whose tokens have labels: CoNLL files, with a token a line and a blank line
//! between sentences, or a sentence a line. A row of the table is a token, or a token with one
//! predicate of its sentence.
//!
//! Beside the columns of the file there are those of comments (`# key = value`), of the features in
//! a column `feats` or `misc` (`feats.Gender`), what is made of words (`form.lower`,
//! `form.suffix2`, `form.shape`), the number of the sentence, and the place in it.

mod predicates;
mod rows;
mod tokens;
mod words;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::{self, Sentences};
use crate::data::read::files;
use crate::data::read::reader::{self, Chunked};
use crate::data::read::stream::Window;
use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::data::tokens::Written;
use crate::fault::Fault;
use predicates::Predicates;
use rows::Rows;
use tokens::{Doubtful, Parser};

pub use tokens::{MOST_TOKENS, is_token};

/// The format of CoNLL files, and of sentences in lines.
pub struct Conll;

/// The reason why a file is read only as a whole.
const WHOLE_ONLY: &str = "sentences are read as a whole";

impl reader::Reader for Conll {
    fn endings(&self) -> &'static [&'static str] {
        &["conllu", "conll", "iob", "iob2", "bio", "conll2003"]
    }

    fn may_be_gzip(&self) -> bool {
        true
    }

    fn read(&self, path: &Path, _stem: &str, options: &Options) -> anyhow::Result<Raw> {
        read(&[path.to_owned()], options)
    }

    fn read_all(&self, paths: &[PathBuf], _stem: &str, options: &Options) -> anyhow::Result<Raw> {
        read(paths, options)
    }

    fn indivisible(&self, _paths: &[PathBuf]) -> anyhow::Result<Option<&'static str>> {
        Ok(Some(WHOLE_ONLY))
    }

    fn open(&self, path: &Path, _: &str, _: &Options) -> anyhow::Result<Box<dyn Chunked>> {
        let hint = "read it as a whole: give it more memory (data.memory)";
        Err(Fault::data(path.display(), WHOLE_ONLY).hint(hint).into())
    }
}

/// Reads files as one table.
///
/// # Errors
/// 66 if a file cannot be read; 65 if a line is malformed, or there is no token.
pub fn read(paths: &[PathBuf], options: &Options) -> anyhow::Result<Raw> {
    let name = paths.first().map(|path| path.to_string_lossy()).unwrap_or_default();
    let mut table = Table::new(options, &name)?;
    for path in paths {
        let (file, size) = files::open(path)?;
        table.read(file, &path.display().to_string(), size)?;
    }
    table.finish()
}

/// Reads one stream; `size` is the size of the file, or 0 if it is not known.
///
/// # Errors
/// The errors of [`read`].
pub fn read_from(
    reader: impl Read,
    place: &str,
    size: u64,
    options: &Options,
) -> anyhow::Result<Raw> {
    let mut table = Table::new(options, place)?;
    table.read(reader, place, size)?;
    table.finish()
}

/// The settings of a file by its ending: where others have a sentence a line, a CoNLL file has a
/// token a line all the same.
fn as_named(sentences: &Sentences, place: &str) -> Sentences {
    let mut own = sentences.clone();
    if own.format == config::Written::Lines && Sentences::by_name(place).is_some() {
        own.format = config::Written::Conll;
        own.columns.truncate(2);
    }
    own
}

/// A table that is being read.
struct Table {
    sentences: Sentences,
    predicates: Option<Predicates>,
    rows: Rows,
    /// The lines of the sentences, if they are kept.
    written: Option<Vec<Written>>,
    hashes: Vec<(String, String)>,
    places: Vec<String>,
    /// Lines of several words, and empty tokens, which are no rows.
    passed: [usize; 2],
    notes: Vec<String>,
}

impl Table {
    /// An empty table; a file is read by its ending where the options say nothing.
    fn new(options: &Options, name: &str) -> anyhow::Result<Table> {
        let by_name = || Sentences::by_name(name);
        let sentences = options.sentences.clone().or_else(by_name).ok_or_else(|| {
            Fault::data(name, "is no file of sentences by its name")
                .hint("say data.format = \"conll\" or \"lines\"")
        })?;
        let predicates = sentences.predicate.as_deref().map(Predicates::new);
        let rows = Rows::new(&sentences, &options.names);
        Ok(Table {
            sentences,
            predicates,
            rows,
            written: options.keeps_lines.then(Vec::new),
            hashes: Vec::new(),
            places: Vec::new(),
            passed: [0; 2],
            notes: Vec::new(),
        })
    }

    /// Reads the sentences of a file.
    fn read(&mut self, reader: impl Read, place: &str, size: u64) -> anyhow::Result<()> {
        let mut window = Window::new(reader, place, size)?;
        let sentences = as_named(&self.sentences, place);
        let mut parser = Parser::new(&sentences, self.predicates.is_some(), self.written.is_some());
        let before = self.rows.sentences();
        self.rows.begin_file(place);
        while let Some(sentence) = parser.next(&mut window)? {
            let copies = match &self.predicates {
                None => {
                    self.rows.add(&sentence, None)?;
                    1
                }
                Some(predicates) => {
                    let all = predicates.of(&sentence, parser.names())?;
                    for of_predicate in &all {
                        self.rows.add(&sentence, Some(of_predicate))?;
                    }
                    self.rows.end_sentence();
                    all.len()
                }
            };
            if let Some(written) = &mut self.written {
                written.push(Written { lines: sentence.text, copies });
            }
        }
        if before == self.rows.sentences() {
            return Err(Fault::data(place, "the file has no sentence")
                .hint("give a token a line, and a blank line behind each sentence")
                .into());
        }
        self.passed = [0, 1].map(|i| self.passed[i] + parser.passed[i]);
        let taken = [
            "one ({} such); with \" = \" in it, it would be a comment",
            "a comment ({} such), since no token stands before it; tabs would make it a token",
        ];
        for (Doubtful { count, first }, taken) in parser.doubtful.iter().zip(taken) {
            if *count > 0 {
                let taken = taken.replace("{}", &count.to_string());
                self.notes.push(format!(
                    "{first}: a line of as many cells as a token begins with \"# \" and is taken \
                     for {taken}"
                ));
            }
        }
        self.places.push(place.to_owned());
        self.hashes.push(window.finish()?);
        Ok(())
    }

    /// The table.
    fn finish(self) -> anyhow::Result<Raw> {
        let [ranges, empty] = self.passed;
        let mut raw = self.rows.finish(&self.places, self.predicates.as_ref())?;
        raw.hashes = self.hashes;
        raw.written = self.written.unwrap_or_default();
        raw.notes.extend(self.notes);
        if ranges + empty > 0 {
            raw.notes.push(format!(
                "{}: {ranges} lines of several words and {empty} empty tokens of CoNLL-U are no \
                 rows",
                raw.place
            ));
        }
        Ok(raw)
    }
}
