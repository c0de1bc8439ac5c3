//! `[data]` and `[feature.*]`.

use std::path::Path;

use super::item::{Item, NOT_NEGATIVE, Result};
use super::known::{DATA, FEATURE, IDX, OVERLAY, alike};
use super::section::Section;
use crate::config::{BUILT_IN, Data, Feature, Overlay, Scale, Source};
use crate::fault::{Fault, quoted};

/// The split where the file names none.
const SHARES: [f64; 3] = [0.8, 0.1, 0.1];
/// What a source can be.
const FORMATS: &str = "a .csv or .csv.gz file, { images = \"…\", labels = \"…\" } (IDX), or built in: digits-overlay";

/// Reads `[data]` and `[feature.*]`; relative paths start at `base`.
pub(super) fn read(root: &mut Section, base: &Path) -> Result<Data> {
    let mut section = root.section("data", DATA)?;
    section.not_yet(&["missing", "row_weight"])?;
    let train = section.require("train", FORMATS, |item| source(item, base))?;
    if let Source::BuiltIn(name) = &train {
        section.refuse(&["valid", "test", "split", "split_seed"], format!("{name} has its own validation and test parts"))?;
    }
    let valid = section.maybe("valid", |item| part(item, base, &train))?;
    let test = section.maybe("test", |item| part(item, base, &train))?;
    let split = split(&mut section, &train, [valid.is_some(), test.is_some()])?;
    if split.is_none() {
        section.refuse(&["split_seed"], "nothing is split")?;
    }
    let split_seed = section.read("split_seed", 0, |item| item.seed())?;
    if !matches!(train, Source::Idx { .. }) {
        section.refuse(&["overlay"], "only IDX images can be overlaid")?;
    }
    let overlay = section.maybe("overlay", overlay)?;
    if !matches!(train, Source::Csv(_)) {
        section.refuse(&["ignore"], "only a CSV file has columns")?;
    }
    let ignore = section.read("ignore", vec![], |item| item.texts())?;
    section.finish()?;
    let features = features(root, &train, &ignore)?;
    Ok(Data { train, valid, test, split, split_seed, overlay, ignore, features })
}

/// A source: a path, a built-in name, or a pair of IDX files.
fn source(item: Item, base: &Path) -> Result<Source> {
    if item.value.is_table() {
        let mut pair = Section::open_item(item, IDX)?;
        let images = pair.require("images", "the path of an IDX file of images", |item| item.path_from(base))?;
        let labels = pair.require("labels", "the path of an IDX file of labels", |item| item.path_from(base))?;
        return pair.finish().map(|()| Source::Idx { images, labels });
    }
    let Some(text) = item.value.as_str() else { return Err(item.wrong("a path, a table, or the name of a built-in set").hint(FORMATS)) };
    let lower = text.to_ascii_lowercase();
    match BUILT_IN.contains(&text) {
        true => Ok(Source::BuiltIn(text.to_owned())),
        false if lower.ends_with(".csv") || lower.ends_with(".csv.gz") => item.path_from(base).map(Source::Csv),
        false => Err(unreadable(&item, text)),
    }
}

/// What to say of a text that names no source.
fn unreadable(item: &Item, text: &str) -> Fault {
    let hint = match alike(text, BUILT_IN) {
        Some(name) => format!("did you mean {}? data can be {FORMATS}", quoted(name)),
        None => format!("data can be {FORMATS}"),
    };
    item.fault(format!("{} is neither a file of a known format nor a built-in set", quoted(text))).hint(hint)
}

/// A source that goes with the training part.
fn part(item: Item, base: &Path, train: &Source) -> Result<Source> {
    let place = Item { path: item.path.clone(), value: item.value.clone() };
    let source = source(item, base)?;
    match std::mem::discriminant(&source) == std::mem::discriminant(train) {
        true => Ok(source),
        false => {
            Err(place.fault(format!("is {}, while data.train is {}", format(&source), format(train))).hint("give all parts one format"))
        }
    }
}

/// The name of a source's format.
fn format(source: &Source) -> &'static str {
    match source {
        Source::Csv(_) => "a CSV file",
        Source::Idx { .. } => "a pair of IDX files",
        Source::BuiltIn(_) => "a built-in set",
    }
}

/// The shares in effect: those given, else the default with the shares of `given` parts left in training.
fn split(section: &mut Section, train: &Source, given: [bool; 2]) -> Result<Option<[f64; 3]>> {
    if matches!(train, Source::BuiltIn(_)) {
        return Ok(None);
    }
    if given == [true, true] {
        section.refuse(&["split"], "data.valid and data.test are both given")?;
        return Ok(None);
    }
    let shares = section.read("split", left_in_training(SHARES, given), |item| shares(&item, given))?;
    Ok(Some(shares).filter(|[_, valid, test]| valid + test > 0.0))
}

/// Shares as the file gives them.
fn shares(item: &Item, given: [bool; 2]) -> Result<[f64; 3]> {
    let wrong = || item.wrong("three shares for train, valid and test, such as [0.8, 0.1, 0.1]");
    let list = item.list("three shares").map_err(|_| wrong())?;
    let numbers = list.iter().map(|share| share.number(&NOT_NEGATIVE)).collect::<Result<Vec<f64>>>()?;
    let shares: [f64; 3] = numbers.try_into().map_err(|_| wrong())?;
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return Err(item.fault(format!("the shares must sum to 1, found {sum}")));
    }
    if shares[0] == 0.0 {
        return Err(item.fault("the first share, of training, must be above 0"));
    }
    effective(item, shares, given)
}

/// A share for a part that has a file of its own would have no effect.
fn effective(item: &Item, shares: [f64; 3], given: [bool; 2]) -> Result<[f64; 3]> {
    let kept = left_in_training(shares, given);
    match ["valid", "test"].iter().zip(given).zip(&shares[1..]).find(|((_, given), share)| *given && **share > 0.0) {
        Some(((part, _), share)) => {
            let message = format!("the share {share} of {part} has no effect, since data.{part} is given");
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
fn features(root: &mut Section, train: &Source, ignore: &[String]) -> Result<Vec<Feature>> {
    if !matches!(train, Source::Csv(_)) {
        root.refuse(&["feature"], "only a CSV file has columns")?;
    }
    let tables = root.read("feature", vec![], |item| item.entries("tables [feature.NAME]"))?;
    tables.into_iter().map(|(column, item)| feature(column, item, ignore)).collect()
}

/// `[feature.NAME]`
fn feature(column: String, item: Item, ignore: &[String]) -> Result<Feature> {
    if ignore.contains(&column) {
        return Err(item.fault("has no effect, since data.ignore names this column").hint("leave one of the two out"));
    }
    let mut section = Section::open_item(item, FEATURE)?;
    section.not_yet(&["missing"])?;
    section.read("type", "numeric", |item| item.one_of_with(&["numeric"], &["categorical", "text"]))?;
    let scale = section.read("scale", Scale::Standard, |item| item.word())?;
    section.finish().map(|()| Feature { column, scale })
}
