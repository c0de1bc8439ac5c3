//! Names for the columns of arrays. An array has no names, and the name of its file means nothing,
//! so its columns are named after their places.
//!
//! The columns of a pair of arrays are `features.0`, `features.1`, …, and `labels`, or `labels.0`,
//! … if there are several. Where arrays of labels have names, their columns are `a`, or `a.0`, ….
//! The columns of a single array are `0`, `1`, …. The configuration may give other names. Settings
//! may also call a column after its file, such as `y_train` or `x_train0`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::config::{Data, FeatureKind, Source, Task, Version};
use crate::data::load::sources;
use crate::data::read::files::paths;
use crate::data::read::{ArrayReader, reader_of};
use crate::data::schema::columns::some;
use crate::data::table::arrays::Arrays;
use crate::data::table::options::stem;
use crate::data::table::raw::Raw;
use crate::data::{Reading, Schema};
use crate::fault::{Fault, quoted};

/// The columns of one array.
struct Columns {
    /// Their names.
    names: Vec<String>,
    /// Other names that settings may use: after their places, and after the file.
    places: Vec<String>,
    files: Vec<String>,
}

impl Columns {
    /// The columns of an array. `word` is `features` or `labels` in a pair of arrays, and `given`
    /// are the names in the configuration, if there are some.
    fn of(
        reader: &dyn ArrayReader,
        path: &Path,
        word: Option<&str>,
        given: &[String],
    ) -> anyhow::Result<Columns> {
        let stem = stem(path);
        let files = reader.column_names(path, &stem)?;
        let place = |at: usize| word.map_or(at.to_string(), |word| format!("{word}.{at}"));
        let mut places: Vec<String> = (0..files.len()).map(place).collect();
        let names = match (given, word, places.len()) {
            ([], Some(word), 1) if word != "features" => vec![word.to_owned()],
            ([], ..) => places.clone(),
            _ if given.len() == files.len() => given.to_vec(),
            (_, word, width) => {
                let key = format!(
                    "data.train.{}_names",
                    if word == Some("labels") { "label" } else { "feature" }
                );
                let found =
                    format!("{} names, {} has {width} columns", given.len(), path.display());
                return Err(Fault::config(&key, found)
                    .hint("give one name per column, in order")
                    .into());
            }
        };
        places.extend(word.filter(|_| files.len() == 1).map(str::to_owned));
        Ok(Columns { names, places, files })
    }
}

/// The columns of the arrays of the training data, which are one or two. None if the training data
/// are no arrays, or if their columns are named after files, as in tandem 0.1.0.
fn columns_of(data: &Data) -> anyhow::Result<Vec<Columns>> {
    let is_named = !(data.names.features.is_empty() && data.names.labels.is_empty());
    let of = |path: &Path, word: &str, given: &[String]| {
        let reader = reader_of(path)?.as_arrays();
        reader.map(|reader| Columns::of(reader, path, Some(word), given)).transpose()
    };
    if let Source::Arrays { features, labels } = &data.train {
        let features = of(features, "features", &data.names.features)?;
        let labels: Vec<Option<Columns>> =
            labels.iter().map(|(name, path)| of(path, name, &[])).collect::<anyhow::Result<_>>()?;
        return Ok(std::iter::once(features).chain(labels).flatten().collect());
    }
    if data.version == Version::V0_1 && !is_named {
        return Ok(Vec::new());
    }
    match &data.train {
        Source::Npy { features, labels } => {
            let features = of(features, "features", &data.names.features)?;
            let labels = of(labels, "labels", &data.names.labels)?;
            Ok(features.into_iter().chain(labels).collect())
        }
        Source::Table(_) if data.sentences.is_some() => Ok(Vec::new()),
        source @ Source::Table(_) => {
            let paths = paths(source)?;
            let Some(path) = paths.first() else { return Ok(Vec::new()) };
            match reader_of(path)?.as_arrays() {
                Some(reader) => Ok(vec![Columns::of(reader, path, None, &[])?]),
                None => Ok(Vec::new()),
            }
        }
        _ => Ok(Vec::new()),
    }
}

/// The names of the columns of the arrays that are trained on; `None` if there are no arrays.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed; 78 if there are more or fewer names than
/// columns.
pub fn arrays(data: &Data) -> anyhow::Result<Option<Arrays>> {
    let mut names = columns_of(data)?.into_iter().map(|columns| columns.names);
    let Some(features) = names.next() else { return Ok(None) };
    let labels: Vec<Vec<String>> = names.collect();
    let keys = match &data.train {
        Source::Arrays { labels: arrays, .. } => arrays
            .iter()
            .zip(&labels)
            .map(|((name, _), names)| (name.clone(), names.len()))
            .collect(),
        _ => Vec::new(),
    };
    Ok(Some(Arrays { features, labels: labels.concat(), keys }))
}

