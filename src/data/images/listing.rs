//! The image files of a data set, each with its row in a table of labels.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::data::images::walk::{Walk, entries, walk};
use crate::data::schema::columns::{no_column, some};
use crate::data::table::raw::{Raw, RawColumn};
use crate::data::table::texts::Texts;
use crate::fault::{Fault, quoted};

/// Names of folders that hold parts of the data.
const PARTS: [&str; 6] = ["train", "training", "valid", "validation", "val", "test"];
/// The largest number of classes that a notice counts.
const MOST_CLASSES: usize = 20;
/// The column of paths where no table names one.
pub const FILE: &str = "file";

/// The image files of a data set, with a table of a row per file.
#[derive(Debug)]
pub struct Listing {
    /// The folder that the paths start at.
    pub folder: PathBuf,
    /// One file per row.
    pub files: Vec<PathBuf>,
    /// The table: paths, and labels where there are some.
    pub table: Raw,
    /// What the user should know about the files.
    pub notices: Vec<String>,
    /// Whether the rows stand in a table of the user's, so that messages name its rows.
    is_listed: bool,
}

/// The first of many phrases, and how many there are beside.
fn few(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(MOST_CLASSES);
    all.truncate(MOST_CLASSES);
    if more > 0 {
        all.push(format!("and {more} more"));
    }
    all.join(", ")
}

impl Listing {
    /// The images below a folder, whose subfolders are the classes; `targets` are the names that
    /// the label goes by.
    ///
    /// # Errors
    /// 66 if a folder cannot be read; 65 if there are fewer than two classes.
    pub fn of_classes(folder: &Path, targets: &[&str]) -> anyhow::Result<Listing> {
        let (folders, files) = entries(folder)?;
        let mut all = Walk::default();
        let (mut classes, mut notices) = (Vec::new(), Vec::new());
        for class in &folders {
            let found = walk(class)?;
            let name = name_of(class);
            if found.files.is_empty() {
                notices.push(format!("class {} has no images: it is left out", quoted(&name)));
            }
            classes.extend(found.files.iter().map(|_| name.clone()));
            all.extend(found);
        }
        let (loose, others): (Vec<PathBuf>, Vec<PathBuf>) =
            files.into_iter().partition(|file| super::walk::is_image(file));
        others.into_iter().for_each(|file| all.take(file));
        let mut distinct = classes.clone();
        distinct.dedup();
        if distinct.len() < 2 {
            let found = match (&distinct[..], loose.len()) {
                ([], 0) => return all.check(folder).and(Err(one_class(folder, "no class"))),
                ([], count) => format!("{count} images and no subfolder with images"),
                ([one, ..], _) => format!("one class, {}", quoted(one)),
            };
            return Err(one_class(folder, &found));
        }
        if distinct.iter().all(|class| PARTS.contains(&class.as_str())) {
            let found = format!("its subfolders {} are parts, not classes", some(&distinct));
            return Err(Fault::data(folder.display(), found)
                .hint("name the folder of each part: train = { folder = \"…/train\" }, test = …")
                .into());
        }
        let counts = distinct.iter().map(|class| {
            format!("{} {}", quoted(class), classes.iter().filter(|other| *other == class).count())
        });
        notices.push(format!("images of the folders: {}", few(counts.collect())));
        if let Some(first) = loose.first() {
            notices.push(format!(
                "images that lie in no subfolder are passed over: {}, such as {}",
                loose.len(),
                quoted(&first.to_string_lossy())
            ));
        }
        notices.extend(all.notice());
        let labels = targets.iter().map(|target| ((*target).to_owned(), texts(&classes)));
        let table = table(folder, &all.files, labels)?;
        let folder = folder.to_owned();
        Ok(Listing { folder, files: all.files, table, notices, is_listed: false })
    }

    /// All images below a folder, without labels.
    ///
    /// # Errors
    /// 66 if a folder cannot be read; 65 if there are no images.
    pub fn of_folder(folder: &Path) -> anyhow::Result<Listing> {
        let found = walk(folder)?;
        found.check(folder)?;
        let table = table(folder, &found.files, std::iter::empty())?;
        let notices = found.notice().into_iter().collect();
        let folder = folder.to_owned();
        Ok(Listing { folder, files: found.files, table, notices, is_listed: false })
    }

