//! Places that rows come from: `data.train`, `data.valid`, `data.test`.

use std::path::{Path, PathBuf};

use super::image_files;
use super::keys::alike::{alike, choices};
use super::keys::form::{Form, path, write_path};
use super::keys::item::{Item, Result};
use super::keys::section::Section;
use super::keys::toml::{inline_table, list, quote, texts};
use super::keys::{Keyed, Pass, entries, names, read};
use crate::fault::{Fault, quoted};

/// Data sets that the program carries with it; each has its own training, validation and test part.
pub const BUILT_IN: &[&str] = &["digits-overlay"];

/// A place that rows come from. Paths are absolute, so that a configuration means the same from
/// every directory.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// Files of rows and columns, or patterns such as `part-*.csv`, read as one; the format of each
    /// is that of its ending.
    Table(Vec<PathBuf>),
    /// Two arrays with one row per row of data; their columns are known by their place.
    Npy {
        /// Array of numbers.
        features: PathBuf,
        /// Array of labels.
        labels: PathBuf,
    },
    /// An array of features and several of labels, each with a name.
    Arrays {
        /// Array of numbers.
        features: PathBuf,
        /// (name, array of labels), in order; the columns have the name of their array.
        labels: Vec<(String, PathBuf)>,
    },
    /// IDX images with IDX labels (MNIST format, plain or gzip).
    Idx {
        /// Images, `u8`, `[N, H, W]`.
        images: PathBuf,
        /// Labels, `u8`, `[N]`.
        labels: PathBuf,
    },
    /// A built-in set by name, one of [`BUILT_IN`].
    BuiltIn(String),
    /// A folder with a subfolder of PNG and JPEG files per class.
    Folder(PathBuf),
    /// PNG and JPEG files, with a table of their paths and labels.
    Listed {
        /// The folder that the paths start at.
        images: PathBuf,
        /// The table.
        labels: PathBuf,
        /// Its column of paths.
        path: String,
    },
    /// Tables of their own for some of the tasks: `[[source]]`. Their rows are those of one table
    /// with the columns of all.
    Several(Vec<TaskSource>),
}

impl Source {
    /// Whether its rows have columns, which are features.
    pub fn has_columns(&self) -> bool {
        let is_pair = matches!(self, Source::Npy { .. } | Source::Arrays { .. });
        is_pair || matches!(self, Source::Table(_) | Source::Several(_))
    }

    /// Whether labels stand in the columns of a table.
    pub fn has_label_columns(&self) -> bool {
        self.has_columns() || matches!(self, Source::Listed { .. })
    }

    /// Whether its rows are PNG and JPEG files.
    pub fn has_image_files(&self) -> bool {
        matches!(self, Source::Folder(_) | Source::Listed { .. })
    }

    /// Whether its rows are images.
    pub fn has_images(&self) -> bool {
        !self.has_columns()
    }

    /// Why keys about columns of features mean nothing for it.
    pub(super) fn no_columns(&self) -> &'static str {
        if matches!(self, Source::Listed { .. }) { image_files::PIXELS } else { NO_COLUMNS }
    }

    /// Whether one of its files is a text of lines and cells.
    pub(super) fn has_text(&self) -> bool {
        let is_text = |path: &PathBuf| ends_with(&path.to_string_lossy(), TEXT);
        match self {
            Source::Table(paths) => paths.iter().any(is_text),
            Source::Listed { labels, .. } => is_text(labels),
            Source::Several(sources) => {
                sources.iter().any(|source| source.train.iter().any(is_text))
            }
            _ => false,
        }
    }

    /// The sources of `[[source]]`; empty if rows come from elsewhere.
    pub fn several(&self) -> &[TaskSource] {
        if let Source::Several(sources) = self { sources } else { &[] }
    }
}

/// `[[source]]`: a table of its own, and the tasks that it labels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskSource {
    /// Name in messages; by default that of its first file, without the ending.
    pub name: String,
    /// Files, or patterns of files, whose rows train, or are split.
    pub train: Vec<PathBuf>,
    /// Files whose rows validate; empty = none.
    pub valid: Vec<PathBuf>,
    /// Files whose rows test; empty = none.
    pub test: Vec<PathBuf>,
    /// Names of the tasks that its rows label.
    pub tasks: Vec<String>,
    /// Weight of the source in the drawing of rows; `None` = 1, or as `data.sampling` says.
    pub weight: Option<f64>,
    /// Label columns of the tasks that it does not label: their cells count as blank.
    pub hidden: Vec<String>,
}

impl TaskSource {
    /// Whether it has files of its own to validate or to test on; then it is not split.
    pub fn has_parts(&self) -> bool {
        !(self.valid.is_empty() && self.test.is_empty())
    }
}

