//! Finds the image files in a folder, in the order of their names.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use crate::fault::{Fault, quoted};

/// The endings of image files, in any case.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];
/// The largest number of folders that lie within each other.
const DEEPEST: usize = 16;

/// The image files in a folder and in the folders below.
#[derive(Debug, Default)]
pub struct Walk {
    /// The files, in the order of their names.
    pub files: Vec<PathBuf>,
    /// Number of other files.
    pub others: usize,
    /// The first of the other files.
    pub first_other: Option<PathBuf>,
}

/// Whether a name has an ending of an image file.
pub fn is_image(name: &Path) -> bool {
    let ending = name.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str()))
}

/// The folders and files in a folder, by their names; hidden ones are left out.
///
/// # Errors
/// 66 if the folder cannot be read.
pub fn entries(folder: &Path) -> anyhow::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let unreadable = |e: std::io::Error| unreadable(folder, &e);
    let all: Vec<DirEntry> = std::fs::read_dir(folder)
        .map_err(unreadable)?
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    let is_seen = |entry: &&DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let mut paths: Vec<PathBuf> = all.iter().filter(is_seen).map(DirEntry::path).collect();
    paths.sort();
    let (mut folders, mut files) = (Vec::new(), Vec::new());
    for path in paths {
        let meta = std::fs::metadata(&path).map_err(|e| self::unreadable(&path, &e))?;
        if !meta.is_dir() {
            files.push(path);
            continue;
        }
        if is_image(&path) {
            let found = "is a folder, though its name is that of an image";
            return Err(Fault::data(path.display(), found).hint("rename the folder").into());
        }
        check_no_loop(&path)?;
        folders.push(path);
    }
    Ok((folders, files))
}

/// Checks that a folder that is a link does not lead to a folder that it lies in.
fn check_no_loop(path: &Path) -> anyhow::Result<()> {
    if !path.is_symlink() {
        return Ok(());
    }
    let real = |path: &Path| path.canonicalize().map_err(|e| unreadable(path, &e));
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let (target, here) = (real(path)?, real(parent.unwrap_or(Path::new(".")))?);
    if !here.starts_with(&target) {
        return Ok(());
    }
    let found = format!("is a link to {}, in which it lies itself", target.display());
    Err(Fault::data(path.display(), found).hint("remove the link").into())
}

/// Finds all image files below a folder.
///
/// # Errors
/// 66 if a folder cannot be read; 65 if a link leads back, or folders lie too deep.
pub fn walk(folder: &Path) -> anyhow::Result<Walk> {
    let mut walk = Walk::default();
    walk.add(folder, 0)?;
    Ok(walk)
}

impl Walk {
    fn add(&mut self, folder: &Path, depth: usize) -> anyhow::Result<()> {
        if depth > DEEPEST {
            let found = format!("more than {DEEPEST} folders lie within each other");
            return Err(Fault::data(folder.display(), found).hint("give a flatter folder").into());
        }
        let (folders, files) = entries(folder)?;
        files.into_iter().for_each(|file| self.take(file));
        folders.iter().try_for_each(|folder| self.add(folder, depth + 1))
    }

    /// Takes a file, or counts it among the others.
    pub fn take(&mut self, file: PathBuf) {
        if is_image(&file) {
            self.files.push(file);
        } else {
            self.others += 1;
            self.first_other.get_or_insert(file);
        }
    }

    /// Takes what another walk found.
    pub fn extend(&mut self, other: Walk) {
        self.files.extend(other.files);
        self.others += other.others;
        self.first_other = self.first_other.take().or(other.first_other);
    }

    /// A notice about the files that are no images.
    pub fn notice(&self) -> Option<String> {
        let first = self.first_other.as_ref()?;
        let count = match self.others {
            1 => "1 file is".to_owned(),
            count => format!("{count} files are"),
        };
        Some(format!(
            "{count} passed over, since only .png, .jpg and .jpeg are images: {}",
            quoted(&first.to_string_lossy())
        ))
    }

    /// Checks that there is an image.
    ///
    /// # Errors
    /// 65 if there is none.
    pub fn check(&self, folder: &Path) -> anyhow::Result<()> {
        if !self.files.is_empty() {
            return Ok(());
        }
        let found = match &self.first_other {
            None => "there are no .png, .jpg or .jpeg files below this folder".to_owned(),
            Some(first) => format!(
                "there are no .png, .jpg or .jpeg files below this folder, but others such as {}",
                quoted(&first.to_string_lossy())
            ),
        };
        Err(Fault::data(folder.display(), found).hint("name the folder of the images").into())
    }
}

fn unreadable(path: &Path, e: &std::io::Error) -> Fault {
    let hint = "check the path, and whether you may read the folder; links must lead somewhere";
    Fault::missing(path.display(), format!("cannot be read: {e}")).hint(hint)
}
