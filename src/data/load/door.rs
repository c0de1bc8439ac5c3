//! Loads data sets as a configuration says, or with the schema of a trained model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{self, Overlay, Source, Task, Version};
use crate::data::encode::per_mean;
use crate::data::images::labelled::Images;
use crate::data::images::{digits, idx, overlay};
use crate::data::load::image_apply::{self, ImageArgument};
use crate::data::load::route::{self, Loading};
use crate::data::load::{apply, image_files, places};
use crate::data::read;
use crate::data::read::chunks::{Chunks, indivisible};
use crate::data::split::shares::{shares_without, split};
use crate::data::table::options::Options;
use crate::data::table::raw;
use crate::data::{Dataset, Input, Part, Parts, Schema, UNLABELLED};
use crate::fault::{Fault, quoted};

/// (file or built-in name, BLAKE3 in hex)
type Hash = (String, String);

/// Reads the training data and the data for validation and test. Scaling and classes are fitted on
/// the training part.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed; 78 if the configuration does not fit the files.
pub fn load(data: &config::Data, tasks: &[Task]) -> anyhow::Result<Parts> {
    load_with_cache(data, tasks, &Loading::default())
}

/// Does what [`load`] does, with a cache of tables that were read before.
///
/// # Errors
/// The errors of [`load`].
pub fn load_with_cache(
    data: &config::Data,
    tasks: &[Task],
    loading: &Loading,
) -> anyhow::Result<Parts> {
    let parts = match &data.train {
        Source::Table(_) | Source::Npy { .. } | Source::Arrays { .. } | Source::Several(_) => {
            load_table(data, tasks, loading)
        }
        Source::Idx { images, labels } => load_idx(images, labels, data, tasks),
        Source::BuiltIn(name) => load_built_in(name, data, tasks),
        Source::Folder(_) | Source::Listed { .. } => image_files::load(data, tasks, loading),
    };
    parts.map(|parts| without_idle_validation(parts, data.version))
}

/// Leaves the validation part out if it cannot pick a model, because it has no labels, or only
/// labels of weight 0. To tandem 0.1.0 a label of weight 0 counted.
fn without_idle_validation(mut parts: Parts, version: Version) -> Parts {
    let is_bare =
        |valid: &Arc<Dataset>| valid.labels.iter().flatten().all(|label| *label == UNLABELLED);
    let is_weightless = |valid: &Arc<Dataset>| {
        version > Version::V0_1 && valid.labels.iter().all(|column| !valid.weighs(column))
    };
    let why = match &parts.valid {
        Some(valid) if is_bare(valid) => "no row of the validation part has a label",
        Some(valid) if is_weightless(valid) => {
            "every label of the validation part is in a row of weight zero"
        }
        _ => return parts,
    };
    parts.valid = None;
    parts.notices.push(format!("{why}: it is left out, and the last epoch is kept"));
    parts
}

/// The data that `--data` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataArgument {
    /// A table, or a pattern of tables.
    Table(PathBuf),
    /// CSV from the standard input: `-`.
    Stdin,
    /// Two arrays: `FEATURES,LABELS`.
    Arrays(PathBuf, PathBuf),
    /// An array of features and several of labels with names: `FEATURES,a=LABELS,b=LABELS`.
    Named(PathBuf, Vec<(String, PathBuf)>),
    /// IDX files: `IMAGES,LABELS` or `IMAGES`.
    Idx(PathBuf, Option<PathBuf>),
    /// A part of the built-in set: `digits-overlay:test`.
    Digits(Part),
    /// PNG and JPEG files.
    Images(ImageArgument),
}

