//! Reads PNG and JPEG files with the schema of a trained model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Source;
use crate::data::encode::applied::MatchReport;
use crate::data::images::decode::Shape;
use crate::data::images::files::Gallery;
use crate::data::images::listing::{FILE, Listing};
use crate::data::images::walk::is_image;
use crate::data::load::apply::{all_rows, labels_of};
use crate::data::load::image_files::{beyond, dataset};
use crate::data::read;
use crate::data::schema::columns::check_there;
use crate::data::store::budget::MemoryBudget;
use crate::data::{Dataset, Input, Schema, Table};
use crate::fault::{Fault, quoted};

/// Where `--data` says that image files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageArgument {
    /// A folder: of classes, or of images.
    Folder(PathBuf),
    /// A single image.
    File(PathBuf),
    /// A folder and a table of paths from it on.
    Listed(PathBuf, PathBuf),
}

impl ImageArgument {
    /// What a text names, if it names image files: a folder, a PNG or JPEG file, or `FOLDER,TABLE`;
    /// where the model was trained on such files, a table of paths too.
    pub fn of(text: &str, input: &Input) -> Option<ImageArgument> {
        let Input::Image { files, .. } = input else { return None };
        let path = Path::new(text);
        if path.is_dir() {
            return Some(ImageArgument::Folder(path.into()));
        }
        if is_image(path) {
            return Some(ImageArgument::File(path.into()));
        }
        if let Some((folder, table)) = text.split_once(',').filter(|_| !path.exists()) {
            let is_folder = Path::new(folder).is_dir();
            return is_folder.then(|| ImageArgument::Listed(folder.into(), table.into()));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_table = files.is_some() && read::reader_of(path).is_ok();
        is_table.then(|| ImageArgument::Listed(folder.into(), path.into()))
    }
}

/// Reads the image files that `--data` names. With `labelled`, labels are read; without, they are
/// not looked at. The table of paths is kept.
///
/// # Errors
/// 66 if a file is missing; 65 if one does not fit the schema.
pub fn load(schema: &Schema, what: &ImageArgument, labelled: bool) -> anyhow::Result<Dataset> {
    let Input::Image { height, width, channels, files, overlay, .. } = &schema.input else {
        let found = "is a set of images, and the model was trained on columns of a table";
        return Err(Fault::data("data", found).hint("give a table").into());
    };
    let listing = listing(schema, what, labelled)?;
    let place = listing.table.place.clone();
    if overlay.is_some() {
        let found = "the model was trained on images that are laid over each other";
        return Err(Fault::data(&place, found)
            .hint("give --data IMAGES,LABELS of IDX files")
            .into());
    }
    let gallery = Gallery::new(listing, &|_, _| {})?;
    let shape = Shape { height: *height, width: *width, channels: *channels };
    if !files.as_ref().is_some_and(|files| files.resized) {
        let hint = "the model was trained on images of one size, without data.size: resize these";
        let other = gallery.other_size([*height, *width]);
        other.map_or(Ok(()), |found| Err(found.hint(hint)))?;
    }
    if let Some(found) = beyond(&[&gallery], shape, MemoryBudget::of_machine()) {
        return Err(Fault::data(place, found).hint("give fewer images at a time").into());
    }
    let values = gallery.decode(shape, &|_, _| {})?;
    let rows = all_rows(&gallery.listing.table);
    let labels = match labelled {
        true => labels_of(schema, &gallery.listing.table, &rows)?.labels,
        false => Vec::new(),
    };
    let dataset = dataset(schema, &gallery.listing.table, labels, (values, &rows))?;
    let mut matched = MatchReport::of(schema, &gallery.listing.table);
    matched.files.extend(gallery.listing.notices.iter().cloned());
    matched.files.extend(greyed(&gallery, shape));
    let raw = gallery.listing.table;
    let table = Table { header: raw.names.clone(), matched, raw: Arc::new(raw) };
    Ok(Dataset { table: Some(table), ..dataset })
}

/// The files that `--data` names.
fn listing(schema: &Schema, what: &ImageArgument, labelled: bool) -> anyhow::Result<Listing> {
    let path = match &schema.input {
        Input::Image { files: Some(files), .. } => files.path.as_deref(),
        _ => None,
    };
    let unlabelled = |place: &Path, found: &str| {
        let hint = "give the folder and a table with paths and labels: --data FOLDER,TABLE";
        Err(Fault::data(place.display(), found).hint(hint).into())
    };
    let targets = schema.target_names();
    match what {
        ImageArgument::Listed(folder, table) => {
            let options = schema.reading.options();
            let source = Source::Table(vec![table.clone()]);
            let raw = read::read_source(&source, &options)?;
            let path = path.unwrap_or(FILE);
            check_there(&raw, &[path])?;
            if labelled && !targets.iter().any(|name| raw.column(name).is_some()) {
                check_there(&raw, &targets)?;
            }
            Listing::of_table(folder, raw, path)
        }
        ImageArgument::File(file) if labelled => unlabelled(file, "a single image has no label"),
        ImageArgument::File(file) => Listing::of_file(file),
        ImageArgument::Folder(folder) if !labelled => Listing::of_folder(folder),
        ImageArgument::Folder(folder) => match path {
            None => Listing::of_classes(folder, &targets),
            Some(path) => {
                let found = format!(
                    "the labels of the model came from a table with the column {}, not from names \
                     of folders",
                    quoted(path)
                );
                unlabelled(folder, &found)
            }
        },
    }
}

/// A notice that colours are lost, if some are.
fn greyed(gallery: &Gallery, shape: Shape) -> Option<String> {
    let coloured = gallery.headers.iter().filter(|header| !header.is_grey).count();
    let is_lost = shape.channels == 1 && coloured > 0;
    is_lost.then(|| {
        format!("{coloured} of {} images have colours; the model sees them grey", gallery.rows())
    })
}
