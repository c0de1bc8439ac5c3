//! Finds numbers that are sums or differences of others: a feature that was computed from labels,
//! or a label that was computed from features.

use std::collections::HashSet;

use crate::config::TaskKind;
use crate::config::write::key;
use crate::data::look::sample::{TOO_FEW, TrainingSample};
use crate::data::schema::columns::some;
use crate::data::{Column, Dataset, Encoding, Scaling, Schema, Target, UNLABELLED};
use crate::fault::quoted;

/// About how many rows are looked at.
const ROWS: usize = 1000;
/// The largest number of columns in a sum.
const MOST: usize = 4;
/// A number is a sum of others if they explain at least this share of its variance.
const SHARE: f64 = 0.999;
/// The smallest number of rows per column that allows a conclusion.
const ROWS_PER_COLUMN: usize = 5;
/// All pairs of columns are tried if there are at most this many.
const PAIRS: usize = 20_000;
/// Nothing is tried if the number of features times the number of labels is above this.
const WORK: usize = 20_000;
/// With at most this many columns, it is first tried whether all of them together suffice.
const TOGETHER: usize = 64;
/// A column is a sum of others if they leave less than this share of its variance.
const OWN: f64 = 1e-8;
/// The largest number of notices of one kind.
const SENTENCES: usize = 8;

/// The numbers of a column; NaN if there is none.
#[derive(Debug)]
pub(crate) struct Numbers<'n> {
    name: &'n str,
    values: Vec<f64>,
}

/// A number as a sum of others: `Σ slope · other + intercept`.
#[derive(Debug)]
struct Sum {
    slopes: Vec<f64>,
    intercept: f64,
    /// Share of the variance that the others explain.
    share: f64,
    /// Standard deviation of the number.
    deviation: f64,
}

/// A notice for each feature that is a sum of labels, and for each label that is a sum of features.
/// `known` holds the (feature, label) pairs for which there is a notice already, by their numbers.
pub(crate) fn notices(sample: &TrainingSample, known: &HashSet<(usize, usize)>) -> Vec<String> {
    let rows: Vec<usize> =
        sample.rows.iter().copied().step_by(sample.rows.len().div_ceil(ROWS).max(1)).collect();
    let features: Vec<(usize, Numbers)> = sample
        .columns()
        .filter_map(|(at, column, slot)| Some((at, of_column(sample, &rows, column, slot)?)))
        .collect();
    let labels: Vec<(usize, Numbers)> = of_labels(sample.schema, sample.train, &rows);
    if features.len() * labels.len() > WORK {
        return Vec::new();
    }
    let of_labels: Vec<(usize, String)> = features
        .iter()
        .filter(|(at, _)| !known.iter().any(|(feature, _)| feature == at))
        .filter_map(|(at, feature)| Some((*at, made_of_labels(feature, &labels)?)))
        .collect();
    let is_known = |feature: usize, label: usize| {
        known.contains(&(feature, label)) || of_labels.iter().any(|(at, _)| *at == feature)
    };
    let of_features = labels.iter().filter_map(|(label, numbers)| {
        let others = features
            .iter()
            .filter(|(feature, _)| !is_known(*feature, *label))
            .map(|(_, feature)| feature);
        made_of_features(numbers, &others.collect::<Vec<_>>())
    });
    let of_features = shortened(of_features.collect(), "labels");
    shortened(of_labels.into_iter().map(|(_, sentence)| sentence).collect(), "features")
        .into_iter()
        .chain(of_features)
        .collect()
}

/// The notice about a feature that is a sum of labels, if it is one.
fn made_of_labels(feature: &Numbers, labels: &[(usize, Numbers)]) -> Option<String> {
    let (others, sum) =
        sum_of(feature, &labels.iter().map(|(_, label)| label).collect::<Vec<_>>())?;
    let (column, formula) = (quoted(feature.name), sum.formula(&others));
    Some(format!(
        "column {column} is {formula}: is it known before these labels are? else add it to \
         data.ignore"
    ))
}

/// The notice about a label that is a sum of features, if it is one.
fn made_of_features(label: &Numbers, features: &[&Numbers]) -> Option<String> {
    let (others, sum) = sum_of(label, features)?;
    let names: Vec<String> = others.iter().map(|other| other.name.to_owned()).collect();
    let (columns, label, formula) = (some(&names), key(label.name), sum.formula(&others));
    Some(format!(
        "columns {columns} together determine a label, {label} = {formula}: are all known before \
         it is? else add one to data.ignore"
    ))
}