/// Parses the value of `--data`. Whether a file is a table or images depends on the input of the
/// model.
///
/// # Errors
/// 2 if a built-in set is named without one of its parts.
pub fn parse_data_argument(text: &str, input: &Input) -> anyhow::Result<DataArgument> {
    if let Some(rest) =
        text.strip_prefix(digits::NAME).filter(|rest| rest.is_empty() || rest.starts_with(':'))
    {
        let part = rest.strip_prefix(':').and_then(Part::by_name);
        return part.map(DataArgument::Digits).ok_or_else(|| {
            let found = format!("--data {}: expected a part of the built-in set", quoted(text));
            Fault::new(crate::fault::Exit::Usage, found)
                .hint("digits-overlay:train, digits-overlay:valid or digits-overlay:test")
                .into()
        });
    }
    if let Some(images) = ImageArgument::of(text, input) {
        return Ok(DataArgument::Images(images));
    }
    Ok(match (input, text.split_once(',')) {
        (Input::Columns { .. }, _) if text == "-" => DataArgument::Stdin,
        (Input::Columns { .. }, Some((features, labels)))
            if is_array(features) && !Path::new(labels).exists() && named(labels).is_some() =>
        {
            DataArgument::Named(features.into(), named(labels).unwrap_or_default())
        }
        (Input::Columns { .. }, Some((features, labels)))
            if is_array(features) && is_array(labels) && !Path::new(text).exists() =>
        {
            DataArgument::Arrays(features.into(), labels.into())
        }
        (Input::Columns { .. }, _) => DataArgument::Table(text.into()),
        (Input::Image { .. }, Some((images, labels))) if !Path::new(text).exists() => {
            DataArgument::Idx(images.into(), Some(labels.into()))
        }
        (Input::Image { .. }, _) => DataArgument::Idx(text.into(), None),
    })
}

/// Arrays of labels with names, `a=a.npy,b=b.npy`; `None` if the text is something else.
fn named(text: &str) -> Option<Vec<(String, PathBuf)>> {
    let one = |text: &str| {
        let (name, path) = text.split_once('=')?;
        is_array(path).then(|| (name.to_owned(), PathBuf::from(path)))
    };
    text.split(',').map(one).collect()
}

/// Checks that labels with names are those of a model, and that labels have names if its labels had
/// some; `given` are the names.
///
/// # Errors
/// 2 with the first name that is not known, or is given twice.
fn check_names(schema: &Schema, text: &str, given: &[&str]) -> anyhow::Result<()> {
    let Some(arrays) = &schema.reading.arrays else { return Ok(()) };
    let known: Vec<&str> = arrays.keys.iter().map(|(name, _)| name.as_str()).collect();
    let twice = given.iter().enumerate().find(|(at, name)| given[..*at].contains(name));
    let stray = given.iter().find(|name| !known.contains(name));
    let found = match (stray, twice) {
        (Some(name), _) => format!("the model has no labels {}", quoted(name)),
        (None, Some((_, name))) => format!("the labels {} are given twice", quoted(name)),
        (None, None) if given.is_empty() && !known.is_empty() => {
            "the labels of the model have names".to_owned()
        }
        (None, None) => return Ok(()),
    };
    let hint = format!("write {}", places::with_labels(arrays));
    let found = format!("--data {}: {found}", quoted(text));
    Err(Fault::new(crate::fault::Exit::Usage, found).hint(hint).into())
}

/// Whether a file is an array, by its name.
fn is_array(name: &str) -> bool {
    read::reader_of(Path::new(name)).is_ok_and(|reader| reader.as_arrays().is_some())
}

/// Reads the data that `--data` names and encodes it with the schema of a trained model; nothing is
/// fitted. With `labelled`, labels are read (`evaluate`), and a missing label column gives no
/// labels; without, labels are not looked at (`predict`). The cells of a table are kept. Images are
/// laid over each other as in a test part. Returns the name of the data too.
///
/// # Errors
/// 66 if a file is missing; 65 if it is malformed or does not fit the schema; 2 if `text` names no
/// data.
pub fn load_with(schema: &Schema, text: &str, labelled: bool) -> anyhow::Result<(Dataset, String)> {
    let bare = Schema { targets: Vec::new(), ..schema.clone() };
    let options = Options { keeps_lines: !labelled, ..schema.reading.options() };
    let keep = |raw| apply::apply_and_keep(schema, raw, labelled);
    let source = parse_data_argument(text, &schema.input)?;
    let schema = if labelled { schema } else { &bare };
    let dataset = match source {
        DataArgument::Table(path) => {
            let raw = read::read_source(&Source::Table(vec![path]), &options)?;
            if labelled && is_array(text) {
                places::check_labels(schema, &raw)?;
            }
            keep(raw)?
        }
        DataArgument::Stdin => {
            keep(read::read_text(std::io::stdin().lock(), "standard input", &options)?)?
        }
        DataArgument::Named(features, labels) => {
            let names: Vec<&str> = labels.iter().map(|(name, _)| name.as_str()).collect();
            check_names(schema, text, &names)?;
            let labels = if labelled { &labels[..] } else { &[] };
            keep(read::read_arrays(&features, labels, &options)?)?
        }
        DataArgument::Arrays(features, labels) => {
            check_names(schema, text, &[])?;
            let labels = Some(&labels).filter(|_| labelled).map(PathBuf::as_path);
            keep(read::read_pair(&features, labels, &options)?)?
        }
        DataArgument::Idx(images, labels) => {
            if labelled && labels.is_none() {
                let found = format!("--data {}: the labels are missing", quoted(text));
                return Err(Fault::new(crate::fault::Exit::Usage, found)
                    .hint("give both files: --data IMAGES,LABELS")
                    .into());
            }
            let images = idx::read(&images, labels.as_deref().filter(|_| labelled))?.0;
            images_with(schema, laid(images, stored_overlay(&schema.input), Part::Test)?)?
        }
        DataArgument::Digits(part) => digits_with(schema, part)?,
        DataArgument::Images(what) => image_apply::load(schema, &what, labelled)?,
    };
    Ok((dataset, text.to_owned()))
}

