//! The role of each column of a table: a feature, a label, or a column that describes rows.

use std::borrow::Cow;
use std::cell::OnceCell;

use crate::config::{self, Feature, FeatureKind, Sentences, Task, Version};
use crate::data::encode::fit::{self, Fitted};
use crate::data::encode::labels::{self, FittedLabels, LabelColumn, Labels};
use crate::data::encode::once::once_a_sentence;
use crate::data::encode::per_mean;
use crate::data::encode::tags;
use crate::data::load::apply::{NEVER, apply_rows, dataset, encoded, locate, weights_of};
use crate::data::load::tokens;
use crate::data::schema::columns::no_column;
use crate::data::split::shares;
use crate::data::table::index;
use crate::data::table::raw::Raw;
use crate::data::table::view::{ByName, View};
use crate::data::value::alike::respelt_notice;
use crate::data::value::meaning::{self, Meaning, TextKind, TextSettings, agree_on_decimal_sign};
use crate::data::{Column, Dataset, Input, Reading, Schema, Target};
use crate::fault::{Fault, quoted};

/// The only text that means "blank" if the configuration names no others.
static EMPTY: [String; 1] = [String::new()];

/// The largest number of dropped columns that get a notice of their own.
const MOST_DROPPED: usize = 20;

/// A table with the roles of its columns.
pub(crate) struct Roles<'t> {
    pub(crate) raw: Raw,
    /// Some rows with all columns, and their numbers, if `raw` has only labels and columns that
    /// describe rows.
    sample: Option<(Raw, Vec<u32>)>,
    pub(crate) data: &'t config::Data,
    pub(crate) tasks: &'t [Task],
    /// The settings of each column that may be a feature.
    features: Vec<Feature>,
    /// Per task, the cells of its label columns.
    pub(crate) labels: Vec<Vec<LabelColumn>>,
    /// Per task, the labels of all rows, encoded when they are first asked for.
    encoded: Vec<OnceCell<FittedLabels>>,
}

/// Everything that is fitted on the training part.
pub(crate) struct Fit {
    pub(crate) schema: Schema,
    /// What the user should know about the columns and the parts.
    pub(crate) notices: Vec<String>,
    /// The labels of the training rows, one vector per label column.
    pub(crate) labels: Vec<Vec<u32>>,
}

