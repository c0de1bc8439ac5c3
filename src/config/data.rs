//! `[data]`: where rows come from, and which of them train, validate and test.

use std::path::Path;

use super::feature::Feature;
use super::image_files::{MOST_SIDE, NO_TABLE};
use super::keys::form::{FROM_ONE, Form, blanks, bytes, flag, seed, size, text, texts, word};
use super::keys::item::{Item, NOT_NEGATIVE, Result};
use super::keys::section::Section;
use super::keys::toml::{inline_table, quote, texts as list_of_texts};
use super::keys::{Key, Keyed, Pass, entries as entries_of, names, read};
use super::notation::{Dates, Decimal};
use super::sentences::{self, SENTENCE, Sentences};
use super::several::{Sampling, sampling, sources};
use super::source::{ArrayNames, FORMATS, NO_COLUMNS, Source, TaskSource, part, train};
use super::version::Version;
use crate::fault::quoted;

/// `[data]`: where rows come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    /// `version`, which stands at the top of the file; it decides above all what cells are taken
    /// for.
    pub version: Version,
    /// `train`: required. `valid` and `test` have the same format.
    pub train: Source,
    /// `feature_names` and `label_names` in `train`, where that is a pair of arrays.
    pub names: ArrayNames,
    /// `valid`, else taken from `train` by `split`.
    pub valid: Option<Source>,
    /// `test`, else taken from `train` by `split`.
    pub test: Option<Source>,
    /// Shares of `train` that train, validate and test, 0 for a part with its own file; `None` =
    /// all of `train` is trained on.
    pub split: Option<[f64; 3]>,
    /// Seed of the split, so that `--seed` never changes what is tested on; 0 without a split.
    pub split_seed: u64,
    /// Column whose cells say `train`, `valid` or `test`.
    pub split_column: Option<String>,
    /// Task whose classes get equal shares of the split.
    pub stratify: Option<String>,
    /// Rows are cut into this many folds, and one of them, from 1 up, is tested on: (fold, folds).
    pub fold: Option<(usize, usize)>,
    /// Column whose rows of one value stay in one part of the split.
    pub group: Option<String>,
    /// How files of sentences become rows; `None` = rows are no tokens.
    pub sentences: Option<Sentences>,
    /// How rows are drawn from several sources.
    pub sampling: Sampling,
    /// Lay a random partner image over each image (IDX only).
    pub overlay: Option<Overlay>,
    /// Height and width that image files are resized to; `None` = all have the size of the first.
    pub size: Option<[usize; 2]>,
    /// Numbers of a pixel of image files: 1 (grey) or 3 (red, green, blue); `None` = 1 where all
    /// files are grey.
    pub channels: Option<usize>,
    /// Character between the cells of a line; `None` = found in the first line.
    pub delimiter: Option<char>,
    /// Whether the first line of a text file names the columns.
    pub header: bool,
    /// Columns that are neither features nor labels.
    pub ignore: Vec<String>,
    /// Texts that mean that a cell is blank; `None` = the empty one, and those that are found.
    pub missing: Option<Vec<String>>,
    /// Sign between the whole part and the fraction of numbers.
    pub decimal: Decimal,
    /// Order of year, month and day in dates.
    pub dates: Dates,
    /// Column with the weight of each row in all losses.
    pub row_weight: Option<String>,
    /// Bytes of memory that a table may take before it goes to disk; `None` = half of the memory
    /// that the machine has free.
    pub memory: Option<u64>,
    /// Number of rows that are shuffled with each other; `None` = all, or for rows on disk as many
    /// as the memory has room for.
    pub shuffle_window: Option<usize>,
    /// `[feature.NAME]`: columns that differ from the default.
    pub features: Vec<Feature>,
}

