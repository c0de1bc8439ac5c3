//! Finds features that nearly determine a label: the label was computed from them, or they were
//! recorded after the label was known.

use std::collections::{HashMap, HashSet};

use crate::config::TaskKind;
use crate::data::look::sample::{TOO_FEW, TrainingSample};
use crate::data::look::sums;
use crate::data::tokens::is_trained;
use crate::data::{Column, Dataset, Encoding, Input, Schema, Target};
use crate::fault::quoted;

/// About how many cells are looked at in all, in rows at equal distances.
const WORK: usize = 2_000_000;
/// The smallest number of rows that are looked at, if there are as many.
const LEAST: usize = 200;
/// Number of rows per value, on average, that a conclusion from values needs.
const ROWS_PER_VALUE: usize = 5;
/// A column gives a class away if at least this share of rows has the commonest class of its value
/// …
const PURITY: f64 = 0.99;
/// … and if the share of the other rows is at most this fraction of what it is without the column.
const DOUBT: f64 = 0.1;
/// A number gives one of two classes away if the area under the ROC curve is at least this.
const AREA: f64 = 0.999;
/// A column gives a number away if their correlation is at least this.
const CORRELATION: f64 = 0.999;

/// A notice for each feature that nearly determines a task in the training part, for each feature
/// that is a sum of labels, and for each label that is a sum of features.
pub fn notices(schema: &Schema, train: &Dataset) -> Vec<String> {
    let Input::Columns { columns } = &schema.input else { return Vec::new() };
    let targets =
        schema.targets.iter().flat_map(|target| std::iter::repeat_n(target, target.cells()));
    let most = (WORK / (columns.len() * train.labels.len()).max(1)).max(LEAST);
    let stride = train.rows.div_ceil(most).max(1);
    let sample = TrainingSample {
        schema,
        train,
        rows: (0..train.rows).step_by(stride).collect(),
        width: train.width(),
    };
    let (mut notices, mut found): (Vec<String>, HashSet<(usize, usize)>) =
        (Vec::new(), HashSet::new());
    for (label, (target, labels)) in targets.zip(&train.labels).enumerate() {
        // The place of a token in its sentence is no column that could be left out, and words are
        // what labels of tokens are about.
        let own = |column: &Column| column.is_span() || schema.is_of_words(column);
        for (at, column, slot) in sample.columns().filter(|(_, column, _)| !own(column)) {
            if determines(&sample, (column, slot), (target, labels)) {
                found.insert((at, label));
                let (column, task) = (quoted(&column.name), quoted(&target.task));
                notices.push(format!(
                    "column {column} nearly determines task {task}: is it known before the label \
                     is? else add it to data.ignore"
                ));
            }
        }
    }
    notices.dedup();
    notices.extend(sums::notices(&sample, &found));
    notices
}

/// Whether a column nearly determines a label column.
fn determines(
    sample: &TrainingSample,
    (column, slot): (&Column, usize),
    (target, labels): (&Target, &[u32]),
) -> bool {
    if matches!(column.encoding, Encoding::Text { .. }) {
        return false;
    }
    let labelled = sample.rows.iter().copied().filter(|&row| is_trained(labels[row]));
    let pair = |row: usize| (sample.value(row, slot), labels[row]);
    // Blank cells count as a value where values are compared, but not where numbers are ordered.
    let filled = labelled.clone().filter(|&row| !sample.is_blank(row, column, slot)).map(pair);
    let pairs = labelled.clone().map(pair);
    match (target.kind, &column.encoding) {
        (TaskKind::Regression | TaskKind::Count, Encoding::Numeric { .. }) => correlate(filled),
        (TaskKind::Regression | TaskKind::Count, _) => explains(pairs),
        (_, Encoding::Numeric { .. }) => is_pure(pairs) || separates_two(filled),
        _ => is_pure(pairs),
    }
}