    /// A single image, without labels.
    ///
    /// # Errors
    /// Only if the table of one row cannot be made.
    pub fn of_file(file: &Path) -> anyhow::Result<Listing> {
        let folder = file.parent().unwrap_or(Path::new("")).to_owned();
        let files = vec![file.to_owned()];
        let table = table(&folder, &files, std::iter::empty())?;
        Ok(Listing { folder, files, table, notices: Vec::new(), is_listed: false })
    }

    /// The images that the column `path` of a table names, from `folder` on.
    ///
    /// # Errors
    /// 78 if there is no such column; 65 if a cell names no path below the folder.
    pub fn of_table(folder: &Path, table: Raw, path: &str) -> anyhow::Result<Listing> {
        let at =
            table.column(path).ok_or_else(|| no_column("data.train.path", path, &table, &[]))?;
        let (mut files, mut first_rows) = (Vec::with_capacity(table.rows), HashMap::new());
        let (mut twice, mut example) = (0, None);
        for row in 0..table.rows {
            let cell = table.cell(row, at);
            let file = below(folder, &cell).map_err(|why| {
                let place = format!("{}: column {}", table.locate(row), quoted(path));
                Fault::data(place, why).hint("paths start at the folder of the images")
            })?;
            match first_rows.get(&file) {
                Some(&first) => {
                    twice += 1;
                    example.get_or_insert((cell.into_owned(), first, row));
                }
                None => drop(first_rows.insert(file.clone(), row)),
            }
            files.push(file);
        }
        let notices = example.map(|(cell, first, row)| {
            format!(
                "{twice} of {} rows name a file that an earlier row names, such as {}: {} and {}",
                table.rows,
                quoted(&cell),
                table.locate(first),
                table.locate(row)
            )
        });
        let (folder, notices) = (folder.to_owned(), notices.into_iter().collect());
        Ok(Listing { folder, files, table, notices, is_listed: true })
    }

    /// Where a file is named, as the end of a message about it.
    pub fn named_at(&self, row: usize) -> String {
        if self.is_listed { format!(" ({})", self.table.locate(row)) } else { String::new() }
    }
}

/// The name of a folder.
fn name_of(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The file that a cell names, which lies below the folder.
fn below(folder: &Path, cell: &str) -> Result<PathBuf, String> {
    if cell.is_empty() {
        return Err("the cell is blank, expected the path of an image".into());
    }
    let path = Path::new(cell);
    let is_below = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    match path.components().all(is_below) {
        true => Ok(folder.join(path)),
        false => Err(format!("{} leads out of the folder {}", quoted(cell), folder.display())),
    }
}

/// A table of the paths of files from a folder on, with more columns to the right.
fn table(
    folder: &Path,
    files: &[PathBuf],
    more: impl Iterator<Item = (String, Texts)>,
) -> anyhow::Result<Raw> {
    let path = |file: &PathBuf| {
        let path = file.strip_prefix(folder).unwrap_or(file);
        path.to_string_lossy().into_owned()
    };
    let paths = texts(&files.iter().map(path).collect::<Vec<_>>());
    let (mut names, mut columns) = (vec![FILE.to_owned()], vec![RawColumn::Texts(paths)]);
    // A label may bear the name of the paths, which nothing else reads then.
    for (name, labels) in more {
        match names.iter().position(|known| *known == name) {
            Some(at) => columns[at] = RawColumn::Texts(labels),
            None => {
                names.push(name);
                columns.push(RawColumn::Texts(labels));
            }
        }
    }
    Raw::new(&folder.display().to_string(), names, columns, None)
}

fn texts(cells: &[String]) -> Texts {
    let mut texts = Texts::default();
    cells.iter().for_each(|cell| texts.push(cell));
    texts
}

/// The fault of a folder with fewer than two classes.
fn one_class(folder: &Path, found: &str) -> anyhow::Error {
    let expected = "expected two subfolders with images or more, each a class";
    Fault::data(folder.display(), format!("{found}; {expected}"))
        .hint("name the folder that has a folder per class in it, or give a table of labels")
        .into()
}
