//! Loads PNG and JPEG files: the pixels are the features, and labels, weights and the split come
//! from a table with a row per file, by the same code as those of tables.

use crate::config::{self, Source, Task};
use crate::data::images::decode::Shape;
use crate::data::images::files::{self, Gallery};
use crate::data::images::listing::Listing;
use crate::data::load::apply::{all_rows, labels_of, weights_of};
use crate::data::load::folds;
use crate::data::load::loading::Loading;
use crate::data::load::places;
use crate::data::load::roles::{self, Fit, Roles};
use crate::data::load::tables::check_weighed;
use crate::data::read;
use crate::data::schema::columns::{check_there, some};
use crate::data::store::budget::MemoryBudget;
use crate::data::store::pixel_cache;
use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::data::{Dataset, Features, ImageReading, Input, Part, Parts, Schema};
use crate::fault::Fault;

/// The factor on each byte.
const SCALE: f32 = 1.0 / 255.0;

/// Reads the parts of a data set of image files. Everything is fitted on the training part alone.
///
/// # Errors
/// 66 if a file is missing; 65 if one is malformed; 78 if the configuration does not fit the files.
pub fn load(data: &config::Data, tasks: &[Task], loading: &Loading) -> anyhow::Result<Parts> {
    let reading = places::reading(data)?;
    let galleries = galleries(data, tasks, &reading.options(), loading)?;
    let [Some(train), others @ ..] = &galleries else { return Err(empty().into()) };
    let all: Vec<&Gallery> = galleries.iter().flatten().collect();
    let (shape, mut notices) = files::shape(&all, data.size, data.channels)?;
    if let Some(found) = beyond(&all, shape, MemoryBudget::of(data)) {
        return Err(Fault::config("data.memory", found)
            .hint("make images smaller with data.size, or grey with data.channels = 1")
            .into());
    }
    for gallery in &all {
        notices.extend(gallery.listing.notices.iter().cloned());
        notices.extend(gallery.copies_notice());
    }
    notices.extend(unread(data, tasks, &train.listing.table));
    let settings = settings(data, tasks, &train.listing.table);
    let roles = Roles::new(train.listing.table.clone(), None, &settings, tasks)?;
    let rows = folds::split(&roles)?;
    let Fit { schema, notices: more, labels } =
        roles.fit_beside(&rows, reading, Some(input(data, shape)))?;
    notices.extend(more);
    let mut parts = cut(&schema, train, (shape, &rows, labels), loading)?;
    for (gallery, part) in others.iter().zip(&mut parts[1..]) {
        let Some(gallery) = gallery else { continue };
        let table = &gallery.listing.table;
        check_there(table, &schema.target_names())?;
        let rows = all_rows(table);
        let labels = labels_of(&schema, table, &rows)?.labels;
        let values = pixels(gallery, shape, loading)?;
        *part = Some(dataset(&schema, table, labels, (values, &rows))?);
    }
    let hashes = all.iter().flat_map(|gallery| hashes_of(gallery)).collect();
    let parts = Parts::of(parts, schema, hashes, notices).ok_or_else(empty)?;
    if parts.train.weights.as_ref().is_some_and(|weights| weights.iter().all(|&w| w == 0.0)) {
        return Err(roles::all_zero(data, roles.place()).into());
    }
    check_weighed(&parts.schema, &parts.train, data, roles.place())?;
    Ok(parts)
}

/// (file or folder, BLAKE3 in hex) of all files of a data set, in the order of [`Parts::hashes`].
///
/// # Errors
/// 66 if a file is missing; 65 if one is no image.
pub fn hashes(data: &config::Data) -> anyhow::Result<Vec<(String, String)>> {
    let options = places::reading(data)?.options();
    let galleries = galleries(data, &[], &options, &Loading::default())?;
    Ok(galleries.iter().flatten().flat_map(hashes_of).collect())
}

/// The files of each part that has some of its own.
fn galleries(
    data: &config::Data,
    tasks: &[Task],
    options: &Options,
    loading: &Loading,
) -> anyhow::Result<[Option<Gallery>; 3]> {
    let mut galleries = [None, None, None];
    for (source, gallery) in Part::sources(data).into_iter().zip(&mut galleries) {
        let Some(source) = source else { continue };
        *gallery = Some(Gallery::new(listing(source, tasks, options)?, loading.stage)?);
    }
    Ok(galleries)
}

/// The files that a source names.
fn listing(source: &Source, tasks: &[Task], options: &Options) -> anyhow::Result<Listing> {
    match source {
        Source::Listed { images, labels, path } => {
            let table = Source::Table(vec![labels.clone()]);
            Listing::of_table(images, read::read_source(&table, options)?, path)
        }
        Source::Folder(folder) => {
            let targets: Vec<&str> =
                tasks.iter().flat_map(|task| &task.targets).map(String::as_str).collect();
            Listing::of_classes(folder, &targets)
        }
        _ => Err(Fault::config("data", "names no image files")
            .hint("give all parts one kind")
            .into()),
    }
}

