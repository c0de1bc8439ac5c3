//! Looks at image files without a configuration.

use std::path::{Path, PathBuf};

use crate::data::images::decode::Header;
use crate::data::images::files::Gallery;
use crate::data::images::listing::Listing;
use crate::data::images::walk::{entries, is_image};
use crate::data::read;
use crate::data::table::options::Options;
use crate::data::table::raw::Raw;
use crate::fault::{Fault, quoted};

/// The label of a folder of classes, where the user names none.
pub const LABEL: &str = "label";
/// The files of directories that runs and models are.
const OURS: [&str; 4] = ["config.json", "config.toml", "model", "checkpoints"];

/// What is seen of image files.
#[derive(Debug)]
pub struct Pictures {
    /// The folder that paths start at.
    pub folder: PathBuf,
    /// The table of labels and its column of paths; `None` if classes are folders.
    pub listed: Option<(PathBuf, String)>,
    /// Paths and labels.
    pub table: Raw,
    /// What the headers of the files say.
    pub headers: Vec<Header>,
    /// What the user should know about the files.
    pub notices: Vec<String>,
}

/// Whether a text names image files: a folder of images or of folders of images that is no
/// run and no model, or `FOLDER,TABLE`.
pub fn is_pictures(text: &str) -> bool {
    let path = Path::new(text);
    if !path.is_dir() {
        let pair = text.split_once(',').filter(|_| !path.exists());
        return pair.is_some_and(|(folder, _)| Path::new(folder).is_dir());
    }
    let is_ours = OURS.iter().any(|name| path.join(name).exists());
    let has_images = |files: &[PathBuf]| files.iter().any(|file| is_image(file));
    let is_class = |folder: &PathBuf| entries(folder).is_ok_and(|(_, files)| has_images(&files));
    let is_set = |(below, files): (Vec<PathBuf>, Vec<PathBuf>)| {
        has_images(&files) || below.iter().any(is_class)
    };
    !is_ours && entries(path).is_ok_and(is_set)
}

impl Pictures {
    /// Looks at the files that a text names; `targets` are names for the label of a folder of
    /// classes.
    ///
    /// # Errors
    /// 66 if a file is missing; 65 if one is malformed, or no column holds paths.
    pub fn new(text: &str, targets: &[&str], options: &Options) -> anyhow::Result<Pictures> {
        let pair = text.split_once(',').filter(|_| !Path::new(text).exists());
        let (listing, listed) = match pair {
            None => {
                let names = if targets.is_empty() { &[LABEL][..] } else { targets };
                (Listing::of_classes(Path::new(text), names)?, None)
            }
            Some((folder, labels)) => {
                let (folder, labels) = (Path::new(folder), PathBuf::from(labels));
                let table = read::read(std::slice::from_ref(&labels), options)?;
                let path = path_column(folder, &table)?;
                (Listing::of_table(folder, table, &path)?, Some((labels, path)))
            }
        };
        let gallery = Gallery::new(listing, &|_, _| {})?;
        let mut notices = gallery.listing.notices.clone();
        notices.extend(gallery.copies_notice());
        let Gallery { listing: Listing { folder, table, .. }, headers, .. } = gallery;
        Ok(Pictures { folder, listed, table, headers, notices })
    }

    /// The height and width that all images have, if they have one size.
    pub fn size(&self) -> Option<[usize; 2]> {
        let size = |header: &Header| [header.height, header.width];
        let first = self.headers.first().map(size)?;
        self.headers.iter().all(|header| size(header) == first).then_some(first)
    }

    /// A phrase: how many images there are, of which size, and how many have colours.
    pub fn phrase(&self) -> String {
        let range = |of: fn(&Header) -> usize| {
            let (low, high) = self
                .headers
                .iter()
                .map(of)
                .fold((usize::MAX, 0), |(low, high), n| (low.min(n), high.max(n)));
            if low == high { low.to_string() } else { format!("{low} to {high}") }
        };
        let count = self.headers.len();
        let colours = match self.headers.iter().filter(|header| !header.is_grey).count() {
            0 => "all grey".to_owned(),
            all if all == count => "all with colours".to_owned(),
            some => format!("{some} with colours"),
        };
        let (height, width) = (range(|header| header.height), range(|header| header.width));
        format!("{count} images of {height} × {width} pixels, {colours}")
    }
}

/// The first column of a table whose first cell names a file in the folder.
fn path_column(folder: &Path, table: &Raw) -> anyhow::Result<String> {
    let is_path = |at: &usize| {
        let cell = table.cell(0, *at);
        !cell.is_empty() && folder.join(&*cell).is_file()
    };
    if let Some(at) = (0..table.names.len()).find(is_path) {
        return Ok(table.names[at].clone());
    }
    let found = format!(
        "no column holds paths: no cell of the first row names a file in {}",
        quoted(&folder.to_string_lossy())
    );
    Err(Fault::data(&table.place, found).hint("paths start at the folder before the comma").into())
}
