//! Writes `report.json`, `report.html` and `plots/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::facts::{FILE, Facts};
use super::files::RunFiles;
use super::page::{Page, search, several, single};
use super::search::SearchFacts;
use crate::replace::{cannot_create, replace};

/// Name of the page in a directory.
pub const PAGE: &str = "report.html";
/// Name of the directory of its pictures.
pub const PLOTS: &str = "plots";

/// Writes the facts of a run.
///
/// # Errors
/// 73 if the file cannot be created, 74 if it cannot be written.
pub fn facts(run: &Path, facts: &Facts) -> Result<()> {
    let text = serde_json::to_string(facts)? + "\n";
    replace(&run.join(FILE), text.as_bytes())
}

/// Writes the page of some runs into the directory `out`; returns its path.
///
/// # Errors
/// As [`facts`].
pub fn page(runs: &[RunFiles], out: &Path) -> Result<PathBuf> {
    let page = match runs {
        [run] => single(run),
        runs => several(runs),
    };
    // They are made anew at any time: no need to wait for the disk.
    let write =
        |path: &Path, text: &str| fs::write(path, text).map_err(|e| cannot_create(path, &e).into());
    put(&page, out, &write)
}

/// Writes the page of a search into its directory; returns its path. Each file is written whole or
/// not at all.
///
/// # Errors
/// As [`facts`].
pub fn write_page(directory: &Path, facts: &SearchFacts) -> Result<PathBuf> {
    put(&search(facts), directory, &|path, text| replace(path, text.as_bytes()))
}

/// How a picture is written.
type Write<'a> = &'a dyn Fn(&Path, &str) -> Result<()>;

fn put(page: &Page, out: &Path, write: Write) -> Result<PathBuf> {
    pictures(page, &out.join(PLOTS), write)?;
    let path = out.join(PAGE);
    replace(&path, page.html.as_bytes())?;
    Ok(path)
}

/// Writes the pictures of a page as files, in place of those that an earlier page left.
fn pictures(page: &Page, folder: &Path, write: Write) -> Result<()> {
    let failed = |e: &std::io::Error| cannot_create(folder, e);
    fs::create_dir_all(folder).map_err(|e| failed(&e))?;
    for entry in fs::read_dir(folder).map_err(|e| failed(&e))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_own = name.ends_with(".svg") && name.starts_with(|c: char| c.is_ascii_digit());
        if is_own {
            fs::remove_file(entry.path()).map_err(|e| failed(&e))?;
        }
    }
    for picture in &page.pictures {
        let path = folder.join(format!("{}.svg", picture.name));
        write(&path, &picture.document())?;
    }
    Ok(())
}