impl Data {
    /// All of `train` is trained on, with every other setting at its default.
    pub fn new(train: Source) -> Data {
        Data {
            version: Version::V0_2,
            train,
            names: ArrayNames::default(),
            valid: None,
            test: None,
            split: None,
            split_seed: 0,
            split_column: None,
            stratify: None,
            fold: None,
            group: None,
            sentences: None,
            sampling: Sampling::Proportional,
            overlay: None,
            size: None,
            channels: None,
            delimiter: None,
            header: true,
            ignore: Vec::new(),
            missing: None,
            decimal: Decimal::Auto,
            dates: Dates::Auto,
            row_weight: None,
            memory: None,
            shuffle_window: None,
            features: Vec::new(),
        }
    }

    /// Whether there will be validation rows: from a file, from the split, by a column, or in a
    /// built-in set.
    pub fn has_validation(&self) -> bool {
        let splits =
            self.split_column.is_some() || self.split.is_some_and(|shares| shares[1] > 0.0);
        let of_source = self.train.several().iter().any(|source| !source.valid.is_empty());
        matches!(self.train, Source::BuiltIn(_)) || self.valid.is_some() || splits || of_source
    }

    /// Whether there will be test rows: from a file, from the split, by a column, in a built-in
    /// set, or as a fold.
    pub fn has_test(&self) -> bool {
        let splits =
            self.split_column.is_some() || self.split.is_some_and(|shares| shares[2] > 0.0);
        let of_source = self.train.several().iter().any(|source| !source.test.is_empty());
        matches!(self.train, Source::BuiltIn(_))
            || self.test.is_some()
            || self.fold.is_some()
            || splits
            || of_source
    }

    /// The column whose rows of one value stay together: `group`, or the sentence of a token.
    pub fn group_column(&self) -> Option<&str> {
        self.group.as_deref().or(self.sentences.as_ref().map(|_| SENTENCE))
    }

    /// Columns that say something about rows, with the key that names each; they are no features.
    pub fn row_columns(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let columns = [
            ("data.row_weight", &self.row_weight),
            ("data.split_column", &self.split_column),
            ("data.group", &self.group),
        ];
        columns.into_iter().filter_map(|(key, column)| Some((key, column.as_ref()?)))
    }
}

/// `overlay = { shift, seed }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Pixels by which the partner is moved right and down; the canvas grows by as much.
    pub shift: usize,
    /// Seed of the partners.
    pub seed: u64,
}

/// Why keys about folds mean nothing for images.
const NO_FOLDS: &str = "folds are made of the rows of tables, and images have none yet";
/// The split where the file names none.
const SHARES: [f64; 3] = [0.8, 0.1, 0.1];

/// `[data]` beside the directory where relative paths start.
struct Statement<'a> {
    data: Data,
    base: &'a Path,
}

impl Keyed for Statement<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let Statement { data, base } = self;
        let mut named = (data.train.clone(), data.names.clone());
        let is_one = data.train.several().is_empty();
        let own = "[[source]] tables say where rows come from";
        pass.key("train")
            .only(is_one, own)
            .required(is_one, FORMATS)
            .value(&mut named, &train(base))?;
        (data.train, data.names) = named;
        draws(data, pass)?;
        let splits = Splits::new(data, pass);
        splits.files(pass.key("valid")).maybe(&mut data.valid, &part(base, &data.train))?;
        splits.files(pass.key("test")).maybe(&mut data.test, &part(base, &data.train))?;
        sentences::keys(&mut data.sentences, &data.train, pass)?;
        text_file(data, pass)?;
        splits.keys(data, pass)?;
        pass.key("overlay")
            .only(matches!(data.train, Source::Idx { .. }), "only IDX images can be overlaid")
            .maybe(&mut data.overlay, &(read_overlay, write_overlay))?;
        image_files(data, pass)?;
        columns(data, pass)?;
        pass.key("shuffle_window")
            .only(data.sentences.is_none(), "sentences are shuffled whole, all of them")
            .maybe(&mut data.shuffle_window, &size(FROM_ONE))
    }
}