impl<'t> Roles<'t> {
    /// Finds the columns that the configuration names. `sample` is given if `raw` does not have all
    /// columns: some rows with all columns, and their numbers.
    pub(crate) fn new(
        raw: Raw,
        sample: Option<(Raw, Vec<u32>)>,
        data: &'t config::Data,
        tasks: &'t [Task],
    ) -> anyhow::Result<Roles<'t>> {
        let whole = sample.as_ref().map_or(&raw, |(sample, _)| sample);
        check_columns(whole, data, tasks)?;
        let features = features(whole, data, tasks)?;
        let column = |task: &Task, name: &String| -> Option<anyhow::Result<LabelColumn>> {
            let at = raw.column(name)?;
            let mut column = LabelColumn::read(&View::new(&raw, at, NEVER), raw.rows);
            let once = task.pool.map(|_| once_a_sentence(&raw, name, &mut column));
            Some(once.unwrap_or(Ok(())).map(|()| column).map_err(anyhow::Error::from))
        };
        let of_task = |task: &Task| task.targets.iter().filter_map(|n| column(task, n)).collect();
        let labels = tasks.iter().map(of_task).collect::<anyhow::Result<_>>()?;
        let encoded = tasks.iter().map(|_| OnceCell::new()).collect();
        Ok(Roles { raw, sample, data, tasks, features, labels, encoded })
    }

    /// The files, for messages.
    pub(crate) fn place(&self) -> &str {
        &self.raw.place
    }

    /// The names of all columns of the files.
    pub(crate) fn names(&self) -> &[String] {
        self.sample.as_ref().map_or(&self.raw.names, |(sample, _)| &sample.names)
    }

    /// The table that features are fitted on, and the positions of training rows in it.
    fn fitted_table<'r>(&'r self, rows: &'r [u32]) -> (&'r Raw, Cow<'r, [u32]>) {
        let Some((sample, numbers)) = &self.sample else { return (&self.raw, Cow::Borrowed(rows)) };
        let there = (0..numbers.len() as u32)
            .filter(|&at| rows.binary_search(&numbers[at as usize]).is_ok());
        (sample, Cow::Owned(there.collect()))
    }

    /// The numbers, in the whole table, of all rows of the table that features are fitted on.
    fn numbers(&self) -> impl Iterator<Item = u32> {
        let sample = self.sample.as_ref().map(|(_, numbers)| &numbers[..]);
        (0..sample.map_or(self.raw.rows, <[u32]>::len) as u32)
            .map(move |at| sample.map_or(at, |numbers| numbers[at as usize]))
    }

    /// Encodes the training rows of the table that features are fitted on.
    pub(crate) fn fitted_rows(&self, schema: &Schema, rows: &[u32]) -> anyhow::Result<Dataset> {
        let (table, rows) = self.fitted_table(rows);
        apply_rows(schema, table, &rows)
    }

    /// A notice that features are not fitted on all training rows, if they are not.
    pub(crate) fn sample_notice(&self, rows: &[u32]) -> Option<String> {
        let (fitted, all) = (self.fitted_table(rows).1.len(), rows.len());
        (fitted < all).then(|| {
            format!(
                "columns are fitted on a sample of {fitted} of {all} training rows, which \
                 data.memory has room for"
            )
        })
    }

    /// The column that names groups, if there is one.
    pub(crate) fn group(&self) -> Option<View<'_>> {
        let at = self.data.group_column().and_then(|name| self.raw.column(name))?;
        Some(View::new(&self.raw, at, self.data.missing.as_deref().unwrap_or(&EMPTY[..])))
    }

    /// A notice about groups that have several spellings, if there are some.
    fn groups_notice(&self) -> anyhow::Result<Option<String>> {
        let Some(group) = self.group().filter(|_| self.data.group.is_some()) else {
            return Ok(None);
        };
        let respelt = shares::group_values(&group, self.raw.rows, self.data.version)?.respelt;
        Ok(respelt_notice(&format!("groups of column {}", quoted(group.name)), &respelt))
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

    /// What the texts of the label columns of a task are taken for, judging by all rows.
    fn label_meanings(&self, task: usize) -> Vec<Meaning> {
        let rows: Vec<u32> = (0..self.raw.rows as u32).collect();
        let (data, columns) = (self.data, &self.labels[task]);
        let task = &self.tasks[task];
        let missing = task.missing.as_deref().or(data.missing.as_deref());
        let settings = TextSettings {
            missing,
            decimal: data.decimal,
            dates: data.dates,
            version: data.version,
        };
        columns
            .iter()
            .map(|column| labels::meaning(task, column.tally(&rows).into_iter(), &settings))
            .collect()
    }

    /// Calls `act` with the labels of a task.
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
    pub(crate) fn fit(&self, rows: &[Vec<u32>; 3], reading: Reading) -> anyhow::Result<Fit> {
        self.fit_beside(rows, reading, None)
    }

    /// Fits the schema on the training rows; with `images`, features are these and no columns.
    pub(crate) fn fit_beside(
        &self,
        [rows, valid, _]: &[Vec<u32>; 3],
        reading: Reading,
        images: Option<Input>,
    ) -> anyhow::Result<Fit> {
        let weights =
            self.data.row_weight.as_ref().filter(|_| self.tasks.iter().any(per_mean::is_wanted));
        let weights = weights.map(|name| weights_of(&self.raw, name, rows)).transpose()?;
        let (table, sample) = self.fitted_table(rows);
        if sample.is_empty() {
            let found = format!("a sample that takes {} bytes has no training row", table.bytes());
            return Err(Fault::config("data.memory", found).hint("give more memory").into());
        }
        let meanings = Meanings::of(self, table, &sample);
        let labels = self.fit_labels(rows, &meanings, weights.as_deref())?;
        let features = match images {
            Some(_) => FittedFeatures::default(),
            None => {
                let labels = reading.arrays.as_ref().map_or(&[][..], |arrays| &arrays.labels);
                self.fit_features(table, &sample, &meanings, labels)?
            }
        };
        let mut notices = meanings.notices(self);
        notices.extend(labels.notices);
        notices.extend(features.notices);
        notices.extend(self.groups_notice()?);
        notices.extend(shortened(features.dropped));
        notices.extend(per_mean::notices(self.tasks, &labels.targets));
        if self.data.split_column.is_some() && valid.is_empty() {
            notices.push(
                "no row says valid, so nothing is validated on and the model is that of the last \
                 epoch"
                    .to_owned(),
            );
        }
        // A run of tandem 0.1.0 that is resumed keeps its schema as it was.
        let indices = self.raw.indices.filter(|_| self.data.version != Version::V0_1);
        let names = self.data.sentences.as_ref().map(|_| self.names().to_vec());
        let reading = Reading { indices, names: names.unwrap_or_default(), ..reading };
        let input = images.unwrap_or(Input::Columns { columns: features.columns });
        let schema = Schema { reading, ..Schema::new(input, labels.targets) };
        Ok(Fit { schema, notices, labels: labels.encoded })
    }

    /// Fits the target of each task. `weights` are the weights of `rows`, if a task needs them.
    fn fit_labels(
        &self,
        rows: &[u32],
        meanings: &Meanings,
        weights: Option<&[f32]>,
    ) -> anyhow::Result<FittedTargets> {
        let mut all = FittedTargets::default();
        for (number, (task, meanings)) in self.tasks.iter().zip(&meanings.labels).enumerate() {
            let fit =
                |labels: &Labels| labels::fit(task, labels, rows, meanings, self.data.version);
            let mut fitted = self.with_labels(number, fit)?;
            per_mean::fit(task, &mut fitted.target, &fitted.encoded, weights);
            if let [labels] = &fitted.encoded[..] {
                let told = tags::settle(task, &mut fitted.target, labels, &self.raw, rows);
                fitted.notices.extend(told);
            }
            fitted.target.open = self.data.sentences.is_some() && task.kind.has_logits_of_classes();
            all.targets.push(fitted.target);
            all.encoded.extend(fitted.encoded);
            all.notices.extend(fitted.notices);
        }
        Ok(all)
    }

    /// Fits each column that may be a feature on the rows `sample` of `table`. Columns of an array
    /// of labels are none.
    ///
    /// # Errors
    /// 65 if a cell does not fit its column; 78 if no column is left, or settings name a column of
    /// an array of labels.
    fn fit_features(
        &self,
        table: &Raw,
        sample: &[u32],
        meanings: &Meanings,
        labels: &[String],
    ) -> anyhow::Result<FittedFeatures> {
        let (mut all, by_name) = (FittedFeatures::default(), ByName::new(table));
        let is_today = self.data.version >= Version::V0_2;
        for (feature, meaning) in self.features.iter().zip(&meanings.features) {
            let Some(view) = by_name.view(&feature.column, &meaning.missing) else { continue };
            let view = view.written(meaning.notation, meaning.order);
            let is_named = self.data.features.iter().any(|given| given.column == feature.column);
            let name = quoted(&feature.column);
            if labels.contains(&feature.column) {
                if is_named {
                    let place = format!("feature.{}", feature.column);
                    let found = format!("{name} is a column of an array of labels");
                    let hint = "remove this table, or put the column into the array of features";
                    return Err(Fault::config(&place, found).hint(hint).into());
                }
                all.dropped.push(format!(
                    "column {name} of an array of labels is learned by no task: it is dropped"
                ));
                continue;
            }
            if is_today && !is_named && index::is_index(&view, self.numbers()) {
                all.dropped.push(format!("column {name} {}: it is dropped", index::WHY));
                continue;
            }
            // Pieces of words are no numbers: "3." and "3" are two of them.
            let sentences = self.data.sentences.as_ref();
            let is_word = sentences.is_some_and(|s| s.is_derived(&feature.column));
            let meaning_today = Some(meaning).filter(|_| is_today && !is_word);
            let (fitted, notice) =
                fit::fit(&view, sample, feature, meaning_today, self.data.version)?;
            all.notices.extend(notice);
            match fitted {
                Fitted::Encoding(encoding) => {
                    let (name, missing) = (feature.column.clone(), meaning.missing.clone());
                    let window = feature.window.unwrap_or(0);
                    all.columns.push(Column { name, missing, window, encoding });
                }
                Fitted::Dropped(why) => {
                    all.dropped.push(format!("column {name} {why}: it is dropped"))
                }
            }
        }
        if self.data.sentences.is_some() && !all.columns.is_empty() {
            all.columns.insert(0, Column::span());
        }
        if all.columns.is_empty() {
            let found = format!(
                "{} has no feature columns: all are labels, ignored or dropped{}",
                self.raw.place,
                first(&all.dropped)
            );
            return Err(Fault::config("data.train", found)
                .hint("keep at least one column that differs between rows")
                .into());
        }
        Ok(all)
    }

    /// Encodes some rows as the schema says.
    pub(crate) fn dataset(&self, schema: &Schema, rows: &[u32]) -> anyhow::Result<Dataset> {
        let labels = encoded(schema, &self.raw, &self.labels, rows)?;
        dataset(schema, &self.raw, labels, rows)
    }

    /// Encodes the training rows, whose labels were encoded when the schema was fitted.
    pub(crate) fn training_set(&self, fit: &mut Fit, rows: &[u32]) -> anyhow::Result<Dataset> {
        dataset(&fit.schema, &self.raw, std::mem::take(&mut fit.labels).into(), rows)
    }
}

