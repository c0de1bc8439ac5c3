//! Guesses what the cells of a feature column mean, and fits how they become inputs. Both use the
//! training rows alone.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::config::{Feature, FeatureKind, Scale, Version};
use crate::data::Encoding;
use crate::data::encode::vocabulary;
use crate::data::table::view::{Cell, Distinct, View};
use crate::data::value::alike::respelt_notice;
use crate::data::value::dates::Date;
use crate::data::value::meaning::{Meaning, SLIPS, TextKind};
use crate::data::value::range::{Range, mean};
use crate::fault::{Fault, quoted};

/// A column with at most this many values is one of categories, however few rows there are.
const FEW: usize = 16;
/// A column with at most one value per this many rows is one of categories too.
const ROWS_PER_VALUE: usize = 20;
/// A column is one of texts if its values have at least this many words on average.
const WORDS: usize = 4;
/// The end of a hint about a cell that is no number or no date.
const OR: &str = ", or name the column's type in its [feature.NAME]";

/// How a column becomes inputs.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    /// The column is encoded.
    Encoding(Encoding),
    /// The column is dropped, for this reason.
    Dropped(String),
}

/// Fits a column on the training `rows`. `feature` holds the settings of the column, and `meaning`
/// what its texts are taken for; without a meaning, numbers and dates are recognised as by tandem
/// 0.1.0. Returns a notice too, if values have several spellings or most texts are nearly numbers.
///
/// # Errors
/// 65 with line and column if a cell does not fit the column, or its numbers cannot be scaled; 78
/// if a setting does not fit the column.
pub fn fit(
    view: &View,
    rows: &[u32],
    feature: &Feature,
    meaning: Option<&Meaning>,
    version: Version,
) -> anyhow::Result<(Fitted, Option<String>)> {
    let (kind, distinct) = match feature.kind {
        Some(kind) => (kind, None),
        None => guess(view, rows, meaning),
    };
    check_settings(feature, kind)?;
    let (mut notice, mut cut) = (None, None);
    let distinct = || {
        let distinct = distinct.unwrap_or_else(|| values(view, rows, meaning));
        notice = respelt_notice(&format!("column {}", quoted(view.name)), &distinct.respelt);
        let nearly = meaning.filter(|_| feature.kind.is_none()).and_then(Meaning::nearly_numbers);
        notice = notice.take().or(nearly
            .map(|nearly| format!("column {} is taken for texts: {nearly}", quoted(view.name))));
        distinct
    };
    let fitted = match kind {
        FeatureKind::Numeric => numeric(view, rows, feature, version)?,
        FeatureKind::Category => category(&distinct(), feature, meaning),
        FeatureKind::Binary => binary(&distinct(), feature)?,
        FeatureKind::Date => date(view, rows, version)?,
        FeatureKind::Text => {
            let fitted = vocabulary::fit(view, rows, feature, version);
            fitted.map_or_else(Fitted::Dropped, |(encoding, notice)| {
                cut = notice;
                Fitted::Encoding(encoding)
            })
        }
        FeatureKind::Ignore => Fitted::Dropped("is ignored".into()),
    };
    // For a dropped column the reason is notice enough.
    let notice = notice.or(cut).filter(|_| matches!(fitted, Fitted::Encoding(_)));
    Ok((fitted, notice))
}

/// Checks that the settings are of the type that the column has; others would have no effect.
fn check_settings(feature: &Feature, kind: FeatureKind) -> anyhow::Result<()> {
    let given = [
        ("scale", feature.scale.is_some(), &[FeatureKind::Numeric][..]),
        ("decimal", feature.decimal.is_some(), &[FeatureKind::Numeric]),
        ("dates", feature.dates.is_some(), &[FeatureKind::Date]),
        ("clip", feature.clip.is_some(), &[FeatureKind::Numeric]),
        ("min_count", feature.min_count.is_some(), &[FeatureKind::Category, FeatureKind::Text]),
        ("max_values", feature.max_values.is_some(), &[FeatureKind::Category, FeatureKind::Text]),
        ("embed", feature.embed.is_some(), &[FeatureKind::Category, FeatureKind::Text]),
        ("buckets", feature.buckets.is_some(), &[FeatureKind::Text]),
        ("slots", feature.slots.is_some(), &[FeatureKind::Text]),
        ("ngrams", feature.ngrams.is_some(), &[FeatureKind::Text]),
    ];
    match given.into_iter().find(|(_, is_given, of)| *is_given && !of.contains(&kind)) {
        Some((key, _, of)) => {
            let joined =
                |word: &str| of.iter().map(FeatureKind::to_string).collect::<Vec<_>>().join(word);
            let found = format!(
                "has no effect: the column was taken for one of type {kind}, and the key is for {}",
                joined(" and ")
            );
            let place = format!("feature.{}.{key}", feature.column);
            Err(Fault::config(&place, found)
                .hint(format!("leave it out, or add type = \"{}\"", joined("\" or \"")))
                .into())
        }
        None => Ok(()),
    }
}