/// Reads `[data]` without its `[feature.*]`; relative paths start at `base`.
pub(super) fn data(root: &mut Section, base: &Path, version: Version) -> Result<Data> {
    // What tandem 0.1.0 took for blank, where nothing was said.
    let missing = (version < Version::V0_2).then(|| vec![String::new()]);
    let train = match sources(root, base)? {
        none if none.is_empty() => Source::Table(Vec::new()),
        several => Source::Several(several),
    };
    let data = Data { version, missing, ..Data::new(train) };
    let mut statement = Statement { data, base };
    read(root.section("data")?, &mut statement).map(|()| statement.data)
}

/// The keys of `[data]`, with their values as TOML.
pub(super) fn entries(data: &Data) -> Vec<(&'static str, String)> {
    entries_of(&mut Statement { data: data.clone(), base: Path::new("") })
}

/// The keys of `[data]`, and those of `overlay`.
pub(super) fn keys() -> [Vec<&'static str>; 2] {
    let data = Data::new(Source::Table(Vec::new()));
    [names(&mut Statement { data, base: Path::new("") }), names(&mut Overlay::default())]
}

/// What image files become.
fn image_files(data: &mut Data, pass: &mut Pass) -> Result<()> {
    let (has_files, why) = (data.train.has_image_files(), "data.train has no PNG or JPEG files");
    pass.key("size").only(has_files, why).maybe(&mut data.size, &image_size())?;
    pass.key("channels").only(has_files, why).maybe(&mut data.channels, &channels())
}

/// `size = [32, 32]`: height and width.
fn image_size() -> impl Form<[usize; 2]> {
    let read = |item: Item| {
        let expected = format!("a height and a width, such as [32, 32], each up to {MOST_SIDE}");
        let sides = item.list("a height and a width").map_err(|_| item.wrong(&expected))?;
        let side = |side: &Item| side.count(1..=MOST_SIDE).map(|side| side as usize);
        match &sides[..] {
            [height, width] => Ok([side(height)?, side(width)?]),
            _ => Err(item.wrong(&expected)),
        }
    };
    (read, |size: &[usize; 2]| format!("{size:?}"))
}

/// `channels = 1`, or 3.
fn channels() -> impl Form<usize> {
    let read = |item: Item| match item.value.as_integer() {
        Some(1) => Ok(1),
        Some(3) => Ok(3),
        _ => Err(item.wrong("1 (grey) or 3 (red, green, blue)")),
    };
    (read, usize::to_string)
}

/// How rows are drawn from several sources.
fn draws(data: &mut Data, pass: &mut Pass) -> Result<()> {
    let sources = data.train.several();
    let weighted = sources.iter().position(|source| source.weight.is_some());
    let why = format!("source.{}.weight says how rows are drawn", weighted.unwrap_or_default());
    let (is_drawn, is_weighted) = (sources.len() > 1, weighted.is_some());
    pass.key("sampling")
        .only(is_drawn, "rows come from one source")
        .only(!is_weighted, why)
        .value(&mut data.sampling, &sampling())
}

/// How the lines of a text file become cells.
fn text_file(data: &mut Data, pass: &mut Pass) -> Result<()> {
    let sources = [Some(&data.train), data.valid.as_ref(), data.test.as_ref()];
    let has_text = sources.into_iter().flatten().any(Source::has_text);
    let no_lines = "only text files (.csv, .tsv, .txt) have lines of cells";
    let has_text = has_text && data.sentences.is_none();
    for_labels(pass.key("delimiter"), &data.train)
        .only(has_text, no_lines)
        .maybe(&mut data.delimiter, &delimiter())?;
    for_labels(pass.key("header"), &data.train)
        .only(has_text, no_lines)
        .written(!data.header)
        .value(&mut data.header, &flag())
}

/// A key about columns of labels or features.
fn for_labels<'p>(key: Key<'p>, train: &Source) -> Key<'p> {
    let why = if train.has_image_files() { NO_TABLE } else { NO_COLUMNS };
    key.only(train.has_label_columns(), why)
}

