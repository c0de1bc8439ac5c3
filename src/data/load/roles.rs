//! Which column of a table is what: features, labels, and columns that say something of rows.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::config::{self, Feature, FeatureKind, Task, Version};

use crate::data::encode::fit::{self, Fitted};

use crate::data::encode::labels::{self, FittedLabels, LabelColumn, Labels};
use crate::data::encode::per_mean;
use crate::data::load::apply::{NEVER, apply_rows, dataset, encoded, locate, weights_of};
use crate::data::schema::columns::no_column;
use crate::data::split::shares;
use crate::data::table::index;
use crate::data::table::raw::Raw;
use crate::data::table::view::{Index, View};
use crate::data::value::alike::merged_notice;

use crate::data::value::meaning::{self, Kind, Meaning, Wishes, agree};
use crate::data::{Column, Dataset, Input, Reading, Schema};
use crate::fault::{Fault, quoted};

/// The text that means "blank" where nothing else does.
static EMPTY: [String; 1] = [String::new()];

/// Most dropped columns that are named.
const MOST_DROPPED: usize = 20;

/// A table with the uses of its columns.
pub(crate) struct Roles<'t> {
    pub(crate) raw: Raw,
    /// Where `raw` has only the columns that are wanted of all rows: some rows with all columns,
    /// and their numbers.
    sample: Option<(Raw, Vec<u32>)>,
    pub(crate) data: &'t config::Data,
    pub(crate) tasks: &'t [Task],
    /// What the configuration says of each column that may be a feature.
    features: Vec<Feature>,
    /// Per task, the cells of its label columns.
    pub(crate) labels: Vec<Vec<LabelColumn>>,
    /// Per task, the labels of all rows, encoded when they are first asked for.
    encoded: Vec<OnceCell<FittedLabels>>,
}

/// What is fitted on the training part.
pub(crate) struct Fit {
    pub(crate) schema: Schema,
    /// What the user should know of the columns and of the parts.
    pub(crate) notices: Vec<String>,
    /// The labels of the training rows, one vector per label column.
    labels: Vec<Vec<u32>>,
}