/// Names of the columns of a pair of arrays; none = columns are named after their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayNames {
    /// Names of the columns of the features.
    pub features: Vec<String>,
    /// Names of the columns of the labels.
    pub labels: Vec<String>,
}

/// Why keys about columns mean nothing for images.
pub(super) const NO_COLUMNS: &str = "only tables have columns";
/// What a source can be.
pub(super) const FORMATS: &str = concat!(
    "a table (.csv, .tsv, .txt, .csv.gz, .tsv.gz, .parquet and others), a list of tables, ",
    "{ images = \"…\", labels = \"…\" } (IDX), { features = \"…\", labels = \"…\" } (NPY), ",
    "{ features = \"…\", labels = { a = \"…\", b = \"…\" } } (NPY), ",
    "{ folder = \"…\" } or { images = \"…\", labels = \"…\", path = \"COLUMN\" } (PNG and JPEG), ",
    "or built in: digits-overlay"
);
/// Endings of text files of lines and cells.
const TEXT: &[&str] =
    &[".csv", ".tsv", ".txt", ".data", ".csv.gz", ".tsv.gz", ".txt.gz", ".data.gz"];
/// Whether a name has one of these endings, in any case.
fn ends_with(name: &str, endings: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// `data.train`, with the names of its columns.
pub(super) fn train(base: &Path) -> impl Form<(Source, ArrayNames)> {
    let read = move |item: Item| {
        let mut names = ArrayNames::default();
        let source = source(item, base, Some(&mut names))?;
        Ok((source, names))
    };
    (read, |(source, names): &(Source, ArrayNames)| write(source, names))
}

/// `data.valid` and `data.test`, which have the format of the training part.
pub(super) fn part(base: &Path, train: &Source) -> impl Form<Source> {
    let read = move |item: Item| {
        let place = Item { path: item.path.clone(), value: item.value.clone() };
        let source = source(item, base, None)?;
        match std::mem::discriminant(&source) == std::mem::discriminant(train) {
            true => in_order(&place, source, train),
            false => Err(place
                .fault(format!("is {}, while data.train is {}", format(&source), format(train)))
                .hint("give all parts one format")),
        }
    };
    (read, |source: &Source| write(source, &ArrayNames::default()))
}

/// Arrays of labels in the order that they have in the training part.
fn in_order(place: &Item, source: Source, train: &Source) -> Result<Source> {
    let (Source::Arrays { features, labels }, Source::Arrays { labels: known, .. }) =
        (&source, train)
    else {
        return Ok(source);
    };
    let names = |labels: &[(String, PathBuf)]| -> Vec<String> {
        labels.iter().map(|(name, _)| name.clone()).collect()
    };
    let (ours, theirs) = (names(labels), names(known));
    if let Some(stray) = ours.iter().find(|name| !theirs.contains(name)) {
        let found = format!("has labels {}, which data.train has not", quoted(stray));
        let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
        return Err(place.fault(found).hint(choices(stray, &theirs)));
    }
    let find = |name: &String| labels.iter().find(|(ours, _)| ours == name).cloned();
    let lacking = theirs.iter().find(|name| !ours.contains(name));
    match (lacking, theirs.iter().filter_map(find).collect()) {
        (Some(name), _) => Err(place
            .fault(format!("has no labels {}, which data.train has", quoted(name)))
            .hint("give every part the same arrays of labels")),
        (None, labels) => Ok(Source::Arrays { features: features.clone(), labels }),
    }
}

/// The name of a source's format.
fn format(source: &Source) -> &'static str {
    match source {
        Source::Table(_) => "a table",
        Source::Npy { .. } => "a pair of NPY files",
        Source::Arrays { .. } => "NPY files with named labels",
        Source::Idx { .. } => "a pair of IDX files",
        Source::BuiltIn(_) => "a built-in set",
        Source::Folder(_) => "a folder of images",
        Source::Listed { .. } => "images with a table of paths",
        Source::Several(_) => "several tables",
    }
}

fn write(source: &Source, names: &ArrayNames) -> String {
    let base = Path::new("");
    match source {
        Source::Table(files) => write_tables(files),
        Source::Npy { .. } | Source::Arrays { .. } => {
            let (features, labels) = match source {
                Source::Arrays { features, labels } => {
                    (features, LabelArrays::Named(labels.clone()))
                }
                Source::Npy { features, labels } => (features, LabelArrays::One(labels.clone())),
                _ => return String::new(),
            };
            let features = features.clone();
            inline_table(&entries(&mut Arrays {
                features,
                labels,
                names: names.clone(),
                base,
                has_names: true,
            }))
        }
        Source::Idx { images, labels } => {
            let (images, labels) = (images.clone(), labels.clone());
            inline_table(&entries(&mut Images { images, labels, base }))
        }
        Source::BuiltIn(name) => quote(name),
        Source::Folder(folder) => image_files::write_folder(folder),
        Source::Listed { images, labels, path } => image_files::write_listed(images, labels, path),
        // These are tables of the configuration, not a value of it.
        Source::Several(_) => String::new(),
    }
}