/// What all columns of a table have in common.
fn columns(data: &mut Data, pass: &mut Pass) -> Result<()> {
    let train = data.train.clone();
    pass.key("ignore")
        .only(train.has_columns(), train.no_columns())
        .written(!data.ignore.is_empty())
        .value(&mut data.ignore, &texts())?;
    // In sentences, words such as NA are words.
    if pass.reads() && data.sentences.is_some() {
        data.missing = Some(vec![String::new()]);
    }
    for_labels(pass.key("missing"), &train).value(&mut data.missing, &missing())?;
    for_labels(pass.key("decimal"), &train).value(&mut data.decimal, &word())?;
    for_labels(pass.key("dates"), &train).value(&mut data.dates, &word())?;
    for_labels(pass.key("row_weight"), &train).maybe(&mut data.row_weight, &text())?;
    pass.key("memory")
        .only(train.has_columns() || train.has_image_files(), NO_COLUMNS)
        .maybe(&mut data.memory, &bytes())
}

/// `missing = ["", "NA"]`, or `"auto"`.
fn missing() -> impl Form<Option<Vec<String>>> {
    let read = |item: Item| match item.value.as_str() {
        Some("auto") => Ok(None),
        _ => blanks().read(item).map(Some),
    };
    let write = |missing: &Option<Vec<String>>| match missing {
        Some(missing) => list_of_texts(missing),
        None => quote("auto"),
    };
    (read, write)
}

/// What decides whether a key of the split has an effect.
struct Splits {
    /// The name of a built-in set, which has its own validation and test part.
    built_in: Option<String>,
    train: Source,
    by_column: bool,
    has_folds: bool,
    has_stratify: bool,
    /// Whether rows come from `[[source]]` tables.
    has_sources: bool,
    /// The name of a source with files of its own to validate or test on.
    with_parts: Option<String>,
    /// Whether every source has such files.
    all_with_parts: bool,
}

impl Splits {
    fn new(data: &Data, pass: &Pass) -> Splits {
        let built_in = match &data.train {
            Source::BuiltIn(name) => Some(name.clone()),
            _ => None,
        };
        let sources = data.train.several();
        let with_parts = sources.iter().find(|source| source.has_parts());
        Splits {
            built_in,
            train: data.train.clone(),
            has_sources: !sources.is_empty(),
            with_parts: with_parts.map(|source| source.name.clone()),
            all_with_parts: !sources.is_empty() && sources.iter().all(TaskSource::has_parts),
            by_column: data.split_column.is_some() || pass.has("split_column"),
            has_folds: data.fold.is_some() || pass.has("folds"),
            has_stratify: data.stratify.is_some() || pass.has("stratify"),
        }
    }

