//! Numeric columns of a CSV file: which they are, their numbers, their scaling.

use super::csv::Sheet;
use super::labels::LabelColumn;
use super::{Column, Encoding, Table};
use crate::config::{self, Scale};
use crate::fault::{Fault, quoted};

/// What is read of a CSV file.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    /// Positions of the numeric features, in the order of the schema.
    pub features: Vec<usize>,
    /// Position of each task's label column; empty = labels are not read.
    pub labels: Vec<usize>,
    /// Whether the cells are kept as they are.
    pub keep: bool,
}

/// The cells of a CSV file as numbers and label texts, not yet scaled.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Path, for messages.
    pub place: String,
    /// Line on which each row begins.
    pub lines: Vec<u64>,
    /// [rows, features], row-major.
    pub numbers: Vec<f64>,
    /// Number of features of a row.
    pub width: usize,
    /// One per task.
    pub labels: Vec<LabelColumn>,
    /// The cells, if they were to be kept.
    pub table: Option<Table>,
}

impl Frame {
    /// Reads all rows of `sheet`.
    ///
    /// # Errors
    /// 65 with file, line, column and cell if a cell is blank or not a finite number, or a record is malformed.
    pub fn read(sheet: &Sheet, roles: &Roles) -> anyhow::Result<Frame> {
        let mut frame = Frame::empty(sheet, roles);
        let (mut records, mut record) = (sheet.records()?, ::csv::StringRecord::new());
        while let Some(line) = records.next(&mut record)? {
            for &i in &roles.features {
                frame.numbers.push(number(&record[i]).map_err(|e| e.fault(sheet, line, i, &record[i]))?);
            }
            for (labels, &i) in frame.labels.iter_mut().zip(&roles.labels) {
                labels.push(label(&record[i]).map_err(|e| e.fault(sheet, line, i, &record[i]))?);
            }
            frame.lines.push(line);
            if let Some(table) = &mut frame.table {
                table.records.push(record.clone());
            }
        }
        if u32::try_from(frame.lines.len()).is_err() {
            return Err(Fault::data(&frame.place, "more than 2^32 rows").hint("train on fewer rows").into());
        }
        Ok(frame)
    }

    fn empty(sheet: &Sheet, roles: &Roles) -> Frame {
        Frame {
            place: sheet.place.clone(),
            lines: Vec::new(),
            numbers: Vec::new(),
            width: roles.features.len(),
            labels: roles.labels.iter().map(|_| LabelColumn::default()).collect(),
            table: roles.keep.then(|| Table { header: sheet.header.clone(), records: Vec::new() }),
        }
    }

    /// Offset and factor of every column, from `rows` alone.
    ///
    /// # Errors
    /// 65 if the numbers of a column are too large or too close to each other to be scaled.
    pub fn fit(&self, names: &[(String, Scale)], rows: &[u32]) -> anyhow::Result<Vec<Column>> {
        let fitted = names.iter().enumerate().map(|(i, (name, scale))| {
            let values = rows.iter().map(|&row| self.numbers[row as usize * self.width + i]).collect();
            let (offset, factor) = fit(*scale, values);
            if offset.is_finite() && factor.is_finite() {
                let encoding = Encoding::Numeric { scale: *scale, offset, factor, indicator: false };
                return Ok(Column { name: name.clone(), missing: Vec::new(), encoding });
            }
            let found = format!("column {}: the numbers are too large, or too close to each other, to be scaled", quoted(name));
            Err(Fault::data(&self.place, found).hint("give the column in another unit, or add it to data.ignore").into())
        });
        fitted.collect()
    }

    /// The features of `rows`, [rows, width].
    ///
    /// # Errors
    /// 65 with file, line and column if a scaled number does not fit into f32.
    pub fn scaled(&self, columns: &[Column], rows: &[u32]) -> anyhow::Result<Vec<f32>> {
        let mut features = Vec::with_capacity(rows.len() * self.width);
        for &row in rows {
            let numbers = &self.numbers[row as usize * self.width..][..self.width];
            for (column, &x) in columns.iter().zip(numbers) {
                features.push(column.scaled(x).ok_or_else(|| self.too_large(row, column, x))?);
            }
        }
        Ok(features)
    }

    fn too_large(&self, row: u32, column: &Column, x: f64) -> Fault {
        let place = format!("{}:{}: column {}", self.place, self.lines[row as usize], quoted(&column.name));
        Fault::data(place, format!("{x:e} is too large for a 32-bit float after scaling"))
            .hint("correct the cell, or give the column in another unit")
    }
}

impl Column {
    /// `(x − offset) · factor`, if it is finite in f32.
    pub fn scaled(&self, x: f64) -> Option<f32> {
        // A factor of 0 stands for "constant": no value of a later file may make it anything else.
        let Encoding::Numeric { offset, factor, .. } = self.encoding else { return None };
        let y = if factor == 0.0 { 0.0 } else { ((x - offset) * factor) as f32 };
        y.is_finite().then_some(y)
    }
}