fn write_tables(files: &[PathBuf]) -> String {
    match files {
        [one] => write_path(one),
        several => list(&several.iter().map(|file| write_path(file)).collect::<Vec<_>>()),
    }
}

/// The files of one table: a path, a pattern, or a list of these; `expected` says what they can be.
pub(super) fn tables(base: &Path, expected: &'static str) -> impl Form<Vec<PathBuf>> {
    let read = move |item: Item| {
        if item.value.is_array() {
            return files(&item, base);
        }
        match item.value.as_str() {
            Some(text) if !BUILT_IN.contains(&text) => file(&item, base).map(|path| vec![path]),
            _ => Err(item.wrong(expected)),
        }
    };
    (read, |files: &Vec<PathBuf>| write_tables(files))
}

/// A path or several, a built-in name, a pair of IDX or NPY files, or image files. `names` is
/// `None` where columns cannot be named.
fn source(item: Item, base: &Path, names: Option<&mut ArrayNames>) -> Result<Source> {
    if item.value.is_table() {
        return if has_arrays(&item) {
            arrays(item, base, names)
        } else if image_files::is_folder(&item) {
            image_files::folder(item, base).map(Source::Folder)
        } else if image_files::is_listed(&item) {
            let (images, labels, path) = image_files::listed(item, base)?;
            Ok(Source::Listed { images, labels, path })
        } else {
            images(item, base)
        };
    }
    if item.value.is_array() {
        return files(&item, base).map(Source::Table);
    }
    let Some(text) = item.value.as_str() else {
        return Err(item
            .wrong("a path, a list of paths, a table, or the name of a built-in set")
            .hint(FORMATS));
    };
    match BUILT_IN.contains(&text) {
        true => Ok(Source::BuiltIn(text.to_owned())),
        false => file(&item, base).map(|path| Source::Table(vec![path])),
    }
}

/// Whether a table in place of a file is a pair of arrays rather than of images and labels.
pub(super) fn has_arrays(item: &Item) -> bool {
    let has = |key| item.value.as_table().is_some_and(|table| table.contains_key(key));
    has("features") && !has("images")
}

/// `{ images = "…", labels = "…" }`
struct Images<'a> {
    images: PathBuf,
    labels: PathBuf,
    base: &'a Path,
}

impl Keyed for Images<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("images")
            .required(true, "the path of an IDX file of images")
            .value(&mut self.images, &path(self.base))?;
        pass.key("labels")
            .required(true, "the path of an IDX file of labels")
            .value(&mut self.labels, &path(self.base))
    }
}

fn images(item: Item, base: &Path) -> Result<Source> {
    let mut pair = Images { images: PathBuf::new(), labels: PathBuf::new(), base };
    read(Section::of(item)?, &mut pair)?;
    Ok(Source::Idx { images: pair.images, labels: pair.labels })
}

/// `{ features = "x.npy", labels = "y.npy" }`, for training perhaps with names of the columns.
struct Arrays<'a> {
    features: PathBuf,
    labels: LabelArrays,
    names: ArrayNames,
    base: &'a Path,
    has_names: bool,
}

impl Keyed for Arrays<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        let Arrays { features, labels, names, base, has_names } = self;
        pass.key("features")
            .required(true, "the path of a .npy file of numbers")
            .value(features, &array(base))?;
        pass.key("labels")
            .required(true, "the path of a .npy file of labels, or { NAME = \"…\", … }")
            .value(labels, &label_arrays(base))?;
        let elsewhere = "columns have the names that stand in data.train";
        let named = matches!(labels, LabelArrays::Named(_));
        for (key, names, is_named) in [
            ("feature_names", &mut names.features, false),
            ("label_names", &mut names.labels, named),
        ] {
            pass.key(key)
                .only(*has_names, elsewhere)
                .only(!is_named, "the names of the arrays are those of the labels")
                .written(!names.is_empty())
                .value(names, &(column_names, |names: &Vec<String>| texts(names)))?;
        }
        match names.labels.iter().find(|name| names.features.contains(name)) {
            Some(name) => {
                let found = format!("{} is a name of a feature too", quoted(name));
                Err(pass.fault("label_names", found).hint("rename one of them"))
            }
            None => Ok(()),
        }
    }
}