impl<'t> Roles<'t> {
    /// Finds the columns that the configuration names. A table of only those that are wanted of all
    /// rows comes with a sample of rows with all columns.
    pub(crate) fn new(
        raw: Raw,
        sample: Option<(Raw, Vec<u32>)>,
        data: &'t config::Data,
        tasks: &'t [Task],
    ) -> anyhow::Result<Roles<'t>> {
        let whole = sample.as_ref().map_or(&raw, |(sample, _)| sample);
        check_columns(whole, data, tasks)?;
        let features = features(whole, data, tasks)?;
        let column = |name: &String| {
            raw.column(name).map(|at| LabelColumn::read(&View::new(&raw, at, NEVER), raw.rows))
        };
        let labels =
            tasks.iter().map(|task| task.targets.iter().filter_map(column).collect()).collect();
        let encoded = tasks.iter().map(|_| OnceCell::new()).collect();
        Ok(Roles { raw, sample, data, tasks, features, labels, encoded })
    }

    /// The files, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.raw.place
    }

    /// All columns of the files.
    pub(crate) fn names(&self) -> &[String] {
        self.sample.as_ref().map_or(&self.raw.names, |(sample, _)| &sample.names)
    }

    /// The table that features are fitted on, and where in it training rows are.
    fn fitted<'r>(&'r self, rows: &'r [u32]) -> (&'r Raw, Cow<'r, [u32]>) {
        let Some((sample, numbers)) = &self.sample else { return (&self.raw, Cow::Borrowed(rows)) };
        let there = (0..numbers.len() as u32)
            .filter(|&at| rows.binary_search(&numbers[at as usize]).is_ok());
        (sample, Cow::Owned(there.collect()))
    }

    /// The numbers of the rows of the table that features are fitted on, training rows or not, in
    /// the whole table.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let sample = self.sample.as_ref().map(|(_, numbers)| &numbers[..]);
        (0..sample.map_or(self.raw.rows, <[u32]>::len) as u32)
            .map(move |at| sample.map_or(at, |numbers| numbers[at as usize]))
    }

    /// Of the sample the training rows, encoded.
    pub(crate) fn fitted_on(&self, schema: &Schema, rows: &[u32]) -> anyhow::Result<Dataset> {
        let (table, rows) = self.fitted(rows);
        apply_rows(schema, table, &rows)
    }

    /// That features were not fitted on all training rows, where that is so.
    pub(crate) fn said_of_sample(&self, rows: &[u32]) -> Option<String> {
        let (fitted, all) = (self.fitted(rows).1.len(), rows.len());
        (fitted < all).then(|| {
            format!(
                "columns are fitted on a sample of {fitted} of {all} training rows, which \
                 data.memory has room for"
            )
        })
    }

    /// The column of the groups.
    pub(crate) fn group(&self) -> Option<View<'_>> {
        let at = self.data.group.as_ref().and_then(|name| self.raw.column(name))?;
        Some(View::new(&self.raw, at, self.data.missing.as_deref().unwrap_or(&EMPTY[..])))
    }

    /// That groups are equal in other words, where some are.
    fn said_of_groups(&self) -> anyhow::Result<Option<String>> {
        let Some(group) = self.group() else { return Ok(None) };
        let others = shares::all_grouped(&group, self.raw.rows, self.data.version)?.others;
        Ok(merged_notice(&format!("groups of column {}", quoted(group.name)), &others))
    }

    /// The labels of a task in all rows, training rows or not: its target as it were fitted on all
    /// of them, and one encoded vector per column.
    pub(crate) fn encoded_labels(&self, task: usize) -> anyhow::Result<&FittedLabels> {
        if let Some(known) = self.encoded[task].get() {
            return Ok(known);
        }
        let rows: Vec<u32> = (0..self.raw.rows as u32).collect();
        let (settings, meanings) = (&self.tasks[task], self.label_meanings(task));
        let fit =
            |labels: &Labels| labels::fit(settings, labels, &rows, &meanings, self.data.version);
        let fitted = self.with_labels(task, fit)?;
        Ok(self.encoded[task].get_or_init(|| fitted))
    }

    /// What the texts of the label columns of a task are taken for, by all rows.
    fn label_meanings(&self, task: usize) -> Vec<Meaning> {
        let rows: Vec<u32> = (0..self.raw.rows as u32).collect();
        let (data, columns) = (self.data, &self.labels[task]);
        let task = &self.tasks[task];
        let missing = task.missing.as_deref().or(data.missing.as_deref());
        let wishes =
            Wishes { missing, decimal: data.decimal, dates: data.dates, version: data.version };
        columns
            .iter()
            .map(|column| labels::meaning(task, column.tally(&rows).into_iter(), &wishes))
            .collect()
    }

    /// Does something with the labels of a task.
    fn with_labels<T>(&self, task: usize, act: impl FnOnce(&Labels) -> T) -> T {
        let locate =
            |column: usize, row: usize| locate(&self.raw, row, &self.tasks[task].targets[column]);
        act(&Labels {
            columns: self.labels[task].iter().collect(),
            place: &self.raw.place,
            locate: &locate,
        })
    }

    /// Fits the schema on the training rows.
    pub(crate) fn fit(
        &self,
        [rows, valid, _]: &[Vec<u32>; 3],
        reading: Reading,
    ) -> anyhow::Result<Fit> {
        let weights =
            self.data.row_weight.as_ref().filter(|_| self.tasks.iter().any(per_mean::is_wanted));
        let weights = weights.map(|name| weights_of(&self.raw, name, rows)).transpose()?;
        let (table, sample) = self.fitted(rows);
        if sample.is_empty() {
            let found = format!("a sample that takes {} bytes has no training row", table.bytes());
            return Err(Fault::config("data.memory", found).hint("give more memory").into());
        }
        let meanings = Meanings::of(self, table, &sample);
        let (mut targets, mut notices) = (Vec::with_capacity(self.tasks.len()), Vec::new());
        let mut encoded = Vec::new();
        for (number, (task, meanings)) in self.tasks.iter().zip(&meanings.labels).enumerate() {
            let fit =
                |labels: &Labels| labels::fit(task, labels, rows, meanings, self.data.version);
            let mut fitted = self.with_labels(number, fit)?;
            per_mean::fit(task, &mut fitted.target, &fitted.encoded, weights.as_deref());
            targets.push(fitted.target);
            encoded.extend(fitted.encoded);
            notices.extend(fitted.notices);
        }
        let (mut columns, mut dropped, by_name) = (Vec::new(), Vec::new(), Index::new(table));
        for (feature, meaning) in self.features.iter().zip(&meanings.features) {
            let Some(view) = by_name.view(&feature.column, &meaning.missing) else { continue };
            let view = view.written(meaning.notation, meaning.order);
            let is_named = self.data.features.iter().any(|given| given.column == feature.column);
            if self.data.version >= Version::V0_2
                && !is_named
                && index::is_index(&view, self.numbers())
            {
                dropped.push(format!(
                    "column {} {}: it is dropped",
                    quoted(&feature.column),
                    index::WHY
                ));
                continue;
            }
            let looked_at = Some(meaning).filter(|_| self.data.version >= Version::V0_2);
            let (fitted, said) = fit::fit(&view, &sample, feature, looked_at, self.data.version)?;
            notices.extend(said);
            match fitted {
                Fitted::Encoding(encoding) => {
                    columns.push(Column {
                        name: feature.column.clone(),
                        missing: meaning.missing.clone(),
                        encoding,
                    });
                }
                Fitted::Dropped(why) => {
                    dropped.push(format!("column {} {why}: it is dropped", quoted(&feature.column)))
                }
            }
        }
        if columns.is_empty() {
            let found = format!(
                "{} has no feature columns: all are labels, ignored or dropped{}",
                self.raw.place,
                first(&dropped)
            );
            return Err(Fault::config("data.train", found)
                .hint("keep at least one column that differs between rows")
                .into());
        }
        if let Some(more @ 1..) = dropped.len().checked_sub(MOST_DROPPED) {
            dropped.truncate(MOST_DROPPED);
            dropped.push(format!("{more} more columns are dropped"));
        }
        notices.splice(0..0, meanings.notices(self));
        notices.extend(self.said_of_groups()?);
        notices.extend(dropped);
        notices.extend(per_mean::notices(self.tasks, &targets));
        if self.data.split_column.is_some() && valid.is_empty() {
            notices.push(
                "no row says valid, so nothing is validated on and the model is that of the last \
                 epoch"
                    .to_owned(),
            );
        }
        // Where runs of before go on, what is kept of them stays as it was.
        let indices = self.raw.indices.filter(|_| self.data.version != Version::V0_1);
        let reading = Reading { indices, ..reading };
        let schema = Schema { reading, ..Schema::new(Input::Columns { columns }, targets) };
        Ok(Fit { schema, notices, labels: encoded })
    }

    /// Encodes some rows as the schema says.
    pub(crate) fn dataset(&self, schema: &Schema, rows: &[u32]) -> anyhow::Result<Dataset> {
        let labels = encoded(schema, &self.raw, &self.labels, rows)?;
        dataset(schema, &self.raw, labels, rows)
    }

    /// Encodes the training rows, whose labels were encoded when the schema was fitted.
    pub(crate) fn training_set(&self, fit: &mut Fit, rows: &[u32]) -> anyhow::Result<Dataset> {
        dataset(&fit.schema, &self.raw, std::mem::take(&mut fit.labels), rows)
    }
}