/// The targets of all tasks, as they were fitted.
#[derive(Default)]
struct FittedTargets {
    targets: Vec<Target>,
    /// The labels of the training rows, one vector per label column.
    encoded: Vec<Vec<u32>>,
    notices: Vec<String>,
}

/// The feature columns, as they were fitted.
#[derive(Default)]
struct FittedFeatures {
    columns: Vec<Column>,
    /// One notice per column that was dropped.
    dropped: Vec<String>,
    notices: Vec<String>,
}

/// The first notices about dropped columns, and the number of further ones.
fn shortened(mut dropped: Vec<String>) -> Vec<String> {
    if let Some(more @ 1..) = dropped.len().checked_sub(MOST_DROPPED) {
        dropped.truncate(MOST_DROPPED);
        dropped.push(format!("{more} more columns are dropped"));
    }
    dropped
}

/// What the texts of all columns are taken for.
struct Meanings {
    /// One meaning per column that may be a feature.
    features: Vec<Meaning>,
    /// One meaning per label column of each task.
    labels: Vec<Vec<Meaning>>,
}

impl Meanings {
    /// Finds the meanings of all label columns, and of the feature columns of `table`, whose
    /// training rows are `sample`.
    fn of(roles: &Roles, table: &Raw, sample: &[u32]) -> Meanings {
        let (data, index) = (roles.data, ByName::new(table));
        let of_feature = |feature: &Feature| {
            let settings = TextSettings {
                missing: feature.missing.as_deref().or(data.missing.as_deref()),
                decimal: feature.decimal.unwrap_or(data.decimal),
                dates: feature.dates.unwrap_or(data.dates),
                version: data.version,
            };
            let Some(texts) = index.view(&feature.column, NEVER).and_then(|view| view.texts())
            else {
                return Meaning::given(settings.missing, TextKind::Numbers);
            };
            // How a column is written is judged by all rows, so that it does not depend on the
            // split. What it holds is judged by the training rows, if not all rows agree.
            let whole = Meaning::of(texts.iter().map(|text| (text, 1)), &settings);
            if whole.fits_all() {
                return whole;
            }
            let trained =
                Meaning::of(sample.iter().map(|&row| (texts.get(row as usize), 1)), &settings);
            if trained.kind == whole.kind { whole } else { trained }
        };
        let mut all: Vec<Meaning> = roles.features.iter().map(of_feature).collect();
        (0..roles.tasks.len()).for_each(|task| all.extend(roles.label_meanings(task)));
        agree_on_decimal_sign(&mut all, data.decimal, table.delimiter == Some(b';'));
        let mut labels = all.split_off(roles.features.len()).into_iter();
        let labels = roles
            .labels
            .iter()
            .map(|columns| labels.by_ref().take(columns.len()).collect())
            .collect();
        Meanings { features: all, labels }
    }