/// How the files for a model are read, given the settings of its training.
///
/// # Errors
/// The errors of [`arrays`].
pub fn reading(data: &Data) -> anyhow::Result<Reading> {
    let of_rows =
        data.row_columns().filter(|(key, _)| *key != "data.row_weight").map(|(_, name)| name);
    let ignored = data.features.iter().filter(|feature| feature.kind == Some(FeatureKind::Ignore));
    let aside = data.ignore.iter().chain(ignored.map(|feature| &feature.column)).chain(of_rows);
    let is_told = data.version != Version::V0_1;
    let reading = Reading {
        delimiter: data.delimiter,
        header: data.header,
        row_weight: data.row_weight.clone(),
        blank_words: data.missing.is_none() && is_told,
        aside: aside.filter(|_| is_told).cloned().collect(),
        indices: None,
        arrays: arrays(data)?,
        sentences: data.sentences.clone(),
        names: Vec::new(),
        optional: Vec::new(),
    };
    let optional = sources::optional(data, &reading.options())?;
    Ok(Reading { optional, ..reading })
}

/// Checks that a single array has labels, if the model was trained on a pair of arrays.
///
/// # Errors
/// 65 if it has exactly the columns of the array of features.
pub(crate) fn check_labels(schema: &Schema, raw: &Raw) -> anyhow::Result<()> {
    let Some(arrays) = schema.reading.arrays.as_ref().filter(|arrays| !arrays.labels.is_empty())
    else {
        return Ok(());
    };
    if raw.names != arrays.features
        || schema.target_names().iter().any(|name| raw.column(name).is_some())
    {
        return Ok(());
    }
    let found = format!(
        "the array of features has no labels, which the model was trained on as {}",
        some(&arrays.labels)
    );
    Err(Fault::data(&raw.place, found).hint(format!("give both: {}", with_labels(arrays))).into())
}

/// How the arrays for a model are given with their labels.
pub(crate) fn with_labels(arrays: &Arrays) -> String {
    let named: String = arrays.keys.iter().map(|(name, _)| format!(",{name}={name}.npy")).collect();
    let labels = if named.is_empty() { ",LABELS.npy" } else { &named };
    format!("--data FEATURES.npy{labels}")
}

/// Replaces the names of array columns in the settings, so that each column has only one. `None` if
/// there are no arrays.
///
/// # Errors
/// The errors of [`arrays`]; 78 if a column is named twice in a place that allows it once.
pub fn resolve(data: &Data, tasks: &[Task]) -> anyhow::Result<Option<(Data, Vec<Task>)>> {
    let arrays = columns_of(data)?;
    if arrays.is_empty() {
        return Ok(None);
    }
    // A name is looked for among names first, then among places, then among names after files; and
    // in each case among labels first, then among features.
    let lists: [fn(&Columns) -> &[String]; 3] = [|a| &a.names, |a| &a.places, |a| &a.files];
    let mut known: HashMap<&str, &str> = HashMap::new();
    for (list, array) in
        lists.iter().flat_map(|list| arrays.iter().rev().map(move |array| (list, array)))
    {
        // The last place of an array with a single column is its word, hence the cycle.
        for (alias, name) in list(array).iter().zip(array.names.iter().cycle()) {
            known.entry(alias).or_insert(name);
        }
    }
    let one = |name: &mut String| {
        if let Some(found) = known.get(name.as_str()) {
            (*found).clone_into(name);
        }
    };
    let (mut data, mut tasks) = (data.clone(), tasks.to_vec());
    data.ignore.iter_mut().for_each(one);
    let of_rows = [&mut data.row_weight, &mut data.split_column, &mut data.group];
    of_rows.into_iter().flatten().for_each(one);
    data.features.iter_mut().for_each(|feature| one(&mut feature.column));
    once(data.features.iter().map(|feature| &feature.column), "feature")?;
    for task in &mut tasks {
        task.targets.iter_mut().for_each(one);
        once(task.targets.iter(), &format!("task.{}.target", task.name))?;
    }
    Ok(Some((data, tasks)))
}

/// Checks that no name occurs twice.
fn once<'n>(names: impl Iterator<Item = &'n String>, key: &str) -> anyhow::Result<()> {
    let mut seen = HashSet::new();
    match names.into_iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(Fault::config(key, format!("names the column {} twice", quoted(name)))
            .hint(
                "a column of an array may be named after its place and after its file: choose one",
            )
            .into()),
        None => Ok(()),
    }
}
