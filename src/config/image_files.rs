//! Image files in place of a table: `{ folder = "…" }`, and `{ images = "…", labels = "…", path =
//! "…" }`.

use std::path::{Path, PathBuf};

use super::keys::form::{path, text};
use super::keys::item::{Item, Result};
use super::keys::section::Section;
use super::keys::toml::inline_table;
use super::keys::{Keyed, Pass, entries, names, read};

/// Why keys about columns mean nothing where a class is a folder.
pub(super) const NO_TABLE: &str = "a folder of classes has no table of labels";
/// Why keys about feature columns mean nothing where features are images.
pub(super) const PIXELS: &str = "the pixels are the features: no other column is read but labels \
                                 and what [data] names";
/// The largest height, and the largest width, that images are resized to.
pub(super) const MOST_SIDE: u64 = 4096;

/// `{ folder = "…" }`
struct Folder<'a> {
    folder: PathBuf,
    base: &'a Path,
}

impl Keyed for Folder<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("folder")
            .required(true, "the path of a folder with a subfolder of images per class")
            .value(&mut self.folder, &path(self.base))
    }
}

/// `{ images = "…", labels = "…", path = "…" }`
struct Listed<'a> {
    images: PathBuf,
    labels: PathBuf,
    path: String,
    base: &'a Path,
}

impl Keyed for Listed<'_> {
    fn keys(&mut self, pass: &mut Pass) -> Result<()> {
        pass.key("images")
            .required(true, "the path of the folder that the paths in the table start at")
            .value(&mut self.images, &path(self.base))?;
        pass.key("labels")
            .required(true, "the path of a table with a row per image")
            .value(&mut self.labels, &path(self.base))?;
        pass.key("path")
            .required(true, "the column of the table that names the files")
            .value(&mut self.path, &text())
    }
}

/// Whether a table in place of a file has a key.
fn has(item: &Item, key: &str) -> bool {
    item.value.as_table().is_some_and(|table| table.contains_key(key))
}

/// Whether a table in place of a file is a folder of classes.
pub(super) fn is_folder(item: &Item) -> bool {
    has(item, "folder")
}

/// Whether a table in place of a file names image files by a table of paths.
pub(super) fn is_listed(item: &Item) -> bool {
    has(item, "path") && !has(item, "features")
}

/// Reads a folder of classes.
pub(super) fn folder(item: Item, base: &Path) -> Result<PathBuf> {
    let mut keyed = Folder { folder: PathBuf::new(), base };
    read(Section::of(item)?, &mut keyed)?;
    Ok(keyed.folder)
}

/// Reads image files with a table of their paths: the folder, the table, the column.
pub(super) fn listed(item: Item, base: &Path) -> Result<(PathBuf, PathBuf, String)> {
    let (images, labels, path) = Default::default();
    let mut keyed = Listed { images, labels, path, base };
    read(Section::of(item)?, &mut keyed)?;
    let Listed { images, labels, path, .. } = keyed;
    Ok((images, labels, path))
}

/// A folder of classes as TOML.
pub(super) fn write_folder(folder: &Path) -> String {
    inline_table(&entries(&mut Folder { folder: folder.to_owned(), base: Path::new("") }))
}

/// Image files with a table of their paths as TOML.
pub(super) fn write_listed(images: &Path, labels: &Path, path: &str) -> String {
    let (images, labels, path) = (images.to_owned(), labels.to_owned(), path.to_owned());
    inline_table(&entries(&mut Listed { images, labels, path, base: Path::new("") }))
}

/// The keys of a folder of classes, and of image files with a table of their paths.
pub(super) fn keys() -> [Vec<&'static str>; 2] {
    let (images, labels, path) = Default::default();
    let base = Path::new("");
    let mut folder = Folder { folder: PathBuf::new(), base };
    [names(&mut folder), names(&mut Listed { images, labels, path, base })]
}
