//! The file that `init` writes.

use std::io::Write;
use std::path::Path;

use anyhow::Result;

use super::console::Console;
use crate::fault::{Exit, Fault};

/// The path of the data as a configuration in the folder of `out` names it.
///
/// # Errors
/// 66 if the path cannot be made absolute.
pub(super) fn path_from(data: &str, out: Option<&Path>) -> Result<String> {
    let elsewhere = out.and_then(Path::parent).is_some_and(|folder| !folder.as_os_str().is_empty());
    if !elsewhere {
        return Ok(data.to_owned());
    }
    let absolute = std::path::absolute(data).map_err(|e| Fault::missing(data, e))?;
    Ok(absolute.to_string_lossy().into_owned())
}

/// The error of a file for a configuration that cannot be made.
pub(super) fn taken(out: &Path, why: impl std::fmt::Display) -> anyhow::Error {
    Fault::new(Exit::CantCreate, format!("{}: {why}", out.display()))
        .hint("choose another --out; nothing is overwritten")
        .into()
}

/// Writes a configuration into a file that must not exist yet, and says what can be done with it.
///
/// # Errors
/// 73 if it exists or cannot be created; 74 if a write failed.
pub(super) fn write_draft(out: &Path, text: &str, console: &Console) -> Result<()> {
    write_new(out, text)?;
    let name = out.display();
    let search = format!("tandem search {name} looks for better settings");
    console.note(&format!("{name} written; next: tandem train {name}; later {search}"));
    Ok(())
}

fn write_new(out: &Path, text: &str) -> Result<()> {
    let mut file = std::fs::File::create_new(out)
        .map_err(|e| taken(out, format!("cannot be created: {e}")))?;
    let failed =
        |e| Fault::new(Exit::Io, format!("{}: {e}", out.display())).hint("is the disk full?");
    Ok(file.write_all(text.as_bytes()).map_err(failed)?)
}
