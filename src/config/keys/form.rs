//! Forms of values: how each is read, with the sentence for what is wrong with it, and written.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::item::{Item, MOST, Range, Result};
use super::toml::{quote, texts as list_of_texts};
use super::word::Word;

/// How values of a type are read and written; a pair of functions is one.
pub(in crate::config) trait Form<T> {
    /// The value of an item.
    fn read(&self, item: Item) -> Result<T>;
    /// The value as TOML, which reads back as the same value.
    fn write(&self, value: &T) -> String;
}

impl<T, R: Fn(Item) -> Result<T>, W: Fn(&T) -> String> Form<T> for (R, W) {
    fn read(&self, item: Item) -> Result<T> {
        self.0(item)
    }

    fn write(&self, value: &T) -> String {
        self.1(value)
    }
}

/// A number, in the shortest decimal notation that reads back as the same f64.
pub(in crate::config) fn number(range: &'static Range) -> impl Form<f64> {
    (|item: Item| item.number(range), |x: &f64| format!("{x:?}"))
}

/// An integer of a range.
pub(in crate::config) fn count(range: RangeInclusive<u64>) -> impl Form<u64> {
    (move |item: Item| item.count(range.clone()), u64::to_string)
}

/// An integer of a range, as a size.
pub(in crate::config) fn size(range: RangeInclusive<u64>) -> impl Form<usize> {
    (move |item: Item| item.count(range.clone()).map(|n| n as usize), usize::to_string)
}

/// A seed: any integer of TOML that is not negative.
pub(in crate::config) fn seed() -> impl Form<u64> {
    count(0..=i64::MAX as u64)
}

/// `true` or `false`.
pub(in crate::config) fn flag() -> impl Form<bool> {
    (|item: Item| item.flag(), bool::to_string)
}

/// A text that is not empty.
pub(in crate::config) fn text() -> impl Form<String> {
    (|item: Item| item.text().map(str::to_owned), |text: &String| quote(text))
}

/// A list of texts, each once.
pub(in crate::config) fn texts() -> impl Form<Vec<String>> {
    (|item: Item| item.texts(), |texts: &Vec<String>| list_of_texts(texts))
}

/// Texts that mean that a cell is blank.
pub(in crate::config) fn blanks() -> impl Form<Vec<String>> {
    (|item: Item| item.blanks(), |texts: &Vec<String>| list_of_texts(texts))
}

/// Widths of layers.
pub(in crate::config) fn widths() -> impl Form<Vec<usize>> {
    let read = |item: Item| {
        let width = |item: &Item| item.count(1..=1_000_000).map(|n| n as usize);
        item.list("layer widths")?.iter().map(width).collect()
    };
    (read, |widths: &Vec<usize>| format!("{widths:?}"))
}

/// A value of an enumeration with names.
pub(in crate::config) fn word<W: Word + Display>() -> impl Form<W> {
    (|item: Item| item.word(), |word: &W| quote(word))
}

/// One of these words.
pub(in crate::config) fn one_of(words: &[&'static str]) -> impl Form<&'static str> {
    (|item: Item| item.one_of(words), |word: &&'static str| quote(word))
}

/// A time in seconds, as a number or as `"30s"`, `"10m"`, `"1.5h"`.
pub(in crate::config) fn seconds() -> impl Form<f64> {
    (|item: Item| item.seconds(), |x: &f64| format!("{x:?}"))
}

/// A number of bytes, as such or as `"500MB"`, `"2GB"`.
pub(in crate::config) fn bytes() -> impl Form<u64> {
    (|item: Item| item.bytes(), u64::to_string)
}

/// An absolute path; a relative one starts at `base`.
pub(in crate::config) fn path(base: &Path) -> impl Form<PathBuf> {
    (|item: Item| item.path_from(base), |path: &PathBuf| write_path(path))
}

/// A path as TOML, absolute since the text will be read in another directory.
pub(in crate::config) fn write_path(path: &Path) -> String {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    quote(absolute.display())
}

/// The largest count of most keys, from 1 up.
pub(in crate::config) const FROM_ONE: RangeInclusive<u64> = 1..=MOST;
