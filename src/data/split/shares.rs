//! Splits the rows of one table into parts, by shares, groups, classes, a column or a fold.

use std::collections::BTreeMap;

use crate::config::Version;
use crate::data::Part;
use crate::data::split::strata::{Strata, dealt_by_marks};
use crate::data::table::view::{Distinct, View};
use crate::fault::{Fault, quoted};
use crate::rng::{Purpose, below, bits, uniform};

/// Streams of random values, so that rows, groups and folds share none.
const ROWS: u64 = 0;
const GROUPS: u64 = 1;
const FOLDS: u64 = 2;

/// Row numbers of each part, ascending: [train, valid, test]. A row's part depends on `seed` and
/// its 0-based number alone. `shares` need not sum to one.
///
/// # Errors
/// 78 if a part with a share gets no row, or the training part gets none.
pub fn split(rows: usize, shares: [f64; 3], seed: u64) -> anyhow::Result<[Vec<u32>; 3]> {
    check(rows, shares, by(rows, |row| by_share(shares, seed, row)))
}

/// Row numbers of each part, where the rows of one group stay together. A group's part depends on
/// `seed` and the text of the group alone.
///
/// # Errors
/// The errors of [`split`]; 65 if a group is blank.
pub fn grouped(
    group: &View,
    rows: usize,
    shares: [f64; 3],
    (seed, version): (u64, Version),
) -> anyhow::Result<[Vec<u32>; 3]> {
    let distinct = group_values(group, rows, version)?;
    let part =
        |text: &str| part_of(shares, uniform(seed, Purpose::Split, GROUPS, group_number(text)));
    let parts: Vec<Part> = distinct.texts.iter().map(|text| part(text)).collect();
    check(rows, shares, by(rows, |row| parts[distinct.codes[row] as usize]))
}

/// The different values of a group column. Spellings of one value, such as 5 and 5.0, are one
/// group; to tandem 0.1.0 they were two.
///
/// # Errors
/// 65 if a group is blank.
pub fn group_values<'r>(
    group: &View<'r>,
    rows: usize,
    version: Version,
) -> anyhow::Result<Distinct<'r>> {
    let all: Vec<u32> = (0..rows as u32).collect();
    let distinct = group.distinct(&all);
    let distinct = if version == Version::V0_1 { distinct } else { distinct.merged() };
    match (0..rows).find(|&row| group.cell(row).is_none()) {
        Some(row) => Err(group
            .fault(
                row,
                "the group is blank",
                "every row needs a group: fill the cell or remove the row",
            )
            .into()),
        None => Ok(distinct),
    }
}

/// The group of each row as a code, and for each group a random number that depends on its text.
///
/// # Errors
/// 65 if a group is blank.
pub fn groups(
    group: &View,
    rows: usize,
    (seed, version): (u64, Version),
) -> anyhow::Result<(Vec<u32>, Vec<u64>)> {
    let distinct = group_values(group, rows, version)?;
    let keys = distinct
        .texts
        .iter()
        .map(|text| bits(seed, Purpose::Split, FOLDS, group_number(text)))
        .collect();
    Ok((distinct.codes, keys))
}

/// Row numbers of each part, with the shares kept in each class. The rows of a class are ordered by
/// random numbers; the first go to the training part, the next to validation, the rest to test.
/// Rows with several marks are dealt out by [`dealt_by_marks`].
///
/// # Errors
/// The errors of [`split`].
pub fn stratified(strata: &Strata, shares: [f64; 3], seed: u64) -> anyhow::Result<[Vec<u32>; 3]> {
    let rows: Vec<u32> = (0..strata.rows() as u32).collect();
    check(rows.len(), shares, stratified_among(&rows, strata, shares, seed))
}

/// Splits some rows, ascending, as [`stratified`] does; a part may stay empty.
pub fn stratified_among(
    rows: &[u32],
    strata: &Strata,
    shares: [f64; 3],
    seed: u64,
) -> [Vec<u32>; 3] {
    let mut parts = [const { Vec::new() }; 3];
    match strata {
        Strata::Classes(classes) => {
            let key = |&row: &u32| {
                (classes[row as usize], uniform(seed, Purpose::Split, ROWS, u64::from(row)), row)
            };
            let mut order: Vec<(u32, f64, u32)> = rows.iter().map(key).collect();
            order.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
            for class in order.chunk_by(|a, b| a.0 == b.0) {
                for (i, &(_, _, row)) in class.iter().enumerate() {
                    parts[part_of(shares, (i as f64 + 0.5) / class.len() as f64) as usize]
                        .push(row);
                }
            }
        }
        Strata::Marks { .. } => {
            let dealt = dealt_by_marks(&strata.among(rows), rows, &shares, seed);
            rows.iter().zip(dealt).for_each(|(&row, part)| parts[part as usize].push(row));
        }
    }
    parts.iter_mut().for_each(|rows| rows.sort_unstable());
    parts
}