/// What the texts of all columns are taken for.
struct Meanings {
    /// One per column that may be a feature.
    features: Vec<Meaning>,
    /// One per label column of each task.
    labels: Vec<Vec<Meaning>>,
}

impl Meanings {
    /// Looks at all labels, and at the columns of a table for the features, of which `sample` are
    /// the training rows.
    fn of(roles: &Roles, table: &Raw, sample: &[u32]) -> Meanings {
        let (data, index) = (roles.data, Index::new(table));
        let of_feature = |feature: &Feature| {
            let wishes = Wishes {
                missing: feature.missing.as_deref().or(data.missing.as_deref()),
                decimal: feature.decimal.unwrap_or(data.decimal),
                dates: feature.dates.unwrap_or(data.dates),
                version: data.version,
            };
            let Some(texts) = index.view(&feature.column, NEVER).and_then(|view| view.texts())
            else {
                return Meaning::given(wishes.missing, Kind::Numbers);
            };
            // How a column is written does not depend on which of its rows are trained on; what it
            // is does, if not all rows agree.
            let whole = Meaning::of(texts.iter().map(|text| (text, 1)), &wishes);
            if whole.fits_all() {
                return whole;
            }
            let trained =
                Meaning::of(sample.iter().map(|&row| (texts.get(row as usize), 1)), &wishes);
            if trained.kind == whole.kind { whole } else { trained }
        };
        let mut all: Vec<Meaning> = roles.features.iter().map(of_feature).collect();
        (0..roles.tasks.len()).for_each(|task| all.extend(roles.label_meanings(task)));
        agree(&mut all, data.decimal, table.delimiter == Some(b';'));
        let mut labels = all.split_off(roles.features.len()).into_iter();
        let labels = roles
            .labels
            .iter()
            .map(|columns| labels.by_ref().take(columns.len()).collect())
            .collect();
        Meanings { features: all, labels }
    }

