//! How files are to be read.

use std::path::Path;

use crate::data::table::arrays::Arrays;

/// How text files are to be read; other formats say it themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Between cells; found from the text if it is not given.
    pub delimiter: Option<u8>,
    /// Where column names come from.
    pub header: Header,
    /// What the columns of arrays are called; `None` = after the file.
    pub arrays: Option<Arrays>,
}

/// Where the column names of a text file come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// Its first line.
    #[default]
    First,
    /// The columns are called "0", "1", …
    None,
    /// These; the file has no header line.
    Given(Vec<String>),
}

impl Options {
    /// The options for an array of labels.
    pub(crate) fn for_labels(&self) -> Options {
        let labels = |arrays: &Arrays| Arrays {
            features: arrays.labels.clone(),
            labels: arrays.labels.clone(),
        };
        let arrays = self.arrays.as_ref().filter(|arrays| !arrays.labels.is_empty()).map(labels);
        Options { arrays, ..self.clone() }
    }
}

/// What the columns of an array are called.
pub fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