/// Guesses the type of a column. Returns its different values too, if they had to be counted.
pub(crate) fn guess<'r>(
    view: &View<'r>,
    rows: &[u32],
    meaning: Option<&Meaning>,
) -> (FeatureKind, Option<Distinct<'r>>) {
    let is_of = |kind: TextKind, is_one: &dyn Fn(Cell) -> bool| match meaning {
        Some(meaning) => meaning.kind == kind,
        None => nearly_all(view, rows, is_one),
    };
    if is_of(TextKind::Numbers, &|cell| view.value(cell).is_some()) {
        return (FeatureKind::Numeric, None);
    }
    if is_of(TextKind::Dates, &|cell| matches!(cell, Cell::Text(_)) && view.date(cell).is_some()) {
        return (FeatureKind::Date, None);
    }
    let distinct = values(view, rows, meaning);
    let (values, filled) = (distinct.texts.len(), rows.len() - distinct.blanks());
    let words: usize = distinct.texts.iter().map(|text| text.split_whitespace().count()).sum();
    let kind = if values == 2 {
        FeatureKind::Binary
    } else if values > FEW.max(filled / ROWS_PER_VALUE) && words >= WORDS * values {
        FeatureKind::Text
    } else {
        FeatureKind::Category
    };
    (kind, Some(distinct))
}

/// The different values of a column. Spellings of one value are merged if a meaning is given.
fn values<'r>(view: &View<'r>, rows: &[u32], meaning: Option<&Meaning>) -> Distinct<'r> {
    let distinct = view.distinct(rows);
    if meaning.is_some() { distinct.merged() } else { distinct }
}

/// Whether at most one in [`SLIPS`] of the cells that are not blank fails `is_one`.
fn nearly_all(view: &View, rows: &[u32], is_one: &dyn Fn(Cell) -> bool) -> bool {
    let (mut filled, mut slips) = (0, 0);
    for cell in rows.iter().filter_map(|&row| view.cell(row as usize)) {
        filled += 1;
        slips += usize::from(!is_one(cell));
        if slips > rows.len() / SLIPS {
            return false;
        }
    }
    slips <= filled / SLIPS
}

/// Fits a column of numbers.
fn numeric(
    view: &View,
    rows: &[u32],
    feature: &Feature,
    version: Version,
) -> anyhow::Result<Fitted> {
    let mut values = Vec::with_capacity(rows.len());
    for row in rows.iter().map(|&row| row as usize) {
        if let Some(cell) = view.cell(row) {
            values.push(view.number(row, cell, OR)?);
        }
    }
    let indicator = values.len() < rows.len();
    let Some(&first) = values.first() else { return Ok(blank()) };
    if !indicator && values.iter().all(|&x| x == first) {
        return Ok(constant(&first.to_string()));
    }
    let (scale, clip, today) =
        (feature.scale.unwrap_or(Scale::Standard), feature.clip(version), version >= Version::V0_2);
    let (mean, range) = (mean(&values), Range::of(&values, clip).filter(|_| today || clip > 0.0));
    let truth = today && values.iter().all(|&x| x == 0.0 || x == 1.0);
    let (offset, factor) = fit_scale(scale, values);
    if offset.is_finite() && factor.is_finite() {
        // The mean of a standardised column is 0, apart from rounding. To tandem 0.1.0 blanks were
        // 0 in any scale.
        let blank = mean
            .filter(|_| today && scale != Scale::Standard)
            .map_or(0.0, |mean| (mean - offset) * factor);
        let notation = view.notation();
        return Ok(Fitted::Encoding(Encoding::Numeric {
            scale,
            offset,
            factor,
            indicator,
            blank,
            range,
            notation,
            truth,
        }));
    }
    Err(unscalable(view.place(), view.name).into())
}

/// The error for numbers that have no finite mean or deviation.
pub(crate) fn unscalable(place: &str, name: &str) -> Fault {
    let found = "the numbers are too large, or too close to each other, to be scaled";
    Fault::data(format!("{place}: column {}", quoted(name)), found)
        .hint("give the column in another unit, or add it to data.ignore")
}

fn blank() -> Fitted {
    Fitted::Dropped("is blank in every row of the training part".into())
}

fn constant(value: &str) -> Fitted {
    Fitted::Dropped(format!("holds {} in every row of the training part", quoted(value)))
}

fn category(distinct: &Distinct, feature: &Feature, meaning: Option<&Meaning>) -> Fitted {
    let (least, most) = (feature.min_count.unwrap_or(Feature::MIN_COUNT), feature.max_values());
    let blank_cells = distinct.blanks() > 0;
    match &distinct.texts[..] {
        [] => return blank(),
        [one] if !blank_cells => return constant(one),
        _ => {}
    }
    let mut kept: Vec<(&Cow<str>, usize)> = distinct
        .texts
        .iter()
        .zip(distinct.counts.iter().copied())
        .filter(|v| v.1 >= least)
        .collect();
    kept.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    kept.truncate(most);
    if kept.is_empty() && !blank_cells {
        let why = format!(
            "has {} values and none in {least} rows of the training part or more",
            distinct.texts.len()
        );
        return Fitted::Dropped(match meaning.and_then(Meaning::nearly_numbers) {
            Some(nearly) => format!("{why}; {nearly}: correct these, or list them in missing"),
            None if distinct.texts.iter().all(|text| text.bytes().any(|b| b.is_ascii_digit())) => {
                let example = distinct.texts.first().map(|text| quoted(text)).unwrap_or_default();
                format!(
                    "{why}, and they are neither numbers nor dates as they stand, such as \
                     {example}: it names rows, or its texts must be changed"
                )
            }
            None => why + ": it names rows, or needs type = \"text\"",
        });
    }
    let mut values: Vec<String> = kept.into_iter().map(|(text, _)| text.to_string()).collect();
    sort(&mut values);
    let embed = feature.value_width(values.len());
    Fitted::Encoding(Encoding::Category { values, blank: blank_cells, embed })
}