/// The first few notices, and the number of further ones.
fn shortened(mut sentences: Vec<String>, what: &str) -> Vec<String> {
    if let Some(more @ 1..) = sentences.len().checked_sub(SENTENCES) {
        sentences.truncate(SENTENCES);
        sentences.push(format!("{more} more {what} are sums of others"));
    }
    sentences
}

/// The numbers of a feature, in the units of the file; `None` if it holds no numbers.
fn of_column<'n>(
    sample: &TrainingSample<'n>,
    rows: &[usize],
    column: &'n Column,
    slot: usize,
) -> Option<Numbers<'n>> {
    let (low, step) = match &column.encoding {
        Encoding::Numeric { factor: 0.0, .. } => return None,
        Encoding::Numeric { offset, factor, .. } => (*offset, 1.0 / factor),
        Encoding::Binary { values: [low, high], .. } => {
            match (low.parse::<f64>(), high.parse::<f64>()) {
                (Ok(low), Ok(high)) if low.is_finite() && high.is_finite() => (low, high - low),
                _ => (0.0, 1.0),
            }
        }
        _ => return None,
    };
    let number = |&row: &usize| match sample.is_blank(row, column, slot) {
        true => f64::NAN,
        false => low + step * f64::from(f32::from_bits(sample.value(row, slot))),
    };
    Some(Numbers { name: &column.name, values: rows.iter().map(number).collect() })
}

/// The labels that are numbers or yes and no, each with its number among all label columns.
fn of_labels<'n>(schema: &'n Schema, train: &Dataset, rows: &[usize]) -> Vec<(usize, Numbers<'n>)> {
    let columns = schema
        .targets
        .iter()
        .flat_map(|target| (0..target.cells()).map(move |cell| (target, cell)));
    let numbers = |(target, cell): (&'n Target, usize), labels: &[u32]| {
        let Scaling { offset, factor } =
            target.scales.get(cell).copied().unwrap_or(Scaling { offset: 0.0, factor: 1.0 });
        let number = |label: u32| match target.kind {
            TaskKind::Binary | TaskKind::Multilabel => f64::from(label),
            _ => f64::from(f32::from_bits(label)) / factor + offset,
        };
        let number =
            |&row: &usize| if labels[row] == UNLABELLED { f64::NAN } else { number(labels[row]) };
        Numbers { name: &target.columns[cell], values: rows.iter().map(number).collect() }
    };
    let all = columns.zip(&train.labels).enumerate();
    all.filter(|(_, ((target, _), _))| !target.kind.has_logits_of_classes())
        .map(|(at, (column, labels))| (at, numbers(column, labels)))
        .collect()
}

/// Finds two to [`MOST`] columns of `of` whose sum is `number`: these columns, and the sum.
fn sum_of<'a, 'n>(number: &Numbers, of: &[&'a Numbers<'n>]) -> Option<(Vec<&'a Numbers<'n>>, Sum)> {
    let all: Vec<usize> = (0..of.len()).collect();
    let share = |chosen: &[usize]| sum(number, of, chosen).map(|sum| sum.share);
    if of.len() < 2 || (of.len() <= TOGETHER && share(&all).is_some_and(|share| share < SHARE)) {
        return None;
    }
    let mut chosen = best_start(of.len(), &share)?;
    while share(&chosen)? < SHARE && chosen.len() < MOST {
        let more =
            all.iter().filter(|at| !chosen.contains(at)).map(|&at| [&chosen[..], &[at]].concat());
        chosen = best(more, &share)?;
    }
    if share(&chosen)? < SHARE {
        return None;
    }
    // The columns that were chosen first may have become unnecessary.
    while let Some(fewer) = best((0..chosen.len()).map(|at| without(&chosen, at)), &share)
        .filter(|fewer| share(fewer) >= Some(SHARE))
    {
        chosen = fewer;
    }
    chosen.sort_unstable();
    let found = sum(number, of, &chosen).filter(|sum| sum.slopes.len() >= 2)?;
    Some((chosen.into_iter().map(|at| of[at]).collect(), found))
}

/// The pair of columns that explains most, or the one column if there are too many pairs to try.
fn best_start(count: usize, share: &dyn Fn(&[usize]) -> Option<f64>) -> Option<Vec<usize>> {
    if count * count / 2 <= PAIRS {
        return best((0..count).flat_map(|a| (a + 1..count).map(move |b| vec![a, b])), share);
    }
    best((0..count).map(|at| vec![at]), share)
}

