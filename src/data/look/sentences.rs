//! Surveys files of sentences that have no configuration: which columns hold labels of tokens, and
//! which comments hold labels of sentences. Drafts a configuration for them.

use std::fmt::Write as _;

use crate::config::write::{key, quote, texts};
use crate::config::{CONLLU, SENTENCE, SPAN, Sentences};
use crate::data::UNLABELLED;
use crate::data::encode::labels::LabelColumn;
use crate::data::encode::tags::{parts, span};
use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::data::table::view::View;
use crate::fault::{Exit, Fault, quoted};

/// Columns of CoNLL-U that are no labels to begin with.
const NO_LABELS: [&str; 6] = ["id", "lemma", "feats", "head", "deps", "misc"];
/// The largest number of classes that are guessed.
const MOST_CLASSES: usize = 256;
/// Tokens, or sentences, of each class, on average.
const EACH: usize = 10;
/// Labels that the second commonest class has at least.
const SECOND: usize = 5;
/// Number of values of a column that are shown.
const SHOWN: usize = 3;
/// Sentences from which on some are kept for validation and a test.
const SOME: usize = 30;
/// Tokens that all epochs together see, about.
const SEEN: usize = 600_000;

/// What the labels of a column are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Tags of spans.
    Tags,
    /// A class for each token.
    Classes,
    /// A class for each sentence.
    OfSentence,
    /// Features of words in a list: a class for each token, if it is asked for.
    InList,
    /// No labels.
    Nothing(&'static str),
}

impl Taken {
    /// What it is, and why.
    pub fn why(self) -> &'static str {
        match self {
            Taken::Tags => "tags: all labels are O or begin with B-, I-, E-, S-",
            Taken::Classes => "classes of tokens: few different labels, many tokens each",
            Taken::OfSentence => "classes of sentences: one label for all tokens of a sentence",
            Taken::InList => "classes of tokens in a list, if wanted",
            Taken::Nothing(why) => why,
        }
    }
}

/// A column of a file of sentences.
#[derive(Clone, Debug)]
pub struct TokenColumn {
    /// Its name.
    pub name: String,
    /// What its labels are taken for.
    pub taken: Taken,
    /// Number of tokens with a label, or of sentences.
    pub labelled: usize,
    /// Number of different labels.
    pub values: usize,
    /// The commonest labels, each with its number of tokens, or of sentences.
    pub commonest: Vec<(String, usize)>,
}

/// The survey of a file of sentences.
#[derive(Clone, Debug)]
pub struct SentenceSurvey {
    /// The files.
    pub place: String,
    /// How they are read.
    pub sentences: Sentences,
    /// Number of sentences.
    pub count: usize,
    /// Number of tokens.
    pub tokens: usize,
    /// The columns of the file, of lists and of comments.
    pub columns: Vec<TokenColumn>,
}

/// Settings with names for the columns of a file that names none, from how it was read without.
pub fn with_names(options: &Options, sentences: &Sentences, raw: &Raw) -> Options {
    let is_number = |name: &&String| name.bytes().all(|byte| byte.is_ascii_digit());
    let width = raw.names.iter().filter(is_number).count();
    if !sentences.columns.is_empty() || width == 0 {
        return Options { sentences: Some(sentences.clone()), ..options.clone() };
    }
    // Lines that begin with the number of the token in its sentence are those of trees.
    let counts = |row: usize| {
        span(raw, row).is_some_and(|(before, _)| raw.cell(row, 0) == (before + 1).to_string())
    };
    let is_tree = width > 1 && raw.column("0") == Some(0) && (0..raw.rows).all(counts);
    let name = |at: usize| match (is_tree, at) {
        (true, _) if width == CONLLU.len() => CONLLU[at].to_owned(),
        (true, 0) => "id".to_owned(),
        (true, 1) | (false, 0) => "word".to_owned(),
        _ => format!("column{at}"),
    };
    let mut named = sentences.clone();
    named.columns = (0..width).map(name).collect();
    named.word = named.columns[usize::from(is_tree)].clone();
    Options { sentences: Some(named), ..options.clone() }
}