    /// Notices about blanks, and about how numbers and dates are written.
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

/// The first notice in parentheses, if there is one.
fn first(notices: &[String]) -> String {
    notices.first().map_or(String::new(), |notice| format!(" ({notice})"))
}

/// The settings of each column that is a feature, in the order of the table.
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
    if let Some(sentences) = &data.sentences {
        let features = tokens::features(sentences, data);
        check_words(sentences, &features, tasks)?;
        if data.ignore.contains(&sentences.word) && !features.is_empty() {
            let found =
                format!("{} is the column of words, and no feature", quoted(&sentences.word));
            return Err(Fault::config("data.ignore", found)
                .hint(format!("name what is made of it, such as \"{}.lower\"", sentences.word))
                .into());
        }
        return features.into_iter().map(tokens::with_vectors).collect();
    }
    let given: std::collections::HashMap<&str, &Feature> =
        data.features.iter().map(|f| (f.column.as_str(), f)).collect();
    let feature =
        |name: &String| given.get(name.as_str()).map_or_else(|| Feature::new(name), |&f| f.clone());
    let features = raw.names.iter().filter(|name| !taken(name)).map(feature);
    let features = features.filter(|feature| feature.kind != Some(FeatureKind::Ignore));
    features.map(tokens::with_vectors).collect()
}

