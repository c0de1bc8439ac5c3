//! Which part of a data set a row is in, and the label that is not there.

/// A label that is not there: the row does not train this task.
pub const UNLABELLED: u32 = u32::MAX;

/// Which part of a data set; the number is the stream of its random partners.
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
    /// All three, by number.
    pub const ALL: [Part; 3] = [Part::Train, Part::Valid, Part::Test];

    /// `train`, `valid` or `test`.
    pub fn name(self) -> &'static str {
        ["train", "valid", "test"][self as usize]
    }
}