/// The choice of columns that explains most.
fn best(
    of: impl Iterator<Item = Vec<usize>>,
    share: &dyn Fn(&[usize]) -> Option<f64>,
) -> Option<Vec<usize>> {
    let rated = of.filter_map(|chosen| Some((share(&chosen)?, chosen)));
    rated.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, chosen)| chosen)
}

fn without(chosen: &[usize], at: usize) -> Vec<usize> {
    [&chosen[..at], &chosen[at + 1..]].concat()
}

/// Fits a number by the chosen columns of `of` with least squares, on the rows that have all of
/// them. `None` if these rows are too few, if a column is constant, or if one of at most [`MOST`]
/// columns is a sum of the others.
fn sum(number: &Numbers, of: &[&Numbers], chosen: &[usize]) -> Option<Sum> {
    let columns: Vec<&[f64]> =
        chosen.iter().map(|&at| &of[at].values[..]).chain([&number.values[..]]).collect();
    let others = chosen.len();
    let is_whole = |row: &usize| columns.iter().all(|column| !column[*row].is_nan());
    let rows: Vec<usize> = (0..number.values.len()).filter(is_whole).collect();
    if others == 0 || rows.len() < TOO_FEW || rows.len() <= ROWS_PER_COLUMN * others {
        return None;
    }
    let n = rows.len() as f64;
    let means: Vec<f64> =
        columns.iter().map(|column| rows.iter().map(|&row| column[row] / n).sum()).collect();
    let spread = |a: usize, b: usize| {
        rows.iter()
            .map(|&row| (columns[a][row] - means[a]) * (columns[b][row] - means[b]) / n)
            .sum::<f64>()
    };
    let deviations: Vec<f64> = (0..=others).map(|at| spread(at, at).sqrt()).collect();
    if deviations.iter().any(|deviation| !(deviation.is_finite() && *deviation > 0.0)) {
        return None;
    }
    let cell = |a: usize, b: usize| spread(a, b) / (deviations[a] * deviations[b]);
    let mut table: Vec<Vec<f64>> = (0..=others)
        .map(|a| (0..=others).map(|b| if a == b { 1.0 } else { cell(a, b) }).collect())
        .collect();
    for pivot in 0..others {
        if table[pivot][pivot] < OWN {
            if others <= MOST {
                return None;
            }
            continue;
        }
        for row in pivot + 1..=others {
            let times = table[row][pivot] / table[pivot][pivot];
            (pivot..=others).for_each(|at| table[row][at] -= times * table[pivot][at]);
        }
    }
    let share = 1.0 - table[others][others];
    if others > MOST {
        return Some(Sum {
            slopes: Vec::new(),
            intercept: 0.0,
            share,
            deviation: deviations[others],
        });
    }
    let mut slopes = vec![0.0; others];
    for at in (0..others).rev() {
        let known: f64 = (at + 1..others).map(|later| table[at][later] * slopes[later]).sum();
        slopes[at] = (table[at][others] - known) / table[at][at];
    }
    slopes
        .iter_mut()
        .zip(&deviations)
        .for_each(|(slope, deviation)| *slope *= deviations[others] / deviation);
    let intercept =
        means[others] - slopes.iter().zip(&means).map(|(slope, mean)| slope * mean).sum::<f64>();
    Some(Sum { slopes, intercept, share, deviation: deviations[others] })
}

impl Sum {
    /// A formula such as `casual + registered` or `2 a - 0.5 b + 3`. Terms that are added come
    /// before terms that are subtracted.
    fn formula(&self, of: &[&Numbers]) -> String {
        let mut terms: Vec<(f64, String)> = Vec::new();
        for (slope, other) in self.slopes.iter().zip(of) {
            let (size, name) = (rounded(slope.abs()), key(other.name));
            terms.push((*slope, if size == 1.0 { name } else { format!("{size} {name}") }));
        }
        terms.sort_by_key(|(slope, _)| *slope < 0.0);
        if self.intercept.abs() > 0.01 * self.deviation {
            terms.push((self.intercept, rounded(self.intercept.abs()).to_string()));
        }
        let mut text = String::new();
        for (at, (slope, term)) in terms.into_iter().enumerate() {
            text += match (at, slope < 0.0) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            };
            text += &term;
        }
        text
    }
}

/// A number with three digits, or the nearest whole number if it is within 0.5 %.
fn rounded(x: f64) -> f64 {
    if x.round() >= 1.0 && (x / x.round() - 1.0).abs() < 0.005 {
        x.round()
    } else {
        format!("{x:.2e}").parse().unwrap_or(x)
    }
}