    /// A key that has no effect where the parts are told otherwise.
    fn whole<'p>(&self, key: Key<'p>) -> Key<'p> {
        let name = self.built_in.as_deref().unwrap_or_default();
        key.only(self.built_in.is_none(), format!("{name} has its own validation and test parts"))
            .only(!self.by_column, "data.split_column says where each row belongs")
    }

    /// [`Splits::whole`] for the files of a part.
    fn files<'p>(&self, key: Key<'p>) -> Key<'p> {
        self.whole(key).only_or(
            !self.has_sources,
            "rows come from [[source]] tables",
            "name the file in the table of its source",
        )
    }

    /// [`Splits::whole`] for a key that names a column.
    fn column<'p>(&self, key: Key<'p>) -> Key<'p> {
        for_labels(self.whole(key), &self.train).only(self.with_parts.is_none(), self.own_parts())
    }

    /// [`Splits::whole`] for a key about rows whose labels are texts.
    fn rows<'p>(&self, key: Key<'p>) -> Key<'p> {
        let has_texts = self.train.has_columns() || self.train.has_image_files();
        self.whole(key)
            .only(has_texts, NO_COLUMNS)
            .only(self.with_parts.is_none(), self.own_parts())
    }

    /// Why not all rows are split alike.
    fn own_parts(&self) -> String {
        let name = quoted(self.with_parts.as_deref().unwrap_or_default());
        format!("source {name} has files of its own to validate or test on")
    }

    fn keys(&self, data: &mut Data, pass: &mut Pass) -> Result<()> {
        self.shares(data, pass)?;
        let is_split = data.split.is_some() || self.has_folds;
        self.whole(pass.key("split_seed"))
            .only(is_split, "nothing is split")
            .value(&mut data.split_seed, &seed())?;
        self.fold(data, pass)?;
        let name = self.built_in.as_deref().unwrap_or_default();
        let key = pass
            .key("split_column")
            .only(self.built_in.is_none(), format!("{name} has its own validation and test parts"));
        for_labels(key, &self.train)
            .only(self.with_parts.is_none(), self.own_parts())
            .maybe(&mut data.split_column, &text())?;
        let are_whole = data.sentences.is_some() && !self.has_folds;
        self.rows(pass.key("stratify"))
            .only(is_split, "nothing is split")
            .only(!are_whole, "it draws single rows, and sentences stay whole (folds can have it)")
            .maybe(&mut data.stratify, &text())?;
        let single = self.has_stratify && !self.has_folds;
        self.column(pass.key("group"))
            .only(is_split, "nothing is split")
            .only(!single, "data.stratify draws single rows: leave that out to keep groups whole")
            .maybe(&mut data.group, &text())
    }

    /// `split`: the shares that stand there, else the default. Where a part has a file of its own,
    /// nothing is cut off the training file that is not asked for; tandem 0.1.0 took the share of
    /// the other part.
    fn shares(&self, data: &mut Data, pass: &mut Pass) -> Result<()> {
        let given = [data.valid.is_some(), data.test.is_some()];
        let both = given == [true, true];
        let default = match data.version {
            Version::V0_2 if given.contains(&true) => [1.0, 0.0, 0.0],
            _ => left_in_training(SHARES, given),
        };
        // No split has to be said where the default would be one.
        let none = [1.0, 0.0, 0.0];
        let mut shares = data.split.unwrap_or(if pass.reads() { default } else { none });
        self.whole(pass.key("split"))
            .only(!both, "data.valid and data.test are both given")
            .only(!self.all_with_parts, "every source has files of its own to validate or test on")
            .value(&mut shares, &split(given))?;
        let is_told = both || self.by_column || self.all_with_parts;
        if pass.reads() && self.built_in.is_none() && !is_told {
            data.split = Some(shares).filter(|[_, valid, test]| valid + test > 0.0);
        }
        Ok(())
    }

    /// A key that says what is tested on.
    fn tested<'p>(&self, key: Key<'p>, data: &Data) -> Key<'p> {
        let stratified = data.version == Version::V0_1 && self.has_stratify;
        self.whole(key)
            .only(self.train.has_columns(), NO_FOLDS)
            .only(data.test.is_none(), "data.test says what is tested on")
            .only(!stratified, "data.stratify says what is tested on")
    }

    /// `folds` and `fold`
    fn fold(&self, data: &mut Data, pass: &mut Pass) -> Result<()> {
        let (mut fold, mut folds) = data.fold.unzip();
        self.tested(pass.key("folds"), data).maybe(&mut folds, &size(2..=1000))?;
        let hint = "from 1 to data.folds; train --k-fold N takes each in turn";
        self.tested(pass.key("fold"), data)
            .only(folds.is_some(), "data.folds is not given")
            .required(folds.is_some(), hint)
            .maybe(&mut fold, &size(1..=folds.unwrap_or(1) as u64))?;
        data.fold = fold.zip(folds);
        Ok(())
    }
}

/// A character that can stand between cells.
fn delimiter() -> impl Form<char> {
    (|item: Item| read_delimiter(&item), |delimiter: &char| quote(delimiter))
}

fn read_delimiter(item: &Item) -> Result<char> {
    let wrong = || item.wrong("one character such as \",\", \";\", \"|\" or \"\\t\"");
    let mut characters = item.text().map_err(|_| wrong())?.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None)
            if c.is_ascii() && !c.is_ascii_alphanumeric() && !"\"\n\r\0.+-_".contains(c) =>
        {
            Ok(c)
        }
        _ => Err(wrong()),
    }
}

