//! `[feature.NAME]`: what a column of a table means and becomes.

use std::path::{Path, PathBuf};

use super::keys::form::{Form, blanks, flag, number, path, size, word};
use super::keys::item::{Item, MOST, NOT_NEGATIVE, Result};
use super::keys::section::Section;
use super::keys::toml::quote;
use super::keys::word::words;
use super::keys::{Key, Keyed, Pass, names, read};
use super::notation::{Dates, Decimal};
use super::scale::Scale;
use super::source::Source;
use super::version::Version;

/// `[feature.NAME]`; what is `None` has its default.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Column name.
    pub column: String,
    /// Meaning of its cells; `None` = guessed on the training part.
    pub kind: Option<FeatureKind>,
    /// Scaling of its numbers (numeric).
    pub scale: Option<Scale>,
    /// How far beyond the ends of the training part a number may lie, in standard deviations of
    /// the training part; 0 = as far as it does (numeric).
    pub clip: Option<f64>,
    /// Texts that mean that a cell is blank; `None` = those of the data.
    pub missing: Option<Vec<String>>,
    /// Decimal sign of its numbers; `None` = that of the data.
    pub decimal: Option<Decimal>,
    /// Order of its dates; `None` = that of the data.
    pub dates: Option<Dates>,
    /// Rows of the training part that a value needs for an input of its own (category).
    pub min_count: Option<usize>,
    /// Most values with an input or a vector of their own (category).
    pub max_values: Option<usize>,
    /// Inputs or vectors that words share (text).
    pub buckets: Option<usize>,
    /// Most words and character n-grams of a row (text).
    pub slots: Option<usize>,
    /// Length of the character n-grams beside the words; 0 = none (text).
    pub ngrams: Option<usize>,
    /// Inputs or learned vectors for its values (category, text); `None` = [`Embed::Auto`].
    pub embed: Option<Embed>,
    /// Tokens on each side whose values a token has, too (sentences); `None` = `data.window`.
    pub window: Option<usize>,
    /// A file with vectors of its values, with which training begins (category).
    pub vectors: Option<PathBuf>,
    /// Whether the vectors of that file are trained; `None` = they are.
    pub train_vectors: Option<bool>,
}

/// What the values of a column become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embed {
    /// Vectors for words and for categories of many values; else inputs.
    Auto,
    /// A learned vector of this many numbers for each value; 0 = one input per value.
    Width(usize),
}

impl Feature {
    /// Default of `min_count`: values that stand only once share one input, which unseen values
    /// get too.
    pub const MIN_COUNT: usize = 2;
    /// A category of more values gets vectors unless it is told otherwise; default of `max_values`
    /// where it gets inputs.
    pub const MAX_ONE_HOT: usize = 256;
    /// Default of `min_count` for words.
    pub const MIN_TEXTS: usize = 1;
    /// `slots` of tandem 0.1.0.
    const SLOTS: usize = 32;
    /// Largest length of a vector without `embed`.
    const MAX_AUTO: usize = 64;

    /// A column with every setting at its default.
    pub fn new(column: &str) -> Feature {
        Feature {
            column: column.to_owned(),
            kind: None,
            scale: None,
            clip: None,
            missing: None,
            decimal: None,
            dates: None,
            min_count: None,
            max_values: None,
            buckets: None,
            slots: None,
            ngrams: None,
            embed: None,
            window: None,
            vectors: None,
            train_vectors: None,
        }
    }

    /// `clip`, or the default of a version: before 0.2 a number was taken as it is, however far
    /// outside it lay.
    pub fn clip(&self, version: Version) -> f64 {
        self.clip.unwrap_or(if version >= Version::V0_2 { 2.0 } else { 0.0 })
    }

    /// `max_values`, or its default: a vector costs memory, an input the time of a product as well.
    pub fn max_values(&self) -> usize {
        self.max_values.unwrap_or(if self.embed == Some(Embed::Width(0)) {
            Feature::MAX_ONE_HOT
        } else {
            1 << 16
        })
    }

    /// `max_values` of words, or its default.
    pub fn max_words(&self) -> usize {
        let has_inputs = self.embed == Some(Embed::Width(0));
        self.max_values.unwrap_or(if has_inputs { 1024 } else { 1 << 16 })
    }

    /// Whether words are hashed to buckets, rather than known one by one: tandem 0.1.0 knew none,
    /// and n-grams are too many.
    pub fn is_hashed(&self, version: Version) -> bool {
        version == Version::V0_1 || self.buckets.is_some() || self.ngrams.unwrap_or(0) > 0
    }