/// Opens the table that `--data` names, to be read about `bytes` bytes at a time. `None` if it is
/// no table, or can be read only as a whole.
///
/// # Errors
/// 66 if a file is missing; 65 if it is malformed; 2 if `text` names no data.
pub fn chunks_of(schema: &Schema, text: &str, bytes: u64) -> anyhow::Result<Option<Chunks>> {
    let options = schema.reading.options();
    if options.sentences.is_some() {
        return Ok(None);
    }
    match parse_data_argument(text, &schema.input)? {
        DataArgument::Table(path) => {
            let source = Source::Table(vec![path]);
            match indivisible(&source)? {
                Some(_) => Ok(None),
                None => Chunks::new(&source, &options, bytes).map(Some),
            }
        }
        DataArgument::Stdin => {
            Chunks::of_text(Box::new(std::io::stdin()), "standard input", &options, bytes).map(Some)
        }
        _ => Ok(None),
    }
}

/// Encodes the rows of a chunk with the schema of a trained model, without labels; its cells are
/// kept.
///
/// # Errors
/// 65 if it does not fit the schema.
pub fn chunk_with(schema: &Schema, chunk: raw::Raw) -> anyhow::Result<Dataset> {
    apply::apply_and_keep(schema, chunk, false)
}

fn load_table(data: &config::Data, tasks: &[Task], loading: &Loading) -> anyhow::Result<Parts> {
    if data.overlay.is_some() {
        return Err(Fault::config(
            "data.overlay",
            "the rows of a table cannot be laid over each other",
        )
        .hint("remove the key, or train on IDX images")
        .into());
    }
    if let Some((part, _)) = Part::other_sources(data).find(|(_, source)| !source.has_columns()) {
        return Err(other_kind(part.key(), "a table"));
    }
    match places::resolve(data, tasks)? {
        Some((data, tasks)) => route::load(&data, &tasks, loading),
        None => route::load(data, tasks, loading),
    }
}

fn load_idx(
    images: &Path,
    labels: &Path,
    data: &config::Data,
    tasks: &[Task],
) -> anyhow::Result<Parts> {
    no_columns(data)?;
    if images.is_dir() {
        let found = "images is a folder, so the table labels needs a column of paths";
        return Err(Fault::config("data.train", found)
            .hint("name it: path = \"COLUMN\"; IDX files have no folder")
            .into());
    }
    let (whole, mut hashes) = idx::read(images, Some(labels))?;
    let rows = split_rows(whole.rows(), data)?;
    let mut part = |part: Part, given: &Option<Source>| {
        let images = match given {
            None if rows[part as usize].is_empty() => return Ok(None),
            None => whole.select(&rows[part as usize]),
            Some(Source::Idx { images, labels }) => {
                let (images, more) = idx::read(images, Some(labels))?;
                hashes.extend(more);
                images
            }
            Some(_) => return Err(other_kind(part.key(), "{ images = …, labels = … }")),
        };
        laid(images, data.overlay, part).map(Some)
    };
    let train = part(Part::Train, &None)?;
    let valid = part(Part::Valid, &data.valid)?;
    let test = part(Part::Test, &data.test)?;
    image_parts([train, valid, test], 1.0 / 255.0, data.overlay, tasks, hashes)
}