/// Checks that no task learns the word that features are made of, nor one of these.
///
/// # Errors
/// 78 with the first such task.
fn check_words(sentences: &Sentences, features: &[Feature], tasks: &[Task]) -> Result<(), Fault> {
    let derived = sentences.derived();
    let of_word = features.iter().find(|feature| derived.contains(&feature.column));
    for (task, target) in tasks.iter().flat_map(|task| task.targets.iter().map(move |t| (task, t)))
    {
        let own = features.iter().find(|feature| feature.column == *target);
        let Some(feature) = own.or(of_word.filter(|_| *target == sentences.word)) else { continue };
        let found = format!(
            "the label {} is what the feature {} is made of",
            quoted(target),
            quoted(&feature.column)
        );
        return Err(Fault::config(&format!("task.{}.target", task.name), found)
            .hint("name the column of words in data.word, or leave features out by data.ignore"));
    }
    Ok(())
}

/// Checks that the table has all columns that the configuration names.
///
/// # Errors
/// 78 with the first column that is missing.
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

/// The error for weights that leave nothing to train on.
pub(crate) fn all_zero(data: &config::Data, place: &str) -> Fault {
    let column = quoted(data.row_weight.as_deref().unwrap_or_default());
    let found = format!("column {column} of the training part holds no weight above 0");
    Fault::data(place, found).hint("give the rows that are to be trained on a weight above 0")
}