/// Splits some rows of a table of `all` rows without regard to classes. If validation has a share
/// and two rows are left to train on, it gets at least one row.
pub fn rows_among(rows: &[u32], all: usize, shares: [f64; 3], seed: u64) -> [Vec<u32>; 3] {
    let mut parts = stratified_among(rows, &Strata::Classes(vec![0; all]), shares, seed);
    if shares[Part::Valid as usize] > 0.0 && parts[1].is_empty() && parts[0].len() > 1 {
        let key = |row: u32| uniform(seed, Purpose::Split, ROWS, u64::from(row));
        let last =
            (0..parts[0].len()).max_by(|&a, &b| key(parts[0][a]).total_cmp(&key(parts[0][b])));
        let taken = last.map(|at| parts[0].remove(at));
        parts[1].extend(taken);
    }
    parts
}

/// Splits some rows by whole groups, which follow in the order of their random numbers: a group
/// goes to the part whose share holds the middle of the group. If validation has a share and two
/// groups are left to train on, it gets at least one group, the smallest. `groups` has a code for
/// each row of the table, and `keys` a random number for each group.
pub fn groups_among(rows: &[u32], groups: &[u32], keys: &[u64], shares: [f64; 3]) -> [Vec<u32>; 3] {
    let mut rows_of: BTreeMap<(u64, u32), Vec<u32>> = BTreeMap::new();
    for &row in rows {
        let group = groups[row as usize];
        rows_of.entry((keys[group as usize], group)).or_default().push(row);
    }
    let (mut parts, mut before) = ([const { Vec::new() }; 3], 0);
    for group in rows_of.into_values() {
        let middle = (before as f64 + group.len() as f64 / 2.0) / rows.len() as f64;
        before += group.len();
        parts[part_of(shares, middle) as usize].push(group);
    }
    let [train, valid, _] = &mut parts;
    if shares[Part::Valid as usize] > 0.0 && valid.is_empty() && train.len() > 1 {
        let smallest = (0..train.len()).min_by_key(|&at| train[at].len());
        valid.extend(smallest.map(|at| train.remove(at)));
    }
    if train.is_empty() && valid.len() > 1 {
        let largest = (0..valid.len()).max_by_key(|&at| valid[at].len());
        train.extend(largest.map(|at| valid.remove(at)));
    }
    let mut parts = parts.map(|groups| groups.concat());
    parts.iter_mut().for_each(|rows| rows.sort_unstable());
    parts
}

/// Row numbers of each part, as a column names them: each cell is `train`, `valid` or `test`.
///
/// # Errors
/// 65 if a cell is something else; 78 if no row is trained on.
pub fn by_column(column: &View, rows: usize) -> anyhow::Result<[Vec<u32>; 3]> {
    let all: Vec<u32> = (0..rows as u32).collect();
    let distinct = column.distinct(&all);
    let parts: Vec<Option<Part>> = distinct.texts.iter().map(|text| Part::by_name(text)).collect();
    let part = |row: usize| {
        distinct.codes.get(row).and_then(|&code| parts.get(code as usize)).copied().flatten()
    };
    if let Some(row) = (0..rows).find(|&row| part(row).is_none()) {
        let found = format!("{} names no part", quoted(&column.text(row)));
        return Err(column.fault(row, found, "write train, valid or test").into());
    }
    let parts = by(rows, |row| part(row).unwrap_or(Part::Train));
    if parts[0].is_empty() {
        let found = format!("no row says train in column {}", quoted(column.name));
        return Err(Fault::config("data.split_column", found)
            .hint("write train where a row is to be trained on")
            .into());
    }
    Ok(parts)
}