/// Whether nearly all rows with the same value have the same class.
fn is_pure(pairs: impl Iterator<Item = (u32, u32)>) -> bool {
    let (mut joint, mut classes, mut n) = (HashMap::new(), HashMap::new(), 0usize);
    for pair in pairs {
        *joint.entry(pair).or_insert(0usize) += 1;
        *classes.entry(pair.1).or_insert(0usize) += 1;
        n += 1;
        if joint.len() > 1024 && joint.len() * ROWS_PER_VALUE > n {
            return false;
        }
    }
    let mut best: HashMap<u32, usize> = HashMap::new();
    for ((value, _), count) in joint {
        let most = best.entry(value).or_insert(0);
        *most = count.max(*most);
    }
    if n < TOO_FEW || best.len() * ROWS_PER_VALUE > n {
        return false;
    }
    let share = |count: usize| count as f64 / n as f64;
    let (purity, base) =
        (share(best.values().sum()), share(classes.values().copied().max().unwrap_or(0)));
    purity >= PURITY && 1.0 - purity <= DOUBT * (1.0 - base) && base < 1.0
}

/// Whether a threshold separates two classes: nearly all pairs of a row of each class are in the
/// same order (the area under the ROC curve, where ties count half).
fn separates_two(pairs: impl Iterator<Item = (u32, u32)>) -> bool {
    let mut sorted: Vec<(f32, u32)> = pairs.map(|(x, class)| (f32::from_bits(x), class)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut inverted, mut ones) = (0.0, 0.0, 0.0);
    for equal in sorted.chunk_by(|a, b| a.0 == b.0) {
        let (zeros, of_one) = (
            equal.iter().filter(|e| e.1 == 0).count() as f64,
            equal.iter().filter(|e| e.1 == 1).count() as f64,
        );
        if zeros + of_one < equal.len() as f64 {
            return false;
        }
        inverted += of_one * (below + 0.5 * zeros);
        below += zeros;
        ones += of_one;
    }
    let area = inverted / (below * ones);
    below.min(ones) >= 0.01 * sorted.len() as f64
        && sorted.len() >= TOO_FEW
        && area.max(1.0 - area) >= AREA
}

/// Whether the values of a column explain nearly all of the variance of a number (correlation
/// ratio).
fn explains(pairs: impl Iterator<Item = (u32, u32)>) -> bool {
    let mut groups: HashMap<u32, [f64; 3]> = HashMap::new();
    for (value, y) in pairs {
        let (y, group) = (f64::from(f32::from_bits(y)), groups.entry(value).or_default());
        *group = [group[0] + 1.0, group[1] + y, group[2] + y * y];
    }
    let total = groups.values().fold([0.0; 3], |t, g| [t[0] + g[0], t[1] + g[1], t[2] + g[2]]);
    let spread = |[n, sum, square]: [f64; 3]| square - sum * sum / n;
    let (whole, within) = (spread(total), groups.values().map(|g| spread(*g)).sum::<f64>());
    total[0] >= TOO_FEW as f64
        && (groups.len() * ROWS_PER_VALUE) as f64 <= total[0]
        && whole > 0.0
        && within <= (1.0 - CORRELATION) * whole
}

/// Whether pairs of numbers lie nearly on a line (Pearson's correlation, in one pass).
fn correlate(pairs: impl Iterator<Item = (u32, u32)>) -> bool {
    let (mut n, mut mean) = (0.0, [0.0; 2]);
    let (mut square, mut product) = ([0.0; 2], 0.0);
    for (x, y) in pairs {
        let value = [f64::from(f32::from_bits(x)), f64::from(f32::from_bits(y))];
        n += 1.0;
        let before = [value[0] - mean[0], value[1] - mean[1]];
        (0..2).for_each(|i| mean[i] += before[i] / n);
        (0..2).for_each(|i| square[i] += before[i] * (value[i] - mean[i]));
        product += before[0] * (value[1] - mean[1]);
    }
    let spread = (square[0] * square[1]).sqrt();
    n >= TOO_FEW as f64 && spread > 0.0 && (product / spread).abs() >= CORRELATION
}
