//! Finds and opens the files of a source.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::glob;
use super::pieces::pieces;
use crate::config::Source;
use crate::fault::{self, Fault};

/// The files of a source that has columns, in the order in which they are read.
///
/// # Errors
/// 66 if a pattern matches no file.
pub fn paths(source: &Source) -> anyhow::Result<Vec<PathBuf>> {
    match source {
        Source::Table(patterns) => glob::expand_all(patterns),
        Source::Several(sources) => {
            let paths: Vec<Vec<PathBuf>> =
                pieces(sources).iter().map(|piece| piece.paths()).collect::<anyhow::Result<_>>()?;
            Ok(paths.concat())
        }
        Source::Npy { features, labels } => Ok(vec![features.clone(), labels.clone()]),
        Source::Arrays { features, labels } => {
            let labels = labels.iter().map(|(_, path)| path.clone());
            Ok(std::iter::once(features.clone()).chain(labels).collect())
        }
        Source::Idx { .. } | Source::BuiltIn(_) | Source::Folder(_) | Source::Listed { .. } => {
            Err(Fault::config("data", "images have no columns").hint("give a table").into())
        }
    }
}

/// Opens a file; returns its size in bytes too.
///
/// # Errors
/// 66 if it cannot be opened.
pub fn open(path: &Path) -> anyhow::Result<(File, u64)> {
    let file = fault::open(path)?;
    let size = file.metadata().map_or(0, |metadata| metadata.len());
    Ok((file, size))
}