/// Sorts texts: by value if all are numbers, texts of one value by text; otherwise by text.
pub(crate) fn sort(texts: &mut [String]) {
    let number = |text: &str| text.parse::<f64>().ok().filter(|x| x.is_finite());
    let numbers = texts.iter().all(|text| number(text).is_some());
    let by_value = |a: &str, b: &str| number(a).partial_cmp(&number(b)).unwrap_or(Ordering::Equal);
    texts.sort_by(|a, b| if numbers { by_value(a, b).then_with(|| a.cmp(b)) } else { a.cmp(b) });
}

fn binary(distinct: &Distinct, feature: &Feature) -> anyhow::Result<Fitted> {
    let mut values: Vec<String> = distinct.texts.iter().map(|text| text.to_string()).collect();
    sort(&mut values);
    let indicator = distinct.blanks() > 0;
    match <[String; 2]>::try_from(values) {
        Ok(values) => {
            let of_second = distinct
                .texts
                .iter()
                .zip(&distinct.counts)
                .filter(|(text, _)| ***text == *values[1])
                .map(|(_, n)| n);
            let mean =
                of_second.sum::<usize>() as f64 / distinct.counts.iter().sum::<usize>() as f64;
            Ok(Fitted::Encoding(Encoding::Binary { values, mean, indicator }))
        }
        Err(values) if values.is_empty() => Ok(blank()),
        Err(values) if values.len() == 1 && !indicator => Ok(constant(&values[0])),
        Err(values) => {
            let found = format!(
                "the column holds {} values, expected two: {}",
                values.len(),
                crate::data::schema::columns::some(&values)
            );
            Err(Fault::config(&format!("feature.{}.type", feature.column), found)
                .hint("type = \"category\", or more texts in missing")
                .into())
        }
    }
}

/// Fits a column of dates.
fn date(view: &View, rows: &[u32], version: Version) -> anyhow::Result<Fitted> {
    let mut years = Vec::with_capacity(rows.len());
    let (mut time, mut first, mut same) = (false, None, true);
    for row in rows.iter().map(|&row| row as usize) {
        if let Some(cell) = view.cell(row) {
            let date = read_date(view, row, cell)?;
            time |= date.seconds.is_some_and(|seconds| seconds > 0.0);
            same &= *first.get_or_insert(date) == date;
            years.push(date.years());
        }
    }
    let indicator = years.len() < rows.len();
    if years.is_empty() {
        return Ok(blank());
    }
    if same && !indicator {
        return Ok(Fitted::Dropped("holds one date in every row of the training part".into()));
    }
    // Dates after the training part are normal, so dates are not moved towards its range.
    let range = Range::of(&years, 0.0).filter(|_| version >= Version::V0_2);
    let (offset, factor) = fit_scale(Scale::Standard, years);
    Ok(Fitted::Encoding(Encoding::Date {
        offset,
        factor,
        time,
        indicator,
        order: view.order(),
        range,
    }))
}

/// Reads a cell as a date.
pub(crate) fn read_date(view: &View, row: usize, cell: Cell) -> Result<Date, Fault> {
    view.date(cell).ok_or_else(|| {
        let text = view.text(row);
        let hint = format!(
            "write dates as {}, or say data.dates, or add {} to the texts that mean \"blank\"{OR}",
            view.order().example(),
            quoted(&text)
        );
        view.fault(row, format!("{} is not a date", quoted(&text)), hint)
    })
}

/// Fits the offset and the factor of a scale. A column without spread gets the factor 0. Under the
/// robust scale, a column whose quartiles coincide is only centred.
pub(crate) fn fit_scale(scale: Scale, mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let (Some(&min), Some(&max)) = (values.first(), values.last()) else { return (0.0, 0.0) };
    let (offset, spread) = match scale {
        Scale::None => return (0.0, 1.0),
        // Rounding must not give a spread to a constant column.
        _ if min == max => return (min, 0.0),
        Scale::Standard => mean_and_deviation(&values),
        Scale::MinMax => (min, max - min),
        Scale::Robust => {
            let range = quantile(&values, 0.75) - quantile(&values, 0.25);
            (quantile(&values, 0.5), if range == 0.0 { 1.0 } else { range })
        }
    };
    (offset, if spread.is_finite() { 1.0 / spread } else { f64::INFINITY })
}

/// Mean and standard deviation of a population.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// A quantile, linear between the two nearest of the sorted values (the default of NumPy).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}