    /// What is to be said of them.
    fn notices(&self, roles: &Roles) -> Vec<String> {
        if roles.data.version < Version::V0_2 {
            return Vec::new();
        }
        let features = roles
            .features
            .iter()
            .zip(&self.features)
            .map(|(feature, meaning)| (&feature.column, meaning, true));
        let labels = roles.tasks.iter().zip(&self.labels).flat_map(|(task, meanings)| {
            let is_numeric = labels::is_numeric(task.kind);
            task.targets
                .iter()
                .zip(meanings)
                .map(move |(column, meaning)| (column, meaning, is_numeric))
        });
        let columns: Vec<(&String, &Meaning, bool)> = features.chain(labels).collect();
        let mut notices = meaning::blank_notices(
            columns.iter().map(|(column, meaning, _)| (column.as_str(), *meaning)),
        );
        notices.extend(
            columns
                .iter()
                .filter(|(.., is_read)| *is_read)
                .flat_map(|(column, meaning, _)| meaning.notices(column)),
        );
        notices
    }
}

fn first(notices: &[String]) -> String {
    notices.first().map_or(String::new(), |notice| format!(" ({notice})"))
}

/// What the configuration says of each column that is a feature, in the order of the table.
fn features(raw: &Raw, data: &config::Data, tasks: &[Task]) -> anyhow::Result<Vec<Feature>> {
    let is_target = |name: &String| tasks.iter().any(|task| task.targets.contains(name));
    let taken = |name: &String| {
        is_target(name)
            || data.ignore.contains(name)
            || data.row_columns().any(|(_, column)| column == name)
    };
    for feature in &data.features {
        let place = format!("feature.{}", feature.column);
        let labels = || {
            tasks.iter().flat_map(|task| &task.targets).map(String::as_str).collect::<Vec<&str>>()
        };
        raw.column(&feature.column)
            .ok_or_else(|| no_column(&place, &feature.column, raw, &labels()))?;
        if taken(&feature.column) {
            let found = format!(
                "{} is a label column, of rows or ignored, so it is no feature",
                quoted(&feature.column)
            );
            return Err(Fault::config(&place, found).hint("remove this table").into());
        }
    }
    let given: std::collections::HashMap<&str, &Feature> =
        data.features.iter().map(|f| (f.column.as_str(), f)).collect();
    let feature =
        |name: &String| given.get(name.as_str()).map_or_else(|| Feature::new(name), |&f| f.clone());
    let features = raw.names.iter().filter(|name| !taken(name)).map(feature);
    Ok(features.filter(|feature| feature.kind != Some(FeatureKind::Ignore)).collect())
}

/// Checks that the columns that the configuration names are there.
///
/// # Errors
/// 78 with the first that is not.
pub(crate) fn check_columns(raw: &Raw, data: &config::Data, tasks: &[Task]) -> anyhow::Result<()> {
    let labels: Vec<&str> =
        tasks.iter().flat_map(|task| &task.targets).map(String::as_str).collect();
    for (key, name) in
        data.ignore.iter().map(|name| ("data.ignore", name)).chain(data.row_columns())
    {
        raw.column(name).ok_or_else(|| no_column(key, name, raw, &labels))?;
    }
    for (task, name) in
        tasks.iter().flat_map(|task| task.targets.iter().map(move |name| (task, name)))
    {
        raw.column(name)
            .ok_or_else(|| no_column(&format!("task.{}.target", task.name), name, raw, &labels))?;
    }
    Ok(())
}

/// What to say of weights that leave nothing to train on.
pub(crate) fn all_zero(data: &config::Data, place: &str) -> Fault {
    let column = quoted(data.row_weight.as_deref().unwrap_or_default());
    let found = format!("column {column} of the training part holds no weight above 0");
    Fault::data(place, found).hint("give the rows that are to be trained on a weight above 0")
}