    /// `buckets`, or its default, for the same reason.
    pub fn buckets(&self, version: Version) -> usize {
        let of_vectors = if version == Version::V0_1 { 4096 } else { 1 << 15 };
        let has_inputs = self.embed == Some(Embed::Width(0));
        self.buckets.unwrap_or(if has_inputs { 1024 } else { of_vectors })
    }

    /// `slots`, or its default; `None` = found from the training texts.
    pub fn slots(&self, version: Version) -> Option<usize> {
        self.slots.or((version == Version::V0_1).then_some(Feature::SLOTS))
    }

    /// Length of the learned vector of each value, given the number of values n; 0 = one input per
    /// value. Without `embed` it is the rule of thumb of fastai's tabular models, 1.6 n^0.56
    /// (Howard and Gugger, 2020), rounded up to a multiple of four.
    pub fn value_width(&self, values: usize) -> usize {
        match self.embed {
            Some(Embed::Width(width)) => width,
            _ if values <= Feature::MAX_ONE_HOT => 0,
            _ => ((1.6 * (values as f64).powf(0.56)).ceil() as usize)
                .next_multiple_of(4)
                .min(Feature::MAX_AUTO),
        }
    }

    /// Length of the learned vector of a word; 0 = one input per bucket.
    pub fn word_width(&self, version: Version) -> usize {
        match self.embed {
            Some(Embed::Width(width)) => width,
            _ if version == Version::V0_1 => 32,
            _ => 16,
        }
    }
}

/// What the cells of a feature column mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureKind {
    /// Numbers.
    Numeric,
    /// One of several values.
    Category,
    /// One of two values.
    Binary,
    /// A day, perhaps with a time.
    Date,
    /// Words.
    Text,
    /// Nothing: the column is left out.
    Ignore,
}

words!(
    FeatureKind:
    Numeric = "numeric", Category = "category", Binary = "binary", Date = "date", Text = "text",
    Ignore = "ignore",
);

/// Most inputs of one column: with a layer of ordinary width they still fit on a device.
const MOST_INPUTS: u64 = 1 << 20;
/// Largest length of a learned vector.
const MOST_WIDTH: u64 = 1024;

/// A column beside the version whose defaults hold, whether rows are tokens, and the directory
/// where relative paths start.
struct Statement<'a> {
    feature: Feature,
    version: Version,
    has_tokens: bool,
    base: &'a Path,
}

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        use FeatureKind::{Binary, Category, Date, Ignore, Numeric, Text};
        let feature = &mut self.feature;
        pass.key("type").maybe(&mut feature.kind, &word())?;
        let kind = feature.kind;
        pass.key("missing")
            .only(kind != Some(Ignore), "the column is ignored")
            .maybe(&mut feature.missing, &blanks())?;
        for_types(pass.key("decimal"), kind, &[Numeric])
            .maybe(&mut feature.decimal, &word::<Decimal>())?;
        for_types(pass.key("dates"), kind, &[Date]).maybe(&mut feature.dates, &word::<Dates>())?;
        for_types(pass.key("scale"), kind, &[Numeric])
            .maybe(&mut feature.scale, &word::<Scale>())?;
        for_types(pass.key("clip"), kind, &[Numeric]).maybe(&mut feature.clip, &clip())?;
        let is_hashed = kind == Some(Text)
            && (feature.is_hashed(self.version) || pass.has("buckets") || pass.has("ngrams"));
        let hashed = "words are hashed to buckets, so none is counted";
        for_types(pass.key("min_count"), kind, &[Category, Text])
            .only(!is_hashed, hashed)
            .maybe(&mut feature.min_count, &size(1..=MOST))?;
        for_types(pass.key("max_values"), kind, &[Category, Text])
            .only(!is_hashed, hashed)
            .maybe(&mut feature.max_values, &size(1..=MOST_INPUTS))?;
        for_types(pass.key("buckets"), kind, &[Text])
            .maybe(&mut feature.buckets, &size(1..=MOST_INPUTS))?;
        for_types(pass.key("slots"), kind, &[Text]).maybe(&mut feature.slots, &size(1..=4096))?;
        for_types(pass.key("ngrams"), kind, &[Text]).maybe(&mut feature.ngrams, &size(0..=16))?;
        for_types(pass.key("embed"), kind, &[Category, Text])
            .maybe(&mut feature.embed, &embed())?;
        for_types(pass.key("window"), kind, &[Category, Binary, Numeric])
            .only(self.has_tokens, "only tokens of sentences have neighbours (data.format)")
            .maybe(&mut feature.window, &size(0..=16))?;
        for_types(pass.key("vectors"), kind, &[Category])
            .maybe(&mut feature.vectors, &path(self.base))?;
        for_types(pass.key("train_vectors"), kind, &[Category])
            .only(feature.vectors.is_some(), "no file of vectors is given")
            .maybe(&mut feature.train_vectors, &flag())?;
        if pass.reads() {
            feature.fill(self.version);
        }
        Ok(())
    }
}

