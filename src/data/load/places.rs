//! Columns of arrays by their place: an array has no names, and what its file is called says
//! nothing.
//!
//! Of a pair the columns are `features.0`, `features.1`, … and `labels`, or `labels.0`, … where
//! there are several; those of a single array are `0`, `1`, …; unless the configuration names them.
//! It may name a column also after the file, as in `y_train` or `x_train0`.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::config::{Data, FeatureKind, Source, Task, Version};
use crate::data::read::files::paths;
use crate::data::read::{ArrayReader, reader_of};
use crate::data::schema::columns::some;
use crate::data::table::arrays::Arrays;
use crate::data::table::options::stem;
use crate::data::table::raw::Raw;
use crate::data::{Reading, Schema};
use crate::fault::{Fault, quoted};

/// Columns of one array.
struct Columns {
    /// What they are called.
    names: Vec<String>,
    /// What they are called as well: after their place, or after the file.
    places: Vec<String>,
    files: Vec<String>,
}

impl Columns {
    /// Of an array that is `word` of a pair, or the single one.
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
            ([], Some("labels"), 1) => vec!["labels".to_owned()],
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

/// The arrays of the training data, one or two; none where it is no array, or its columns bear the
/// names of files as they once did.
fn of(data: &Data) -> anyhow::Result<Vec<Columns>> {
    let is_named = !(data.names.features.is_empty() && data.names.labels.is_empty());
    if data.version == Version::V0_1 && !is_named {
        return Ok(Vec::new());
    }
    match &data.train {
        Source::Npy { features, labels } => {
            let of = |path: &Path, word: &str, given: &[String]| {
                let reader = reader_of(path)?.as_arrays();
                reader.map(|reader| Columns::of(reader, path, Some(word), given)).transpose()
            };
            let features = of(features, "features", &data.names.features)?;
            let labels = of(labels, "labels", &data.names.labels)?;
            Ok(features.into_iter().chain(labels).collect())
        }
        source @ Source::Table(_) => {
            let paths = paths(source)?;
            let Some(path) = paths.first() else { return Ok(Vec::new()) };
            match reader_of(path)?.as_arrays() {
                Some(reader) => Ok(vec![Columns::of(reader, path, None, &[])?]),
                None => Ok(Vec::new()),
            }
        }
        Source::Idx { .. } | Source::BuiltIn(_) => Ok(Vec::new()),
    }
}

/// Names of the columns of the arrays that are trained on; `None` where no array is.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed; 78 if there are more or fewer names than
/// columns.
pub fn arrays(data: &Data) -> anyhow::Result<Option<Arrays>> {
    let mut names = of(data)?.into_iter().map(|columns| columns.names);
    let features = names.next();
    Ok(features.map(|features| Arrays { features, labels: names.next().unwrap_or_default() }))
}

/// How files of a model are read, as the settings of its training say.
///
/// # Errors
/// Those of [`arrays`].
pub fn reading(data: &Data) -> anyhow::Result<Reading> {
    let of_rows =
        data.row_columns().filter(|(key, _)| *key != "data.row_weight").map(|(_, name)| name);
    let ignored = data.features.iter().filter(|feature| feature.kind == Some(FeatureKind::Ignore));
    let aside = data.ignore.iter().chain(ignored.map(|feature| &feature.column)).chain(of_rows);
    let is_told = data.version != Version::V0_1;
    Ok(Reading {
        delimiter: data.delimiter,
        header: data.header,
        row_weight: data.row_weight.clone(),
        blank_words: data.missing.is_none() && is_told,
        aside: aside.filter(|_| is_told).cloned().collect(),
        indices: None,
        arrays: arrays(data)?,
    })
}

/// That a single array has labels, where a model was trained on a pair.
///
/// # Errors
/// 65 if it holds as many columns as the array of features, which have no label among them.
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
    Err(Fault::data(&raw.place, found).hint("give both: --data FEATURES.npy,LABELS.npy").into())
}

/// Settings in which each column of an array has its one name; `None` if there is no array.
///
/// # Errors
/// Those of [`arrays`]; 78 if one column is named twice where it may stand once.
pub fn resolve(data: &Data, tasks: &[Task]) -> anyhow::Result<Option<(Data, Vec<Task>)>> {
    let arrays = of(data)?;
    if arrays.is_empty() {
        return Ok(None);
    }
    // A name is taken for what comes first: itself, a place, what a file is called; of equals,
    // labels go before features.
    let lists: [fn(&Columns) -> &[String]; 3] = [|a| &a.names, |a| &a.places, |a| &a.files];
    let mut known: HashMap<&str, &str> = HashMap::new();
    for (list, array) in
        lists.iter().flat_map(|list| arrays.iter().rev().map(move |array| (list, array)))
    {
        // Of one column the last place is the word of its array.
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
