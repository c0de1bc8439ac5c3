//! How files are to be read.

use std::path::Path;

use crate::config::Sentences;
use crate::data::table::arrays::Arrays;

/// How files are to be read, as far as their formats leave it open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The byte between the cells of a text file; `None` if it is to be found from the text.
    pub delimiter: Option<u8>,
    /// Where the column names of a text file come from.
    pub header: Header,
    /// Names for the columns of arrays; `None` = they are called after the file.
    pub arrays: Option<Arrays>,
    /// How files of sentences become rows; `None` = as their endings say.
    pub sentences: Option<Sentences>,
    /// Columns that there may be in files of sentences; empty = all.
    pub names: Vec<String>,
    /// Whether the lines of files of sentences are kept, to be written again with their tags.
    pub keeps_lines: bool,
}

/// Where the column names of a text file come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// From its first line.
    #[default]
    First,
    /// From nowhere: the columns are called "0", "1", …
    None,
    /// From this list; the file has no header line.
    Given(Vec<String>),
}

impl Options {
    /// The options for an array of labels.
    pub(crate) fn for_labels(&self) -> Options {
        self.with_names(self.arrays.as_ref().map_or(&[], |arrays| &arrays.labels))
    }

    /// The options for one of several arrays of labels, by its name.
    pub(crate) fn for_key(&self, key: &str) -> Options {
        let names = self.arrays.as_ref().and_then(|arrays| arrays.of_key(key));
        self.with_names(names.unwrap_or(&[]))
    }

    /// The options for an array whose columns have these names; none = it has no names.
    fn with_names(&self, names: &[String]) -> Options {
        let named =
            || Arrays { features: names.to_vec(), labels: names.to_vec(), keys: Vec::new() };
        Options { arrays: (!names.is_empty()).then(named), ..self.clone() }
    }
}

/// The name of a file without its ending, after which the columns of an array are called.
pub fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