/// Features of a CSV file with their scaling: all columns that are neither a target nor ignored, in the order of the header.
///
/// # Errors
/// 78 if `data.ignore` or a `[feature.NAME]` names no feature column, or no column is left.
pub fn features(sheet: &Sheet, data: &config::Data, tasks: &[config::Task]) -> anyhow::Result<Vec<(String, Scale)>> {
    if let Some(name) = data.ignore.iter().find(|name| sheet.column(name).is_none()) {
        return Err(no_column("data.ignore", name, sheet).into());
    }
    let taken = |name: &String| data.ignore.contains(name) || tasks.iter().any(|task| task.targets.contains(name));
    for feature in &data.features {
        let place = format!("feature.{}", feature.column);
        sheet.column(&feature.column).ok_or_else(|| no_column(&place, &feature.column, sheet))?;
        if taken(&feature.column) {
            let found = format!("{} is a label column or in data.ignore, so it is no feature", quoted(&feature.column));
            return Err(Fault::config(&place, found).hint("remove this table").into());
        }
    }
    let own = |name: &String| data.features.iter().find(|f| f.column == *name).map_or(Scale::Standard, |f| f.scale);
    let features: Vec<_> = sheet.header.iter().filter(|name| !taken(name)).map(|name| (name.clone(), own(name))).collect();
    if features.is_empty() {
        let found = format!("{} has no feature columns: all are labels or ignored", sheet.place);
        return Err(Fault::config("data.train", found).hint("keep at least one numeric column").into());
    }
    Ok(features)
}

/// "There is no such column", as a config fault with the nearest name.
pub fn no_column(key: &str, name: &str, sheet: &Sheet) -> Fault {
    let message = format!("there is no column {} in {}", quoted(name), sheet.place);
    let hint = match nearest(name, sheet.header.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => format!("the columns are {}", some(&sheet.header)),
    };
    Fault::config(key, message).hint(hint)
}

/// Positions of the columns that a model needs.
///
/// # Errors
/// 65 with all that are missing and the nearest name of the first.
pub fn positions(sheet: &Sheet, names: &[&str]) -> anyhow::Result<Vec<usize>> {
    let missing: Vec<String> = names.iter().filter(|name| sheet.column(name).is_none()).map(|&name| name.to_owned()).collect();
    let Some(first) = missing.first() else { return Ok(names.iter().filter_map(|name| sheet.column(name)).collect()) };
    let unused = sheet.header.iter().map(String::as_str).filter(|h| !names.contains(h));
    let hint = match nearest(first, unused) {
        Some(near) => format!("the file has {}; is that {}?", quoted(near), quoted(first)),
        None => format!("the file has the columns {}", some(&sheet.header)),
    };
    let (noun, count) = if missing.len() == 1 { ("column", String::new()) } else { ("columns", format!("{} ", missing.len())) };
    Err(Fault::data(&sheet.place, format!("{count}{noun} missing: {}", some(&missing))).hint(hint).into())
}

/// The name most like `name`: by Jaro–Winkler similarity above 0.7, or one slip away (which that rates low in short names).
pub fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let rate = |other: &str| {
        let slip = name.len() > 2 && strsim::osa_distance(&name, other) <= 1;
        strsim::jaro_winkler(&name, other).max(if slip { 0.9 } else { 0.0 })
    };
    let rated = names.map(|n| (rate(&n.to_lowercase()), n));
    rated.filter(|(rating, _)| *rating > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, n)| n)
}

/// The first few names, quoted.
pub fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(8).map(|name| quoted(name)).collect();
    let rest = if names.len() > 8 { format!(" and {} more", names.len() - 8) } else { String::new() };
    shown.join(", ") + &rest
}

/// Why a cell was refused.
enum Refused {
    Blank(&'static str),
    NotNumber,
    NotFinite,
}

impl Refused {
    fn fault(self, sheet: &Sheet, line: u64, column: usize, cell: &str) -> Fault {
        let name = quoted(&sheet.header[column]);
        let place = format!("{}:{line}: column {name}", sheet.place);
        let (found, hint) = match self {
            Refused::Blank(what) => {
                (format!("the {what} is blank"), format!("blank {what}s are not supported yet; fill the cell or remove the row"))
            }
            Refused::NotFinite => {
                (format!("{} is not a finite number", quoted(cell)), format!("correct the cell, or add {name} to data.ignore"))
            }
            Refused::NotNumber if cell.contains(',') => {
                (format!("{} is not a number", quoted(cell)), "write a decimal point and no thousands separators, as in 1234.5".to_owned())
            }
            Refused::NotNumber => (
                format!("{} is not a number", quoted(cell)),
                format!("features are numbers: correct the cell, or add {name} to data.ignore"),
            ),
        };
        Fault::data(place, found).hint(hint)
    }
}

fn number(cell: &str) -> Result<f64, Refused> {
    match cell.trim() {
        "" => Err(Refused::Blank("feature")),
        text => {
            text.parse::<f64>().map_err(|_| Refused::NotNumber).and_then(|x| if x.is_finite() { Ok(x) } else { Err(Refused::NotFinite) })
        }
    }
}

fn label(cell: &str) -> Result<&str, Refused> {
    match cell.trim() {
        "" => Err(Refused::Blank("label")),
        text => Ok(text),
    }
}

/// Offset and factor. A column without spread gets the factor 0; one whose quartiles alone coincide is only centred.
fn fit(scale: Scale, mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let (Some(&min), Some(&max)) = (values.first(), values.last()) else { return (0.0, 0.0) };
    let (offset, spread) = match scale {
        Scale::None => return (0.0, 1.0),
        // Rounding must not give a constant column a spread.
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

/// Mean and population standard deviation.
fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n).sqrt())
}

/// Linear between the two nearest of the sorted values (as NumPy's default).
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}