/// The settings with which the table of labels is read: no column of it is a feature.
fn settings(data: &config::Data, tasks: &[Task], table: &Raw) -> config::Data {
    let ignore = others(data, tasks, table).map(String::clone).collect();
    // The name of a folder is a class, whatever it is.
    let missing = match data.train {
        Source::Folder(_) => Some(Vec::new()),
        _ => data.missing.clone(),
    };
    config::Data { ignore, missing, ..data.clone() }
}

/// The columns of a table that neither are labels nor say something of rows.
fn others<'t>(
    data: &'t config::Data,
    tasks: &'t [Task],
    table: &'t Raw,
) -> impl Iterator<Item = &'t String> {
    let is_read = |name: &String| {
        tasks.iter().any(|task| task.targets.contains(name))
            || data.row_columns().any(|(_, column)| column == name)
    };
    table.names.iter().filter(move |name| !is_read(name))
}

/// A notice about the columns of a table that nothing reads.
fn unread(data: &config::Data, tasks: &[Task], table: &Raw) -> Option<String> {
    let Source::Listed { path, .. } = &data.train else { return None };
    let names: Vec<String> =
        others(data, tasks, table).filter(|name| *name != path).cloned().collect();
    let first = (!names.is_empty()).then(|| some(&names))?;
    Some(format!("the pixels are the features; columns that nothing reads: {first}"))
}

/// How features are made.
fn input(data: &config::Data, shape: Shape) -> Input {
    let path = match &data.train {
        Source::Listed { path, .. } => Some(path.clone()),
        _ => None,
    };
    let files = Some(ImageReading { resized: data.size.is_some(), path });
    let Shape { height, width, channels } = shape;
    Input::Image { height, width, channels, scale: SCALE, overlay: None, files }
}

/// What is wrong where the pixels do not fit into memory.
pub(crate) fn beyond(all: &[&Gallery], shape: Shape, budget: MemoryBudget) -> Option<String> {
    let rows: usize = all.iter().map(|gallery| gallery.rows()).sum();
    let bytes = rows as u64 * shape.bytes() as u64;
    let Shape { height, width, channels } = shape;
    (bytes > budget.0).then(|| {
        format!(
            "{rows} images of {height} × {width} × {channels} take {bytes} bytes, allowed are {}",
            budget.0
        )
    })
}

/// The pixels of all files, from the cache if they were decoded before.
fn pixels(gallery: &Gallery, shape: Shape, loading: &Loading) -> anyhow::Result<Vec<u8>> {
    let bytes = gallery.rows() * shape.bytes();
    let cache = loading.cache.as_ref().filter(|cache| bytes as u64 >= cache.least);
    let Some(cache) = cache else { return gallery.decode(shape, loading.stage) };
    let key = pixel_cache::key(&gallery.hashes, shape);
    if let Some(pixels) = pixel_cache::find(cache, &key, bytes) {
        return Ok(pixels);
    }
    let pixels = gallery.decode(shape, loading.stage)?;
    // If this fails, the next run decodes the files again.
    let _ = pixel_cache::keep(cache, &key, &pixels);
    Ok(pixels)
}

/// The parts that are cut from the training files; `labels` are those of the training rows.
fn cut(
    schema: &Schema,
    gallery: &Gallery,
    (shape, rows, labels): (Shape, &[Vec<u32>; 3], Vec<Vec<u32>>),
    loading: &Loading,
) -> anyhow::Result<[Option<Dataset>; 3]> {
    let (all, table) = (pixels(gallery, shape, loading)?, &gallery.listing.table);
    let image = |row: &u32| &all[*row as usize * shape.bytes()..][..shape.bytes()];
    let (mut parts, mut labels) = ([None, None, None], Some(labels));
    for (part, rows) in parts.iter_mut().zip(rows).filter(|(_, rows)| !rows.is_empty()) {
        let labels = match labels.take() {
            Some(labels) => labels,
            None => labels_of(schema, table, rows)?.labels,
        };
        let values = rows.iter().flat_map(image).copied().collect();
        *part = Some(dataset(schema, table, labels, (values, rows))?);
    }
    Ok(parts)
}

/// A data set of some rows of a table with their pixels.
pub(crate) fn dataset(
    schema: &Schema,
    table: &Raw,
    labels: Vec<Vec<u32>>,
    (values, rows): (Vec<u8>, &[u32]),
) -> anyhow::Result<Dataset> {
    let weights = schema.reading.row_weight.as_ref().filter(|_| !schema.targets.is_empty());
    let weights = weights.map(|name| weights_of(table, name, rows)).transpose()?;
    let features = Features::U8 { values, scale: SCALE };
    Ok(Dataset { rows: rows.len(), features, labels, weights, table: None, tokens: None })
}

/// (file or folder, BLAKE3 in hex) of what a gallery was read from.
fn hashes_of(gallery: &Gallery) -> Vec<(String, String)> {
    let listing = &gallery.listing;
    let folder = listing.folder.display().to_string();
    // Two tables may name files of one folder.
    let name = match listing.table.hashes.is_empty() {
        true => folder,
        false => format!("{folder}: files of {}", listing.table.place),
    };
    listing.table.hashes.iter().cloned().chain([(name, gallery.hash())]).collect()
}

fn empty() -> Fault {
    Fault::config("data.train", "the training part is empty").hint("give rows to train on")
}