fn load_built_in(name: &str, data: &config::Data, tasks: &[Task]) -> anyhow::Result<Parts> {
    if name != digits::NAME {
        return Err(Fault::config(
            "data.train",
            format!("there is no built-in set {}", quoted(name)),
        )
        .hint("the built-in set is \"digits-overlay\"")
        .into());
    }
    no_columns(data)?;
    for (key, given) in [
        ("data.valid", data.valid.is_some()),
        ("data.test", data.test.is_some()),
        ("data.overlay", data.overlay.is_some()),
    ] {
        if given {
            return Err(Fault::config(key, "the built-in set brings its own")
                .hint("remove the key")
                .into());
        }
    }
    let [train, valid, test] = Part::ALL.map(|part| digits::part(part).map(Some));
    image_parts(
        [train?, valid?, test?],
        digits::SCALE,
        Some(digits::OVERLAY),
        tasks,
        vec![(digits::NAME.to_owned(), digits::hash())],
    )
}

/// Row numbers of each part that is cut from the training file.
fn split_rows(rows: usize, data: &config::Data) -> anyhow::Result<[Vec<u32>; 3]> {
    match data.split {
        Some(shares) => split(
            rows,
            shares_without(shares, data.valid.is_some(), data.test.is_some()),
            data.split_seed,
        ),
        None => Ok([(0..rows as u32).collect(), Vec::new(), Vec::new()]),
    }
}

/// The parts of a data set of images; the schema is fitted on the first part.
fn image_parts(
    images: [Option<Images>; 3],
    scale: f32,
    over: Option<Overlay>,
    tasks: &[Task],
    hashes: Vec<Hash>,
) -> anyhow::Result<Parts> {
    let Some(first) = &images[0] else { return Err(no_rows()) };
    let laid = over.map(|o| (o.shift, o.seed));
    let input = Input::grey(first.height, first.width, scale, laid);
    let schema = Schema::new(input, first.fit(tasks)?);
    let [train, valid, test] =
        images.map(|images| images.map(|images| images_with(&schema, images)).transpose());
    let notices = per_mean::notices(tasks, &schema.targets);
    Parts::of([train?, valid?, test?], schema, hashes, notices).ok_or_else(no_rows)
}

fn images_with(schema: &Schema, images: Images) -> anyhow::Result<Dataset> {
    let Input::Image { scale, .. } = schema.input else {
        return Err(wrong_input(images.place, "columns of a table"));
    };
    images.check_size(&schema.input)?;
    images.into_dataset(&schema.targets, scale)
}

fn digits_with(schema: &Schema, part: Part) -> anyhow::Result<Dataset> {
    let Input::Image { .. } = schema.input else {
        return Err(wrong_input(digits::NAME.to_owned(), "columns of a table"));
    };
    if schema.input != digits::input() {
        let found = "the model was trained on other images than the built-in digits";
        return Err(Fault::data(digits::NAME, found)
            .hint("give the IDX files as --data IMAGES,LABELS")
            .into());
    }
    images_with(schema, digits::part(part)?)
}

/// Images laid over each other, if an overlay is given.
fn laid(images: Images, over: Option<Overlay>, part: Part) -> anyhow::Result<Images> {
    match over {
        Some(over) => overlay::overlay(&images, over, part),
        None => Ok(images),
    }
}

fn stored_overlay(input: &Input) -> Option<Overlay> {
    match input {
        Input::Image { overlay: Some((shift, seed)), .. } => {
            Some(Overlay { shift: *shift, seed: *seed })
        }
        _ => None,
    }
}

/// Checks that no setting is about columns.
fn no_columns(data: &config::Data) -> anyhow::Result<()> {
    if !data.ignore.is_empty() {
        return Err(Fault::config("data.ignore", "images have no columns")
            .hint("remove the key, or train on a table")
            .into());
    }
    match data.features.first() {
        Some(f) => Err(Fault::config(&format!("feature.{}", f.column), "images have no columns")
            .hint("remove the table")
            .into()),
        None => Ok(()),
    }
}

fn no_rows() -> anyhow::Error {
    Fault::config("data.train", "the training part is empty").hint("give rows to train on").into()
}

fn other_kind(key: &str, expected: &str) -> anyhow::Error {
    Fault::config(key, format!("of another kind than data.train, expected {expected}"))
        .hint("give all parts in one format")
        .into()
}

fn wrong_input(place: String, trained: &str) -> anyhow::Error {
    Fault::data(place, format!("the model was trained on {trained}"))
        .hint("give data of the kind that the model was trained on")
        .into()
}