/// The fold, of `k`, that a row is in, given its 0-based number; or that all rows of a group are
/// in, given its [`group_number`]. These are the folds of tandem 0.1.0, whose sizes differ by
/// chance.
pub fn fold_of(seed: u64, row_or_group: u64, k: usize) -> usize {
    below(k.max(1) as u64, seed, Purpose::Split, FOLDS, row_or_group) as usize
}

/// Changes a split so that exactly the rows of one fold are tested on. `fold` is its number, from 1
/// up, and the number of folds.
///
/// # Errors
/// 78 if no row is in the fold, if none is left to train on, or if validation loses all its rows.
pub fn held_out(
    parts: [Vec<u32>; 3],
    fold: (usize, usize),
    fold_of: impl Fn(u32) -> usize,
) -> anyhow::Result<[Vec<u32>; 3]> {
    let is_held = |row: &u32| fold_of(*row) + 1 == fold.0;
    let mut test: Vec<u32> = parts.iter().flatten().copied().filter(is_held).collect();
    test.sort_unstable();
    let [mut train, mut valid, rest] = parts;
    let validates = !valid.is_empty();
    train.extend(rest);
    train.retain(|row| !is_held(row));
    valid.retain(|row| !is_held(row));
    train.sort_unstable();
    check_fold([train, valid, test], fold, validates)
}

/// Checks that every part of a fold has rows; the validation part only if `validates`.
///
/// # Errors
/// 78 with the numbers of rows.
pub fn check_fold(
    parts: [Vec<u32>; 3],
    (fold, folds): (usize, usize),
    validates: bool,
) -> anyhow::Result<[Vec<u32>; 3]> {
    let [train, valid, test] = parts.each_ref().map(Vec::len);
    if train > 0 && test > 0 && (valid > 0 || !validates) {
        return Ok(parts);
    }
    let found = format!(
        "fold {fold} of {folds} leaves {train} rows to train on, {valid} to validate on and \
         {test} to test on"
    );
    Err(Fault::config("data.folds", found)
        .hint(
            "take other folds, other shares in data.split or another data.split_seed, or give \
             more rows",
        )
        .into())
}

/// The number of a group: the first eight bytes of the BLAKE3 hash of its text.
pub fn group_number(text: &str) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    hash.as_bytes().iter().take(8).fold(0, |number, &b| number << 8 | u64::from(b))
}

/// Row numbers of each part, given the part of each row.
fn by(rows: usize, part: impl Fn(usize) -> Part) -> [Vec<u32>; 3] {
    let mut parts = [const { Vec::new() }; 3];
    (0..rows).for_each(|row| parts[part(row) as usize].push(row as u32));
    parts
}

/// Checks that every part with a share has rows.
fn check(rows: usize, shares: [f64; 3], parts: [Vec<u32>; 3]) -> anyhow::Result<[Vec<u32>; 3]> {
    let empty = |part: &Part| {
        parts[*part as usize].is_empty() && (shares[*part as usize] > 0.0 || *part == Part::Train)
    };
    if let Some(part) = Part::ALL.into_iter().find(empty) {
        let found = format!(
            "the {} part is empty: none of {rows} rows fell into its share of {}",
            part.name(),
            shares[part as usize]
        );
        return Err(Fault::config("data.split", found)
            .hint("give it a larger share, another data.split_seed, or a file of its own")
            .into());
    }
    Ok(parts)
}

/// The part that `u`, from [0, 1), falls into if the shares lie side by side in this interval.
fn part_of(shares: [f64; 3], u: f64) -> Part {
    let mut left = u * shares.iter().sum::<f64>();
    for part in Part::ALL {
        left -= shares[part as usize];
        if left < 0.0 {
            return part;
        }
    }
    // Only rounding leads here. The last part with a share is the right one.
    Part::ALL.into_iter().rfind(|part| shares[*part as usize] > 0.0).unwrap_or(Part::Train)
}

/// The part of a row, given its 0-based number, as [`split`] finds it.
pub fn by_share(shares: [f64; 3], seed: u64, row: usize) -> Part {
    part_of(shares, uniform(seed, Purpose::Split, ROWS, row as u64))
}

/// The shares without those of the parts that have files of their own.
pub fn shares_without(shares: [f64; 3], valid_given: bool, test_given: bool) -> [f64; 3] {
    let [train, valid, test] = shares;
    [train, if valid_given { 0.0 } else { valid }, if test_given { 0.0 } else { test }]
}
