//! `[data]` and `[feature.*]`.

use std::path::{Path, PathBuf};

use super::item::{Item, MOST, NOT_NEGATIVE, Result};
use super::known::{DATA, FEATURE, IDX, NPY, OVERLAY, alike};
use super::section::Section;
use crate::config::{
    ArrayNames, BUILT_IN, Data, Dates, Decimal, Embed, Feature, FeatureKind, Overlay, Scale,
    Source, Version,
};
use crate::fault::{Fault, quoted};

/// The split where the file names none.
const SHARES: [f64; 3] = [0.8, 0.1, 0.1];
/// What a source can be.
const FORMATS: &str = "a table (.csv, .tsv, .txt, .csv.gz, .tsv.gz, .data, .parquet, .npy, .svm, \
                       .svmlight, .libsvm), a list of tables, { images = \"…\", labels = \"…\" } \
                       (IDX), { features = \"…\", labels = \"…\" } (NPY), or built in: \
                       digits-overlay";
/// Endings of text files of lines and cells.
const TEXT: &[&str] =
    &[".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".txt.gz", ".data.gz"];
/// Endings of other tables.
const TABLES: &[&str] =
    &[".parquet", ".npy", ".svm", ".svmlight", ".libsvm", ".svm.gz", ".svmlight.gz", ".libsvm.gz"];
/// Most inputs of one column: with a layer of ordinary width they still fit on a device.
const MOST_INPUTS: u64 = 1 << 20;
/// Most numbers of a learned vector.
const MOST_WIDTH: u64 = 1024;

/// Reads `[data]` and `[feature.*]`; relative paths start at `base`.
pub(super) fn read(root: &mut Section, base: &Path, version: Version) -> Result<Data> {
    let mut section = root.section("data", DATA)?;
    let mut names = ArrayNames::default();
    let train = section.require("train", FORMATS, |item| source(item, base, Some(&mut names)))?;
    let mut data = Data { version, names, ..Data::new(train) };
    parts(&mut section, &mut data, base)?;
    if !matches!(data.train, Source::Idx { .. }) {
        section.refuse(&["overlay"], "only IDX images can be overlaid")?;
    }
    data.overlay = section.maybe("overlay", overlay)?;
    columns(&mut section, &mut data)?;
    data.shuffle_window =
        section.maybe("shuffle_window", |item| item.count(1..=MOST).map(|rows| rows as usize))?;
    section.finish()?;
    data.features = features(root, &data)?;
    Ok(data)
}

/// Where rows are validated and tested on.
fn parts(section: &mut Section, data: &mut Data, base: &Path) -> Result<()> {
    if let Source::BuiltIn(name) = &data.train {
        let keys = [
            "valid",
            "test",
            "split",
            "split_seed",
            "split_column",
            "stratify",
            "group",
            "folds",
            "fold",
        ];
        section.refuse(&keys, format!("{name} has its own validation and test parts"))?;
    }
    if !data.train.has_columns() {
        section.refuse(&["split_column", "stratify", "group", "folds", "fold"], NO_COLUMNS)?;
    }
    data.split_column = section.maybe("split_column", |item| item.text().map(str::to_owned))?;
    if data.split_column.is_some() {
        let keys = ["valid", "test", "split", "split_seed", "stratify", "group", "folds", "fold"];
        return section.refuse(&keys, "data.split_column says where each row belongs");
    }
    data.valid = section.maybe("valid", |item| part(item, base, &data.train))?;
    data.test = section.maybe("test", |item| part(item, base, &data.train))?;
    data.split = split(section, data)?;
    if data.split.is_none() && !section.has("folds") {
        section.refuse(&["split_seed", "group", "stratify"], "nothing is split")?;
    }
    data.split_seed = section.read("split_seed", 0, |item| item.seed())?;
    data.stratify = section.maybe("stratify", |item| item.text().map(str::to_owned))?;
    if data.stratify.is_some() && !section.has("folds") {
        section.refuse(&["group"], "data.stratify draws single rows")?;
    }
    data.group = section.maybe("group", |item| item.text().map(str::to_owned))?;
    data.fold = fold(section, data)?;
    Ok(())
}

/// `folds` and `fold`
fn fold(section: &mut Section, data: &Data) -> Result<Option<(usize, usize)>> {
    if data.test.is_some() {
        section.refuse(&["folds", "fold"], "data.test says what is tested on")?;
    }
    if data.version == Version::V0_1 && data.stratify.is_some() {
        section.refuse(&["folds", "fold"], "data.stratify says what is tested on")?;
    }
    let Some(folds) = section.maybe("folds", |item| item.count(2..=1000))? else {
        return section.refuse(&["fold"], "data.folds is not given").map(|()| None);
    };
    let fold = section.require(
        "fold",
        "from 1 to data.folds; train --k-fold N takes each in turn",
        |item| item.count(1..=folds),
    )?;
    Ok(Some((fold as usize, folds as usize)))
}

/// Why keys about columns mean nothing for images.
const NO_COLUMNS: &str = "only tables have columns";

/// What is said of all columns of a table.
fn columns(section: &mut Section, data: &mut Data) -> Result<()> {
    if !data.train.has_columns() {
        section.refuse(
            &[
                "ignore",
                "missing",
                "decimal",
                "dates",
                "row_weight",
                "delimiter",
                "header",
                "memory",
            ],
            NO_COLUMNS,
        )?;
    }
    if !is_text(data) {
        section.refuse(
            &["delimiter", "header"],
            "only text files (.csv, .tsv, .txt) have lines of cells",
        )?;
    }
    data.delimiter = section.maybe("delimiter", |item| delimiter(&item))?;
    data.header = section.read("header", true, |item| item.flag())?;
    data.ignore = section.read("ignore", vec![], |item| item.texts())?;
    let found = |item: Item| match item.value.as_str() {
        Some("auto") => Ok(None),
        _ => item.blanks().map(Some),
    };
    // What 0.1.0 took for blank, where nothing was said.
    let unsaid = (data.version < Version::V0_2).then(|| vec![String::new()]);
    data.missing = section.read("missing", unsaid, found)?;
    data.decimal = section.read("decimal", Decimal::Auto, |item| item.word())?;
    data.dates = section.read("dates", Dates::Auto, |item| item.word())?;
    data.row_weight = section.maybe("row_weight", |item| item.text().map(str::to_owned))?;
    data.memory = section.maybe("memory", |item| item.bytes())?;
    Ok(())
}

/// Whether a file of the data is a text of lines and cells.
fn is_text(data: &Data) -> bool {
    let text = |path: &Path| ends_with(&path.to_string_lossy(), TEXT);
    let of = |source: &Source| matches!(source, Source::Table(paths) if paths.iter().any(|path| text(path)));
    of(&data.train) || data.valid.as_ref().is_some_and(of) || data.test.as_ref().is_some_and(of)
}

/// Whether a name has one of these endings, in any case.
fn ends_with(name: &str, endings: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// A character that can stand between cells.
fn delimiter(item: &Item) -> Result<char> {
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

/// A source: a path or several, a built-in name, or a pair of IDX or NPY files.
fn source(item: Item, base: &Path, names: Option<&mut ArrayNames>) -> Result<Source> {
    if let Some(table) = item.value.as_table() {
        let arrays = table.contains_key("features") && !table.contains_key("images");
        return if arrays { npy(item, base, names) } else { idx(item, base) };
    }
    if item.value.is_array() {
        return files(&item, base);
    }
    let Some(text) = item.value.as_str() else {
        return Err(item
            .wrong("a path, a list of paths, a table, or the name of a built-in set")
            .hint(FORMATS));
    };
    match BUILT_IN.contains(&text) {
        true => Ok(Source::BuiltIn(text.to_owned())),
        false => file(&item, base).map(|path| Source::Table(vec![path])),
    }
}

/// `{ images = "…", labels = "…" }`
fn idx(item: Item, base: &Path) -> Result<Source> {
    let mut pair = Section::open_item(item, IDX)?;
    let images =
        pair.require("images", "the path of an IDX file of images", |item| item.path_from(base))?;
    let labels =
        pair.require("labels", "the path of an IDX file of labels", |item| item.path_from(base))?;
    pair.finish().map(|()| Source::Idx { images, labels })
}

/// `{ features = "x.npy", labels = "y.npy" }`, and for training perhaps names of the columns.
fn npy(item: Item, base: &Path, names: Option<&mut ArrayNames>) -> Result<Source> {
    let path = |item: Item| {
        let path = item.path_from(base)?;
        match ends_with(&path.to_string_lossy(), &[".npy"]) {
            true => Ok(path),
            false => Err(item.wrong("the path of a .npy file")),
        }
    };
    let mut pair = Section::open_item(item, NPY)?;
    let features = pair.require("features", "the path of a .npy file of numbers", path)?;
    let labels = pair.require("labels", "the path of a .npy file of labels", path)?;
    match names {
        Some(names) => {
            names.features = pair.read("feature_names", vec![], column_names)?;
            names.labels = pair.read("label_names", vec![], column_names)?;
            if let Some(name) = names.labels.iter().find(|name| names.features.contains(name)) {
                return Err(pair
                    .fault("label_names", format!("{} is a name of a feature too", quoted(name)))
                    .hint("rename one of them"));
            }
        }
        None => pair.refuse(
            &["feature_names", "label_names"],
            "columns have the names that stand in data.train",
        )?,
    }
    pair.finish().map(|()| Source::Npy { features, labels })
}

/// Names of the columns of an array, each once.
fn column_names(item: Item) -> Result<Vec<String>> {
    let names = item.texts()?;
    match names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
        true => Err(item.wrong("one name per column, in order, none empty")),
        false => Ok(names),
    }
}

/// Several tables that are read as one.
fn files(item: &Item, base: &Path) -> Result<Source> {
    let mut paths = Vec::new();
    for item in item.list("paths")? {
        let path = file(&item, base)?;
        if paths.contains(&path) {
            return Err(
                item.fault(format!("{} stands twice in the list", quoted(&path.to_string_lossy())))
            );
        }
        paths.push(path);
    }
    match paths.is_empty() {
        true => Err(item.wrong("one path or more").hint(FORMATS)),
        false => Ok(Source::Table(paths)),
    }
}

/// The path of a table, or a pattern of paths.
fn file(item: &Item, base: &Path) -> Result<PathBuf> {
    item.check_local()?;
    let text = item.text()?;
    match ends_with(text, TEXT) || ends_with(text, TABLES) {
        true => item.path_from(base),
        false => Err(unreadable(item, text)),
    }
}

/// What to say of a text that names no source.
fn unreadable(item: &Item, text: &str) -> Fault {
    let hint = match alike(text, BUILT_IN) {
        Some(name) => format!("did you mean {}? data can be {FORMATS}", quoted(name)),
        None => format!("data can be {FORMATS}"),
    };
    item.fault(format!("{} is neither a file of a known format nor a built-in set", quoted(text)))
        .hint(hint)
}

/// A source that goes with the training part.
fn part(item: Item, base: &Path, train: &Source) -> Result<Source> {
    let place = Item { path: item.path.clone(), value: item.value.clone() };
    let source = source(item, base, None)?;
    match std::mem::discriminant(&source) == std::mem::discriminant(train) {
        true => Ok(source),
        false => Err(place
            .fault(format!("is {}, while data.train is {}", format(&source), format(train)))
            .hint("give all parts one format")),
    }
}

/// The name of a source's format.
fn format(source: &Source) -> &'static str {
    match source {
        Source::Table(_) => "a table",
        Source::Npy { .. } => "a pair of NPY files",
        Source::Idx { .. } => "a pair of IDX files",
        Source::BuiltIn(_) => "a built-in set",
    }
}

/// The shares in effect: those that stand there, else the default. Where a part has a file of its
/// own nothing is cut off the training file that is not asked for; tandem 0.1.0 took the share of
/// the other part.
fn split(section: &mut Section, data: &Data) -> Result<Option<[f64; 3]>> {
    let given = [data.valid.is_some(), data.test.is_some()];
    if matches!(data.train, Source::BuiltIn(_)) {
        return Ok(None);
    }
    if given == [true, true] {
        section.refuse(&["split"], "data.valid and data.test are both given")?;
        return Ok(None);
    }
    let default = match data.version {
        Version::V0_2 if given.contains(&true) => [1.0, 0.0, 0.0],
        _ => left_in_training(SHARES, given),
    };
    let shares = section.read("split", default, |item| shares(&item, given))?;
    Ok(Some(shares).filter(|[_, valid, test]| valid + test > 0.0))
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

/// `overlay = { shift = 8, seed = 0 }`
fn overlay(item: Item) -> Result<Overlay> {
    let mut section = Section::open_item(item, OVERLAY)?;
    let shift = section.read("shift", 8, |item| item.count(0..=1000))? as usize;
    let seed = section.read("seed", 0, |item| item.seed())?;
    section.finish().map(|()| Overlay { shift, seed })
}

/// The tables `[feature.NAME]`.
fn features(root: &mut Section, data: &Data) -> Result<Vec<Feature>> {
    if !data.train.has_columns() {
        root.refuse(&["feature"], NO_COLUMNS)?;
    }
    let tables = root.read("feature", vec![], |item| item.entries("tables [feature.NAME]"))?;
    tables.into_iter().map(|(column, item)| feature(&column, item, data)).collect()
}

/// Keys of `[feature.NAME]` that belong to one type or two.
const KEYS_OF: [(&[FeatureKind], &[&str]); 5] = [
    (&[FeatureKind::Numeric], &["scale", "clip", "decimal"]),
    (&[FeatureKind::Date], &["dates"]),
    (&[FeatureKind::Category], &["min_count", "max_values"]),
    (&[FeatureKind::Text], &["buckets", "slots", "ngrams"]),
    (&[FeatureKind::Category, FeatureKind::Text], &["embed"]),
];

/// `[feature.NAME]`
fn feature(column: &str, item: Item, data: &Data) -> Result<Feature> {
    if data.ignore.iter().any(|c| c == column) {
        return Err(item
            .fault("has no effect, since data.ignore names this column")
            .hint("leave one of the two out"));
    }
    let mut section = Section::open_item(item, FEATURE)?;
    let kind: Option<FeatureKind> = section.maybe("type", |item| item.word())?;
    if let Some(kind) = kind {
        for (of, keys) in KEYS_OF.iter().filter(|(of, _)| !of.contains(&kind)) {
            let of: Vec<String> = of.iter().map(FeatureKind::to_string).collect();
            section.refuse(
                keys,
                format!("the column is of type {kind}, and the key is for {}", of.join(" and ")),
            )?;
        }
    }
    if kind == Some(FeatureKind::Ignore) {
        section.refuse(&["missing"], "the column is ignored")?;
    }
    // A type brings the defaults of its own keys along, so that they stand in the run's
    // config.toml.
    let default = |of: FeatureKind, value: usize| (kind == Some(of)).then_some(value);
    let is_coded = matches!(kind, Some(FeatureKind::Category | FeatureKind::Text));
    let embed = section.maybe("embed", |item| embed(&item))?.or(is_coded.then_some(Embed::Auto));
    let defaults = Feature { embed, ..Feature::new(column) };
    let mut number = |key: &str, of: FeatureKind, value: usize, least: u64, most: u64| {
        let given = section.maybe(key, |item| item.count(least..=most))?;
        Ok::<_, Fault>(given.map(|n| n as usize).or(default(of, value)))
    };
    let min_count = number("min_count", FeatureKind::Category, Feature::MIN_COUNT, 1, MOST)?;
    let max_values =
        number("max_values", FeatureKind::Category, defaults.max_values(), 1, MOST_INPUTS)?;
    let buckets = number("buckets", FeatureKind::Text, defaults.buckets(), 1, MOST_INPUTS)?;
    let slots = number("slots", FeatureKind::Text, Feature::SLOTS, 1, 4096)?;
    let ngrams = number("ngrams", FeatureKind::Text, 0, 0, 16)?;
    let scale = section
        .maybe("scale", |item| item.word())?
        .or((kind == Some(FeatureKind::Numeric)).then_some(Scale::Standard));
    // The default of tandem 0.1.0 is that there is no such key.
    let clip = (kind == Some(FeatureKind::Numeric) && data.version >= Version::V0_2)
        .then(|| defaults.clip(data.version));
    let clip = section.maybe("clip", clip_of)?.or(clip);
    let missing = section.maybe("missing", |item| item.blanks())?;
    let decimal = section.maybe("decimal", |item| item.word())?;
    let dates = section.maybe("dates", |item| item.word())?;
    section.finish().map(|()| Feature {
        kind,
        scale,
        clip,
        missing,
        decimal,
        dates,
        min_count,
        max_values,
        buckets,
        slots,
        ngrams,
        ..defaults
    })
}

/// `clip = 2.0`, or `false`, which is 0.
fn clip_of(item: Item) -> Result<f64> {
    match item.value.as_bool() {
        Some(false) => Ok(0.0),
        Some(true) => Err(item.wrong("a finite number, 0 or above, or false")),
        None => item.number(&NOT_NEGATIVE),
    }
}

/// `embed = 16`, or `"auto"`.
fn embed(item: &Item) -> Result<Embed> {
    match item.value.as_str() {
        Some("auto") => Ok(Embed::Auto),
        Some(_) => Err(item.wrong(format!("an integer from 0 to {MOST_WIDTH}, or \"auto\""))),
        None => Ok(Embed::Width(item.count(0..=MOST_WIDTH)? as usize)),
    }
}