impl SentenceSurvey {
    /// Looks at all tokens of a table of sentences.
    pub fn new(raw: &Raw, sentences: &Sentences) -> SentenceSurvey {
        let spans: Vec<(usize, usize)> =
            (0..raw.rows).map(|row| span(raw, row).unwrap_or_default()).collect();
        let derived = sentences.derived();
        let is_own = |name: &&String| ![SENTENCE, SPAN].contains(&name.as_str());
        let names = raw.names.iter().filter(is_own).filter(|name| !derived.contains(name));
        let column = |name: &String| {
            let at = raw.column(name)?;
            let labels = LabelColumn::read(&View::new(raw, at, &[]), raw.rows);
            Some(survey_column(name, sentences, &labels, &spans))
        };
        SentenceSurvey {
            place: raw.place.clone(),
            sentences: sentences.clone(),
            count: spans.iter().filter(|(before, _)| *before == 0).count(),
            tokens: raw.rows,
            columns: names.filter_map(column).collect(),
        }
    }

    /// The columns that are learned: those that `targets` name, or all that are taken for labels.
    ///
    /// # Errors
    /// 2 if a target is no column, or no labels; 65 if none is asked for and there are none.
    pub fn learned(&self, targets: &[String]) -> Result<Vec<&TokenColumn>, Fault> {
        let by_name = |target: &String| {
            let fault = |found: String| {
                let names: Vec<&str> = self.columns.iter().map(|c| c.name.as_str()).collect();
                Fault::new(Exit::Usage, format!("--target {}: {found}", quoted(target)))
                    .hint(format!("there are {}; types are guessed", names.join(", ")))
            };
            let found = self.columns.iter().find(|column| column.name == *target);
            let found = found.ok_or_else(|| fault("there is no such column".into()))?;
            match found.taken {
                Taken::Nothing(why) => Err(fault(why.into())),
                _ => Ok(found),
            }
        };
        if !targets.is_empty() {
            return targets.iter().map(by_name).collect();
        }
        let is_taken = |column: &&TokenColumn| {
            matches!(column.taken, Taken::Tags | Taken::Classes | Taken::OfSentence)
        };
        let found: Vec<&TokenColumn> = self.columns.iter().filter(is_taken).collect();
        match found.is_empty() {
            true => Err(Fault::data(&self.place, "no column is taken for labels")
                .hint("tandem inspect FILE says what each column is taken for")),
            false => Ok(found),
        }
    }

    /// The text of a configuration that learns some columns of the file `path`.
    pub fn draft(&self, path: &str, learned: &[&TokenColumn]) -> String {
        let mut text = String::new();
        let _ = self.write(path, learned, &mut text);
        text
    }

    fn write(&self, path: &str, learned: &[&TokenColumn], out: &mut String) -> std::fmt::Result {
        let SentenceSurvey { place, count, tokens, sentences, .. } = self;
        writeln!(out, "# {count} sentences and {tokens} tokens of {}", plain(place))?;
        writeln!(out, "# Made by tandem init: a start to edit; keys: docs/sentences.md.")?;
        writeln!(out, "\n[data]\ntrain = {}", quote(path))?;
        match count {
            0..SOME => writeln!(out, "split = [1.0, 0.0, 0.0]  # too few sentences to keep some")?,
            _ => writeln!(
                out,
                "split = [0.8, 0.1, 0.1]  # whole sentences; valid and test name files instead"
            )?,
        }
        writeln!(out, "columns = {}", texts(&sentences.columns))?;
        writeln!(out, "word = {}", quote(&sentences.word))?;
        writeln!(out, "window = 3               # tokens on each side whose features count, too")?;
        writeln!(out, "\n[trunk]\nlayers = [300]\ndropout = 0.2")?;
        for column in learned {
            let alike = |other: &&TokenColumn| last(&other.name) == last(&column.name);
            let is_alone = learned.iter().copied().filter(alike).count() == 1;
            let name = if is_alone { last(&column.name) } else { &column.name };
            write_task(column, name, out)?;
        }
        let is_left = |column: &&TokenColumn| {
            column.name != sentences.word && !learned.iter().any(|l| l.name == column.name)
        };
        let left: Vec<&TokenColumn> = self.columns.iter().filter(is_left).collect();
        if !left.is_empty() {
            writeln!(out, "\n# Not learned; [feature.NAME] makes a column a feature:")?;
        }
        for column in left {
            let (name, why) = (plain(&key(&column.name)), column.taken.why());
            writeln!(out, "#   {name}: {} values; {why}", column.values)?;
        }
        let epochs = (SEEN / (*tokens).max(1)).clamp(3, 30);
        writeln!(out, "\n[optimizer]\nlearning_rate = 3e-3\nschedule = \"cosine\"")?;
        writeln!(out, "\n[train]\nepochs = {epochs}")
    }
}