fn arrays(item: Item, base: &Path, names: Option<&mut ArrayNames>) -> Result<Source> {
    let mut pair = Arrays {
        features: PathBuf::new(),
        labels: LabelArrays::One(PathBuf::new()),
        names: ArrayNames::default(),
        base,
        has_names: names.is_some(),
    };
    read(Section::of(item)?, &mut pair)?;
    names.into_iter().for_each(|names| names.clone_from(&pair.names));
    let features = pair.features;
    Ok(match pair.labels {
        LabelArrays::One(labels) => Source::Npy { features, labels },
        LabelArrays::Named(labels) => Source::Arrays { features, labels },
    })
}

/// The keys of a table in place of a file: of images, of arrays.
pub(super) fn keys() -> [Vec<&'static str>; 2] {
    let (first, second, base) = (PathBuf::new(), PathBuf::new(), Path::new(""));
    let mut images = Images { images: first.clone(), labels: second.clone(), base };
    let names_of_columns = ArrayNames::default();
    let labels = LabelArrays::One(second);
    let mut arrays =
        Arrays { features: first, labels, names: names_of_columns, base, has_names: true };
    [names(&mut images), names(&mut arrays)]
}

/// The labels of an array of features: one array, or several with names.
enum LabelArrays {
    One(PathBuf),
    Named(Vec<(String, PathBuf)>),
}

/// `labels = "y.npy"`, or `labels = { a = "a.npy", b = "b.npy" }`.
fn label_arrays(base: &Path) -> impl Form<LabelArrays> {
    let read = move |item: Item| {
        if !item.value.is_table() {
            return array(base).read(item).map(LabelArrays::One);
        }
        let place = Item { path: item.path.clone(), value: item.value.clone() };
        let mut labels = Vec::new();
        for (name, item) in item.entries("arrays of labels by their names")? {
            if name.trim().is_empty() || name == "features" || name.contains([',', '=']) {
                let found = format!("{} cannot be the name of labels", quoted(&name));
                return Err(place
                    .fault(found)
                    .hint("name the labels after what they say, without commas and equals signs"));
            }
            labels.push((name, array(base).read(item)?));
        }
        match labels.is_empty() {
            true => Err(place.wrong("one array or more, such as { a = \"a.npy\" }")),
            false => Ok(LabelArrays::Named(labels)),
        }
    };
    let write = |labels: &LabelArrays| match labels {
        LabelArrays::One(path) => write_path(path),
        LabelArrays::Named(labels) => {
            let entry = |(name, path): &(String, PathBuf)| (name.clone(), write_path(path));
            inline_table(&labels.iter().map(entry).collect::<Vec<_>>())
        }
    };
    (read, write)
}

/// The path of an NPY file.
fn array(base: &Path) -> impl Form<PathBuf> {
    let read = move |item: Item| {
        let path = item.path_from(base)?;
        match ends_with(&path.to_string_lossy(), &[".npy"]) {
            true => Ok(path),
            false => Err(item.wrong("the path of a .npy file")),
        }
    };
    (read, |path: &PathBuf| write_path(path))
}

/// Names of the columns of an array, each once.
fn column_names(item: Item) -> Result<Vec<String>> {
    let names = item.texts()?;
    match names.is_empty() || names.iter().any(|name| name.trim().is_empty()) {
        true => Err(item.wrong("one name per column, in order, none empty")),
        false => Ok(names),
    }
}

/// Several tables that are read as one.
fn files(item: &Item, base: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for item in item.list("paths")? {
        let path = file(&item, base)?;
        if paths.contains(&path) {
            return Err(
                item.fault(format!("{} stands twice in the list", quoted(&path.to_string_lossy())))
            );
        }
        paths.push(path);
    }
    match paths.is_empty() {
        true => Err(item.wrong("one path or more").hint(FORMATS)),
        false => Ok(paths),
    }
}

/// The path of a table, or a pattern of paths. It must have an ending; `data::read` says whether
/// there is a reader for it.
fn file(item: &Item, base: &Path) -> Result<PathBuf> {
    item.check_local()?;
    let text = item.text()?;
    let name = text.rsplit(['/', '\\']).next().unwrap_or_default();
    match name.contains('.') {
        true => item.path_from(base),
        false => Err(unreadable(item, text)),
    }
}

/// The fault of a text that names no source.
fn unreadable(item: &Item, text: &str) -> Fault {
    let hint = match alike(text, BUILT_IN) {
        Some(name) => format!("did you mean {}? data can be {FORMATS}", quoted(name)),
        None => format!("data can be {FORMATS}"),
    };
    item.fault(format!("{} is neither a file of a known format nor a built-in set", quoted(text)))
        .hint(hint)
}