/// `split = [0.8, 0.1, 0.1]`; `given` tells whether the validation and the test part have files.
fn split(given: [bool; 2]) -> impl Form<[f64; 3]> {
    (move |item: Item| shares(&item, given), |shares: &[f64; 3]| format!("{shares:?}"))
}

/// Shares as the file gives them.
fn shares(item: &Item, given: [bool; 2]) -> Result<[f64; 3]> {
    let expected = "three shares for train, valid and test, such as [0.8, 0.1, 0.1]";
    let wrong = || item.wrong(expected);
    let list = item.list("three shares").map_err(|_| wrong())?;
    let numbers =
        list.iter().map(|share| share.number(&NOT_NEGATIVE)).collect::<Result<Vec<f64>>>()?;
    let shares: [f64; 3] = match numbers[..] {
        [train, valid, test] => [train, valid, test],
        [train, rest] => {
            let found = item.fault(format!("must be {expected}, found two, {numbers:?}"));
            return Err(found.hint(two_shares(train, rest, given)));
        }
        _ => {
            let found = item.fault(format!("must be {expected}, found {}", numbers.len()));
            return Err(
                found.hint("one share for each part; 0.0 for a part that there is not to be")
            );
        }
    };
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(item.fault(format!("the shares must sum to 1, found {sum}")));
    }
    if shares[0] == 0.0 {
        return Err(item.fault("the first share, of training, must be above 0"));
    }
    effective(item, shares, given)
}

/// What two shares may be meant to say.
fn two_shares(train: f64, rest: f64, given: [bool; 2]) -> String {
    let (to_valid, to_test) =
        (format!("[{train:?}, {rest:?}, 0.0]"), format!("[{train:?}, 0.0, {rest:?}]"));
    match given {
        [true, _] => format!(
            "write split = {to_test}: a share to test on, none to validate on, since data.valid \
             is given"
        ),
        [_, true] => format!(
            "write split = {to_valid}: a share to validate on, none to test on, since data.test \
             is given"
        ),
        _ => format!(
            "write split = {to_valid} to validate on the second share and test on none, or \
             {to_test} to test on it"
        ),
    }
}

/// A share for a part that has a file of its own would have no effect.
fn effective(item: &Item, shares: [f64; 3], given: [bool; 2]) -> Result<[f64; 3]> {
    let kept = left_in_training(shares, given);
    match ["valid", "test"]
        .iter()
        .zip(given)
        .zip(&shares[1..])
        .find(|((_, given), share)| *given && **share > 0.0)
    {
        Some(((part, _), share)) => {
            let message =
                format!("the share {share} of {part} has no effect, since data.{part} is given");
            Err(item.fault(message).hint(format!("write split = {kept:?}")))
        }
        None => Ok(shares),
    }
}

/// Shares without those of the given parts.
fn left_in_training([train, valid, test]: [f64; 3], given: [bool; 2]) -> [f64; 3] {
    match given {
        [false, false] => [train, valid, test],
        [true, false] => [train + valid, 0.0, test],
        [false, true] => [train + test, valid, 0.0],
        [true, true] => [1.0, 0.0, 0.0],
    }
}

impl Default for Overlay {
    fn default() -> Overlay {
        Overlay { shift: 8, seed: 0 }
    }
}

impl Keyed for Overlay {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("shift").value(&mut self.shift, &size(0..=1000))?;
        pass.key("seed").value(&mut self.seed, &seed())
    }
}

/// `overlay = { shift = 8, seed = 0 }`
fn read_overlay(item: Item) -> Result<Overlay> {
    let mut overlay = Overlay::default();
    read(Section::of(item)?, &mut overlay).map(|()| overlay)
}

fn write_overlay(overlay: &Overlay) -> String {
    inline_table(&entries_of(&mut overlay.clone()))
}