impl Feature {
    /// A type brings the defaults of its own keys along, so that they stand in the run's
    /// config.toml.
    fn fill(&mut self, version: Version) {
        match self.kind {
            // tandem 0.1.0 had no `clip`.
            Some(FeatureKind::Numeric) => {
                self.scale.get_or_insert(Scale::Standard);
                if version >= Version::V0_2 {
                    self.clip = Some(self.clip(version));
                }
            }
            Some(FeatureKind::Category) => {
                self.embed.get_or_insert(Embed::Auto);
                self.min_count.get_or_insert(Feature::MIN_COUNT);
                self.max_values = Some(self.max_values());
            }
            Some(FeatureKind::Text) => {
                self.embed.get_or_insert(Embed::Auto);
                self.slots = self.slots(version);
                if self.is_hashed(version) {
                    self.buckets = Some(self.buckets(version));
                    self.ngrams.get_or_insert(0);
                } else {
                    self.min_count.get_or_insert(Feature::MIN_TEXTS);
                    self.max_values = Some(self.max_words());
                }
            }
            Some(FeatureKind::Binary | FeatureKind::Date | FeatureKind::Ignore) | None => {}
        }
    }
}

/// A key that means nothing for columns of other types; a column without a type may turn out to be
/// of any.
fn for_types<'p>(key: Key<'p>, kind: Option<FeatureKind>, kinds: &[FeatureKind]) -> Key<'p> {
    let Some(kind) = kind else { return key };
    let known: Vec<String> = kinds.iter().map(FeatureKind::to_string).collect();
    let known = known.join(" and ");
    key.only(
        kinds.contains(&kind),
        format!("the column is of type {kind}, and the key is for {known}"),
    )
}

/// Reads the tables `[feature.NAME]`, in the order of the file. `train` is the source of the
/// columns, and `ignored` are the columns of `data.ignore`.
pub(super) fn features(
    root: &mut Section,
    (train, ignored): (&Source, &[String]),
    (version, has_tokens, base): (Version, bool, &Path),
) -> Result<Vec<Feature>> {
    let Some(item) = root.take("feature") else { return Ok(vec![]) };
    if !train.has_columns() {
        return Err(item.without_effect(train.no_columns()));
    }
    let feature = |(column, item): (String, Item)| {
        if ignored.contains(&column) {
            return Err(item
                .fault("has no effect, since data.ignore names this column")
                .hint("leave one of the two out"));
        }
        let mut statement = Statement { feature: Feature::new(&column), version, has_tokens, base };
        read(Section::of(item)?, &mut statement).map(|()| statement.feature)
    };
    item.entries("tables [feature.NAME]")?.into_iter().map(feature).collect()
}

/// The keys of a column, with their values as TOML.
pub(super) fn entries(feature: &Feature, version: Version) -> Vec<(&'static str, String)> {
    let (has_tokens, base) = (true, Path::new(""));
    super::keys::entries(&mut Statement { feature: feature.clone(), version, has_tokens, base })
}

pub(super) fn keys() -> Vec<&'static str> {
    let (version, has_tokens, base) = (Version::V0_2, true, Path::new(""));
    names(&mut Statement { feature: Feature::new(""), version, has_tokens, base })
}

/// `clip = 2.0`, or `false`, which is 0.
fn clip() -> impl Form<f64> {
    let read = |item: Item| match item.value.as_bool() {
        Some(false) => Ok(0.0),
        Some(true) => Err(item.wrong("a finite number, 0 or above, or false")),
        None => item.number(&NOT_NEGATIVE),
    };
    (read, |x: &f64| number(&NOT_NEGATIVE).write(x))
}

/// `embed = 16`, or `"auto"`.
fn embed() -> impl Form<Embed> {
    let read = |item: Item| match item.value.as_str() {
        Some("auto") => Ok(Embed::Auto),
        Some(_) => Err(item.wrong(format!("an integer from 0 to {MOST_WIDTH}, or \"auto\""))),
        None => Ok(Embed::Width(item.count(0..=MOST_WIDTH)? as usize)),
    };
    let write = |embed: &Embed| match embed {
        Embed::Auto => quote("auto"),
        Embed::Width(width) => width.to_string(),
    };
    (read, write)
}
