//! Keys of `[data]` about files of sentences, whose rows are tokens.

use serde::{Deserialize, Serialize};

use super::keys::form::{flag, size, text, texts, word};
use super::keys::item::Result;
use super::keys::word::words;
use super::keys::{Key, Pass};
use super::source::Source;
use crate::fault::quoted;

/// How sentences are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Written {
    /// A token a line, with columns; a blank line ends a sentence; `#` begins a comment.
    Conll,
    /// A sentence a line: `token:label token:label <=> label of the sentence`.
    Lines,
}

words!(Written: Conll = "conll", Lines = "lines");

/// How files of sentences become rows, one per token, and which features a token has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentences {
    /// How they are written.
    pub format: Written,
    /// Names of the columns of a line, in order; of [`Written::Lines`] those of the token, its
    /// label and the label of the sentence. Empty = they are called "0", "1", ….
    pub columns: Vec<String>,
    /// The column of words.
    pub word: String,
    /// Tokens on each side whose features a token has, too.
    pub window: usize,
    /// Letters of the longest prefix and suffix of a word that are features; 0 = none.
    pub affixes: usize,
    /// Whether the shape of a word is a feature, such as `Xxx-dd`.
    pub shape: bool,
    /// The column that marks predicates: then a row is a token with one predicate of its sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<String>,
}

/// The column with the number of a token's sentence, from 0.
pub const SENTENCE: &str = "sentence";
/// The column with a token's place in its sentence.
pub const SPAN: &str = "sentence.span";
/// The largest window.
const MOST_WINDOW: u64 = 16;
/// The longest affixes.
const MOST_AFFIX: u64 = 8;
/// The ten columns of CoNLL-U.
pub const CONLLU: [&str; 10] =
    ["id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc"];
/// Endings of files of sentences, with those whose columns have the names of CoNLL-U.
const ENDINGS: [(&str, bool); 6] = [
    ("conllu", true),
    ("conll", false),
    ("iob", false),
    ("iob2", false),
    ("bio", false),
    ("conll2003", false),
];

impl Sentences {
    /// The settings of a file by its ending, with `.gz` or without; `None` if it is not known for
    /// sentences.
    pub fn by_name(name: &str) -> Option<Sentences> {
        let name = name.to_ascii_lowercase();
        let (_, ending) = name.strip_suffix(".gz").unwrap_or(&name).rsplit_once('.')?;
        let (_, has_names) = ENDINGS.iter().find(|(known, _)| *known == ending)?;
        Some(Sentences::new(Written::Conll, *has_names))
    }

    /// The defaults of a format.
    fn new(format: Written, is_conllu: bool) -> Sentences {
        let columns: &[&str] = match (format, is_conllu) {
            (Written::Lines, _) => &["word", "tag", "label"],
            (_, true) => &CONLLU,
            _ => &[],
        };
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let word = Sentences::word_of(&columns);
        let (window, affixes, shape, predicate) = (2, 3, true, None);
        Sentences { format, columns, word, window, affixes, shape, predicate }
    }

    /// The column of words where none is named: `form` or `word`, else the first.
    fn word_of(columns: &[String]) -> String {
        let known = ["form", "word", "token", "FORM", "WORD"];
        let named = known.into_iter().find(|name| columns.iter().any(|column| column == name));
        let first = columns.first().map_or("0", String::as_str);
        named.unwrap_or(first).to_owned()
    }

    /// The names of the features that are made of words, in order.
    pub fn derived(&self) -> Vec<String> {
        let Sentences { word, affixes, .. } = self;
        let mut names = vec![format!("{word}.lower")];
        names.extend((1..=*affixes).map(|length| format!("{word}.prefix{length}")));
        names.extend((1..=*affixes).map(|length| format!("{word}.suffix{length}")));
        names.extend(self.shape.then(|| format!("{word}.shape")));
        names
    }

    /// Whether a column is one of [`Sentences::derived`], of the token or of its predicate.
    pub fn is_derived(&self, column: &str) -> bool {
        let own = column.strip_prefix("predicate.").unwrap_or(column);
        self.derived().iter().any(|derived| derived == own)
    }
}

/// Why keys about sentences mean nothing elsewhere.
const NO_SENTENCES: &str = "only files of sentences have tokens (data.format)";

/// States the keys about sentences. They are there if `format` says so, or the ending of the
/// training file.
pub(super) fn keys(
    sentences: &mut Option<Sentences>,
    train: &Source,
    pass: &mut Pass,
) -> Result<()> {
    let is_table = matches!(train, Source::Table(_));
    let by_name = match train {
        Source::Table(paths) => {
            paths.first().and_then(|path| Sentences::by_name(&path.to_string_lossy()))
        }
        _ => None,
    };
    let mut format = sentences.as_ref().map(|sentences| sentences.format);
    pass.key("format")
        .only(is_table, "only text files have a format to name")
        .maybe(&mut format, &word::<Written>())?;
    if pass.reads() {
        *sentences = match (format, by_name) {
            (Some(Written::Conll), Some(found)) | (None, Some(found)) => Some(found),
            (Some(format), _) => Some(Sentences::new(format, false)),
            (None, None) => None,
        };
    }
    let there = sentences.is_some();
    let defaults = Sentences::new(Written::Conll, false);
    let known = sentences.get_or_insert(defaults);
    let names_columns = pass.has("columns");
    of_tokens(there, pass.key("columns"))
        .written(!known.columns.is_empty())
        .value(&mut known.columns, &texts())?;
    if pass.reads() && names_columns {
        check_columns(known, pass)?;
        known.word = Sentences::word_of(&known.columns);
    }
    of_tokens(there, pass.key("word")).value(&mut known.word, &text())?;
    if pass.reads() && !known.columns.is_empty() && !known.columns.contains(&known.word) {
        let found = format!("there is no column {} in data.columns", quoted(&known.word));
        return Err(pass.fault("word", found).hint("name the column that holds the words"));
    }
    of_tokens(there, pass.key("window")).value(&mut known.window, &size(0..=MOST_WINDOW))?;
    of_tokens(there, pass.key("affixes")).value(&mut known.affixes, &size(0..=MOST_AFFIX))?;
    of_tokens(there, pass.key("shape")).value(&mut known.shape, &flag())?;
    of_tokens(there, pass.key("predicate")).maybe(&mut known.predicate, &text())?;
    if !there {
        *sentences = None;
    }
    Ok(())
}

/// A key that means something for tokens alone.
fn of_tokens(there: bool, key: Key<'_>) -> Key<'_> {
    key.only(there, NO_SENTENCES)
}

/// Checks the names of columns.
fn check_columns(sentences: &Sentences, pass: &Pass) -> Result<()> {
    let names = &sentences.columns;
    let wrong = |found: String, hint: &str| Err(pass.fault("columns", found).hint(hint));
    if let Some(name) = names.iter().find(|name| [SENTENCE, SPAN].contains(&name.as_str())) {
        return wrong(format!("{} is a column that is made", quoted(name)), "choose another name");
    }
    match (sentences.format, names.len()) {
        (_, 0) => wrong("must have a name, found none".into(), "leave it out, or name all columns"),
        (Written::Lines, 2..=3) | (Written::Conll, _) => Ok(()),
        (Written::Lines, found) => wrong(
            format!("must be two or three names, found {found}"),
            "columns = [\"word\", \"tag\", \"label\"]: the token, its label, that of the sentence",
        ),
    }
}