/// The name of a column without that of its list.
fn last(name: &str) -> &str {
    name.rsplit('.').next().filter(|last| !last.is_empty()).unwrap_or(name)
}

/// The table of a task.
fn write_task(column: &TokenColumn, name: &str, out: &mut String) -> std::fmt::Result {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let name: String = name.chars().take(64).map(|c| if is_plain(c) { c } else { '_' }).collect();
    writeln!(out, "\n[task.{}]                  # {}", key(&name), column.taken.why())?;
    match column.taken {
        Taken::Tags => writeln!(out, "type = \"tags\"")?,
        Taken::OfSentence => writeln!(out, "pool = \"max\"             # or \"mean\"")?,
        _ => {}
    }
    if column.name != name {
        writeln!(out, "target = {}", quote(&column.name))?;
    }
    let common: Vec<String> =
        column.commonest.iter().map(|(text, n)| format!("{} {n}", quoted(text))).collect();
    let (values, common) = (column.values, plain(&common.join(", ")));
    writeln!(out, "# {} labels, {values} different: {common}", column.labelled)
}

/// A text without line breaks, for a comment.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Surveys the labels of one column; `spans` are the places of tokens in their sentences.
fn survey_column(
    name: &str,
    sentences: &Sentences,
    labels: &LabelColumn,
    spans: &[(usize, usize)],
) -> TokenColumn {
    let is_place = sentences.columns.iter().any(|column| column == name);
    let in_list = name.starts_with("feats.") || name.starts_with("misc.");
    let of_comment = !is_place && !in_list && !has_number(name);
    let rows: Vec<u32> = (0..labels.codes.len() as u32)
        .filter(|&row| !of_comment || spans[row as usize].0 == 0)
        .collect();
    let mut tally = labels.tally(&rows);
    tally.retain(|(text, _)| !text.is_empty());
    tally.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let counts: Vec<usize> = tally.iter().map(|(_, count)| *count).collect();
    let labelled: usize = counts.iter().sum();
    let has_classes = (2..=MOST_CLASSES).contains(&counts.len())
        && counts.len() * EACH <= labelled
        && counts.get(1).is_some_and(|second| *second >= SECOND);
    let are_tags = tally.iter().all(|(text, _)| *text == "O" || "BIES".contains(parts(text).0))
        && tally.iter().any(|(text, _)| text.contains('-'))
        && tally.len() > 1;
    let taken = match of_comment {
        _ if name == sentences.word => Taken::Nothing("the words"),
        _ if NO_LABELS.contains(&name) => Taken::Nothing("no labels by its name"),
        true if !has_classes => Taken::Nothing("too many or too few values for so many sentences"),
        true if !is_constant(labels, spans) => Taken::Nothing("differs within a sentence"),
        true => Taken::OfSentence,
        false if are_tags => Taken::Tags,
        false if !has_classes => Taken::Nothing("too many or too few values for so many tokens"),
        false if in_list => Taken::InList,
        false => Taken::Classes,
    };
    let shown = |(text, count): &(&str, usize)| ((*text).to_owned(), *count);
    let commonest = tally.iter().take(SHOWN).map(shown).collect();
    TokenColumn { name: name.to_owned(), taken, labelled, values: tally.len(), commonest }
}

/// Whether the name of a column is its number.
fn has_number(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether all tokens of each sentence have one label.
fn is_constant(labels: &LabelColumn, spans: &[(usize, usize)]) -> bool {
    let mut first = UNLABELLED;
    labels.codes.iter().zip(spans).all(|(code, (before, _))| {
        if *before == 0 {
            first = *code;
        }
        *code == first
    })
}
