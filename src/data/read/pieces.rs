//! The files of several sources, part by part.

use std::path::PathBuf;

use crate::config::TaskSource;
use crate::data::part::Part;
use crate::data::read::glob;

/// The files of one part of a source.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'s> {
    /// Number of the source.
    pub number: usize,
    /// The source.
    pub source: &'s TaskSource,
    /// What its rows are for. Those that train may be split further.
    pub part: Part,
    files: &'s [PathBuf],
}

/// The pieces of several sources, in the order of reading: source by source, and for each the files
/// that train, validate and test.
pub fn pieces<'s>(sources: &'s [TaskSource]) -> Vec<Piece<'s>> {
    let of_source = |(number, source): (usize, &'s TaskSource)| {
        let TaskSource { train, valid, test, .. } = source;
        let all = Part::ALL.into_iter().zip([train, valid, test]);
        all.filter(|(_, files)| !files.is_empty()).map(move |(part, files)| Piece {
            number,
            source,
            part,
            files,
        })
    };
    sources.iter().enumerate().flat_map(of_source).collect()
}

impl Piece<'_> {
    /// Its files, in the order of reading.
    ///
    /// # Errors
    /// 66 if a pattern matches no file.
    pub fn paths(&self) -> anyhow::Result<Vec<PathBuf>> {
        glob::expand_all(self.files)
    }
}
