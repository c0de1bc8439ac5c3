//! The parts of a data set, and the label that stands for "no label".

use crate::config::{Data, Source};

/// A label that is not there: the row does not train this task.
pub const UNLABELLED: u32 = u32::MAX;

/// A part of a data set. Its number is the stream of the random partners of its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Trained on.
    Train = 0,
    /// Picks the model.
    Valid = 1,
    /// Reported only.
    Test = 2,
}

impl Part {
    /// All three parts, by number.
    pub const ALL: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

    /// `train`, `valid` or `test`.
    pub fn name(self) -> &'static str {
        ["train", "valid", "test"][self as usize]
    }

    /// The part of a name.
    pub fn by_name(name: &str) -> Option<Part> {
        Part::ALL.into_iter().find(|part| part.name() == name)
    }

    /// The key of the configuration that names the files of a part.
    pub fn key(self) -> &'static str {
        ["data.train", "data.valid", "data.test"][self as usize]
    }

    /// The files of each part, by number; `None` where a part has no files of its own.
    pub fn sources(data: &Data) -> [Option<&Source>; 3] {
        [Some(&data.train), data.valid.as_ref(), data.test.as_ref()]
    }

    /// The files of the validation and the test part, where they have some of their own.
    pub fn other_sources(data: &Data) -> impl Iterator<Item = (Part, &Source)> {
        let sources = Part::ALL.into_iter().zip(Part::sources(data)).skip(1);
        sources.filter_map(|(part, source)| Some((part, source?)))
    }
}
